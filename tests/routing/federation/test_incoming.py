# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.federation.incoming}: what other servers may send, and dialback."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from muccore.routing.federation import federation as federations
from muccore.routing.federation.incoming import DOMAINS_LIMIT, PENDING_LIMIT
from muccore.stream.s2s.incoming import NONZAS
from muccore.stream.s2s.outgoing import NOT_FOUND, TIMEOUT
from muccore.xmpp.dialback import makeKey
from muccore.xmpp.errors import StreamError
from tests.routing.federation.helpers import LOCAL, REMOTE, ROOMS, SECRET, FederationCase, header
from tests.routing.helpers import FakeStream, conditions, xml
from tests.xmpp.test_dialback import read

VALID = b"<db:result from='localhost' to='two.example' type='valid'/>"


def result(remote: str = REMOTE, local: str = LOCAL, key: str = "key") -> bytes:
    """Ask for authorization."""
    return f"<db:result from='{remote}' to='{local}'>{key}</db:result>".encode()


def failed(condition: str, remote: str = REMOTE, local: str = LOCAL, type: str = "cancel") -> bytes:
    """A dialback error."""
    return (
        f"<db:result from='{local}' to='{remote}' type='error'><error type='{type}'>"
        f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
    ).encode()


class StanzaTests(FederationCase):
    """Stanzas on an authenticated stream."""

    def setUp(self) -> None:
        """Authenticate, and log Romeo in."""
        super().setUp()
        self.romeo = self.server.connect("romeo@localhost/r", "<presence/>")
        self.stream, self.transport = self.authenticate()

    def send(self, text: str) -> None:
        """Send as the other server."""
        self.stream.dataReceived(text.encode())

    def test_delivered(self) -> None:
        """A stanza is delivered, with the sender as this server writes it and the language of the stream."""
        self.send("<message from='A@TWO.example/x' to='romeo@localhost/r'><body>hi</body></message>")
        [message] = self.romeo.take()
        self.assertIn('from="a@two.example/x"', message)
        self.assertFalse(self.transport.ended)

    def test_forged(self) -> None:
        """Another sender ends the stream (RFC 6120 §4.9.3.9)."""
        for sender, condition in (
            ("a@three.example", "invalid-from"),
            ("a@rooms.two.example", "invalid-from"),
            ("romeo@localhost", "invalid-from"),
            ("localhost", "invalid-from"),
            ("a@", "improper-addressing"),
            ("", "improper-addressing"),
        ):
            stream, transport = self.authenticate()
            stream.dataReceived(f"<message from='{sender}' to='romeo@localhost/r'/>".encode())
            self.assertEnded(transport, condition)
        for stanza in ("<message to='romeo@localhost/r'/>", "<message from='a@two.example'/>"):
            stream, transport = self.authenticate()
            stream.dataReceived(stanza.encode())
            self.assertEnded(transport, "improper-addressing")
        self.assertEqual(self.romeo.take(), [])

    def test_relay(self) -> None:
        """What is for a domain elsewhere is not passed on."""
        self.send("<message from='a@two.example' to='b@three.example'/>")
        self.assertEnded(self.transport, "host-unknown")
        self.assertEqual(self.dialer.opened, [])

    def test_noStanza(self) -> None:
        """What is no stanza ends the stream."""
        for element, condition in (
            ("<message xmlns='jabber:x' from='a@two.example' to='romeo@localhost'/>", "invalid-namespace"),
            ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "unsupported-stanza-type"),
            ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "unsupported-stanza-type"),
        ):
            stream, transport = self.authenticate()
            stream.dataReceived(element.encode())
            self.assertEnded(transport, condition)

    def test_refused(self) -> None:
        """An invalid stanza comes back by the link of this server, from an address that it has."""
        for stanza, sender, condition in (
            ("<iq type='get' to='localhost'><a/></iq>", LOCAL, "bad-request"),
            ("<iq type='get' id='1' to='localhost'/>", LOCAL, "bad-request"),
            ("<message to='@localhost'/>", LOCAL, "jid-malformed"),
            (f"<message id='{'x' * 1024}' to='romeo@localhost'/>", "romeo@localhost", "policy-violation"),
            ("<iq type='get' id='1' to='nobody@rooms.localhost'><a xmlns='b'/></iq>", "nobody@rooms.localhost",
             "service-unavailable"),
        ):  # fmt: skip
            stream, transport = self.authenticate()
            stream.dataReceived(stanza.replace(" ", " from='a@two.example/x' ", 1).encode())
            self.assertFalse(transport.ended)
            link = self.federation.link(sender.partition("@")[2] or sender, REMOTE)
            [(answer, to)] = link._takeQueue()
            self.assertEqual(answer.elementTo(to).attributes["from"], sender)
            self.assertEqual(conditions([answer.addressed(to).decode()]), [condition])

    def test_heard(self) -> None:
        """The link in the other direction learns that the server is there."""
        link = self.federation.link(LOCAL, REMOTE)
        self.send("<presence from='a@two.example' to='romeo@localhost'/>")
        self.assertTrue(link.heard)


