# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.extensions.places}: occupants, and a server that was killed."""

from __future__ import annotations

from typing import Any

from muccore.interfaces import Place
from muccore.muc.extensions import places
from muccore.xmpp import ns
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    MUCTestCase,
    join,
    leave,
    sendIQ,
    summaries,
)

GRACE = 120

PING = f"<ping xmlns='{ns.PING}'/>"

GONE = "status:Did not return after the server was restarted 333"

AWAY = "<show>xa</show>"


class PlacesTestCase(MUCTestCase):
    """Romeo, who owns the room, Juliet and Nurse were in it when the server was killed. Romeo has returned."""

    fields: dict[str, Any] = {}

    def setUp(self) -> None:
        """Kill the server, and let Romeo return."""
        self.begin()
        self.kill()

    def begin(self, **fields: Any) -> None:
        """Fill the room."""
        self.startServer()
        self.createRoom(self.client("romeo"), **(self.fields | fields))
        self.enter("juliet", children=AWAY)
        self.enter("nurse")
        setSubject = f"<message type='groupchat' to='{ROOM}'><subject>Love</subject></message>"
        self.clients[0].sends(setSubject)

    def kill(self, occupantGrace: float = GRACE, **options: Any) -> None:
        """Kill the server, start it again, and let Romeo return."""
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=occupantGrace, **options)
        self.romeo = self.client("romeo")
        join(self.romeo, "Romeo")
        self.returned = summaries(self.romeo)

    def endGrace(self) -> None:
        """Let the grace time pass."""
        self.server.clock.advance(GRACE)

    def nicks(self) -> list[str]:
        """Who is in the room."""
        return sorted(self.room().occupants)

    def written(self) -> dict[str, list[str]]:
        """The full JIDs of the places that are written down, by nick."""
        found: dict[str, list[str]] = {}
        for place in self.server.occupants.places().get(ROOM, ()):
            found.setdefault(place.nick, []).append(place.jid)
        return found


