# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.retractions} (XEP-0424, XEP-0425)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.pastmessages import PastMessage
from muccore.muc.model.rendering import Actor
from muccore.muc.model.retractions import (
    Moderation,
    announcement,
    checkRetractable,
    retractedBy,
    tombstone,
)
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.retractions import isRetraction

ROOM = "room@conference.localhost"
WHEN = 1_000_000_000.0
STAMP = "2001-09-09T01:46:40Z"
RETRACT = f"<retract xmlns='{ns.RETRACT}' id='1'/>"
OLDER = f"<apply-to xmlns='{ns.FASTEN}' id='1'><retract xmlns='{ns.RETRACT_0}'/></apply-to>"
MODERATION = Moderation(Actor("witch@localhost", "Witch"), f"{ROOM}/Witch", "occupant", "Spam & lies")


def message(inside: str) -> Element:
    """A message to a room."""
    return parseStanza(f"<message type='groupchat' from='{ROOM}/Hag' to='x@localhost' id='m'>{inside}</message>")


def past(inside: str, retracted: bool = False) -> PastMessage:
    """A message that was sent."""
    return PastMessage("1", "hag@localhost", "m", WHEN, Rendered.of(message(inside)), retracted)


class ReadingTests(SynchronousTestCase):
    """Retractions that occupants send."""

    def test_retractedBy(self) -> None:
        """Both forms are found among other things."""
        for inside, name in ((RETRACT, "retract"), (OLDER, "apply-to"), (f"<body>a</body>{RETRACT}", "retract")):
            found = retractedBy(message(inside))
            assert found is not None
            self.assertEqual((found.name, found.get("id")), (name, "1"))
            self.assertTrue(isRetraction(message(inside)))

    def test_nothing(self) -> None:
        """Messages that retract nothing."""
        other = f"<apply-to xmlns='{ns.FASTEN}' id='1'><x xmlns='urn:x'/></apply-to>"
        for inside in ("", "<body>a</body>", other, "<retract/>", "text"):
            self.assertIsNone(retractedBy(message(inside)))
            self.assertFalse(isRetraction(message(inside)))

    def test_refused(self) -> None:
        """Several, and what only the room may send."""
        for inside, condition in (
            (RETRACT + OLDER, "bad-request"),
            (f"<retracted xmlns='{ns.RETRACT}'/>", "forbidden"),
            (f"<moderate xmlns='{ns.MODERATE}'/>", "forbidden"),
            (f"<moderated xmlns='{ns.MODERATE_0}'/>", "forbidden"),
            (f"<retract xmlns='{ns.RETRACT}' id='1'><moderated xmlns='{ns.MODERATE}'/></retract>", "forbidden"),
            (f"<apply-to xmlns='{ns.FASTEN}' id='1'><moderated xmlns='{ns.MODERATE_0}'/></apply-to>", "forbidden"),
        ):
            error = self.assertRaises(StanzaError, retractedBy, message(inside))
            self.assertEqual(error.condition, condition, inside)

    def test_retractable(self) -> None:
        """What is not known, is retracted, or only retracts another, cannot be retracted."""
        for found, condition in (
            (None, "item-not-found"),
            (past("<body>a</body>", True), "item-not-found"),
            (past(RETRACT), "not-acceptable"),
            (past(f"{OLDER}<store xmlns='{ns.HINTS}'/><delay xmlns='{ns.DELAY}'/>"), "not-acceptable"),
            (PastMessage("1", "", "a", WHEN, Rendered.of(announcement(ROOM, "a", "1", MODERATION))), "not-acceptable"),
        ):
            error = self.assertRaises(StanzaError, checkRetractable, found)
            self.assertEqual(error.condition, condition)
        for found in (
            past("<body>a</body>"),
            PastMessage("1", "hag@localhost", "m", WHEN),
            past(f"<body>a</body>{RETRACT}"),
            past(OLDER.replace("<retract ", "<x xmlns='urn:x'/><retract ")),
            past(f"<retract xmlns='{ns.RETRACT}' id='1'><reason>a</reason></retract>"),
        ):
            self.assertIs(checkRetractable(found), found)


