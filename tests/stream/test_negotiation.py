# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.stream.negotiation} and L{muccore.stream.features}."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any

from twisted.internet.defer import fail
from twisted.trial.unittest import SynchronousTestCase

from muccore.stream.features import OFF, OPTIONAL, REQUIRED, StreamFeatures
from muccore.stream.negotiation import TABLE, Negotiation, answerStreamIQ
from muccore.stream.parser.parser import StanzaParser
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.states import State
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID
from tests.stream.clients import ScramClient
from tests.stream.doubles import (
    BIND,
    DOMAIN,
    HEADER,
    PASSWORD,
    STARTTLS,
    TLS,
    Accounts,
    Binder,
    Session,
    Shell,
    auth,
    sasl,
)

FEATURES = b"<stream:features>%s</stream:features>"
TLS_REQUIRED = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
TLS_OPTIONAL = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
BIND_FEATURES = (
    b"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
    b"<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session></stream:features>"
)


def mechanisms(*names: str) -> bytes:
    """The feature that offers mechanisms."""
    inner = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    return f"<mechanisms xmlns='{ns.SASL}'>{inner}</mechanisms>".encode()


def failure(condition: str) -> bytes:
    """What a SASL failure begins with."""
    return f"<failure xmlns='{ns.SASL}'><{condition}/>".encode()


class Case(SynchronousTestCase):
    """A negotiation in a shell that keeps what it is told."""

    tlsMode = OFF
    plainWithoutTLS = True
    direct = False

    def setUp(self) -> None:
        """Make them."""
        self.accounts = Accounts()
        self.binder = Binder()
        self.offer = StreamFeatures(
            DOMAIN,
            SASL(self.accounts, DOMAIN, self.plainWithoutTLS, b"s"),
            self.binder,
            TLS() if self.tlsMode != OFF or self.direct else None,  # type: ignore[arg-type]
            self.tlsMode,
            loginTries=3,
        )
        self.shell = Shell()
        self.negotiation = Negotiation(self.shell, self.offer, self.direct)

    def send(self, *data: bytes) -> list[Any]:
        """
        Send elements, each of them in a stream of its own if it is a header.

        @return: what the shell was told.
        """
        for piece in data:
            if piece.startswith(b"<?xml"):
                [element] = StanzaParser().feed(piece)
            else:
                [_, element] = StanzaParser().feed(HEADER + piece)
            self.negotiation.received(element)
        log, self.shell.log = self.shell.log, [entry for entry in self.shell.log if entry == "startTLS"]
        return log

    def open(self) -> bytes:
        """
        Send the header.

        @return: the features.
        """
        [answer] = [entry for entry in self.send(HEADER) if entry != "startTLS"]
        header = re.match(rb"<\?xml version='1.0'\?><stream:stream [^>]*>", answer)
        assert header is not None
        return answer[header.end() :]

    def refuses(self, condition: str, *data: bytes) -> None:
        """Check that the last of these is a stream error."""
        with self.assertRaises(StreamError) as caught:
            self.send(*data)
        self.assertEqual(caught.exception.condition, condition)

    def login(self) -> None:
        """Go as far as AUTHENTICATED."""
        self.open()
        self.send(auth(), HEADER)
        self.assertIs(self.negotiation.state, State.AUTHENTICATED)


