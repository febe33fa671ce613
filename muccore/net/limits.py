# -*- test-case-name: tests.net.test_limits -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""How fast and how often: bytes a second on one connection, connections from one address, connections in all."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PREFIX: Final = 64
"""What counts as one address of IPv6: whoever has one has all of them."""


class TokenBucket:
    """
    A rate with bursts: tokens drip into the bucket until it is full, and whatever happens costs some. What has
    happened already is taken even if there is not enough; then one waits until the debt is paid.
    """

    __slots__ = ("_burst", "_level", "_rate", "_seconds", "_time")

    def __init__(self, rate: float, burst: float, seconds: Callable[[], float]) -> None:
        """
        @param rate: tokens a second, more than 0.
        @param burst: how many the bucket holds; it is full at first.
        @param seconds: tells the time.
        """
        self._rate = rate
        self._burst = self._level = float(burst)
        self._seconds = seconds
        self._time = seconds()

    def take(self, tokens: float) -> float:
        """
        Take tokens.

        @return: in how many seconds the bucket will be out of debt; 0 if it is not in debt.
        """
        now = self._seconds()
        # A clock that is set back gives nothing and takes nothing.
        dripped = max(0.0, now - self._time) * self._rate
        self._time = now
        self._level = level = min(self._burst, self._level + dripped) - tokens
        return -level / self._rate if level < 0 else 0.0


@lru_cache(maxsize=1024)
def addressOf(host: str) -> _Address | None:
    """
    The IP address of a peer; IPv4 also where it came in through an IPv6 socket. C{None} for what has none, such as a
    UNIX socket.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=1024)
def addressKey(host: str) -> str:
    """What counts as one address: one of IPv4 or one /64 of IPv6."""
    address = addressOf(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(int(address) >> (address.max_prefixlen - _PREFIX))
    return str(address)


class Networks:
    """A set of IP networks."""

    def __init__(self, networks: Iterable[str | ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        """
        @param networks: such as C{"127.0.0.0/8"} or C{"::1"}, or networks of C{ipaddress}.
        @raise ValueError: if one of them is none.
        """
        self._networks = [ipaddress.ip_network(network) for network in networks]

    def __contains__(self, host: str) -> bool:
        """Whether a peer is in one of them. A peer without an IP address is on this machine, and in any set."""
        address = addressOf(host)
        return address is None or any(address in network for network in self._networks)


LOOPBACK: Final = Networks(["127.0.0.0/8", "::1/128"])
"""This machine."""


class AddressLimit:
    """
    Counts connections by where they come from. The limits may be changed at any time; who is in stays in.

    @ivar perAddress: how many may come from one address of IPv4 or one /64 of IPv6; 0 for any number.
    @ivar total: how many there may be in all, those from exempt addresses among them; 0 for any number.
    @ivar exempt: where any number may come from.
    @ivar count: how many there are.
    """

    def __init__(self, perAddress: int, total: int = 0, exempt: Networks = LOOPBACK) -> None:
        self.perAddress = perAddress
        self.total = total
        self.exempt = exempt
        self.count = 0
        self._counts: dict[str, int] = {}

    def enter(self, host: str) -> str | None:
        """
        A connection has come. Unless it is refused, L{leave} must be called when it ends.

        @return: the condition of the stream error it is refused with, or C{None} if it may stay.
        """
        if self.total and self.count >= self.total:
            return "resource-constraint"
        key = addressKey(host)
        here = self._counts.get(key, 0)
        if self.perAddress and here >= self.perAddress and host not in self.exempt:
            return "policy-violation"
        self._counts[key] = here + 1
        self.count += 1
        return None

    def leave(self, host: str) -> None:
        """A connection that was not refused has ended."""
        key = addressKey(host)
        here = self._counts[key] - 1
        if here:
            self._counts[key] = here
        else:
            del self._counts[key]
        self.count -= 1


__all__ = ["LOOPBACK", "AddressLimit", "Networks", "TokenBucket", "addressKey", "addressOf"]
