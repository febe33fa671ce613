# -*- test-case-name: tests.session.test_management -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Stream management (XEP-0198) of one session: what its client has been sent and has not acknowledged, the counters, and
requests for acknowledgements.

It stands between the session and its stream, so that the queue outlives the stream. Without a stream, stanzas are kept
until another one is attached. The nonzas are in L{muccore.stream.management}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from muccore.interfaces import IStream, IStreamManagement
from muccore.xmpp import ns
from muccore.xmpp.delays import withDelay
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered

REQUEST_AFTER: Final = 100
"""Unacknowledged stanzas after which an acknowledgement is requested at once."""

ACK_TIMEOUT: Final = 60
"""Ticks after which a client that has not acknowledged anything, and has sent nothing else, is disconnected."""

_ACK_TIME: Final = 90.0
"""Seconds that a stanza can be unacknowledged before the stream is lost: above the time to request it and to wait."""

_MASK: Final = 2**32 - 1
_REQUEST: Final = f"<r xmlns='{ns.STREAM_MANAGEMENT}'/>".encode()

Entry = tuple[Rendered, bytes, float | None]
"""A stanza, its rendered C{to}, and when it was kept for want of a stream, in seconds since the epoch."""


@dataclass(frozen=True)
class ManagementSettings:
    """
    Limits of stream management.

    @ivar resumeTimeout: seconds for which a session waits to be resumed; 0 if sessions cannot be resumed.
    @ivar queueStanzas: stanzas kept for one session.
    @ivar queueBytes: their bytes.
    """

    resumeTimeout: float
    queueStanzas: int
    queueBytes: int


@implementer(IStreamManagement)
class StreamManagement:
    """
    The stream management of one session.

    Above its limits, the oldest stanzas are forgotten while there is a stream, since the client has probably received
    them; without one C{overflowed} is called.

    @ivar id: see L{IStreamManagement}.
    @ivar holdTime: see L{IStreamManagement}.
    @ivar handled: see L{IStreamManagement}.
    @ivar lostAt: when its stream was lost, in seconds since the epoch.
    """

    __slots__ = (
        "_acknowledged", "_clock", "_domain", "_forgotten", "_overflowed", "_overflowing", "_queue", "_requested",
        "_requestedAt", "_settings", "_size", "_stream", "handled", "holdTime", "id", "lostAt",
    )  # fmt: skip

    def __init__(
        self,
        clock: IReactorTime,
        settings: ManagementSettings,
        domain: str,
        stream: IStream,
        overflowed: Callable[[], None],
        id: str | None = None,
        holdTime: float = 0,
    ) -> None:
        """
        @param domain: the domain of the account, which delays stanzas.
        @param overflowed: called when the queue exceeds its limits and there is no stream.
        """
        self.id = id
        self.holdTime = holdTime
        self.handled = 0
        self.lostAt = 0.0
        self._clock = clock
        self._domain = domain
        self._stream: IStream | None = stream
        self._settings = settings
        self._overflowed = overflowed
        self._overflowing = False
        self._queue: deque[Entry] = deque()
        self._size = 0
        self._acknowledged = 0
        self._forgotten = 0
        self._requested = False
        self._requestedAt = 0

    # Outgoing

    def send(self, stanza: Rendered, to: bytes) -> None:
        """Send a stanza, or keep it for the next stream; see L{IStream.send}."""
        stream, queue, settings = self._stream, self._queue, self._settings
        # The rest of a stanza is shared with others, or small.
        self._size += len(stanza.tail)
        if stream is not None:
            queue.append((stanza, to, None))
            stream.send(stanza, to)
            if not self._requested and len(queue) >= REQUEST_AFTER:
                self._request(stream)
        else:
            queue.append((stanza, to, self._clock.seconds()))
        if len(queue) > settings.queueStanzas or self._size > settings.queueBytes:
            self._trim()

    def _trim(self) -> None:
        if self._stream is None:
            if not self._overflowing:
                self._overflowing = True
                self._overflowed()
            return
        queue, settings = self._queue, self._settings
        while len(queue) > settings.queueStanzas or self._size > settings.queueBytes:
            self._drop()
            self._forgotten += 1

    def _drop(self) -> None:
        self._size -= len(self._queue.popleft()[0].tail)

    def _request(self, stream: IStream) -> None:
        self._requested = True
        self._requestedAt = 0
        stream.sendNonza(_REQUEST)

    # IStreamManagement

    def acknowledge(self, handled: int) -> None:
        """See L{IStreamManagement.acknowledge}."""
        count = self._countNew(handled)
        self._requested = False
        forgotten = min(count, self._forgotten)
        self._forgotten -= forgotten
        left = count - forgotten
        if left == len(self._queue):
            self._queue.clear()
            self._size = 0
        else:
            for _ in range(left):
                self._drop()
        self._acknowledged = handled

    def _countNew(self, handled: int) -> int:
        """
        Count what a client has acknowledged for the first time.

        @raise StreamError: if it was not sent as much.
        """
        count = (handled - self._acknowledged) & _MASK
        outstanding = self._forgotten + len(self._queue)
        if count > outstanding:
            sent = (self._acknowledged + outstanding) & _MASK
            condition = Element((ns.STREAM_MANAGEMENT, "handled-count-too-high"))
            condition.attributes.update({"h": str(handled), "send-count": str(sent)})
            text = f"{handled} stanzas acknowledged, {sent} sent."
            raise StreamError("undefined-condition", text, condition)
        return count

    def checkAcknowledgements(self, tick: int, silence: int) -> bool:
        """See L{IStreamManagement.checkAcknowledgements}."""
        if not self._requested:
            if self._queue and self._stream is not None:
                self._request(self._stream)
                self._requestedAt = tick
        elif not self._requestedAt:
            self._requestedAt = tick
        else:
            return min(tick - self._requestedAt, silence) < ACK_TIMEOUT
        return True

    def attach(self, stream: IStream) -> int:
        """See L{IStreamManagement.attach}."""
        self._stream = stream
        self._requested = self._overflowing = False
        for stanza, to, _ in self.unacknowledged():
            stream.send(stanza, to)
        if self._queue:
            self._request(stream)
        return len(self._queue)

    # For the session

    def detach(self) -> None:
        """Keep stanzas from now on: the stream was lost."""
        self._stream = None
        self.lostAt = self._clock.seconds()

    def mayResumeFrom(self, handled: int) -> bool:
        """
        Whether everything is kept that a client has not handled.

        @raise StreamError: as L{IStreamManagement.acknowledge}.
        """
        return self._countNew(handled) >= self._forgotten

    def unacknowledged(self) -> Iterator[tuple[Rendered, bytes, float]]:
        """
        The stanzas that were not acknowledged; messages have a delay stamp.

        @return: each with its C{to}, and the time since the epoch at which it was sent at the earliest.
        """
        for stanza, to, kept in self._queue:
            when = self.lostAt if kept is None else kept
            yield withDelay(stanza, self._domain, when), to, when if kept is not None else when - _ACK_TIME

    def __len__(self) -> int:
        """Count them."""
        return len(self._queue)


__all__ = ["ACK_TIMEOUT", "REQUEST_AFTER", "ManagementSettings", "StreamManagement"]
