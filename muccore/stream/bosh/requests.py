# -*- test-case-name: tests.stream.bosh.test_requests -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The requests of a BOSH session: their order, which of them wait, and what they were answered with (XEP-0124 §8 to §14).

Theory of operation. A request is I{early} until all with smaller IDs have arrived; then it is I{open} until it is
answered, in this order. Meanwhile its body is handled, which may take time: the client may have to wait for what it has
caused before it may send more. So nothing empty is sent in answer to a request that is not handled yet.

An open request whose connection is lost is I{dead}. It is answered with nothing, for the client to fetch with the same
ID, once there is something to say to a later one. Answers are kept until the client cannot miss them any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from muccore.stream.bosh.body import LAST_RID, Body, renderBody, renderTermination
from muccore.stream.bosh.errors import CODES, BindingError
from muccore.stream.bosh.keys import KeySequence, isSameKey
from muccore.stream.bosh.terms import MAX_PAUSE, POLLING, Terms
from muccore.xmpp import ns

REPEATS: Final = 10
"""How often a client may send one request again."""

KEPT: Final = 16
"""Answers that are kept for a client that acknowledges them, if it does not."""

KEPT_SIZE: Final = 2 * 1024 * 1024
"""Bytes of these; more only if the last requests alone had more."""

REPORT_DELAY: Final = 2.0
"""Seconds after which a client is told of an answer that it has not acknowledged."""

_STREAM: Final = f" xmlns:stream='{ns.STREAM}'".encode()
_RECOVERABLE: Final = renderBody(" type='error'")


class IResponder(Protocol):
    """
    A request as it came over HTTP.

    @ivar lostObserver: called with this if its connection is lost before it was answered.
    """

    lostObserver: Callable[[IResponder], object] | None

    @property
    def address(self) -> str:
        """The network address of the client."""

    @property
    def secure(self) -> bool:
        """Whether TLS protects the client's connection."""

    @property
    def secureURI(self) -> str | None:
        """Where the same is under TLS, if that is known."""

    @property
    def tls(self) -> Any:
        """The TLS connection, for logs; C{None} if it is another's."""

    def respond(self, body: bytes, content: str, code: int = 200) -> None:
        """Answer it, with a content type and a status code. Nothing happens if its connection is lost."""


class _Request:
    """A request that is not answered. C{responder} is C{None} if its connection is lost."""

    __slots__ = ("arrived", "body", "isPause", "key", "repeats", "responder")

    def __init__(self, body: Body, responder: IResponder, now: float) -> None:
        self.body = body
        self.key = body.text("key")
        self.isPause = "pause" in body.attributes
        self.responder: IResponder | None = responder
        self.arrived = now
        self.repeats = 0


class _Answer:
    """An answer that is kept."""

    __slots__ = ("data", "isPause", "key", "repeats", "time")

    def __init__(self, data: bytes, request: _Request, now: float) -> None:
        self.data = data
        self.key = request.key
        self.isPause = request.isPause
        self.repeats = request.repeats
        self.time = now


