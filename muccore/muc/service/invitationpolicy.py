# -*- test-case-name: tests.muc.service.test_invitationpolicy -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How many invitations may be sent, over all rooms of a host: by one inviter, to one room, and to one user, by one and the
same inviter and by all of them.

It counts mediated invitations (XEP-0045 §7.8.2), and direct ones (XEP-0249) as far as they pass through this server.
What was counted is in memory only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final

from muccore.muc.model.ratelimit import RateLimit
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

INVITER: Final = (100, 500.0)
"""Invitations by one user at once, and the seconds until that many can be sent again."""

ROOM: Final = (500, 1000.0)
"""Invitations to one room, likewise."""

INVITED: Final = (30, 600.0)
"""Invitations to one user, likewise."""

PAIR: Final = (5, 600.0)
"""Invitations by one user to another, likewise."""

_TOO_MANY: Final = "You have invited too many users; try again later."
_ROOM_TOO_MANY: Final = "Too many users have been invited to this room; try again later."
_INVITED_TOO_OFTEN: Final = "This user has been invited too often; try again later."


class InvitationPolicy:
    """
    The limits of one host.

    @ivar services: the domains of its rooms, which count the invitations that they send.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """@param seconds: returns the time, in seconds."""
        self.services: set[str] = set()
        self._seconds = seconds
        self._inviters = RateLimit(*INVITER)
        self._rooms = RateLimit(*ROOM)
        self._invited = RateLimit(*INVITED)
        self._pairs = RateLimit(*PAIR)

    def admit(self, inviter: str, room: str, invited: Collection[str]) -> None:
        """
        Count invitations.

        @param inviter: a bare JID.
        @param room: the bare JID of the room; C{""} if it does not count.
        @param invited: bare JIDs of users, each as often as they are invited.
        @raise StanzaError: C{resource-constraint} if any limit is exceeded; none is counted then.
        """
        users = Counter(invited)
        uses = [(self._inviters, inviter, len(invited), _TOO_MANY)]
        if room:
            uses.append((self._rooms, room, len(invited), _ROOM_TOO_MANY))
        for user, times in users.items():
            uses.append((self._pairs, f"{inviter} {user}", times, _INVITED_TOO_OFTEN))
            uses.append((self._invited, user, times, _INVITED_TOO_OFTEN))
        self._take(uses)

    def admitDirect(self, inviter: JID, invited: JID) -> None:
        """
        Count an invitation that users send each other. It does not count for the room, whose address anybody can give.

        @raise StanzaError: as L{admit}.
        """
        if inviter.domain not in self.services and inviter.bare != invited.bare:
            self.admit(inviter.bare, "", [invited.bare])

    def admitNotice(self, actor: str) -> None:
        """
        Count a message to a user that somebody causes who chooses them by address, as an invitation by C{actor}.

        @raise StanzaError: as L{admit}.
        """
        self._take([(self._inviters, actor, 1, _TOO_MANY)])

    def _take(self, uses: Iterable[tuple[RateLimit, str, int, str]]) -> None:
        now, uses = self._seconds(), list(uses)
        for limit, key, times, refusal in uses:
            if limit.wait(key, now, times):
                raise StanzaError("resource-constraint", text=refusal)
        for limit, key, times, _ in uses:
            limit.take(key, now, times)
