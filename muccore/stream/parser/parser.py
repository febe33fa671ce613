# -*- test-case-name: tests.stream.test_parser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The XML parser of a stream: bytes to elements, with limits.

Expat tokenises; this module applies the restrictions and builds L{Element}s. What RFC 6120 §11.1 forbids (doctypes,
comments, processing instructions, entities) is a stream error. Limited are the bytes of a stanza, before expat sees
them; its depth; its elements; and the attributes of an element.

Theory of operation
===================

B{Bytes.} C{feed} appends to C{_rest} and passes it to expat in I{pieces}. A piece is never longer than L{PIECE} or the
rest of the limit for the present stanza, so expat never holds more than one stanza. C{CurrentByteIndex} is the
beginning of the incomplete token at which expat stands. The bytes from there on are I{pending}; they count for the
stanza that they begin.

B{Long tokens.} Expat scans a pending token again with each piece, which is quadratic if a long start tag comes in small
pieces. Expat's remedy, reparse deferral, delays complete stanzas and is switched off. Instead, above L{LONG_TOKEN}
bytes the parser withholds pieces until they contain the end of the token.

B{Namespaces} are resolved in L{muccore.stream.parser.namespaces}. Names without a prefix cost nothing: their namespace
is C{defaultUri}. The namespace declarations needed to render a stanza, one for each element whose namespace is not its
parent's, are limited by the size of a stanza.

B{Recycling.} Expat never frees a name. Between stanzas an expat parser can be dropped; a new one reaches the same state
by parsing the root's start tag, in 3 µs. This happens every L{RECYCLE} bytes, and in L{StanzaParser.idle}.

B{Stepping.} During negotiation the parser must not look beyond an element before that is handled, since a new stream
may begin right after it. If C{stepwise} is set, expat is stopped after each top-level element; the bytes after it wait
in C{_rest} and go to a new expat parser when the iteration goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NoReturn, cast
from xml.parsers import expat

from muccore.stream.parser import headers
from muccore.stream.parser.events import CLOSED, Event, StreamOpened
from muccore.stream.parser.namespaces import COMMON_NAMES, NO_PREFIXES, PLAIN_ATTRIBUTES, Scope
from muccore.stream.parser.xmlsyntax import (
    TokenScanner,
    checkEncoding,
    createExpat,
    isEmptyTag,
    streamErrorFor,
    xmlDeclared,
)
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError

STANZA_SIZE: Final = 256 * 1024
"""Default limit: bytes of a stanza."""

DEPTH: Final = 64
"""Default limit: levels of elements in a stanza, itself included."""

ATTRIBUTES: Final = 64
"""Default limit: attributes of an element, namespace declarations included."""

ELEMENTS: Final = 8192
"""Default limit: elements in a stanza, itself included."""

LONG_TOKEN: Final = 2048
"""Bytes of an incomplete token above which expat is not called again before its end."""

PIECE: Final = 4096
"""
Bytes that are parsed at once. The elements in them may be kept for long, while their stream is slowed down, and take
up to a hundred times as much memory.
"""

RECYCLE: Final = 32 * 1024
"""Bytes after which the expat parser is replaced, between stanzas."""

_TEXT_BUFFER: Final = 1024
_SPACE: Final = " \t\r\n"
_SPACE_BYTES: Final = b" \t\r\n"

_PROLOG: Final = Element(("", ""))
"""The current element before the root."""

_ROOTS: Final = {content: Element((ns.STREAM, "stream"), content) for content in (ns.CLIENT, ns.STREAM, "")}
"""The current element between stanzas, by default namespace. Never changed, so all streams share it."""


class _Stop(Exception):
    """Stops expat inside a piece. The argument is the rest of the piece."""


def _restricted(*ignored: object) -> NoReturn:
    raise StreamError("restricted-xml")


_new = Element.__new__


