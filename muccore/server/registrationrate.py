# -*- test-case-name: tests.server.test_registrationrate -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""How often accounts may be registered: from one address, and in all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from muccore.net.limits import AddressBuckets, TokenBucket

_HOUR: Final = 3600


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
