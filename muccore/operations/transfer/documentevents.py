# -*- test-case-name: tests.operations.transfer.test_documentsource -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
XML files that are read piece by piece: what was read is freed, so that a file of any size takes constant memory.

A document type is refused: it is of no use here, and lets entities blow up what they stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from muccore.operations.transfer.records import SourceError
from muccore.operations.transfer.xmlelements import SAFE

PIECE: Final = 64 * 1024
"""Bytes that are read at once."""

ELEMENT_LIMIT: Final = 64 * 1024 * 1024
"""Bytes of an element that is read as a whole, such as a roster."""


class ElementReader:
    """
    Reads one file.

    @ivar path: where it is.
    @ivar position: how many bytes have been read.
    @ivar root: the root element, as far as it was read.
    """

    def __init__(self, path: str) -> None:
        """@raise SourceError: if there is no root element."""
        self.path = path
        self.position = 0
        self._events = self._read()
        event = next(self._events, None)
        assert event is not None, "a file without a root element is an error"
        self.root = event[1]

    def _read(self) -> Iterator[tuple[str, Any]]:
        parser: Any = etree.XMLPullParser(events=("start", "end"), **SAFE)
        isFirst = True
        try:
            with open(self.path, "rb") as file:
                while piece := file.read(PIECE):
                    self.position += len(piece)
                    parser.feed(piece)
                    for event, node in parser.read_events():
                        if isFirst and node.getroottree().docinfo.internalDTD is not None:
                            raise SourceError(f"{self.path}: it has a document type, which is not allowed")
                        isFirst = False
                        yield event, node
                parser.close()
        except etree.XMLSyntaxError as e:
            raise SourceError(f"{self.path}: it is no well-formed XML: {e}") from None
        except OSError as e:
            raise SourceError(f"{self.path}: it cannot be read: {e.strerror}") from None
        yield from parser.read_events()

    def children(self, parent: Any) -> Iterator[Any]:
        """
        Yield the child elements of an element that has begun, when each begins. Whoever gets one has to read it, by
        L{children}, L{whole} or L{skip}, before the next; it is freed then.
        """
        for event, node in self._events:
            if event == "end":
                assert node is parent, "children are read to their ends"
                return
            yield node
            # Later ones stay where the parser expects them.
            node.clear(keep_tail=False)
            while node.getprevious() is not None:
                del parent[0]

    def whole(self, node: Any) -> Any:
        """
        Read an element to its end, and return it.

        @raise SourceError: if it is larger than L{ELEMENT_LIMIT}.
        """
        begin, depth = self.position, 1
        while depth:
            event, _ = next(self._events)
            depth += 1 if event == "start" else -1
            if self.position - begin > ELEMENT_LIMIT:
                raise SourceError(f"{self.path}: an element {node.tag} has more than {ELEMENT_LIMIT} bytes")
        return node

    def skip(self, node: Any) -> None:
        """Read an element to its end without keeping anything of it."""
        for child in self.children(node):
            self.skip(child)

    def line(self, node: Any) -> int:
        """The line in which an element begins."""
        return int(node.sourceline or 0)
