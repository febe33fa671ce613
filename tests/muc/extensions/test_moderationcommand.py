# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.moderationcommand}."""

from __future__ import annotations

from typing import Any

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.extensions.retractions import RetractionTestCase, child, conditionOf
from tests.muc.muchelpers import affiliation, form, role, sendAdmin, sendIQ, summaries

NODE = "urn:muccore:moderation:0#retract-all"


class CommandTests(RetractionTestCase):
    """The command, by moderators."""

    def execute(self, client: Client, **fields: Any) -> Element:
        """Submit the form; return the answer."""
        inside = form(NODE, fields)
        sendIQ(client, "set", f"<command xmlns='{ns.COMMANDS}' node='{NODE}'>{inside}</command>")
        [answer] = [each for each in client.received() if each.name == "iq"]
        return answer

    def note(self, client: Client, **fields: Any) -> tuple[str | None, str]:
        """Submit the form; return type and text of the note in the result."""
        note = child(self.execute(client, **fields), ("command", ns.COMMANDS), ("note", ns.COMMANDS))
        return note.get("type"), note.text()

    def test_retracted(self) -> None:
        """Everything of an occupant, or of an address, is retracted."""
        for fields in ({"nick": "Juliet"}, {"jid": "juliet@localhost/x"}):
            self.said(self.juliet, "a")
            self.said(self.juliet, "b")
            found = self.note(self.romeo, reason="Spam", **fields)
            self.assertEqual(found, ("info", "Retracted messages: 2."))
            messages = self.tybalt.received()
            reasons = [child(each, ("retract", ns.RETRACT)).childText("reason") for each in messages]
            self.assertEqual(reasons, ["Spam", "Spam"])
            self.discardReceived()

    def test_ban(self) -> None:
        """The user is banned as well."""
        self.said(self.juliet)
        found = self.note(self.romeo, nick="Juliet", reason="Spam", ban=True)
        self.assertEqual(found, ("info", "The user is banned, and what they wrote is being retracted."))
        self.assertEqual(
            summaries(self.tybalt),
            ["Juliet unavailable outcast/none by=Romeo reason=Spam 301", "room groupchat apply-to retract"],
        )
        self.assertEqual(self.storedAffiliations()["juliet@localhost"], "outcast")

    def test_whoMay(self) -> None:
        """Moderators, within their rank; only admins ban."""
        mentor = self.enter("mentor")
        sendAdmin(self.romeo, role("Mentor", "moderator"))
        self.discardReceived()
        self.said(self.romeo)
        self.assertEqual(conditionOf(self.execute(self.juliet, nick="Juliet")), "forbidden")
        error = "You may not retract what an admin or owner above you wrote."
        self.assertEqual(self.note(mentor, nick="Romeo"), ("error", error))
        self.assertEqual(self.note(mentor, nick="Juliet", ban=True), ("error", "You are not allowed to do this."))
        sendAdmin(self.romeo, affiliation("mentor@localhost", "admin"))
        self.discardReceived()
        self.assertEqual(self.note(mentor, nick="Romeo", ban=True)[0], "error")
        self.assertNothingReceived()

    def test_refused(self) -> None:
        """Who is meant must be clear, and the reason short."""
        for fields in (
            {}, {"nick": " "}, {"nick": "Nobody"}, {"nick": "\u200b"}, {"nick": "Juliet", "jid": "juliet@localhost"},
            {"jid": "@"}, {"nick": "Juliet", "reason": "x" * 1025},
        ):  # fmt: skip
            error = self.execute(self.romeo, **fields)
            self.assertEqual(conditionOf(error), "bad-request", fields)
            self.assertIsNotNone(child(error, ("error", ns.CLIENT)).child("bad-payload", ns.COMMANDS))
        self.assertNothingReceived()

    def test_form(self) -> None:
        """The form."""
        sendIQ(self.romeo, "set", f"<command xmlns='{ns.COMMANDS}' node='{NODE}'/>")
        x = child(self.result(self.romeo), ("x", ns.DATA))
        fields = [each.get("var") for each in x.childElements() if each.name == "field"]
        self.assertEqual(fields, ["FORM_TYPE", "nick", "jid", "reason", "ban"])
