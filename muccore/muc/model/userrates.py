# -*- test-case-name: tests.muc.model.test_userrates -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""How often users may ask something of a room, and thereby of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from muccore.net.limits import TokenBucket
from muccore.xmpp.errors import StanzaError

REMEMBERED: Final = 250
"""Users whose rate a room remembers; the oldest are dropped."""

_NEGLIGIBLE: Final = 1e-6


class UserRates:
    """The rate of each user, in memory only."""

    __slots__ = ("_buckets", "_burst", "_rate", "_refusal", "_seconds")

    def __init__(self, burst: int, rate: float, refusal: str, seconds: Callable[[], float]) -> None:
        """
        @param burst: how often at once.
        @param rate: how often after that, per second.
        @param refusal: the text of the error.
        """
        self._burst, self._rate, self._refusal, self._seconds = burst, rate, refusal, seconds
        self._buckets: dict[str, TokenBucket] = {}

    def admit(self, user: str, count: int = 1) -> None:
        """
        Count requests.

        @param user: the bare JID.
        @raise StanzaError: C{resource-constraint} if they are too many in this time; none is counted then.
        """
        bucket = self._buckets.pop(user, None) or TokenBucket(self._rate, self._burst, self._seconds)
        self._buckets[user] = bucket
        dropOldest(self._buckets)
        if bucket.take(count) > _NEGLIGIBLE:
            bucket.take(-count)
            raise StanzaError("resource-constraint", text=self._refusal)


def dropOldest(table: dict[Any, Any]) -> None:
    """Drop the oldest entry of a table that remembers more than L{REMEMBERED}."""
    if len(table) > REMEMBERED:
        del table[next(iter(table))]
