# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.commandsessions}."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp import jid
from muccore.xmpp.commandsessions import ACCOUNT_LIMIT, LIFETIME, LIMIT, SIZE_LIMIT, CommandSession, CommandSessions
from muccore.xmpp.errors import StanzaError

ROOM = jid.parse("room@conference.localhost")
ROMEO = jid.parse("romeo@localhost/a")
JULIET = jid.parse("juliet@localhost/a")


class CommandSessionTests(SynchronousTestCase):
    """Sessions of commands."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sessions = CommandSessions(self.clock.seconds)

    def begin(self, requester: jid.JID = ROMEO, node: str = "n") -> CommandSession:
        """Begin and keep a session."""
        session = self.sessions.begin(requester, ROOM, node)
        self.sessions.keep(session)
        return session

    def assertRefused(self, condition: str, id: str, who: jid.JID = ROMEO, to: jid.JID = ROOM, node: str = "n") -> None:
        """Check that there is no such session."""
        error = self.assertRaises(StanzaError, self.sessions.find, id, who, to, node)
        assert error.appCondition is not None
        self.assertEqual(error.appCondition.name, condition)

    def test_found(self) -> None:
        """It is found for the same requester, responder and command, until it ends; its id is not used again."""
        session, other = self.begin(), self.begin()
        self.assertNotEqual(session.id, other.id)
        self.assertIs(self.sessions.find(session.id, ROMEO, ROOM, "n"), session)
        self.sessions.end(session)
        self.assertRefused("session-expired", session.id)
        self.assertIs(self.sessions.find(other.id, ROMEO, ROOM, "n"), other)

    def test_bound(self) -> None:
        """It belongs to a full JID, an address and a command, whether it has ended or not."""
        session = self.begin()
        for arguments in (
            (JULIET, ROOM, "n"),
            (jid.parse("romeo@localhost/b"), ROOM, "n"),
            (ROMEO, jid.parse("other@conference.localhost"), "n"),
            (ROMEO, ROOM, "m"),
        ):
            self.assertRefused("bad-sessionid", session.id, *arguments)
        self.sessions.end(session)
        self.assertRefused("bad-sessionid", session.id, JULIET)
        for made in ("", "x", "é", session.id + "0", session.id[:-1], "0" * len(session.id), "\ud7ff" * 48):
            self.assertRefused("bad-sessionid", made)

    def test_time(self) -> None:
        """It ends when nothing was requested for a while."""
        session = self.begin()
        self.clock.advance(LIFETIME - 1)
        self.sessions.keep(self.sessions.find(session.id, ROMEO, ROOM, "n"))
        self.clock.advance(LIFETIME - 1)
        self.assertIs(self.sessions.find(session.id, ROMEO, ROOM, "n"), session)
        self.clock.advance(1)
        self.assertRefused("session-expired", session.id)
        self.assertEqual(len(self.sessions), 0)

    def test_number(self) -> None:
        """A further session of an account ends the oldest one, whichever of its resources it is."""
        juliets = self.begin(JULIET)
        kept = [self.begin(jid.parse(f"romeo@localhost/{number}")) for number in range(ACCOUNT_LIMIT + 1)]
        self.assertRefused("session-expired", kept[0].id, kept[0].requester)
        for session in kept[1:]:
            self.assertIs(self.sessions.find(session.id, session.requester, ROOM, "n"), session)
        self.sessions.find(juliets.id, JULIET, ROOM, "n")
        self.assertEqual(len(self.sessions), ACCOUNT_LIMIT + 1)

    def test_all(self) -> None:
        """Of all accounts, there are only so many; whoever has one may go on, and time makes room."""
        kept = [self.begin(jid.parse(f"user{number}@localhost/a")) for number in range(LIMIT)]
        error = self.assertRaises(StanzaError, self.begin)
        self.assertEqual((error.condition, error.type), ("resource-constraint", "wait"))
        self.sessions.keep(kept[0])
        self.clock.advance(LIFETIME)
        self.begin()
        self.assertEqual(len(self.sessions), 1)

    def test_size(self) -> None:
        """What is kept of earlier stages is bounded, together."""
        session = self.begin()
        half = SIZE_LIMIT // 2 - 1
        session.answers = [{"a": "x" * half}, {"b": ("y" * (half - 1), "z")}]
        self.sessions.keep(session)
        session.answers.append({"c": None})
        error = self.assertRaises(StanzaError, self.sessions.keep, session)
        assert error.appCondition is not None
        self.assertEqual(error.appCondition.name, "bad-payload")
