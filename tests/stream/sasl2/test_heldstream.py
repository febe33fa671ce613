# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.sasl2.heldstream}, with sessions; and of binding a resource meanwhile."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface.verify import verifyObject

from muccore.interfaces import IStream, StoreUnavailable
from muccore.session.session import Session
from muccore.stream.features import StreamFeatures
from muccore.stream.negotiation import Negotiation
from muccore.stream.sasl2.heldstream import LIMIT, HeldStream
from muccore.stream.starttls import OFF
from muccore.stream.states import State
from muccore.xmpp import jid
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import FakeStream, xml
from tests.session.helpers import SessionTestCase
from tests.stream.doubles import DOMAIN, TLS
from tests.stream.sasl2.helpers import AGENT, BIND2, SASL2Case, authenticate, failure

TO = toAttribute("romeo@localhost/new")


class HeldStreamTests(SessionTestCase):
    """A session that is bound before its client knows of it."""

    def setUp(self) -> None:
        """Bind it."""
        super().setUp()
        self.stream = FakeStream(self.routed)
        self.held = HeldStream(self.stream)
        self.session: Session = self.sessions.bind(jid.parse("romeo@localhost"), "new", self.held)

    def deliver(self, *ids: str) -> None:
        """Deliver messages, the last two together."""
        rendered = [Rendered.of(xml(f"<message id='{id}'><body>x</body></message>")) for id in ids]
        for each in rendered[:-2]:
            self.session.deliver(each, TO)
        self.session.deliverAll(rendered[-2:], TO)

    def taken(self) -> list[str | None]:
        """The ids of the messages that were sent."""
        return [element.get("id") for element in map(xml, self.stream.take()) if element.name == "message"]

    def test_interface(self) -> None:
        """It is a stream."""
        verifyObject(IStream, self.held)

    def test_released(self) -> None:
        """What has arrived is sent in order, then everything else, directly; with whatever the session has enabled."""
        for prepare in (
            lambda: None,
            lambda: self.session.setActive(False),
            lambda: self.session.enableManagement(True, None),
            lambda: (self.session.setActive(False), self.session.enableManagement(True, None)),
            lambda: (self.session.enableManagement(True, None), self.session.setActive(False)),
        ):
            self.setUp()
            prepare()
            self.deliver("1", "2", "3", "4")
            self.session.deliver(Rendered.of(xml("<presence from='a@b/c'/>")), TO)
            self.assertEqual(self.stream.take(), [])
            self.held.release(self.session)
            self.assertIs(self.session.stream, self.stream)
            self.assertEqual(self.taken(), ["1", "2", "3", "4"])
            self.patch(self.held, "_keep", lambda *ignored: self.fail("still held"))
            self.deliver("5", "6")
            self.assertEqual(self.taken(), ["5", "6"])
            self.assertFalse(self.session.streamLost(self.held, True))
            self.session.streamLost(self.stream, True)
            self.assertTrue(self.session.ended)

    def test_bounded(self) -> None:
        """No more than a number of stanzas is kept."""
        self.deliver(*map(str, range(LIMIT + 2)))
        self.assertTrue(self.held.full)
        self.held.release(self.session)
        self.assertEqual(len(self.taken()), LIMIT)

    def test_closed(self) -> None:
        """If the session ends, so does the stream of the client."""
        self.sessions.bind(jid.parse("romeo@localhost"), "new", FakeStream(self.routed))
        self.assertEqual([error.condition for error in self.stream.closed if error], ["conflict"])


class DescribeTests(SASL2Case):
    """XEP-0386 §3.2: what a client is told of its account when it has bound a resource."""

    def setUp(self) -> None:
        """Let there be something that is told when the test says so."""
        super().setUp()
        self.asked: list[tuple[str, Deferred[bytes]]] = []
        self.answer: Any = None
        case = self

        class Feature:
            """Tells something."""

            stage, order, nonzas = None, 500, {}  # type: ignore[var-annotated]

            @staticmethod
            def describe(account: Any) -> Deferred[bytes]:
                if case.answer is not None:
                    return case.answer
                case.asked.append((account.full, Deferred()))
                return case.asked[-1][1]

        self.features = StreamFeatures(
            DOMAIN, self.sasl, self.binder, TLS(), OFF, 3, more=[Feature()]  # type: ignore[arg-type]
        )
        self.negotiation = Negotiation(self.host, self.features, True)

    def test_told(self) -> None:
        """The session exists when it is asked for; what arrives meanwhile follows the success and the features."""
        self.begin()
        self.assertEqual(self.send(authenticate(AGENT + BIND2))[1:], ["pauseParsing"])
        [session] = self.binder.sessions
        self.assertIsInstance(session.stream, HeldStream)
        assert session.stream is not None
        session.stream.send(Rendered.of(xml("<message/>")), b"")
        self.assertEqual(self.host.log, ["startTLS"])
        [(account, answer)] = self.asked
        self.assertEqual(account, "romeo@example.org")
        answer.callback(b"<metadata/>")
        _, unpaused, success, features, message, bound, resumed = self.host.log
        self.assertEqual((unpaused, bound[0], resumed), ("continueStream", "sessionBound", "resumeParsing"))
        self.assertIn(b"<bound xmlns='urn:xmpp:bind:0'><metadata/></bound>", success)
        self.assertTrue(features.startswith(b"<stream:features>"))
        self.assertEqual(message, b"<message/>")
        self.assertIs(session.stream, self.host)

    def test_notResumed(self) -> None:
        """Nothing is asked for without a resource."""
        self.logIn(authenticate())
        self.assertEqual(self.asked, [])

    def test_unavailable(self) -> None:
        """If it cannot be found out, it is left out."""
        self.begin()
        self.answer = fail(StoreUnavailable("no disk"))
        log = self.send(authenticate(BIND2))
        self.assertIn(b"<bound xmlns='urn:xmpp:bind:0'></bound>", log[2])

    def test_lost(self) -> None:
        """If the connection is lost meanwhile, the session ends."""
        self.begin()
        self.send(authenticate(BIND2))
        [session] = self.binder.sessions
        self.negotiation.connectionLost()
        self.assertEqual(session.lost, [True])
        self.assertIs(self.negotiation.state, State.CLOSED)
        self.assertEqual(self.host.log, ["startTLS"])

    def test_full(self) -> None:
        """If too much arrives meanwhile, the session ends, and the log-in fails for now."""
        self.begin()
        self.send(authenticate(BIND2))
        [session] = self.binder.sessions
        assert session.stream is not None
        for _ in range(LIMIT + 1):
            session.stream.sendNonza(b"<x/>")
        self.asked[0][1].callback(b"")
        self.assertEqual(session.lost, [True])
        self.assertTrue(self.host.log[1].startswith(failure("temporary-auth-failure")))

    def test_closed(self) -> None:
        """The session's end is that of the stream."""
        self.begin()
        self.send(authenticate(BIND2))
        [session] = self.binder.sessions
        assert session.stream is not None
        session.stream.close(StreamError("conflict"))
        self.assertEqual(self.host.log, ["startTLS", ("close", "conflict")])
