# -*- test-case-name: tests.operations.transfer.prosody.test_eventing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The vCard that an account of Prosody publishes by personal eventing (XEP-0163), where Prosody keeps it by default, with
the avatar. C{pep/USER.dat} has the nodes, C{pep_NODE/USER.list} the items.
"""

from __future__ import annotations

from typing import Final

from muccore.operations.transfer.prosody.folder import DataFolder
from muccore.operations.transfer.prosody.luadata import LuaTable
from muccore.operations.transfer.prosody.stanzas import elementOf
from muccore.operations.transfer.prosody.vcards import VCARD4, vCardOf
from muccore.xmpp.element import Element

NODES: Final = "pep"
"""The store of nodes."""

ITEMS: Final = "pep_"
"""What the names of the stores of items begin with; the node follows."""

_VCARD: Final = "urn:xmpp:vcard4"
_AVATAR: Final = "urn:xmpp:avatar:data"
_METADATA: Final = "urn:xmpp:avatar:metadata"


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
