# -*- test-case-name: tests.stream.test_parser -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
From bytes of the network to elements, guarded.

Expat tokenises; this module decides what is let through and builds L{Element}s. What RFC 6120 §11.1 forbids
(doctype, comments, processing instructions, entities) is refused, and everything is bounded: the bytes of a stanza
before expat sees more of it, its depth, its elements, the attributes of an element.

Theory of operation
===================

B{Bytes.} C{feed} appends to C{_rest} and gives expat one I{piece} after the other. A piece is never longer than
what the stanza that is being read may still have, so expat never holds more than one stanza's worth.
C{CurrentByteIndex} says where expat stands: at the beginning of the token that is not complete yet. What lies
behind is I{pending} and counts already for the stanza it begins.

B{Long tokens.} Expat looks at a pending token anew each time it is given more, which is quadratic if a long start
tag comes in small pieces. Its own remedy, reparse deferral, keeps complete stanzas back and is switched off. Beyond
L{LONG_TOKEN} bytes the parser therefore holds the pieces back until the end of the token is among them.

B{Namespaces} are resolved in L{muccore.stream.parser.namespaces}. Names without a prefix cost nothing: the default
namespace in scope is an element's C{defaultUri}. What the namespaces of a stanza come to when it is rendered, one for
each element that is not in its parent's, is bounded by the size of a stanza too.

B{One expat after the other.} Expat never forgets a name. Between stanzas an expat parser can be dropped and another one
be put into the same state by giving it the root's start tag: that is what happens every L{RECYCLE} bytes, and for a
silent stream in L{StanzaParser.idle}. It takes 3 µs.

B{Stepping.} During negotiation the parser must not look beyond an element before it is known what that element changes
(a new stream may begin right behind it). With C{stepwise} set, expat is stopped behind each top-level element; the
bytes that follow wait in C{_rest} and are given to another expat when the iteration goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NoReturn, cast
from xml.parsers import expat

from muccore.stream.parser.events import CLOSED, Event, StreamClosed, StreamOpened
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
"""Bytes in a stanza."""

DEPTH: Final = 64
"""Levels of elements in a stanza, itself included."""

ATTRIBUTES: Final = 64
"""Attributes of one element, namespace declarations included."""

ELEMENTS: Final = 8192
"""Elements in a stanza, itself included."""

LONG_TOKEN: Final = 2048
"""Bytes of an incomplete token beyond which its end is awaited before expat is asked again."""

RECYCLE: Final = 32 * 1024
"""Bytes after which, between stanzas, another expat parser takes over."""

_TEXT_BUFFER: Final = 1024
_SPACE: Final = " \t\r\n"
_SPACE_BYTES: Final = b" \t\r\n"

_PROLOG: Final = Element(("", ""))
"""What is current before there is a root."""

_ROOTS: Final = {content: Element((ns.STREAM, "stream"), content) for content in (ns.CLIENT, ns.STREAM, "")}
"""What is current between stanzas, by the default namespace there; never changed, so all streams share it."""


class _Stop(Exception):
    """Makes expat give up the rest of a piece."""


def _restricted(*ignored: object) -> NoReturn:
    raise StreamError("restricted-xml")


_new = Element.__new__