class HeaderTests(Case):
    """RFC 6120 §4.7"""

    def header(self, **attributes: str | None) -> bytes:
        """A header with other attributes; C{None} leaves one out."""
        given = {"to": DOMAIN, "version": "1.0", **attributes}
        text = "".join(f" {key.rstrip('_')}='{value}'" for key, value in given.items() if value is not None)
        return f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'{text}>".encode()

    def test_answer(self) -> None:
        """
        The server's header says who it is and which version and language it speaks, and has an id that is never the
        same.
        """
        ids = set()
        for _ in range(50):
            self.setUp()
            [answer] = self.send(HEADER)
            (header,) = StanzaParser().feed(answer[: answer.index(b"<stream:features")])
            id = header.attributes.pop("id")
            self.assertGreaterEqual(len(id), 24)
            ids.add(id)
            self.assertEqual(header.attributes, {"from": DOMAIN, "version": "1.0", (ns.XML, "lang"): "en"})
            self.assertEqual(header.defaultUri, ns.CLIENT)
        self.assertEqual(len(ids), 50)
        self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_from(self) -> None:
        """A client that says who it is is addressed by its bare JID, prepared and escaped (RFC 6120 §4.7.2)."""
        [answer] = self.send(self.header(from_="RoMeo|x@EXAMPLE.org/a&lt;"))
        self.assertIn(b" to='romeo|x@example.org'>", answer)

    def test_preparedDomain(self) -> None:
        """The domain is compared as it is prepared."""
        self.send(self.header(to="EXAMPLE.ORG."))
        self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_hostUnknown(self) -> None:
        """Any other domain, something that is no domain, or none, is host-unknown."""
        for to in ("example.com", "romeo@example.org", "example.org/x", "", "a b", None):
            self.setUp()
            self.refuses("host-unknown", self.header(to=to))
            self.assertFalse(self.negotiation.headerSent)

    def test_version(self) -> None:
        """Versions from 1.0 on are answered with 1.0; everything before and everything else is unsupported-version."""
        for version in ("1.0", "1.1", "2.0", "01.00", "10.3"):
            self.setUp()
            self.assertIn(b"version='1.0'", b"".join(self.send(self.header(version=version))))
        for wrong in (None, "0.9", "0.10", "", "1", "x", "-1.0", "1.0.0", "1." + "0" * 999, "\u0661.0"):
            self.setUp()
            self.refuses("unsupported-version", self.header(version=wrong))

    def test_invalidFrom(self) -> None:
        """A from that is no address is invalid-from."""
        self.refuses("invalid-from", self.header(from_="@"))

    def test_otherFrom(self) -> None:
        """What from says has no part in who the client is: sendxmpp puts the name of its machine there."""
        for claimed in ("romeo@example.org", "Romeo@example.org/r", "juliet@example.org", "laptop.example"):
            self.setUp()
            self.send(self.header(from_=claimed), auth(), self.header(from_=claimed), BIND)
            self.assertEqual([session.jid.full for session in self.binder.sessions], ["romeo@example.org/r"])

    def test_preamble(self) -> None:
        """Before an error the header is sent if it has not been sent on this stream, and only then."""
        self.assertTrue(self.negotiation.pendingHeader().startswith(b"<?xml version='1.0'?><stream:stream "))
        self.assertEqual(self.negotiation.pendingHeader(), b"")
        self.setUp()
        self.open()
        self.assertEqual(self.negotiation.pendingHeader(), b"")
        self.send(auth())
        self.assertTrue(self.negotiation.pendingHeader().startswith(b"<?xml version='1.0'?><stream:stream "))

    def test_theirError(self) -> None:
        """A client's stream error ends the stream and is not answered with another."""
        error = b"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        self.open()
        self.assertEqual(self.send(error), [("close", None)])
        self.setUp()
        self.login()
        self.assertEqual(self.send(error), [("close", None)])

    def test_tableIsWhole(self) -> None:
        """The table has a row for every state."""
        self.assertEqual(set(TABLE), set(State))


class FeaturesTests(Case):
    """What is offered when."""

    def featuresOf(self, tlsMode: str, plainWithoutTLS: bool = False) -> bytes:
        """The first features."""
        self.tlsMode, self.plainWithoutTLS = tlsMode, plainWithoutTLS
        self.setUp()
        return self.open()

    def test_required(self) -> None:
        """Where TLS is required, nothing else is offered before it."""
        self.assertEqual(self.featuresOf(REQUIRED, True), FEATURES % TLS_REQUIRED)

    def test_optional(self) -> None:
        """Where TLS is optional, it is offered beside the mechanisms that may be used without."""
        self.assertEqual(self.featuresOf(OPTIONAL), FEATURES % (TLS_OPTIONAL + mechanisms("SCRAM-SHA-1")))
        both = mechanisms("SCRAM-SHA-1", "PLAIN")
        self.assertEqual(self.featuresOf(OPTIONAL, True), FEATURES % (TLS_OPTIONAL + both))

    def test_off(self) -> None:
        """Where there is no TLS, it is not offered."""
        self.assertEqual(self.featuresOf(OFF), FEATURES % mechanisms("SCRAM-SHA-1"))

    def test_secured(self) -> None:
        """Under TLS all mechanisms are offered with the types of channel binding (XEP-0440), and TLS is not."""
        for tlsMode in (REQUIRED, OPTIONAL):
            self.featuresOf(tlsMode)
            self.send(STARTTLS)
            self.assertEqual(
                self.open(),
                FEATURES
                % (
                    mechanisms("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN")
                    + b"<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>"
                    b"<channel-binding type='tls-server-end-point'/></sasl-channel-binding>"
                ),
            )

    def test_noPlus(self) -> None:
        """Types of channel binding are not announced where no mechanism binds."""
        self.accounts.hashes = frozenset()
        self.assertEqual(
            self.offer.loginFeatures(True, TLS().made), FEATURES % mechanisms("PLAIN")  # type: ignore[arg-type]
        )

    def test_renderedOnce(self) -> None:
        """Features are rendered once for each kind of stream."""
        one = self.offer.loginFeatures(False, None)
        self.assertIs(self.offer.loginFeatures(False, None), one)
        self.assertIsNot(self.offer.loginFeatures(True, None), one)

    def test_authenticated(self) -> None:
        """After the log-in there is bind, and a session for old clients, which is optional."""
        self.open()
        self.send(auth())
        self.assertEqual(self.open(), BIND_FEATURES)

    def test_noCertificate(self) -> None:
        """STARTTLS cannot be offered without a certificate."""
        self.assertRaises(ValueError, StreamFeatures, DOMAIN, None, None, None, OPTIONAL)


