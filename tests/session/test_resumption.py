# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.resumption}, with L{Session} and L{Sessions}."""

from __future__ import annotations

from muccore.interfaces import ResumptionFailed
from muccore.session.session import Session
from muccore.session.streammanagement import ManagementSettings
from muccore.xmpp import jid
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered
from tests.routing.helpers import Client, FakeStream, canonical, xml
from tests.session.helpers import ROMEO, SessionTestCase

ACCOUNT = jid.parse("romeo@localhost")
HOLD = 100


class Case(SessionTestCase):
    """A session with stream management that can be resumed for L{HOLD} seconds."""

    def setUp(self) -> None:
        """Enable it."""
        super().setUp()
        self.clock.advance(1_000_000_000)
        self.sessions.resumptions.settings = ManagementSettings(HOLD, 3, 5000)
        self.romeo.send("<presence/>")
        self.romeo.send("<presence to='room@conf/nick'/>")
        self.smID = self.enable(self.romeo.session)
        self.romeo.take()
        self.take()

    @staticmethod
    def enable(session: Session, resumable: bool = True, maximum: int | None = None) -> str:
        """Enable stream management; return the SM-ID."""
        return session.enableManagement(resumable, maximum).id or ""

    def deliver(self, *numbers: int, session: Session | None = None) -> None:
        """Deliver messages with these ids."""
        for number in numbers:
            stanza = xml(f"<message id='{number}' from='juliet@localhost/balcony' to='{ROMEO}' type='chat'/>")
            self.users._deliver(stanza, jid.parse(ROMEO), (session or self.romeo.session,))

    def resume(self, handled: int = 0, id: str | None = None, account: JID = ACCOUNT) -> list[str | None]:
        """Resume the session with a new stream; return the ids of the messages that are sent on it."""
        self.stream = FakeStream(self.routed)
        session = self.sessions.resume(account, self.smID if id is None else id, handled, self.stream)
        self.assertIs(session.stream, self.stream)
        self.assertEqual(self.stream.data, b"")
        assert session.management is not None
        session.management.attach(self.stream)
        return [e.get("id") for e in map(xml, self.stream.take()) if e.name == "message"]

    def assertFails(self, condition: str, counter: int | None = None, **arguments: object) -> None:
        """The session cannot be resumed."""
        failed = self.assertRaises(ResumptionFailed, self.resume, **arguments)
        self.assertEqual((failed.condition, failed.handled), (condition, counter))

    def assertEnded(self) -> None:
        """The session has ended, and the room was told."""
        self.assertTrue(self.romeo.session.ended)
        self.assertRouted(("room@conf/nick", f"<presence type='unavailable' from='{ROMEO}' to='room@conf/nick'/>"))


