# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.s2s.outgoing}: the negotiation of streams to other servers."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

from twisted.logger import LogLevel

from muccore.interfaces.federation import LinkPurpose
from muccore.stream.s2s.outgoing import NOT_FOUND, TIMEOUT
from muccore.xmpp.dialback import makeKey
from muccore.xmpp.errors import StreamError
from tests.routing.federation.helpers import (
    LOCAL,
    REMOTE,
    SECRET,
    CertifiedOutgoing,
    FederationCase,
    PeerTransport,
    header,
)

HEADER = header(LOCAL, REMOTE).replace(b" xmlns='jabber:server' xmlns:db='jabber:server:dialback' ", b" ")
PROCEED = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
EXTERNAL = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
SUCCESS = b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
FAILURE = b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
AUTH = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>bG9jYWxob3N0</auth>"
ID = "417GAF25"


def answer(features: str | None, more: str = "", declared: bool = True) -> bytes:
    """The header of the other server, with its features."""
    opened = header(REMOTE, LOCAL, f" id='{ID}' version='1.0'{more}")
    if not declared:
        opened = opened.replace(b"xmlns:db='jabber:server:dialback' ", b"")
    return opened + (b"" if features is None else f"<stream:features>{features}</stream:features>".encode())


class Owner:
    """Records the outcome."""

    def __init__(self) -> None:
        self.outcome: list[Any] = []
        self.link: Any = None
        self.opened: tuple[str | None, bool] | None = None

    def streamOpened(self, stream: Any, language: str | None, isBidirectional: bool) -> Any:
        """See L{ILinkOwner}."""
        self.outcome.append("open")
        self.opened = (language, isBidirectional)
        return self.link

    def streamFailed(self, *arguments: Any) -> None:
        """See L{ILinkOwner}."""
        self.outcome.append(arguments)

    def keyVerified(self, *arguments: Any) -> None:
        """See L{ILinkOwner}."""
        self.outcome.append(arguments)


class Case(FederationCase):
    """A stream from C{localhost} to C{two.example}."""

    def setUp(self) -> None:
        """Prepare it."""
        super().setUp()
        self.patch(self.outgoing, "streamClass", CertifiedOutgoing)

    def dial(
        self, *certified: str, direct: bool = False, question: tuple[str, str] | None = None
    ) -> tuple[Any, PeerTransport, Owner]:
        """Open a stream; the other server has a certificate for some domains."""
        owner: Any = Owner()
        owner.link = self.federation.link(LOCAL, REMOTE)
        made: Any = CertifiedOutgoing(
            self.outgoing, "192.0.2.9", direct, LinkPurpose(LOCAL, REMOTE, question), owner
        )
        self.outgoing.limit.enter("192.0.2.9")
        transport = PeerTransport(*certified)
        made.makeConnection(transport)
        return made, transport, owner

    def dialTLS(
        self, features: str, *certified: str, **options: Any
    ) -> tuple[Any, PeerTransport, Owner]:
        """The same, under TLS, with the features after that; what was sent before is taken."""
        stream, transport, owner = self.dial(*certified, **options)
        stream.dataReceived(answer(STARTTLS))
        transport.take()
        stream.dataReceived(PROCEED)
        transport.take()
        stream.dataReceived(answer(features))
        return stream, transport, owner

    def assertFailed(self, owner: Owner, condition: str, why: str, answered: bool = True) -> None:
        """Assert that the owner was told once that it failed."""
        self.assertEqual(owner.outcome, [(condition, why, answered)])


