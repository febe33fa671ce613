# -*- test-case-name: tests.operations.transfer.test_documentsource -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Records from a document of XEP-0227, which may be split into several files (§5)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from lxml import etree
from zope.interface import implementer

from muccore.interfaces import ArchiveItem, PubSubItem
from muccore.operations.transfer.documentevents import ElementReader
from muccore.operations.transfer.documentparts import Parts, RoomParts, UserParts
from muccore.operations.transfer.nodeparts import NodeParts, checkNode
from muccore.operations.transfer.records import ISource, Messages, NodeItems, Problem, Record, SourceError
from muccore.operations.transfer.xmlelements import toElement
from muccore.xmpp import ns
from muccore.xmpp.jid import InvalidJID, make, prepareDomain

AT_ONCE: Final = 200
"""Messages of an archive, or items of a node, in one record."""

SIZE_AT_ONCE: Final = 1024 * 1024
"""Bytes of their stanzas or payloads, after which no further one joins them."""

_INCLUDE: Final = f"{{{ns.XINCLUDE}}}include"
_ARCHIVE: Final = f"{{{ns.PIE_MAM}}}archive"
_NODES: Final = f"{{{ns.PUBSUB_OWNER}}}pubsub"
_PUBLISHED: Final = f"{{{ns.PUBSUB}}}pubsub"
_ITEMS: Final = f"{{{ns.PUBSUB}}}items"
_DEPTH: Final = 4
"""Files that may include each other."""

Read = Callable[[ElementReader, Any], Iterator[Record]]
"""Reads an element that has begun, to its end."""


