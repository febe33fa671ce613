# Copyright (c) The muccore authors. See LICENSE for details.
"""Clients in the reactor's thread."""

from __future__ import annotations

import base64
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from lxml import etree
from OpenSSL import SSL
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from muccore.testing.scansion.client import Client
from muccore.testing.scansion.language import ClientDefinition
from muccore.xmpp import ns
from tests.endtoend.serverprocess import TIMEOUT

ROOM = "orchard@conference.localhost"

_T = TypeVar("_T")

HEADER = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>"
)

_LOGIN: list[tuple[bytes, Callable[[str], str]]] = [
    (b"PLAIN</mechanism>", lambda user: f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{_plain(user)}</auth>"),
    (b"<success", lambda user: HEADER),
    (b"<bind ", lambda user: f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>r</resource></bind></iq>"),
    (b"</jid>", lambda user: ""),
]
"""What a L{PlainClient} waits for, and what it sends then."""


def _plain(user: str) -> str:
    return base64.b64encode(f"\0{user}\0secret".encode()).decode("ascii")


class RoomClient(Client):
    """A client that uses rooms."""

    async def until(self, matches: Callable[[etree._Element], Any]) -> etree._Element:
        """Return the next stanza that matches; drop those before it."""
        while not matches(element := await self.next()):
            pass
        return element

    async def enter(self, nick: str, room: str = ROOM) -> etree._Element:
        """Enter a room; return the client's own presence or the error."""
        self.send(f"<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        answer = await self.until(lambda e: isPresence(e) and (e.get("type") == "error" or 110 in codes(e)))
        if answer.get("type") != "error":
            # The subject comes last (XEP-0045 §7.2.15).
            await self.until(lambda e: e.find(f"{{{ns.CLIENT}}}subject") is not None)
        return answer

    def sendToRoom(self, text: str, room: str = ROOM) -> None:
        """Send a message to a room."""
        self.send(f"<message to='{room}' type='groupchat'><body>{text}</body></message>")

    async def request(self, type: str, payload: str, to: str = ROOM) -> etree._Element:
        """Send an IQ; return its answer."""
        self._requests = getattr(self, "_requests", 0) + 1
        id = f"request-{self._requests}"
        self.send(f"<iq type='{type}' to='{to}' id='{id}'>{payload}</iq>")
        return await self.until(lambda e: e.get("id") == id and e.tag == f"{{{ns.CLIENT}}}iq")

    async def configure(self, room: str = ROOM, **fields: str) -> None:
        """
        Submit a room's configuration.

        @param fields: values by name, without C{muc#roomconfig_}.
        """
        values = "".join(
            f"<field var='muc#roomconfig_{name}'><value>{value}</value></field>" for name, value in fields.items()
        )
        formType = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
        answer = await self.request(
            "set",
            "<query xmlns='http://jabber.org/protocol/muc#owner'>"
            f"<x xmlns='jabber:x:data' type='submit'>{formType}{values}</x></query>",
            room,
        )
        assert answer.get("type") == "result", etree.tostring(answer)

    async def affiliates(self, affiliation: str, room: str = ROOM) -> set[str]:
        """Return one of a room's lists of affiliations."""
        answer = await self.request(
            "get", f"<query xmlns='{ns.MUC_ADMIN}'><item affiliation='{affiliation}'/></query>", room
        )
        return {str(item.get("jid")) for item in answer.iter(f"{{{ns.MUC_ADMIN}}}item")}


def isPresence(element: etree._Element) -> bool:
    """Return whether this is presence."""
    return element.tag == f"{{{ns.CLIENT}}}presence"


def nickOf(element: etree._Element) -> str:
    """Return the nick of the sender."""
    return str(element.get("from")).partition("/")[2]


def codes(element: etree._Element) -> set[int]:
    """Return the status codes of a room's presence or message."""
    return {int(status.get("code", "0")) for status in element.iter(f"{{{ns.MUC_USER}}}status")}


def bodyOf(element: etree._Element) -> str | None:
    """Return the body of a message, or C{None}."""
    return element.findtext(f"{{{ns.CLIENT}}}body")


async def logIn(
    test: TestCase, port: int, user: str, password: str = "secret", tls: bool = False, direct: bool = False,
    name: bytes | None = None, resource: str = "r",
) -> RoomClient:  # fmt: skip
    """
    Connect and log in.

    @param test: the connection is dropped at its end.
    @param user: a user of C{localhost}, or a bare JID.
    @param tls: use STARTTLS even if the server does not require it.
    @param direct: the port uses direct TLS.
    @param name: the name to indicate for that (SNI).
    """
    client = await openConnection(test, port, direct, name)
    jid = user if "@" in user else f"{user}@localhost"
    await bounded(client.login(ClientDefinition(user, jid, password, resource), tls))
    return client


@implementer(IOpenSSLClientConnectionCreator)
class _ClientTLS:
    """Creates connections that indicate a name, and verify nothing."""

    def __init__(self, name: bytes | None) -> None:
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """See L{IOpenSSLClientConnectionCreator}."""
        connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        if self._name is not None:
            connection.set_tlsext_host_name(self._name)
        return connection


async def openConnection(
    test: TestCase, port: int, direct: bool = False, name: bytes | None = None
) -> RoomClient:
    """Connect; see L{logIn}."""
    endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    if direct:
        endpoint = wrapClientTLS(_ClientTLS(name), endpoint)
    client: RoomClient = await endpoint.connect(Factory.forProtocol(RoomClient)).addTimeout(TIMEOUT, reactor)

    def leave() -> Deferred[None]:
        client.abort()
        return client.closed()

    test.addCleanup(leave)
    return client


async def enterRoom(test: TestCase, port: int) -> tuple[RoomClient, RoomClient]:
    """Let Romeo create the room and Juliet enter it."""
    romeo = await logIn(test, port, "romeo")
    await bounded(romeo.enter("Romeo"))
    await bounded(romeo.configure())
    juliet = await logIn(test, port, "juliet")
    await bounded(juliet.enter("Juliet"))
    return romeo, juliet


def bounded(waiting: Coroutine[Any, Any, _T]) -> Deferred[_T]:
    """Wait no longer than L{TIMEOUT}."""
    return Deferred.fromCoroutine(waiting).addTimeout(TIMEOUT, reactor)


class PlainClient(Protocol):
    """
    A cheap client, for tests with many: it logs in by PLAIN and then ignores what arrives.

    @ivar ready: fires when it is logged in.
    @ivar gone: fires when its connection is lost.
    """

    transport: Any

    def __init__(self, user: str) -> None:
        self.user = user
        self.ready: Deferred[PlainClient] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self._data = b""
        self._steps = iter(_LOGIN)
        self._expected, self._answer = next(self._steps)

    def connectionMade(self) -> None:
        """Open the stream."""
        self.send(HEADER)

    def send(self, text: str) -> None:
        """Send XML."""
        self.transport.write(text.encode())

    def dataReceived(self, data: bytes) -> None:
        """Take the next step of the login."""
        if self.ready.called:
            return
        self._data += data
        if b"<starttls" in self._data:
            self._data = b""
            self.send(f"<starttls xmlns='{ns.TLS}'/>")
        elif b"<proceed" in self._data:
            self._data = b""
            self.transport.startTLS(_TRUSTING)
            self.send(HEADER)
        elif self._expected in self._data:
            self._data = b""
            self.send(self._answer(self.user))
            step = next(self._steps, None)
            if step is None:
                self.ready.callback(self)
            else:
                self._expected, self._answer = step

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Fire C{gone}; fail C{ready} if it has not fired."""
        if not self.ready.called:
            self.ready.errback(Failure(AssertionError(f"{self.user} was disconnected: {self._data!r}")))
        self.gone.callback(None)


_TRUSTING = ssl.CertificateOptions(verify=False)


async def logInMany(test: TestCase, port: int, names: Iterable[str]) -> list[PlainClient]:
    """Log many clients in; their connections are reset at the end of the test."""
    clients = []
    connecting = []
    for name in names:
        plain = PlainClient(name)
        clients.append(plain)
        connecting.append(connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port, timeout=TIMEOUT), plain))
    test.addCleanup(resetAll, clients)
    await gatherResults(connecting, consumeErrors=True)
    await gatherResults([plain.ready for plain in clients], consumeErrors=True).addTimeout(TIMEOUT, reactor)
    return clients


def resetAll(clients: Iterable[PlainClient]) -> Deferred[Any]:
    """Reset all the connections in one turn of the reactor."""
    going = []
    for plain in clients:
        if plain.connected:
            # Twisted makes the kernel send RST instead of FIN.
            plain.transport.abortConnection()
            going.append(plain.gone)
    return gatherResults(going)
