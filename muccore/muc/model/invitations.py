# -*- test-case-name: tests.muc.model.test_invitations -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Invitations that a room has sent: how many at a time, and who may decline which (XEP-0045 §7.8.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from muccore.net.limits import TokenBucket
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

BURST: Final = 100
"""Invitations that one user may send at once."""

RATE: Final = 0.2
"""Further invitations of one user, per second."""

REMEMBERED: Final = 250
"""Invitations, and inviters, that a room remembers; the oldest are dropped."""

_NEGLIGIBLE: Final = 1e-6


class SentInvitations:
    """The recent invitations to one room, in memory only: after a restart they cannot be declined."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._rates: dict[str, TokenBucket] = {}
        self._inviters: dict[tuple[str, str], str] = {}

    def admit(self, inviter: str, count: int) -> None:
        """
        Count new invitations.

        @param inviter: the bare JID.
        @raise StanzaError: C{resource-constraint} if they are too many in this time; none is counted then.
        """
        bucket = self._rates.pop(inviter, None) or TokenBucket(RATE, BURST, self._seconds)
        self._rates[inviter] = bucket
        _dropOldest(self._rates)
        if bucket.take(count) > _NEGLIGIBLE:
            bucket.take(-count)
            raise StanzaError("resource-constraint", text="You have invited too many users; try again later.")

    def add(self, invited: JID, address: str, inviter: str) -> None:
        """
        Remember an invitation.

        @param address: the inviter's address in the invitation.
        @param inviter: the inviter's bare JID.
        """
        key = invited.bare, address
        self._inviters.pop(key, None)
        self._inviters[key] = inviter
        _dropOldest(self._inviters)

    def decline(self, invited: JID, address: str) -> str | None:
        """The bare JID of who invited a user under an address; C{None} if nobody has, or that was declined already."""
        return self._inviters.pop((invited.bare, address), None)


def _dropOldest(table: dict[Any, Any]) -> None:
    if len(table) > REMEMBERED:
        del table[next(iter(table))]
