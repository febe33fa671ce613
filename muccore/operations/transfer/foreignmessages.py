# -*- test-case-name: tests.operations.transfer.test_foreignmessages -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Messages that another server has stored: those in archives of accounts and rooms, and those that wait for a user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from muccore.interfaces import ArchiveItem
from muccore.operations.transfer.foreignelements import withoutChildren
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.records import Messages, Problem
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, InvalidJID, parse
from muccore.xmpp.rendering import Rendered, toAttribute

BATCH: Final = 200
"""The messages in a record."""


_RETRACTED: Final = frozenset((ns.RETRACT, ns.RETRACT_0))


_T = TypeVar("_T")


@dataclass
class StoredMessage:
    """
    A stored message.

    @ivar element: the message.
    @ivar time: when it was stored, in microseconds since the epoch.
    @ivar id: the id that its archive has given it.
    @ivar author: the bare JID of who has written it; C{""} if only the message can tell it.
    """

    element: Element
    time: int
    id: str
    author: str = ""


def messages(
    archive: str, values: Iterable[_T], makeItem: Callable[[_T, int], ArchiveItem | None]
) -> Iterator[Messages | Problem]:
    """
    Read an archive.

    @param values: its content; they end with L{DataError} if it cannot be read to its end.
    @param makeItem: makes an item of a value and its number, from 1; C{None} for what is no part of an archive of ours.
        It may raise L{DataError} and L{InvalidJID<muccore.xmpp.jid.InvalidJID>}.
    """
    items: list[ArchiveItem] = []
    refused: dict[str, int] = {}
    number = 0
    torn: Problem | None = None
    try:
        for value in values:
            number += 1
            try:
                item = makeItem(value, number)
            except (DataError, InvalidJID) as error:
                refused[str(error)] = refused.get(str(error), 0) + 1
                continue
            if item is not None:
                items.append(item)
            if len(items) == BATCH:
                yield Messages(archive, tuple(items))
                items = []
    except DataError as error:
        torn = Problem(archive, f"archive after {number} messages", str(error))
    if items:
        yield Messages(archive, tuple(items))
    yield from (Problem(archive, f"{count} archived messages", reason) for reason, count in refused.items())
    if torn is not None:
        yield torn


def accountItem(found: StoredMessage, account: JID) -> ArchiveItem | None:
    """
    Make an item of the archive of an account.

    @raise InvalidJID: if an address is invalid.
    """
    message = found.element
    if message.name != "message":
        return None
    sender = parse(message.attributes.get("from") or account.bare)
    recipient = parse(message.attributes.setdefault("to", account.bare))
    other = recipient if sender.bare == account.bare else sender
    _removeIds(message, account.bare)
    rendered = Rendered.of(message)
    kept = Rendered(rendered.head, toAttribute(message.attributes["to"]) + rendered.tail)
    text, retracted = message.childText("body") or "", _isTombstone(message)
    return ArchiveItem(found.id, found.time, other.full, sender.bare, kept, text, retracted)


def roomItem(found: StoredMessage, room: JID) -> ArchiveItem | None:
    """
    Make an item of the archive of a room, without what tells occupants from each other to those who may not know.

    @raise InvalidJID: if an address is invalid.
    """
    message = found.element
    if message.name != "message" or message.attributes.get("type") != "groupchat":
        return None
    sender = parse(message.attributes.get("from") or room.bare)
    if sender.bare != room.bare:
        raise DataError("it is from another room")
    message.attributes.pop("to", None)
    author = found.author
    for x in [each for each in message.childElements() if (each.uri, each.name) == (ns.MUC_USER, "x")]:
        item = x.child("item")
        if item is not None and item.get("jid"):
            author = parse(item.attributes["jid"]).bare
        withoutChildren(message, [x])
    _removeIds(message, room.bare)
    message.add("stanza-id", ns.STANZA_ID, by=room.bare, id=found.id)
    text, retracted = message.childText("body") or "", _isTombstone(message)
    return ArchiveItem(found.id, found.time, sender.full, author, Rendered.of(message), text, retracted)


def addDelay(message: Element, by: str, time: int) -> None:
    """
    Stamp a message that is delivered late (XEP-0203), unless it has a stamp.

    @param time: in microseconds since the epoch.
    """
    if message.child("delay", ns.DELAY) is None:
        message.add("delay", ns.DELAY, **{"from": by, "stamp": stamp(time / MICROSECONDS)})


def _removeIds(message: Element, by: str) -> None:
    """Remove the ids that an archive has given a message: what has them again is what is read of it."""
    withoutChildren(
        message,
        [
            each
            for each in message.childElements()
            if (each.uri, each.name) == (ns.STANZA_ID, "stanza-id") and each.get("by") == by
        ],
    )


def _isTombstone(message: Element) -> bool:
    """Whether it only tells that a message was retracted (XEP-0424), perhaps by a moderator (XEP-0425)."""
    return any(
        each.name == "retracted" and each.uri in _RETRACTED
        for child in message.childElements()
        for each in (child, *(child.childElements() if child.name == "moderated" else ()))
    )
