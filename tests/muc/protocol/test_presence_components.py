# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.presence}: occupants at the domain of a component."""

from __future__ import annotations

from itertools import product

from twisted.internet.defer import Deferred

from muccore.routing.component import Component
from muccore.routing.unreachable import Unreachable
from muccore.testing.defaults import defaultOptions
from muccore.testing.inmemory import Client, parseStanza
from tests.muc.muchelpers import ROOM, RoomTestCase, X, configure, say, summary

NAME = "bridge.localhost"
TIMED_OUT = "status:Removed because of an error: remote server timeout 333"
A, B = f"a@{NAME}/1", f"b@{NAME}/1"


class ComponentOccupantTests(RoomTestCase):
    """Two addresses of a component, A and B, and the owner of the room."""

    def setUp(self) -> None:
        """Connect a component."""
        super().setUp()
        self.component = Component(NAME, self.server.router, self.server.clock)
        self.server.router.addDomain(self.component)
        self.stream = Client(NAME)
        self.component.connect(self.stream)

    def send(self, sender: str, stanza: str) -> None:
        """Send a stanza from an address of the component."""
        name, _, rest = stanza.partition(" ")
        self.component.stanzaReceived(parseStanza(f"{name} from='{sender}' {rest}"))

    def join(self, sender: str, nick: str) -> None:
        """Let an address of the component enter."""
        self.send(sender, f"<presence to='{ROOM}/{nick}'>{X}</presence>")

    def take(self) -> list[str]:
        """What the component was sent: the recipient and a summary."""
        return [f"{stanza.get('to')}: {summary(stanza)}" for stanza in self.stream.received()]

    def bothJoin(self) -> None:
        """Let A and B enter, and forget what was sent."""
        self.join(A, "A")
        self.join(B, "B")
        self.discardReceived()
        self.take()

    def test_occupants(self) -> None:
        """Two addresses are two occupants, each with its own nick; both get what the room sends, and talk."""
        self.join(A, "A")
        self.join(B, "B")
        self.assertReceived(
            self.owner, f"A available none/participant jid={A}", f"B available none/participant jid={B}"
        )
        got = self.take()
        self.assertIn(f"{A}: B available none/participant", got)
        self.assertIn(f"{B}: A available none/participant", got)
        say(self.owner, "hi")
        self.send(A, f"<message to='{ROOM}' type='groupchat'><body>ho</body></message>")
        lines = ("Owner groupchat body:hi", "A groupchat body:ho")
        self.assertEqual(self.take(), [f"{who}: {line}" for line in lines for who in (A, B)])
        self.discardReceived()
        self.send(A, f"<presence to='{ROOM}/A' type='unavailable'/>")
        self.assertReceived(self.owner, f"A unavailable none/none jid={A}")

    def test_gone(self) -> None:
        """When the component goes, its occupants leave with status 333, and may return."""
        self.bothJoin()
        self.component.streamLost(self.stream, False)
        self.assertReceived(
            self.owner, *(f"{nick} unavailable none/none jid={jid} {TIMED_OUT}" for nick, jid in (("A", A), ("B", B)))
        )
        self.assertEqual(list(self.server.muc.rooms.live[ROOM].sessions), [self.owner.address])
        self.server.clock.advance(0)
        self.assertNothingReceived()
        self.component.connect(self.stream)
        self.join(A, "A")
        self.assertReceived(self.owner, f"A available none/participant jid={A}")

    def test_goneTogether(self) -> None:
        """Occupants that go together are not sent, and do not return, that the others go."""
        self.bothJoin()
        returned: list[str] = []
        self.patch(Unreachable, "deliver", lambda self, stanza, to: returned.append(stanza.name))
        self.component.streamLost(self.stream, False)
        self.assertEqual((returned, list(self.server.muc.rooms.live[ROOM].sessions)), ([], [self.owner.address]))

    def test_ownRoom(self) -> None:
        """A room that only the component is in ends with it."""
        self.send(A, f"<presence to='own@conference.localhost/A'>{X}</presence>")
        self.component.streamLost(self.stream, False)
        self.assertEqual(list(self.server.muc.rooms.live), [ROOM])

    def loseConnection(self, returning: bool) -> None:
        """Lose the component; if it is returning, it connects again at once."""
        self.component.streamLost(self.stream, False)
        if returning:
            self.component.connect(self.stream)

    def joinLate(self, name: str) -> Deferred[None]:
        """Let B enter, behind a subject that waits until a change is committed, which the returned Deferred does."""
        writing: Deferred[None] = Deferred()
        self.patch(self.server.store, "change", lambda room, change: writing)
        configure(self.owner, roomname=name)
        self.send(B, f"<message to='{ROOM}' type='groupchat'><subject>s</subject></message>")
        self.join(B, "B")
        return writing

    def test_goneWhileJoining(self) -> None:
        """A join that waits behind a change when the component goes is undone, even if it has returned meanwhile."""
        for returning, name in ((False, "Orchard"), (True, "Garden")):
            writing = self.joinLate(name)
            self.loseConnection(returning)
            writing.callback(None)
            self.server.clock.advance(0)
            self.assertEqual(list(self.server.muc.rooms.live[ROOM].sessions), [self.owner.address])
            self.component.stream = self.stream

    def test_goneWhileLoading(self) -> None:
        """So is one to a room that is being loaded, or created."""
        for returning, method in product((False, True), ("load", "save")):
            pending: Deferred[None] = Deferred()
            self.patch(self.server.muc, "options", defaultOptions(lockNewRooms=False))
            patched = self.patch(self.server.store, method, lambda *_, pending=pending: pending)
            self.send(A, f"<presence to='stored@conference.localhost/A'>{X}</presence>")
            self.loseConnection(returning)
            pending.callback(None)
            self.server.clock.advance(0)
            self.assertEqual(list(self.server.muc.rooms.live), [ROOM], (returning, method))
            patched.restore()
            self.component.stream = self.stream

    def test_returned(self) -> None:
        """What the component sends when it has returned comes after that."""
        writing = self.joinLate("Orchard")
        self.loseConnection(True)
        self.join(B, "B2")
        writing.callback(None)
        self.server.clock.advance(0)
        self.assertReceived(
            self.owner,
            "result q",
            "room groupchat 104",
            f"B available none/participant jid={B}",
            f"B unavailable none/none jid={B} {TIMED_OUT}",
            f"B2 available none/participant jid={B}",
        )
