# -*- test-case-name: tests.muc.model.test_changequeue -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The queue of stanzas that wait while a change of a room is being committed.

Committing takes time, during which stanzas arrive. Other changes wait, so that each is planned on the result of the one
before; so do further stanzas of senders who wait already, which keeps the order of each sender's stanzas (RFC 6120
§10.1). All other stanzas are handled at once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred

from muccore.xmpp.errors import StanzaError

LIMIT: Final = 10_000
"""Maximum number of waiting stanzas of a room."""


class ChangeQueue:
    """The change queue of one room. While a change is being committed, C{changing} is set."""

    __slots__ = ("_draining", "_queue", "_senders", "changing")

    def __init__(self) -> None:
        self.changing = False
        self._draining = False
        self._queue: deque[tuple[str, Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = deque()
        self._senders: Counter[str] = Counter()

    def isQueued(self, sender: str) -> bool:
        """Whether a stanza has to wait because earlier ones of its sender do. Ask only while C{changing}."""
        return sender in self._senders

    def senders(self) -> list[str]:
        """Whose stanzas wait or are being committed, by full JID."""
        return list(self._senders)

    def enqueue(self, sender: str, refusable: bool, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        Call a function once everything before it is done.

        @param refusable: whether it may be refused; leaving never is.
        @return: fires with the function's result.
        @raise StanzaError: C{resource-constraint} if too many stanzas wait.
        """
        if refusable and len(self._queue) >= LIMIT:
            raise StanzaError("resource-constraint", text="The room is too busy; try again later.")
        waiting: Deferred[Any] = Deferred()
        self._queue.append((sender, waiting, call, args))
        self._senders[sender] += 1
        return waiting

    def beginChange(self, sender: str, until: Deferred[Any]) -> Deferred[Any]:
        """
        Queue stanzas until a change is committed.

        @param sender: who caused the change.
        @param until: fires once it is committed or has failed. Callbacks that it has already run before the queue is
            released; those added later run afterwards, and get neither result nor failure.
        @return: fires with the result or the failure before the queue is released: the sender gets the answer before
            those of queued stanzas (RFC 6120 §10.1).
        """
        assert not self.changing, "one change at a time"
        self.changing = True
        self._senders[sender] += 1
        answer: Deferred[Any] = Deferred()

        def release(result: Any) -> None:
            # A failure makes it fail.
            answer.callback(result)
            self._forget(sender)
            self.changing = False
            self._drain()

        until.addBoth(release)
        return answer

    def _forget(self, sender: str) -> None:
        self._senders[sender] -= 1
        if not self._senders[sender]:
            del self._senders[sender]

    def _drain(self) -> None:
        if self._draining:
            # A change that was committed at once released the queue within the loop below, which goes on.
            return
        self._draining = True
        try:
            while self._queue and not self.changing:
                sender, waiting, call, args = self._queue.popleft()
                self._forget(sender)
                maybeDeferred(call, *args).chainDeferred(waiting)
        finally:
            self._draining = False
