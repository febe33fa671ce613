# -*- test-case-name: tests.session.test_streammanagement -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Stream management (XEP-0198) of one session: what its client has been sent and has not acknowledged, the counters, and
requests for acknowledgements.

It stands between the session and its stream, so that the queue outlives the stream. Without a stream, stanzas are kept
until another one is attached. The nonzas are in L{muccore.stream.streammanagement}.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from muccore.interfaces import IStream, IStreamManagement
from muccore.xmpp import carbons, ns
from muccore.xmpp.datetimes import timeOfDay
from muccore.xmpp.delays import withDelay
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered

REQUEST_AFTER: Final = 100
"""Unacknowledged presences and messages of rooms after which an acknowledgement is requested at once."""

ACK_TIMEOUT: Final = 60
"""Ticks after which a client that has not acknowledged anything, and has sent nothing else, is disconnected."""

MARKS: Final = 100
"""The latest times that are remembered, between which stanzas of one queue were sent."""

_MASK: Final = 2**32 - 1
_REQUEST: Final = f"<r xmlns='{ns.STREAM_MANAGEMENT}'/>".encode()

Times = tuple[float, float]
"""When a stanza was sent at the earliest, and when it was delayed, in seconds since the epoch."""

Entry = tuple[int, Rendered, bytes, Times | None]
"""A stanza: its number, from 1, itself, its rendered C{to}, and its times if it was delayed."""


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

    An acknowledgement of what goes elsewhere if the client does not get it is requested at once: many clients log out
    without acknowledging what they have shown. That of the rest, of which rooms send much, can wait.

    Above its limits, while there is a stream, the oldest presences and messages of rooms are forgotten: a room of
    thousands exceeds any limit when it is entered. If that is not enough, and without a stream, it overflows.

    @ivar lostAt: when its stream was lost, in seconds since the epoch.
    @ivar held: told of messages that are kept for the next stream.
    @ivar delivered: called with the tags of stanzas that were to be tracked, when they are acknowledged.
    """

    __slots__ = (
        "_acknowledged", "_domain", "_emptyAt", "_forgotten", "_marks", "_now", "_overflowed", "_overflowing",
        "_queue", "_requested", "_requestedAt", "_sent", "_settings", "_size", "_stream", "_tracked", "delivered",
        "handled", "held", "holdTime", "id", "lostAt",
    )  # fmt: skip

    def __init__(
        self,
        clock: IReactorTime,
        settings: ManagementSettings,
        domain: str,
        stream: IStream | None,
        overflowed: Callable[[], None],
        id: str | None = None,
        holdTime: float = 0,
    ) -> None:
        """
        @param domain: the domain of the account, which delays stanzas.
        @param stream: C{None} if it waits for one.
        @param overflowed: called once when the queue overflows.
        """
        self.id = id
        self.holdTime = holdTime
        self.handled = 0
        self.lostAt = 0.0
        self.delivered: Callable[[Sequence[str]], None] = _ignore
        self.held: Callable[[Rendered], None] = _ignore
        self._now = timeOfDay(clock)
        self._domain = domain
        self._stream = stream
        self._settings = settings
        self._overflowed = overflowed
        self._overflowing = False
        self._queue: deque[Entry] = deque()
        self._size = 0
        self._sent = 0
        self._acknowledged = 0
        # The numbers and tags of those of which somebody wants to know when they are acknowledged.
        self._tracked: deque[tuple[int, str]] | None = None
        # The number of the latest stanza that was forgotten.
        self._forgotten = 0
        self._emptyAt = self._now()
        # What was sent after the stanzas with these numbers was sent at these times at the earliest.
        self._marks: deque[tuple[int, float]] | None = None
        self._requested = False
        self._requestedAt = 0

    # Outgoing

    def send(self, stanza: Rendered, to: bytes) -> None:
        """Send a stanza, or keep it for the next stream; see L{IStream.send}."""
        stream, queue, settings = self._stream, self._queue, self._settings
        self._sent = number = self._sent + 1
        # The rest of a stanza is shared with others, or small; its element is large, and rarely asked for again.
        self._size += len(stanza.tail)
        stanza.parsed = None
        if stream is not None:
            queue.append((number, stanza, to, None))
            stream.send(stanza, to)
            personal = stanza.personal
            if personal is None:
                personal = stanza.isPersonal()
            if (personal or len(queue) >= REQUEST_AFTER) and not self._requested:
                self._request(stream)
        else:
            now = self._now()
            queue.append((number, stanza, to, (now, now)))
            if stanza.name == "message":
                self.held(stanza)
        if len(queue) > settings.queueStanzas or self._size > settings.queueBytes:
            self._exceeded()

    def sendTracked(self, stanza: Rendered, to: bytes, tag: str) -> None:
        """Send a stanza; see L{ISession.deliverTracked<muccore.interfaces.ISession.deliverTracked>}."""
        if self._tracked is None:
            self._tracked = deque()
        self._tracked.append((self._sent + 1, tag))
        self.send(stanza, to)

    def sendAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """Send several stanzas, or keep them for the next stream; see L{IStream.sendAll}."""
        stream, queue, settings = self._stream, self._queue, self._settings
        if stream is None:
            for stanza in stanzas:
                self.send(stanza, to)
            return
        for number, stanza in enumerate(stanzas, self._sent + 1):
            self._size += len(stanza.tail)
            stanza.parsed = None
            queue.append((number, stanza, to, None))
        self._sent += len(stanzas)
        stream.sendAll(stanzas, to)
        if not self._requested and (len(queue) >= REQUEST_AFTER or any(stanza.isPersonal() for stanza in stanzas)):
            self._request(stream)
        if len(queue) > settings.queueStanzas or self._size > settings.queueBytes:
            self._exceeded()

    def _exceeded(self) -> None:
        """Forget until the queue is not full any more, if there is a stream; otherwise it overflows."""
        if self._stream is not None:
            queue, self._queue = self._queue, deque()
            while queue and self.isFull(len(queue)):
                entry = queue.popleft()
                if _mayBeForgotten(entry[1]):
                    self._size -= len(entry[1].tail)
                    self._forgotten = entry[0]
                else:
                    self._queue.append(entry)
            self._queue.extend(queue)
        if self.isFull() and not self._overflowing:
            self._overflowing = True
            self._overflowed()

    def _request(self, stream: IStream) -> None:
        self._requested = True
        self._requestedAt = 0
        stream.sendNonza(_REQUEST)

    def moveTo(self, stream: IStream) -> None:
        """Send everything from now on on another stream."""
        self._stream = stream

    # IStreamManagement

    def acknowledge(self, handled: int) -> None:
        """See L{IStreamManagement.acknowledge}."""
        new = self._countNew(handled)
        self._acknowledged += new
        self._requested = self._overflowing = False
        queue = self._queue
        if self._acknowledged == self._sent:
            queue.clear()
            self._size = 0
            self._emptyAt = self._now()
            self._marks = None
        while queue and queue[0][0] <= self._acknowledged:
            self._size -= len(queue.popleft()[1].tail)
        if self._tracked:
            self._settle(self._tracked, new > 0)

    def _settle(self, tracked: deque[tuple[int, str]], again: bool) -> None:
        """
        Tell of tracked stanzas that are acknowledged now.

        @param again: whether to ask for the others at once. Otherwise that waits for L{checkAcknowledgements}: a client
            that has lost count would be asked without end.
        """
        tags = []
        while tracked and tracked[0][0] <= self._acknowledged:
            tags.append(tracked.popleft()[1])
        if tracked and again and self._stream is not None:
            self._request(self._stream)
        if tags:
            self.delivered(tags)

    def _countNew(self, handled: int) -> int:
        """Count what a client acknowledges for the first time; L{StreamError} if it was not sent as much."""
        count = (handled - self._acknowledged) & _MASK
        if count > self._sent - self._acknowledged:
            sent = self._sent & _MASK
            condition = Element((ns.STREAM_MANAGEMENT, "handled-count-too-high"))
            condition.attributes.update({"h": str(handled), "send-count": str(sent)})
            raise StreamError("undefined-condition", f"Acknowledged: {handled}, sent: {sent}.", condition)
        return count

    def checkAcknowledgements(self, tick: int, silence: int) -> bool:
        """See L{IStreamManagement.checkAcknowledgements}."""
        if not self._requested:
            if self._sent == self._acknowledged:
                self._emptyAt = self._now()
            elif self._stream is not None:
                self._request(self._stream)
                self._requestedAt = tick
        elif not self._requestedAt:
            self._requestedAt = tick
        else:
            return min(tick - self._requestedAt, silence) < ACK_TIMEOUT
        return True

    def mark(self) -> None:
        """See L{IStreamManagement.mark}."""
        now = self._now()
        # In the same instant as another mark, if the clock did not go on since: what was sent in between is not later.
        self._emptyAt = min(self._emptyAt, now)
        marks = deque(((number, min(when, now)) for number, when in self._marks or ()), MARKS)
        later = math.nextafter(now, math.inf)
        if not self._queue:
            self._emptyAt = later
        elif self._stream is not None:
            marks.append((self._sent, later))
            self._marks = marks

    def attach(self, stream: IStream) -> None:
        """See L{IStreamManagement.attach}."""
        self._stream = stream
        self._requested = self._overflowing = False
        for count, (stanza, to, _, _) in enumerate(self.unacknowledged(), 1):
            stream.send(stanza, to)
            if count % REQUEST_AFTER == 0:
                self._request(stream)
        if self._sent != self._acknowledged:
            self._request(stream)

    # For the session

    def detach(self) -> None:
        """Keep stanzas from now on: the stream was lost."""
        self._stream = None
        self.lostAt = self._now()
        times, marks = (self._emptyAt, self.lostAt), self._marks or deque()
        queue: deque[Entry] = deque()
        for entry in self._queue:
            while marks and marks[0][0] < entry[0]:
                times = (marks.popleft()[1], self.lostAt)
            queue.append(entry if entry[3] is not None else (*entry[:3], times))
        self._queue, self._marks = queue, None

    def mayResumeFrom(self, handled: int) -> bool:
        """Whether all is kept that a client has not handled. Raises as L{IStreamManagement.acknowledge}."""
        return self._acknowledged + self._countNew(handled) >= self._forgotten

    def isFull(self, more: int = 0) -> bool:
        """
        Whether the queue exceeds seven eighths of its limits. The rest saves to look too often for what to forget.

        @param more: stanzas to add to those in the queue.
        """
        count = len(self._queue) + more
        return count * 8 > self._settings.queueStanzas * 7 or self._size * 8 > self._settings.queueBytes * 7

    def unacknowledged(self) -> Iterator[tuple[Rendered, bytes, float, Rendered]]:
        """
        The stanzas that were not acknowledged, without a stream; messages have a delay stamp.

        @return: each with its C{to}, the time since the epoch at which it was sent at the earliest, and as it was sent:
            the same object if it had a stamp already.
        """
        for _, stanza, to, times in self._queue:
            earliest, delayed = times or (self._emptyAt, self.lostAt)
            yield withDelay(stanza, self._domain, delayed), to, earliest, stanza

    @property
    def tracked(self) -> list[str]:
        """The tags of tracked stanzas that are not acknowledged, in order."""
        return [tag for _, tag in self._tracked or ()]

    def withdrawTracked(self) -> list[str]:
        """Take the tracked stanzas that are not acknowledged out of the queue; return their tags, in order."""
        if not self._tracked:
            return []
        tracked, self._tracked = dict(self._tracked), None
        self._queue = deque(entry for entry in self._queue if entry[0] not in tracked)
        return list(tracked.values())

    def copies(self) -> dict[bytes, list[int]]:
        """The numbers of unacknowledged copies (XEP-0280), the latest first, by the tails of the messages inside."""
        found: dict[bytes, list[int]] = {}
        for number, stanza, _, _ in reversed(self._queue):
            if carbons.isCopy(stanza):
                found.setdefault(carbons.tailInside(stanza), []).append(number)
        return found

    def replace(self, numbers: Mapping[int, tuple[Rendered, bytes]]) -> None:
        """
        Have others in place of some stanzas: they are sent to the client if it resumes the session without them.

        @param numbers: by number, the others with their C{to}.
        """
        for index, (number, stanza, _, times) in enumerate(self._queue):
            if number in numbers:
                other, to = numbers[number]
                self._size += len(other.tail) - len(stanza.tail)
                self._queue[index] = number, other, to, times

    def __len__(self) -> int:
        """Count them."""
        return len(self._queue)

    # Over a restart

    def dump(self) -> dict[str, Any]:
        """The state without a stream, as JSON values."""
        return {
            "id": self.id,
            "holdTime": self.holdTime,
            "handled": self.handled,
            "lostAt": self.lostAt,
            "emptyAt": self._emptyAt,
            "sent": self._sent,
            "acknowledged": self._acknowledged,
            "forgotten": self._forgotten,
            "queue": [
                (number, stanza.head.decode(), stanza.tail.decode(), to.decode(), times)
                for number, stanza, to, times in self._queue
            ],
            "tracked": list(self._tracked or ()),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state of L{dump}; a failure means that it is none."""
        self.handled, self.lostAt = int(state["handled"]), float(state["lostAt"])
        self._emptyAt = float(state["emptyAt"])
        self._sent, self._acknowledged = int(state["sent"]), int(state["acknowledged"])
        self._forgotten = int(state["forgotten"])
        for number, head, tail, to, times in state["queue"]:
            earliest, delayed = times
            stanza = Rendered(head.encode(), tail.encode())
            self._queue.append((int(number), stanza, to.encode(), (float(earliest), float(delayed))))
            self._size += len(stanza.tail)
        # Older files have none.
        self._tracked = deque((int(number), str(tag)) for number, tag in state.get("tracked", ())) or None


def _ignore(told: object) -> None:
    """Nobody wants to know."""


def _mayBeForgotten(stanza: Rendered) -> bool:
    """Whether a stanza is of little use to anybody else, and to its recipient later."""
    return stanza.name == "presence" or (stanza.name == "message" and stanza.type == "groupchat")
