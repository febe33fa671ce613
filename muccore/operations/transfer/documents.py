# -*- test-case-name: tests.operations.transfer.test_storewriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the store of documents has of an account, as the parts of a record, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from muccore.im import archivesettings, offlinedocuments, privatestorage
from muccore.im.archivepreferences import ArchivePreferences
from muccore.im.userstate import BLOCKED, CARD, PHOTO, VCARD
from muccore.im.vcards import avatarHash
from muccore.operations.transfer.records import OfflineMessage, User
from muccore.operations.transfer.xmlelements import nodeOf, parseElement
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered, render, toAttribute

Documents = Mapping[tuple[str, str], bytes]
"""Contents by kind and key."""

_PREFERENCES: Final = (archivesettings.KIND, archivesettings.KEY)


def partsOf(documents: Documents) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """
    The parts of a L{User} that documents are.

    @return: the parts, and what cannot be understood, with the reason.
    """
    parts: dict[str, Any] = {"private": [], "blocked": set(), "offline": [], "documents": {}}
    problems = []
    for (kind, key), content in sorted(documents.items()):
        try:
            _addPart(parts, kind, key, content)
        except ValueError as e:
            problems.append((f"the document {kind} {key}", str(e)))
    found = {**parts, "private": tuple(parts["private"]), "blocked": frozenset(parts["blocked"]),
             "offline": tuple(parts["offline"])}  # fmt: skip
    return found, problems


def _addPart(parts: dict[str, Any], kind: str, key: str, content: bytes) -> None:
    if kind == privatestorage.KIND:
        parts["private"].append(parseElement(content, ns.PRIVATE))
    elif kind == BLOCKED:
        parts["blocked"].add(key)
    elif kind == offlinedocuments.KIND:
        message = offlinedocuments.messageIn(content)
        # It has to be XML for others as well.
        nodeOf(message)
        parts["offline"].append(OfflineMessage(offlinedocuments.timeOf(key), message))
    elif (kind, key) == (VCARD, CARD):
        parts["vCard"] = parseElement(content)
    elif (kind, key) == _PREFERENCES:
        parts["archiving"] = ArchivePreferences.decode(content)
    elif (kind, key) != (VCARD, PHOTO):
        # What is left out follows from the vCard.
        parts["documents"][kind, key] = content


def documentsOf(user: User) -> dict[tuple[str, str], bytes]:
    """The documents of an account, but for its offline messages."""
    made = dict(user.documents)
    for element in user.private:
        made[privatestorage.KIND, privatestorage.keyOf(element)] = render(element, ns.PRIVATE)
    if user.vCard is not None:
        made[VCARD, CARD] = render(user.vCard)
        made[VCARD, PHOTO] = avatarHash(user.vCard).encode()
    made.update({(BLOCKED, address): b"" for address in user.blocked})
    if user.archiving is not None:
        made[_PREFERENCES] = user.archiving.encode()
    return made


def offlineDocuments(messages: Iterable[OfflineMessage], present: Documents) -> dict[tuple[str, str], bytes]:
    """
    The documents of offline messages, in their order.

    @param present: those that are there already; what is among them is left out.
    """
    made: dict[tuple[str, str], bytes] = {}
    for number, each in enumerate(messages):
        content = offlinedocuments.contentOf(each.message.attributes["to"], Rendered.of(each.message))
        while True:
            place = offlinedocuments.KIND, offlinedocuments.keyOf(each.time, number)
            if present.get(place) == content:
                break
            if place not in present and place not in made:
                made[place] = content
                break
            number += 1
    return made


def messageContent(message: Element) -> Rendered:
    """A message as archives of accounts have it: with its C{to} in the tail."""
    rendered = Rendered.of(message)
    return Rendered(rendered.head, toAttribute(message.attributes["to"]) + rendered.tail)
