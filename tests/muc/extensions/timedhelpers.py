# Copyright (c) The muccore authors. See LICENSE for details.
"""A room whose moderators and admins execute the commands of timed privileges."""

from __future__ import annotations

from typing import Any

from muccore.testing.inmemory import Client
from muccore.xmpp.datetimes import stamp
from tests.muc.muchelpers import ROOM, RoomTestCase, affiliation, execute, form, summaries

HOUR, DAY = 3600, 86_400


class TimedTestCase(RoomTestCase):
    """A persistent room of its owner, with juliet as an admin, and tybalt and paris without affiliation."""

    fields: dict[str, Any] = {}

    def setUp(self) -> None:
        self.open()

    def open(self, store: Any = None, **fields: Any) -> None:
        """Open the room."""
        self.openRoom(store, persistentroom=True, **{**self.fields, **fields})
        self.juliet, self.tybalt, self.paris = self.available("juliet", "tybalt", "paris")
        self.change(affiliation("juliet@localhost", "admin"))
        self.enterAll(self.juliet, self.tybalt, self.paris)

    def available(self, *names: str) -> list[Client]:
        """Log clients in that get messages to their bare JIDs."""
        clients = self.login(*names)
        for client in clients:
            client.sends("<presence/>")
            client.received()
        return clients

    def execute(self, client: Client, name: str, to: str = ROOM, **values: str) -> None:
        """Execute a command, for an hour unless said otherwise."""
        if name != "unmute":
            values = {"duration": "1h", **values}
        execute(client, f"x-muc#{name}", form("x-muc#timed", values), to=to)

    def do(self, name: str, client: Client | None = None, **values: str) -> None:
        """Execute a command as juliet, or another; discard what clients have received."""
        client = client or self.juliet
        self.execute(client, name, **values)
        [answer] = [each for each in client.received() if each.name == "iq"]
        note = next(answer.childElements()).child("note")
        assert note is not None, answer.toXml()
        self.assertEqual(note["type"], "info", answer.toXml())
        self.discardReceived()

    def until(self, seconds: float = HOUR) -> str:
        """How a time from now is shown."""
        return f"until {stamp(self.server.clock.seconds() + seconds)}"

    def failure(self, client: Client) -> str:
        """The note of a command that has failed."""
        answer = self.result(client)
        note = answer.child("note")
        assert note is not None
        self.assertEqual((answer["status"], note["type"]), ("completed", "error"))
        return note.text()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.server.clock.advance(seconds)

    def restart(self, **options: Any) -> None:
        """Start the server again, with the same store, and perhaps other options; the time stays."""
        now, old = self.server.clock.seconds(), self.server
        self.successResultOf(old.muc.shutDown(False))
        self.startServer(old.store, **options)
        self.server.clock.advance(now - self.server.clock.seconds())

    def assertAffiliation(self, expected: str | None, jid: str) -> None:
        """Check the stored affiliation of a user."""
        self.assertEqual(self.storedAffiliations().get(jid), expected)

    def assertNothingTimed(self) -> None:
        """Check that no rows are left in the store."""
        self.assertEqual(self.timedRows(), {})

    def timedRows(self, to: str = ROOM) -> dict[str, list[str]]:
        """The keys of the stored rows."""
        states = self.storedRecord(to).states.items()
        return {name: list(rows) for name, rows in states if name.startswith("timed")}

    def received(self, *clients: Client) -> list[list[str]]:
        """What clients have received."""
        return [summaries(client) for client in clients]
