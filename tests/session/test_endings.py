# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.session.endings}."""

from __future__ import annotations

from muccore.session.endings import CROWD, PATIENCE, TIME_SLICE, Endings
from muccore.session.session import Session
from muccore.testing.inmemory import InMemoryServer
from muccore.xmpp import jid
from tests.session.helpers import SessionTestCase

JOIN = "<presence to='room@conference.localhost/{}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"


class EndingsTests(SessionTestCase):
    """Many sessions, each of whose ends takes a while to tell."""

    def setUp(self) -> None:
        """Make sessions end slowly."""
        super().setUp()
        self.cost = 0.0
        self.spent = 0.0
        self.told: list[str] = []
        self.sessions.endings = Endings(self.clock, lambda: self.spent)
        self.patch(self.users, "sessionEnded", self.sessionEnded)

    def sessionEnded(self, session: Session) -> None:
        """Note it."""
        self.spent += self.cost
        self.told.append(session.jid.local)

    def make(self, count: int) -> list[Session]:
        """Bind sessions, of C{0@localhost}, C{1@localhost} and so on."""
        return [self.connect(f"{number}@localhost/r").session for number in range(count)]

    def turn(self) -> list[str]:
        """Do what is due in one turn of the reactor; return who was told to have ended."""
        self.told.clear()
        for call in list(self.clock.getDelayedCalls()):
            function = call.func  # type: ignore[attr-defined]
            call.cancel()
            function()
        return self.told[:]

    def test_later(self) -> None:
        """The session is out of the registry at once, and takes nothing more; its domain is told in the next turn."""
        [session] = self.make(1)
        session.end()
        session.end()
        self.assertEqual((self.told, self.sessions.byFullJID(session.jid)), ([], None))
        self.assertEqual((self.turn(), self.turn()), (["0"], []))

    def test_slices(self) -> None:
        """A turn tells of as many as fit its slice, in their order; each is told of once."""
        self.cost = TIME_SLICE / 2.5
        for session in self.make(8):
            session.end()
        self.assertEqual([self.turn() for _ in range(4)], [["0", "1", "2"], ["3", "4", "5"], ["6", "7"], []])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_leastOne(self) -> None:
        """A turn tells of one at least, however long that takes."""
        self.cost = 10 * TIME_SLICE
        for session in self.make(3):
            session.end()
        self.assertEqual([self.turn() for _ in range(4)], [["0"], ["1"], ["2"], []])

    def test_crowd(self) -> None:
        """While a crowd ends, nothing is told until the last of it has ended."""
        sessions = self.make(3 * (CROWD + 1))
        for start in range(0, len(sessions), CROWD + 1):
            for session in sessions[start : start + CROWD + 1]:
                session.end()
            self.assertEqual(self.turn(), [])
        self.assertEqual(self.turn(), [session.jid.local for session in sessions])

    def test_patience(self) -> None:
        """Crowds that do not stop put it off for a number of turns only."""
        sessions = iter(self.make((PATIENCE + 1) * (CROWD + 1)))
        for turn in range(PATIENCE + 1):
            for _ in range(CROWD + 1):
                next(sessions).end()
            self.assertEqual(bool(self.turn()), turn == PATIENCE)

    def test_sameJID(self) -> None:
        """A session that takes the JID of one that has ended is bound when that is told, and not told again."""
        first, second = self.make(2)
        first.end()
        second.end()
        again = self.connect("0@localhost/r")
        self.assertEqual(self.told, ["0"])
        self.assertEqual(self.turn(), ["1"])
        self.assertFalse(again.session.ended)

    def test_finishAll(self) -> None:
        """All can be told of at once; then nothing is left to do."""
        for session in self.make(3):
            session.end()
        self.sessions.endings.finishAll()
        self.assertEqual((self.told, len(self.sessions.endings)), (["0", "1", "2"], 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endsWhileTold(self) -> None:
        """A session that ends because another one did is told of as well."""
        first, second = self.make(2)
        self.patch(self.users, "sessionEnded", lambda session: (self.sessionEnded(session), second.end()))
        first.end()
        self.sessions.endings.finishAll()
        self.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(second.ended)


class RoomTests(SessionTestCase):
    """Occupants of a room who hang up together."""

    def test_each(self) -> None:
        """Whoever stays is told once of each; those who hang up are sent nothing more."""
        server = InMemoryServer(lockNewRooms=False)
        clients = [server.client(f"u{number}@localhost/r") for number in range(40)]
        for number, client in enumerate(clients):
            client.sends(JOIN.format(number))
        for client in clients:
            client.received()
        for client in clients[1:]:
            client.session.streamLost(client, False)
        self.assertEqual(clients[0].received(), [])
        server.clock.advance(0)
        gone = [(each["type"], jid.parse(each["from"]).resource) for each in clients[0].received()]
        self.assertEqual(gone, [("unavailable", str(number)) for number in range(1, 40)])
        self.assertEqual([client.received() for client in clients[1:]], [[]] * 39)
