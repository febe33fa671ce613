# Copyright (c) The muccore authors. See LICENSE for details.
"""Test doubles around streams: accounts that answer on demand; sessions and a transport that record what they get."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from zope.interface import implementer

from muccore.interfaces import (
    IAuthBackend,
    ISession,
    ISessionBinder,
    IStream,
    IStreamFeature,
    Offering,
    ResumptionFailed,
    Stage,
    UserAgent,
)
from muccore.stream.framing import TCPFraming
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.scramkeys import ScramKeys
from tests.stream.clients import Bindings

DOMAIN = "example.org"
ROMEO = "romeo@example.org"
PASSWORD = "secret"

HEADER = (
    b"<?xml version='1.0'?><stream:stream to='example.org' version='1.0' xml:lang='en' "
    b"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
BIND = b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>"
STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
END = b"</stream:stream>"


def auth(user: str = "romeo", password: str = PASSWORD, mechanism: str = "PLAIN") -> bytes:
    """Render the C{<auth/>} of PLAIN."""
    data = b64encode(f"\0{user}\0{password}".encode())
    return f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>".encode() + data + b"</auth>"


def sasl(name: str, text: str = "") -> bytes:
    """Render a SASL element."""
    return f"<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{text}</{name}>".encode()


@implementer(IAuthBackend)
class Accounts:
    """
    The account L{ROMEO}.

    @ivar waiting: a list to keep answers in until C{release} is called, or C{None}.
    """

    loopbackOnly = False
    hashes = frozenset(["SHA-1"])

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Any]] | None = None
        self.keys = ScramKeys.derive("SHA-1", PASSWORD, iterations=2)

    def open(self) -> Deferred[None]:
        """Nothing to do."""
        return succeed(None)

    def close(self) -> Deferred[None]:
        """Nothing to do."""
        return succeed(None)

    def _answer(self, value: Any) -> Deferred[Any]:
        if self.waiting is None:
            return succeed(value)
        answer: Deferred[Any] = Deferred()
        self.waiting.append((answer, value))
        return answer

    def release(self) -> None:
        """Give the waiting answers."""
        waiting, self.waiting = self.waiting or [], []
        for answer, value in waiting:
            answer.callback(value)

    def hasAccount(self, account: str) -> Deferred[bool]:
        """See L{IAuthBackend}."""
        return self._answer(account == ROMEO)

    def scramKeys(self, account: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{IAuthBackend}."""
        return self._answer(self.keys if account == ROMEO else None)

    def checkPassword(self, account: str, password: str) -> Deferred[bool]:
        """See L{IAuthBackend}."""
        return self._answer(account == ROMEO and password == PASSWORD)


@implementer(ISession)
class Session:
    """A session that records what it receives, or raises C{raises}."""

    def __init__(self, jid: JID, stream: IStream) -> None:
        self.jid = jid
        self.stream: IStream | None = stream
        self.language: str | None = None
        self.management: Any = None
        self.userAgent: UserAgent | None = None
        self.stanzas: list[Element] = []
        self.lost: list[bool] = []
        self.raises: Exception | None = None

    def deliver(self, stanza: Any, to: bytes) -> None:
        """See L{ISession}."""

    def deliverAll(self, stanzas: Any, to: bytes) -> None:
        """See L{ISession}."""

    def stanzaReceived(self, element: Element) -> None:
        """See L{ISession}."""
        if self.raises is not None:
            raise self.raises
        self.stanzas.append(element)

    def charge(self, sent: int, delay: float) -> None:
        """Not supported."""

    def moveTo(self, stream: IStream) -> None:
        """See L{ISession}."""
        self.stream = stream

    def enableManagement(self, resumable: bool, maximum: int | None) -> Any:
        """Enable it, without an id."""
        self.management = mock.Mock(id=None, handled=0)
        return self.management

    def streamLost(self, stream: IStream, final: bool) -> bool:
        """See L{ISession}."""
        assert stream is self.stream
        self.lost.append(final)
        return False


