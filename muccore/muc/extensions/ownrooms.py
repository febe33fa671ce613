# -*- test-case-name: tests.muc.extensions.test_ownrooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
An ad-hoc command of the service that lists the rooms in which whoever executes it is a member, an admin or an owner.

Whoever has such an affiliation may know of the room, also if it is hidden. Who is banned from a room does not learn of
it here, nor does anybody of affiliations that their whole domain has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import Deferred

from muccore.interfaces import AffiliatedRooms
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.privileges import Affiliation
from muccore.muc.protocol.base import RoomHandler
from muccore.muc.protocol.roomlist import requestList
from muccore.muc.service.storefailures import storeFailed
from muccore.xmpp import dataforms, rsm
from muccore.xmpp.commands import Command, CommandForm, CommandRequest, Completed
from muccore.xmpp.jid import JID

NODE: Final = "urn:x-muccore:own-rooms"
"""The node of the command, and the C{FORM_TYPE} of its form."""

_SHOWN: Final = [each.xmlName for each in (Affiliation.MEMBER, Affiliation.ADMIN, Affiliation.OWNER)]
_SIZES: Final = ("25", "50", "100", "200")

_MAX_ITEMS: Final = dataforms.Field(
    "list-single", "max_items", "Maximum number of rooms", tuple((size, size) for size in _SIZES)
)
_AFTER: Final = dataforms.Field("jid-single", "after", "Only rooms after this one, the last of the page before")

_COLUMNS: Final = (
    dataforms.Field("jid-single", "jid", "Address"),
    dataforms.Field("text-single", "name", "Name"),
    dataforms.Field("text-single", "affiliation", "Affiliation"),
)


class ListOwnRooms(Command[RoomHandler]):
    """The command. Everybody may use it about themselves."""

    node, name, stages = NODE, "List the rooms in which you have an affiliation", 1

    def mayUse(self, subject: RoomHandler, requester: JID) -> bool:
        """See L{Command.mayUse}."""
        return True

    def form(self, request: CommandRequest[RoomHandler], stage: int) -> CommandForm:
        """Ask for the page."""
        return CommandForm(NODE, [(_MAX_ITEMS, _SIZES[2]), (_AFTER, None)], self.name)

    def carryOut(self, request: CommandRequest[RoomHandler]) -> Deferred[Completed]:
        """List the page."""
        rooms, user = request.subject.rooms, request.requester.bare
        limit, after = int(request.values.get("max_items", _SIZES[2])), request.values.get("after")
        arguments = rooms.domain, user, _SHOWN, None if after is None else after.bare, None, limit
        finding = requestList(rooms, user, lambda: rooms.store.affiliatedRooms(*arguments))
        return finding.addCallbacks(_listed, storeFailed)


def _listed(found: AffiliatedRooms) -> Completed:
    if not found.rooms:
        note = "There are no further rooms." if found.count else "You have no affiliation in a room of this service."
        return Completed(note=note)
    last = found.index + len(found.rooms)
    note = f"Rooms {found.index + 1} to {last} of {found.count}."
    if last < found.count:
        note += f' To see more, fill in "{_AFTER.label}": {found.rooms[-1][0]}'
    set = rsm.render(found.rooms[0][0], found.rooms[-1][0], found.index, found.count)
    return Completed([dataforms.table(ListOwnRooms.name, _COLUMNS, found.rooms), set], note)


class OwnRooms(RoomExtension):
    """The extension that offers the command."""

    name = "own-rooms"

    def serviceCommands(self) -> Sequence[Command[RoomHandler]]:
        """See L{RoomExtension.serviceCommands}."""
        return [ListOwnRooms()]
