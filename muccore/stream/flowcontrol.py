# -*- test-case-name: tests.stream.test_flowcontrol,tests.stream.test_c2s -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Flow control of the input of streams: when it is read and handled.

Theory of operation. A stream handles its input at once unless one of these makes it wait, with what is parsed kept in
order, and reading paused so that nothing piles up:

  - Credentials are being checked (L{FlowControl.pauseParsing}). Reading goes on: otherwise a lost connection would go
    unnoticed, and its check would delay those of others.
  - It is I{held} (L{FlowControl.hold}) until it has paid: for its input (L{InputRate}), or for what that has caused
    (L{FlowControl.charge}).
  - Its client is I{congested}: it has much to read first (L{muccore.stream.outboxwatch}). It is then held in the same
    way, without an end in advance.
  - The time of this reactor turn is used up, which all streams share (L{InputQueue}). It is then held until the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from muccore.interfaces import ISession
from muccore.log.eventlog import CLIENT_THROTTLED
from muccore.net.flush import FlushScheduler
from muccore.net.limits import TokenBucket
from muccore.stream.parser.events import CLOSED, Event
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError

if TYPE_CHECKING:
    from muccore.stream.factory import C2SFactory
    from muccore.stream.negotiation import Negotiation

TIME_SLICE: Final = 0.005
"""
Seconds in a reactor turn for the input of all streams of a factory. When they are over, each handles one more stanza.
"""

PIPELINE_LIMIT: Final = 64 * 1024
"""Bytes that a client may send while its credentials are checked."""

SENT_WEIGHT: Final = 1 / 32
"""How much a byte sent to others because of a client counts for its address, where a byte received counts 1."""

PAYABLE: Final = 4096
"""Bytes of input that are paid for at once; fewer, if that is more than a 16th of a second of the rate."""

SMALL: Final = 1024
"""Bytes of input that are handled at once even if the slice is used up; most stanzas are smaller."""

THROTTLE_LOG_INTERVAL: Final = 60
"""Ticks without throttling after which throttling a client is logged again."""

_SKIPPED: Final = 8
"""Turns for which those who are held wait for the last flush."""

_TOGETHER: Final = 0.002
"""Seconds by which a stream may go on too early, together with others."""


class InputQueue:
    """
    The streams that are held, and the time that the input of all streams may take in a reactor turn.

    What is due at about the same time is handled in one call, and so its output is flushed together. What does not fit
    into the slice waits for the next turn, in the order in which it became due.

    @ivar until: when the slice of this turn is over.
    @ivar used: whether it is known to be used up.
    """

    __slots__ = ("_clock", "_heap", "_held", "_number", "_running", "_skipped", "_timer", "until", "used")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # Time, number, and an entry with the stream, which is emptied once it is not held any more.
        self._heap: list[tuple[float, int, list[FlowControl]]] = []
        self._held = self._number = self._skipped = 0
        self._running = False
        self._timer: IDelayedCall | None = None
        self.until = -math.inf
        self.used = False

    def begin(self, now: float) -> float:
        """The time until which input that arrives now may be handled in this turn."""
        # Unless it is known to be used up, a slice that is over was that of an earlier turn.
        if not (self.used and self._held) and (now > self.until or self.until > now + TIME_SLICE):
            self.until = now + TIME_SLICE
            self.used = False
        return self.until

    def hold(self, stream: FlowControl, until: float) -> list[FlowControl]:
        """Let a stream go on at a time; return its entry, for L{release}."""
        entry = [stream]
        self._number += 1
        self._held += 1
        heappush(self._heap, (until, self._number, entry))
        self._schedule()
        return entry

    def release(self, entry: list[FlowControl]) -> None:
        """Hold a stream no more: it has ended, or is held until another time."""
        entry.clear()
        self._held -= 1
        if not self._held:
            self._heap.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _schedule(self) -> None:
        if self._running or not self._held:
            return
        heap = self._heap
        while not heap[0][2]:
            heappop(heap)
        due = heap[0][0]
        delay = max(0.0, due - self._clock.seconds())
        if self._timer is None:
            self._timer = self._clock.callLater(delay, self._run)
        elif self._timer.getTime() > due:
            self._timer.reset(delay)

    def _run(self) -> None:
        """Let go on what is due, until the slice is used up."""
        clock, self._timer = self._clock, None
        if isinstance(clock, FlushScheduler) and clock.behind and self._skipped < _SKIPPED:
            # What was written leaves first: more would only lengthen the way of everything else.
            self._skipped += 1
            self.used = True
            self._timer = clock.callLater(0, self._run)
            return
        self._running, self.used, self._skipped = True, False, 0
        seconds, heap = clock.seconds, self._heap
        now = seconds()
        self.until = now + TIME_SLICE
        while heap and heap[0][0] <= now + _TOGETHER and not self.used:
            entry = heappop(heap)[2]
            if entry:
                self._held -= 1
                entry.pop().goOn()
                self.used = self.used or seconds() > self.until
        self._running = False
        self._schedule()


