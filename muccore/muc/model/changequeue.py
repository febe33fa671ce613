# -*- test-case-name: tests.muc.model.test_changequeue -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The queue of stanzas that wait while changes of a room are being committed (docs/design/0018).

Committing takes time, during which stanzas arrive. A change waits for those that it depends on, so that it is planned
on their result; the others are committed together. A further stanza of a sender waits for their earlier ones, which
keeps the order of each sender's stanzas (RFC 6120 §10.1). All other stanzas are handled at once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred

from muccore.muc.model.accesslocks import WHOLE_ROOM, Access, AccessLocks, Order
from muccore.xmpp.errors import StanzaError

LIMIT: Final = 16 * 1024 * 1024
"""Bytes of memory that the waiting stanzas of a room take at most: some 9,000 small ones."""

_STANZA: Final = 1200
"""Bytes of what waits besides the stanza: its place in the queue, and how it is answered."""


class _Stanza:
    """
    A stanza that waits.

    @ivar order: its place: first those that are urgent, then by arrival.
    @ivar call: handles it.
    @ivar answer: fires with the result of that.
    @ivar size: the memory that all that takes, in bytes.
    """

    __slots__ = ("access", "answer", "call", "order", "sender", "size")

    def __init__(self, sender: str, access: Access, order: Order, call: Callable[[], Any], size: int) -> None:
        self.sender = sender
        self.access = access
        self.order = order
        self.call = call
        self.size = size
        self.answer: Deferred[Any] = Deferred()


class ChangeQueue:
    """
    The change queue of one room.

    @ivar changing: whether changes are being committed, or stanzas wait.
    """

    __slots__ = (
        "_begun", "_competing", "_draining", "_locks", "_numbers", "_ready", "_resumed", "_size", "_waiting",
        "changing",
    )  # fmt: skip

    def __init__(self) -> None:
        self.changing = False
        self._locks = AccessLocks()
        self._numbers = count()
        # Senders with changes that are being committed.
        self._begun: Counter[str] = Counter()
        # The stanzas of each sender, and their size. The first one of each who has not begun a change competes.
        self._waiting: dict[str, deque[_Stanza]] = {}
        self._size = 0
        self._competing: dict[Order, _Stanza] = {}
        # A heap of those that may be able to go on, and the one that does.
        self._ready: list[Order] = []
        self._resumed: _Stanza | None = None
        self._draining = False

    def isQueued(self, sender: str) -> bool:
        """Whether a stanza has to wait because earlier ones of its sender do. Ask only while C{changing}."""
        return (sender in self._begun or sender in self._waiting) and not self._isResumed(sender)

    def mustWait(self, sender: str, access: Access, urgent: bool = False) -> bool:
        """Whether a change has to wait for earlier stanzas of its sender, or others. Ask only while C{changing}."""
        return self.isQueued(sender) or not self._locks.mayHold(access, self._orderOf(sender, urgent))

    def senders(self) -> list[str]:
        """Whose stanzas wait or are being committed, by full JID."""
        return list(dict.fromkeys([*self._begun, *self._waiting]))

    def enqueue(
        self,
        sender: str,
        call: Callable[[], Any],
        access: Access = WHOLE_ROOM,
        urgent: bool = False,
        refusable: bool = True,
        size: int = 0,
    ) -> Deferred[Any]:
        """
        Call a function once there is nothing left that it has to wait for.

        @param access: what of the room it reads and writes.
        @param urgent: whether it goes before those of other senders that are not.
        @param refusable: whether it may be refused; leaving never is.
        @param size: the memory of the stanza, in bytes.
        @return: fires with the function's result.
        @raise StanzaError: C{resource-constraint} if too much waits. One stanza is never too large, nor is one refused
            that has waited already.
        """
        isResumed, size = self._isResumed(sender), _STANZA + size
        if refusable and self._size and self._size + size > LIMIT and not isResumed:
            raise StanzaError("resource-constraint", text="The room is too busy; try again later.")
        stanza = _Stanza(sender, access, self._orderOf(sender, urgent), call, size)
        queue = self._waiting.setdefault(sender, deque())
        if isResumed:
            # It has waited, but has to wait for something else by now.
            self._resumed = None
            queue.appendleft(stanza)
        else:
            queue.append(stanza)
        self._size += size
        self.changing = True
        self._competeNext(sender)
        return stanza.answer

    def beginChange(self, sender: str, until: Deferred[Any], access: Access = WHOLE_ROOM) -> Deferred[Any]:
        """
        Queue stanzas until a change is committed.

        @param sender: who caused the change.
        @param until: fires once it is committed or has failed. Callbacks that it has already run before the queue is
            released; those added later run afterwards, and get neither result nor failure.
        @param access: what of the room it reads and writes; it must not have to wait.
        @return: fires with the result or the failure before the queue is released: the sender gets the answer before
            those of queued stanzas (RFC 6120 §10.1).
        """
        self._locks.hold(access)
        self._begun[sender] += 1
        self.changing = True
        answer: Deferred[Any] = Deferred()

        def release(result: Any) -> None:
            # A failure makes it fail.
            answer.callback(result)
            self._begun[sender] -= 1
            if not self._begun[sender]:
                del self._begun[sender]
            self._awaken(self._locks.release(access))
            self._competeNext(sender)
            self._update()
            self._drain()

        until.addBoth(release)
        return answer

    def _isResumed(self, sender: str) -> bool:
        return self._resumed is not None and self._resumed.sender == sender

    def _orderOf(self, sender: str, urgent: bool) -> Order:
        """The place of a stanza that has arrived, or of one that has waited already."""
        resumed = self._resumed
        if resumed is not None and resumed.sender == sender:
            return resumed.order
        return not urgent, next(self._numbers)

    def _update(self) -> None:
        self.changing = bool(self._begun or self._waiting)

    def _awaken(self, orders: Iterable[Order]) -> None:
        for order in orders:
            heappush(self._ready, order)

    def _competeNext(self, sender: str) -> None:
        """Let the first waiting stanza of a sender compete for locks, unless something of theirs precedes it."""
        queue = self._waiting.get(sender)
        if queue and sender not in self._begun and queue[0].order not in self._competing:
            stanza = queue[0]
            self._competing[stanza.order] = stanza
            self._locks.wait(stanza.access, stanza.order)
            heappush(self._ready, stanza.order)

    def _drain(self) -> None:
        if self._draining:
            # A change that was committed at once released the queue within the loop below, which goes on.
            return
        self._draining = True
        try:
            while self._ready:
                order = heappop(self._ready)
                stanza = self._competing.get(order)
                if stanza is not None and self._locks.mayHold(stanza.access, order):
                    self._resume(stanza)
        finally:
            self._draining = False

    def _resume(self, stanza: _Stanza) -> None:
        """Handle a stanza that has waited."""
        sender, queue = stanza.sender, self._waiting[stanza.sender]
        queue.popleft()
        if not queue:
            del self._waiting[sender]
        self._size -= stanza.size
        del self._competing[stanza.order]
        self._awaken(self._locks.endWait(stanza.access, stanza.order))
        self._update()
        self._resumed = stanza
        try:
            maybeDeferred(stanza.call).chainDeferred(stanza.answer)
        finally:
            self._resumed = None
        self._competeNext(sender)
