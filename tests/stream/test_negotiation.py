# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.stream.negotiation}, L{muccore.stream.features} and L{muccore.stream.sasl.elements}."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Any

from twisted.internet.defer import fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces.handlers import InvalidHandler
from muccore.interfaces.streams import Stage
from muccore.net.tls import TLSByName
from muccore.stream.features import StreamFeatures
from muccore.stream.negotiation import TABLE, Negotiation
from muccore.stream.parser.parser import StanzaParser
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.starttls import OFF, OPTIONAL, REQUIRED
from muccore.stream.states import State
from muccore.xmpp import ns
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
    Feature,
    NegotiationHost,
    auth,
    sasl,
)

FEATURES = b"<stream:features>%s</stream:features>"
TLS_REQUIRED = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
TLS_OPTIONAL = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
BIND_FEATURES = (
    b"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
    b"<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"
    b"<sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/></stream:features>"
)

ERROR = b"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
EMPTY_AUTH = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>"
EMPTY_BIND = BIND.replace(b">r<", b"><")


def mechanisms(*names: str) -> bytes:
    """Render the feature of SASL mechanisms."""
    inner = "".join(f"<mechanism>{name}</mechanism>" for name in names)
    return f"<mechanisms xmlns='{ns.SASL}'>{inner}</mechanisms>".encode()


def failure(condition: str) -> bytes:
    """The beginning of a SASL failure."""
    return f"<failure xmlns='{ns.SASL}'><{condition}/>".encode()


class Case(SynchronousTestCase):
    """A negotiation on a host that records the calls to it."""

    tlsMode = OFF
    plainWithoutTLS = True
    direct = False

    def setUp(self) -> None:
        """Create them."""
        self.accounts = Accounts()
        self.binder = Binder()
        self.sasl = SASL(self.accounts, DOMAIN, self.plainWithoutTLS, b"s")
        self.features = StreamFeatures(
            DOMAIN,
            self.sasl,
            self.binder,
            TLS() if self.tlsMode != OFF or self.direct else None,  # type: ignore[arg-type]
            self.tlsMode,
            loginTries=3,
        )
        self.host = NegotiationHost()
        self.negotiation = Negotiation(self.host, self.features, self.direct)

    def send(self, *data: bytes) -> list[Any]:
        """
        Send headers and elements.

        @return: the log of the host.
        """
        for piece in data:
            if piece.startswith(b"<?xml"):
                [element] = StanzaParser().feed(piece)
            else:
                [_, element] = StanzaParser().feed(HEADER + piece)
            self.negotiation.received(element)
        log, self.host.log = self.host.log, [entry for entry in self.host.log if entry == "startTLS"]
        return log

    def open(self) -> bytes:
        """
        Send the header.

        @return: the features.
        """
        answer = b"".join(entry for entry in self.send(HEADER) if entry != "startTLS")
        header = re.match(rb"<\?xml version='1.0'\?><stream:stream [^>]*>", answer)
        assert header is not None
        return answer[header.end() :]

    def pendingHeader(self) -> bytes:
        """
        Send the header if it is pending.

        @return: what was sent.
        """
        self.host.log = [entry for entry in self.host.log if entry == "startTLS"]
        self.negotiation.sendPendingHeader()
        return b"".join(entry for entry in self.host.log if entry != "startTLS")

    def begin(self) -> bytes:
        """Begin a new negotiation as far as the first features."""
        self.setUp()
        return self.open()

    def assertStreamError(self, condition: str, *data: bytes) -> None:
        """Check that sending the last of these raises a stream error."""
        with self.assertRaises(StreamError) as caught:
            self.send(*data)
        self.assertEqual(caught.exception.condition, condition)

    def login(self) -> None:
        """Begin a new negotiation as far as AUTHENTICATED."""
        self.begin()
        self.send(auth(), HEADER)
        self.assertIs(self.negotiation.state, State.AUTHENTICATED)


