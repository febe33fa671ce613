# -*- test-case-name: tests.muc.protocol.test_membership -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Requests for membership (L{muccore.muc.model.membershiprequests}): who gets the forms later, and when they end."""

from __future__ import annotations

from collections.abc import Mapping

from muccore.interfaces import Affiliate
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.membershiprequests import NAME, sendWaiting
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room


class MembershipRequests(RoomExtension):
    """The extension."""

    name = NAME

    def affiliationRows(self, room: Room, changes: Mapping[str, Affiliate | None]) -> Mapping[str, None]:
        """End the requests of users who get an affiliation, whoever gives it."""
        waiting = room.states.get(NAME)
        if not waiting:
            return {}
        return {
            user: None
            for user, entry in changes.items()
            if user in waiting and affiliationOf(entry) is not Affiliation.NONE
        }

    def entered(self, room: Room, session: OccupantSession, request: JoinRequest) -> None:
        """Send an admin the requests that wait."""
        sendWaiting(room, session)

    def privilegesChanged(self, room: Room, change: PrivilegeChange) -> None:
        """Send them to those who are admins now, perhaps again."""
        if room.states.get(NAME):
            for user, entry in change.affiliates.items():
                if affiliationOf(entry) >= Affiliation.ADMIN:
                    for occupant in room.occupantsAffectedBy(user):
                        for session in occupant.sessions.values():
                            sendWaiting(room, session)
