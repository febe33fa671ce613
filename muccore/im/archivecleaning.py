# -*- test-case-name: tests.im.test_archivecleaning -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Deletes from the archives of users what is too old, or more than one may have; always the oldest (XEP-0313 §3.2)."""

from __future__ import annotations

from collections import Counter
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from muccore.interfaces import IArchiveStore, IUserDomain
from muccore.log.logger import Logger
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.jid import parse

INTERVAL: Final = 6 * 3600
"""Seconds between two looks at all archives."""

FIRST: Final = 300
"""Seconds until the first one."""

SHARE: Final = 10
"""What part of the limit an archive may exceed it by meanwhile."""

_AT_ONCE: Final = 100


class ArchiveCleaning:
    """
    Looks at all archives of a domain now and then, and at one that grows fast in between.

    @ivar retention: how long messages are kept, in seconds; 0: for ever.
    @ivar limit: how many messages an archive may have; 0: any number.
    """

    _log = Logger()

    def __init__(self, store: IArchiveStore, retention: float, limit: int) -> None:
        self.retention = retention
        self.limit = limit
        self._store = store
        # By account, what was appended since its archive was looked at.
        self._appended: Counter[str] = Counter()
        self._timer: IDelayedCall | None = None

    def start(self, domain: IUserDomain) -> None:
        """Begin."""
        self._domain = domain
        self._timer = domain.clock.callLater(FIRST, self._cleanAll)

    def stop(self) -> None:
        """End; what is being deleted is finished by the store."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def appended(self, account: str) -> None:
        """Note that something was appended."""
        if self.limit:
            self._appended[account] += 1
            if self._appended[account] > self.limit // SHARE:
                del self._appended[account]
                self._store.trim(account, self.limit).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.error("cannot delete old messages of users: {error}", error=failure.getErrorMessage())

    def _cleanAll(self) -> None:
        def done(result: object) -> None:
            if isinstance(result, Failure):
                self._failed(result)
            if self._timer is not None:
                self._timer = self._domain.clock.callLater(INTERVAL, self._cleanAll)

        Deferred.fromCoroutine(self._clean()).addBoth(done)

    async def _clean(self) -> None:
        """Go through the archives of this domain, one after the other."""
        self._appended.clear()
        last = ""
        while names := await self._store.names(last, _AT_ONCE):
            for name in names:
                if self._timer is None:
                    return
                if parse(name).domain == self._domain.name:
                    await self._cleanOne(name)
            last = names[-1]

    async def _cleanOne(self, name: str) -> None:
        if self.retention:
            await self._store.expire(name, round((self._domain.now() - self.retention) * MICROSECONDS))
        if self.limit:
            await self._store.trim(name, self.limit)
