# -*- test-case-name: tests.pubsub.model.test_bookmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The two forms of bookmarks: elements in a list (XEP-0048), and items of their own (XEP-0402 §4.3)."""

from __future__ import annotations

from collections.abc import Iterable

from muccore.pubsub.model.publication import NAME_LIMIT
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import InvalidJID

_ATTRIBUTES = ("name", "autojoin")
_CHILDREN = ("nick", "password")
_TRUE = ("1", "true")


def isConference(child: Element) -> bool:
    """Whether an element in a list is the bookmark of a room; it may be that of a web page."""
    return (child.uri, child.name) == (ns.BOOKMARKS_STORAGE, "conference")


def toItems(conferences: Iterable[Element]) -> dict[str, Element]:
    """
    Convert bookmarks in a list: by the address of the room, the first of each. Those without an address that is valid
    are left out. What is no part of either form is kept among the extensions.
    """
    found: dict[str, Element] = {}
    for conference in conferences:
        try:
            room = jid.parse(conference.get("jid") or "").bare
        except InvalidJID:
            continue
        if room in found or len(room.encode()) > NAME_LIMIT:
            continue
        item = found[room] = Element((ns.BOOKMARKS, "conference"))
        item.attributes.update(
            {name: conference.attributes[name] for name in _ATTRIBUTES if name in conference.attributes}
        )
        extensions: list[Element] = []
        for child in conference.childElements():
            if child.uri == ns.BOOKMARKS_STORAGE and child.name in _CHILDREN:
                item.add(child.name, text=child.text())
            elif (child.uri, child.name) == (ns.BOOKMARKS_STORAGE, "extensions"):
                extensions.extend(child.childElements())
            elif child.uri != ns.BOOKMARKS_STORAGE:
                extensions.append(child)
        if extensions:
            item.add("extensions").children.extend(extensions)
    return found


def toConference(room: str, item: Element) -> Element:
    """Convert an item to a bookmark in a list."""
    conference = Element((ns.BOOKMARKS_STORAGE, "conference"), None, {"jid": room})
    conference.attributes.update({name: item.attributes[name] for name in _ATTRIBUTES if name in item.attributes})
    for child in item.childElements():
        if child.uri == ns.BOOKMARKS and child.name in _CHILDREN:
            conference.add(child.name, text=child.text())
        elif (child.uri, child.name) == (ns.BOOKMARKS, "extensions"):
            conference.add("extensions").children.extend(child.children)
    return conference


def isBookmark(item: Element) -> bool:
    """Whether the payload of an item is a bookmark."""
    return (item.uri, item.name) == (ns.BOOKMARKS, "conference")


def isSame(one: Element, other: Element) -> bool:
    """Whether two bookmarks as items say the same of a room, as far as both forms can say it."""
    return _essence(one) == _essence(other)


def _essence(item: Element) -> tuple[str | None, ...]:
    autojoin = "1" if item.get("autojoin") in _TRUE else "0"
    return (item.get("name"), autojoin, *(item.childText(name) for name in _CHILDREN))


def merged(new: Element, old: Element | None) -> Element:
    """A bookmark that was changed in a list: extensions, which older clients do not keep, stay."""
    if old is not None and new.child("extensions") is None:
        extensions = old.child("extensions")
        if extensions is not None:
            new.children.append(extensions)
    return new
