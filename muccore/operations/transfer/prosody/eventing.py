# -*- test-case-name: tests.operations.transfer.prosody.test_eventing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What the accounts of Prosody publish by personal eventing (XEP-0163): by default it keeps vCards, avatars and bookmarks
there. C{pep/USER.dat} has the nodes, C{pep_NODE/USER.list} the items.
"""

from __future__ import annotations

from typing import Final

from muccore.operations.transfer.prosody.folder import LIST, DataFolder
from muccore.operations.transfer.prosody.luadata import LuaTable
from muccore.operations.transfer.prosody.stanzas import elementOf
from muccore.operations.transfer.prosody.vcards import VCARD4, vCardOf
from muccore.xmpp.element import Element

NODES: Final = "pep"
"""The store of nodes."""

ITEMS: Final = "pep_"
"""What the names of the stores of items begin with; the node follows."""

BOOKMARKS: Final = "urn:xmpp:bookmarks:1"
"""The node and the namespace of bookmarks (XEP-0402)."""

_VCARD: Final = "urn:xmpp:vcard4"
_AVATAR: Final = "urn:xmpp:avatar:data"
_METADATA: Final = "urn:xmpp:avatar:metadata"
_STORAGE: Final = "storage:bookmarks"
_READ: Final = frozenset((BOOKMARKS, _STORAGE, _VCARD, _AVATAR, _METADATA))


class Published:
    """What an account publishes."""

    def __init__(self, folder: DataFolder, host: str, name: str) -> None:
        self._folder = folder
        self._host = host
        self._name = name

    def vCard(self) -> Element | None:
        """
        The vCard with its avatar.

        @raise DataError: if it cannot be read.
        """
        metadata = self._last(_METADATA)
        info = None if metadata is None else next(metadata[1].childElements(), None)
        wanted = None if info is None else info.get("id")
        avatar = next((data for id, data in self._items(_AVATAR) if id == wanted), None)
        card = self._last(_VCARD)
        vcard4 = None if card is None or card[1].uri != VCARD4 else card[1]
        return vCardOf(vcard4, avatar, None if info is None else info.get("type"))

    def bookmarks(self) -> Element | None:
        """
        The bookmarks as private XML has them (XEP-0048), or C{None} if there are none.

        @raise DataError: if they cannot be read.
        """
        storage = Element((_STORAGE, "storage"))
        for address, found in self._items(BOOKMARKS):
            if (found.uri, found.name) == (BOOKMARKS, "conference"):
                made = storage.add("conference", jid=address)
                made.attributes.update((key, value) for key, value in found.attributes.items() if key != "jid")
                for field in ("nick", "password"):
                    text = found.childText(field)
                    if text:
                        made.add(field, text=text)
        if storage.children:
            return storage
        # As XEP-0048 itself has it published.
        last = self._last(_STORAGE)
        return None if last is None or (last[1].uri, last[1].name) != (_STORAGE, "storage") else last[1]

    def others(self) -> list[str]:
        """
        The nodes with items that are not read.

        @raise DataError: if they cannot be read.
        """
        nodes = self._folder.read(self._host, NODES, self._name)
        return sorted(
            node
            for node in (nodes.named if nodes is not None else ())
            if node not in _READ and self._folder.has(self._host, ITEMS + node, self._name, LIST)
        )

    def _last(self, node: str) -> tuple[str, Element] | None:
        items = self._items(node)
        return items[-1] if items else None

    def _items(self, node: str) -> list[tuple[str, Element]]:
        """The items of a node by their ids, each with what is published."""
        found = []
        for value in self._folder.readList(self._host, ITEMS + node, self._name):
            element = elementOf(value)
            id = value.text("key") if isinstance(value, LuaTable) else None
            found.append((id or "", element))
        return found
