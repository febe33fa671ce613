# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.audience}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.audience import Audience, sendTo
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privileges import Affiliation, Role
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered

ROOM = parse("room@conference.localhost")
A, B = Rendered(b"<message", b" id='a'/>"), Rendered(b"<message", b" id='b'/>")


class AudienceTests(SynchronousTestCase):
    """A moderator with two sessions and a participant."""

    def setUp(self) -> None:
        self.sent: list[str] = []
        self.audience = Audience()
        self.juliet = self.enter("Juliet", Role.MODERATOR, "x", "y")
        self.romeo = self.enter("Romeo", Role.PARTICIPANT, "x")
        for session in self.juliet.sessions.values():
            session.seesJIDs = True

    def enter(self, nick: str, role: Role, *resources: str) -> Occupant:
        """Add an occupant."""
        account = parse(f"{nick.lower()}@localhost")
        occupant = Occupant(ROOM, nick, account, Affiliation.NONE, role)
        for resource in resources:
            session = occupant.addSession(f"{account.bare}/{resource}", self, b"")
            self.audience.sessions[session.jid] = session
        return occupant

    def deliver(self, stanza: Rendered, to: bytes) -> None:
        """Note what is delivered."""
        self.sent.append(stanza.addressed(to).decode())

    def expect(self, *expected: tuple[str, str]) -> None:
        """Assert who was sent what."""
        self.assertEqual(self.sent, [f"<message to='{who}' id='{id}'/>" for who, id in expected])

    def test_send(self) -> None:
        """All sessions get it, in the order of entering."""
        self.audience.send(A)
        self.expect(("juliet@localhost/x", "a"), ("juliet@localhost/y", "a"), ("romeo@localhost/x", "a"))

    def test_sendToModerators(self) -> None:
        """Only moderators get it."""
        self.audience.sendToModerators(A)
        self.expect(("juliet@localhost/x", "a"), ("juliet@localhost/y", "a"))

    def test_sendVersions(self) -> None:
        """Each gets the version that they may see, and an excluded occupant none."""
        self.audience.sendVersions(A, B, None)
        self.expect(("juliet@localhost/x", "b"), ("juliet@localhost/y", "b"), ("romeo@localhost/x", "a"))
        self.sent.clear()
        self.audience.sendVersions(A, B, self.juliet)
        self.expect(("romeo@localhost/x", "a"))

    def test_sendToViewers(self) -> None:
        """Those who may not see real JIDs get nothing if there is no version for them; excluded occupants neither."""
        self.audience.sendToViewers(None, B, ())
        self.expect(("juliet@localhost/x", "b"), ("juliet@localhost/y", "b"))
        self.sent.clear()
        self.audience.sendToViewers(A, B, [self.juliet])
        self.expect(("romeo@localhost/x", "a"))

    def test_sendTo(self) -> None:
        """All sessions of the occupants that are given."""
        sendTo([self.juliet], B)
        self.expect(("juliet@localhost/x", "b"), ("juliet@localhost/y", "b"))
