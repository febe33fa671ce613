# -*- test-case-name: tests.muc.model.test_invitations -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Invitations that a room has sent: who may decline which (XEP-0045 §7.8.2)."""

from __future__ import annotations

from typing import Final

from muccore.xmpp.jid import JID

REMEMBERED: Final = 250
"""Invitations that can be declined; the oldest are forgotten."""


class SentInvitations:
    """The recent invitations to one room, in memory only: after a restart they cannot be declined."""

    def __init__(self) -> None:
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
