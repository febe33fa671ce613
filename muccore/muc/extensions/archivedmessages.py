# -*- test-case-name: tests.muc.extensions.test_archivedmessages -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The archived messages of a room as what rooms know of past messages: for its history, and to be retracted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from muccore.interfaces import ArchiveItem, ArchiveQuery, IArchiveStore
from muccore.muc.model.history import HistoryItem
from muccore.muc.model.pastmessages import PastMessage
from muccore.muc.model.retractions import isMereRetraction
from muccore.muc.model.room import Room
from muccore.muc.model.storing import isKept
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.retractions import isRetraction

PAGES: Final = 50
"""Pages that are searched for messages of an author, however many of them are tombstones."""

HISTORY_PAGES: Final = (500, 500, 500)
"""
Sizes of the further pages in which the history is searched, if the first does not have it all: retracting everything
that a user wrote leaves up to 1000 announcements in the archive.
"""


async def find(store: IArchiveStore, room: str, id: str) -> PastMessage | None:
    """Find a message of a room by its id."""
    item = await store.get(room, id)
    return None if item is None else pastMessageOf(item)


async def findBy(store: IArchiveStore, room: str, account: str, limit: int) -> Sequence[PastMessage]:
    """
    Find the last messages of an author that are not retracted, oldest first. Mere retractions are among them, but do
    not count: however many an author sends, they must not displace the messages that moderators look for.
    """
    found: list[PastMessage] = []
    before, left = "", limit
    for _ in range(PAGES):
        page = await store.query(room, ArchiveQuery(author=account, before=before, limit=limit))
        for item in reversed(page.items):
            if left and not item.retracted:
                past = pastMessageOf(item)
                found.append(past)
                left -= not isMereRetraction(past)
        if page.complete or not left:
            break
        before = page.items[0].id
    found.reverse()
    return found


async def restoreHistory(store: IArchiveStore, room: Room) -> None:
    """
    Fill the history of a room that is being loaded. Of what was retracted nothing returns. Retractions do, for clients
    that know the message; but not those of moderators, who retract hundreds at once.
    """
    length = room.settings.historyLength
    found: list[HistoryItem] = []
    before = ""
    # Some are no part of the history, such as new subjects.
    for size in (2 * length, *HISTORY_PAGES):
        page = await store.query(room.jid.bare, ArchiveQuery(before=before, limit=size))
        found[:0] = [each for each in map(_historyItem, page.items) if each is not None]
        if page.complete or len(found) >= length:
            break
        before = page.items[0].id
    for each in found[-length:]:
        room.history.restore(each)


def pastMessageOf(item: ArchiveItem) -> PastMessage:
    """An archived message as a past one."""
    messageId = item.stanza.id or ""
    return PastMessage(item.id, item.author, messageId, item.time / MICROSECONDS, item.stanza, item.retracted)


def _historyItem(item: ArchiveItem) -> HistoryItem | None:
    """C{None} if it is no part of the history."""
    if item.retracted:
        return None
    element = item.stanza.element
    if not isKept(element) or (not item.author and isRetraction(element)):
        return None
    delayed = element.child("delay", ns.DELAY) is not None
    stanza, messageId = item.stanza.withoutElement(), item.stanza.id or ""
    return HistoryItem(item.id, item.time / MICROSECONDS, item.author, stanza, delayed, messageId)
