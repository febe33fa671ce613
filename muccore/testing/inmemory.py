# -*- test-case-name: tests.testing.test_inmemory -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Sessions, router, domains and rooms without sockets, for tests of handlers. For a whole server, with all its
handlers, use L{muccore.testing.server}.

    server = InMemoryServer()
    romeo = server.client("romeo@localhost/orchard")
    romeo.sends("<presence to='room@conference.localhost/Romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    [own, subject] = romeo.received()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.python.filepath import FilePath
from twisted.words.protocols.jabber.ijabber import IXMPPHandler
from zope.interface import implementer

from muccore.im.directinvitations import DirectInvitationHandler
from muccore.im.presence import PresenceHandler
from muccore.im.rosters import Rosters
from muccore.im.userdomain import UserDomain
from muccore.interfaces import HandlerContext, IArchiveStore, IAuditStore, IOccupantStore, IRoomStore, IStream
from muccore.muc.handler import MUCHandler
from muccore.muc.model.extension import RoomExtension
from muccore.muc.service.invitationpolicy import InvitationPolicy
from muccore.routing.domain import Domain
from muccore.routing.router import Router
from muccore.services.disco import DiscoInfoHandler
from muccore.session.endings import Endings
from muccore.session.registry import Sessions
from muccore.session.session import Session
from muccore.storage.memory import MemoryOccupants, MemoryRooms
from muccore.storage.memoryroster import MemoryRosters
from muccore.stream.parser.parser import StanzaParser
from muccore.testing.defaults import LIMITS, MANAGEMENT, defaultOptions
from muccore.testing.doubles import SettableClock
from muccore.xmpp import jid
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered

_HEADER = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"


def parseStanza(text: str) -> Element:
    """Parse one stanza."""
    [_, element] = StanzaParser().feed(_HEADER + text.encode("utf-8"))
    assert isinstance(element, Element)
    return element


@implementer(IStream)
class Client:
    """
    A client with one session, under TLS: its full JID, what it was charged for, the errors with which its stream was
    closed, and whether what it is sent waits for the kernel.
    """

    session: Session
    endings: Endings
    secure = True

    def __init__(self, address: str) -> None:
        self.address = address
        self.charged: list[tuple[int, float]] = []
        self.closed: list[StreamError | None] = []
        self.waiting = False
        self._received: list[bytes] = []

    def sends(self, text: str) -> None:
        """Send one stanza."""
        self.session.stanzaReceived(parseStanza(text))

    def received(self) -> list[Element]:
        """Return the stanzas that have arrived since the last call."""
        data, self._received = b"".join(self._received), []
        _, *elements = StanzaParser().feed(_HEADER + data)
        return [element for element in elements if isinstance(element, Element)]

    def dropConnection(self) -> None:
        """Lose the connection, and tell everybody."""
        self.session.streamLost(self, True)
        self.endings.finishAll()

    def send(self, stanza: Rendered, to: bytes) -> None:
        """See L{IStream}."""
        self._received.append(stanza.addressed(to))

    def sendAll(self, stanzas: Sequence[Rendered], to: bytes) -> None:
        """See L{IStream.sendAll}."""
        for stanza in stanzas:
            self.send(stanza, to)

    def sendNonza(self, element: bytes) -> None:
        """See L{IStream}."""
        self._received.append(element)

    def isWaiting(self) -> bool:
        """See L{IStream.isWaiting}."""
        return self.waiting

    def charge(self, sent: int, delay: float) -> None:
        """See L{IStream}."""
        self.charged.append((sent, delay))

    def close(self, error: StreamError | None) -> None:
        """See L{IStream}."""
        self.closed.append(error)


class InMemoryServer:
    """The server, with its store of rooms, and the handler of its rooms at C{conference.localhost}."""

    def __init__(
        self,
        store: IRoomStore | None = None,
        extensions: Sequence[RoomExtension] | None = None,
        roomHandlers: Sequence[IXMPPHandler] = (),
        archive: IArchiveStore | None = None,
        audit: IAuditStore | None = None,
        occupants: IOccupantStore | None = None,
        **options: Any,
    ) -> None:
        """
        @param store: where rooms are kept; C{None}: in memory.
        @param extensions: what extends its rooms; C{None}: the standard ones.
        @param roomHandlers: further handlers of the rooms' domain, with the extensions of rooms that they bring.
        @param archive: where messages of rooms are archived; C{None}: nowhere.
        @param audit: where audit trails are kept; C{None}: nowhere.
        @param occupants: where the places of occupants are kept; C{None}: in memory.
        @param options: changes of the default L{MUCServiceSettings<muccore.muc.service.servicesettings>}.
        """
        self.clock = SettableClock()
        self.clock.advance(1_000_000_000)
        self.store: Any = MemoryRooms() if store is None else store
        self.store.open()
        self.occupants: Any = MemoryOccupants() if occupants is None else occupants
        self.occupants.open()
        self.sessions = Sessions(LIMITS.sessionsPerAccount, self.clock, MANAGEMENT)
        self.router = self.sessions.router = Router(self.clock)
        self.users = UserDomain("localhost", self.router, self.clock, self.sessions)
        self.rooms = Domain("conference.localhost", self.router, self.clock)
        self.router.addDomain(self.users)
        self.router.addDomain(self.rooms)
        rosters = MemoryRosters()
        rosters.open()
        self.rosters = Rosters(rosters, self.sessions.isInUse)
        PresenceHandler(LIMITS.directedPresences, self.rosters).setHandlerParent(self.users)
        DiscoInfoHandler().setHandlerParent(self.rooms)
        settings = defaultOptions(archiving=archive is not None, **options)
        self.muc = MUCHandler(
            self.store, settings, extensions, archive, audit, self.occupants,
            InvitationPolicy(self.clock.seconds, self.rosters.isContact),
        )  # fmt: skip
        self.muc.extendRooms(roomHandlers)
        self.muc.setHandlerParent(self.rooms)
        for handler in roomHandlers:
            handler.setHandlerParent(self.rooms)
        DirectInvitationHandler(self.muc.invitations.admitDirect).setHandlerParent(self.users)

    def addHandler(self, handler: IXMPPHandler, host: str = "localhost") -> None:
        """
        Add a handler.

        @param host: the domain, which is created if the server does not have it.
        @raise InvalidHandler: if the domain refuses it.
        """
        domains = self.router.domains
        if host not in domains:
            self.router.addDomain(Domain(host, self.router, self.clock))
        handler.setHandlerParent(domains[host])

    def makeContext(self, argument: str = "", **options: str) -> HandlerContext:
        """Make what a plugin makes a handler of C{localhost} from; relative paths start at the working directory."""
        return HandlerContext(argument, options, FilePath("."), self.clock, {"rooms": self.store}, self.users.name)

    def client(self, address: str) -> Client:
        """Log a client in, by its full JID."""
        client = Client(address)
        client.endings = self.sessions.endings
        full = jid.parse(address)
        client.session = self.sessions.bind(full.bareJID(), full.resource, client)
        return client
