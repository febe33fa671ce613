# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.sasl2.profile} and L{muccore.stream.sasl2.exchange}."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from lxml import etree

from muccore.interfaces import ResumptionFailed, Stage
from muccore.stream.features import StreamFeatures
from muccore.stream.sasl.mechanisms import SASL
from muccore.stream.starttls import OFF
from muccore.stream.states import State
from muccore.xmpp import ns
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import parse
from tests.stream.clients import ScramClient
from tests.stream.doubles import BIND, DOMAIN, TLS, Session, auth, sasl
from tests.stream.sasl2.helpers import AGENT, BIND2, SASL2Case, authenticate, element, encoded, failure, header
from tests.stream.test_negotiation import BIND_FEATURES

SUCCESS = (
    b"<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>romeo@example.org</authorization-identifier></success>"
)
FIRST = authenticate(mechanism="SCRAM-SHA-1", initial=b"n,,n=romeo,r=x")
RESUME = "<resume xmlns='urn:xmpp:sm:3' previd='some' h='3'/>"


class OfferTests(SASL2Case):
    """XEP-0388 §2.1"""

    def test_offered(self) -> None:
        """Under TLS there are mechanisms, and what can be asked for inside; types of channel binding are beside."""
        offered = self.begin()
        inline = (
            b"<inline><sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:sm:3'/>"
            b"<feature var='urn:xmpp:csi:0'/></inline></bind></inline>"
        )
        names = b"".join(b"<mechanism>%s</mechanism>" % n for n in (b"SCRAM-SHA-1-PLUS", b"SCRAM-SHA-1", b"PLAIN"))
        self.assertIn(b"<authentication xmlns='urn:xmpp:sasl:2'>" + names + inline + b"</authentication>", offered)
        self.assertEqual(offered.count(b"<sasl-channel-binding "), 1)

    def test_withoutTLS(self) -> None:
        """Without TLS it is neither offered nor possible."""
        self.secure = False
        self.assertNotIn(ns.SASL2.encode(), self.begin())
        self.assertFailed("encryption-required", authenticate())

    def test_noMechanism(self) -> None:
        """It is not offered without a mechanism."""
        login = SASL(self.accounts, DOMAIN, False, table=())
        features = StreamFeatures(DOMAIN, login, self.binder, tlsMode=OFF)
        self.assertNotIn(ns.SASL2.encode(), features.offer(Stage.LOGIN, True, TLS().made))  # type: ignore[arg-type]