class TLSTests(Case):
    """RFC 6120 §5"""

    tlsMode = REQUIRED

    def test_proceed(self) -> None:
        """TLS begins behind proceed; everything before is forgotten."""
        self.send(HEADER.replace(b" to=", b" from='romeo@example.org' to="))
        self.assertEqual(self.send(STARTTLS), [b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "startTLS"])
        self.assertIs(self.negotiation.state, State.HANDSHAKE)
        self.assertTrue(self.negotiation.secure)
        self.assertNotIn(b" to=", self.negotiation.pendingHeader())

    def test_notOffered(self) -> None:
        """Where it is not offered, STARTTLS fails and the stream ends: without TLS, under TLS, after the log-in."""
        refused = [b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", ("close", None)]
        self.open()
        self.send(STARTTLS)
        self.open()
        self.assertEqual(self.send(STARTTLS)[1:], refused)
        self.tlsMode = OFF
        self.setUp()
        self.open()
        self.assertEqual(self.send(STARTTLS), refused)
        self.setUp()
        self.login()
        self.assertEqual(self.send(STARTTLS), refused)
        self.setUp()
        self.open()
        self.send(b"<auth xmlns='%s' mechanism='PLAIN'/>" % ns.SASL.encode())
        self.assertEqual(self.send(STARTTLS), refused)

    def test_required(self) -> None:
        """A log-in before TLS that is required is encryption-required."""
        self.open()
        self.assertTrue(self.send(auth())[0].startswith(failure("encryption-required")))
        self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_refusedBindings(self) -> None:
        """A channel binding that is refused is no try, whatever it is refused for; but there is an end to it."""
        first = {
            "SCRAM-SHA-256-PLUS": b"p=tls-unique,,n=romeo,r=x",
            "SCRAM-SHA-1-PLUS": b"p=tls-unique,,n=romeo,r=x",
            "SCRAM-SHA-1": b"y,,n=romeo,r=x",
        }
        refused = [
            f"<auth xmlns='{ns.SASL}' mechanism='{name}'>{b64encode(message).decode()}</auth>".encode()
            for name, message in first.items()
        ]
        self.open()
        self.send(STARTTLS)
        self.open()
        self.assertEqual(len(self.send(auth(password="x"), auth(password="x"), *refused)), 6)
        self.assertEqual(self.shell.refusals, ["not-authorized"] * 2)
        self.assertEqual(len(self.send(*refused, refused[0])), 5)
        self.assertEqual(self.send(refused[2])[2:], [("close", "policy-violation")])

    def test_direct(self) -> None:
        """With direct TLS the first header is under TLS already."""
        self.direct = True
        for tlsMode in (OFF, REQUIRED):
            self.tlsMode = tlsMode
            self.setUp()
            self.assertIs(self.negotiation.state, State.HANDSHAKE)
            self.assertIn(b"<mechanism>PLAIN</mechanism>", self.open())
            self.assertIs(self.negotiation.state, State.SECURED)


class SASLTests(Case):
    """RFC 6120 §6"""

    def fails(self, condition: str, *data: bytes) -> None:
        """Check that the last of these is a SASL failure."""
        self.setUp()
        self.open()
        log = self.send(*data)
        self.assertTrue(log[-1].startswith(failure(condition)), log)
        self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_plain(self) -> None:
        """Who is who he says he is gets success, and the next stream is his."""
        self.open()
        self.assertEqual(self.send(auth()), [b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "authenticated"])
        self.assertIs(self.negotiation.state, State.RESTARTING)
        self.assertEqual(self.negotiation.account, JID("romeo", DOMAIN, ""))
        self.assertEqual(self.negotiation.mechanism, "PLAIN")

    def test_scram(self) -> None:
        """SCRAM goes through challenge and response, and the success carries the server's signature."""
        self.open()
        client = ScramClient("sha1", "romeo", PASSWORD)
        [challenge] = self.send(
            b"<auth xmlns='%s' mechanism='SCRAM-SHA-1'>%s</auth>" % (ns.SASL.encode(), b64encode(client.first()))
        )
        self.assertIs(self.negotiation.state, State.AUTHENTICATING)
        text = re.fullmatch(rb"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>(.+)</challenge>", challenge)
        assert text is not None
        success, authenticated = self.send(sasl("response", b64encode(client.final(b64decode(text[1]))).decode()))
        self.assertEqual(authenticated, "authenticated")
        text = re.fullmatch(rb"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>(.+)</success>", success)
        assert text is not None
        client.verify(b64decode(text[1]))

    def test_noInitialResponse(self) -> None:
        """Without an initial response an empty challenge asks for it."""
        self.open()
        for empty in (b"<auth xmlns='%s' mechanism='PLAIN'/>", b"<auth xmlns='%s' mechanism='PLAIN'></auth>"):
            self.setUp()
            self.open()
            [challenge] = self.send(empty % ns.SASL.encode())
            self.assertEqual(challenge, b"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></challenge>")
        log = self.send(sasl("response", b64encode(b"\0romeo\0secret").decode()))
        self.assertEqual(log[-1], "authenticated")

    def test_emptyResponse(self) -> None:
        """An equals sign is data of no length, which is not the same as none."""
        self.fails("malformed-request", b"<auth xmlns='%s' mechanism='PLAIN'>=</auth>" % ns.SASL.encode())

    def test_wrongPassword(self) -> None:
        """A wrong password and an unknown user are not-authorized, and told apart by nothing."""
        self.fails("not-authorized", auth(password="x"))
        self.setUp()
        self.open()
        one = self.send(auth(password="x"))
        self.assertEqual(self.send(auth("juliet")), one)

    def test_mechanism(self) -> None:
        """A mechanism that is not offered, or none, is invalid-mechanism."""
        self.fails("invalid-mechanism", auth(mechanism="X-UNKNOWN"))
        self.fails("invalid-mechanism", auth(mechanism="SCRAM-SHA-1-PLUS"))
        self.fails("invalid-mechanism", b"<auth xmlns='%s'/>" % ns.SASL.encode())

    def test_encoding(self) -> None:
        """What is not base64 is incorrect-encoding."""
        for wrong in ("!", "abc", "YQ==x", " YQ==", "Y Q==", "ä", "=="):
            data = f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{wrong}</auth>".encode()
            self.fails("incorrect-encoding", data)
            self.fails("incorrect-encoding", b"<auth xmlns='%s' mechanism='PLAIN'/>" % ns.SASL.encode(),
                       sasl("response", wrong))  # fmt: skip

    def test_elementInside(self) -> None:
        """An element where only text may be is malformed-request."""
        self.fails("malformed-request", b"<auth xmlns='%s' mechanism='PLAIN'><x/></auth>" % ns.SASL.encode())

    def test_abort(self) -> None:
        """An abort is answered with aborted, and the log-in can begin again."""
        begin = b"<auth xmlns='%s' mechanism='PLAIN'/>" % ns.SASL.encode()
        self.fails("aborted", begin, sasl("abort"))
        self.assertEqual(self.send(auth())[-1], "authenticated")
        self.fails("aborted", sasl("abort"))

    def test_outOfTurn(self) -> None:
        """A response to nothing, and another auth instead of a response, are malformed-request."""
        self.fails("malformed-request", sasl("response"))
        self.fails("malformed-request", b"<auth xmlns='%s' mechanism='PLAIN'/>" % ns.SASL.encode(), auth())

    def test_tries(self) -> None:
        """After so many failures, of whatever kind, the stream ends with policy-violation."""
        self.open()
        self.assertEqual(len(self.send(auth(password="x"), sasl("abort"))), 2)
        log = self.send(auth(password="x"))
        self.assertTrue(log[0].startswith(failure("not-authorized")))
        self.assertEqual(log[1:], [("close", "policy-violation")])

    def test_bindFailures(self) -> None:
        """Failures to log in have no part in how often binding a resource may fail."""
        self.open()
        self.send(auth(password="x"), auth(password="x"), auth(), HEADER)
        refused = BIND.replace(b">r<", b"><")
        for _ in range(2):
            [answer] = self.send(refused)
            self.assertIn(b"<bad-request ", answer)
        self.assertEqual(self.send(refused)[1:], [("close", "policy-violation")])

    def test_failureText(self) -> None:
        """What a failure has to say is in it."""
        self.open()
        [answer] = self.send(sasl("response"))
        self.assertIn(b"<text xml:lang='en'>This element is not expected now.</text></failure>", answer)

    def test_later(self) -> None:
        """While the accounts are being asked, what comes is held back."""
        self.accounts.waiting = []
        self.open()
        self.assertEqual(self.send(auth()), ["hold"])
        self.assertIs(self.negotiation.state, State.CHECKING)
        self.accounts.release()
        self.assertEqual(self.shell.log[1:], ["authenticated", "resume"])

    def test_laterFailure(self) -> None:
        """A failure that comes later lets the stream go on, too."""
        self.accounts.waiting = []
        self.open()
        self.send(auth(password="x"))
        self.accounts.release()
        self.assertEqual(self.shell.log[1:], ["resume"])
        self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_lost(self) -> None:
        """If the stream is over before the accounts have answered, the answer changes nothing."""
        for password in (PASSWORD, "x"):
            self.setUp()
            self.accounts.waiting = []
            self.open()
            self.send(auth(password=password))
            self.negotiation.connectionLost()
            self.negotiation.connectionLost()
            self.accounts.waiting[0][0].addErrback(lambda failure: None)
            self.accounts.release()
            self.assertEqual(self.shell.log, [])
            self.assertIs(self.negotiation.state, State.CLOSED)

    def test_broken(self) -> None:
        """A fault of a mechanism that is no SASL failure is the shell's to report."""
        self.open()
        exchange = self.offer.sasl.begin("PLAIN", False, None)
        exchange.start = lambda initial: fail(ZeroDivisionError())  # type: ignore[method-assign]
        self.patch(self.offer.sasl, "begin", lambda *ignored: exchange)
        self.assertEqual(self.send(auth())[0], ("broken", ZeroDivisionError))


class UnexpectedTests(Case):
    """What the table does not have."""

    def test_beforeAuthentication(self) -> None:
        """Whatever else comes before the log-in is not-authorized."""
        others = (b"<x xmlns='urn:x'/>", b"<stream:stream/>", b"<iq xmlns=''/>")
        for data in (b"<message/>", b"<presence/>", BIND, *others):
            self.setUp()
            self.open()
            self.refuses("not-authorized", data)
            self.setUp()
            self.open()
            self.refuses("not-authorized", b"<auth xmlns='%s' mechanism='PLAIN'/>" % ns.SASL.encode(), data)

    def test_beforeBinding(self) -> None:
        """A stanza before binding is not-authorized (RFC 6120 §7.1), and so is an IQ that does not bind."""
        for data in (
            b"<message/>",
            b"<presence/>",
            b"<iq type='get' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            b"<iq type='set' id='1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
        ):
            self.setUp()
            self.login()
            self.refuses("not-authorized", data)

    def test_afterAuthentication(self) -> None:
        """What is no stanza is unsupported-stanza-type after the log-in, another log-in included."""
        for data in (auth(), sasl("response"), sasl("abort"), b"<x xmlns='urn:x'/>", b"<query/>"):
            self.setUp()
            self.login()
            self.refuses("unsupported-stanza-type", data)


class BindTests(Case):
    """RFC 6120 §7"""

    def test_bind(self) -> None:
        """The resource asked for is bound, and the result says so before the session is there."""
        self.login()
        self.assertEqual(
            self.send(BIND),
            [
                b"<iq id='b' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                b"<jid>romeo@example.org/r</jid></bind></iq>",
                ("bound", "romeo@example.org/r"),
            ],
        )
        self.assertIs(self.negotiation.state, State.BOUND)
        self.assertIs(self.binder.sessions[0].carrier, self.shell)

    def test_language(self) -> None:
        """
        The session is told the language that the last header gives (RFC 6120 §4.7.4), unless it is the server's own,
        or no language tag, or longer than any: it goes with every stanza.
        """
        for given, told in (
            (None, None),
            ("de", "de"),
            ("zh-Hant-TW", "zh-Hant-TW"),
            ("en", None),
            ("EN", None),
            ("", None),
            ("a b", None),
            ("de-" + "abcdefgh-" * 3 + "abcde", "de-" + "abcdefgh-" * 3 + "abcde"),
            ("de-" + "abcdefgh-" * 3 + "abcdef", None),
            ("de&#10;", None),
        ):
            self.setUp()
            said = b"" if given is None else f" xml:lang='{given}'".encode()
            first, last = (HEADER.replace(b" xml:lang='en'", lang) for lang in (b" xml:lang='fr'", said))
            self.send(first, auth(), last, BIND)
            self.assertEqual(self.binder.sessions[0].language, told, given)

    def test_generated(self) -> None:
        """Who asks for no resource gets one."""
        self.login()
        log = self.send(b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        self.assertEqual(log[-1], ("bound", "romeo@example.org/made-up"))
        self.assertEqual(self.binder.asked, [None])

    def test_refused(self) -> None:
        """What cannot be bound is answered with the binder's error, and can be tried again, but not for ever."""
        self.login()
        empty = BIND.replace(b">r<", b"><")
        [answer] = self.send(empty)
        self.assertEqual(
            answer,
            b"<iq id='b' type='error'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource/></bind>"
            b"<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        )
        self.binder.raises = StanzaError("resource-constraint")
        self.assertIn(b"<resource-constraint ", self.send(BIND)[0])
        self.assertEqual(self.send(BIND)[1:], [("close", "policy-violation")])

    def test_triedAgain(self) -> None:
        """After an error another resource can be bound."""
        self.login()
        self.send(BIND.replace(b">r<", b"><"))
        self.assertEqual(self.send(BIND)[-1], ("bound", "romeo@example.org/r"))

    def test_noId(self) -> None:
        """An IQ without an id is bad-request."""
        self.login()
        self.assertIn(b"<bad-request ", self.send(BIND.replace(b" id='b'", b""))[0])
        self.assertEqual(self.binder.asked, [])


class LateTests(SynchronousTestCase):
    """L{answerStreamIQ}"""

    def answer(self, uri: str, name: str, **attributes: str) -> bytes | None:
        """The answer to an IQ with a payload."""
        iq = Element((ns.CLIENT, "iq"), None, {"type": "set", "id": "1", **attributes})
        iq.add(name, uri)
        return answerStreamIQ(iq, Session(JID("romeo", DOMAIN, "r"), Shell()))  # type: ignore[arg-type]

    def test_session(self) -> None:
        """A session request is answered with a result."""
        self.assertEqual(self.answer(ns.SESSION, "session"), b"<iq id='1' type='result'/>")
        self.assertEqual(
            self.answer(ns.SESSION, "session", to=DOMAIN), b"<iq from='example.org' id='1' type='result'/>"
        )

    def test_bind(self) -> None:
        """Binding a second resource is not-allowed."""
        answer = self.answer(ns.BIND, "bind", to="romeo@example.org") or b""
        self.assertIn(b"<error type='cancel'><not-allowed xmlns='%s'/></error>" % ns.STANZA_ERRORS.encode(), answer)

    def test_others(self) -> None:
        """Everything else is the session's business: other payloads, other types, other addresses, no id."""
        self.assertIsNone(self.answer(ns.PING, "ping"))
        self.assertIsNone(self.answer(ns.SESSION, "session", type="get"))
        self.assertIsNone(self.answer(ns.SESSION, "session", to="juliet@example.org"))
        iq = Element((ns.CLIENT, "iq"), None, {"type": "set"})
        iq.add("session", ns.SESSION)
        self.assertIsNone(answerStreamIQ(iq, Session(JID("romeo", DOMAIN, "r"), Shell())))  # type: ignore[arg-type]