class HeaderTests(Case):
    """RFC 6120 §4.7"""

    def header(self, **attributes: str | None) -> bytes:
        """Render a header with these attributes; C{None} omits one."""
        given = {"to": DOMAIN, "version": "1.0", **attributes}
        text = "".join(f" {key.rstrip('_')}='{value}'" for key, value in given.items() if value is not None)
        return f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'{text}>".encode()

    def test_answer(self) -> None:
        """The server's header has its domain, version and language, and a unique id."""
        ids = set()
        for _ in range(50):
            self.setUp()
            answer, _ = self.send(HEADER)
            (header,) = StanzaParser().feed(answer)
            id = header.attributes.pop("id")
            self.assertGreaterEqual(len(id), 24)
            ids.add(id)
            self.assertEqual(header.attributes, {"from": DOMAIN, "version": "1.0", (ns.XML, "lang"): "en"})
            self.assertEqual(header.defaultUri, ns.CLIENT)
        self.assertEqual(len(ids), 50)
        self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_accepted(self) -> None:
        """The domain is prepared before it is compared; every version from 1.0 is answered with 1.0."""
        for attributes in ({"to": "EXAMPLE.ORG."}, *({"version": v} for v in ("1.0", "1.1", "2.0", "01.00", "10.3"))):
            self.setUp()
            self.assertIn(b" version='1.0'", b"".join(self.send(self.header(**attributes))))
            self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_refused(self) -> None:
        """Other domains, versions before 1.0 and invalid values are stream errors."""
        for condition, name, values in (
            ("host-unknown", "to", ("example.com", "romeo@example.org", "example.org/x", "", "a b", None)),
            ("unsupported-version", "version", (None, "0.9", "0.10", "", "1", "x", "-1.0", "1.0.0", "1." + "0" * 999)),
            ("unsupported-version", "version", ("\u0661.0",)),
            ("invalid-from", "from_", ("@",)),
        ):
            for value in values:
                self.setUp()
                self.assertStreamError(condition, self.header(**{name: value}))
                self.assertFalse(self.negotiation.headerSent)

    def test_fromIsEchoed(self) -> None:
        """The client's from is answered with to: its bare JID, prepared and escaped (RFC 6120 §4.7.2)."""
        answer, _ = self.send(self.header(from_="RoMeo|x@EXAMPLE.org/a&lt;"))
        self.assertIn(b" to='romeo|x@example.org'>", answer)

    def test_fromIsNoIdentity(self) -> None:
        """The account does not depend on from, where sendxmpp puts the name of its machine."""
        for claimed in ("romeo@example.org", "Romeo@example.org/r", "juliet@example.org", "laptop.example"):
            self.setUp()
            self.send(self.header(from_=claimed), auth(), self.header(from_=claimed), BIND)
            self.assertEqual([session.jid.full for session in self.binder.sessions], ["romeo@example.org/r"])

    def test_pendingHeader(self) -> None:
        """The header precedes an error if it was not sent on this stream, and only then."""
        self.assertTrue(self.pendingHeader().startswith(b"<?xml version='1.0'?><stream:stream "))
        self.assertEqual(self.pendingHeader(), b"")
        self.begin()
        self.assertEqual(self.pendingHeader(), b"")
        self.send(auth())
        self.assertTrue(self.pendingHeader().startswith(b"<?xml version='1.0'?><stream:stream "))

    def test_errorReceived(self) -> None:
        """A client's stream error closes the stream without another error."""
        for begin in (self.begin, self.login):
            begin()
            self.assertEqual(self.send(ERROR), [("close", None)])

    def test_tableIsComplete(self) -> None:
        """The table has a row for every state."""
        self.assertEqual(set(TABLE), set(State))


