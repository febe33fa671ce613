# -*- test-case-name: tests.stream.test_throttle -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How fast passwords may be guessed: wrong ones slow down the address they come from and the account they are for.

Theory of operation
===================

Every check of a password goes through L{LoginThrottle.attempt}, which waits until the check may begin. A right password
costs nothing.

  - An address (a /64 of IPv6) has a L{TokenBucket}. A check takes its price out of it when it begins and puts it back
    unless the password was wrong; where there is too little, it waits in line. So it makes no difference over how many
    connections somebody guesses. Each wrong password raises the price, until there was none for L{FORGET} seconds.
  - An account, whether it exists or not, has one as well, for wrong passwords from anywhere. When it is empty each
    check waits, for longer the more it is overdrawn, but beside the others and never for long: its owner gets in from
    another address after a few seconds, however many guess.

The table of addresses and that of accounts are bounded; the one that was used least recently is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

from muccore.net.limits import LOOPBACK, Networks, TokenBucket, addressKey
from muccore.stream.sasl.exchange import Attempt, Check, Success, WrongCredentials

FREE: Final = 10
"""Tokens that an address has, and wrong passwords that an account takes, before anybody waits."""

RATE: Final = 1.0
"""Tokens that an address gets, a second."""

GROWTH: Final = 1.2
"""Factor by which each wrong password raises the price of the next check from the same address, which is 1 at first."""

HIGHEST_PRICE: Final = 5.0
"""Where raising the price ends, in tokens. It is also the longest time between two guesses in a row, in seconds."""

FORGET: Final = 300.0
"""Seconds without a wrong password after which the price is 1 again."""

ACCOUNT_RATE: Final = 0.1
"""Wrong passwords that are forgotten for an account, a second."""

ACCOUNT_DELAY: Final = 5.0
"""Longest time that a check waits because of its account, in seconds. Each wrong password adds one second to it."""

TABLE_LIMIT: Final = 10_000
"""Addresses, and accounts, that are remembered."""

_NEGLIGIBLE: Final = 1e-6
_K = TypeVar("_K")
_V = TypeVar("_V")


class _Address:
    """
    Where guesses come from.

    @ivar price: what the next check costs, in tokens.
    @ivar running: how many checks are under way.
    @ivar waiting: what those who wait in line wait for, in order.
    """

    __slots__ = ("_bucket", "_clock", "_timer", "_waking", "_wrongAt", "price", "running", "waiting")

    def __init__(self, clock: IReactorTime) -> None:
        self._bucket = TokenBucket(RATE, FREE, clock.seconds)
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._waking = False
        self._wrongAt = clock.seconds()
        self.price = 1.0
        self.running = 0
        self.waiting: dict[Deferred[float], None] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost with this."""
        return self.price == 1.0 and not self.running and not self.waiting

    async def admit(self) -> float:
        """
        Wait until a check may begin.

        @return: what L{release} has to be told.
        """
        if not self.waiting and not self._take():
            return self.price
        admitted: Deferred[float] = Deferred(self._cancelled)
        self.waiting[admitted] = None
        self._wake()
        return await admitted

    def release(self, price: float, wrong: bool) -> None:
        """A check has ended."""
        self.running -= 1
        if wrong:
            self.price = min(self.price * GROWTH, HIGHEST_PRICE)
            self._wrongAt = self._clock.seconds()
        else:
            self._bucket.take(-price)
        self._wake()

    def _take(self) -> float:
        """
        Pay for one check if there is enough.

        @return: 0 if it may begin; otherwise in how many seconds to ask again.
        """
        if self._clock.seconds() - self._wrongAt >= FORGET:
            self.price = 1.0
        wait = self._bucket.take(self.price)
        if wait < _NEGLIGIBLE:
            self.running += 1
            return 0.0
        self._bucket.take(-self.price)
        return wait

    def _wake(self) -> None:
        """Let those begin who may, and look again when the next one may."""
        if self._waking:
            # A check that has begun here has ended at once: the loop goes on.
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waking = True
        while self.waiting:
            wait = self._take()
            if wait:
                self._timer = self._clock.callLater(wait, self._due)
                break
            admitted = next(iter(self.waiting))
            del self.waiting[admitted]
            admitted.callback(self.price)
        self._waking = False

    def _due(self) -> None:
        self._timer = None
        self._wake()

    def _cancelled(self, admitted: Deferred[float]) -> None:
        self.waiting.pop(admitted, None)
        if not self.waiting:
            self._wake()


class LoginThrottle:
    """
    Slows down guessing on all streams of a server.

    @ivar exempt: from where guesses do not count and are not slowed down.
    @ivar accountDelay: as L{ACCOUNT_DELAY}; less where less time is given for a log-in.
    """

    def __init__(self, clock: IReactorTime, exempt: Networks = LOOPBACK) -> None:
        self.exempt = exempt
        self.accountDelay = ACCOUNT_DELAY
        self._clock = clock
        self._addresses: dict[str, _Address] = {}
        # By hash: names are as long as those who guess like, and two that share a bucket by chance harm nobody.
        self._accounts: dict[int, TokenBucket] = {}

    def bind(self, host: str) -> Attempt:
        """
        L{attempt} for one connection.

        @param host: where it comes from.
        """
        return partial(self.attempt, host)

    async def attempt(self, host: str, user: str, check: Check) -> Success:
        """
        Check a password when it may be checked.

        @param user: the account it is for, or the name that the client gave if there can be none of it.
        @param check: does it.
        """
        if host in self.exempt:
            return await check()
        account = hash(user)
        bucket = self._accounts.get(account)
        if bucket is not None:
            delay = min(self.accountDelay, bucket.take(0) * ACCOUNT_RATE)
            if delay >= _NEGLIGIBLE:
                await deferLater(self._clock, delay)
        key = addressKey(host)
        address = _used(self._addresses, key, lambda: _Address(self._clock))
        price = await address.admit()
        wrong = False
        try:
            return await check()
        except WrongCredentials:
            wrong = True
            self._blame(account)
            raise
        finally:
            address.release(price, wrong)
            if address.idle and self._addresses.get(key) is address:
                del self._addresses[key]

    def _blame(self, account: int) -> None:
        bucket = _used(self._accounts, account, lambda: TokenBucket(ACCOUNT_RATE, FREE, self._clock.seconds))
        if bucket.take(0) * ACCOUNT_RATE < ACCOUNT_DELAY:
            bucket.take(1)


def _used(table: dict[_K, _V], key: _K, make: Callable[[], _V]) -> _V:
    """Look something up in a bounded table, as the one that was used last; make it if it is not there."""
    found = table.pop(key, None)
    table[key] = found = make() if found is None else found
    if len(table) > TABLE_LIMIT:
        del table[next(iter(table))]
    return found


__all__ = ["ACCOUNT_DELAY", "FREE", "HIGHEST_PRICE", "TABLE_LIMIT", "LoginThrottle"]
