# -*- test-case-name: tests.stream.test_c2s -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Framing: how a stream and what is sent on it become bytes, and bytes become elements.

A framing is a base class of the streams of one kind of connection, so that sending a stanza costs no further call.
What is above it (negotiation, sessions, limits, timeouts) is the same for all. Every framing has the methods of
L{TCPFraming}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from muccore.stream.parser.parser import StanzaParser
from muccore.xmpp import ns
from muccore.xmpp.rendering import OwnStanzas, Rendered

if TYPE_CHECKING:
    from muccore.stream.c2s import StreamSettings

BULK_SIZE: Final = 1024 * 1024
"""Bytes of a rendered stanza from which on it is an answer of the server, which waits until it is read."""

SEVERAL_SIZE: Final = 16 * 1024
"""Bytes of several stanzas above which they are made as they are read."""

_PIECE: Final = 32 * 1024
"""Bytes of these that are made at a time, about."""

STREAM_CLOSE: Final = b"</stream:stream>"
"""The end tag of a stream over TCP."""

_OPEN: Final = {
    content: f"<?xml version='1.0'?><stream:stream xmlns='{content}' xmlns:stream='{ns.STREAM}'".encode()
    for content in (ns.CLIENT, ns.COMPONENT, ns.SERVER)
}


class TCPFraming:
    """The framing of streams over TCP (RFC 6120 §4): one XML document a direction. C{write} is the transport's."""

    __slots__ = ()

    content: ClassVar[str] = ns.CLIENT
    """The content namespace."""

    transport: Any
    write: Callable[[bytes], None]

    @classmethod
    def makeParser(cls, settings: StreamSettings) -> StanzaParser:
        """Make the parser of a connection whose client is not logged in."""
        size, elements = settings.stanzaSizeUnauthenticated, settings.elements
        return StanzaParser(size, settings.depth, settings.attributes, elements, cls.content, stepwise=True)

    @classmethod
    def renderHeader(cls, attributes: bytes) -> bytes:
        """
        Render the header of a stream.

        @param attributes: from L{StreamFeatures.header<muccore.stream.features.StreamFeatures.header>}.
        """
        return _OPEN[cls.content] + attributes + b">"

    def sendHeader(self, attributes: bytes) -> None:
        """Open a stream; the arguments are those of L{renderHeader}."""
        self.write(self.renderHeader(attributes))

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{muccore.interfaces.IStream.send}."""
        tail = stanza.tail
        if len(tail) < BULK_SIZE:
            self.transport.writeParts(stanza.head, to, tail)
        else:
            self.transport.writeBulk(iter((stanza.addressed(to),)), len(tail), True)

    def sendAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{muccore.interfaces.IStream.sendAll}."""
        if not stanzas:
            return
        head = stanzas[0].head
        if any(stanza.head != head for stanza in stanzas):
            for stanza in stanzas:
                self.send(stanza, to)
            return
        start, tails = head + to, [stanza.tail for stanza in stanzas]
        size = len(start) * len(tails) + sum(map(len, tails))
        if size <= SEVERAL_SIZE:
            self.write(start + start.join(tails))
        else:
            pieces = _pieces(start, tails, max(1, _PIECE * len(tails) // size))
            self.transport.writeBulk(pieces, size, isinstance(stanzas, OwnStanzas))

    def sendNonza(self, element: bytes) -> None:
        """See L{muccore.interfaces.IStream.sendNonza}."""
        self.write(element)

    def sendEnd(self) -> None:
        """Close the stream."""
        self.write(STREAM_CLOSE)

    def endConnection(self) -> None:
        """Close the connection after L{sendEnd}."""
        self.transport.loseConnection()

    def sendKeepalive(self) -> None:
        """Send what needs no answer and is not part of any stanza (RFC 6120 §4.6.1)."""
        self.write(b" ")


def _pieces(start: bytes, tails: list[bytes], count: int) -> Iterator[bytes]:
    """Render stanzas, C{count} in each piece."""
    for first in range(0, len(tails), count):
        yield start + start.join(tails[first : first + count])