class TombstoneTests(SynchronousTestCase):
    """What stays of a retracted message."""

    def made(self, inside: str, moderation: Moderation | None = None) -> Element:
        """The tombstone of a message."""
        rendered = tombstone(past(inside), ROOM, "r", WHEN, moderation)
        assert rendered is not None
        return parseStanza(rendered.addressed(b"").decode())

    def test_content(self) -> None:
        """Nothing that the author has chosen but the id; who it was stays."""
        ids = f"<occupant-id xmlns='{ns.OCCUPANT_ID}' id='o'/><stanza-id xmlns='{ns.STANZA_ID}' id='1' by='{ROOM}'/>"
        foreign = f"<stanza-id xmlns='{ns.STANZA_ID}' id='secret' by='other@x'/>"
        origin = f"<origin-id xmlns='{ns.STANZA_ID}' id='secret'/>"
        found = self.made(f"secret<body xml:lang='secret'>secret</body><x xmlns='secret'/>{foreign}{origin}{ids}")
        retracted = f"<retracted xmlns='{ns.RETRACT}' id='r' stamp='{STAMP}'/>"
        expected = f"<message type='groupchat' from='{ROOM}/Hag' id='m'>{retracted}{ids}</message>"
        self.assertEqual(found.toXml(), parseStanza(expected).toXml())

    def test_retraction(self) -> None:
        """Of a retraction that had a text, the retraction stays (XEP-0424 §5.2): clients may not have seen it."""
        for inside in (RETRACT, OLDER):
            secret = inside.replace("/>", "><body>secret</body></retract>").replace(" id='1'", " id='1' x='secret'")
            found = self.made(f"<body>secret</body>{secret}")
            retracted = f"<retracted xmlns='{ns.RETRACT}' id='r' stamp='{STAMP}'/>"
            expected = f"<message type='groupchat' from='{ROOM}/Hag' id='m'>{retracted}{inside}</message>"
            self.assertEqual(found.toXml(), parseStanza(expected).toXml())

    def test_moderated(self) -> None:
        """By a moderator, in both forms (XEP-0425 §4)."""
        occupant = f"<occupant-id xmlns='{ns.OCCUPANT_ID}' id='occupant'/>"
        reason = "<reason>Spam &amp; lies</reason>"
        by = f"by='{ROOM}/Witch'"
        expected = (
            f"<message type='groupchat' from='{ROOM}/Hag' id='m'>"
            f"<retracted xmlns='{ns.RETRACT}' id='r' stamp='{STAMP}'>"
            f"<moderated xmlns='{ns.MODERATE}' {by}>{occupant}</moderated>{reason}</retracted>"
            f"<moderated xmlns='{ns.MODERATE_0}' {by}>{occupant}"
            f"<retracted xmlns='{ns.RETRACT_0}' stamp='{STAMP}'/>{reason}</moderated></message>"
        )
        found = self.made("<body>a</body>", MODERATION)
        self.assertEqual(found.toXml(), parseStanza(expected).toXml())

    def test_nothing(self) -> None:
        """Of a message whose content is not kept there is no tombstone."""
        self.assertIsNone(tombstone(PastMessage("1", "hag@localhost", "m", WHEN), ROOM, "r", WHEN))


class AnnouncementTests(SynchronousTestCase):
    """What the room announces."""

    def test_whole(self) -> None:
        """In both forms (XEP-0425 §3.1)."""
        occupant = f"<occupant-id xmlns='{ns.OCCUPANT_ID}' id='occupant'/>"
        reason = "<reason>Spam &amp; lies</reason>"
        by = f"by='{ROOM}/Witch'"
        expected = (
            f"<message from='{ROOM}' id='a' type='groupchat'><apply-to xmlns='{ns.FASTEN}' id='1'>"
            f"<moderated xmlns='{ns.MODERATE_0}' {by}>{occupant}<retract xmlns='{ns.RETRACT_0}'/>{reason}</moderated>"
            f"</apply-to><retract xmlns='{ns.RETRACT}' id='1'>"
            f"<moderated xmlns='{ns.MODERATE}' {by}>{occupant}</moderated>{reason}</retract></message>"
        )
        found = announcement(ROOM, "a", "1", MODERATION)
        self.assertEqual(found.toXml(), parseStanza(expected).toXml())

    def test_least(self) -> None:
        """Of a moderator who is not known by nick, and gives no reason."""
        found = announcement(ROOM, "a", "1", Moderation(Actor("witch@localhost", None)))
        moderated = f"<moderated xmlns='{ns.MODERATE}'/>"
        self.assertIn(f"<retract xmlns='{ns.RETRACT}' id='1'>{moderated}</retract>", found.toXml())
        self.assertNotIn("witch", found.toXml())
