# -*- test-case-name: tests.net.test_limits -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Limits of rate and number: bytes per second of a connection, connections from one address and in all."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PREFIX: Final = 64
"""Bits of an IPv6 address that identify a client, who usually has all addresses under them."""


class TokenBucket:
    """A rate with bursts. Taking more tokens than there are puts it in debt; the caller waits until that is paid."""

    __slots__ = ("_burst", "_level", "_rate", "_seconds", "_time")

    def __init__(self, rate: float, burst: float, seconds: Callable[[], float]) -> None:
        """A full bucket of C{burst} tokens, refilled at C{rate} per second, which is more than 0."""
        self._rate = rate
        self._burst = self._level = float(burst)
        self._seconds = seconds
        self._time = seconds()

    def take(self, tokens: float) -> float:
        """Take tokens; return the seconds until the bucket is out of debt, 0 if it is not in debt."""
        now = self._seconds()
        # Setting the clock back neither adds nor removes tokens.
        added = max(0.0, now - self._time) * self._rate
        self._time = now
        self._level = level = min(self._burst, self._level + added) - tokens
        return -level / self._rate if level < 0 else 0.0


_REMEMBERED: Final = 10_000
"""Addresses that L{AddressBuckets} remembers; above it the ones that connected least recently are forgotten."""


class AddressBuckets:
    """A bucket for each address (see L{addressKey}), which all its connections share."""

    def __init__(self, rate: float, burst: float, seconds: Callable[[], float]) -> None:
        """The parameters are those of each L{TokenBucket}."""
        self._new = partial(TokenBucket, rate, burst, seconds)
        self._buckets: dict[str, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, host: str) -> TokenBucket:
        """The bucket of a peer's address. It outlives its connections: new ones do not bring new tokens."""
        key = addressKey(host)
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            bucket = self._new()
        self._buckets[key] = bucket
        if len(self._buckets) > _REMEMBERED:
            del self._buckets[next(iter(self._buckets))]
        return bucket


@lru_cache(maxsize=1024)
def addressOf(host: str) -> _Address | None:
    """The IP address of a peer (IPv4-mapped IPv6 as IPv4), or C{None} if it has none, as for a UNIX socket."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=1024)
def addressKey(host: str) -> str:
    """What counts as one address: an IPv4 address or an IPv6 /64."""
    address = addressOf(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(int(address) >> (address.max_prefixlen - _PREFIX))
    return str(address)


class Networks:
    """A set of IP networks."""

    def __init__(self, networks: Iterable[str | ipaddress.IPv4Network | ipaddress.IPv6Network]) -> None:
        """Take networks such as C{"127.0.0.0/8"} or C{"::1"}; L{ValueError} if one is invalid."""
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._holds = lru_cache(maxsize=1024)(self._compare)

    def __contains__(self, host: object) -> bool:
        """Whether a peer is in one of them. A peer without an IP address is local and in every set."""
        return self._holds(host)

    def _compare(self, host: object) -> bool:
        address = addressOf(str(host))
        return address is None or any(address in network for network in self._networks)


LOOPBACK: Final = Networks(["127.0.0.0/8", "::1/128"])
"""The loopback networks."""


class AddressLimit:
    """
    Counts connections by address. The limits may be changed at any time; connections already admitted stay.

    @ivar perAddress: connections from one IPv4 address or IPv6 /64; 0 for no limit.
    @ivar total: connections in all, those from exempt networks included; 0 for no limit.
    @ivar exempt: networks without C{perAddress}.
    @ivar count: present connections.
    """

    def __init__(self, perAddress: int, total: int = 0, exempt: Networks = LOOPBACK) -> None:
        self.perAddress = perAddress
        self.total = total
        self.exempt = exempt
        self.count = 0
        self._counts: Counter[str] = Counter()

    def enter(self, host: str, isProxy: bool = False) -> str | None:
        """
        Count a new connection. Unless it is rejected, L{leave} must be called when it ends.

        @param isProxy: whether many clients connect from there, so that C{perAddress} does not apply.
        @return: the stream error condition to reject it with, or C{None} to admit it.
        """
        if self.total and self.count >= self.total:
            return "resource-constraint"
        key = addressKey(host)
        if self.perAddress and self._counts[key] >= self.perAddress and not isProxy and host not in self.exempt:
            return "policy-violation"
        self._counts[key] += 1
        self.count += 1
        return None

    def leave(self, host: str) -> None:
        """Stop counting an admitted connection, which has ended."""
        key = addressKey(host)
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
        self.count -= 1
