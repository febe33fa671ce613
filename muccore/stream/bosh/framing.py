# -*- test-case-name: tests.stream.bosh.test_stream -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The framing of streams over BOSH (XEP-0206): whole elements, which the connection puts into bodies.

As over WebSocket, what is rendered once for many recipients is used as it is: C{xmlns} goes where C{to} goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from muccore.stream.bosh.body import Body, Limits
from muccore.stream.framing import BULK_SIZE, SEVERAL_SIZE
from muccore.stream.parser.events import CLOSED, Event
from muccore.xmpp import ns
from muccore.xmpp.rendering import OwnStanzas, Rendered

if TYPE_CHECKING:
    from muccore.stream.c2s import StreamSettings

_XMLNS: Final = f" xmlns='{ns.CLIENT}'".encode()
_STREAM_NAME: Final = b"<stream:"


class BodyParser:
    """
    Parses bodies, one after the other, into the events of a stream; takes the place of a L{StanzaParser}.

    @ivar handled: called with the ID of each request whose body has been handled.
    """

    __slots__ = ("_begun", "_bodies", "_limits", "_opens", "_size", "_stopped", "_to", "handled")

    def __init__(self, limits: Limits, handled: Callable[[int], object]) -> None:
        self.handled = handled
        self._to = ""
        self._limits = limits
        self._bodies: list[Body] = []
        self._size = 0
        # Whether the header of the first body was passed on; whether the next body opens the stream.
        self._begun = self._stopped = False
        self._opens = True

    @property
    def stanzaSize(self) -> int:
        """The limit for an element, in bytes."""
        return self._limits.stanzaSize

    @stanzaSize.setter
    def stanzaSize(self, size: int) -> None:
        self._limits.stanzaSize = size

    @property
    def stepwise(self) -> bool:
        """See L{StanzaParser}."""
        return self._limits.stepwise

    @stepwise.setter
    def stepwise(self, stepwise: bool) -> None:
        self._limits.stepwise = stepwise

    @property
    def waiting(self) -> int:
        """Bytes of the bodies that are not handled."""
        return self._size

    def restart(self, discard: bool = False) -> None:
        """Do nothing: the client asks for a new stream (XEP-0206 §5)."""

    def idle(self) -> None:
        """Do nothing: no parser outlives a body."""

    def stop(self) -> None:
        """Drop everything, and ignore further bodies."""
        self._stopped = True
        for body in self._bodies:
            body.stop()
        self._bodies.clear()
        self._size = 0

    def buffer(self, data: Body) -> int:
        """Keep a body for the next L{feed}; return the bytes that wait."""
        if not self._stopped:
            self._bodies.append(data)
            self._size += len(data)
        return self._size

    def feed(self, data: Body | bytes) -> Iterator[Event]:
        """
        Parse a body, after those that wait; C{b""} for none. The iteration may be abandoned after any element.

        @raise StreamError: see L{Body.events}.
        """
        if isinstance(data, Body):
            self.buffer(data)
        bodies = self._bodies
        while bodies:
            body = bodies[0]
            for event in self._eventsOf(body):
                yield event
                if self._stopped:
                    return
            del bodies[0]
            self._begun = False
            self._size -= len(body)
            self.handled(body.rid)
            if body.terminates:
                yield CLOSED
                return

    def _eventsOf(self, body: Body) -> Iterator[Event]:
        """The events of the first body, those that the stream has had left out."""
        if not self._begun:
            self._begun = True
            if self._opens:
                self._opens = False
                self._to = body.text("to") or ""
                yield body.header("")
            elif body.restarts:
                # What else is in such a body is ignored (XEP-0206 §5).
                body.stop()
                yield body.header(self._to)
        yield from body.events(self._limits)


class BOSHFraming:
    """The framing of streams over BOSH: see L{TCPFraming<muccore.stream.framing.TCPFraming>}."""

    __slots__ = ()

    transport: Any
    write: Callable[[bytes], None]

    def makeParser(self, settings: StreamSettings) -> Any:
        """See L{TCPFraming.makeParser}."""
        size = settings.stanzaSizeUnauthenticated
        return BodyParser(Limits(size, settings.depth, settings.attributes, settings.elements), self.bodyHandled)

    def bodyHandled(self, rid: int) -> None:
        """Note that the body of a request was handled."""
        raise NotImplementedError

    def sendHeader(self, attributes: bytes) -> None:
        """Do nothing: what a client needs of a header is in the response that creates the session."""

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{muccore.interfaces.IStream.send}."""
        head, tail = stanza.head + _XMLNS, stanza.tail
        if len(tail) < BULK_SIZE:
            self.transport.writeParts(head, to, tail)
        else:
            self.transport.writeBulk(iter((b"".join((head, to, tail)),)), len(tail), True)

    def sendAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{muccore.interfaces.IStream.sendAll}."""
        parts = (b"".join((stanza.head, _XMLNS, to, stanza.tail)) for stanza in stanzas)
        size = sum(len(stanza.tail) for stanza in stanzas)
        if size <= SEVERAL_SIZE:
            self.write(b"".join(parts))
        else:
            self.transport.writeBulk(parts, size, isinstance(stanzas, OwnStanzas))

    def sendNonza(self, element: bytes) -> None:
        """See L{muccore.interfaces.IStream.sendNonza}."""
        if element:
            if element.startswith(_STREAM_NAME):
                self.transport.streamPrefix = True
            self.write(element)

    def sendEnd(self) -> None:
        """Do nothing: the end of the session is an attribute of C{<body/>}."""

    def sendKeepalive(self) -> None:
        """Do nothing: no request waits for longer than what the client has asked for."""
