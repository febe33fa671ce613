# -*- test-case-name: tests.muc.model.test_invitations -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Invitations that a room has sent: how many at a time, and who may decline which (XEP-0045 §7.8.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from muccore.muc.model.userrates import UserRates
from muccore.xmpp.jid import JID

BURST: Final = 100
"""Invitations that one user may send at once."""

RATE: Final = 0.2
"""Further invitations of one user, per second."""

REMEMBERED: Final = 250
"""Invitations that can be declined; the oldest are forgotten."""

_REFUSAL: Final = "You have invited too many users; try again later."


class SentInvitations:
    """
    The recent invitations to one room, in memory only: after a restart they cannot be declined.

    @ivar rates: how many each inviter may send.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.rates = UserRates(BURST, RATE, _REFUSAL, seconds)
        self._inviters: dict[tuple[str, str], str] = {}

    def add(self, invited: JID, address: str, inviter: str) -> None:
        """
        Remember an invitation.

        @param address: the inviter's address in the invitation.
        @param inviter: the inviter's bare JID.
        """
        key = invited.bare, address
        self._inviters.pop(key, None)
        self._inviters[key] = inviter
        if len(self._inviters) > REMEMBERED:
            del self._inviters[next(iter(self._inviters))]

    def decline(self, invited: JID, address: str) -> str | None:
        """The bare JID of who invited a user under an address; C{None} if nobody has, or that was declined already."""
        return self._inviters.pop((invited.bare, address), None)