class LogInTests(SASL2Case):
    """XEP-0388 §2.3 to §2.6"""

    def test_plain(self) -> None:
        """The success is followed by the features of the next stage, on the same stream."""
        self.assertEqual(self.logIn(authenticate()), ["continueStream", SUCCESS, BIND_FEATURES])
        self.assertIs(self.negotiation.state, State.AUTHENTICATED)
        self.send(BIND)
        [session] = self.binder.sessions
        self.assertEqual((session.jid.full, session.userAgent), ("romeo@example.org/r", None))

    def test_bindAfterwards(self) -> None:
        """A resource may be bound as before; what the client has told is known of its session."""
        self.logIn(authenticate(AGENT), BIND)
        [session] = self.binder.sessions
        assert session.userAgent is not None
        self.assertEqual(session.userAgent.software, "Awesome")
        self.assertEqual(self.binder.clients, [""])

    def test_language(self) -> None:
        """The language is that of the only header."""
        self.setUp()
        self.send(header().replace(b" to=", b" xml:lang='de' to="), authenticate(BIND2))
        self.assertEqual(self.binder.sessions[0].language, "de")

    def test_scram(self) -> None:
        """Challenge and response; the server's signature is in the success."""
        self.begin()
        client = ScramClient("sha1", "romeo", "secret", b"p=tls-exporter,,", b"x")
        [challenge] = self.send(authenticate(mechanism="SCRAM-SHA-1-PLUS", initial=client.first()))[1:]
        self.assertIs(self.negotiation.state, State.RESPONDING)
        data = etree.fromstring(challenge)
        self.assertEqual(data.tag, f"{{{ns.SASL2}}}challenge")
        final = client.final(b64decode(data.text))
        _, success, _ = self.send(element("response", encoded(final)))[1:]
        found = etree.fromstring(success)
        names = [etree.QName(each).localname for each in found]
        self.assertEqual(names, ["additional-data", "authorization-identifier"])
        client.verify(b64decode(found[0].text))

    def test_noInitialResponse(self) -> None:
        """Without an initial response, an empty challenge asks for it; an empty one is none."""
        self.assertFailed("malformed-request", element("authenticate", "<initial-response/>", mechanism="PLAIN"))
        log = self.logIn(element("authenticate", mechanism="PLAIN"))
        self.assertEqual(log, [b"<challenge xmlns='urn:xmpp:sasl:2'></challenge>"])
        self.assertEqual(self.send(element("response", encoded(b"\0romeo\0secret")))[2], SUCCESS)

    def test_failures(self) -> None:
        """Failed log-ins have the condition in the namespace of SASL; the client may try again."""
        wrong = element("authenticate", "<initial-response>?</initial-response>", mechanism="PLAIN")
        for condition, data in (
            ("not-authorized", [authenticate(password="wrong")]),
            ("not-authorized", [authenticate(user="juliet")]),
            ("invalid-mechanism", [authenticate(mechanism="X")]),
            ("invalid-mechanism", [element("authenticate")]),
            ("malformed-request", [authenticate("<user-agent id='1'/>")]),
            ("incorrect-encoding", [wrong]),
            ("incorrect-encoding", [FIRST, element("response", "?")]),
            ("malformed-request", [FIRST, element("response", "<x/>")]),
            ("malformed-request", [FIRST, element("response")]),
            ("aborted", [FIRST, element("abort")]),
            ("aborted", [FIRST, element("abort", "<text>no</text>")]),
        ):
            self.assertFailed(condition, *data)
            self.assertEqual(self.host.failures, [condition])
            self.assertEqual(self.send(authenticate())[2], SUCCESS)

    def test_nothingDoneInside(self) -> None:
        """A failed log-in binds and resumes nothing."""
        self.patch(self.binder, "resume", lambda *ignored: self.fail("resumed"))
        self.assertFailed("not-authorized", authenticate(RESUME + BIND2, password="wrong"))
        self.assertEqual(self.binder.asked, [])

    def test_failureLimit(self) -> None:
        """Too many failures end the stream, of both profiles together."""
        log = self.logIn(authenticate(password="wrong"), auth(password="wrong"), element("authenticate"))
        self.assertIn(("close", "policy-violation"), log)

    def test_claimedJID(self) -> None:
        """C{from} must be at the domain (§2.1), and what any authorization identity is (§2.3)."""
        for claimed in ("juliet@example.com", "example.com", "laptop"):
            self.setUp()
            self.assertStreamError("invalid-from", header(claimed), authenticate())
        for claimed, condition in (
            (None, None),
            ("example.org", "invalid-authzid"),
            ("juliet@example.org", "invalid-authzid"),
            ("Romeo@example.org/x", None),
        ):
            self.setUp()
            log = self.send(header(claimed), authenticate(initial=b"romeo@example.org\0romeo\0secret"))
            expected = SUCCESS if condition is None else failure(condition)
            self.assertTrue(any(each.startswith(expected) for each in log if isinstance(each, bytes)), claimed)
            self.setUp()
            self.assertIn(SUCCESS, self.send(header(claimed), authenticate()))

    def test_paused(self) -> None:
        """While credentials are checked, nothing is parsed; a lost connection drops the outcome."""
        self.begin()
        self.accounts.waiting = []
        self.assertEqual(self.send(authenticate(BIND2))[1:], ["pauseParsing"])
        self.accounts.release()
        self.assertEqual(self.host.log[-1], "resumeParsing")
        self.assertIs(self.negotiation.state, State.BOUND)
        self.begin()
        self.accounts.waiting = []
        self.send(authenticate(BIND2))
        self.negotiation.connectionLost()
        self.accounts.release()
        self.assertEqual((self.binder.asked[1:], self.host.log), ([], ["startTLS"]))


