# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.log.eventlog}, and of what the documentation says about it."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muccore.log import eventlog
from muccore.log.eventlog import (
    EVENTS_SUPPRESSED,
    KINDS,
    LINE_LIMIT,
    LOGIN_FAILED,
    OCCUPANT_KICKED,
    PERIOD,
    ROOM_CREATED,
    VALUE_LIMIT,
    Phrase,
    RateLimit,
    clean,
    logStoreFailure,
)
from muccore.log.logger import Logger, setThreshold
from tests.configuration import Logged

OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
EVIL = (
    "x\n2026-01-01T00:00:00+0000 [muccore.events#info] login-failed from 6.6.6.6: not-authorized, account x",
    "x\r\u2028\u2029\u0085\x1b[2K\x00<3>\u202e\ud800",
    'x" from 6.6.6.6: not-authorized, "',
    "\\",
    "a b",
    "",
    "x" * 100_000,
)
"""Nicks, resources and names that imitate log lines."""


class EventTests(SynchronousTestCase):
    """Lines of events, and their limits."""

    def setUp(self) -> None:
        """Record what is logged."""
        self.logged = Logged(self)
        setThreshold("info")
        self.clock = Clock()
        self.patch(eventlog, "limit", RateLimit(self.clock.seconds))

    @property
    def lines(self) -> list[str]:
        """All logged lines."""
        return self.logged.lines(LogLevel.info)

    def test_line(self) -> None:
        """A line begins with kind and source; the event has both and every field by name."""
        OCCUPANT_KICKED.log("romeo@localhost", target="tybalt@localhost", room="orchard@chat", nick="The Cat")
        self.assertEqual(
            self.lines,
            ['occupant-kicked by romeo@localhost: tybalt@localhost from orchard@chat, nick "The Cat"'],
        )
        event = self.logged.events[-1]
        self.assertEqual(
            [event[key] for key in ("event", "actor", "log_namespace")],
            ["occupant-kicked", "romeo@localhost", "muccore.events"],
        )

    def test_threshold(self) -> None:
        """Below the threshold nothing is logged or counted."""
        setThreshold("warn")
        self.assertFalse(ROOM_CREATED.wanted())
        for _ in range(LINE_LIMIT):
            ROOM_CREATED.log("romeo@localhost", room="orchard@chat")
        self.assertEqual(self.lines, [])
        setThreshold("info")
        self.assertTrue(ROOM_CREATED.wanted())
        ROOM_CREATED.log("romeo@localhost", room="orchard@chat")
        self.assertEqual(self.lines, ["room-created by romeo@localhost: orchard@chat"])

    def test_evil(self) -> None:
        """Any text of a user is in one line of limited length, and its end can be recognised."""
        for evil in EVIL:
            LOGIN_FAILED.log("::1", condition="not-authorized", account=evil, mechanism=evil, tls=Phrase("no TLS"))
            line = self.lines[-1]
            self.assertTrue(line.isprintable(), line)
            self.assertLess(len(line), 2 * 10 * VALUE_LIMIT)
            value = r'(?:[^\s"\\]+|"(?:[^"\\]|\\.)*")'
            self.assertRegex(line, rf"\Alogin-failed from ::1: not-authorized, account {value}, {value}, no TLS\Z")

    @given(st.text())
    def test_clean(self, text: str) -> None:
        """A value is one printable word, or quoted, and can be encoded; a phrase is printable."""
        value = clean(text)
        self.assertRegex(value, r'\A(?:[^\s"\\]+|"(?:[^"\\]|\\.)*")\Z')
        self.assertTrue(value.isprintable() and value.encode())
        self.assertTrue(clean(Phrase(text)).isprintable())

    def test_limited(self) -> None:
        """Lines of one kind from one source are limited per period, and a line has the number of omitted ones."""
        for _ in range(LINE_LIMIT + 5):
            ROOM_CREATED.log("romeo@localhost", room="orchard@chat")
        ROOM_CREATED.log("juliet@localhost", room="balcony@chat")
        self.assertEqual(len(self.lines), LINE_LIMIT + 1)
        OCCUPANT_KICKED.log("romeo@localhost", target="a", room="b", nick="c")
        self.assertEqual(len(self.lines), LINE_LIMIT + 2)
        self.clock.advance(PERIOD)
        eventlog.limit.expire()
        ROOM_CREATED.log("romeo@localhost", room="garden@chat")
        self.assertEqual(
            self.lines[LINE_LIMIT + 2 :],
            [
                "events-suppressed from romeo@localhost: 5 more room-created in the last minute were not logged",
                "room-created by romeo@localhost: garden@chat",
            ],
        )

    def test_storeFailures(self) -> None:
        """Failures of one kind of store are limited alike."""
        log = Logger(namespace="muccore.tests")
        for store, count in (("rooms", LINE_LIMIT + 7), ("rosters", 1)):
            for number in range(count):
                logStoreFailure(log, "{store} failed: {number}", store, store=store, number=number)
        lines = self.logged.lines(LogLevel.error)
        self.assertEqual(lines[-2:], [f"rooms failed: {LINE_LIMIT - 1}", "rosters failed: 0"])
        self.assertEqual(len(lines), LINE_LIMIT + 1)
        self.clock.advance(PERIOD)
        eventlog.limit.expire()
        [line] = self.lines
        self.assertEqual(line, "events-suppressed from rooms: 7 more store-failures in the last minute were not logged")

    def test_expireEverything(self) -> None:
        """When the server ends, the number of omitted lines is logged before the period is over."""
        for _ in range(LINE_LIMIT + 1):
            ROOM_CREATED.log("romeo@localhost", room="orchard@chat")
        eventlog.limit.expire()
        self.assertEqual(len(self.lines), LINE_LIMIT)
        eventlog.limit.expire(everything=True)
        self.assertIn("1 more room-created", self.lines[-1])

    def test_manySources(self) -> None:
        """Sources above their limit are counted together."""
        self.patch(eventlog, "SOURCE_LIMIT", 10)
        for number in range(100):
            ROOM_CREATED.log(f"user{number}@localhost", room="orchard@chat")
        self.assertEqual(len(self.lines), 10 + LINE_LIMIT)
        self.clock.advance(PERIOD)
        eventlog.limit.expire()
        self.assertEqual(
            self.lines[-1], "events-suppressed from others: 60 more room-created in the last minute were not logged"
        )

    def test_names(self) -> None:
        """Names are unique, and begin their lines."""
        names = [kind.name for kind in KINDS]
        self.assertEqual(len(set(names)), len(names))
        for kind in KINDS:
            self.assertRegex(kind.format, rf"\A{kind.name} (?:from|by) \{{{kind.key}\}}: ")

    def test_documented(self) -> None:
        """C{docs/operating.md} has a table of all kinds."""

        def row(kind: eventlog.EventKind) -> str:
            line = re.sub(r"{(\w+)}", lambda match: match[1].upper(), kind.format)
            return f"| `{line}` | {kind.meaning} |"

        expected = "\n".join(["| Line | Meaning |", "|---|---|", *map(row, KINDS)])
        self.assertIn(expected, OPERATING.read_text(encoding="utf-8"), expected)
        self.assertIs(KINDS[-1], EVENTS_SUPPRESSED)
