# -*- test-case-name: tests.server.test_purge -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Everything that rooms have of a person, as operators remove it: affiliation, reserved nick and rows of extensions, and,
if that is wanted, the messages. Sanctions stay, and who created a room.

It is about users of any server. Accounts of this one that are removed lose their affiliations without it
(L{muccore.muc.protocol.accountremoval}).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Final, NamedTuple

from twisted.internet.task import deferLater

from muccore.interfaces import ArchiveQuery, IArchiveStore
from muccore.muc.extensions.archive import RoomArchive
from muccore.muc.extensions.moderation import ModeratedRetraction
from muccore.muc.model import personalrows
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.protocol.base import RoomHandler
from muccore.xmpp.jid import JID

RETRACT: Final = "retract"
REMOVE: Final = "remove"
MESSAGES: Final = (RETRACT, REMOVE)
"""
What is done with messages: what they say is erased, which rooms announce (XEP-0424); or, after that, archives keep
nothing of them at all, not even who wrote something when.
"""

PAGE: Final = 100
"""Rooms that are listed at once."""

_ITEMS: Final = 200


class Removed(NamedTuple):
    """
    What was removed.

    @ivar rooms: the number of rooms in which there was something besides messages.
    @ivar messages: the number of messages.
    """

    rooms: int
    messages: int


async def removePerson(handler: RoomHandler, account: JID, messages: str) -> Removed:
    """
    Remove a person from all rooms of a service, one after the other.

    @param messages: one of L{MESSAGES}; C{""}: they stay.
    @raise StoreError: if the rooms cannot be listed.
    @raise StanzaError: if one cannot be loaded or changed.
    """
    rooms = count = 0
    async for name in _rooms(handler):
        record = await handler.rooms.store.load(name)
        if record is not None and (
            account.bare in record.affiliates or any(personalrows.removable(account.bare, record.states))
        ):
            room = await handler.rooms.open(name)
            if room is not None:
                await handler.changeByService(room, partial(_plan, room, account.bare))
                rooms += 1
        if messages:
            count += await _removeMessages(handler, name, account.bare, messages)
        await deferLater(handler.parent.clock, 0)
    return Removed(rooms, count)


async def _rooms(handler: RoomHandler) -> AsyncIterator[str]:
    """The rooms of a service that are stored."""
    last = ""
    while names := await handler.rooms.store.names(last, PAGE):
        for last in names:
            if last.rpartition("@")[2] == handler.rooms.domain:
                yield last


def _plan(room: Room, account: str) -> PrivilegeChange:
    change = PrivilegeChange()
    entry = room.affiliations.entry(account)
    affiliation = affiliationOf(entry)
    if entry is not None and affiliation >= Affiliation.NONE:
        change.affiliates[account] = None
        if affiliation > Affiliation.NONE:
            change.reasons[account] = None
    change.states.update(dict.fromkeys(personalrows.removable(account, room.states)))
    return change


async def _removeMessages(handler: RoomHandler, name: str, account: str, how: str) -> int:
    extensions = list(handler.rooms.extensions)
    store = next((each.store for each in extensions if isinstance(each, RoomArchive)), None)
    moderation = next(each for each in extensions if isinstance(each, ModeratedRetraction))
    archived = store is not None and bool((await store.query(name, ArchiveQuery(author=account, limit=1))).items)
    count, complete = 0, not (archived or name in handler.rooms.live)
    while not complete:
        room = await handler.rooms.open(name)
        if room is None:
            break
        number, complete = await moderation.retractByService(room, account)
        count += number
    if how == REMOVE and store is not None:
        return max(count, await removeArchived(store, name, account))
    return count


async def removeArchived(store: IArchiveStore, name: str, account: str) -> int:
    """
    Remove all messages of an author from an archive.

    @return: how many there were.
    @raise StoreError: if the store fails.
    """
    count = 0
    while items := (await store.query(name, ArchiveQuery(author=account, limit=_ITEMS))).items:
        count += await store.remove(name, [item.id for item in items])
    return count
