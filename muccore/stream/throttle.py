# -*- test-case-name: tests.stream.test_throttle -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Throttling of password guessing, by address and by account.

Theory of operation
===================

Every password check goes through L{LoginThrottle.attempt}, which delays it. A right password costs nothing. Then it
goes through a L{CheckQueue<muccore.stream.checkqueue>}, those from exempt networks too.

  - An address (a /64 of IPv6) has a L{TokenBucket}. A check takes its price from the bucket when it begins, and returns
    it unless the password was wrong; without enough tokens it waits in a queue. So the number of connections makes no
    difference. Each wrong password raises the price, which is reset after L{FORGET} seconds without one.
  - An account, existing or not, has a bucket for wrong passwords from all addresses. While it is overdrawn each check
    is delayed in proportion, but not queued and for a limited time: the owner gets in from another address after a few
    seconds, however many guess.

The tables of addresses and accounts are limited; the least recently used entry is dropped.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

from muccore.net.limits import LOOPBACK, Networks, TokenBucket, addressKey
from muccore.stream.checkqueue import QUEUE_LIMIT, CheckQueue, lookUp, queueFull
from muccore.stream.sasl.exchange import Attempt, Check, Success, WrongCredentials

FREE: Final = 10
"""Capacity of the buckets: tokens of an address, wrong passwords for an account."""

RATE: Final = 1.0
"""Tokens per second of an address."""

GROWTH: Final = 1.2
"""Factor by which a wrong password raises the price of the next check from its address, initially 1 token."""

HIGHEST_PRICE: Final = 5.0
"""Highest price of a check, in tokens; at L{RATE} also the longest time between two guesses, in seconds."""

FORGET: Final = 300.0
"""Seconds without a wrong password after which the price is reset."""

ACCOUNT_RATE: Final = 0.1
"""Wrong passwords per second that an account is forgiven."""

ACCOUNT_DELAY: Final = 5.0
"""Longest delay because of an account, in seconds. Each wrong password adds one second."""

_NEGLIGIBLE: Final = 1e-6


class _Address:
    """
    The bucket and the queue of an address.

    @ivar price: the price of the next check, in tokens.
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
        """Whether this can be dropped."""
        return self.price == 1.0 and not self.running and not self.waiting

    async def admit(self) -> float:
        """Wait until a check may begin; return its price, for L{release}. Raises L{queueFull}."""
        if not self.waiting and not self._take():
            return self.price
        if len(self.waiting) >= QUEUE_LIMIT:
            raise queueFull()
        admitted: Deferred[float] = Deferred(self._cancelled)
        self.waiting[admitted] = None
        self._wake()
        return await admitted

    def release(self, price: float, wrong: bool) -> None:
        """End a check."""
        self.running -= 1
        if wrong:
            self.price = min(self.price * GROWTH, HIGHEST_PRICE)
            self._wrongAt = self._clock.seconds()
        else:
            self._bucket.take(-price)
        self._wake()

    def _take(self) -> float:
        """Pay for a check; return 0 if it may begin, otherwise seconds until there are enough tokens."""
        if self._clock.seconds() - self._wrongAt >= FORGET:
            self.price = 1.0
        wait = self._bucket.take(self.price)
        if wait < _NEGLIGIBLE:
            self.running += 1
            return 0.0
        self._bucket.take(-self.price)
        return wait

    def _wake(self) -> None:
        """Begin the queued checks that can be paid, and set a timer for the next one."""
        if self._waking:
            # Called by a check that began in the loop below and ended at once.
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
    Throttles password checks on all streams of a server.

    @ivar exempt: networks whose checks are neither counted nor delayed.
    @ivar accountDelay: L{ACCOUNT_DELAY}, or less with a short timeout for the log-in.
    """

    def __init__(self, clock: IReactorTime, exempt: Networks = LOOPBACK) -> None:
        self.exempt = exempt
        self.accountDelay = ACCOUNT_DELAY
        self._clock = clock
        self._queue = CheckQueue()
        self._addresses: dict[str, _Address] = {}
        # By hash of the name, whose length clients choose; a collision is harmless.
        self._accounts: dict[int, TokenBucket] = {}

    def bind(self, host: str) -> Attempt:
        """L{attempt} for a connection from C{host}."""
        return partial(self.attempt, host)

    async def attempt(self, host: str, jid: str, check: Check) -> Success:
        """
        Check a password, possibly after a delay.

        @param jid: the account, with the user name as sent if that is invalid.
        @raise SASLFailure: C{temporary-auth-failure} if too many wait already.
        """
        key = addressKey(host)
        if host in self.exempt:
            return await self._queue.run(key, check)
        account = hash(jid)
        bucket = self._accounts.get(account)
        if bucket is not None:
            delay = min(self.accountDelay, bucket.take(0) * ACCOUNT_RATE)
            if delay >= _NEGLIGIBLE:
                await deferLater(self._clock, delay)
        address = lookUp(self._addresses, key, lambda: _Address(self._clock))
        price = await address.admit()
        wrong = False
        try:
            return await self._queue.run(key, check)
        except WrongCredentials:
            wrong = True
            self._countWrong(account)
            raise
        finally:
            address.release(price, wrong)
            if address.idle and self._addresses.get(key) is address:
                del self._addresses[key]

    def _countWrong(self, account: int) -> None:
        bucket = lookUp(self._accounts, account, lambda: TokenBucket(ACCOUNT_RATE, FREE, self._clock.seconds))
        if bucket.take(0) * ACCOUNT_RATE < ACCOUNT_DELAY:
            bucket.take(1)
