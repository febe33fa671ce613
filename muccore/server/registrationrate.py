# -*- test-case-name: tests.server.test_registrationrate -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""How often accounts may be registered, from one address and in all, and how often passwords may be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from muccore.net.limits import AddressBuckets, TokenBucket

_HOUR: Final = 3600


PASSWORDS: Final = 20
"""Changes of the password of an account in an hour: each takes time of a processor."""

_REMEMBERED: Final = 10_000


class PasswordRate:
    """How often accounts may change their password."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """@param seconds: returns a time that is never set."""
        self._seconds = seconds
        # The last used at the end.
        self._buckets: dict[str, TokenBucket] = {}

    def admits(self, account: str) -> bool:
        """Count a change of an account, a bare JID; return whether it may be made."""
        bucket = self._buckets.pop(account, None) or TokenBucket(PASSWORDS / _HOUR, PASSWORDS, self._seconds)
        self._buckets[account] = bucket
        if len(self._buckets) > _REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        if bucket.take(1):
            bucket.take(-1)
            return False
        return True


class RegistrationRate:
    """The limits of one host. What is refused does not count."""

    def __init__(self, perAddress: int, total: int, seconds: Callable[[], float]) -> None:
        """The arguments are those of L{configure}; C{seconds} returns a time that is never set."""
        self._seconds = seconds
        self._limits = (0, 0)
        self.configure(perAddress, total)

    def configure(self, perAddress: int, total: int) -> None:
        """
        Change the limits.

        @param perAddress: attempts in an hour from an IPv4 address or an IPv6 /64.
        @param total: attempts in an hour.
        """
        if self._limits != (perAddress, total):
            self._limits = (perAddress, total)
            self._addresses = AddressBuckets(perAddress / _HOUR, perAddress, self._seconds)
            self._total = TokenBucket(total / _HOUR, total, self._seconds)

    def admits(self, address: str) -> bool:
        """Count an attempt; return whether it may be made."""
        # First its own limit: who is refused takes nothing from others.
        own = self._addresses.of(address)
        if own.take(1):
            own.take(-1)
            return False
        if self._total.take(1):
            self._total.take(-1)
            return False
        return True