class EncryptionTests(Case):
    """Header and STARTTLS."""

    def test_header(self) -> None:
        """The header has both domains and dialback's namespace, and no id."""
        _, transport, _ = self.dial()
        self.assertEqual(
            transport.value,
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' "
            b"xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' from='localhost' "
            b"to='two.example' version='1.0' xml:lang='en'>",
        )

    def test_starttls(self) -> None:
        """TLS is started if it is offered, as a client that indicates the domain; then comes a new header."""
        stream, transport, _ = self.dial()
        opened = transport.take()
        stream.dataReceived(answer(STARTTLS))
        self.assertEqual(transport.take(), STARTTLS.encode())
        stream.dataReceived(PROCEED + b"<forged/>")
        self.assertEqual(transport.log, [("TLS", ("client", REMOTE, False), False), opened])

    def test_direct(self) -> None:
        """Direct TLS comes before the first header."""
        _, transport, _ = self.dial(direct=True)
        self.assertEqual(transport.log[0], ("TLS", ("client", REMOTE, True), False))
        self.assertTrue(transport.value.startswith(b"<?xml"))

    def test_notOffered(self) -> None:
        """Without encryption nothing is sent where it is required."""
        stream, transport, owner = self.dial()
        transport.take()
        stream.dataReceived(answer("<dialback xmlns='urn:xmpp:features:dialback'/>"))
        self.assertEqual(transport.value, b"</stream:stream>")
        self.assertFailed(owner, TIMEOUT, "its server offers no encryption")
        self.configure(tlsRequired=False)
        stream, transport, owner = self.dial()
        stream.dataReceived(answer(""))
        self.assertIn(b"<db:result", transport.value)

    def test_refused(self) -> None:
        """The peer may refuse to start TLS."""
        stream, _, owner = self.dial()
        stream.dataReceived(answer(STARTTLS) + b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.assertFailed(owner, TIMEOUT, "its server refuses encryption")


class AuthenticationTests(Case):
    """Who is who."""

    def test_external(self) -> None:
        """With a certificate on each side, SASL EXTERNAL is used; after the new header the stream is open."""
        stream, transport, owner = self.dialTLS(EXTERNAL, REMOTE)
        self.assertEqual(transport.take(), AUTH)
        stream.dataReceived(SUCCESS)
        self.assertTrue(transport.take().startswith(b"<?xml"))
        self.assertEqual(owner.outcome, [])
        stream.dataReceived(answer("<dialback xmlns='urn:xmpp:features:dialback'/>"))
        self.assertEqual(owner.outcome, ["open"])
        self.assertIn(
            "link-opened by localhost: two.example at 192.0.2.9 by certificate, TLS of a proxy",
            self.logged.lines(LogLevel.info),
        )

    def test_bidirectional(self) -> None:
        """A stream in both directions is requested before the authentication, if it is offered (XEP-0288)."""
        offered = "<bidi xmlns='urn:xmpp:features:bidi'/>"
        requested = b"<bidi xmlns='urn:xmpp:bidi'/>"
        for on in (True, False):
            self.configure(bidirectional=on)
            stream, transport, owner = self.dialTLS(offered + EXTERNAL, REMOTE)
            self.assertEqual(transport.take(), requested * on + AUTH)
            stream.dataReceived(SUCCESS)
            stream.dataReceived(answer("", " xml:lang='de'"))
            self.assertEqual(owner.opened, ("de", on))
            stream, transport, owner = self.dialTLS(offered)
            self.assertTrue(transport.take().startswith(requested * on + b"<db:result"))
            stream.dataReceived(b"<db:result from='two.example' to='localhost' type='valid'/>")
            self.assertEqual(owner.opened, (None, on))
        stream, transport, owner = self.dialTLS(offered, question=("1", "key"))
        self.assertTrue(transport.take().startswith(b"<db:verify"))

    def test_certificate(self) -> None:
        """Without dialback, a peer without a good certificate gets nothing."""
        self.configure(dialback=False)
        for features in (EXTERNAL, ""):
            _, transport, owner = self.dialTLS(features, "three.example")
            self.assertEqual(transport.take(), b"</stream:stream>")
            self.assertFailed(owner, TIMEOUT, "it is not encrypted or so")

    def test_refused(self) -> None:
        """If the peer refuses the certificate of this server, dialback follows where it is allowed."""
        stream, transport, owner = self.dialTLS(EXTERNAL, REMOTE)
        transport.take()
        stream.dataReceived(FAILURE)
        self.assertIn(b"<db:result", transport.value)
        self.configure(dialback=False)
        stream, transport, owner = self.dialTLS(EXTERNAL, REMOTE)
        stream.dataReceived(FAILURE)
        self.assertFailed(owner, TIMEOUT, "its server refuses our certificate: not-authorized")

    def test_dialback(self) -> None:
        """The key is that of XEP-0185 for the id of the stream; a valid one opens it."""
        stream, transport, owner = self.dialTLS("")
        key = makeKey(SECRET, REMOTE, LOCAL, ID)
        self.assertEqual(transport.take(), f"<db:result from='{LOCAL}' to='{REMOTE}'>{key}</db:result>".encode())
        for other in (
            "<db:result from='three.example' to='localhost' type='valid'/>",
            "<db:result from='two.example' to='rooms.localhost' type='valid'/>",
            "<db:result from='two.example' to='localhost'>key</db:result>",
        ):
            stream.dataReceived(other.encode())
        self.assertEqual(owner.outcome, [])
        stream.dataReceived(b"<db:result from='two.example' to='localhost' type='valid'/>")
        self.assertEqual(owner.outcome, ["open"])

    def test_dialbackFails(self) -> None:
        """An invalid key and an error have different conditions (XEP-0220 §2.1.1)."""
        error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        for type, content, condition, why in (
            ("invalid", "", "internal-server-error", "its server says that our key is invalid"),
            ("error", error, TIMEOUT, "dialback failed: item-not-found"),
        ):
            stream, _, owner = self.dialTLS("")
            answered = f"<db:result from='{REMOTE}' to='{LOCAL}' type='{type}'>{content}</db:result>"
            stream.dataReceived(answered.encode())
            self.assertFailed(owner, condition, why)

    def test_undeclared(self) -> None:
        """A peer that knows no dialback is not asked, unless it offers it as a feature."""
        self.configure(tlsRequired=False)
        stream, _, owner = self.dial()
        stream.dataReceived(answer("", declared=False))
        self.assertFailed(owner, TIMEOUT, "its server offers no way to authenticate")
        stream, transport, _ = self.dial()
        stream.dataReceived(answer("<dialback xmlns='urn:xmpp:features:dialback'/>", declared=False))
        self.assertIn(b"<db:result", transport.value)


class QuestionTests(Case):
    """Questions about keys (XEP-0220 §2.1.2)."""

    def test_asked(self) -> None:
        """The question is asked under TLS, whoever the peer is; after the answer the stream ends."""
        for type in ("valid", "invalid"):
            stream, transport, owner = self.dialTLS(EXTERNAL, question=("D60", "key"))
            self.assertEqual(transport.take(), b"<db:verify from='localhost' to='two.example' id='D60'>key</db:verify>")
            stream.dataReceived(f"<db:verify from='{REMOTE}' to='{LOCAL}' id='x' type='valid'/>".encode())
            self.assertEqual(owner.outcome, [])
            stream.dataReceived(f"<db:verify from='{REMOTE}' to='{LOCAL}' id='D60' type='{type}'/>".encode())
            self.assertEqual(owner.outcome, [("D60", type)])
            self.assertEqual(transport.take(), b"</stream:stream>")

    def test_lost(self) -> None:
        """If the stream ends before, it has failed."""
        stream, _, owner = self.dialTLS("", question=("D60", "key"))
        self.lose(stream)
        self.assertFailed(owner, TIMEOUT, "the connection was lost")


class FailureTests(Case):
    """What else may go wrong."""

    def test_streamErrors(self) -> None:
        """A peer that does not have the domain is no server of it; other errors are its own fault."""
        for condition, expected in (
            ("host-unknown", NOT_FOUND), ("host-gone", NOT_FOUND), ("policy-violation", TIMEOUT)
        ):  # fmt: skip
            stream, _, owner = self.dial()
            error = f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            stream.dataReceived(answer(None) + f"<stream:error>{error}</stream:error></stream:stream>".encode())
            self.assertFailed(owner, expected, f"its server says {condition}")

    def test_unexpected(self) -> None:
        """A peer that does not follow the protocol is left."""
        for data in (b"<message/>", b"<db:result/>", b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"):
            stream, _, owner = self.dial()
            stream.dataReceived(answer(None) + data)
            self.assertFailed(owner, TIMEOUT, "its server does not follow the protocol")

    def test_invalid(self) -> None:
        """So is one whose XML or version is wrong; the next address is tried only if nothing was answered."""
        stream, _, owner = self.dial()
        stream.dataReceived(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertFailed(owner, TIMEOUT, "not-well-formed: its server is at fault", False)
        stream, _, owner = self.dial()
        stream.dataReceived(answer(None).replace(b"' version='1.0'", b"'"))
        self.assertFailed(owner, TIMEOUT, "unsupported-version: its server is at fault")
        stream, _, owner = self.dial()
        self.lose(stream)
        self.assertFailed(owner, TIMEOUT, "the connection was lost", False)

    def test_slow(self) -> None:
        """A peer that takes too long is left."""
        stream, transport, owner = self.dial()
        stream.dataReceived(answer(STARTTLS))
        self.clock.pump([1.0] * 70)
        self.assertFailed(owner, TIMEOUT, "connection-timeout: The log-in took too long")
        self.assertTrue(transport.ended)

    def test_stanzas(self) -> None:
        """Stanzas on an open stream end it: the other server has its own."""
        stream, transport, _ = self.dialTLS(EXTERNAL, REMOTE)
        stream.dataReceived(SUCCESS)
        stream.dataReceived(answer(""))
        stream.dataReceived(b"<db:result from='two.example' to='localhost' type='valid'/>")
        self.assertFalse(transport.ended)
        stream.dataReceived(b"<message from='a@two.example' to='romeo@localhost'/>")
        self.assertEnded(transport, "not-authorized")

    def test_freed(self) -> None:
        """A stream that has ended is freed at once, in both roles, without the garbage collector."""

        def opened(features: str) -> Any:
            stream, _, _ = self.dialTLS(features + EXTERNAL, REMOTE)
            stream.dataReceived(SUCCESS)
            stream.dataReceived(answer(""))
            return stream

        makers: list[Callable[[], Any]] = [
            lambda: self.authenticate()[0],
            lambda: self.connectTLS()[0],
            lambda: self.connect(header())[0],
            lambda: opened(""),
            lambda: opened("<bidi xmlns='urn:xmpp:features:bidi'/>"),
        ]
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for make in makers:
            stream = make()
            freed = weakref.ref(stream)
            # As a connection does when it is lost.
            stream.transport.countEncrypted = None
            self.lose(stream)
            del stream
            self.assertIsNone(freed())

    def test_full(self) -> None:
        """There is a limit of streams, and none are made at the end."""
        owner: Any = Owner()
        purpose = LinkPurpose(LOCAL, REMOTE)
        self.assertIsNotNone(self.outgoing.makeStream("192.0.2.9", False, purpose, owner))
        self.outgoing.limit.total = 1
        self.assertIsNone(self.outgoing.makeStream("192.0.2.9", False, purpose, owner))
        self.outgoing.limit.total = 0
        self.outgoing.closeAll(StreamError("system-shutdown"))
        self.assertIsNone(self.outgoing.makeStream("192.0.2.9", False, purpose, owner))
