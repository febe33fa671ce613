# -*- test-case-name: tests.testing.test_scansion_reader -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A strict parser of a server's stream into lxml elements.

It uses expat: lxml's own pull parser silently continues after some of the mistakes that a test has to find (a bare
ampersand, an undeclared prefix).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast
from xml.parsers import expat

from lxml import etree

from muccore.stream.parser.xmlsyntax import createExpat
from muccore.xmpp import ns

_PREFIXES: Final = {ns.STREAM: "stream"}


class _Restricted(Exception):
    """XML that is not allowed in a stream (RFC 6120 §11.1)."""


def _name(name: str) -> str:
    uri, separator, local = name.rpartition(" ")
    return f"{{{uri}}}{local}" if separator else local


class StreamReader:
    """Reads one stream to its end. After an C{error}, which says why this is not an XMPP stream, nothing is read."""

    def __init__(self) -> None:
        self.error: str | None = None
        self._open: list[etree._Element] = []
        self._depth = 0
        self._found: list[etree._Element | None] = []
        parser = createExpat(" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._restricted("a document type")
        parser.CommentHandler = self._restricted("a comment")
        parser.ProcessingInstructionHandler = self._restricted("a processing instruction")
        self._parser = parser

    def feed(self, data: bytes) -> list[etree._Element | None]:
        """Parse bytes; return what is complete now, also before an error, and C{None} for the stream's end."""
        if self.error is None:
            try:
                self._parser.Parse(data, False)
            except expat.ExpatError as e:
                self.error = f"what the server sent is not XML: {e}"
            except _Restricted as e:
                self.error = f"the server sent {e}, which is not allowed in a stream"
        found, self._found = self._found, []
        return found

    @staticmethod
    def _restricted(what: str) -> Callable[..., None]:
        def refuse(*_: object) -> None:
            raise _Restricted(what)

        return refuse

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            if name != f"{ns.STREAM} stream":
                raise _Restricted(f"<{_name(name)}> instead of a stream")
            return
        uri = name.rpartition(" ")[0]
        prefixes: dict[str | None, str] = {_PREFIXES.get(uri): uri} if uri else {}
        element = etree.Element(
            _name(name),
            {_name(key): value for key, value in attributes.items()},
            # The stubs do not know default namespaces.
            nsmap=cast(dict[str, str], prefixes),
        )
        if self._open:
            self._open[-1].append(element)
        self._open.append(element)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._found.append(None)
            return
        element = self._open.pop()
        if not self._open:
            etree.cleanup_namespaces(element)
            self._found.append(element)

    def _text(self, text: str) -> None:
        if not self._open:
            # White space between stanzas is a keepalive.
            if text.strip():
                raise _Restricted("text outside of any stanza")
            return
        element = self._open[-1]
        if len(element):
            element[-1].tail = (element[-1].tail or "") + text
        else:
            element.text = (element.text or "") + text
