# -*- test-case-name: tests.stream.bosh.test_sessions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.bosh.sessions}."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel

from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.stream.bosh.body import WRAPPER_SIZE
from muccore.xmpp.errors import StreamError
from tests.configuration import Logged
from tests.stream.bosh import RID, Answer, Responder, creation, request
from tests.stream.bosh.cases import BOSHCase, Client


class SessionsTests(BOSHCase):
    """The creation of sessions, and requests that belong to none."""

    def setUp(self) -> None:
        """Record what is logged."""
        super().setUp()
        self.logged = Logged(self)
        setThreshold("info")
        self.patch(eventlog, "limit", RateLimit(self.clock.seconds))

    def create(self, origin: dict[str, Any] | None = None, **attributes: Any) -> Answer:
        """Try to create a session."""
        return Client(self, **(origin or {})).create(**attributes)

    def assertRefused(self, answer: Answer, condition: str, code: int = 200) -> None:
        """Check that no session was created."""
        self.assertEqual((answer.end, answer.code, len(self.sessions)), (condition, code, 0))
        self.assertEqual(self.factory.limit.count, 0)
        self.assertEqual(self.factory.streams, set())

    def test_created(self) -> None:
        """The response has the terms, the host and the features of the stream (XEP-0206 §4)."""
        answer = self.create(xmpp__version="1.0", from_="romeo@example.org")
        self.assertEqual(answer.names, ["features"])
        attributes = dict(answer.attributes)
        self.assertGreaterEqual(len(attributes.pop("sid")), 22)
        self.assertEqual(attributes, {
            "wait": "55", "requests": "2", "ver": "1.6", "polling": "5", "inactivity": "60", "hold": "1",
            "maxpause": "120", "from": "example.org", "version": "1.0", "restartlogic": "true",
        })  # fmt: skip
        self.assertEqual((len(self.sessions), self.factory.limit.count), (1, 1))
        self.assertNotEqual(self.create().attributes["sid"], answer.attributes["sid"])

    def test_hosts(self) -> None:
        """A host must be named, and be one of this server."""
        for to in (None, ""):
            self.assertRefused(self.create(to=to), "improper-addressing")
        for to in ("example.com", "a@b@c", "example.org/x"):
            self.assertRefused(self.create(to=to), "host-unknown")
        self.assertEqual(self.create(to="EXAMPLE.org").names, ["features"])

    def test_route(self) -> None:
        """What is for a connection manager of many servers is ignored."""
        self.assertEqual(self.create(route="xmpp:example.com:9999", secure="true").names, ["features"])

    def test_badRequests(self) -> None:
        """A bad request creates nothing; without a version it has the status code for that, too."""
        for attributes in ({"wait": "x"}, {"content": "x"}, {"rid": 0}, {"rid": "x"}, {"rid": 1 << 53}):
            self.assertRefused(self.create(**attributes), "bad-request")
            self.assertRefused(self.create(ver=None, **attributes), "bad-request", 400)
        self.assertRefused(self.create(ver="x"), "bad-request")
        for data in (b"", b"<body/>", b"\0", b"<stream:stream>"):
            responder = Responder()
            self.deliver(data, responder)
            assert responder.answer is not None
            self.assertRefused(responder.answer, "bad-request")

    def test_unsupportedVersion(self) -> None:
        """A version of XMPP that is not supported is an error of the stream, which is told in the first response."""
        answer = self.create(xmpp__version="0.9")
        self.assertEqual((answer.end, answer.names), ("remote-stream-error", ["error"]))
        self.assertEqual(answer.element[0][0].tag, "{urn:ietf:params:xml:ns:xmpp-streams}unsupported-version")
        self.turn()
        self.assertRefused(answer, "remote-stream-error")

    def test_unknown(self) -> None:
        """A session that does not exist has ended for the client."""
        for sid in ("x", "x" * 200):
            responder = Responder()
            self.deliver(request(RID, sid=sid), responder)
            assert responder.answer is not None
            self.assertRefused(responder.answer, "item-not-found")
        self.assertEqual(self.create(sid="").names, ["features"])

    def test_tlsRequired(self) -> None:
        """Where TLS is required, there are no sessions without; the client is told where to go, if that is known."""
        self.sessions.tlsRequired = True
        answer = self.create()
        self.assertRefused(answer, "remote-stream-error")
        self.assertIn(b"TLS is required", answer.data)
        self.assertEqual(self.logged.lines(LogLevel.info),
                         ["bosh-refused from 192.0.2.1: TLS is required, origin -"])  # fmt: skip
        answer = self.create({"secureURI": "https://example.org/http-bind"})
        self.assertRefused(answer, "see-other-uri")
        self.assertEqual((answer.names, answer.element[0].text), (["uri"], "https://example.org/http-bind"))
        self.assertEqual(self.create({"secure": True}).names, ["features"])

    def test_insecureRequest(self) -> None:
        """A request that is not under TLS does nothing to a session that is, not even end it (XEP-0124 §20.1)."""
        client = self.client(secure=True)
        responder = Responder()
        data = request(RID + 1, sid=client.sid, type="terminate")
        self.assertFalse(self.sessions.receive(data, responder))
        self.assertIsNone(responder.answer)
        client.login()
        # The other way round is no harm.
        client = self.client()
        client.origin = {"secure": True}
        client.login()

    def test_limits(self) -> None:
        """Sessions count as streams do, by address."""
        self.configure(connectionsPerAddress=2)
        clients = [self.client(address="198.51.100.1") for _ in range(2)]
        answer = self.create({"address": "198.51.100.1"})
        self.assertEqual((answer.end, len(self.sessions)), ("remote-stream-error", 2))
        self.assertEqual(answer.element[0][0].tag, "{urn:ietf:params:xml:ns:xmpp-streams}policy-violation")
        self.client(address="198.51.100.2")
        clients[0].post(type="terminate")
        self.turn()
        self.client(address="198.51.100.1")

    def test_ending(self) -> None:
        """When the server ends, clients are told, and there are no new sessions."""
        waits = self.user()
        held = waits.post()
        absent = self.user()
        self.flusher.run(self.factory.closeAll, StreamError("system-shutdown"))
        assert held.answer is not None
        self.assertEqual((held.answer.end, held.answer.names), ("remote-stream-error", ["error"]))
        self.assertEqual(self.create().end, "system-shutdown")
        self.turn()
        self.assertFalse(waits.exists or absent.exists)
        self.assertRefused(self.create(), "system-shutdown")

    def test_bodySize(self) -> None:
        """The limit for a body is that of a stanza, and of the wrapper."""
        self.configure(stanzaSize=50_000)
        self.assertEqual(self.sessions.bodySize, 50_000 + WRAPPER_SIZE)

    def test_many(self) -> None:
        """Thousands of sessions from one address are refused, and leave nothing."""
        self.configure(connectionsPerAddress=10)
        for _ in range(2000):
            self.deliver(creation(), Responder(address="198.51.100.1"))
        self.assertEqual((len(self.sessions), self.factory.limit.count), (10, 10))
        self.advance(100)
        self.assertEqual((len(self.sessions), self.factory.limit.count), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])
