# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.guests}."""

from __future__ import annotations

from dataclasses import replace

from zope.interface.verify import verifyObject

from muccore.interfaces import ISession, ISessionBinder
from muccore.net.limits import LOOPBACK
from muccore.session.guests import GuestSessions, GuestSettings
from muccore.xmpp import jid
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import newGuestName
from tests.routing.helpers import FakeStream
from tests.session.helpers import SessionTestCase


class GuestSessionsTests(SessionTestCase):
    """L{GuestSessions}"""

    def setUp(self) -> None:
        """Let three guests in, two of them from one address."""
        super().setUp()
        self.guests = GuestSessions(self.sessions, ["localhost"], GuestSettings(3, 2, LOOPBACK))

    def bind(self, address: str, user: str | None = None, host: str = "localhost") -> ISession:
        """Bind a session of a new guest, or of this user."""
        stream = FakeStream()
        stream.address = address
        return self.guests.bind(jid.parse(f"{user or newGuestName()}@{host}"), "r", stream)

    def assertFull(self, address: str) -> None:
        """Check that a guest from there is refused."""
        before = len(self.sessions)
        error = self.assertRaises(StanzaError, self.bind, address)
        self.assertEqual((error.condition, len(self.sessions)), ("resource-constraint", before))

    def test_interface(self) -> None:
        """It binds sessions for streams."""
        verifyObject(ISessionBinder, self.guests)

    def test_limits(self) -> None:
        """There are limits for each address, or network of IPv6, and for all; users are not guests."""
        first = self.bind("2001:db8::1")
        self.bind("2001:db8::2")
        self.assertFull("2001:db8::3")
        self.bind("192.0.2.1")
        self.assertFalse(self.guests.hasRoom())
        self.assertFull("192.0.2.2")
        self.bind("2001:db8::3", "juliet")
        first.streamLost(first.stream, True)
        self.guests.sessionEnded(first)
        self.guests.sessionEnded(first)
        self.assertTrue(self.guests.hasRoom())
        self.bind("2001:db8::3")
        self.assertFull("2001:db8::3")

    def test_exempt(self) -> None:
        """Some networks, and all with the limit 0, have no limit for each address, but the one for all."""
        for _ in range(3):
            self.bind("127.0.0.1")
        self.assertFull("127.0.0.1")
        self.guests.settings = replace(self.guests.settings, sessions=6, sessionsPerAddress=0)
        for _ in range(3):
            self.bind("192.0.2.1")

    def test_isGuest(self) -> None:
        """A guest is who has such a name on a domain with guests."""
        name = newGuestName()
        self.assertTrue(self.guests.isGuest(jid.parse(f"{name}@localhost")))
        self.assertFalse(self.guests.isGuest(jid.parse(f"{name}@other.lit")))
        self.assertFalse(self.guests.isGuest(jid.parse("romeo@localhost")))

    def test_resumed(self) -> None:
        """A session that is resumed is still counted for its first address."""
        session = self.bind("192.0.2.1")
        session.enableManagement(True, None)
        assert session.management is not None
        session.streamLost(session.stream, False)
        stream = FakeStream()
        stream.address = "192.0.2.9"
        self.assertIs(self.guests.resume(session.account, session.management.id, 0, stream), session)
        self.bind("192.0.2.1")
        self.assertFull("192.0.2.1")