class StanzaParser:
    """
    The parser of one stream, or of several that follow each other on one connection.

    @ivar stanzaSize: the limit in bytes for a stanza and for the header; may be changed at any time.
    @ivar stepwise: whether the parser stops behind each top-level element until the iteration goes on; may be changed
        at any time.
    """

    __slots__ = (
        "_attributes", "_begin", "_content", "_count", "_current", "_depth", "_elements", "_emptyTag", "_events",
        "_expat", "_fed", "_header", "_held", "_left", "_level", "_rest", "_root", "_scope", "_stopped", "_tail",
        "_text", "_tokenEnd", "_used", "stanzaSize", "stepwise",
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
        @param depth: the limit for levels of elements in a stanza.
        @param attributes: the limit for attributes of an element.
        @param elements: the limit for elements in a stanza.
        @param content: the content namespace of the stream; what is in it comes out in C{jabber:client}.
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

    # The stream's life

    def restart(self, discard: bool = False) -> None:
        """
        Expect another stream: a header comes next.

        @param discard: whether bytes that are here already are thrown away; otherwise they belong to the new stream.
        """
        if discard:
            self._rest = b""
        self._header = b""
        self._root: Element | None = None
        self._current = _PROLOG
        self._scope = Scope(self._content)
        self._text.clear()
        self._begin = self._used = 0
        self._dropExpat()

    def idle(self) -> None:
        """
        Give memory back while nothing comes, if this is between stanzas. What comes next is parsed as if this had not
        been called.
        """
        if not self._used and self._header:
            self._dropExpat()

    def stop(self) -> None:
        """Give nothing more, whatever comes."""
        self._stopped = True
        self.restart(discard=True)
        self._events = []

    def _dropExpat(self) -> None:
        # This also breaks the reference cycle through the handlers.
        self._expat = None
        self._fed = 0
        self._tail = b""
        self._held: list[bytes] | None = None
        self._emptyTag = False

    def _makeExpat(self) -> Any:
        """Make an expat parser that stands where the stream stands: before the header or between stanzas."""
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
        """
        Take bytes without parsing them; they come before those of the next L{feed}.

        @return: how many there are by now.
        """
        if not self._stopped:
            self._rest += data
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[Event]:
        """
        Take bytes and give what they complete. With C{stepwise} set the iteration may be left behind any element:
        what it would still have given is given by the next call.

        @raise StreamError: for what must not be, after everything before it has been given. The parser is dead then
            and gives nothing more.
        """
        if self._stopped:
            return
        self._rest += data
        while self._rest:
            error = self._advance()
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
                    # The traceback knows this frame: a cycle.
                    del error

    def _advance(self) -> StreamError | None:
        """Give expat the next piece, or hold it back; say what is wrong with it."""
        parser = self._expat
        if parser is None:
            # White space here belongs to no stanza; behind the element that ended a stream it is of that one.
            self._rest = self._rest.lstrip(_SPACE_BYTES)
            if not self._rest:
                return None
            parser = self._makeExpat()
        piece = self._rest
        room = self.stanzaSize - self._used
        if len(piece) <= room:
            self._rest = b""
        elif room > 0:
            self._rest = piece[room:]
            piece = piece[:room]
        else:
            return StreamError("policy-violation", f"More than {self.stanzaSize} bytes.")
        if self._held is not None:
            self._held.append(piece)
            self._used += len(piece)
            if self._tokenEnd.find(piece) < 0:
                return None
            piece = b"".join(self._held)
            self._held = None
        try:
            if self._fed < 2:
                checkEncoding((b"<" * self._fed + piece)[:2])
            parser.Parse(piece)
        except StreamError as e:
            return e
        except _Stop:
            self._rest = self._left + self._rest
            self._used = 0
            self._dropExpat()
            return None
        except expat.ExpatError as e:
            window = self._tail + piece
            return streamErrorFor(e, window[parser.ErrorByteIndex - self._fed + len(self._tail) :])
        self._fed += len(piece)
        return self._measurePending(parser, piece)

    def _measurePending(self, parser: Any, piece: bytes) -> StreamError | None:
        """After a piece: how much of a stanza is there, and whether to hold back what comes next."""
        pending: int = self._fed - parser.CurrentByteIndex
        if self._current is not self._root:
            self._used = self._fed - self._begin
        else:
            self._used = pending
            if self._text and not self._isBlank():
                return StreamError("bad-format", "Text between stanzas.")
            if self._fed > RECYCLE and not pending:
                self._dropExpat()
                return None
        if pending:
            self._tail = self._tail + piece if pending > len(piece) else piece[-pending:]
            if pending > LONG_TOKEN:
                self._tokenEnd = TokenScanner()
                try:
                    self._tokenEnd.begin(self._tail)
                except StreamError as e:
                    return e
                self._held = []
                # A character may be cut in two here; no more than that is asked about.
                self._tail = self._tail[-4:]
        elif self._tail:
            self._tail = b""
        return None

    def _isBlank(self) -> bool:
        """Whether what stood between stanzas is white space; it is forgotten."""
        text = "".join(self._text)
        self._text.clear()
        return not text.strip(_SPACE)

    # Elements

    def _startRoot(self, name: str, attributes: dict[str, str]) -> None:
        if len(attributes) > self._attributes:
            raise StreamError("policy-violation", "Too many attributes.")
        root = _new(StreamOpened)
        self._scope.begin(root, name, attributes, _PROLOG)
        if root.uri != ns.STREAM:
            raise StreamError("invalid-namespace", "The root is not in the stream namespace.")
        if root.name != "stream":
            raise StreamError("bad-format", "The root is no stream.")
        if root.defaultUri not in _ROOTS:
            raise StreamError("invalid-namespace", "The content namespace is not supported.")
        root.parent = None
        self._root = self._current = _ROOTS[root.defaultUri]
        self._header = f"<{name}>".encode()
        self._expat.StartElementHandler = self._startElement
        self._events.append(root)

    def _startElement(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._current
        text = self._text
        if parent is self._root:
            if text and not self._isBlank():
                raise StreamError("bad-format", "Text between stanzas.")
            self._begin = self._expat.CurrentByteIndex
            self._count = self._level = self._scope.written = 0
            self._emptyTag = (self.stepwise or self._fed > RECYCLE) and self._isEmptyTag()
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
        """A stanza must not get much longer than it was when it is passed on."""
        if self._scope.written > self.stanzaSize:
            raise StreamError("policy-violation", "Too many namespaces.")

    def _endElement(self, name: str) -> None:
        element = self._current
        text = self._text
        if element is self._root:
            if text and not self._isBlank():
                raise StreamError("bad-format", "Text between stanzas.")
            self._events.append(CLOSED)
            self._stop(b"")
        if text:
            element.children.append(text[0] if len(text) == 1 else "".join(text))
            text.clear()
        if element.localPrefixes:
            self._scope.leave()
        parent = element.parent
        # With it, each stanza would be a cycle and stay in memory until the collector comes by.
        element.parent = None
        self._current = parent
        self._level -= 1
        if parent is self._root:
            self._events.append(element)
            if self.stepwise or self._fed > RECYCLE:
                self._step()

    def _isEmptyTag(self) -> bool:
        """Whether the tag that begins here is an empty-element tag."""
        return isEmptyTag(self._expat.GetInputContext())

    def _step(self) -> None:
        """Stop behind the element that ends here, if anything follows."""
        left: bytes = self._expat.GetInputContext()
        # Expat stands at the end tag, or behind an empty-element tag.
        if not self._emptyTag:
            left = left[left.index(b">") + 1 :]
        left = left.lstrip(_SPACE_BYTES)
        if left:
            self._stop(left)

    def _stop(self, left: bytes) -> NoReturn:
        self._left = left
        raise _Stop


__all__ = [
    "ATTRIBUTES",
    "CLOSED",
    "DEPTH",
    "ELEMENTS",
    "STANZA_SIZE",
    "Event",
    "StanzaParser",
    "StreamClosed",
    "StreamOpened",
]
