# -*- test-case-name: tests.session.test_endings -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The ends of sessions, as their domains are told of them: some in each turn of the reactor.

A session that ends is at once without a stream and out of the registry: from then on nothing is written to a dead
connection. That others are told of it waits for a later turn. So when thousands hang up together, each leave is told
only to those who are still there, and everybody else is served in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

if TYPE_CHECKING:
    from muccore.session.session import Session

TIME_SLICE: Final = 0.01
"""Seconds of one turn; the rest waits for the next one."""

CROWD: Final = 16
"""Sessions that end between two turns when more are expected to follow: a crowd whose connections end together."""

PATIENCE: Final = 20
"""Turns for which all wait while a crowd ends, so that its first leaves are not told to the rest of it."""


class Endings:
    """The sessions of whose end their domains have yet to be told, oldest first."""

    def __init__(self, clock: IReactorTime, monotonic: Callable[[], float] = perf_counter) -> None:
        """@param monotonic: returns a time that passes within a turn, in seconds."""
        self._clock = clock
        self._monotonic = monotonic
        self._waiting: dict[str, Session] = {}
        # The number of those of each account.
        self._accounts: Counter[str] = Counter()
        self._call: IDelayedCall | None = None
        self._new = 0
        self._patience = PATIENCE

    def __len__(self) -> int:
        """Count them."""
        return len(self._waiting)

    def isWaiting(self, account: str) -> bool:
        """Whether there is one of an account, a bare JID."""
        return account in self._accounts

    def add(self, session: Session) -> None:
        """Tell the domain of a session that has ended, in a later turn; C{finish} must precede one of the same JID."""
        self._waiting[session.fullText] = session
        self._accounts[session.account.bare] += 1
        self._new += 1
        if self._call is None:
            self._patience = PATIENCE
            self._call = self._clock.callLater(0, self._run)

    def finish(self, full: str) -> None:
        """Tell the domain now of the session with a full JID, if it waits: another session is to have that."""
        session = self._waiting.pop(full, None)
        if session is not None:
            account = session.account.bare
            self._accounts[account] -= 1
            if not self._accounts[account]:
                del self._accounts[account]
            session.tellEnd()
            if not self._waiting and self._call is not None:
                self._call.cancel()
                self._call = None

    def finishAll(self) -> None:
        """Tell of all now: the server stops."""
        while self._waiting:
            self.finish(next(iter(self._waiting)))

    def _run(self) -> None:
        self._call = None
        crowded, self._new = self._new > CROWD, 0
        if crowded and self._patience:
            self._patience -= 1
        else:
            until = self._monotonic() + TIME_SLICE
            while self._waiting:
                self.finish(next(iter(self._waiting)))
                if self._monotonic() > until:
                    break
        if self._waiting and self._call is None:
            self._call = self._clock.callLater(0, self._run)
