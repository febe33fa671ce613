# -*- test-case-name: tests.muc.service.test_invitationpolicy -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How many invitations may be sent, over all rooms of a host: by one inviter, to one room, and to one user, by one and the
same inviter and by all of them; and who wants none from strangers.

It counts mediated invitations (XEP-0045 §7.8.2), and direct ones (XEP-0249) as far as they pass through this server.
What was counted is in memory only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.ratelimit import RateLimit
from muccore.muc.model.room import Room
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse

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

    @ivar services: the rooms in memory of its services, by domain and bare JID. They count what they send themselves.
    @ivar refusing: the users who want no invitations from strangers, by bare JID.
    """

    def __init__(
        self, seconds: Callable[[], float], isContact: Callable[[str, str], bool] = lambda user, other: False
    ) -> None:
        """
        @param seconds: returns the time, in seconds.
        @param isContact: whether a user has another one in their roster, by bare JIDs.
        """
        self._isContact = isContact
        self.services: dict[str, Mapping[str, Room]] = {}
        self.refusing: set[str] = set()
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

        @raise StanzaError: as L{admit}; C{service-unavailable}, as if nobody were there (XEP-0191 §3.2), if the user
            wants none from strangers.
        """
        if inviter.domain in self.services or inviter.bare == invited.bare:
            return
        self.admit(inviter.bare, "", [invited.bare])
        if self.refusedBy(inviter.bare, [invited.bare]):
            raise StanzaError("service-unavailable")

    def refusedBy(self, inviter: str, invited: Collection[str], room: Room | None = None) -> set[str]:
        """
        Those among users who want no invitations from somebody: a stranger, who is no contact of theirs, and with whom
        they are in no room.

        @param inviter: a bare JID.
        @param invited: bare JIDs of users.
        @param room: where they are invited to; who has an affiliation there knows the room.
        """
        wishing = self.refusing.intersection(invited)
        wishing = {user for user in wishing if not self._isContact(user, inviter)}
        if room is not None:
            wishing = {user for user in wishing if room.affiliations.get(parse(user)) <= Affiliation.NONE}
        if not wishing:
            return wishing
        everywhere = (each for live in self.services.values() for each in live.values())
        shared = [each.occupants for each in everywhere if each.occupants.ofAccount(inviter)]
        return {user for user in wishing if not any(occupants.ofAccount(user) for occupants in shared)}

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
