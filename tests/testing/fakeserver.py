# Copyright (c) The muccore authors. See LICENSE for details.
"""A server for the tests of the runner: it accepts any user and hands stanzas to the test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.words.xish import domish

from muccore.xmpp import ns
from muccore.xmpp.rendering import escapeText, render
from muccore.xmpp.scramkeys import ScramKeys

PLAIN = "<mechanism>PLAIN</mechanism>"
PASSWORD = "secret"


def mechanisms(offers: str) -> str:
    """Return a stream feature that offers these SASL mechanisms."""
    return f"<mechanisms xmlns='{ns.SASL}'>{offers}</mechanisms>"


class FakeStream(Protocol):
    """The server's side of one stream."""

    def __init__(self) -> None:
        self.account = ""
        self.jid = ""
        self.mechanism = ""
        self.secure = False
        self.steps: list[bytes] = []
        self.restart()

    def restart(self) -> None:
        """Expect a new stream header."""
        self.parser = domish.elementStream()
        self.parser.DocumentStartEvent = self.onStart
        self.parser.ElementEvent = self.onElement
        self.parser.DocumentEndEvent = self.onEnd

    def dataReceived(self, data: bytes) -> None:
        """Parse what the client sends."""
        self.parser.parse(data)

    def connectionLost(self, reason: Any = None) -> None:
        """Forget the stream."""
        self.factory.streams.pop(self.jid, None)
        self.factory.connections.discard(self)
        self.factory.lastGone()

    def write(self, text: str) -> None:
        """Send text as written."""
        self.transport.write(text.encode())

    def onStart(self, root: domish.Element) -> None:
        """Answer the stream header with the features of its stage."""
        self.write(f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' id='1' version='1.0'>")
        if self.account:
            features = f"<bind xmlns='{ns.BIND}'/>"
        elif self.factory.certificate is not None and not self.secure:
            features = f"<starttls xmlns='{ns.TLS}'><required/></starttls>"
        else:
            features = self.factory.features
        self.write(f"<stream:features>{features}</stream:features>")

    def onElement(self, element: domish.Element) -> None:
        """Handle one step of the login, or a stanza."""
        if element.uri == ns.TLS:
            self.write(f"<proceed xmlns='{ns.TLS}'/>")
            self.transport.startTLS(self.factory.certificate.options())
            self.secure = True
            self.restart()
        elif element.uri == ns.SASL:
            self.authenticate(element, base64.b64decode(str(element)))
        elif not self.jid:
            resource = str(element.bind.resource or f"made{next(self.factory.resources)}")
            if resource == "taken":
                error = f"<error type='cancel'><conflict xmlns='{ns.STANZA_ERRORS}'/></error>"
                self.write(f"<iq type='error' id='{element['id']}'>{error}</iq>")
                return
            self.jid = f"{self.account}/{resource}"
            self.factory.streams[self.jid] = self
            self.write(
                f"<iq type='result' id='{element['id']}'>"
                f"<bind xmlns='{ns.BIND}'><jid>{escapeText(self.jid)}</jid></bind></iq>"
            )
        elif any(child.uri == ns.PING for child in element.elements()):
            self.factory.pings.append((self.jid, element["to"]))
            if self.factory.answersPings:
                self.write(f"<iq type='result' id='{element['id']}' from='{element['to']}'/>")
        else:
            element["from"] = self.jid
            self.factory.behaviour(self.factory, self, element)

    def authenticate(self, element: domish.Element, data: bytes) -> None:
        """Handle PLAIN, or SCRAM with the password C{secret}."""
        self.mechanism = element.attributes.get("mechanism", self.mechanism)
        self.steps.append(data)
        if self.mechanism == "PLAIN":
            _, user, password = data.decode().split("\0")
            self.outcome(user, password == PASSWORD, b"")
            return
        hashName = self.mechanism.removeprefix("SCRAM-")
        keys = ScramKeys.derive(hashName, PASSWORD, b"salt", 1)
        bare = self.steps[0].removeprefix(b"n,,")
        fields = dict(part.split(b"=", 1) for part in bare.split(b","))
        challenge = b"r=" + fields[b"r"] + b"server,s=" + base64.b64encode(b"salt") + b",i=1"
        if len(self.steps) == 1:
            encoded = base64.b64encode(self.factory.challenge or challenge).decode()
            self.write(f"<challenge xmlns='{ns.SASL}'>{encoded}</challenge>")
            return
        final, _, proof = data.partition(b",p=")
        message = b",".join([bare, challenge, final])
        digest = hashName.replace("-", "").lower()
        signature = hmac.digest(keys.storedKey, message, digest)
        clientKey = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        right = hashlib.new(digest, clientKey).digest() == keys.storedKey
        verifier = self.factory.signature or hmac.digest(keys.serverKey, message, digest)
        self.outcome(fields[b"n"].decode(), right, b"v=" + base64.b64encode(verifier))

    def outcome(self, user: str, right: bool, data: bytes) -> None:
        """End the SASL exchange."""
        if not right:
            self.write(f"<failure xmlns='{ns.SASL}'><not-authorized/><text>no</text></failure>")
            return
        self.account = f"{user}@localhost"
        self.write(f"<success xmlns='{ns.SASL}'>{base64.b64encode(data).decode()}</success>{self.factory.behind}")
        self.restart()

    def onEnd(self) -> None:
        """Record that the client has closed its stream, and close it, too."""
        self.factory.ended.append(self.jid)
        if self.factory.endsStreams:
            self.write("</stream:stream>")
            self.transport.loseConnection()


def echo(server: FakeServer, stream: FakeStream, element: domish.Element) -> None:
    """Send each stanza back."""
    element["to"] = stream.jid
    stream.transport.write(render(element))


def forward(server: FakeServer, stream: FakeStream, element: domish.Element) -> None:
    """Deliver each stanza to the full JID in its C{to}."""
    server.streams[element["to"]].transport.write(render(element))


Behaviour = Callable[["FakeServer", FakeStream, domish.Element], None]


class FakeServer(Factory):
    """
    A server on a loopback port.

    @ivar behaviour: called with this, the stream and each stanza except pings.
    @ivar streams: the bound ones, by full JID.
    @ivar pings: sender and address of each ping.
    @ivar behind: text that follows C{<success/>} in the same packet.
    @ivar ended: the full JIDs whose clients have closed their stream.
    """

    protocol = FakeStream
    noisy = False

    def __init__(self, behaviour: Behaviour = echo) -> None:
        self.behaviour = behaviour
        self.features = mechanisms(PLAIN)
        self.streams: dict[str, FakeStream] = {}
        self.connections: set[FakeStream] = set()
        self.pings: list[tuple[str, str]] = []
        self.ended: list[str] = []
        self.answersPings = True
        self.endsStreams = True
        self.certificate: Any = None
        self.challenge = b""
        self.signature = b""
        self.behind = ""
        self.resources = itertools.count(1)
        self._empty: list[Deferred[None]] = []

    def buildProtocol(self, address: Any) -> FakeStream:
        """See L{Factory.buildProtocol}."""
        stream = FakeStream()
        stream.factory = self
        self.connections.add(stream)
        return stream

    def start(self) -> int:
        """Listen; return the port."""
        self.listener = reactor.listenTCP(0, self, interface="127.0.0.1")
        return self.listener.getHost().port

    def lastGone(self) -> None:
        """Fire what waits for the last connection to go."""
        if not self.connections:
            waiting, self._empty = self._empty, []
            for each in waiting:
                each.callback(None)

    def empty(self) -> Deferred[None]:
        """Wait until no client is connected."""
        if not self.connections:
            return succeed(None)
        self._empty.append(Deferred())
        return self._empty[-1]

    def stop(self) -> Deferred[None]:
        """Stop listening and drop all connections."""
        for stream in self.connections:
            stream.transport.abortConnection()
        return gatherResults([maybeDeferred(self.listener.stopListening), self.empty()])