class FeaturesTests(Case):
    """L{StreamFeatures}"""

    def featuresOf(self, tlsMode: str, plainWithoutTLS: bool = False) -> bytes:
        """The features before the log-in."""
        self.tlsMode, self.plainWithoutTLS = tlsMode, plainWithoutTLS
        return self.begin()

    def test_beforeTLS(self) -> None:
        """Without TLS, STARTTLS is offered, and unless it is required, mechanisms without or with PLAIN."""
        scram, both = mechanisms("SCRAM-SHA-1"), mechanisms("SCRAM-SHA-1", "PLAIN")
        for tlsMode, plainWithoutTLS, expected in (
            (REQUIRED, True, TLS_REQUIRED),
            (OPTIONAL, False, TLS_OPTIONAL + scram),
            (OPTIONAL, True, TLS_OPTIONAL + both),
            (OFF, False, scram),
        ):
            self.assertEqual(self.featuresOf(tlsMode, plainWithoutTLS), FEATURES % expected)

    def test_underTLS(self) -> None:
        """Under TLS all mechanisms are offered, with the types of channel binding (XEP-0440), and no STARTTLS."""
        for tlsMode in (REQUIRED, OPTIONAL):
            self.featuresOf(tlsMode)
            self.send(STARTTLS)
            self.assertTrue(
                self.open().startswith(
                    b"<stream:features>"
                    + mechanisms("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN")
                    + b"<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>"
                    b"<channel-binding type='tls-server-end-point'/></sasl-channel-binding>"
                    b"<authentication xmlns='urn:xmpp:sasl:2'>"
                )
            )

    def test_noChannelBinding(self) -> None:
        """Types of channel binding are not announced without a mechanism that uses them."""
        self.accounts.hashes = frozenset()
        features = StreamFeatures(DOMAIN, SASL(self.accounts, DOMAIN, True), self.binder, tlsMode=OFF)
        offered = features.offer(Stage.LOGIN, True, TLS().made)  # type: ignore[arg-type]
        self.assertTrue(offered.startswith(b"<stream:features>" + mechanisms("PLAIN")))
        self.assertNotIn(b"channel-binding", offered)

    def test_renderedOnce(self) -> None:
        """Features are rendered once for each type of stream."""
        one = self.features.offer(Stage.LOGIN, False, None)
        self.assertIs(self.features.offer(Stage.LOGIN, False, None), one)
        self.assertIsNot(self.features.offer(Stage.LOGIN, True, None), one)

    def test_others(self) -> None:
        """Features of handlers stand among those of the server by stage and order, for the streams they choose."""
        first, last = Feature("urn:x", Stage.BINDING, 50), Feature("urn:y", Stage.BINDING, 1000)
        login = Feature("urn:z", Stage.LOGIN, 1000, secure=True)
        features = StreamFeatures(DOMAIN, self.sasl, self.binder, tlsMode=OFF, more=[last, login, first])
        [one] = re.findall(b"<stream:features>(.*)</stream:features>", BIND_FEATURES)
        x, y, z = (b"<x xmlns='urn:%s'/>" % name for name in (b"x", b"y", b"z"))
        self.assertEqual(features.offer(Stage.BINDING, False, None), FEATURES % (x + one + y))
        self.assertEqual(features.offer(Stage.LOGIN, False, None), FEATURES % mechanisms("SCRAM-SHA-1", "PLAIN"))
        self.assertTrue(features.offer(Stage.LOGIN, True, None).endswith(z + b"</stream:features>"))

    def test_conflict(self) -> None:
        """Two features cannot handle the same nonza."""
        both = [Feature("urn:x", Stage.BINDING, order) for order in (1, 2)]
        with self.assertRaisesRegex(InvalidHandler, r"handles the element \('urn:x', 'x'\)"):
            StreamFeatures(DOMAIN, self.sasl, self.binder, tlsMode=OFF, more=both)

    def test_authenticated(self) -> None:
        """After the log-in, bind is offered, and for old clients an optional session."""
        self.open()
        self.send(auth())
        self.assertEqual(self.open(), BIND_FEATURES)

    def test_noCertificate(self) -> None:
        """STARTTLS without a certificate raises ValueError."""
        self.assertRaises(ValueError, StreamFeatures, DOMAIN, None, None, None, OPTIONAL)


