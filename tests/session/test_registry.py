# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.registry}."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from muccore.interfaces import ISessionBinder, UserAgent
from muccore.session.session import Session
from muccore.xmpp import jid
from muccore.xmpp.errors import StanzaError, StreamError
from tests.routing.helpers import FakeStream
from tests.session.helpers import ROMEO, SessionTestCase


class BindTests(SessionTestCase):
    """Binding resources (RFC 6120 §7)."""

    def bind(self, resource: str | None) -> Session:
        """Bind a resource of C{juliet@localhost}."""
        return self.sessions.bind(jid.parse("juliet@localhost"), resource, FakeStream())

    def test_interface(self) -> None:
        """The registry binds sessions for streams."""
        self.assertTrue(verifyObject(ISessionBinder, self.sessions))

    def test_requested(self) -> None:
        """§7.7: the requested resource, prepared."""
        session = self.bind("Balc\u00adony")
        self.assertEqual((session.jid.full, session.fullText), ("juliet@localhost/Balcony", "juliet@localhost/Balcony"))
        self.assertIs(self.sessions.byFullJID(session.jid), session)

    def test_generated(self) -> None:
        """§7.6: a resource that nobody can guess."""
        first, second = self.bind(None).jid.resource, self.bind(None).jid.resource
        self.assertNotEqual(first, second)
        self.assertGreaterEqual(len(first), 16)
        self.assertEqual(jid.prepareResource(first), first)

    def test_invalidRefused(self) -> None:
        """§7.7.2.1: an invalid resource is C{bad-request}."""
        for resource in ("", "\x07", "x" * 1024):
            self.assertEqual(self.assertRaises(StanzaError, self.bind, resource).condition, "bad-request")
        self.assertEqual(len(self.sessions), 1)

    def test_conflict(self) -> None:
        """§7.7.2.2: the old session's stream gets C{conflict}; the new one has the resource."""
        old = self.romeo
        new = self.connect(ROMEO)
        self.assertEqual([e.condition for e in old.stream.closed if e], ["conflict"])
        self.assertTrue(old.session.ended)
        old.vanish()
        self.assertIs(self.sessions.byFullJID(jid.parse(ROMEO)), new.session)
        self.assertEqual(len(self.sessions), 1)

    def test_conflictReentrant(self) -> None:
        """A stream may report its end while it is being closed."""
        stream = self.romeo.stream
        closed = stream.close

        def close(error: StreamError | None) -> None:
            closed(error)
            self.romeo.vanish()

        stream.close = close  # type: ignore[method-assign]
        self.romeo.send("<presence to='room@conf/nick'/>")
        self.take()
        self.connect(ROMEO)
        self.assertEqual(len(self.take()), 2)
        self.assertEqual(len(self.sessions), 1)

    def test_limit(self) -> None:
        """§7.6.2.1: a session above the limit is C{resource-constraint}; one that takes over a resource is not."""
        for resource in "abcd":
            self.bind(resource)
        for resource in ("e", None):
            raised = self.assertRaises(StanzaError, self.bind, resource)
            self.assertEqual((raised.condition, raised.type), ("resource-constraint", "wait"))
        self.bind("a")
        self.assertEqual(len(self.sessions.forAccount("juliet@localhost")), 4)

    def test_sameClient(self) -> None:
        """XEP-0386 §3.2: earlier sessions of the same client end, even at the limit of sessions; others stay."""
        bound = {}
        for resource, client in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "")):
            bound[resource] = self.sessions.bind(jid.parse("juliet@localhost"), resource, FakeStream())
            bound[resource].userAgent = UserAgent(client) if client else None
        self.sessions.bind(jid.parse("juliet@localhost"), "e", FakeStream(), "one")
        self.assertEqual({name for name, session in bound.items() if session.ended}, {"a", "c"})
        self.assertEqual(set(self.sessions.forAccount("juliet@localhost")), {"b", "d", "e"})

    def test_lookup(self) -> None:
        """Sessions are counted, listed and found until they end; then nothing of the account is kept."""
        juliet = self.bind("balcony")
        self.assertEqual(set(self.sessions), {self.romeo.session, juliet})
        self.assertEqual(dict(self.sessions.forAccount("juliet@localhost")), {"balcony": juliet})
        self.assertIsNone(self.sessions.byFullJID(jid.parse("juliet@localhost")))
        for session in self.sessions:
            session.end()
        self.assertEqual((len(self.sessions), list(self.sessions)), (0, []))
        self.assertEqual(dict(self.sessions.forAccount("juliet@localhost")), {})
        self.assertEqual(self.sessions._accounts, {})
