# -*- test-case-name: tests.stream.test_parser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What the parser has to know of XML below the elements: how expat is set up, where a token ends that is not complete, in
which encoding the bytes are, and which stream error an error of expat is (RFC 6120 §4.9.3, §11).
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
    Create an expat parser that reports a token as soon as its last byte is there.

    By default expat 2.6 and later puts off looking at an incomplete token again until its bytes have doubled, so a
    stanza could stay inside until the client sends another one.

    @param separator: what to put between namespace and local name; with C{None} expat leaves namespaces alone.
    """
    parser = expat.ParserCreate("utf-8", separator, intern=None)
    if hasattr(parser, "SetReparseDeferralEnabled"):
        parser.SetReparseDeferralEnabled(False)
    return parser


def hasReparseDeferral() -> bool:
    """
    Whether expat puts tokens off all the same: Python before 3.11.9 or 3.12.3 cannot switch that off. Tried rather than
    concluded from a version, because distributions may have added it to an older expat.
    """
    parser = createExpat()
    reported: list[str] = []
    parser.StartElementHandler = lambda name, attributes: reported.append(name)
    parser.Parse(b"<stream")
    parser.Parse(b">")
    return not reported


class TokenScanner:
    """Looks for the end of a token that comes in pieces, at each byte once."""

    __slots__ = ("_closing", "_quote")

    def __init__(self) -> None:
        self._quote = b""
        self._closing = b""

    def begin(self, token: bytes) -> int:
        """
        Take the first piece.

        @return: as L{find}.
        @raise StreamError: C{restricted-xml} if it is a comment, a declaration or a processing instruction.
        """
        if token.startswith((b"<!", b"<?")):
            raise StreamError("restricted-xml")
        if token.startswith(b"&"):
            self._closing = b";"
        elif token.startswith(b"</"):
            self._closing = b">"
        return self.find(token)

    def find(self, piece: bytes) -> int:
        """
        Take another piece.

        @return: the index behind the end of the token in it, or -1 if it does not end there.
        """
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
    """Whether the tag that C{data} begins with, which is known to be complete, is an empty-element tag."""
    tag = _TAG.match(data)
    return tag is not None and data[tag.end() - 2 : tag.end()] == b"/>"


def checkEncoding(start: bytes) -> None:
    """
    Check the first bytes of a stream, one or two of them: for some expat would change to UTF-16, whatever it was told.

    @raise StreamError: C{unsupported-encoding} for such, and C{not-well-formed} for a byte order mark in UTF-8, which
        is a zero width no-break space here and nothing else (RFC 6120 §11.6).
    """
    if start[0] in _NOT_UTF8 or start[1:] == b"\0":
        raise StreamError("unsupported-encoding")
    if start[0] == _BOM:
        raise StreamError("not-well-formed")


def xmlDeclared(version: str, encoding: str | None, standalone: int) -> None:
    """
    Handle the XML declaration: there is no encoding but UTF-8 (RFC 6120 §11.6).

    @raise StreamError: C{unsupported-encoding}
    """
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
"""Expat's errors that are something else than C{not-well-formed}."""

_INVALID_TOKEN: Final = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]


def streamErrorFor(error: expat.ExpatError, data: bytes) -> StreamError:
    """
    The stream error for an error of expat.

    @param data: what it stumbled over.
    """
    if error.code == _INVALID_TOKEN and _isNotUTF8(data):
        return StreamError("unsupported-encoding")
    return StreamError(_CONDITIONS.get(error.code, "not-well-formed"))


def _isNotUTF8(data: bytes) -> bool:
    """Whether data begins with what cannot be UTF-8, however it goes on."""
    try:
        data[:4].decode("utf-8")
    except UnicodeDecodeError as e:
        return e.start == 0 and e.reason != "unexpected end of data"
    return False
