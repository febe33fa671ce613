# -*- test-case-name: tests.stream.test_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The framing of streams over WebSocket (RFC 7395 §3.3): each message is one whole element, namespaces included.

What is rendered once for many recipients is used as it is: C{xmlns} goes where C{to} goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from muccore.net.websocket import INVALID_DATA, PING, TEXT, TOO_BIG, FrameDecoder, FrameError, frame, frameHeader
from muccore.stream.framing import BULK_SIZE, SEVERAL_SIZE
from muccore.stream.parser.events import CLOSED, Event, StreamOpened
from muccore.stream.parser.parser import StanzaParser
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import OwnStanzas, Rendered

if TYPE_CHECKING:
    from muccore.stream.c2s import StreamSettings

_XMLNS: Final = f" xmlns='{ns.CLIENT}'".encode()
_XMLNS_SIZE: Final = len(_XMLNS)
_STREAM_XMLNS: Final = f" xmlns:stream='{ns.STREAM}'".encode()
_CLOSE: Final = frame(TEXT, f"<close xmlns='{ns.FRAMING}'/>".encode())
_PING: Final = frame(PING, b"")
_STREAM_NAME: Final = re.compile(rb"<stream:[^\s/>]+")
_SPACE: Final = b" \t\r\n"

_DECLARATION: Final = re.compile(rb"<\?xml\s[^?<>]*\?>\s*")
"""An XML declaration, which is not recommended, but allowed (RFC 7395 §3.3.3). Messages are in UTF-8 in any case."""

_ROOT: Final = f"<stream:stream xmlns:stream='{ns.STREAM}'>".encode()
"""
Opens the document that is parsed: one parser for all messages costs less than one for each. It leaves the default
namespace unbound. The prefix is the usual one, so that the table of prefixes is shared between streams.
"""


_CONDITIONS: Final = {TOO_BIG: "policy-violation", INVALID_DATA: "unsupported-encoding"}
"""Conditions of stream errors, by status code of Close frames."""


class FramingError(StreamError):
    """The client has violated WebSocket itself; C{code} is for the Close frame."""

    def __init__(self, error: FrameError) -> None:
        super().__init__(_CONDITIONS.get(error.code, "bad-format"), str(error))
        self.code = error.code


class MessageParser:
    """
    Decodes what a client sends into the events of a stream; takes the place of a L{StanzaParser}.

    @ivar control: called with opcode and payload of each control frame.
    @ivar stepwise: not used: after each message the iteration may be abandoned.
    """

    __slots__ = ("_decoder", "_opened", "_stopped", "_xml", "control", "stepwise")

    def __init__(self, xml: StanzaParser, control: Callable[[int, bytes], object]) -> None:
        """@param xml: a new parser, with the limits of the stream."""
        list(xml.feed(_ROOT))
        self._xml = xml
        self.control = control
        self._decoder = FrameDecoder()
        self._opened = self._stopped = False
        self.stepwise = True

    @property
    def stanzaSize(self) -> int:
        """The limit for a message, in bytes."""
        return self._xml.stanzaSize

    @stanzaSize.setter
    def stanzaSize(self, size: int) -> None:
        self._xml.stanzaSize = size

    def restart(self, discard: bool = False) -> None:
        """Expect C{<open/>}; the parameter is that of L{StanzaParser.restart}, and must be false."""
        self._opened = False

    def idle(self) -> None:
        """Free memory. Parsing goes on unaffected."""
        self._xml.idle()

    def stop(self) -> None:
        """Ignore further messages."""
        self._stopped = True
        self._xml.stop()

    def buffer(self, data: bytes) -> int:
        """See L{StanzaParser.buffer}."""
        self._decoder.feed(data)
        return len(self._decoder)

    def feed(self, data: bytes) -> Iterator[Event]:
        """See L{StanzaParser.feed}; L{FramingError} for WebSocket. Once stopped, it handles control frames only."""
        decoder = self._decoder
        decoder.feed(data)
        while True:
            try:
                found = decoder.next(self._xml.stanzaSize)
                if found is None:
                    return
                event = self._parse(found[1]) if found[0] == TEXT and not self._stopped else None
            except FrameError as e:
                self.stop()
                raise FramingError(e) from None
            except StreamError:
                self.stop()
                raise
            if event is not None:
                yield event
            elif found[0] != TEXT:
                self.control(*found)

    def _parse(self, message: bytes) -> Event:
        """Parse a message; L{StreamError} if it is not one whole element."""
        message = message.rstrip(_SPACE)
        if message[:1] != b"<" or message[-1:] != b">":
            raise StreamError("bad-format", "A message is not an element.")
        if message.startswith(b"<?"):
            message = _DECLARATION.sub(b"", message, 1)
        events = list(self._xml.feed(message))
        if self._xml.partial or not events or events[-1] is CLOSED:
            raise StreamError("not-well-formed", "A message is not a whole element.")
        if len(events) > 1:
            raise StreamError("bad-format", "A message has several elements.")
        element = events[0]
        assert isinstance(element, Element)
        if element.uri == ns.FRAMING:
            return self._frameReceived(element)
        if not self._opened:
            raise StreamError("invalid-namespace", "The stream is not opened.")
        return element

    def _frameReceived(self, element: Element) -> Event:
        """Turn C{<open/>} and C{<close/>} into events (§3.4, §3.6)."""
        if element.name == "close":
            return CLOSED
        if element.name != "open" or element.children:
            raise StreamError("bad-format", "Not an empty <open/> or <close/>.")
        self._opened = True
        return StreamOpened((ns.STREAM, "stream"), None, element.attributes)