@implementer(ISource)
class DocumentSource:
    """
    A document.

    @ivar size: see L{ISource}; without files that it includes.
    @ivar position: likewise.
    @ivar unit: likewise.
    """

    unit = "B"

    def __init__(self, path: str) -> None:
        """
        @param path: its main file.
        @raise SourceError: if that cannot be found.
        """
        self._path = path
        self._folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
        self._main: ElementReader | None = None
        try:
            self.size: int | None = os.stat(path).st_size
        except OSError as e:
            raise SourceError(f"{path}: it cannot be read: {e.strerror}") from None

    @property
    def position(self) -> int:
        """See L{ISource}."""
        return 0 if self._main is None else self._main.position

    def records(self) -> Iterator[Record]:
        """See L{ISource.records}."""
        self._main = reader = ElementReader(self._path)
        if reader.root.tag != _pie("server-data"):
            raise SourceError(f"{self._path}: it is no document of XEP-0227, but {reader.root.tag}")
        for child in self._children(reader, reader.root, 0):
            yield from self._child(*child, _pie("host"), self._host)

    # Structure

    def _children(
        self, reader: ElementReader, parent: Any, depth: int
    ) -> Iterator[tuple[ElementReader, Any, int, Problem | None]]:
        """The child elements of one, with the files that they are in, and what was wrong with an inclusion."""
        for child in reader.children(parent):
            if child.tag != _INCLUDE:
                yield reader, child, depth, None
                continue
            href, other = child.get("href"), child.get("parse") or child.get("xpointer")
            reader.skip(child)
            included = None if href is None or other else self._included(reader, href)
            if included is None or depth >= _DEPTH:
                yield reader, None, depth, Problem("", f"the file {href!r}", "such inclusions are not allowed")
            else:
                yield included, included.root, depth + 1, None

    def _included(self, reader: ElementReader, href: str) -> ElementReader | None:
        """Open a file that is included; C{None} unless it is in the folder of the main one, or below."""
        parts = urlsplit(href)
        if parts.scheme or parts.netloc or parts.query or parts.fragment or not parts.path:
            return None
        path = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(reader.path)), unquote(parts.path)))
        if os.path.commonpath([path, self._folder]) != self._folder or "\0" in path:
            return None
        return ElementReader(path)

    def _child(
        self, reader: ElementReader, child: Any, depth: int, problem: Problem | None, tag: str,
        read: Callable[[ElementReader, Any, int], Iterator[Record]],
    ) -> Iterator[Record]:  # fmt: skip
        """Read a child that has to have a name; another one is a problem."""
        if problem is not None:
            yield problem
        elif child.tag != tag:
            yield Problem("", child.tag, f"this server does not know it (line {reader.line(child)})")
            reader.skip(child)
        else:
            yield from read(reader, child, depth)

    def _host(self, reader: ElementReader, node: Any, depth: int) -> Iterator[Record]:
        try:
            domain = prepareDomain(node.get("jid") or "")
        except InvalidJID as e:
            yield Problem("", f"the host {node.get('jid')!r}", str(e), True)
            reader.skip(node)
            return

        def user(reader: ElementReader, node: Any, depth: int) -> Iterator[Record]:
            return self._entity(reader, node, depth, domain, UserParts)

        def room(reader: ElementReader, node: Any, depth: int) -> Iterator[Record]:
            return self._entity(reader, node, depth, domain, RoomParts)

        for child in self._children(reader, node, depth):
            isRoom = child[1] is not None and child[1].tag == _pie("room")
            yield from self._child(*child, *((_pie("room"), room) if isRoom else (_pie("user"), user)))

    def _entity(
        self, reader: ElementReader, node: Any, depth: int, domain: str, kind: type[UserParts] | type[RoomParts]
    ) -> Iterator[Record]:
        """Read an account or a room."""
        name, password = node.get("name") or "", node.get("password")
        try:
            if not name:
                raise InvalidJID("it has no name")
            address = make(name, domain).bare
        except InvalidJID as e:
            yield Problem("", f"{name!r} at {domain}", str(e), True)
            reader.skip(node)
            return
        parts = kind(address)
        if isinstance(parts, UserParts) and password is not None:
            parts.addPassword(password)
        isFirst = True
        for file, child, _, problem in self._children(reader, node, depth):
            if problem is not None:
                yield problem
            elif child.tag == _ARCHIVE or (isinstance(parts, UserParts) and child.tag in (_NODES, _PUBLISHED)):
                if isFirst or parts.found:
                    yield parts.record()
                    isFirst = False
                read = {_ARCHIVE: self._archive, _NODES: self._nodes, _PUBLISHED: self._published}[child.tag]
                yield from read(file, child, parts)
            else:
                parts.add(toElement(file.whole(child)))
            yield from parts.takeProblems()
        if isFirst or parts.found:
            yield parts.record()

    def _archive(self, reader: ElementReader, node: Any, parts: Parts) -> Iterator[Record]:
        items: list[ArchiveItem] = []
        size = 0
        for child in reader.children(node):
            if isinstance(child.tag, str):
                item = parts.archived(toElement(reader.whole(child)))
                yield from parts.takeProblems()
                if item is not None:
                    items.append(item)
                    size += len(item.stanza.tail)
            if len(items) >= AT_ONCE or size > SIZE_AT_ONCE:
                yield Messages(parts.address, tuple(items))
                items, size = [], 0
        if items:
            yield Messages(parts.address, tuple(items))

    def _nodes(self, reader: ElementReader, node: Any, parts: Parts) -> Iterator[Record]:
        """Read nodes without their items."""
        nodes = NodeParts(parts.address, parts.refuse)
        for child in reader.children(node):
            if isinstance(child.tag, str):
                yield from nodes.add(toElement(reader.whole(child)))
                yield from parts.takeProblems()
        yield from nodes.finish()

    def _published(self, reader: ElementReader, node: Any, parts: Parts) -> Iterator[Record]:
        """Read items of nodes."""
        for child in reader.children(node):
            try:
                if child.tag != _ITEMS:
                    raise ValueError("this server does not know it")
                name = checkNode(child.get("node"))
            except ValueError as e:
                if isinstance(child.tag, str):
                    parts.refuse(child.tag, str(e))
                    reader.skip(child)
            else:
                yield from self._items(reader, child, name, parts)
            yield from parts.takeProblems()

    def _items(self, reader: ElementReader, node: Any, name: str, parts: Parts) -> Iterator[Record]:
        nodes = NodeParts(parts.address, parts.refuse)
        items: list[PubSubItem] = []
        size = 0
        for child in reader.children(node):
            if isinstance(child.tag, str):
                item = nodes.itemIn(name, toElement(reader.whole(child)))
                yield from parts.takeProblems()
                if item is not None:
                    items.append(item)
                    size += len(item.payload)
            if len(items) >= AT_ONCE or size > SIZE_AT_ONCE:
                yield NodeItems(parts.address, name, tuple(items))
                items, size = [], 0
        if items:
            yield NodeItems(parts.address, name, tuple(items))


def _pie(name: str) -> str:
    return str(etree.QName(ns.PIE, name))
