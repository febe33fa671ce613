# -*- test-case-name: tests.testing.test_scansion_client -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A small XMPP client over TCP for scenarios: it logs in, binds, sends text and keeps what arrives.

Only for servers under test: it accepts any certificate, sends the password over an unencrypted connection if the server
lets it, and keeps what arrives without any limit.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections import deque
from typing import Any, cast

from lxml import etree
from twisted.internet import ssl
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from muccore.testing.scansion.language import ClientDefinition
from muccore.testing.scansion.reader import StreamReader
from muccore.testing.scansion.scram import ScramClient, ScramRefused
from muccore.xmpp import ns
from muccore.xmpp.rendering import escapeAttribute, escapeText

STREAM_ERROR = f"{{{ns.STREAM}}}error"
"""The tag of a stream error."""


class ClientFailed(Exception):
    """The connection or the login failed; C{str()} of it says why."""


def _condition(error: etree._Element, namespace: str) -> str:
    """Return the condition of a stream error, SASL failure or stanza error."""
    for child in error.iterchildren(etree.Element):
        name = etree.QName(child)
        if name.namespace == namespace and name.localname != "text":
            return name.localname
    return "without a condition"


class Client(Protocol):
    """
    One connection.

    @ivar stanzas: those that have arrived and are not taken yet, stream errors among them.
    @ivar count: how many have arrived since the login.
    @ivar full: the full JID, once it is bound.
    @ivar lost: why the connection is lost, or C{None}.
    """

    transport: ITCPTransport

    def __init__(self) -> None:
        self.stanzas: deque[etree._Element] = deque()
        self.count = 0
        self.full = ""
        self.lost: str | None = None
        self._ended = ""
        self._closing = False
        self._waiting: Deferred[None] | None = None
        self._finished: list[Deferred[None]] = []
        self._pings: dict[str, Deferred[None]] = {}
        self._domain = ""
        self._reader = StreamReader()

    # Receiving

    def dataReceived(self, data: bytes) -> None:
        """See L{Protocol.dataReceived}."""
        reader = self._reader
        for element in reader.feed(data):
            if reader is not self._reader:
                # The stream has been restarted: ignore what arrived before.
                return
            if element is not None:
                self._elementReceived(element)
            else:
                self._ended = self._ended or "the server closed the stream"
                self._sendClosing()
                self.transport.loseConnection()
        if reader.error is not None and reader is self._reader:
            self._ended = self._ended or reader.error
            self.abort()

    def _elementReceived(self, element: etree._Element) -> None:
        answered = self._pings.pop(element.get("id", ""), None)
        if answered is not None:
            answered.callback(None)
            return
        if element.tag == STREAM_ERROR:
            self._ended = f"stream error {_condition(element, ns.STREAM_ERRORS)}"
        self.count += 1
        self.stanzas.append(element)
        self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See L{Protocol.connectionLost}."""
        self.lost = self._ended or f"the connection was lost: {reason.getErrorMessage()}"
        pings, self._pings = self._pings, {}
        for ping in pings.values():
            ping.errback(ClientFailed(self.lost))
        self._wake()
        finished, self._finished = self._finished, []
        for waiting in finished:
            waiting.callback(None)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def changed(self) -> Deferred[None]:
        """Wait until something arrives or the connection is lost. Only one caller may wait at a time."""
        if self.lost is not None:
            return succeed(None)

        def forget(_: Deferred[None]) -> None:
            self._waiting = None

        self._waiting = Deferred(forget)
        return self._waiting

    def closed(self) -> Deferred[None]:
        """Wait until the connection is lost."""
        waiting: Deferred[None] = Deferred()
        if self.lost is None:
            self._finished.append(waiting)
        else:
            waiting.callback(None)
        return waiting

    async def next(self) -> etree._Element:
        """Return the next stanza; fail with L{ClientFailed} for a stream error or a lost connection."""
        while not self.stanzas:
            if self.lost is not None:
                raise ClientFailed(self.lost)
            await self.changed()
        element = self.stanzas.popleft()
        if element.tag == STREAM_ERROR:
            raise ClientFailed(self._ended)
        return element

    # Sending

    def send(self, text: str) -> None:
        """Send XML."""
        self.transport.write(text.encode("utf-8"))

    def ping(self, to: str) -> Deferred[None]:
        """Ping an address (XEP-0199); any answer will do. Fails with L{ClientFailed} if the connection is lost."""
        if self.lost is not None:
            return fail(ClientFailed(self.lost))
        identifier = f"ping-{secrets.token_hex(8)}"
        answered = self._pings[identifier] = Deferred[None]()
        self.send(f"<iq type='get' id='{identifier}' to='{escapeAttribute(to)}'><ping xmlns='{ns.PING}'/></iq>")
        return answered

    def _sendClosing(self) -> None:
        if not self._closing:
            self._closing = True
            self._sendEnd()

    def _sendEnd(self) -> None:
        self.send("</stream:stream>")

    def close(self) -> Deferred[None]:
        """Close the stream, and wait until the server has closed it, too."""
        if self.lost is None:
            self._sendClosing()
        return self.closed()

    def abort(self) -> None:
        """Drop the connection."""
        if self.lost is None:
            self.transport.abortConnection()

    # Logging in

    async def login(self, definition: ClientDefinition, tls: bool = False) -> None:
        """
        Log in and bind a resource. The caller limits the time.

        @param tls: use STARTTLS even if logging in is possible without it.
        @raise ClientFailed: if the server refuses.
        """
        address = definition.address
        self._domain = address.domain
        features = await self._open()
        offer = features.find(f"{{{ns.TLS}}}starttls")
        if offer is None and tls:
            raise ClientFailed("the server does not offer STARTTLS")
        if offer is not None and (
            tls or offer.find(f"{{{ns.TLS}}}required") is not None or not self._mechanisms(features)
        ):
            features = await self._startTLS()
        await self._authenticate(self._mechanisms(features), address.local, definition.password)
        await self._open()
        await self._bind(definition.resource)
        self.count = len(self.stanzas)

    def _newReader(self) -> None:
        self._reader = StreamReader()

    def _sendHeader(self) -> None:
        self.send(
            f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' "
            f"to='{escapeAttribute(self._domain)}' version='1.0' xml:lang='en'>"
        )

    async def _open(self) -> etree._Element:
        self._newReader()
        self._sendHeader()
        features = await self.next()
        if features.tag != f"{{{ns.STREAM}}}features":
            raise ClientFailed(f"expected stream features, the server sent <{etree.QName(features).localname}>")
        return features

    async def _startTLS(self) -> etree._Element:
        self.send(f"<starttls xmlns='{ns.TLS}'/>")
        answer = await self.next()
        if answer.tag != f"{{{ns.TLS}}}proceed":
            raise ClientFailed("the server refuses STARTTLS")
        self.transport.startTLS(ssl.CertificateOptions(verify=False))  # type: ignore[attr-defined]
        return await self._open()

    @staticmethod
    def _mechanisms(features: etree._Element) -> list[str]:
        """Return the mechanisms that both the server and this client support, the preferred one first."""
        offered = {str(found.text).strip() for found in features.iter(f"{{{ns.SASL}}}mechanism")}
        return [known for known in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1") if known in offered]

    async def _authenticate(self, mechanisms: list[str], user: str, password: str) -> None:
        if not mechanisms:
            raise ClientFailed("the server offers none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-1")
        mechanism = mechanisms[0]
        if mechanism == "PLAIN":
            await self._exchange("auth", f"\0{user}\0{password}".encode(), "success", mechanism)
            return
        try:
            scram = ScramClient(mechanism.removeprefix("SCRAM-"), user, password)
            challenge = await self._exchange("auth", scram.first(), "challenge", mechanism)
            scram.verify(await self._exchange("response", scram.final(challenge), "success"))
        except (ScramRefused, ValueError) as e:
            raise ClientFailed(f"{mechanism} failed: {e}") from None

    async def _exchange(self, name: str, data: bytes, expected: str, mechanism: str | None = None) -> bytes:
        """
        Do one step of SASL.

        @param name: the element to send.
        @param expected: the element that has to be the answer.
        @return: the answer's data.
        """
        attribute = "" if mechanism is None else f" mechanism='{mechanism}'"
        encoded = base64.b64encode(data).decode("ascii")
        self.send(f"<{name} xmlns='{ns.SASL}'{attribute}>{encoded}</{name}>")
        answer = await self.next()
        if answer.tag == f"{{{ns.SASL}}}failure":
            raise ClientFailed(f"the server refuses the log-in: {_condition(answer, ns.SASL)}")
        if answer.tag != f"{{{ns.SASL}}}{expected}":
            raise ClientFailed(f"expected <{expected}>, the server sent <{etree.QName(answer).localname}>")
        try:
            return base64.b64decode((answer.text or "").strip(), validate=True)
        except binascii.Error:
            raise ClientFailed(f"<{expected}> is not valid base64") from None

    async def _bind(self, resource: str | None) -> None:
        wanted = "" if resource is None else f"<resource>{escapeText(resource)}</resource>"
        self.send(f"<iq type='set' id='bind'><bind xmlns='{ns.BIND}'>{wanted}</bind></iq>")
        answer = await self.next()
        error = answer.find(f"{{{ns.CLIENT}}}error")
        if error is not None:
            raise ClientFailed(f"the server refuses to bind: {_condition(error, ns.STANZA_ERRORS)}")
        bound = answer.findtext(f"{{{ns.BIND}}}bind/{{{ns.BIND}}}jid")
        if not bound:
            raise ClientFailed("the server's answer to binding has no JID")
        self.full = bound.strip()


def connect(reactor: Any, host: str, port: int, timeout: float) -> Deferred[Client]:
    """Connect, without logging in; fails as endpoints do. C{host} is a name or an IP address."""
    endpoint = HostnameEndpoint(reactor, host, port, timeout=timeout)
    return cast("Deferred[Client]", endpoint.connect(Factory.forProtocol(Client)))
