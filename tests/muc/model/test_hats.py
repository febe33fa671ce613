# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.hats}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import hats
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.hats import Hat
from muccore.muc.model.room import Room
from muccore.muc.model.roomrecord import putRows
from muccore.testing.defaults import defaultOptions
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse

TEACHER = Hat("urn:hat:teacher", "Teacher", "327.255249")
SCRIBE = Hat("urn:hat:scribe", "Scribe")


class ParseTests(SynchronousTestCase):
    """L{Hat.parse}"""

    def test_acceptable(self) -> None:
        """Spaces around values, and repeated ones in a title, do not count."""
        self.assertEqual(Hat.parse(" urn:hat:teacher\n", "Teacher", " 327.255249 "), TEACHER)
        self.assertEqual(
            Hat.parse("http://x/hats#a?b=%20", " Old\n  man ", ""), Hat("http://x/hats#a?b=%20", "Old man")
        )
        for title in ("x" * 64, "Élève", "\U0001f469\u200d\U0001f3eb"):
            self.assertEqual(Hat.parse("urn:x", title, "").title, title)
        for hue in ("0", "360", "359.999", "000.5"):
            self.assertEqual(Hat.parse("urn:x", "x", hue).hue, hue)

    def test_refused(self) -> None:
        """The error names the field."""
        for uri in ("", "x", "urn:", ":x", "1urn:x", "urn:a b", "urn:é", "urn:<", "urn:'\"", "urn:" + "x" * 253):
            error = self.assertRaises(ValueError, Hat.parse, uri, "x", "")
            self.assertIn("hats#uri: ", str(error))
        for title in ("", " ", "x" * 65, "\u200d", "a\u202eb", "\x7f"):
            error = self.assertRaises(ValueError, Hat.parse, "urn:x", title, "")
            self.assertIn("hats#title: ", str(error))
        for hue in ("x", "-1", "361", "1e2", "nan", "360.1", ".5", "1.", "0000", "٣", "1." + "1" * 16):
            error = self.assertRaises(ValueError, Hat.parse, "urn:x", "x", hue)
            self.assertIn("hats#hue: ", str(error))


class RowTests(SynchronousTestCase):
    """Hats in the rows of a room."""

    def setUp(self) -> None:
        self.room = Room(parse("room@chat.lit"), defaultOptions().defaults, Affiliations({}), lambda: 0.0)

    def apply(self, rows: hats.Rows) -> None:
        """Apply changes."""
        putRows(self.room, rows)

    def create(self, *made: Hat) -> None:
        """Create hats."""
        for hat in made:
            self.apply(hats.creation(self.room, hat))

    def assign(self, account: str, *given: Hat) -> None:
        """Assign hats."""
        for hat in given:
            self.apply(hats.assignment(self.room, account, hat.uri))

    def assertFull(self, limit: int, make: object, *args: object) -> None:
        """Check that something is refused because of a limit."""
        error = self.assertRaises(StanzaError, make, *args)
        self.assertEqual((error.condition, error.type), ("resource-constraint", "cancel"))
        self.assertIn(f" {limit} hats", error.text)

    def test_hats(self) -> None:
        """They are in the order of their titles; one with the same URI replaces the other."""
        self.assertEqual(hats.hatsOf(self.room), [])
        self.create(TEACHER, SCRIBE)
        self.assertEqual(hats.hatsOf(self.room), [SCRIBE, TEACHER])
        self.assertEqual(hats.creation(self.room, SCRIBE), {})
        self.create(Hat(SCRIBE.uri, "Zany"))
        self.assertEqual(hats.hatsOf(self.room), [TEACHER, Hat(SCRIBE.uri, "Zany")])
        self.apply(hats.destruction(self.room, TEACHER.uri))
        self.assertEqual(hats.hatsOf(self.room), [Hat(SCRIBE.uri, "Zany")])

    def test_assigned(self) -> None:
        """One row for each user and hat; destroyed hats are nobody's."""
        self.create(TEACHER, SCRIBE)
        self.assign("b@x", TEACHER, SCRIBE)
        self.assign("a@x", TEACHER)
        self.assertEqual(hats.hatsOf(self.room, "b@x"), [SCRIBE, TEACHER])
        self.assertEqual([hats.hatsOf(self.room, "a@x"), hats.hatsOf(self.room, "x")], [[TEACHER], []])
        self.assertEqual(hats.assignments(self.room), [("a@x", TEACHER), ("b@x", SCRIBE), ("b@x", TEACHER)])
        self.assertEqual(hats.assignment(self.room, "a@x", TEACHER.uri), {})
        self.apply(hats.removal(self.room, "b@x", TEACHER.uri))
        error = self.assertRaises(StanzaError, hats.removal, self.room, "b@x", TEACHER.uri)
        self.assertEqual(error.condition, "item-not-found")
        self.assign("b@x", TEACHER)
        self.apply(hats.destruction(self.room, TEACHER.uri))
        self.assertEqual(hats.assignments(self.room), [("b@x", SCRIBE)])
        self.create(TEACHER)
        self.assertEqual(hats.wearers(self.room, TEACHER.uri), [])

    def test_limits(self) -> None:
        """Hats, those of a user and those assigned are bounded; what is there can still be changed."""
        made = [Hat(f"urn:{n}", "x") for n in range(hats.LIMIT)]
        self.create(*made)
        self.assertFull(hats.LIMIT, hats.creation, self.room, TEACHER)
        self.create(Hat("urn:0", "y"))
        self.assign("a@x", *made[: hats.WORN_LIMIT])
        self.assertFull(hats.WORN_LIMIT, hats.assignment, self.room, "a@x", made[-1].uri)
        self.assign("a@x", made[0])
        for n in range(hats.ASSIGNED_LIMIT - hats.WORN_LIMIT):
            self.assign(f"b{n}@x", made[0])
        self.assertFull(hats.ASSIGNED_LIMIT, hats.assignment, self.room, "c@x", "urn:0")

    def test_digest(self) -> None:
        """It changes with the URI, the title and the hue of any hat."""
        changed = [
            [], [TEACHER], [SCRIBE], [SCRIBE, TEACHER], [Hat(SCRIBE.uri, "Scribe", "1")], [Hat(SCRIBE.uri, "scribe")],
            [Hat("urn:x", "Scribe")],
        ]  # fmt: skip
        self.assertEqual(len({hats.digest(each) for each in changed}), len(changed))
        self.assertEqual(hats.digest([TEACHER]), hats.digest([Hat(*vars(TEACHER).values())]))

    def test_rendered(self) -> None:
        """What admins choose is escaped."""
        self.assertEqual(hats.rendered([]), b"")
        self.assertEqual(
            hats.rendered([Hat("urn:a&'b", "<'é\"&>"), TEACHER]),
            "<hats xmlns='urn:xmpp:hats:0'><hat title='&lt;&apos;é&quot;&amp;&gt;' uri='urn:a&amp;&apos;b'/>"
            "<hat title='Teacher' uri='urn:hat:teacher' hue='327.255249'/></hats>".encode(),
        )