class DialbackTests(FederationCase):
    """Requests for authorization (XEP-0220 §2.2.1)."""

    def ask(self, *certified: str, **pair: str) -> tuple[Any, Any]:
        """Ask on a new stream under TLS."""
        stream, transport = self.connectTLS(*certified)
        [self.streamId] = [each.decode() for each in re.findall(rb" id='([0-9a-f]+)'", transport.take())]
        stream.dataReceived(result(**pair))
        return stream, transport

    def test_valid(self) -> None:
        """The server of the domain is asked, about the id of this stream; if it agrees, stanzas are accepted."""
        stream, transport = self.ask()
        purpose, question = self.dialer.take()
        self.assertEqual((purpose.local, purpose.remote, purpose.question), (LOCAL, REMOTE, (self.streamId, "key")))
        self.assertEqual(transport.take(), b"")
        question.keyVerified(self.streamId, "valid")
        self.assertEqual(transport.take(), VALID)
        romeo = self.server.connect("romeo@localhost/r", "<presence/>")
        stream.dataReceived(b"<message from='a@two.example' to='romeo@localhost/r'/>")
        self.assertEqual(len(romeo.take()), 1)

    def test_unverified(self) -> None:
        """Before that, stanzas are refused."""
        stream, transport = self.ask()
        stream.dataReceived(b"<message from='a@two.example' to='romeo@localhost/r'/>")
        self.assertEnded(transport, "not-authorized")
        _, question = self.dialer.take()
        # Nobody is there to be told.
        question.keyVerified(self.streamId, "valid")
        self.assertEqual(self.federation._verifying, 0)

    def test_invalid(self) -> None:
        """An invalid key ends the stream, unless other domains are on it: then it is forbidden."""
        _, transport = self.ask()
        self.dialer.take()[1].keyVerified(self.streamId, "invalid")
        self.assertTrue(transport.value.endswith(VALID.replace(b"valid", b"invalid") + b"</stream:stream>"))
        stream, transport = self.authenticate()
        stream.dataReceived(result("three.example"))
        self.dialer.take()[1].keyVerified("", "invalid")
        self.assertEqual(transport.value, failed("forbidden", "three.example", type="auth"))
        stream.dataReceived(b"<message from='a@three.example' to='romeo@localhost/r'/>")
        self.assertEnded(transport, "invalid-from")

    def test_errors(self) -> None:
        """If the key cannot be verified, an error is the answer, and the stream stays."""
        for condition, expected, type in ((NOT_FOUND, NOT_FOUND, "cancel"), (TIMEOUT, TIMEOUT, "wait")):
            _, transport = self.ask()
            self.dialer.take()[1].streamFailed(condition, "because", False)
            self.assertEqual(transport.value, failed(expected, type=type))
        _, transport = self.ask()
        self.dialer.take()[1].keyVerified(self.streamId, "error")
        self.assertEqual(transport.value, failed(NOT_FOUND))

    def test_certificate(self) -> None:
        """Who has a certificate for the domain need not be asked about."""
        _, transport = self.ask(REMOTE)
        self.assertEqual(transport.value, VALID)
        self.assertEqual(self.dialer.opened, [])

    def test_multiplexed(self) -> None:
        """One stream may be for several domains, on both sides; what is authenticated once stays so."""
        stream, transport = self.authenticate()
        stream.dataReceived(result(local=ROOMS))
        self.assertEqual(transport.take(), VALID.replace(b"localhost", b"rooms.localhost"))
        stream.dataReceived(result("rooms.two.example"))
        self.dialer.take()[1].keyVerified("", "valid")
        self.assertEqual(transport.take(), VALID.replace(b"two.example", b"rooms.two.example"))
        for sender in ("a@rooms.two.example", "a@two.example"):
            stream.dataReceived(f"<message from='{sender}' to='romeo@localhost'/>".encode())
        self.assertFalse(transport.ended)

    def test_refused(self) -> None:
        """What is refused at once, each with its condition (XEP-0220 §2.5)."""
        self.configure(blocked=frozenset(["bad.example"]), certificateDomains=frozenset(["bank.example"]))
        for remote, local, condition, type in (
            (REMOTE, "elsewhere.example", "item-not-found", "cancel"),
            (ROOMS, LOCAL, "not-acceptable", "modify"),
            ("bad.example", LOCAL, "policy-violation", "modify"),
            ("bank.example", LOCAL, "not-authorized", "auth"),
        ):
            _, transport = self.ask(remote=remote, local=local)
            self.assertEqual(transport.value, failed(condition, remote, local, type))
            self.assertFalse(transport.ended)
        self.assertEqual(self.dialer.opened, [])

    def test_unencrypted(self) -> None:
        """Without encryption, dialback is refused where that is required."""
        _, transport = self.connect(header() + result())
        self.assertTrue(transport.value.endswith(failed("policy-violation", type="modify")))
        self.configure(tlsRequired=False)
        _, transport = self.connect(header() + result())
        self.dialer.take()[1].keyVerified("", "valid")
        self.assertTrue(transport.value.endswith(VALID))

    def test_wrong(self) -> None:
        """What cannot be answered, and answers that nobody has asked for, end the stream."""
        for element, condition in (
            (b"<db:result from='two.example'>key</db:result>", "bad-format"),
            (b"<db:result from='two.example' to='localhost'/>", "bad-format"),
            (VALID, "not-authorized"),
            (b"<db:verify from='two.example' to='localhost' id='1' type='valid'/>", "not-authorized"),
        ):
            for stream, transport in (self.connectTLS(), self.authenticate()):
                stream.dataReceived(element)
                self.assertEnded(transport, condition)

    def test_limits(self) -> None:
        """The number of keys that are verified, of one stream and of all, and of domains is limited."""
        self.incoming.configure(self.features(NONZAS), replace(self.incoming.settings, rate=0, addressRate=0))
        stream, transport = self.connectTLS()
        transport.take()
        for i in range(10_000):
            stream.dataReceived(result(f"d{i}.example"))
        refused = failed("resource-constraint", "d9999.example", type="wait")
        self.assertTrue(transport.value.endswith(refused))
        self.assertEqual(len(self.dialer.opened), PENDING_LIMIT)
        stream.dataReceived(result("d0.example"))
        self.assertTrue(transport.value.endswith(failed("unexpected-request", "d0.example", type="wait")))
        for purpose, question, _ in self.dialer.opened:
            question.keyVerified(purpose.question[0], "valid")
        stream.dataReceived(result("again.example"))
        self.assertEqual(len(self.dialer.opened), PENDING_LIMIT + 1)
        self.patch(federations, "VERIFICATIONS_LIMIT", 1)
        self.clock.advance(1000)
        other, transport = self.connectTLS()
        other.dataReceived(result())
        self.assertTrue(transport.value.endswith(failed("resource-constraint", type="wait")))

    def test_rate(self) -> None:
        """Who has sent many keys waits until others are verified, on whatever stream; another address need not."""
        refused = b""
        for i in range(federations.QUESTIONS_BURST + 1):
            stream, transport = self.connectTLS()
            stream.dataReceived(result(f"d{i}.example"))
            refused = transport.value
            self.lose(stream)
            if self.dialer.opened:
                question = self.dialer.take()[1]
                question.streamFailed(TIMEOUT, "because", False)
        self.assertTrue(refused.endswith(failed("resource-constraint", f"d{i}.example", type="wait")), i)
        stream, transport = self.connect(header(), host="192.0.2.2")
        stream.dataReceived(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        stream.dataReceived(header() + result())
        self.dialer.take()
        self.clock.advance(1)
        self.ask()
        self.dialer.take()

    def test_manyDomains(self) -> None:
        """A stream carries a limited number of domains."""
        stream, transport = self.authenticate()
        transport.certified = tuple(f"d{i}.example" for i in range(DOMAINS_LIMIT))
        for domain in transport.certified:
            stream.dataReceived(result(domain))
            self.clock.advance(1)
        self.assertTrue(transport.value.endswith(failed("resource-constraint", transport.certified[-1], type="wait")))

    def test_blockedLater(self) -> None:
        """When a domain is blocked, its streams end."""
        _, transport = self.authenticate()
        _, other = self.authenticate("three.example")
        self.configure(blocked=frozenset([REMOTE]))
        self.assertEnded(transport, "policy-violation")
        self.assertFalse(other.ended)


class BidirectionTests(FederationCase):
    """Streams in both directions (XEP-0288)."""

    BIDI = b"<bidi xmlns='urn:xmpp:bidi'/>"
    AUTH = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"

    def setUp(self) -> None:
        """Log Romeo in."""
        super().setUp()
        self.romeo = self.server.connect("romeo@localhost/r", "<presence/>")

    def say(self, to: str = f"a@{REMOTE}") -> None:
        """Send something elsewhere."""
        self.romeo.send(f"<message to='{to}'/>")

    def bidirectional(self) -> tuple[Any, Any]:
        """Authenticate on such a stream."""
        stream, transport = self.connectTLS(REMOTE)
        self.assertIn(b"<bidi xmlns='urn:xmpp:features:bidi'/>", transport.value)
        stream.dataReceived(self.BIDI + self.AUTH)
        stream.dataReceived(header())
        transport.take()
        return stream, transport

    def test_used(self) -> None:
        """After the authentication, what is for that domain goes there, from the domain that was wanted only."""
        stream, transport = self.bidirectional()
        self.say()
        self.assertEqual(transport.take(), b"<message to='a@two.example' from='romeo@localhost/r'/>")
        stream.dataReceived(b"<message from='a@two.example' to='romeo@localhost/r'/>")
        self.assertEqual(len(self.romeo.take()), 1)
        self.assertEqual(self.dialer.opened, [])
        self.say("a@rooms.two.example")
        self.assertEqual(self.dialer.take()[0].remote, "rooms.two.example")
        self.assertIs(self.federation.link(ROOMS, REMOTE).stream, None)

    def test_before(self) -> None:
        """Before it, nothing does."""
        stream, transport = self.connectTLS(REMOTE)
        stream.dataReceived(self.BIDI)
        transport.take()
        self.say()
        self.assertEqual(transport.take(), b"")
        self.dialer.take()
        stream.dataReceived(self.AUTH)
        stream.dataReceived(header())
        # A stream of its own is being opened already.
        self.assertIsNot(self.federation.link(LOCAL, REMOTE).stream, stream)

    def test_dialback(self) -> None:
        """With dialback it is for the pairs of domains that were asked for."""
        stream, _ = self.connectTLS()
        stream.dataReceived(self.BIDI + result())
        self.dialer.take()[1].keyVerified("", "valid")
        self.assertIs(self.federation.link(LOCAL, REMOTE).stream, stream)
        stream.dataReceived(result(local=ROOMS))
        self.assertIs(self.federation.link(ROOMS, REMOTE).stream, stream)

    def test_lost(self) -> None:
        """When it is lost, the link tries to open one."""
        stream, _ = self.bidirectional()
        self.say()
        self.lose(stream)
        self.assertIs(self.federation.link(LOCAL, REMOTE).stream, None)
        self.clock.advance(1)
        self.assertEqual(self.dialer.take()[0].remote, REMOTE)

    def test_off(self) -> None:
        """It can be switched off, and needs encryption where that is required."""
        _, transport = self.connect(header() + self.BIDI)
        self.assertEnded(transport, "not-authorized")
        self.configure(bidirectional=False)
        stream, transport = self.connectTLS(REMOTE)
        self.assertNotIn(b"bidi", transport.value)
        stream.dataReceived(self.BIDI)
        self.assertEnded(transport, "not-authorized")

    def test_own(self) -> None:
        """On a stream of this server, the peer may send from its domain, and have others authenticated."""
        self.say()
        _, owner = self.dialer.take()
        stream: Any = OwnStream()
        peer = owner.streamOpened(stream, "de", True)
        self.assertEqual(peer.jid.full, REMOTE)
        peer.stanzaReceived(xml("<message from='a@two.example' to='romeo@localhost/r'/>"))
        [message] = self.romeo.take()
        self.assertIn('xml:lang="de"', message)
        forged = xml("<message from='a@rooms.two.example' to='romeo@localhost/r'/>")
        self.assertEqual(self.assertRaises(StreamError, peer.stanzaReceived, forged).condition, "invalid-from")
        peer.dialbackReceived(read(VALID.replace(b"localhost", b"two.example", 1)))
        stream.data = b""
        peer.dialbackReceived(read(result("rooms.two.example")))
        self.dialer.take()[1].keyVerified("", "valid")
        self.assertEqual(stream.data, VALID.replace(b"two.example", b"rooms.two.example"))
        peer.stanzaReceived(xml("<message from='a@rooms.two.example' to='romeo@localhost/r'/>"))
        peer.streamLost(stream, True)
        self.assertIs(self.federation.link(LOCAL, REMOTE).stream, None)
        self.assertEqual(list(self.federation.peers()), [])


class OwnStream(FakeStream):
    """A stream that this server has opened."""

    isOwn = isEncrypted = True
    id = "1"

    def certificateProblem(self, domain: str) -> str | None:
        """See L{IPeerStream}."""
        return "it is for another name"

    def peerAuthenticated(self, peer: Any, method: str) -> None:
        """See L{IPeerStream}."""


class VerificationTests(FederationCase):
    """Questions about keys of this server (XEP-0220 §2.2.2)."""

    def verify(self, key: str, local: str = LOCAL, id: str = "1") -> str:
        """Ask; return the answer."""
        stream, transport = self.connectTLS()
        transport.take()
        stream.dataReceived(f"<db:verify from='two.example' to='{local}' id='{id}'>{key}</db:verify>".encode())
        return transport.take().decode()

    def test_answers(self) -> None:
        """A key of this server for that pair of domains and stream is valid, any other one is not."""
        key = makeKey(SECRET, REMOTE, LOCAL, "1")
        answer = "<db:verify from='localhost' to='two.example' id='1' type='{}'/>"
        self.assertEqual(self.verify(key), answer.format("valid"))
        self.assertEqual(self.verify("x"), answer.format("invalid"))
        self.assertEqual(self.verify(key, id="2"), answer.format("invalid").replace("'1'", "'2'"))
        self.assertEqual(self.verify(key, ROOMS), answer.format("invalid").replace("localhost", ROOMS))

    def test_unknown(self) -> None:
        """A domain that this server does not have is not found."""
        self.assertIn("<item-not-found ", self.verify("x", "elsewhere.example"))
