# -*- test-case-name: tests.operations.transfer.test_documentwriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Records as a document of XEP-0227, written as they come. Rooms are in the shape that is proposed for it: C{<room/>} in
the C{<host/>} of their service, with what clients would send to configure them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, Final

from lxml import etree

from muccore.operations.transfer.documentnodes import messageNode, qualified, roomNodes, userNodes
from muccore.operations.transfer.nodeelements import itemElement, nodeElements
from muccore.operations.transfer.records import Messages, NodeItems, Problem, Record, Room, User, UserNode
from muccore.xmpp import jid, ns
from muccore.xmpp.specs import Spec

implements: Final = (
    Spec(227, "Portable Import/Export Format for XMPP-IM Servers", "1.1", "With rooms, as proposed."),
)


class DocumentWriter:
    """Writes a document."""

    def __init__(self, file: BinaryIO) -> None:
        """@param file: the document is appended to it; who has opened it closes it."""
        self._root, self._host, self._entity, self._part, self._items = (ExitStack() for _ in range(5))
        self._xml = self._root.enter_context(etree.xmlfile(file, encoding="utf-8"))
        self._xml.write_declaration()
        self._root.enter_context(self._xml.element(qualified("server-data"), nsmap={None: ns.PIE}))
        self._domain = self._address = ""
        self._isRoom = False
        self._open: tuple[Any, ...] = ()

    def write(self, record: Record) -> list[Problem]:
        """
        Write the next record, or nothing for a problem.

        @return: what of it cannot be written.
        """
        if isinstance(record, Messages):
            return self._writeMessages(record)
        if isinstance(record, UserNode):
            return self._writeNode(record)
        if isinstance(record, NodeItems):
            return self._writeItems(record)
        if isinstance(record, Problem):
            return []
        address = record.account if isinstance(record, User) else record.room
        try:
            # Before it is begun.
            nodes = list(userNodes(record) if isinstance(record, User) else roomNodes(record))
        except ValueError as e:
            self._endEntity()
            return [Problem(address, "all of it", f"it cannot be written as XML: {e}", True)]
        self._begin(address, isinstance(record, Room))
        self.append(*nodes)
        return []

    def append(self, *nodes: Any) -> None:
        """Write further elements into the account or room that is open."""
        self._endPart()
        for node in nodes:
            self._xml.write(node)

    @contextmanager
    def within(self, name: str, uri: str, **attributes: str) -> Iterator[None]:
        """What is appended inside is in a further element of the account or room that is open, or of one like this."""
        self._endPart()
        prefixes = {None: uri}
        with self._xml.element(qualified(name, uri), attributes, nsmap=prefixes):
            yield

    def finish(self) -> None:
        """Write the end of the document; nothing may follow."""
        self._endEntity()
        self._host.close()
        self._xml.write("\n")
        self._root.close()

    def _begin(self, address: str, isRoom: bool) -> None:
        if address == self._address:
            return
        self._endEntity()
        found = jid.parse(address)
        if found.domain != self._domain:
            self._host.close()
            self._xml.write("\n")
            self._host.enter_context(self._xml.element(qualified("host"), jid=found.domain))
            self._domain = found.domain
        self._xml.write("\n")
        name = "room" if isRoom else "user"
        self._entity.enter_context(self._xml.element(qualified(name), name=found.local))
        self._address, self._isRoom = address, isRoom

    def _endEntity(self) -> None:
        self._endPart()
        self._entity.close()
        self._address = ""

    def _beginPart(self, name: str, uri: str, node: str | None = None) -> None:
        """What is written from now on is in a part that several records may be in, and in the items of a node there."""
        if self._open[:2] != (name, uri):
            self._endPart()
            self._part.enter_context(self._xml.element(qualified(name, uri), nsmap={None: uri}))
        if self._open != (name, uri, node):
            self._items.close()
            if node is not None:
                self._items.enter_context(self._xml.element(qualified("items", uri), node=node))
            self._open = name, uri, node

    def _endPart(self) -> None:
        self._items.close()
        self._part.close()
        self._open = ()

    def _writeNode(self, record: UserNode) -> list[Problem]:
        if record.account != self._address:
            return []
        try:
            nodes = list(nodeElements(record.node, record.content))
        except ValueError as e:
            return [_impossible(record.account, f"the node {record.node!r}", e)]
        self._beginPart("pubsub", ns.PUBSUB_OWNER)
        for node in nodes:
            self._xml.write(node)
        return []

    def _writeItems(self, record: NodeItems) -> list[Problem]:
        if record.account != self._address:
            return []
        problems = []
        for item in record.items:
            try:
                node = itemElement(item)
            except ValueError as e:
                problems.append(_impossible(record.account, f"an item of the node {record.node!r}", e))
                continue
            self._beginPart("pubsub", ns.PUBSUB, record.node)
            self._xml.write(node)
        return problems

    def _writeMessages(self, messages: Messages) -> list[Problem]:
        if messages.archive != self._address:
            # What it belongs to could not be written.
            return []
        problems = []
        for item in messages.items:
            try:
                node = messageNode(item, self._isRoom)
            except ValueError as e:
                problems.append(_impossible(messages.archive, "a message in the archive", e))
                continue
            self._beginPart("archive", ns.PIE_MAM)
            self._xml.write(node)
        return problems


def _impossible(subject: str, what: str, error: ValueError) -> Problem:
    return Problem(subject, what, f"it cannot be written as XML: {error}")
