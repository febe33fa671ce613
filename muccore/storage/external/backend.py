# -*- test-case-name: tests.storage.external.test_backend -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A base class for backends that ask somebody else about accounts.

They have no SCRAM keys, so clients log in with PLAIN, under TLS. Passwords are neither kept nor logged. What cannot be
answered is no refusal: the request fails with L{StoreUnavailable}, and the client is told C{temporary-auth-failure}.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from muccore.interfaces import IAuthBackend, StoreUnavailable
from muccore.log.eventlog import limit
from muccore.log.logger import Logger
from muccore.xmpp.scramkeys import ScramKeys, saslprep

OUTSTANDING_LIMIT: Final = 1000
"""Requests that are not answered yet; more fail at once."""

REFUSAL_STEP: Final = 0.25
"""Seconds: a password is refused a multiple of this after it was sent, lest the time tell whether there is a user."""

CACHE_TIME: Final = 60.0
"""Seconds for which it is remembered whether there is an account. Passwords are not remembered."""

CACHE_SIZE: Final = 10_000
"""Accounts of which that is remembered; the oldest are forgotten first."""

SLOW: Final = 2.0
"""Seconds after which a failure is a slow one, during which other checks may have waited."""

SLOW_LIMIT: Final = 3
"""Slow failures without an answer in between, after which nothing is asked for a while."""

LONGEST_PAUSE: Final = 32.0
"""Seconds of the longest while; the first one is a second, and the next ones twice as long each."""

PASSWORD_LIMIT: Final = 4096
"""Bytes of a password in UTF-8."""

_UNSAFE: Final = frozenset(":\0\r\n")
"""Characters that separate fields elsewhere. No prepared name has them, and no domain but an IPv6 address."""

_log: Final = Logger()