class GraceTests(PlacesTestCase):
    """The end of the grace time."""

    def test_end(self) -> None:
        """Whoever has not returned leaves once, in the order in which they were written; nor do they come back."""
        self.endGrace()
        self.assertReceived(
            self.romeo,
            f"Juliet unavailable none/none jid=juliet@localhost/a {GONE}",
            f"Nurse unavailable none/none jid=nurse@localhost/a {GONE}",
        )
        self.assertEqual(self.written(), {"Romeo": ["romeo@localhost/a"]})
        self.server.clock.advance(10 * GRACE)
        self.assertNothingReceived()
        self.kill()
        self.assertEqual(len(self.returned), 2)

    def test_guests(self) -> None:
        """The places of guests are not held: after a restart, nobody can be the same guest."""
        self.begin()
        join(self.client("0b9e1d4c-3f58-4d0a-9d5e-6f1c2b7a8e90"), "Visitor")
        self.assertIn("Visitor", self.written())
        self.kill(anonymousDomains=frozenset({"localhost"}))
        self.assertEqual(self.nicks(), ["Juliet", "Nurse", "Romeo"])
        self.assertNotIn("Visitor", self.written())

    def test_endsWhileLoading(self) -> None:
        """If a room is being loaded when the grace time ends, nobody is held in it for ever."""
        self.begin()
        self.patch(places, "BATCH", 1)
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE)
        # All at once: the grace time ends between the first slice and the second.
        self.server.clock.callLater(GRACE - 1, join, self.client("tybalt"), "Tybalt")
        self.endGrace()
        self.assertEqual(self.nicks(), ["Tybalt"])
        self.assertEqual(self.written(), {"Tybalt": ["tybalt@localhost/a"]})

    def test_loadedInSlices(self) -> None:
        """Places are held some in each turn; who enters meanwhile waits, and sees everybody."""
        self.begin()
        self.patch(places, "BATCH", 1)
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE)
        tybalt = self.client("tybalt")
        join(tybalt, "Tybalt")
        self.assertNothingReceived(tybalt)
        self.server.clock.advance(0)
        senders = [line.split()[0] for line in summaries(tybalt)]
        self.assertEqual(senders, ["Romeo", "Juliet", "Nurse", "Tybalt", "Romeo"])
        self.assertEqual(self.nicks(), ["Juliet", "Nurse", "Romeo", "Tybalt"])

    def test_notBefore(self) -> None:
        """Nobody leaves before."""
        self.server.clock.advance(GRACE - 1)
        self.assertNothingReceived()
        self.assertEqual(self.nicks(), ["Juliet", "Nurse", "Romeo"])

    def test_slices(self) -> None:
        """They leave some in each turn; whoever returns between two turns stays."""
        self.patch(places, "BATCH", 1)
        self.server.clock.callLater(GRACE, join, self.client("nurse"), "Nurse")
        self.endGrace()
        self.assertReceived(self.romeo, f"Juliet unavailable none/none jid=juliet@localhost/a {GONE}")
        self.assertEqual(self.nicks(), ["Nurse", "Romeo"])

    def test_nobodyReturned(self) -> None:
        """If nobody returns at all, the places are forgotten, and a temporary room is kept for its own grace time."""
        self.begin()
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE, grace=10 * GRACE)
        self.server.clock.advance(GRACE)
        self.assertEqual(self.server.occupants.places(), {})
        self.assertIsNotNone(self.record())
        self.server.clock.advance(9 * GRACE)
        self.assertIsNone(self.record())

    def test_nobodyLeft(self) -> None:
        """A temporary room in which nobody is left is removed, as always."""
        leave(self.romeo, "Romeo")
        self.assertIsNotNone(self.record())
        self.endGrace()
        self.assertIsNone(self.record())
        self.assertEqual(self.server.muc.rooms.live, {})

    def test_temporaryGraceEndsFirst(self) -> None:
        """A temporary room is not removed while places in it are held."""
        self.begin()
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE, grace=10)
        sendIQ(self.client("tybalt"), "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        self.server.clock.advance(GRACE - 1)
        self.assertEqual(self.nicks(), ["Juliet", "Nurse", "Romeo"])
        self.server.clock.advance(1)
        self.assertIsNone(self.record())

    def test_temporaryGraceEndsFirstUnloaded(self) -> None:
        """So it is if nobody has asked for the room yet."""
        self.begin()
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE, grace=10)
        self.server.clock.advance(GRACE - 1)
        juliet = self.client("juliet")
        join(juliet, "Juliet", AWAY)
        self.assertIn("Juliet available none/participant jid=juliet@localhost/a show:xa 110", summaries(juliet))

    def test_loadedLater(self) -> None:
        """A room that is loaded after the end has no held places."""
        self.begin(persistentroom=True)
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE)
        self.patch(places, "BATCH", 1)
        server.occupants.put(f"a@{HOST}", Place("x@localhost/a", "X", "participant", "none", b""))
        self.server.clock.advance(GRACE)
        tybalt = self.enter("tybalt")
        self.assertEqual(self.nicks(), ["Tybalt"])
        for _ in range(5):
            self.server.clock.advance(0)
        self.assertNothingReceived(tybalt)
        self.assertEqual(self.written(), {"Tybalt": ["tybalt@localhost/a"]})

    def test_off(self) -> None:
        """Without grace time nobody has a place."""
        self.begin()
        self.kill(occupantGrace=0)
        self.assertEqual(
            self.returned,
            ["Romeo available owner/moderator jid=romeo@localhost/a 110", "Romeo groupchat subject:Love delayed"],
        )
        self.server.clock.advance(0)
        self.assertEqual(self.written(), {"Romeo": ["romeo@localhost/a"]})

    def test_otherService(self) -> None:
        """Places in rooms of another service are left alone."""
        other = Place("x@localhost/a", "X", "participant", "none", b"")
        self.server.occupants.put("a@other.localhost", other)
        self.kill()
        self.endGrace()
        self.assertEqual(self.server.occupants.places()["a@other.localhost"], [other])


class ShutDownTests(PlacesTestCase):
    """An orderly end."""

    def end(self, final: bool) -> None:
        """End the server, with its sessions."""
        self.successResultOf(self.server.muc.shutDown(final))
        for client in self.clients:
            client.dropConnection()

    def test_restart(self) -> None:
        """At an orderly end places stay, of those who have not returned since the last start too."""
        self.enter("juliet", children=AWAY)
        self.end(False)
        self.kill()
        self.assertEqual(
            self.returned[:2],
            [
                "Nurse available none/participant jid=nurse@localhost/a",
                "Juliet available none/participant jid=juliet@localhost/a show:xa",
            ],
        )

    def test_final(self) -> None:
        """At the end for good nobody keeps a place, nor in rooms that nobody has asked for."""
        self.createRoom(self.romeo, to=f"other@{HOST}")
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE)
        self.enter("romeo", to=f"other@{HOST}")
        self.assertEqual(len(self.server.occupants.places()), 2)
        self.end(True)
        self.assertEqual(self.server.occupants.places(), {})

    def test_graceGoesNotOn(self) -> None:
        """Nobody leaves after the end."""
        self.end(False)
        self.endGrace()
        self.assertEqual(sorted(self.written()), ["Juliet", "Nurse", "Romeo"])
