# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.auditcommand}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import AuditPage, StoreUnavailable
from muccore.muc.extensions.auditcommand import WAITING, parseTime
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.extensions.retractions import child, conditionOf
from tests.muc.extensions.test_audit import AuditTestCase
from tests.muc.muchelpers import ROOM, affiliation, form, role, sendAdmin, sendIQ, sendOwner

NODE = "urn:muccore:moderation:0#audit"
COLUMNS = ["number", "time", "kind", "actor", "target", "reason", "details"]


class CommandTests(AuditTestCase):
    """The command."""

    def send(self, client: Client, **fields: Any) -> None:
        """Submit the form."""
        sendIQ(client, "set", f"<command xmlns='{ns.COMMANDS}' node='{NODE}'>{form(NODE, fields)}</command>")

    def execute(self, client: Client, **fields: Any) -> Element:
        """Submit the form; return the answer."""
        self.discardReceived()
        self.send(client, **fields)
        [answer] = client.received()
        return answer

    def rows(self, client: Client | None = None, **fields: Any) -> list[list[str]]:
        """Submit the form; return the table in the result."""
        command = child(self.execute(client or self.romeo, **fields), ("command", ns.COMMANDS))
        x = command.child("x", ns.DATA)
        if x is None:
            self.assertEqual(command.childText("note"), "There are no such entries.")
            return []
        items = [each for each in x.childElements() if each.name == "item"]
        self.assertEqual([cell["var"] for cell in items[0].childElements()], COLUMNS)
        return [[cell.childText("value") or "" for cell in item.childElements()] for item in items]

    def targets(self, **fields: Any) -> str:
        """The names of the targets in a result."""
        return " ".join(row[4].partition("@")[0] for row in self.rows(**fields))

    def fill(self) -> None:
        """Do several things, one a minute."""
        for number, item in enumerate(
            (
                role("Tybalt", "visitor", "Quiet"),
                affiliation("juliet@localhost", "admin"),
                affiliation("evil.lit", "outcast"),
                role("Tybalt", "none"),
            )
        ):
            sendAdmin(self.romeo if number != 3 else self.juliet, item)
            self.server.clock.advance(60)

    def test_table(self) -> None:
        """The newest first, with everything there is to know."""
        self.fill()
        rows = self.rows()
        self.assertEqual([int(row[0]) for row in rows], [4, 3, 2, 1])
        expected = [
            "2001-09-09T01:46:40Z", "role", "romeo@localhost", "tybalt@localhost", "Quiet",
            "nick: Tybalt, from: participant, to: visitor",
        ]  # fmt: skip
        self.assertEqual(rows[-1][1:], expected)
        self.assertEqual(self.rows(self.juliet), rows)

    def test_filters(self) -> None:
        """Every filter."""
        self.fill()
        for fields, expected in (
            ({"kind": "ban"}, "evil.lit"),
            ({"kind": ""}, "tybalt evil.lit juliet tybalt"),
            ({"kind": "x-unknown"}, ""),
            ({"who": "juliet@localhost/balcony"}, "tybalt juliet"),
            ({"who": "evil.lit"}, "evil.lit"),
            ({"since": "2001-09-09T01:48:40Z"}, "tybalt evil.lit"),
            ({"since": " 2001-09-09 "}, "tybalt evil.lit juliet tybalt"),
            ({"since": "2001-09-10"}, ""),
            ({"before": "3", "who": "romeo@localhost"}, "juliet tybalt"),
        ):
            self.assertEqual(self.targets(**fields), expected, fields)

    def test_pages(self) -> None:
        """Fifty entries, and the number from which to go on."""
        for number in range(60):
            sendAdmin(self.romeo, affiliation(f"u{number}@x", "outcast"))
        command = child(self.execute(self.romeo), ("command", ns.COMMANDS))
        note = "There are older entries: execute the command again, before the entry 11."
        self.assertEqual((len(self.rows()), command.childText("note")), (50, note))
        self.assertEqual(len(self.rows(before="11")), 10)

    def test_whoMay(self) -> None:
        """Owners and admins, in the room or not; neither moderators nor others."""
        sendAdmin(self.romeo, role("Juliet", "moderator"), affiliation("nurse@localhost", "admin"))
        [nurse] = self.login("nurse")
        self.assertEqual(len(self.rows(nurse)), 2)
        for client in (self.juliet, self.tybalt):
            self.assertEqual(conditionOf(self.execute(client)), "forbidden")
        sendIQ(self.tybalt, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>")
        self.assertNotIn(NODE, self.tybalt.received()[0].toXml())
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>")
        self.assertIn(NODE, self.romeo.received()[0].toXml())

    def test_earlierRoom(self) -> None:
        """The owner of a room does not see what was done in an earlier one of its name, or in others."""
        self.fill()
        other = f"other@{ROOM.partition('@')[2]}"
        self.createRoom(self.tybalt, to=other)
        sendAdmin(self.tybalt, affiliation("a@x", "outcast"), to=other)
        sendOwner(self.romeo, "<destroy/>")
        self.createRoom(self.tybalt)
        self.assertEqual(self.rows(self.tybalt), [])

    def test_invalid(self) -> None:
        """What cannot be understood is named."""
        for fields in ({"since": "yesterday"}, {"before": "x"}, {"before": "-1"}, {"before": "9" * 19}, {"who": "@"}):
            error = self.execute(self.romeo, **fields)
            self.assertEqual(conditionOf(error), "bad-request", fields)
            [name] = fields
            self.assertIn(f"{name}: ", error.toXml())

    def test_pending(self) -> None:
        """The queries of one account that wait are bounded; each is answered, if they may still see the result."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        waiting: list[Deferred[AuditPage]] = []

        def query(_: object) -> Deferred[AuditPage]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(self.trail, "query", query)
        self.discardReceived()
        for _ in range(WAITING + 1):
            self.send(self.juliet)
        [refused] = self.juliet.received()
        self.assertEqual(conditionOf(refused), "resource-constraint")
        waiting.pop().callback(AuditPage([], True))
        self.assertIn("no such entries", self.juliet.received()[0].toXml())
        sendAdmin(self.romeo, affiliation("juliet@localhost", "none"))
        self.discardReceived()
        for each in waiting:
            each.callback(AuditPage([], True))
        for answer in self.juliet.received():
            self.assertIn("You are not allowed to do this.", answer.toXml())

    def test_failure(self) -> None:
        """If the store fails, it can be tried again later."""
        self.patch(self.trail, "query", lambda query: fail(StoreUnavailable("test")))
        for _ in range(WAITING + 1):
            self.assertEqual(conditionOf(self.execute(self.romeo)), "internal-server-error")

    def test_form(self) -> None:
        """The form."""
        sendIQ(self.romeo, "set", f"<command xmlns='{ns.COMMANDS}' node='{NODE}'/>")
        x = child(self.result(self.romeo), ("x", ns.DATA))
        fields = [each.get("var") for each in x.childElements() if each.name == "field"]
        self.assertEqual(fields, ["FORM_TYPE", "kind", "who", "since", "before"])


class TimeTests(SynchronousTestCase):
    """Times in filters."""

    def test_parsed(self) -> None:
        """Dates begin in UTC; times are those of XEP-0082."""
        self.assertEqual(parseTime("1970-01-02"), 86_400_000_000)
        self.assertEqual(parseTime("1970-01-01T01:00:00.5+01:00"), 500_000)
        for text in ("", "1970", "1970-13-01", "1970-01-01T", "now", "\u0661970-01-01"):
            self.assertRaises(ValueError, parseTime, text)
