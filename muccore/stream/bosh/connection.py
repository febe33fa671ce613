# -*- test-case-name: tests.stream.bosh.test_connection -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What a stream over BOSH has in place of a transport: its outbox, and the requests that take what is in it.

Theory of operation. What is written waits for the end of the reactor turn, and then for a request: all of it, up to
L{PIECE}, is the answer to one. An answer is written to another connection, and leaves with it in the same turn. Limits,
back-pressure and bulk are those of other outboxes (docs/design/0022-outboxes.md). Time-outs are on the timing wheel of
the streams.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import ITransport
from twisted.python.failure import Failure

from muccore.log.eventlog import OUTBOX_OVERFLOW, OUTBOXES_OVERFLOW
from muccore.net.flush import FlushScheduler
from muccore.net.outbox import HIGH, LOW, PIECE, Bulk, Outboxes
from muccore.net.timingwheel import TICK, TimingWheel
from muccore.stream.bosh.body import Body
from muccore.stream.bosh.requests import IResponder, Requests

if TYPE_CHECKING:
    from muccore.stream.bosh.stream import BOSHStream

CLOSE_TICKS: Final = 5
"""Ticks for a request that is told of the end, if none waits."""

_Part = bytes | tuple[bytes, bytes, bytes] | Bulk


class BOSHConnection:
    """
    The connection of one BOSH session.

    @ivar secure: whether its requests have to come over TLS.
    @ivar progress: bytes that were sent.
    @ivar streamPrefix: whether what waits needs the prefix C{stream}.
    @ivar countEncrypted: not used.
    """

    __slots__ = (
        "TLS", "_bulk", "_clock", "_closing", "_ended", "_exceeded", "_filled", "_forget", "_handle", "_host",
        "_outbox", "_outboxLimit", "_outboxes", "_reported", "_requests", "_scheduled", "_size", "_stream", "_wheel",
        "countEncrypted", "due", "progress", "secure", "streamPrefix",
    )  # fmt: skip

    def __init__(
        self, stream: BOSHStream, requests: Requests, secure: bool, handle: Any, clock: FlushScheduler,
        wheel: TimingWheel, outboxLimit: int, outboxes: Outboxes,
    ) -> None:  # fmt: skip
        """
        @param handle: see L{getHandle}.
        @param outboxLimit: limit for what waits, in bytes, bulk not counted.
        @param outboxes: the bound for all connections together.
        """
        self.TLS = False
        self.secure = secure
        self.progress = 0
        self.streamPrefix = False
        self.countEncrypted: Callable[[int], object] | None = None
        self.due = 0
        self._stream: BOSHStream | None = stream
        self._requests = requests
        self._handle = handle
        self._host = stream.address
        self._clock = clock
        self._wheel = wheel
        self._outboxLimit = outboxLimit
        self._outboxes = outboxes
        self._outbox: list[_Part] = []
        self._bulk: list[Bulk] = []
        self._size = self._reported = 0
        self._scheduled = self._filled = self._exceeded = self._closing = self._ended = False

    def getHandle(self) -> Any:
        """The TLS connection of the first request, for logs; something else if there is none."""
        return self._handle

    def open(self, forget: Callable[[], object], body: Body, responder: IResponder) -> None:
        """
        Begin.

        @param forget: called at the end.
        @param body: that of the request that creates the session.
        """
        self._forget = forget
        responder.lostObserver = self._responderLost
        stream = self._stream
        assert stream is not None
        stream.makeConnection(cast(ITransport, self))  # type: ignore[no-untyped-call]
        stream.bodyReceived(body)
        self._schedule()

    # Requests

    def receive(self, body: Body, responder: IResponder) -> None:
        """Take a request."""
        responder.lostObserver = self._responderLost
        requests, stream = self._requests, self._stream
        ready = requests.receive(body, responder, self._clock.seconds())
        if requests.ended or stream is None:
            self._end()
            return
        for each in ready:
            stream.bodyReceived(each)
        if requests.violation is not None:
            stream.violated(requests.violation)
        self._schedule()

    def handled(self, rid: int) -> None:
        """Note that the body of a request was handled."""
        self._requests.handled(rid)
        self._schedule()

    def _responderLost(self, responder: IResponder) -> None:
        self._requests.lost(responder, self._clock.seconds())
        self._setTimeout()

    # Writing

    def write(self, data: bytes) -> None:
        """Send whole elements, in order."""
        self._append(data, len(data))

    def writeParts(self, head: bytes, to: bytes, tail: bytes) -> None:
        """See L{BoundedConnection.writeParts<muccore.net.connection.BoundedConnection.writeParts>}."""
        self._append((head, to, tail), len(head) + len(to) + len(tail))

    def writeBulk(self, pieces: Iterator[bytes], size: int, own: bool = False) -> None:
        """See L{BoundedConnection.writeBulk<muccore.net.connection.BoundedConnection.writeBulk>}."""
        if not (self._closing or self._exceeded):
            bulk = Bulk(pieces, size, own)
            self._bulk.append(bulk)
            self._append(bulk, 0)

    def _append(self, part: _Part, size: int) -> None:
        if self._closing or self._exceeded:
            return
        self._size += size
        self._outbox.append(part)
        if not self._scheduled:
            self._schedule()
        if self._size > (self._outboxLimit if self._filled else HIGH):
            self._account()

    def isWaiting(self) -> bool:
        """Whether something waits to be sent, or the client may not have got what was sent."""
        return bool(self._outbox) or not self._requests.isConfirmed

    def dropOutbox(self) -> None:
        """Drop what waits."""
        self._outbox.clear()
        self._bulk.clear()
        self._size = 0

    def pauseProducing(self) -> None:
        """Do nothing: requests are not answered meanwhile."""

    def resumeProducing(self) -> None:
        """Answer what can be answered."""
        self._schedule()

    # Flushing

    def _schedule(self) -> None:
        if not self._scheduled and not self._ended:
            self._scheduled = True
            self._clock.schedule(self)

    def encrypt(self) -> None:
        """See L{Flushable<muccore.net.flush.Flushable>}."""

    def flush(self) -> None:
        """Answer the requests that have something to take, or must not wait. See L{Flushable}."""
        self._scheduled = False
        if self._ended or self._closing:
            return
        requests, now = self._requests, self._clock.seconds()
        while self._outbox and requests.mayCarry(self._filled):
            payload = self._take(PIECE)
            if payload:
                self.progress += len(payload)
                requests.carry(payload, self.streamPrefix, now)
                self.streamPrefix = self.streamPrefix and bool(self._outbox)
        requests.release(now)
        self._account()
        self._setTimeout()

    def _take(self, limit: int) -> bytes:
        """Take whole parts out of the outbox, until they have as many bytes as C{limit}."""
        taken: list[bytes] = []
        size = used = 0
        for part in self._outbox:
            if size >= limit:
                break
            if isinstance(part, Bulk):
                data = part.take(limit - size)
                taken.append(data)
                size += len(data)
                if size >= limit:
                    # It may have more.
                    break
                self._bulk.remove(part)
            elif isinstance(part, tuple):
                taken += part
                size += sum(map(len, part))
                self._size -= sum(map(len, part))
            else:
                taken.append(part)
                size += len(part)
                self._size -= len(part)
            used += 1
        del self._outbox[:used]
        return b"".join(taken)

    def _account(self) -> None:
        """Do what follows from the size of the outbox."""
        stream, size = self._stream, self._size
        if self._closing or stream is None:
            return
        if size > self._outboxLimit:
            OUTBOX_OVERFLOW.log(self._host, limit=self._outboxLimit)
            self._exceed("policy-violation", f"left more than {self._outboxLimit} bytes unread")
            return
        waiting, kept = size, size + self._requests.keptSize
        for bulk in self._bulk:
            waiting += bulk.size
            kept += bulk.size if bulk.own else 0
        if self._filled:
            if waiting < LOW:
                self._filled = False
                stream.outboxDrained()
        elif waiting > HIGH:
            self._filled = True
            stream.outboxFilled()
        if kept > LOW or self._reported:
            self._reported = kept if kept > LOW else 0
            self._outboxes.report(self, self._reported)

    def endForAll(self, limit: int) -> None:
        """See L{Waiting<muccore.net.outbox.Waiting>}."""
        if not self._exceeded and not self._closing:
            OUTBOXES_OVERFLOW.log(self._host, limit=limit)
            self._exceed("resource-constraint", "too much waits for all clients together, and most for this one")

    def _exceed(self, condition: str, text: str) -> None:
        """End the stream, in a later turn: this may be inside a write."""
        self._exceeded = True
        self.dropOutbox()
        self._reported = 0
        self._outboxes.report(self, 0)
        self._clock.callSoon(self._tellExceeded, condition, text)

    def _tellExceeded(self, condition: str, text: str) -> None:
        self._exceeded = False
        if self._stream is not None and not self._closing:
            self._stream.outboxExceeded(condition, text)

    # Ending

    def terminate(self, condition: str | None, code: int = 200) -> None:
        """
        Tell the client of the end, with what was written before; bulk is dropped.

        @param condition: the binding condition, C{None} for none.
        @param code: the status code for clients without C{ver}.
        """
        if self._closing:
            return
        self._outbox = [part for part in self._outbox if not isinstance(part, Bulk)]
        self._bulk.clear()
        payload = self._take(self._size + 1)
        self._closing = True
        self._requests.terminate(condition, payload, self._clock.seconds(), code)
        stream = self._stream
        if self._requests.ended or stream is None or stream.factory.ending:
            self._end()
        else:
            self._wheel.schedule(self, CLOSE_TICKS)

    def loseConnection(self) -> None:
        """End the session in order."""
        self.terminate(None)

    def abortConnection(self) -> None:
        """End the session now."""
        self.terminate(None)
        self._end()

    def _end(self) -> None:
        """Tell the stream in a later turn."""
        self._clock.callSoon(self._lose, ConnectionDone())

    def _lose(self, reason: Exception) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        self._ended = self._closing = True
        self.dropOutbox()
        self.countEncrypted = None
        self._wheel.remove(self)
        self._outboxes.report(self, 0)
        self._forget()
        stream.connectionLost(Failure(reason))

    # Timeouts

    def _setTimeout(self) -> None:
        """Look at the requests again in time."""
        if not self._closing and not self._ended:
            ticks = max(1, math.ceil(self._requests.nextTimeout(self._clock.seconds()) / TICK))
            if not self.due or self.due > self._wheel.tick + ticks:
                self._wheel.schedule(self, ticks)

    def timeoutDue(self, tick: int) -> int:
        """See L{muccore.net.timingwheel.Timed.timeoutDue}."""
        now, requests = self._clock.seconds(), self._requests
        if self._closing:
            self._lose(ConnectionDone())
            return 0
        if requests.isExpired(now):
            requests.terminate("item-not-found", b"", now, 404)
            self._lose(ConnectionAborted("no request for too long"))
            return 0
        requests.release(now, TICK)
        return max(1, math.ceil(requests.nextTimeout(now) / TICK))
