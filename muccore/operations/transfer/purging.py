# -*- test-case-name: tests.operations.transfer.test_purging -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{muccorectl purge-user}: removes everything that belongs to a person. The running server is asked for it
(L{muccore.muc.protocol.personremoval}); while none runs, this is done for accounts of this server, and what has to be
announced is left to its next start, as for any account that is deleted.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Final

from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.interfaces import IArchiveStore, RoomChange, RoomRecord
from muccore.muc.extensions.archivedmessages import pastMessageOf
from muccore.muc.model import personalrows, retractions
from muccore.muc.model.roomsize import sizeOf
from muccore.muc.protocol.personremoval import MESSAGES, REMOVE, removeArchived
from muccore.operations.progress import Progress
from muccore.operations.refused import Refused
from muccore.operations.transfer.openstores import checkReadable, opened
from muccore.operations.transfer.storereader import archived, paged
from muccore.server.controloperations import toldOfRooms
from muccore.server.stores import ServerStores
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.uniqueids import newId

NAME: Final = "purge-user"
HELP: Final = "remove everything that belongs to a person: the account, and what rooms have of them"


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.add_argument("user", metavar="JID", help="the address of the person, of this server or another")
    parser.add_argument(
        "--messages", choices=MESSAGES, default="",
        help="what to do with their messages in rooms, which otherwise stay: retract what they say, or remove them "
        "wholly from the archives, too",
    )  # fmt: skip


async def purgeRooms(settings: Settings, person: JID, how: str) -> list[str]:
    """
    Remove rows and messages of an account from all rooms, while no server runs. Affiliations are removed with the
    account.

    @param how: what is done with messages, one of L{MESSAGES}; C{""}: they stay.
    @return: a line about it.
    @raise Refused: if it is no account of this server.
    @raise StoreError: if a store fails.
    """
    checkReadable(settings)
    if person.domain not in [host.domain for host in settings.hosts]:
        raise Refused(f"{person}: start the server first: it has to tell rooms of what users of other servers lose")
    stores = ServerStores(settings, globalReactor())
    rooms = messages = 0
    async with opened(stores, False):
        names = [name async for name in paged(stores.rooms.names)]
        with Progress(NAME, len(names), "rooms") as progress:
            for number, name in enumerate(names):
                record = await stores.rooms.load(name)
                if record is not None and await _removeRows(stores, name, record, person.bare):
                    rooms += 1
                if how and stores.archive is not None:
                    messages += await _removeMessages(stores.archive, name, person.bare, how)
                progress.advance(number + 1)
    return [toldOfRooms(person, rooms, messages, how)]


async def _removeRows(stores: ServerStores, name: str, record: RoomRecord, account: str) -> bool:
    """Remove the rows of an account from a room; return whether it was in there."""
    places = list(personalrows.removable(account, record.states))
    if places:
        states = {
            extension: {key: value for key, value in rows.items() if (extension, key) not in places}
            for extension, rows in record.states.items()
        }
        growth = sizeOf(replace(record, states=states)) - sizeOf(record)
        await stores.rooms.change(name, RoomChange(states=dict.fromkeys(places), growth=growth))
    return bool(places) or account in record.affiliates


async def _removeMessages(store: IArchiveStore, name: str, account: str, how: str) -> int:
    if how == REMOVE:
        return await removeArchived(store, name, account)
    count = 0
    async for messages in archived(store, name, author=account):
        tombstones: dict[str, Rendered] = {}
        for item in messages.items:
            past = pastMessageOf(item)
            made = None if item.retracted else retractions.tombstone(past, name, newId(), time.time())
            if made is not None:
                tombstones[item.id] = made
        count += await store.retract(name, tombstones)
    return count