class WebSocketFraming:
    """The framing of streams over WebSocket: see L{TCPFraming<muccore.stream.framing.TCPFraming>}."""

    __slots__ = ()

    transport: Any
    write: Callable[[bytes], None]
    _ended: bool

    def makeParser(self, settings: StreamSettings) -> Any:
        """See L{TCPFraming.makeParser}."""
        xml = StanzaParser(settings.stanzaSizeUnauthenticated, settings.depth, settings.attributes, settings.elements)
        return MessageParser(xml, self.controlReceived)

    def controlReceived(self, opcode: int, payload: bytes) -> None:
        """Handle a control frame."""
        raise NotImplementedError

    def sendHeader(self, attributes: bytes) -> None:
        """See L{TCPFraming.sendHeader}."""
        self.write(frame(TEXT, f"<open xmlns='{ns.FRAMING}'".encode() + attributes + b"/>"))

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{muccore.interfaces.IStream.send}."""
        head, tail = stanza.head, stanza.tail
        header = frameHeader(TEXT, len(head) + _XMLNS_SIZE + len(to) + len(tail))
        if self._ended:
            return
        if len(tail) < BULK_SIZE:
            self.transport.writeParts(b"".join((header, head, _XMLNS)), to, tail)
        else:
            self.transport.writeBulk(iter((b"".join((header, head, _XMLNS, to, tail)),)), len(tail), True)

    def sendAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{muccore.interfaces.IStream.sendAll}."""
        frames = (_frameOf(stanza, to) for stanza in stanzas)
        size = sum(len(stanza.tail) for stanza in stanzas)
        if size <= SEVERAL_SIZE:
            self.write(b"".join(frames))
        elif not self._ended:
            self.transport.writeBulk(frames, size, isinstance(stanzas, OwnStanzas))

    def sendNonza(self, element: bytes) -> None:
        """See L{muccore.interfaces.IStream.sendNonza}."""
        name = _STREAM_NAME.match(element)
        if name is not None:
            element = name[0] + _STREAM_XMLNS + element[name.end() :]
        self.write(frame(TEXT, element))

    def sendEnd(self) -> None:
        """See L{TCPFraming.sendEnd}."""
        self.write(_CLOSE)

    def sendKeepalive(self) -> None:
        """See L{TCPFraming.sendKeepalive}: white space is forbidden (§3.8)."""
        self.write(_PING)


def _frameOf(stanza: Rendered, to: bytes) -> bytes:
    """A stanza for one recipient, as a message."""
    return frame(TEXT, b"".join((stanza.head, _XMLNS, to, stanza.tail)))