class UnexpectedTests(SASL2Case):
    """XEP-0388 §2.4, §4.9: whatever is not expected ends the stream."""

    def reach(self, state: State) -> None:
        """Begin a new negotiation, and bring it to a state."""
        self.secure = state is not State.UNSECURED
        old = sasl("auth", encoded(b"n,,n=romeo,r=x")).replace(b" ", b" mechanism='SCRAM-SHA-1' ", 1)
        ways = {
            State.UNSECURED: [],
            State.SECURED: [],
            State.RESPONDING: [FIRST],
            State.AUTHENTICATING: [old],
            State.AUTHENTICATED: [authenticate()],
        }
        self.logIn(*ways[state])
        self.assertIs(self.negotiation.state, state)

    def test_all(self) -> None:
        """Each element in each state."""
        elements = {
            "authenticate": authenticate(),
            "response": element("response", "eA=="),
            "abort": element("abort"),
            "next": element("next", task="UPGR-SCRAM-SHA-256"),
            "task-data": element("task-data"),
            "success": element("success"),
            "SASL auth": auth(),
            "SASL response": sasl("response", "eA=="),
            "SASL abort": sasl("abort"),
            "enable": b"<enable xmlns='urn:xmpp:sm:3'/>",
            "message": b"<message/>",
            "bind": b"<bind xmlns='urn:xmpp:bind:0'/>",
        }
        allowed = {
            State.UNSECURED: {"authenticate", "SASL auth", "SASL response", "SASL abort", "enable"},
            State.SECURED: {"authenticate", "SASL auth", "SASL response", "SASL abort", "enable"},
            State.RESPONDING: {"response", "abort"},
            State.AUTHENTICATING: {"SASL auth", "SASL response", "SASL abort", "enable"},
            State.AUTHENTICATED: {"enable"},
        }
        for state, expected in allowed.items():
            for name, data in elements.items():
                self.reach(state)
                if name in expected:
                    self.send(data)
                    continue
                with self.assertRaises(StreamError, msg=(state, name)) as caught:
                    self.send(data)
                later = state is State.AUTHENTICATED and name != "message"
                condition = "unsupported-stanza-type" if later else "not-authorized"
                self.assertEqual(caught.exception.condition, condition, (state, name))


class Management:
    """The stream management of a session that is resumed."""

    handled = 2**32 + 5

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def attach(self, stream: Any) -> None:
        """Record it."""
        self.log.append("attach")


class ResumeTests(SASL2Case):
    """XEP-0198 §8.2"""

    def resumable(self) -> None:
        """Let there be a session."""
        self.begin()

        def resume(account: Any, id: str, handled: int, stream: Any) -> Session:
            self.assertEqual((account.full, id, handled), ("romeo@example.org", "some", 3))
            session = Session(parse("romeo@example.org/old"), stream)
            session.management = Management(self.host.log)
            return session

        self.patch(self.binder, "resume", resume)

    def test_resumed(self) -> None:
        """A session is resumed instead of binding a resource; no features follow, but what was missed does."""
        self.resumable()
        identity = b"<authorization-identifier>romeo@example.org/old</authorization-identifier>"
        resumed = b"<resumed xmlns='urn:xmpp:sm:3' previd='some' h='5'/>"
        log = self.send(authenticate(BIND2 + RESUME))[1:]
        self.assertEqual(
            [log[0], log[1], *log[2:]],
            [
                "continueStream",
                b"<success xmlns='urn:xmpp:sasl:2'>" + identity + resumed + b"</success>",
                ("sessionResumed", "romeo@example.org/old"),
                "attach",
            ],
        )
        self.assertEqual(self.binder.asked, [])

    def test_failed(self) -> None:
        """If that fails, the resource is bound; if none is asked for, it may be bound afterwards."""
        failed = b"<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        _, success, _, bound = self.logIn(authenticate(RESUME + BIND2))
        self.assertIn(failed + b"<bound ", success)
        self.assertEqual(bound[0], "sessionBound")
        _, success, features = self.logIn(authenticate(RESUME))
        self.assertEqual((success, features), (SUCCESS.replace(b"</success>", failed + b"</success>"), BIND_FEATURES))
        self.assertIs(self.negotiation.state, State.AUTHENTICATED)

    def test_counter(self) -> None:
        """A remembered counter is told; a malformed request fails."""
        self.begin()

        def resume(*ignored: Any) -> Session:
            raise ResumptionFailed("item-not-found", 7)

        self.patch(self.binder, "resume", resume)
        self.assertIn(b"<failed xmlns='urn:xmpp:sm:3' h='7'>", self.send(authenticate(RESUME))[2])
        self.assertIn(b"<bad-request ", self.logIn(authenticate("<resume xmlns='urn:xmpp:sm:3' h='1'/>"))[1])

    def test_wrongCounter(self) -> None:
        """A client that acknowledges what it was not sent loses its stream."""
        self.begin()

        def resume(*ignored: Any) -> Session:
            raise StreamError("undefined-condition")

        self.patch(self.binder, "resume", resume)
        self.assertEqual(self.send(authenticate(RESUME + BIND2))[1:], [("close", "undefined-condition")])
        self.assertEqual(self.binder.asked, [])
