# -*- test-case-name: tests.muc.model.test_changequeue -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What must wait while a change of a room is being made durable.

A change is announced when it is on disk, and that takes a moment in which the world goes on. While it lasts the gate
is closed: for other changes, so that each is decided on what the one before has left, and for all that comes from
those who wait already, so that one sender's stanzas are handled in the order in which they were sent (RFC 6120
§10.1). Everyone else goes on talking, and may enter.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from muccore.xmpp.errors import StanzaError

LIMIT: Final = 10_000
"""How many stanzas may wait at one gate."""


class ChangeQueue:
    """
    The gate of one room.

    @ivar changing: whether a change is on its way to the disk.
    """

    __slots__ = ("_draining", "_queue", "_senders", "changing")

    def __init__(self) -> None:
        self.changing = False
        self._draining = False
        self._queue: deque[tuple[str, Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = deque()
        self._senders: Counter[str] = Counter()

    def isQueued(self, sender: str) -> bool:
        """Whether what comes from a sender has to wait behind something of his. Ask only while the gate is closed."""
        return sender in self._senders

    def enqueue(self, sender: str, refusable: bool, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        Call later, when everything that came before is done.

        @param refusable: whether it may be refused; who leaves never is.
        @return: fires with what the call returns.
        @raise StanzaError: C{resource-constraint} if too many wait already.
        """
        if refusable and len(self._queue) >= LIMIT:
            raise StanzaError("resource-constraint", text="The room is too busy; try again later.")
        waiting: Deferred[Any] = Deferred()
        self._queue.append((sender, waiting, call, args))
        self._senders[sender] += 1
        return waiting

    def beginChange(self, sender: str, until: Deferred[Any]) -> Deferred[Any]:
        """
        Close the gate until something has happened.

        @param sender: who caused it.
        @param until: fires when it has happened or failed. Callbacks that it has by then run while the gate is
            closed; those that it gets later run when the gate has opened, and see neither result nor failure.
        @return: fires with the result or the failure before the gate opens: C{sender} has his answer before those to
            whatever waits (RFC 6120 §10.1).
        """
        assert not self.changing, "one change at a time"
        self.changing = True
        self._senders[sender] += 1
        answer: Deferred[Any] = Deferred()

        def open(result: Any) -> None:
            if isinstance(result, Failure):
                answer.errback(result)
            else:
                answer.callback(result)
            self._forget(sender)
            self.changing = False
            self._drain()

        until.addBoth(open)
        return answer

    def _forget(self, sender: str) -> None:
        self._senders[sender] -= 1
        if not self._senders[sender]:
            del self._senders[sender]

    def _drain(self) -> None:
        if self._draining:
            # A change that was durable at once has opened the gate again inside the loop below, which goes on.
            return
        self._draining = True
        try:
            while self._queue and not self.changing:
                sender, waiting, call, args = self._queue.popleft()
                self._forget(sender)
                maybeDeferred(call, *args).chainDeferred(waiting)
        finally:
            self._draining = False
