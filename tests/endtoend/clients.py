# Copyright (c) The muccore authors. See LICENSE for details.
"""Clients that a test drives from close by, in the reactor's own thread."""

from __future__ import annotations

import base64
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from lxml import etree
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.client import Client
from muccore.testing.scansion.language import ClientDefinition
from muccore.xmpp import ns
from tests.endtoend.serverprocess import PATIENCE

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
"""What an L{Extra} waits for, and what it says then."""


def _plain(user: str) -> str:
    return base64.b64encode(f"\0{user}\0secret".encode()).decode("ascii")


class Person(Client):
    """A client that understands what it hears."""

    async def until(self, matches: Callable[[etree._Element], Any]) -> etree._Element:
        """The next stanza that is as it should be; those before it are dropped."""
        while not matches(element := await self.next()):
            pass
        return element

    async def enter(self, nick: str, room: str = ROOM) -> etree._Element:
        """
        Enter a room.

        @return: one's own presence, or the error.
        """
        self.send(f"<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        answer = await self.until(lambda e: isPresence(e) and (e.get("type") == "error" or 110 in codes(e)))
        if answer.get("type") != "error":
            # What there is to be known about a room ends with its subject (XEP-0045 §7.2.15).
            await self.until(lambda e: e.find(f"{{{ns.CLIENT}}}subject") is not None)
        return answer

    def say(self, text: str, room: str = ROOM) -> None:
        """Say something to everybody in a room."""
        self.send(f"<message to='{room}' type='groupchat'><body>{text}</body></message>")

    async def ask(self, type: str, payload: str, to: str = ROOM) -> etree._Element:
        """
        Send an IQ.

        @return: its answer.
        """
        self._asked = getattr(self, "_asked", 0) + 1
        id = f"asked-{self._asked}"
        self.send(f"<iq type='{type}' to='{to}' id='{id}'>{payload}</iq>")
        return await self.until(lambda e: e.get("id") == id and e.tag == f"{{{ns.CLIENT}}}iq")

    async def configure(self, room: str = ROOM, **fields: str) -> None:
        """
        Accept a new room's configuration.

        @param fields: values by what stands behind C{muc#roomconfig_}.
        """
        values = "".join(
            f"<field var='muc#roomconfig_{name}'><value>{value}</value></field>" for name, value in fields.items()
        )
        formType = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
        answer = await self.ask(
            "set",
            "<query xmlns='http://jabber.org/protocol/muc#owner'>"
            f"<x xmlns='jabber:x:data' type='submit'>{formType}{values}</x></query>",
            room,
        )
        assert answer.get("type") == "result", etree.tostring(answer)

    async def affiliates(self, affiliation: str, room: str = ROOM) -> set[str]:
        """One of a room's lists."""
        answer = await self.ask(
            "get", f"<query xmlns='{ns.MUC_ADMIN}'><item affiliation='{affiliation}'/></query>", room
        )
        return {str(item.get("jid")) for item in answer.iter(f"{{{ns.MUC_ADMIN}}}item")}


def isPresence(element: etree._Element) -> bool:
    """Whether it is a presence."""
    return element.tag == f"{{{ns.CLIENT}}}presence"


def nickOf(element: etree._Element) -> str:
    """Who in a room it is from."""
    return str(element.get("from")).partition("/")[2]


def codes(element: etree._Element) -> set[int]:
    """The status codes of a room's presence or message."""
    return {int(status.get("code", "0")) for status in element.iter(f"{{{ns.MUC_USER}}}status")}


def bodyOf(element: etree._Element) -> str | None:
    """What somebody has said."""
    return element.findtext(f"{{{ns.CLIENT}}}body")


async def arrive(
    test: TestCase, port: int, user: str, password: str = "secret", tls: bool = False, direct: bool = False
) -> Person:
    """
    Connect and log in.

    @param test: the connection is dropped at its end.
    @param tls: use STARTTLS though the server does not demand it.
    @param direct: the port speaks TLS from the first byte on.
    """
    person = await call(test, port, direct)
    await bounded(person.login(ClientDefinition(user, f"{user}@localhost", password, "r"), tls))
    return person


async def call(test: TestCase, port: int, direct: bool = False) -> Person:
    """Connect."""
    endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    if direct:
        endpoint = wrapClientTLS(ssl.CertificateOptions(verify=False), endpoint)
    person: Person = await endpoint.connect(Factory.forProtocol(Person)).addTimeout(PATIENCE, reactor)

    def leave() -> Deferred[None]:
        person.abort()
        return person.closed()

    test.addCleanup(leave)
    return person


async def meet(test: TestCase, port: int) -> tuple[Person, Person]:
    """Have Romeo create the room and Juliet enter it."""
    romeo = await arrive(test, port, "romeo")
    await bounded(romeo.enter("Romeo"))
    await bounded(romeo.configure())
    juliet = await arrive(test, port, "juliet")
    await bounded(juliet.enter("Juliet"))
    return romeo, juliet


def bounded(waiting: Coroutine[Any, Any, _T]) -> Deferred[_T]:
    """Wait for something, but not for ever."""
    return Deferred.fromCoroutine(waiting).addTimeout(PATIENCE, reactor)


class Extra(Protocol):
    """
    One of a crowd: logs in by PLAIN, and then hears nothing of what it is told.

    @ivar ready: fires when it is logged in.
    @ivar gone: fires when its connection is.
    """

    transport: Any

    def __init__(self, user: str) -> None:
        self.user = user
        self.ready: Deferred[Extra] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self._heard = b""
        self._steps = iter(_LOGIN)
        self._expected, self._answer = next(self._steps)

    def connectionMade(self) -> None:
        """Begin."""
        self.send(HEADER)

    def send(self, text: str) -> None:
        """Send XML."""
        self.transport.write(text.encode())

    def dataReceived(self, data: bytes) -> None:
        """Look for what comes next in a log-in."""
        if self.ready.called:
            return
        self._heard += data
        if b"<starttls" in self._heard:
            self._heard = b""
            self.send(f"<starttls xmlns='{ns.TLS}'/>")
        elif b"<proceed" in self._heard:
            self._heard = b""
            self.transport.startTLS(_TRUSTING)
            self.send(HEADER)
        elif self._expected in self._heard:
            self._heard = b""
            self.send(self._answer(self.user))
            step = next(self._steps, None)
            if step is None:
                self.ready.callback(self)
            else:
                self._expected, self._answer = step

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell whoever waits."""
        if not self.ready.called:
            self.ready.errback(Failure(AssertionError(f"{self.user} was thrown out: {self._heard!r}")))
        self.gone.callback(None)


_TRUSTING = ssl.CertificateOptions(verify=False)


async def gather(test: TestCase, port: int, names: Iterable[str]) -> list[Extra]:
    """
    Log in a crowd.

    @param test: they are gone at its end.
    """
    crowd = []
    connecting = []
    for name in names:
        extra = Extra(name)
        crowd.append(extra)
        connecting.append(connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port, timeout=PATIENCE), extra))
    test.addCleanup(disperse, crowd)
    await gatherResults(connecting, consumeErrors=True)
    await gatherResults([extra.ready for extra in crowd], consumeErrors=True).addTimeout(PATIENCE, reactor)
    return crowd


def disperse(crowd: Iterable[Extra]) -> Deferred[Any]:
    """Reset all their connections in one turn."""
    going = []
    for extra in crowd:
        if extra.connected:
            # Twisted lets the kernel send a reset instead of an orderly end.
            extra.transport.abortConnection()
            going.append(extra.gone)
    return gatherResults(going)