class HoldTests(Case):
    """Sessions that wait."""

    def test_resumed(self) -> None:
        """A session goes on with another stream: nothing is lost, and nobody else is told."""
        self.deliver(1, 2)
        self.romeo.vanish()
        self.deliver(3)
        self.assertEqual((self.romeo.session.stream, len(self.sessions.resumptions)), (None, 1))
        self.assertEqual(self.resume(1), ["2", "3"])
        self.deliver(4)
        [message] = self.stream.take()
        self.assertIn('id="4"', message)
        self.clock.advance(HOLD)
        self.assertEqual((self.take(), self.romeo.session.ended, len(self.sessions.resumptions)), ([], False, 0))

    def test_counter(self) -> None:
        """Stanzas of the client are counted from the beginning, whatever becomes of them, but not before."""
        management = self.romeo.session.management
        assert management is not None
        self.assertEqual(management.handled, 0)
        for stanza in ("<message to='a@b'/>", "<iq type='get'/>", "<presence to='@'/>", "<iq type='result' id='1'/>"):
            self.romeo.send(stanza)
        self.assertEqual(management.handled, 4)
        self.assertRaises(StreamError, self.romeo.send, "<message from='juliet@localhost' to='a@b'/>")
        self.assertEqual(management.handled, 4)

    def test_expired(self) -> None:
        """It ends when its time is over; a client that comes later learns what was handled."""
        self.romeo.send("<message to='a@b'/>")
        self.take()
        self.romeo.vanish()
        self.clock.advance(HOLD - 1)
        self.assertFalse(self.romeo.session.ended)
        self.clock.advance(1)
        self.assertEnded()
        self.assertFails("item-not-found", 1)
        self.assertFails("item-not-found", account=jid.parse("juliet@localhost"))
        self.assertFails("item-not-found", id="other")

    def test_maximum(self) -> None:
        """The client may want less time than the server allows, but not more."""
        for maximum, expected in ((20, 20), (HOLD + 1, HOLD), (None, HOLD)):
            client = self.connect("romeo@localhost/garden")
            self.enable(client.session, maximum=maximum)
            client.vanish()
            self.clock.advance(expected - 1)
            self.assertFalse(client.session.ended)
            self.clock.advance(1)
            self.assertTrue(client.session.ended)

    def test_final(self) -> None:
        """A session whose stream was closed by either side ends at once."""
        self.assertFalse(self.romeo.session.streamLost(self.romeo.stream, True))
        self.assertEnded()
        self.assertFails("item-not-found")

    def test_notResumable(self) -> None:
        """So does one whose client does not want to resume it, or whose server does not allow it."""
        for settings, resumable in ((ManagementSettings(HOLD, 3, 99), False), (ManagementSettings(0, 3, 99), True)):
            self.sessions.resumptions.settings = settings
            client = self.connect("romeo@localhost/garden")
            self.assertEqual(self.enable(client.session, resumable), "")
            self.assertFalse(client.session.streamLost(client.stream, False))
            self.assertTrue(client.session.ended)
        self.romeo.session.end()
        self.assertFails("feature-not-implemented")

    def test_ids(self) -> None:
        """Ids cannot be guessed, and belong to the account."""
        other = self.enable(self.connect("romeo@localhost/garden").session)
        self.assertNotEqual(self.smID, other)
        self.assertGreaterEqual(len(self.smID), 24)
        self.romeo.vanish()
        self.assertFails("item-not-found", account=jid.parse("juliet@localhost"))
        self.assertEqual(self.resume(), [])

    def test_overflow(self) -> None:
        """When too much arrives for it, it ends after the broadcast; what was kept is redelivered."""
        self.romeo.vanish()
        self.deliver(1, 2, 3)
        self.clock.advance(0)
        self.assertFalse(self.romeo.session.ended)
        self.deliver(4, 5)
        self.assertFalse(self.romeo.session.ended)
        self.clock.advance(0)
        self.assertTrue(self.romeo.session.ended)
        self.assertFails("item-not-found", 0)
        left, *bounced = self.take()
        self.assertEqual((left[0], [to for to, _ in bounced]), ("room@conf/nick", ["juliet@localhost/balcony"] * 5))

    def test_overflowThenResumed(self) -> None:
        """If its client returns in that very moment, it goes on."""
        self.romeo.vanish()
        self.deliver(1, 2, 3, 4)
        self.assertEqual(self.resume(2), ["3", "4"])
        self.clock.advance(1)
        self.assertFalse(self.romeo.session.ended)

    def test_endAll(self) -> None:
        """All of them end when the server does."""
        self.romeo.vanish()
        self.sessions.resumptions.endAll()
        self.assertEnded()
        late = self.connect("romeo@localhost/garden")
        self.enable(late.session)
        late.vanish()
        self.assertTrue(late.session.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AttachedTests(Case):
    """Sessions that still have a stream, and new ones."""

    def test_stillThere(self) -> None:
        """The old stream gets C{conflict}; its loss changes nothing any more."""
        self.deliver(1)
        self.assertEqual(self.resume(0), ["1"])
        self.assertEqual(self.take(), [("closed", "conflict")])
        self.romeo.vanish()
        self.assertFalse(self.romeo.session.ended)
        self.deliver(2)
        self.assertEqual(len(self.stream.take()), 1)

    def test_badCounter(self) -> None:
        """A client that has handled more than it was sent is refused; the session stays."""
        self.romeo.vanish()
        error = self.assertRaises(StreamError, self.resume, 1)
        self.assertEqual(error.condition, "undefined-condition")
        self.assertEqual(self.resume(0), [])

    def test_tooMuchMissing(self) -> None:
        """A client that has not handled what is forgotten cannot resume: its session ends."""
        for _ in range(5):
            self.romeo.session.deliver(Rendered(b"<presence", b"/>"), b"")
        self.clock.advance(1)
        self.romeo.vanish()
        self.assertFails("item-not-found", 0, handled=1)
        self.assertEnded()

    def test_tooMuchWithStream(self) -> None:
        """If what is not acknowledged must not be forgotten, stream and session end in the next turn."""
        self.deliver(1, 2, 3, 4)
        self.assertFalse(self.romeo.session.ended)
        self.clock.advance(0)
        self.assertTrue(self.romeo.session.ended)
        closed, left, *bounced = self.take()
        self.assertEqual((closed, left[0], len(bounced)), (("closed", "policy-violation"), "room@conf/nick", 4))

    def test_tooMuchForAMoment(self) -> None:
        """If it was acknowledged by then, nothing ends."""
        self.deliver(1, 2, 3, 4)
        assert self.romeo.session.management is not None
        self.romeo.session.management.acknowledge(4)
        self.clock.advance(0)
        self.assertFalse(self.romeo.session.ended)

    def test_bindTakesOver(self) -> None:
        """When its resource is bound again, it ends; the new session gets what was addressed to the resource."""
        self.deliver(1)
        self.romeo.vanish()
        new = self.connect(ROMEO)
        self.assertEnded()
        self.clock.advance(0)
        [message] = new.take()
        self.assertIn('id="1"', message)
        self.assertFails("item-not-found")

    def test_limit(self) -> None:
        """At the limit of sessions, the one that has waited longest gives way."""
        clients = [self.connect(f"romeo@localhost/{n}") for n in range(3)]
        for client in clients:
            self.enable(client.session)
        for client in (clients[1], self.romeo, clients[0]):
            client.vanish()
            self.clock.advance(1)
        for expected in (clients[1], self.romeo, clients[0]):
            self.assertFalse(expected.session.ended)
            self.connect(f"romeo@localhost/{expected.session.jid.resource}2")
            self.assertTrue(expected.session.ended)
        self.assertRaises(StanzaError, self.connect, "romeo@localhost/x")

    def test_presence(self) -> None:
        """A waiting session is available, and gets what its account is sent."""
        self.romeo.vanish()
        other: Client = self.connect("romeo@localhost/garden")
        expected = canonical(f"<presence from='{ROMEO}' to='romeo@localhost/garden'/>")
        self.assertIn(expected[0], other.ask("<presence/>"))
        stream = FakeStream()
        session = self.sessions.resume(ACCOUNT, self.smID, 0, stream)
        assert session.management is not None
        session.management.attach(stream)
        self.assertIn(f"<presence to='{ROMEO}' from='romeo@localhost/garden'/>".encode(), stream.data)
