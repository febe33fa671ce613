# -*- test-case-name: tests.muc.model.test_pastmessages -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The messages that were sent in a room: finding them, and replacing them by tombstones (XEP-0424 §4).

They are in the history of the room, and in what its extensions keep, such as an archive. Of some nothing is known but
who wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from muccore.muc.model.history import HistoryItem, SentMessage
from muccore.muc.model.retractions import isMereRetraction
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered

if TYPE_CHECKING:
    from muccore.muc.model.room import Room

SEARCHED: Final = 200
"""Among how many of an author's last messages corrections are found, and an id that the author has given."""

_CORRECT: Final = ns.CORRECT.encode()


@dataclass(frozen=True, slots=True)
class PastMessage:
    """
    A message that was sent in a room.

    @ivar id: its id in the room.
    @ivar account: the bare JID of its author; C{""} for the room itself, or if it is not known.
    @ivar messageId: the id that its author gave it; C{""} without one.
    @ivar when: its time, in seconds since the epoch.
    @ivar stanza: the message, perhaps with stamps; C{None} if its content is not kept.
    @ivar retracted: whether it is a tombstone.
    """

    id: str
    account: str
    messageId: str
    when: float
    stanza: Rendered | None = field(default=None, repr=False, compare=False)
    retracted: bool = False

    @property
    def element(self) -> Element | None:
        """The message, parsed; not to be changed."""
        return None if self.stanza is None else self.stanza.withoutElement().element

    @property
    def corrected(self) -> str:
        """The id of the message that it corrects (XEP-0308); C{""} if it is no correction, or retracted."""
        if self.stanza is None or _CORRECT not in self.stanza.tail:
            return ""
        element = self.stanza.withoutElement().element
        replace = element.child("replace", ns.CORRECT)
        return "" if replace is None else replace.attributes.get("id", "")


def _ofItem(item: HistoryItem) -> PastMessage:
    return PastMessage(item.id, item.account, item.messageId, item.when, item.rendered, item.retracted)


def _ofSent(sent: SentMessage) -> PastMessage:
    return PastMessage(sent.id, sent.account, sent.messageId, sent.when)


async def find(room: Room, id: str) -> PastMessage | None:
    """Find a message by its id in the room."""
    item = room.history.find(id)
    if item is not None:
        return _ofItem(item)
    found = await room.extensions.findMessage(room, id)
    if found is not None:
        return found
    return next((_ofSent(sent) for sent in room.history.recent() if sent.id == id), None)


async def findSent(room: Room, account: str, messageId: str) -> PastMessage | None:
    """
    Find the message to which an author gave an id, unless it is retracted. Of recent ones, the first decides, as in
    L{History.findSent}.
    """
    recent = room.history.findSent(messageId)
    if recent is not None:
        return await find(room, recent.id)
    found = await room.extensions.findMessagesBy(room, account, SEARCHED)
    return next((past for past in reversed(found) if past.messageId == messageId), None)


async def findBy(room: Room, account: str, limit: int) -> list[PastMessage]:
    """Find the last messages of an author that are neither retracted nor mere retractions, oldest first."""
    found = {sent.id: _ofSent(sent) for sent in room.history.recent() if sent.account == account}
    found.update((past.id, past) for past in await room.extensions.findMessagesBy(room, account, limit))
    found.update((item.id, _ofItem(item)) for item in room.history if item.account == account)
    known = [past for past in found.values() if not (past.retracted or isMereRetraction(past))]
    return sorted(known, key=lambda past: past.when)[-limit:]


async def findCorrections(room: Room, past: PastMessage) -> list[PastMessage]:
    """
    Find what is one message with another for those who read it: its corrections (XEP-0308), what it corrects itself,
    and so on.
    """
    if past.stanza is None or not past.account:
        return []
    left = [(other, other.corrected) for other in await findBy(room, past.account, SEARCHED) if other.id != past.id]
    found: list[PastMessage] = []
    corrected, corrections = {past.corrected} - {""}, {past.messageId} - {""}
    while True:
        related = [(each, id) for each, id in left if each.messageId in corrected or id in corrections]
        if not related:
            return found
        for each, id in related:
            found.append(each)
            left.remove((each, id))
            corrected |= {id} - {""}
            corrections |= {each.messageId} - {""}


async def replace(room: Room, tombstones: Mapping[str, Rendered | None]) -> None:
    """
    Replace messages by tombstones, wherever they are kept. It is durable before the history of the room changes.

    @param tombstones: id to the new stanza; C{None} if nothing is kept of the message anyway.
    @raise StoreError: if they are kept elsewhere, and that fails; then the room has not changed.
    """
    made = {id: tombstone for id, tombstone in tombstones.items() if tombstone is not None}
    if made:
        await room.extensions.replaceMessages(room, made)
    for item in room.history:
        if item.id in made:
            room.history.replace(item, made[item.id])
    room.history.forget(tombstones)