class InputRate:
    """
    What a stream pays for its input: bytes, and stanzas.

    @ivar owed: what has not been paid for yet, in bytes.
    @ivar payable: what has to be owed to be paid for: most stanzas are only counted.
    @ivar stanzaCost: what a stanza costs besides its bytes.
    @ivar encrypted: whether bytes are counted before they are decrypted.
    """

    __slots__ = ("_address", "_own", "encrypted", "owed", "payable", "stanzaCost")

    def __init__(self, own: TokenBucket | None, address: TokenBucket | None, payable: float, stanzaCost: int) -> None:
        """@param own: its own bucket, and C{address} that of its address; C{None} for none."""
        self._own = own
        self._address = address
        self.payable = payable
        self.stanzaCost = stanzaCost
        self.owed = 0
        self.encrypted = False

    def pay(self) -> float:
        """Pay what is owed; return the seconds until the stream is out of debt."""
        owed, self.owed = self.owed, 0
        own, address = self._own, self._address
        delay = 0.0 if own is None else own.take(owed)
        return delay if address is None else max(delay, address.take(owed))

    def payFrom(self, bucket: TokenBucket | None) -> None:
        """Pay from another bucket only, from now on; C{None}: nothing."""
        self._own, self._address = bucket, None

    def paySent(self, sent: int) -> float:
        """Pay for bytes sent to others; return the seconds until the address is out of debt."""
        return 0.0 if self._address is None else self._address.take(sent * SENT_WEIGHT)