@implementer(ISessionBinder)
class Binder:
    """Binds every resource but C{""}, or raises C{raises}."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.asked: list[str | None] = []
        self.clients: list[str] = []
        self.raises: Exception | None = None

    def bind(self, account: JID, resource: str | None, stream: IStream, client: str = "") -> Session:
        """See L{ISessionBinder}."""
        self.clients.append(client)
        self.asked.append(resource)
        if self.raises is not None:
            raise self.raises
        if resource == "":
            raise StanzaError("bad-request")
        session = Session(account.withResource(resource or "made-up"), stream)
        self.sessions.append(session)
        return session

    def resume(self, account: JID, id: str, handled: int, stream: IStream) -> Session:
        """No session can be resumed."""
        raise ResumptionFailed("item-not-found")


@implementer(IStreamFeature)
class Feature:
    """A feature that offers C{<x/>}, and answers it with C{<y/>} when a resource is bound."""

    def __init__(self, uri: str, stage: Stage, order: int, secure: bool = False) -> None:
        """@param secure: whether to offer it under TLS only."""
        self.uri = uri
        self.stage = stage
        self.order = order
        self.secure = secure
        self.nonzas = {(uri, "x"): lambda session, element: session.stream.sendNonza(b"<y/>")}

    def offer(self, offering: Offering) -> Iterator[Element]:
        """See L{IStreamFeature}."""
        if offering.secure >= self.secure:
            yield Element((self.uri, "x"))


class TLS:
    """A source of channel bindings, in place of C{ServerTLS}."""

    def __init__(self, **bindings: bytes) -> None:
        self.made = Bindings(**(bindings or {"tls-exporter": b"x", "tls-server-end-point": b"y"}))

    def channelBindings(self, transport: Any) -> Bindings:
        """See L{muccore.net.tls.ServerTLS}."""
        return self.made


@implementer(IAddress)
class Address:
    """The address of a connection."""

    def __init__(self, host: str) -> None:
        self.host = host


class Transport:
    """
    A transport that records what is written.

    @ivar log: the bytes written and other calls, in order.
    """

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.paused = False
        self.waiting = False
        self.progress = 0
        self.parts: list[tuple[bytes, bytes, bytes]] = []
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        """Record it, unless the transport was closed."""
        assert isinstance(data, bytes)
        if "lose" not in self.log and "abort" not in self.log:
            self.log.append(data)

    def writeSequence(self, pieces: Sequence[bytes]) -> None:
        """Record the pieces as they are."""
        for data in pieces:
            self.write(data)

    def writeParts(self, head: bytes, to: bytes, tail: bytes) -> None:
        """Record the whole, and the parts."""
        self.parts.append((head, to, tail))
        self.write(head + to + tail)

    def writeBulk(self, pieces: Iterator[bytes], size: int, own: bool = False) -> None:
        """Record the pieces."""
        for data in pieces:
            self.write(data)

    def isWaiting(self) -> bool:
        """Whether something waits, as a test has set it."""
        return self.waiting

    def dropOutbox(self) -> None:
        """Record it."""
        self.log.append("drop")

    @property
    def value(self) -> bytes:
        """Everything written."""
        return b"".join(entry for entry in self.log if isinstance(entry, bytes))

    @property
    def ended(self) -> bool:
        """Whether it was closed or aborted."""
        return "lose" in self.log or "abort" in self.log

    def take(self) -> bytes:
        """What was written since the last call."""
        value = self.value
        self.log = [entry for entry in self.log if not isinstance(entry, bytes)]
        return value

    def startTLS(self, context: Any) -> None:
        """Record it."""
        self.log.append(("startTLS", context))

    def getHandle(self) -> Transport:
        """Be the TLS connection as well."""
        return self

    def get_protocol_version_name(self) -> str:
        """See L{OpenSSL.SSL.Connection}."""
        return "TLSv1.3"

    def get_cipher_name(self) -> str:
        """See L{OpenSSL.SSL.Connection}."""
        return "TLS_AES_128_GCM_SHA256"

    def loseConnection(self) -> None:
        """Record it."""
        self.log.append("lose")

    def abortConnection(self) -> None:
        """Record it."""
        self.log.append("abort")

    def pauseProducing(self) -> None:
        """Record it."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Record it."""
        self.paused = False


class NegotiationHost:
    """
    The host of a negotiation.

    @ivar log: the bytes written, and the other calls by name.
    @ivar failures: the conditions of failed log-ins.
    """

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.failures: list[str] = []
        self.authenticationFailed = self.failures.append

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name not in ("startTLS", "pauseParsing", "resumeParsing", "restartStream", "continueStream"):
            raise AttributeError(name)
        return lambda: self.log.append(name)

    def sendHeader(self, attributes: bytes) -> None:
        """Record it as over TCP."""
        self.log.append(TCPFraming.renderHeader(attributes))

    def send(self, stanza: Rendered, to: bytes) -> None:
        """Record it."""
        self.log.append(stanza.addressed(to))

    def sendNonza(self, element: bytes) -> None:
        """Record it."""
        self.log.append(element)

    def close(self, error: StreamError | None) -> None:
        """Record the condition."""
        self.log.append(("close", None if error is None else error.condition))

    def bindings(self) -> Any:
        """Those of L{TLS}."""
        return TLS().made if "startTLS" in self.log else None

    def sessionBound(self, session: Any, resumed: bool = False) -> None:
        """Record the full JID."""
        self.log.append(("sessionResumed" if resumed else "sessionBound", session.jid.full))

    def internalError(self, failure: Any) -> None:
        """Record the exception type."""
        self.log.append(("internalError", failure.type))
