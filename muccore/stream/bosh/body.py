# -*- test-case-name: tests.stream.bosh.test_body -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The wrapper C{<body/>} of requests and responses (XEP-0124 §6).

Only the start tag of a request is parsed when it arrives: it may have to wait for others, and elements take up to a
hundred times the memory of their bytes. What is inside is parsed as the content of a stream is, with the same limits,
when its turn has come: the start tag becomes the header of that stream. Clients that leave out the namespace of stanzas
put them into that of C{<body/>} (XEP-0206 §2); as the content namespace of a stream it becomes C{jabber:client}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, cast

from muccore.stream.bosh.errors import BindingError
from muccore.stream.parser.events import Event, StreamOpened
from muccore.stream.parser.parser import StanzaParser
from muccore.stream.parser.xmlsyntax import TokenScanner
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import escapeAttribute

WRAPPER_SIZE: Final = 4096
"""Bytes of the tags of C{<body/>} and around them that are accepted besides the payload."""

LAST_RID: Final = (1 << 53) - 1
"""The largest request ID (XEP-0124 §14.1)."""

_ATTRIBUTES: Final = 64
_SPACE: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_DECLARATION: Final = re.compile(rb"<\?xml\s[^?<>]*\?>\s*")
_NAME: Final = re.compile(rb"<([^\s/<>='\"]+)")
_NUMBER: Final = re.compile(r"[0-9]{1,16}")
_STREAM_DECLARATION: Final = f" xmlns:stream='{ns.STREAM}'".encode()
_LIMITS: Final = frozenset(["policy-violation", "resource-constraint"])
"""The conditions of errors that are not about the format."""

_OPEN: Final = f"<body xmlns='{ns.HTTPBIND}'".encode()


class Limits:
    """
    The limits for the content of a body, which change with the log-in; those of a stream.

    @ivar stanzaSize: bytes of an element.
    @ivar stepwise: whether to look at nothing behind an element before that is handled.
    """

    __slots__ = ("_attributes", "_depth", "_elements", "stanzaSize", "stepwise")

    def __init__(self, stanzaSize: int, depth: int, attributes: int, elements: int) -> None:
        """@param depth: as the other limits, see L{StanzaParser}."""
        self.stanzaSize = stanzaSize
        self.stepwise = True
        self._depth = depth
        self._attributes = attributes
        self._elements = elements

    def makeParser(self, content: str) -> StanzaParser:
        """Make a parser for a content namespace."""
        size, depth = self.stanzaSize, self._depth
        return StanzaParser(size, depth, self._attributes, self._elements, content, self.stepwise)