class FlowControl:
    """The part of a stream that reads and handles its input."""

    if not TYPE_CHECKING:
        # Those of the stream. mypy would not let this assign them.
        __slots__ = ()
    else:
        factory: C2SFactory
        session: ISession | None
        transport: Any
        _congested: bool
        _ended: bool
        _events: Iterator[Event] | None
        _held: list[FlowControl] | None
        _heldUntil: float
        _host: str
        _lastReceived: int
        _negotiation: Negotiation | None
        _parser: Any
        _parsingPaused: bool
        _rate: InputRate | None
        _throttledUntil: int
        _boundReceived: Callable[[ISession, Element], None]
        _finish: Callable[..., None]
        _user: Callable[[], str]
        internalError: Callable[[Failure], None]

    @property
    def isHeld(self) -> bool:
        """Whether nothing more is handled or read for now."""
        return self._held is not None or self._congested

    def dataReceived(self, data: bytes) -> None:
        """Handle what the client sends."""
        if self.session is not None:
            self._lastReceived = self.factory.wheel.tick
        rate = self._rate
        if rate is not None and not rate.encrypted:
            rate.owed += len(data)
        if self._parsingPaused or self.isHeld:
            ahead = self._parser.buffer(data)
            if ahead > PIPELINE_LIMIT and self.session is None:
                self._finish(StreamError("policy-violation", "Too much data before the end of the log-in."))
        elif len(data) > SMALL and self.factory.queue.used and self.session is not None:
            self._parser.buffer(data)
            self.hold(0)
        else:
            self._handle(self._parser.feed(data))

    def countEncrypted(self, size: int) -> None:
        """Count bytes that are about to be decrypted. They may contain nothing."""
        rate = self._rate
        if rate is not None and not self._ended:
            rate.encrypted = True
            rate.owed += size
            if rate.owed >= rate.payable:
                self._throttle(rate.pay())

    def _handle(self, events: Iterator[Event]) -> None:
        factory, rate = self.factory, self._rate
        seconds = factory.clock.seconds
        now, until = seconds(), factory.queue.until
        if now > until:
            until = factory.queue.begin(now)
        try:
            for event in events:
                session = self.session
                if event is CLOSED:
                    self._finish(None, clean=True)
                    continue
                if session is not None:
                    self._boundReceived(session, cast(Element, event))
                else:
                    cast("Negotiation", self._negotiation).received(cast(Element, event))
                    if self._parsingPaused:
                        # What follows is parsed later: it may belong to another stream.
                        return
                if rate is not None:
                    rate.owed += rate.stanzaCost
                    if rate.owed >= rate.payable:
                        self._throttle(rate.pay())
                if self.isHeld or (session is not None and seconds() > until):
                    if self._ended:
                        # What is left are control frames of WebSocket, if anything.
                        continue
                    if not self.isHeld:
                        following = next(events, None)
                        if following is None or self._ended:
                            # Nothing is left to wait: who has sent one stanza must not queue up for the next one.
                            break
                        events = chain((following,), events)
                        factory.queue.used = True
                        self.hold(0)
                    self._events = events
                    return
        except StreamError as e:
            self._finish(e)
        except Exception:
            self.internalError(Failure())
        else:
            if rate is not None and rate.owed >= rate.payable:
                self._throttle(rate.pay())

    # Waiting

    def hold(self, delay: float) -> None:
        """Handle nothing more for a time, and read nothing either."""
        if self._ended:
            return
        queue = self.factory.queue
        until = self.factory.clock.seconds() + delay
        if self._held is None:
            self._held, self._heldUntil = queue.hold(self, until), until
            self._updateReading()
        elif until > self._heldUntil:
            # In this order, so that the timer stays.
            held, self._held = self._held, queue.hold(self, until)
            self._heldUntil = until
            queue.release(held)

    def goOn(self) -> None:
        """Go on after having been held. For L{InputQueue}."""
        self._held = None
        if self.session is not None:
            # A client that had to wait may have answered what it was asked meanwhile.
            self._lastReceived = self.factory.wheel.tick
        if not self._parsingPaused and not self._congested:
            events, self._events = self._events, None
            self._handle(self._parser.feed(b"") if events is None else events)
        self._updateReading()

    def stopHolding(self) -> None:
        """Drop what waits to be handled."""
        held, self._held, self._events = self._held, None, None
        if held is not None:
            self.factory.queue.release(held)

    def charge(self, sent: int, delay: float) -> None:
        """See L{IStream.charge<muccore.interfaces.IStream.charge>}."""
        if self._rate is not None:
            delay = max(delay, self._rate.paySent(sent))
        if delay:
            self.hold(delay)

    def _throttle(self, delay: float) -> None:
        """Hold the stream because it sends too much."""
        if not delay:
            return
        tick = self.factory.wheel.tick
        if tick - self._throttledUntil >= THROTTLE_LOG_INTERVAL:
            CLIENT_THROTTLED.log(self._host, rate=self.factory.settings.rate, jid=self._user())
        self._throttledUntil = tick
        self.hold(delay)

    def pauseParsing(self) -> None:
        """See L{muccore.stream.states.INegotiationHost.pauseParsing}."""
        if not self._ended:
            self._parsingPaused = True
            self._updateReading()

    def resumeParsing(self) -> None:
        """See L{muccore.stream.states.INegotiationHost.resumeParsing}."""
        if self._parsingPaused:
            self._parsingPaused = False
            self._updateReading()
            if not self.isHeld:
                self._handle(self._parser.feed(b""))

    def _updateReading(self) -> None:
        """Pause or resume reading."""
        if self._ended:
            return
        if self.isHeld or (self._parsingPaused and self.session is not None):
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()
