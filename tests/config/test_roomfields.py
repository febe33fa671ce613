# -*- test-case-name: tests.config.test_roomfields -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.roomfields}, through L{muccore.config.load}."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from muccore.config.roomfields import OWN_KEYS, ROWS, newRoom
from muccore.config.schema import OPTIONS
from muccore.muc.extensions import STANDARD_FIELDS, standardExtensions
from muccore.storage.memoryarchive import MemoryArchive
from muccore.testing.defaults import defaultOptions
from muccore.xmpp.jid import parse
from tests.config import problemsOf, settings, text

PREFIX = "muc#roomconfig_"


class RoomDefaultsTests(SynchronousTestCase):
    """[muc] room_defaults"""

    def lines(self, *lines: str) -> dict[str, str | None]:
        """The section with these lines."""
        return {"domain": "rooms.example.org", "room_defaults": "\n ".join(lines)}

    def test_values(self) -> None:
        """Each field has the type that it has in a form; several values have spaces between them."""
        made = newRoom(
            settings(
                muc=self.lines(
                    f"{PREFIX}roomname = Orchard = wall",
                    f"{PREFIX}changesubject=true",
                    f"{PREFIX}presencebroadcast = participant moderator",
                    f"{PREFIX}getmemberlist =",
                    f"{PREFIX}maxusers = 20000",
                    "muc#roominfo_contactjid = nurse@example.org friar@example.org",
                )
            ).muc,
            False,
        )
        expected = replace(
            newRoom(settings().muc, False),
            name="Orchard = wall",
            changeSubject=True,
            presenceBroadcast=("moderator", "participant"),
            memberListRoles=(),
            maxUsers=10000,
            contacts=("nurse@example.org", "friar@example.org"),
        )
        self.assertEqual(made, expected)

    def test_extensions(self) -> None:
        """The fields of all standard extensions are known."""
        lists = replace(defaultOptions(), blockLists=(parse("rtbl.example.org/bans"),))
        made = standardExtensions(lists, MemoryArchive())
        self.assertEqual({row for each in made for row in each.fields}, set(STANDARD_FIELDS))
        muc = settings(muc=self.lines("x-muc#roomconfig_blocklists = 0")).muc
        self.assertEqual(newRoom(muc, False).extensions, {"block-lists.on": False})

    def test_everyField(self) -> None:
        """Every field has a default here, or in a key of its own."""
        for row in ROWS:
            value = _valueOf(row.kind, row.options) if row.bounds is None else str(row.bounds[0])
            [*problems] = problemsOf(text(muc=self.lines(f"{row.var} = {value}")))
            if row.var in OWN_KEYS:
                self.assertIn(("muc", OWN_KEYS[row.var]), OPTIONS)
                self.assertIn(OWN_KEYS[row.var], problems[0])
            else:
                self.assertEqual(problems, [], row.var)

    def test_invalid(self) -> None:
        """What an owner may not set is refused, at the key."""
        for lines, words in (
            ((f"{PREFIX}allowpm = friends",), f"{PREFIX}allowpm: not one of the options"),
            ((f"{PREFIX}lang = a_b",), f"{PREFIX}lang: not a language tag"),
            ((f"{PREFIX}lang = it", f"{PREFIX}lang = en"), f"{PREFIX}lang: given twice"),
        ):
            [problem] = problemsOf(text(muc=self.lines(*lines)))
            self.assertIn(f"[muc] room_defaults: found {words}", problem)

    def test_names(self) -> None:
        """Unknown names, those without value, and the password are refused at their line."""
        for line, words in (
            (f"{PREFIX}alowpm = none", f"did you mean '{PREFIX}allowpm'?"),
            (f"{PREFIX}allowpm", "its value is missing"),
            (f"{PREFIX}roomsecret = rose", "no such field"),
        ):
            [problem] = problemsOf(text(muc=self.lines(f"{PREFIX}changesubject = 1", line)))
            self.assertRegex(problem, r"\A:13: ")
            self.assertIn(words, problem)


def _valueOf(kind: str, options: tuple[tuple[str, str], ...]) -> str:
    """Some value that a field of this kind accepts."""
    if options:
        return options[0][0]
    return "" if kind == "jid-multi" else "1" if kind != "text-single" else ""


class LockedFieldsTests(SynchronousTestCase):
    """[muc] locked_fields"""

    def test_names(self) -> None:
        """All fields that stand for settings may be named, also those of the password; the lists of people may not."""
        names = [*(row.var for row in ROWS), f"{PREFIX}passwordprotectedroom", f"{PREFIX}roomsecret"]
        made = settings(muc={"domain": "rooms.example.org", "locked_fields": "\n ".join(names)})
        self.assertEqual(list(made.muc.lockedFields), names)
        for name in (f"{PREFIX}roomowners", "persistentroom"):
            [problem] = problemsOf(text(muc={"domain": "rooms.example.org", "locked_fields": name}))
            self.assertIn("no such field", problem)