class HostsTests(Case):
    """Several hosts (RFC 6120 §4.7.2, §4.9.3.6)."""

    tlsMode = OPTIONAL

    def setUp(self) -> None:
        """Add a second host, with its own certificate and log-in."""
        super().setUp()
        self.otherTLS: Any = TLS()
        hosts = {DOMAIN: self.features}
        for domain, tls in ((DOMAIN, self.features.tls), ("other.example", self.otherTLS)):
            login = SASL(self.accounts, domain, True, b"s")
            hosts[domain] = StreamFeatures(domain, login, self.binder, tls, OPTIONAL, hosts=hosts)
        self.features = hosts[DOMAIN]
        self.negotiation = Negotiation(self.host, self.features, self.direct)
        self.other = HEADER.replace(b"example.org", b"other.example")

    def test_chosen(self) -> None:
        """The first header chooses the host: its name, its certificate, its accounts."""
        for header, domain in ((HEADER, "example.org"), (self.other, "other.example")):
            self.setUp()
            [answer, *_] = self.send(header)
            self.assertIn(f" from='{domain}'".encode(), answer)
            self.assertIs(self.negotiation.features.tls, self.features.hosts[domain].tls)
            self.patch(self.accounts, "checkPassword", lambda account, _, name=domain: succeed(account.endswith(name)))
            self.send(auth(), header, BIND)
            self.assertEqual(self.binder.sessions[0].jid.full, f"romeo@{domain}/r")

    def test_kept(self) -> None:
        """Later headers must name the same host, under TLS and after the log-in."""
        for data in ([HEADER, STARTTLS], [HEADER, auth()]):
            self.setUp()
            self.assertStreamError("host-unknown", *data, self.other)
            self.assertIn(b" from='example.org'", self.pendingHeader())

    def test_unknown(self) -> None:
        """For an unknown host, the error comes from the first one."""
        self.assertStreamError("host-unknown", HEADER.replace(b"example.org", b"unknown.example"))
        self.assertIn(b" from='example.org'", self.pendingHeader())

    def test_directTLS(self) -> None:
        """Direct TLS begins before the header: its certificate is chosen among those of all hosts."""
        self.assertIsInstance(self.features.directTLS, TLSByName)
        self.assertIs(self.features.directTLS, self.features.directTLS)
        self.assertIs(StreamFeatures(DOMAIN, self.sasl, self.binder, self.otherTLS).directTLS, self.otherTLS)


