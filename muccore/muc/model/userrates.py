# -*- test-case-name: tests.muc.model.test_userrates -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""How often users may ask something of a room, and thereby of others."""

from __future__ import annotations

from collections.abc import Callable

from muccore.muc.model.ratelimit import RateLimit
from muccore.xmpp.errors import StanzaError


class UserRates:
    """The rate of each user, in memory only."""

    __slots__ = ("_limit", "_refusal", "_seconds")

    def __init__(self, burst: int, rate: float, refusal: str, seconds: Callable[[], float]) -> None:
        """
        @param burst: how often at once.
        @param rate: how often after that, per second.
        @param refusal: the text of the error.
        """
        self._limit, self._refusal, self._seconds = RateLimit(burst, burst / rate), refusal, seconds

    def admit(self, user: str, count: int = 1) -> None:
        """
        Count requests.

        @param user: the bare JID.
        @raise StanzaError: C{resource-constraint} if they are too many in this time; none is counted then.
        """
        if self._limit.take(user, self._seconds(), count):
            raise StanzaError("resource-constraint", text=self._refusal)