class StanzaParser:
    """
    The parser of one stream, or of several in succession on one connection.

    @ivar stanzaSize: the limit for a stanza and for the header, in bytes; may be changed at any time.
    @ivar stepwise: whether to stop after each top-level element until the iteration goes on; may be changed at any
        time.
    """

    __slots__ = (
        "_attributes", "_begin", "_content", "_count", "_current", "_depth", "_elements", "_emptyTag", "_events",
        "_expat", "_fed", "_header", "_headerAttributes", "_held", "_level", "_rest", "_root", "_scope", "_stopped",
        "_tail", "_text", "_tokenEnd", "_used", "stanzaSize", "stepwise",
    )  # fmt: skip

    _current: Element
    _expat: Any
    _tokenEnd: TokenScanner

    def __init__(
        self,
        stanzaSize: int = STANZA_SIZE,
        depth: int = DEPTH,
        attributes: int = ATTRIBUTES,
        elements: int = ELEMENTS,
        content: str = ns.CLIENT,
        stepwise: bool = False,
    ) -> None:
        """
        @param depth: the limit for the levels of elements in a stanza.
        @param attributes: the limit for the attributes of an element.
        @param elements: the limit for the elements of a stanza.
        @param content: the content namespace of the stream, which becomes C{jabber:client}.
        """
        self.stanzaSize = stanzaSize
        self.stepwise = stepwise
        self._depth = depth
        self._attributes = attributes
        self._elements = elements
        self._content = content
        self._stopped = False
        self._text: list[str] = []
        self._events: list[Event] = []
        self.restart(discard=True)

    # Streams

    def restart(self, discard: bool = False) -> None:
        """Expect the header of a new stream; unless discarded, buffered bytes belong to it."""
        if discard:
            self._rest = b""
        self._header = b""
        self._headerAttributes = 0
        self._root: Element | None = None
        self._current = _PROLOG
        self._scope = Scope(self._content)
        self._text.clear()
        self._begin = self._used = 0
        self._dropExpat()

    @property
    def partial(self) -> bool:
        """Whether the stream is inside a stanza, or there is anything unparsed."""
        return bool(self._used or self._rest)

    def idle(self) -> None:
        """Free memory if the stream is between stanzas. Parsing goes on unaffected."""
        if not self._used and self._header:
            self._dropExpat()

    def stop(self) -> None:
        """Drop everything buffered, and ignore further input."""
        self._stopped = True
        self.restart(discard=True)
        self._events = []

    def _dropExpat(self) -> None:
        # Breaks the reference cycle through expat's handlers.
        self._expat = None
        self._fed = 0
        self._tail = b""
        self._held: list[bytes] | None = None
        self._emptyTag = False

    def _makeExpat(self) -> Any:
        """Create an expat parser in the state of the stream: before the header or between stanzas."""
        parser = createExpat()
        parser.buffer_size = _TEXT_BUFFER
        parser.buffer_text = True
        header = self._header
        if header:
            parser.Parse(header)
            parser.StartElementHandler = self._startElement
        else:
            parser.StartElementHandler = self._startRoot
            parser.XmlDeclHandler = xmlDeclared
        parser.EndElementHandler = self._endElement
        parser.CharacterDataHandler = self._text.append
        parser.CommentHandler = _restricted
        parser.ProcessingInstructionHandler = _restricted
        parser.StartDoctypeDeclHandler = _restricted
        self._expat = parser
        self._fed = len(header)
        return parser

    # Bytes

    def buffer(self, data: bytes) -> int:
        """Keep bytes for the next L{feed}, before its own; return the number of unparsed bytes."""
        if not self._stopped:
            self._rest += data
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[Event]:
        """
        Parse bytes and yield the events that they complete. With C{stepwise} the iteration may be abandoned after any
        element; the next call goes on behind it.

        @raise StreamError: for an error, after all events before it. The parser is stopped then.
        """
        if self._stopped:
            return
        if self._current is _PROLOG and self._takeKnownHeader(data):
            yield self._events.pop()
            return
        self._rest += data
        while self._rest:
            error: StreamError | None = None
            try:
                self._advance()
            except StreamError as e:
                error = e
            events = self._events
            if events:
                self._events = []
                for event in events:
                    yield event
                    if self._stopped:
                        return
                if events[-1] is CLOSED:
                    self.stop()
                    return
            if error is not None:
                self.stop()
                try:
                    raise error.with_traceback(None)
                finally:
                    # The traceback refers to this frame: a cycle.
                    del error

    def _advance(self) -> None:
        """Pass the next piece to expat, or withhold it."""
        parser = self._expat
        if parser is None:
            # White space here belongs to no stanza. Behind an element that ended a stream it belongs to that stream.
            self._rest = self._rest.lstrip(_SPACE_BYTES)
            if not self._rest:
                return
            parser = self._makeExpat()
        piece = self._rest
        room = self.stanzaSize - self._used
        if room > PIECE:
            room = PIECE
        if len(piece) <= room:
            self._rest = b""
        elif room > 0:
            self._rest = piece[room:]
            piece = piece[:room]
        else:
            raise StreamError("policy-violation", f"More than {self.stanzaSize} bytes.")
        if self._held is not None:
            self._held.append(piece)
            self._used += len(piece)
            if self._tokenEnd.find(piece) < 0:
                return
            piece = b"".join(self._held)
            self._held = None
        try:
            if self._fed < 2:
                checkEncoding((b"<" * self._fed + piece)[:2])
            parser.Parse(piece)
        except _Stop as stop:
            self._rest = stop.args[0] + self._rest
            self._used = 0
            self._dropExpat()
            return
        except expat.ExpatError as e:
            window = self._tail + piece
            raise streamErrorFor(e, window[parser.ErrorByteIndex - self._fed + len(self._tail) :]) from None
        begun = self._fed
        self._fed += len(piece)
        self._measurePending(parser, piece)
        if not begun and self._headerAttributes and not self._used:
            self._rememberHeader(piece)

    def _measurePending(self, parser: Any, piece: bytes) -> None:
        """After a piece, measure the incomplete stanza, and decide whether to withhold the next pieces."""
        pending: int = self._fed - parser.CurrentByteIndex
        if self._current is not self._root:
            self._used = self._fed - self._begin
        else:
            self._used = pending
            if self._text:
                self._checkBlank()
            if self._fed > RECYCLE and not pending:
                self._dropExpat()
                return
        if pending:
            self._tail = self._tail + piece if pending > len(piece) else piece[-pending:]
            if pending > LONG_TOKEN:
                self._tokenEnd = TokenScanner()
                self._tokenEnd.begin(self._tail)
                self._held = []
                # Enough for streamErrorFor, which looks at one character that may be cut here.
                self._tail = self._tail[-4:]
        elif self._tail:
            self._tail = b""

    def _checkBlank(self) -> None:
        """Drop the text between stanzas, which must be white space."""
        text = "".join(self._text)
        self._text.clear()
        if text.strip(_SPACE):
            raise StreamError("bad-format", "Text between stanzas.")

    # Headers

    def _takeKnownHeader(self, data: bytes) -> bool:
        """Take a header that was parsed before, if the data is just that, into the events."""
        header = headers.known.get((self._content, data))
        if header is None or self._rest or self._expat is not None:
            return False
        if len(data) > self.stanzaSize or header.attributes > self._attributes:
            return False
        event = header.event()
        self._root = self._current = _ROOTS[cast(str, event.defaultUri)]
        self._header = header.start
        self._events.append(event)
        return True

    def _rememberHeader(self, data: bytes) -> None:
        """Remember the header just parsed, if there was nothing else in the data, and it bound the usual prefixes."""
        if data.endswith(b">") and len(self._events) == 1 and self._scope.usual:
            root = cast(StreamOpened, self._events[0])
            headers.remember(self._content, data, headers.Header(root, self._header, self._headerAttributes))

    # Elements

    def _startRoot(self, name: str, attributes: dict[str, str]) -> None:
        if len(attributes) > self._attributes:
            raise StreamError("policy-violation", "Too many attributes.")
        if self._content != ns.CLIENT and attributes.get("xmlns") != self._content:
            # Inside the server it would look the same.
            raise StreamError("invalid-namespace", "The content namespace is not supported.")
        count = len(attributes)
        root = _new(StreamOpened)
        self._scope.begin(root, name, attributes, _PROLOG)
        if root.uri != ns.STREAM:
            raise StreamError("invalid-namespace", "The root element is not in the stream namespace.")
        if root.name != "stream":
            raise StreamError("bad-format", "The root element is not a stream.")
        if root.defaultUri not in _ROOTS:
            raise StreamError("invalid-namespace", "The content namespace is not supported.")
        root.parent = None
        self._root = self._current = _ROOTS[root.defaultUri]
        self._header = f"<{name}>".encode()
        self._headerAttributes = count
        self._expat.StartElementHandler = self._startElement
        self._events.append(root)

    def _startElement(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._current
        text = self._text
        if parent is self._root:
            if text:
                self._checkBlank()
            self._begin = self._expat.CurrentByteIndex
            self._count = self._level = self._scope.written = 0
            self._emptyTag = (self.stepwise or self._fed > RECYCLE) and isEmptyTag(self._expat.GetInputContext())
        elif text:
            parent.children.append(text[0] if len(text) == 1 else "".join(text))
            text.clear()
        self._count += 1
        self._level += 1
        if self._count > self._elements or self._level > self._depth:
            raise StreamError("policy-violation", "Too many elements.")
        if len(attributes) > self._attributes:
            raise StreamError("policy-violation", "Too many attributes.")
        element = _new(Element)
        if ":" not in name and PLAIN_ATTRIBUTES.issuperset(attributes):
            uri = element.uri = element.defaultUri = parent.defaultUri
            element.name = COMMON_NAMES.get(name, name)
            element.attributes = attributes
            element.localPrefixes = NO_PREFIXES
            element.children = []
            element.parent = parent
            element.handled = False
            if uri is not parent.uri and parent is not self._root:
                self._scope.written += len(cast(str, uri))
                self._checkWritten()
        else:
            self._scope.enter(element, name, attributes, parent)
            self._checkWritten()
        if parent is not self._root:
            parent.children.append(element)
        self._current = element

    def _checkWritten(self) -> None:
        """Limit the namespace declarations needed to render the stanza, so that it does not grow much."""
        if self._scope.written > self.stanzaSize:
            raise StreamError("policy-violation", "Too many namespace declarations.")

    def _endElement(self, name: str) -> None:
        element = self._current
        text = self._text
        if element is self._root:
            if text:
                self._checkBlank()
            self._events.append(CLOSED)
            raise _Stop(b"")
        if text:
            element.children.append(text[0] if len(text) == 1 else "".join(text))
            text.clear()
        if element.localPrefixes:
            self._scope.leave()
        parent = element.parent
        # Otherwise each stanza would be a reference cycle, kept until the next garbage collection.
        element.parent = None
        self._current = parent
        self._level -= 1
        if parent is self._root:
            self._events.append(element)
            if self.stepwise or self._fed > RECYCLE:
                self._step()

    def _step(self) -> None:
        """Stop after the element that ends here, if anything follows."""
        left: bytes = self._expat.GetInputContext()
        # Expat stands at the end tag, or after an empty-element tag.
        if not self._emptyTag:
            left = left[left.index(b">") + 1 :]
        left = left.lstrip(_SPACE_BYTES)
        if left:
            raise _Stop(left)