class Body:
    """
    The C{<body/>} of a request.

    @ivar size: bytes of the request's body.
    @ivar attributes: its attributes, by name or by namespace and name.
    @ivar rid: its request ID; 0 if that is missing or invalid.
    @ivar empty: whether it has no payload.
    """

    __slots__ = ("_header", "_parser", "_payload", "_prefixed", "attributes", "empty", "rid", "size")

    def __init__(self, data: bytes) -> None:
        """
        Parse the wrapper.

        @raise BindingError: C{bad-request}, if it is none.
        """
        self.size = len(data)
        try:
            header = self._readWrapper(data.removeprefix(_BOM).strip(_SPACE))
        except StreamError as e:
            raise BindingError("bad-request", e.text or f"The body is unacceptable: {e.condition}.") from None
        self.attributes = header.attributes
        rid = self.attributes.get("rid", "")
        self.rid = int(rid) if _NUMBER.fullmatch(rid) and int(rid) <= LAST_RID else 0

    def __len__(self) -> int:
        return self.size

    def _readWrapper(self, data: bytes) -> StreamOpened:
        """Separate the start tag from the payload, and parse it as the header of a stream."""
        if data.startswith(b"<?"):
            data = _DECLARATION.sub(b"", data, 1)
        name = _NAME.match(data)
        prefix, _, local = (b"" if name is None else name[1]).rpartition(b":")
        end = TokenScanner().begin(data[:WRAPPER_SIZE]) if name is not None else -1
        if name is None or local != b"body" or end < 0:
            raise StreamError("bad-format", "There is no <body/>, or its start tag is too long.")
        inside = data[name.end() : end - 1]
        payload, slash, closing = data[end:].rpartition(b"</")
        isEmpty = inside.endswith(b"/")
        if isEmpty:
            inside, whole = inside[:-1], len(data) == end
        else:
            whole = bool(slash) and closing.endswith(b">") and closing[:-1].rstrip(_SPACE) == name[1]
        if not whole:
            raise StreamError("not-well-formed", "The request is not one whole <body/>.")
        declaration = b"" if b"xmlns:stream" in inside else _STREAM_DECLARATION
        # The space keeps it from being remembered: its request ID is used once.
        self._header = b"<stream:stream" + inside + declaration + b"> "
        self._prefixed = prefix
        self._payload = payload.strip(_SPACE)
        self._parser: StanzaParser | None = None
        self.empty = not self._payload
        parser = StanzaParser(2 * WRAPPER_SIZE, 1, _ATTRIBUTES, 1, ns.CLIENT if prefix else ns.HTTPBIND)
        try:
            return self._open(parser)
        finally:
            # Otherwise it would be a reference cycle.
            parser.stop()

    def _open(self, parser: StanzaParser) -> StreamOpened:
        """Let a parser read the start tag."""
        events = list(parser.feed(self._header))
        if self._prefixed:
            events += parser.feed(b"<" + self._prefixed + b":body/>")
        if self._prefixed and (len(events) != 2 or cast(Element, events[1]).uri != ns.HTTPBIND):
            raise StreamError("invalid-namespace", "The wrapper is in another namespace.")
        return cast(StreamOpened, events[0])

    def events(self, limits: Limits) -> Iterator[Event]:
        """
        Parse the payload. The iteration may be abandoned after any element, as that of L{StanzaParser.feed}.

        @raise StreamError: if it exceeds a limit; L{BindingError} if it is no content of C{<body/>} (XEP-0124 §6).
        """
        parser, data = self._parser, b""
        if parser is None:
            if not self._payload:
                return
            data, self._payload = self._payload, b""
            parser = self._parser = limits.makeParser(ns.CLIENT if self._prefixed else ns.HTTPBIND)
            parser.stanzaSize = 2 * WRAPPER_SIZE
            self._open(parser)
        # They change with the log-in.
        parser.stanzaSize, parser.stepwise = limits.stanzaSize, limits.stepwise
        try:
            for event in parser.feed(data):
                if not isinstance(event, Element) or (event.uri, event.name) == (ns.STREAM, "stream"):
                    raise StreamError("bad-format", "The payload is no content of a stream.")
                yield event
                parser.stanzaSize, parser.stepwise = limits.stanzaSize, limits.stepwise
        except StreamError as e:
            self.stop()
            if e.condition in _LIMITS:
                raise
            raise BindingError("bad-request", e.text or f"The payload is unacceptable: {e.condition}.") from None
        isPartial = parser.partial
        # The body is kept until it is answered.
        self.stop()
        if isPartial:
            raise BindingError("bad-request", "The payload is not whole elements.")

    def stop(self) -> None:
        """Drop what has not been parsed, and the parser."""
        self._payload = b""
        parser, self._parser = self._parser, None
        if parser is not None:
            parser.stop()

    # Attributes

    def text(self, name: str) -> str | None:
        """An attribute without namespace; C{None} if it is missing or empty."""
        return self.attributes.get(name) or None

    def number(self, name: str, least: int, most: int, default: int) -> int:
        """
        An attribute that is a number.

        @param most: above it, it is refused.
        @param default: for none.
        @raise BindingError: C{bad-request}.
        """
        text = self.attributes.get(name)
        if text is None:
            return default
        value = int(text) if _NUMBER.fullmatch(text) else -1
        if not least <= value <= most:
            raise BindingError("bad-request", f"The attribute {name!r} is invalid.")
        return value

    @property
    def terminates(self) -> bool:
        """Whether it ends the session (XEP-0124 §13)."""
        return self.attributes.get("type") == "terminate"

    @property
    def restarts(self) -> bool:
        """Whether it restarts the stream (XEP-0206 §5)."""
        return self.attributes.get((ns.XBOSH, "restart")) in ("true", "1")

    def header(self, to: str) -> StreamOpened:
        """The header of the stream that it opens, as one over TCP would be (XEP-0206 §3, §5), at C{to} by default."""
        header = StreamOpened((ns.STREAM, "stream"), ns.CLIENT)
        attributes = header.attributes
        attributes["to"] = self.text("to") or to
        attributes["version"] = self.attributes.get((ns.XBOSH, "version"), "1.0")
        for name in ("from", (ns.XML, "lang")):
            if name in self.attributes:
                attributes[name] = self.attributes[name]
        return header


def renderBody(attributes: str, payload: bytes = b"", declarations: bytes = b"") -> bytes:
    """
    Render the C{<body/>} of a response.

    @param attributes: rendered, each after a space.
    @param declarations: those of namespaces that the payload needs.
    """
    start = _OPEN + declarations + attributes.encode()
    return start + (b">" + payload + b"</body>" if payload else b"/>")


def renderTermination(condition: str | None, payload: bytes = b"") -> bytes:
    """
    Render the C{<body/>} that ends a session (XEP-0124 §13, §17.2).

    @param condition: the error; C{None} if there is none.
    @param payload: with an error of the stream, if there is one.
    """
    attributes = " type='terminate'" + ("" if condition is None else f" condition='{condition}'")
    return renderBody(attributes, payload, _STREAM_DECLARATION if payload else b"")


def renderRedirection(uri: str) -> bytes:
    """Render the C{<body/>} that sends the client to another URI (XEP-0124 §17.2)."""
    payload = f"<uri>{escapeAttribute(uri)}</uri>".encode()
    return renderBody(" type='terminate' condition='see-other-uri'", payload)