@implementer(IAuthBackend)
class ExternalAuth(ABC):
    """
    Accounts elsewhere. A subclass asks; it may be asked for several accounts at a time.

    @ivar place: what is asked, for log lines and errors; without secrets.
    """

    hashes: frozenset[str] = frozenset()
    loopbackOnly = False

    def __init__(self, place: str, clock: IReactorTime) -> None:
        self.place = place
        self._clock = clock
        self._isOpen = False
        self._isUp = True
        self._slow = 0
        self._pausedUntil = 0.0
        self._outstanding: set[Deferred[Any]] = set()
        # Whether there is an account, and until when that is remembered; the oldest first.
        self._known: dict[str, tuple[bool, float]] = {}

    # For subclasses to implement

    @abstractmethod
    async def _check(self, user: str, host: str, password: str) -> bool:
        """
        Check a password, which is not empty.

        @raise StoreUnavailable: if it cannot be checked; the reason without place.
        """

    @abstractmethod
    async def _exists(self, user: str, host: str) -> bool:
        """Find out whether there is an account; raises as L{_check}."""

    @abstractmethod
    async def _begin(self) -> None:
        """Prepare to be asked; L{StoreUnavailable} if that is in vain."""

    @abstractmethod
    async def _end(self) -> None:
        """End everything that L{_begin} has begun. Nothing is outstanding any more."""

    # IAuthBackend

    async def _open(self) -> None:
        await self._begin()
        self._isOpen = True

    def open(self) -> Deferred[None]:
        """See L{IAuthBackend.open}."""
        return Deferred.fromCoroutine(self._open())

    async def _close(self) -> None:
        wasOpen, self._isOpen = self._isOpen, False
        for request in list(self._outstanding):
            request.cancel()
        self._known.clear()
        if wasOpen:
            await self._end()

    def close(self) -> Deferred[None]:
        """See L{IAuthBackend.close}."""
        return Deferred.fromCoroutine(self._close())

    def scramKeys(self, account: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{IAuthBackend.scramKeys}: there are none."""
        return succeed(None) if self._isOpen else fail(self._unavailable("it is not open"))

    def checkPassword(self, account: str, password: str) -> Deferred[bool]:
        """See L{IAuthBackend.checkPassword}."""
        return self._request(self._checked(account, password))

    def hasAccount(self, account: str) -> Deferred[bool]:
        """See L{IAuthBackend.hasAccount}. The answer may be L{CACHE_TIME} old."""
        return self._request(self._found(account))

    # Requests

    def _unavailable(self, reason: object) -> StoreUnavailable:
        return StoreUnavailable(f"{self.place}: {reason}")

    def _request(self, asking: Coroutine[Any, Any, bool]) -> Deferred[bool]:
        trouble = None
        if not self._isOpen:
            trouble = "it is not open"
        elif len(self._outstanding) >= OUTSTANDING_LIMIT:
            trouble = f"{OUTSTANDING_LIMIT} requests wait already"
        elif self._clock.seconds() < self._pausedUntil:
            trouble = "it has not answered for some time"
        if trouble is not None:
            asking.close()
            return fail(self._unavailable(trouble))
        request = Deferred.fromCoroutine(self._watched(asking))
        if not request.called:
            self._outstanding.add(request)

            def done(result: Any) -> Any:
                self._outstanding.discard(request)
                return result

            request.addBoth(done)
        return request

    async def _watched(self, asking: Coroutine[Any, Any, bool]) -> bool:
        """Log when answers fail to come, and when they come again; do not ask for a while if that takes long."""
        began = self._clock.seconds()
        try:
            answer = await asking
        except CancelledError:
            if self._isOpen:
                raise
            raise self._unavailable("it has been closed") from None
        except StoreUnavailable as e:
            self._note(False, str(e))
            now = self._clock.seconds()
            if now - began >= SLOW and now >= self._pausedUntil:
                # Log-ins to all hosts share few places, which must not all wait for this one.
                self._slow += 1
                if self._slow >= SLOW_LIMIT:
                    self._pausedUntil = now + min(LONGEST_PAUSE, 2.0 ** (self._slow - SLOW_LIMIT))
            raise self._unavailable(e) from None
        self._slow = 0
        self._note(True)
        return answer

    def _note(self, isUp: bool, reason: str = "") -> None:
        # Who can make single requests fail must not be able to fill the log.
        if isUp is not self._isUp and limit.admits("accounts", self.place):
            if isUp:
                _log.info("{place} answers again", place=self.place)
            else:
                _log.error("{place} does not answer: {reason}", place=self.place, reason=reason)
        self._isUp = isUp

    async def _checked(self, account: str, password: str) -> bool:
        began = self._clock.seconds()
        user, _, host = account.partition("@")
        try:
            prepared = saslprep(password)
        except ValueError:
            prepared = ""
        # An empty password would be no log-in, but an anonymous one, for some (RFC 4513 §5.1.2).
        right = False
        if prepared and len(prepared.encode("utf-8")) <= PASSWORD_LIMIT and _isSafe(user, host):
            right = await self._check(user, host, prepared)
        if right:
            self._remember(account, True)
            return True
        took = self._clock.seconds() - began
        await deferLater(self._clock, max(1, math.ceil(took / REFUSAL_STEP)) * REFUSAL_STEP - took)
        return False

    async def _found(self, account: str) -> bool:
        now = self._clock.seconds()
        known = self._known.get(account)
        if known is not None and now < known[1]:
            return known[0]
        user, _, host = account.partition("@")
        found = _isSafe(user, host) and await self._exists(user, host)
        self._remember(account, found)
        return found

    def _remember(self, account: str, exists: bool) -> None:
        self._known.pop(account, None)
        self._known[account] = (exists, self._clock.seconds() + CACHE_TIME)
        if len(self._known) > CACHE_SIZE:
            del self._known[next(iter(self._known))]


def _isSafe(user: str, host: str) -> bool:
    return bool(user and host) and _UNSAFE.isdisjoint(user) and _UNSAFE.isdisjoint(host)
