# -*- test-case-name: tests.server.test_accounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What rooms forget of an account that is removed from the server: its affiliation and its nick, as if it had
unregistered, so that somebody who gets its name later has neither. A ban stays. Messages stay as well: they are the
room's.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from twisted.internet.task import deferLater

from muccore.muc.extensions.invitationpreferences import NAME
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.protocol.base import RoomHandler
from muccore.xmpp.jid import JID

PAGE: Final = 50
"""Rooms that are looked up at once."""

_LOST: Final = [each.xmlName for each in (Affiliation.MEMBER, Affiliation.ADMIN, Affiliation.OWNER)]


async def removeAccount(handler: RoomHandler, account: JID) -> None:
    """
    Remove an account from all rooms of a service, one after the other, and what it has chosen for them.

    @raise StoreError: if the rooms cannot be listed.
    @raise StanzaError: if one cannot be loaded or changed.
    """
    rooms, refusing = handler.rooms, handler.invitations.refusing
    if account.bare in refusing:
        await rooms.store.setPreference(NAME, account.bare, None)
        refusing.discard(account.bare)
    last: str | None = None
    while True:
        found = await rooms.store.affiliatedRooms(rooms.domain, account.bare, _LOST, last, None, PAGE)
        for last, _, _ in found.rooms:
            room = await rooms.openOrTombstone(last)
            if isinstance(room, Room):
                await handler.changeByService(room, partial(_plan, room, account.bare))
            await deferLater(handler.parent.clock, 0)
        if len(found.rooms) < PAGE:
            return


def _plan(room: Room, account: str) -> PrivilegeChange:
    change = PrivilegeChange()
    if affiliationOf(room.affiliations.entry(account)) > Affiliation.NONE:
        change.affiliates[account] = None
        change.reasons[account] = None
    return change