class TLSTests(Case):
    """RFC 6120 §5"""

    tlsMode = REQUIRED

    def test_proceed(self) -> None:
        """TLS is started after proceed; the header before it is forgotten."""
        self.send(HEADER.replace(b" to=", b" from='romeo@example.org' to="))
        self.assertEqual(self.send(STARTTLS), [b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "startTLS"])
        self.assertIs(self.negotiation.state, State.HANDSHAKE)
        self.assertTrue(self.negotiation.secure)
        self.assertNotIn(b" to=", self.pendingHeader())

    def test_notOffered(self) -> None:
        """Where STARTTLS is not offered, it fails and closes the stream: without TLS, under TLS, after the log-in."""
        refused = [b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", ("close", None)]
        self.open()
        self.send(STARTTLS)
        self.open()
        self.assertEqual(self.send(STARTTLS)[1:], refused)
        self.tlsMode = OFF
        for data in ([], [auth(), HEADER], [EMPTY_AUTH]):
            self.begin()
            self.send(*data)
            self.assertEqual(self.send(STARTTLS), refused)

    def test_required(self) -> None:
        """A log-in before required TLS fails with encryption-required."""
        self.open()
        self.assertTrue(self.send(auth())[0].startswith(failure("encryption-required")))
        self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_refusedBindings(self) -> None:
        """Refused channel bindings have a limit of their own, and are not reported as failed log-ins."""
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
        self.assertEqual(self.host.failures, ["not-authorized"] * 2)
        self.assertEqual(len(self.send(*refused, refused[0])), 5)
        self.assertEqual(self.send(refused[2])[2:], [("close", "policy-violation")])

    def test_direct(self) -> None:
        """With direct TLS the first stream is under TLS."""
        self.direct = True
        for tlsMode in (OFF, REQUIRED):
            self.tlsMode = tlsMode
            self.setUp()
            self.assertIs(self.negotiation.state, State.HANDSHAKE)
            self.assertIn(b"<mechanism>PLAIN</mechanism>", self.open())
            self.assertIs(self.negotiation.state, State.SECURED)


class SASLTests(Case):
    """RFC 6120 §6"""

    def assertFails(self, condition: str, *data: bytes) -> None:
        """Begin a negotiation, and check that the last of these is answered with a SASL failure."""
        self.begin()
        log = self.send(*data)
        self.assertTrue(log[-1].startswith(failure(condition)), log)
        self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_plain(self) -> None:
        """A right password is answered with success, and a new stream is expected."""
        self.open()
        self.assertEqual(self.send(auth()), [b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", "restartStream"])
        self.assertIs(self.negotiation.state, State.RESTARTING)
        self.assertEqual(self.negotiation.account, JID("romeo", DOMAIN, ""))
        self.assertEqual(self.negotiation.login.mechanism, "PLAIN")

    def test_disabled(self) -> None:
        """Who knows the password of a disabled account learns that it is; nobody else does (RFC 6120 §6.5.1)."""
        for data, condition in ((auth(), "account-disabled"), (auth(password="wrong"), "not-authorized")):
            self.begin()
            self.features.access.disabled.add(f"romeo@{DOMAIN}")
            self.assertTrue(self.send(data)[-1].startswith(failure(condition)))
            self.assertIsNone(self.negotiation.account)

    def test_revoked(self) -> None:
        """Credentials that were right when the stream was opened are not, if the account was removed meanwhile."""
        self.open()
        self.features.access.revoke(f"romeo@{DOMAIN}")
        self.assertTrue(self.send(auth())[-1].startswith(failure("not-authorized")))
        self.assertIs(self.negotiation.state, State.UNSECURED)

    def test_scram(self) -> None:
        """SCRAM works by challenge and response; success has the server's signature."""
        self.open()
        client = ScramClient("sha1", "romeo", PASSWORD)
        [challenge] = self.send(
            b"<auth xmlns='%s' mechanism='SCRAM-SHA-1'>%s</auth>" % (ns.SASL.encode(), b64encode(client.first()))
        )
        self.assertIs(self.negotiation.state, State.AUTHENTICATING)
        text = re.fullmatch(rb"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>(.+)</challenge>", challenge)
        assert text is not None
        success, restart = self.send(sasl("response", b64encode(client.final(b64decode(text[1]))).decode()))
        self.assertEqual(restart, "restartStream")
        text = re.fullmatch(rb"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>(.+)</success>", success)
        assert text is not None
        client.verify(b64decode(text[1]))

    def test_noInitialResponse(self) -> None:
        """Without an initial response, an empty challenge asks for it."""
        self.open()
        self.assertEqual(self.send(EMPTY_AUTH), [b"<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></challenge>"])
        log = self.send(sasl("response", b64encode(b"\0romeo\0secret").decode()))
        self.assertEqual(log[-1], "restartStream")

    def test_failures(self) -> None:
        """Each failure has its condition (RFC 6120 §6.5). C{=} is data of no length, which is not the same as none."""
        for condition, *data in (
            ("malformed-request", EMPTY_AUTH.replace(b"/>", b">=</auth>")),
            ("malformed-request", EMPTY_AUTH.replace(b"/>", b"><x/></auth>")),
            ("malformed-request", sasl("response")),
            ("malformed-request", EMPTY_AUTH, auth()),
            ("invalid-mechanism", auth(mechanism="X-UNKNOWN")),
            ("invalid-mechanism", auth(mechanism="SCRAM-SHA-1-PLUS")),
            ("invalid-mechanism", sasl("auth")),
            ("not-authorized", auth(password="x")),
            ("aborted", sasl("abort")),
            ("aborted", EMPTY_AUTH, sasl("abort")),
        ):
            self.assertFails(condition, *data)
        self.assertEqual(self.send(auth())[-1], "restartStream")

    def test_encoding(self) -> None:
        """Invalid base64 is incorrect-encoding, in auth and in response."""
        for wrong in ("!", "abc", "YQ==x", " YQ==", "Y Q==", "ä", "=="):
            self.assertFails("incorrect-encoding", EMPTY_AUTH.replace(b"/>", f">{wrong}</auth>".encode()))
            self.assertFails("incorrect-encoding", EMPTY_AUTH, sasl("response", wrong))

    def test_unknownUser(self) -> None:
        """An unknown user is answered like a wrong password."""
        self.open()
        self.assertEqual(self.send(auth("juliet")), self.send(auth(password="x")))

    def test_failureLimit(self) -> None:
        """After a number of failures of any kind, the stream is closed with policy-violation."""
        self.open()
        self.assertEqual(len(self.send(auth(password="x"), sasl("abort"))), 2)
        log = self.send(auth(password="x"))
        self.assertTrue(log[0].startswith(failure("not-authorized")))
        self.assertEqual(log[1:], [("close", "policy-violation")])

    def test_bindFailures(self) -> None:
        """Failed log-ins do not count towards the limit for failures to bind a resource."""
        self.open()
        self.send(auth(password="x"), auth(password="x"), auth(), HEADER)
        for _ in range(2):
            [answer] = self.send(EMPTY_BIND)
            self.assertIn(b"<bad-request ", answer)
        self.assertEqual(self.send(EMPTY_BIND)[1:], [("close", "policy-violation")])

    def test_failureText(self) -> None:
        """The text of a failure is sent."""
        self.open()
        [answer] = self.send(sasl("response"))
        self.assertIn(b"<text xml:lang='en'>This element is not expected now.</text></failure>", answer)

    def test_pausedWhileChecking(self) -> None:
        """Parsing is paused while credentials are checked, and resumed after success and failure."""
        for password, log, state in (
            (PASSWORD, ["restartStream", "resumeParsing"], State.RESTARTING),
            ("x", ["resumeParsing"], State.UNSECURED),
        ):
            self.begin()
            self.accounts.waiting = []
            self.assertEqual(self.send(auth(password=password)), ["pauseParsing"])
            self.assertIs(self.negotiation.state, State.CHECKING)
            self.accounts.release()
            self.assertEqual((self.host.log[1:], self.negotiation.state), (log, state))

    def test_lostWhileChecking(self) -> None:
        """If the stream ends while credentials are checked, the result changes nothing."""
        for password in (PASSWORD, "x"):
            self.setUp()
            self.accounts.waiting = []
            self.open()
            self.send(auth(password=password))
            self.negotiation.connectionLost()
            self.negotiation.connectionLost()
            self.accounts.waiting[0][0].addErrback(lambda failure: None)
            self.accounts.release()
            self.assertEqual(self.host.log, [])
            self.assertIs(self.negotiation.state, State.CLOSED)

    def test_internalError(self) -> None:
        """An unexpected exception of a mechanism is reported as an internal error."""
        self.open()
        exchange = self.sasl.begin("PLAIN", False, None)
        exchange.start = lambda initial: fail(ZeroDivisionError())  # type: ignore[method-assign]
        self.patch(self.sasl, "begin", lambda *ignored: exchange)
        self.assertEqual(self.send(auth())[0], ("internalError", ZeroDivisionError))


class UnexpectedTests(Case):
    """Elements that the table does not contain."""

    def test_beforeLogin(self) -> None:
        """Any other element before the log-in is not-authorized."""
        others = (b"<x xmlns='urn:x'/>", b"<stream:stream/>", b"<iq xmlns=''/>")
        for data in (b"<message/>", b"<presence/>", BIND, *others):
            self.begin()
            self.assertStreamError("not-authorized", data)
            self.begin()
            self.assertStreamError("not-authorized", EMPTY_AUTH, data)

    def test_beforeBinding(self) -> None:
        """
        Before binding, stanzas and IQs that do not bind are not-authorized (RFC 6120 §7.1); anything else, another
        log-in included, is unsupported-stanza-type.
        """
        for condition, data in (
            ("not-authorized", b"<message/>"),
            ("not-authorized", b"<presence/>"),
            ("not-authorized", BIND.replace(b"'set'", b"'get'")),
            ("not-authorized", b"<iq type='set' id='1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"),
            ("unsupported-stanza-type", auth()),
            ("unsupported-stanza-type", sasl("response")),
            ("unsupported-stanza-type", sasl("abort")),
            ("unsupported-stanza-type", b"<x xmlns='urn:x'/>"),
            ("unsupported-stanza-type", b"<query/>"),
        ):
            self.login()
            self.assertStreamError(condition, data)


class BindTests(Case):
    """RFC 6120 §7"""

    def test_bind(self) -> None:
        """The requested resource is bound, and the result is sent before the session begins."""
        self.login()
        self.assertEqual(
            self.send(BIND),
            [
                b"<iq id='b' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                b"<jid>romeo@example.org/r</jid></bind></iq>",
                ("sessionBound", "romeo@example.org/r"),
            ],
        )
        self.assertIs(self.negotiation.state, State.BOUND)
        self.assertIs(self.binder.sessions[0].stream, self.host)

    def test_revoked(self) -> None:
        """An account that was removed after it has logged in binds nothing; one of another stream does not matter."""
        self.login()
        self.features.access.revoke(f"juliet@{DOMAIN}")
        self.features.access.revoke(f"romeo@{DOMAIN}")
        self.assertStreamError("not-authorized", BIND)
        self.assertEqual(self.binder.sessions, [])

    def test_language(self) -> None:
        """
        The session has the language of the last header (RFC 6120 §4.7.4), unless it is the server's, invalid or too
        long: it is stamped on every stanza.
        """
        for given, expected in (
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
            attribute = b"" if given is None else f" xml:lang='{given}'".encode()
            first, last = (HEADER.replace(b" xml:lang='en'", lang) for lang in (b" xml:lang='fr'", attribute))
            self.send(first, auth(), last, BIND)
            self.assertEqual(self.binder.sessions[0].language, expected, given)

    def test_generatedResource(self) -> None:
        """A client that requests no resource gets a generated one."""
        self.login()
        log = self.send(b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        self.assertEqual(log[-1], ("sessionBound", "romeo@example.org/made-up"))
        self.assertEqual(self.binder.asked, [None])

    def test_refused(self) -> None:
        """A refused resource is answered with the binder's error; the number of attempts is limited."""
        self.login()
        [answer] = self.send(EMPTY_BIND)
        self.assertEqual(
            answer,
            b"<iq id='b' type='error'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource/></bind>"
            b"<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
        )
        self.binder.raises = StanzaError("resource-constraint")
        self.assertIn(b"<resource-constraint ", self.send(BIND)[0])
        self.assertEqual(self.send(BIND)[1:], [("close", "policy-violation")])

    def test_boundAfterError(self) -> None:
        """After an error another resource can be bound."""
        self.login()
        self.send(EMPTY_BIND)
        self.assertEqual(self.send(BIND)[-1], ("sessionBound", "romeo@example.org/r"))

    def test_noId(self) -> None:
        """An IQ without an id is bad-request."""
        self.login()
        self.assertIn(b"<bad-request ", self.send(BIND.replace(b" id='b'", b""))[0])
        self.assertEqual(self.binder.asked, [])