class Requests:
    """
    The requests of a session. All times are in seconds, by one clock.

    @ivar terms: what was agreed on.
    @ivar received: the largest ID with all smaller ones.
    @ivar ended: whether the session has ended, and the client was told.
    @ivar violation: what the last request has violated, if anything.
    @ivar isConfirmed: whether a request has arrived since an answer had a payload.
    """

    def __init__(self, creation: Body, responder: IResponder, terms: Terms, attributes: str, now: float) -> None:
        """
        Take the request that creates the session.

        @param attributes: those of the answer, rendered.
        """
        self.terms = terms
        self.received = creation.rid
        self._handled = creation.rid - 1
        self.ended = False
        self.violation: BindingError | None = None
        self.isConfirmed = True
        self._keys = KeySequence(creation)
        self._creation = attributes
        self._open: dict[int, _Request] = {creation.rid: _Request(creation, responder, now)}
        self._early: dict[int, _Request] = {}
        self._kept: dict[int, _Answer] = {}
        self._last = now, creation.empty
        self._answeredEmpty = False
        self._pause: int | None = None
        self._report: int | None = None
        self._farewell: tuple[bytes, int] | None = None
        # Since when nothing has been open, or could be answered.
        self._idleSince = now

    # Requests

    def receive(self, body: Body, responder: IResponder, now: float) -> list[Body]:
        """
        Take a request. If it violates the protocol, C{violation} says how, and the session must be ended.

        @return: the bodies that are to be handled before that, in this order.
        """
        ready: list[Body] = []
        try:
            self._receive(body, responder, now, ready)
        except BindingError as e:
            self.violation = e
        return ready

    def _receive(self, body: Body, responder: IResponder, now: float, ready: list[Body]) -> None:
        if self._farewell is not None:
            self._respond(responder, *self._farewell)
            self._tellEnd()
            return
        if not body.rid:
            self._respond(responder, renderTermination("bad-request"), CODES["bad-request"])
            raise BindingError("bad-request", "The request ID is missing or invalid.")
        self._idleSince = now
        self.isConfirmed = True
        if body.rid <= self.received or body.rid in self._early:
            self._repeated(body, responder)
            return
        new = self._early[body.rid] = _Request(body, responder, now)
        if body.rid > self.received + self.terms.requests + (body.terminates or new.isPause):
            raise BindingError("item-not-found", "The request ID is out of range.")
        while (request := self._early.pop(self.received + 1, None)) is not None:
            self.received += 1
            self._open[self.received] = request
            self._keys.check(request.body)
            self._checkActivity(request)
            self._noteAcknowledged(request.body, now)
            self._pause = min(request.body.number("pause", 1, LAST_RID, 1), MAX_PAUSE) if request.isPause else None
            ready.append(request.body)

    def _checkActivity(self, request: _Request) -> None:
        """Refuse too many requests at the same time (§11), and empty ones too soon after another (§11, §12)."""
        body, requests = request.body, self.terms.requests
        before, wasEmpty = self._last
        isEmpty = body.empty and not (request.isPause or body.terminates or body.restarts)
        self._last = request.arrived, isEmpty
        if request.isPause or body.terminates:
            return
        if len(self._open) > requests:
            raise BindingError("policy-violation", "Too many requests at the same time.")
        if self.terms.polls:
            isIdle = isEmpty and wasEmpty and self._answeredEmpty
        else:
            isIdle = isEmpty and len(self._open) == requests and self._handled == body.rid - 1
        if isIdle and request.arrived - before < POLLING:
            raise BindingError("policy-violation", "Requests without content are too frequent.")

    def _noteAcknowledged(self, body: Body, now: float) -> None:
        """Forget the answers that the client has, and see whether it misses one (§9.2)."""
        if not self.terms.acks:
            return
        acknowledged = body.number("ack", 0, 1 << 53, body.rid - 1)
        for rid in [rid for rid in self._kept if rid <= acknowledged]:
            del self._kept[rid]
        missed = self._kept.get(acknowledged + 1)
        if missed is not None and now - missed.time >= REPORT_DELAY:
            self._report = acknowledged + 1

    def _repeated(self, body: Body, responder: IResponder) -> None:
        """Answer a request that was sent again (§14.3)."""
        found = self._open.get(body.rid) or self._early.get(body.rid) or self._kept.get(body.rid)
        error = None
        if found is None:
            error = BindingError("item-not-found", "The answer is not kept any more.")
        elif not isSameKey(found.key, body.text("key")):
            error = BindingError("item-not-found", "The key is invalid.")
        elif found.repeats >= REPEATS:
            error = BindingError("policy-violation", "A request was sent again too often.")
        if error is not None:
            # The requests that wait are answered besides.
            self._respond(responder, renderTermination(error.binding), CODES[error.binding])
            raise error
        assert found is not None
        found.repeats += 1
        if isinstance(found, _Answer):
            self._respond(responder, found.data)
        else:
            before, found.responder = found.responder, responder
            self._respond(before, _RECOVERABLE)

    def lost(self, responder: IResponder, now: float) -> None:
        """Note that the connection of a request is lost, if that is not answered."""
        for request in [*self._open.values(), *self._early.values()]:
            if request.responder is responder:
                request.responder = None
                if not self.isWaited:
                    self._idleSince = now

    def handled(self, rid: int) -> None:
        """Note that the body of a request is handled, and all before it."""
        self._handled = rid

    @property
    def isWaited(self) -> bool:
        """Whether an open request waits to be answered."""
        return any(request.responder is not None for request in self._open.values())

    # Answers

    def mayCarry(self, anyway: bool) -> bool:
        """
        Whether there is a request whose answer can have a payload.

        @param anyway: even if bodies before its own are not handled: they wait for the client to read.
        """
        first = next((each for each in self._open.values() if each.responder is not None), None)
        return first is not None and not first.isPause and (anyway or first.body.rid - 1 <= self._handled)

    def carry(self, payload: bytes, streamPrefix: bool, now: float) -> None:
        """
        Answer the first request that can be answered with a payload.

        @param streamPrefix: whether the payload needs the prefix C{stream}.
        """
        for request in list(self._open.values()):
            if request.responder is None:
                self._answer(request, b"", now)
            else:
                self._answer(request, payload, now, _STREAM if streamPrefix else b"")
                return

    def release(self, now: float, slack: float = 0.0) -> None:
        """
        Answer the requests that must not wait any longer, although there is nothing to say.

        @param slack: seconds by which that may be too early.
        """
        polls, pauses = self.terms.polls, False
        hold = 0 if polls else self.terms.hold
        if any(request.isPause and request.body.rid <= self._handled for request in self._open.values()):
            hold, pauses = 0, True
        for request in list(self._open.values()):
            if request.body.rid > self._handled:
                return
            late = request.responder is not None and now - request.arrived + slack >= self.terms.wait
            reports = self._report is not None and request.responder is not None
            if len(self._open) <= hold and not (late or reports or request.body.rid == self._first):
                return
            self._answer(request, b"", now)
        if pauses:
            self._idleSince = now

    @property
    def _first(self) -> int:
        """The ID of the request that creates the session, until it is answered; then 0."""
        return next(iter(self._open)) if self._creation else 0

    def _answer(self, request: _Request, payload: bytes, now: float, declarations: bytes = b"") -> None:
        rid = request.body.rid
        attributes = ""
        if self._creation:
            attributes, self._creation = self._creation, ""
        elif self.terms.acks and self.received != rid:
            attributes = f" ack='{self.received}'"
        if self._report is not None and request.responder is not None:
            missed = self._kept.get(self._report)
            if missed is not None:
                attributes += f" report='{self._report}' time='{round((now - missed.time) * 1000)}'"
            self._report = None
        data = renderBody(attributes, payload, declarations)
        self._close(request, data, now)
        self._answeredEmpty = not payload
        if payload:
            self.isConfirmed = False

    def _close(self, request: _Request, data: bytes, now: float) -> None:
        """Send an answer, and keep it."""
        rid = request.body.rid
        del self._open[rid]
        self._kept[rid] = _Answer(data, request, now)
        self._forget()
        self._respond(request.responder, data)
        if not self.isWaited:
            self._idleSince = now

    def _forget(self) -> None:
        """Forget the answers that are too old, or too much; those to pauses do not count (§14.3)."""
        requests = self.terms.requests
        most = KEPT if self.terms.acks else requests
        size = count = 0
        for rid in sorted(self._kept, reverse=True):
            answer = self._kept[rid]
            size += len(answer.data)
            count += not answer.isPause
            if count > most or (size > KEPT_SIZE and count > requests) or len(self._kept) > 2 * KEPT:
                del self._kept[rid]

    @property
    def keptSize(self) -> int:
        """Bytes of the answers that are kept."""
        return sum(len(answer.data) for answer in self._kept.values())

    def _respond(self, responder: IResponder | None, data: bytes, code: int = 200) -> None:
        if responder is not None:
            responder.respond(data, self.terms.content, code if self.terms.version is None else 200)

    # The end

    def terminate(self, condition: str | None, payload: bytes, now: float, code: int = 200) -> None:
        """
        End the session. The first request that waits is told (§13), or the next one.

        @param condition: the error, if any.
        @param payload: what is left to say.
        @param code: the status code for clients without C{ver}.
        """
        farewell: bytes | None = renderTermination(condition, payload)
        for request in [*self._open.values(), *self._early.values()]:
            if request.responder is not None and farewell is not None:
                self._respond(request.responder, farewell, code)
                farewell = None
            else:
                self._respond(request.responder, renderBody(""))
        self._open, self._early, self._kept = {}, {}, {}
        self._idleSince = now
        if farewell is None:
            self._tellEnd()
        else:
            self._farewell = farewell, code

    def _tellEnd(self) -> None:
        """Note that the client was told. From now on the session does not exist for it."""
        self.ended = True
        self._farewell = renderTermination("item-not-found"), CODES["item-not-found"]

    # Times

    def isExpired(self, now: float) -> bool:
        """Whether the client was inactive for too long (§10)."""
        return not self.isWaited and now - self._idleSince >= self._patience

    @property
    def _patience(self) -> int:
        return self.terms.inactivity if self._pause is None else self._pause

    def nextTimeout(self, now: float) -> float:
        """Seconds until L{release} or L{isExpired} may have something to do."""
        waiting = [request.arrived for request in self._open.values() if request.responder is not None]
        if waiting:
            return max(0.0, min(waiting) + self.terms.wait - now)
        return max(0.0, self._idleSince + self._patience - now)
