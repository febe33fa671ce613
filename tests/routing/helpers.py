# Copyright (c) The muccore authors. See LICENSE for details.
"""
Helpers for tests of sessions, the router, domains and handlers: streams that record, and a server without connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lxml import etree
from twisted.internet.task import Clock
from twisted.words.protocols.jabber.ijabber import IXMPPHandler
from twisted.words.xish import domish
from zope.interface import implementer

from muccore.im.presence import PresenceHandler
from muccore.im.rosters import Rosters
from muccore.im.userdomain import UserDomain
from muccore.interfaces import IStream
from muccore.routing.domain import Domain
from muccore.routing.router import Router
from muccore.session.registry import Sessions
from muccore.session.session import Session
from muccore.storage.memoryroster import MemoryRosters
from muccore.testing.defaults import MANAGEMENT
from muccore.xmpp import jid
from muccore.xmpp.element import Element, copyOf
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered, render


def xml(text: str) -> Element:
    """Parse one element of C{jabber:client}."""
    found: list[domish.Element] = []
    stream = domish.elementStream()
    stream.DocumentStartEvent = lambda root: None
    stream.ElementEvent = found.append
    stream.DocumentEndEvent = lambda: None
    stream.parse(f"<stream xmlns='jabber:client'>{text}</stream>".encode())
    [element] = found
    return copyOf(element)


def canonical(xml: str | bytes | Element) -> list[str]:
    """Split XML into stanzas, each in a form that is equal if they are."""
    if isinstance(xml, domish.Element):
        xml = render(xml)
    if isinstance(xml, str):
        xml = xml.encode()
    root = etree.fromstring(b"<stream xmlns='jabber:client'>" + xml + b"</stream>")
    return [etree.tostring(child, method="c14n", exclusive=True, with_tail=False).decode() for child in root]


@implementer(IStream)
class FakeStream:
    """
    Records what it is sent.

    @ivar data: all that was written and not yet L{taken<take>}.
    @ivar closed: the errors with which it was closed.
    @ivar waiting: whether what was written waits for the kernel.
    """

    address = "127.0.0.1"
    secure = True

    def __init__(self, log: list[object] | None = None) -> None:
        self.data = b""
        self.closed: list[StreamError | None] = []
        self.waiting = False
        self.log = log

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{IStream.send}."""
        assert not self.closed, "written to after its end"
        self.data += stanza.addressed(to)

    def sendAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IStream.sendAll}."""
        for stanza in stanzas:
            self.send(stanza, to)

    def sendNonza(self, element: bytes) -> None:
        """See L{IStream.sendNonza}."""
        self.data += element

    def isWaiting(self) -> bool:
        """See L{IStream.isWaiting}."""
        return self.waiting

    def charge(self, sent: int, delay: float) -> None:
        """See L{IStream.charge}."""

    def close(self, error: StreamError | None) -> None:
        """See L{IStream.close}."""
        self.closed.append(error)
        if self.log is not None:
            self.log.append(("closed", error.condition if error else None))

    def take(self) -> list[str]:
        """Get the stanzas written since the last call, canonical."""
        data, self.data = self.data, b""
        return canonical(data)


def makeRosters(sessions: Sessions) -> Rosters:
    """Make rosters in memory."""
    store = MemoryRosters()
    store.open()
    return Rosters(store, sessions.isInUse)


class Server:
    """Sessions, a router, the accounts' domain C{localhost}, and other domains."""

    def __init__(self, *hosts: str, limit: int = 5, directedLimit: int = 4) -> None:
        self.clock = Clock()
        self.sessions = Sessions(limit, self.clock, MANAGEMENT)
        self.router = self.sessions.router = Router(self.clock)
        self.users = UserDomain("localhost", self.router, self.clock, self.sessions)
        self.router.addDomain(self.users)
        self.rosters = makeRosters(self.sessions)
        self.presence = PresenceHandler(directedLimit, self.rosters)
        self.add("localhost", self.presence)
        for host in hosts:
            self.router.addDomain(Domain(host, self.router, self.clock))

    def add(self, host: str, *handlers: IXMPPHandler) -> None:
        """Add handlers to a domain."""
        for handler in handlers:
            handler.setHandlerParent(self.router.domains[host])

    def connect(self, address: str, presence: str | None = None) -> Client:
        """Bind a session; if presence is given, send it and discard what comes back."""
        full = jid.parse(address)
        stream = FakeStream()
        client = Client(self.sessions.bind(full.bareJID(), full.resource or None, stream), stream)
        if presence is not None:
            client.send(presence)
            client.take()
        return client


class Client:
    """A session and its stream."""

    def __init__(self, session: Session, stream: FakeStream) -> None:
        self.session = session
        self.stream = stream
        self.take = stream.take

    def send(self, text: str) -> None:
        """Send a stanza as the client."""
        self.session.stanzaReceived(xml(text))

    def ask(self, text: str) -> list[str]:
        """Send a stanza; return what comes back."""
        self.take()
        self.send(text)
        return self.take()

    def vanish(self) -> None:
        """Lose the connection, and tell everybody if the session has ended."""
        self.session.streamLost(self.stream, False)
        self.session._sessions.endings.finishAll()


def error(stanza: str, condition: str, type: str, by: str | None = None, text: str | None = None) -> list[str]:
    """
    Make an error stanza in the form of L{canonical}.

    @param stanza: the error stanza without C{<error/>}.
    """
    element = xml(stanza)
    child = element.add("error", type=type, **({"by": by} if by else {}))
    child.add(condition, "urn:ietf:params:xml:ns:xmpp-stanzas")
    if text is not None:
        child.add("text", "urn:ietf:params:xml:ns:xmpp-stanzas", text).attributes[
            "http://www.w3.org/XML/1998/namespace", "lang"
        ] = "en"
    return canonical(element)


def conditions(stanzas: Iterable[str]) -> list[str]:
    """Get the error conditions of stanzas; C{""} for one that is no error."""
    found = []
    for stanza in stanzas:
        element = xml(stanza).child("error")
        found.append("" if element is None else next(element.childElements()).name)
    return found
