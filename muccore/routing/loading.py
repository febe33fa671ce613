# -*- test-case-name: tests.routing.test_loading -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What handlers read from stores at the start, again and again until the store can be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from muccore.interfaces import StoreError, StoreUnavailable
from muccore.log.logger import Logger

FIRST_PAUSE: Final = 1.0
"""Seconds until the second try; it doubles each time."""

LONGEST_PAUSE: Final = 15.0
"""Seconds between tries at most."""

_log: Final = Logger()


class Loader:
    """What is being loaded."""

    def __init__(self, clock: Any) -> None:
        """@param clock: an C{IReactorTime}."""
        self._clock = clock
        self._loading: set[Deferred[None]] = set()

    def load(self, what: str, work: Callable[[], Awaitable[object]]) -> Deferred[None]:
        """
        Do what reads a store and takes what it has read, and repeat it while it fails with L{StoreUnavailable}.

        @param what: what the log calls it.
        @return: fires after the first try, whatever comes of it. Failures are logged.
        """
        tried: Deferred[None] = Deferred()
        loading = Deferred.fromCoroutine(self._load(what, work, tried))
        self._loading.add(loading)
        loading.addBoth(self._done, loading, tried, what)
        return tried

    async def _load(self, what: str, work: Callable[[], Awaitable[object]], tried: Deferred[None]) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await work()
            except StoreUnavailable as e:
                if not tried.called:
                    _log.error("{what} cannot be read, which is tried again: {error}", what=what, error=str(e))
            else:
                if tried.called:
                    _log.info("{what} could be read now", what=what)
                return
            if not tried.called:
                tried.callback(None)
            await deferLater(self._clock, pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _done(self, failure: Any, loading: Deferred[None], tried: Deferred[None], what: str) -> None:
        self._loading.discard(loading)
        if failure is not None and failure.check(CancelledError) is None:
            if failure.check(StoreError):
                _log.error("{what} cannot be read: {error}", what=what, error=failure.getErrorMessage())
            else:
                _log.failure("{what} cannot be read", failure, what=what)
        if not tried.called:
            tried.callback(None)

    def stop(self) -> None:
        """Try no more."""
        for loading in list(self._loading):
            loading.cancel()
