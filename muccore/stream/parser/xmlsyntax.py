# -*- test-case-name: tests.stream.test_parser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
XML below the level of elements: setting up expat, finding the end of a token, checking the encoding, and mapping
errors of expat to stream errors (RFC 6120 §4.9.3, §11).
"""

from __future__ import annotations

import re
from typing import Final
from xml.parsers import expat

from muccore.xmpp.errors import StreamError

_TAG_STOP: Final = re.compile(b"[>'\"]")
_TAG: Final = re.compile(rb"<[^'\">]*+(?:'[^']*+'[^'\">]*+|\"[^\"]*+\"[^'\">]*+)*+>")
_BOM: Final = 0xEF
_NOT_UTF8: Final = frozenset([0x00, 0xFE, 0xFF])


def createExpat(separator: str | None = None) -> expat.XMLParserType:
    """
    Create an expat parser that reports a token with its last byte.

    By default expat 2.6 and later defers scanning an incomplete token again until its size has doubled, which could
    delay a stanza until the client sends the next one.

    @param separator: put between namespace and local name; C{None} switches off expat's namespace processing.
    """
    parser = expat.ParserCreate("utf-8", separator, intern=None)
    if hasattr(parser, "SetReparseDeferralEnabled"):
        parser.SetReparseDeferralEnabled(False)
    return parser


def hasReparseDeferral() -> bool:
    """
    Whether expat defers tokens all the same: Python before 3.11.9 or 3.12.3 cannot switch that off. This is tested
    rather than derived from the version, because distributions have backported the deferral to older expats.
    """
    parser = createExpat()
    reported: list[str] = []
    parser.StartElementHandler = lambda name, attributes: reported.append(name)
    parser.Parse(b"<stream")
    parser.Parse(b">")
    return not reported


class TokenScanner:
    """Finds the end of a token that comes in pieces, reading each byte once."""

    __slots__ = ("_closing", "_quote")

    def __init__(self) -> None:
        self._quote = b""
        self._closing = b""

    def begin(self, token: bytes) -> int:
        """
        Scan the first piece.

        @return: as L{find}.
        @raise StreamError: C{restricted-xml} for a comment, a declaration or a processing instruction.
        """
        if token.startswith((b"<!", b"<?")):
            raise StreamError("restricted-xml")
        if token.startswith(b"&"):
            self._closing = b";"
        elif token.startswith(b"</"):
            self._closing = b">"
        return self.find(token)

    def find(self, piece: bytes) -> int:
        """Scan another piece; return the index after the end of the token, or -1 if it goes on."""
        if self._closing:
            return piece.find(self._closing) + 1 or -1
        at = 0
        while True:
            if self._quote:
                at = piece.find(self._quote, at) + 1
                if not at:
                    return -1
                self._quote = b""
            stop = _TAG_STOP.search(piece, at)
            if stop is None:
                return -1
            at = stop.end()
            if stop[0] == b">":
                return at
            self._quote = stop[0]


def isEmptyTag(data: bytes) -> bool:
    """Whether the complete tag at the beginning of C{data} is an empty-element tag."""
    tag = _TAG.match(data)
    return tag is not None and data[tag.end() - 2 : tag.end()] == b"/>"


def checkEncoding(start: bytes) -> None:
    """
    Check the first one or two bytes of a stream, since some make expat switch to UTF-16 despite its settings.

    @raise StreamError: C{unsupported-encoding} for those; C{not-well-formed} for a byte order mark in UTF-8, which is
        a zero width no-break space here (RFC 6120 §11.6).
    """
    if start[0] in _NOT_UTF8 or start[1:] == b"\0":
        raise StreamError("unsupported-encoding")
    if start[0] == _BOM:
        raise StreamError("not-well-formed")


def xmlDeclared(version: str, encoding: str | None, standalone: int) -> None:
    """
    Handle the XML declaration.

    @raise StreamError: C{not-well-formed} for another version than 1.0, whose rules differ (RFC 6120 §4.1);
        C{unsupported-encoding} for any encoding but UTF-8 (RFC 6120 §11.6).
    """
    if version != "1.0":
        raise StreamError("not-well-formed")
    if encoding is not None and encoding.lower() != "utf-8":
        raise StreamError("unsupported-encoding")


_CONDITIONS: Final = {
    expat.errors.codes[message]: condition
    for message, condition in [
        (expat.errors.XML_ERROR_UNDEFINED_ENTITY, "restricted-xml"),
        (expat.errors.XML_ERROR_AMPLIFICATION_LIMIT_BREACH, "policy-violation"),
        (expat.errors.XML_ERROR_NO_MEMORY, "resource-constraint"),
    ]
}
"""The errors of expat that are not C{not-well-formed}."""

_INVALID_TOKEN: Final = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]


def streamErrorFor(error: expat.ExpatError, data: bytes) -> StreamError:
    """Map an error of expat, and the bytes from there on, to a stream error."""
    if error.code == _INVALID_TOKEN and _isNotUTF8(data):
        return StreamError("unsupported-encoding")
    return StreamError(_CONDITIONS.get(error.code, "not-well-formed"))


def _isNotUTF8(data: bytes) -> bool:
    """Whether data begins with bytes that no continuation makes UTF-8."""
    try:
        data[:4].decode("utf-8")
    except UnicodeDecodeError as e:
        return e.start == 0 and e.reason != "unexpected end of data"
    return False
