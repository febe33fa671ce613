# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.operations.audit}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail

from muccore.interfaces import StoreUnavailable
from muccore.storage.memoryaudit import MemoryAudit
from muccore.testing.contracts.audit import CAVE, HEATH, entry
from tests.operations.commandtestcase import StoreCommandTestCase

CONFIGURATION = """\
[muc]
domain = rooms.example.org
"""


class AuditTests(StoreCommandTestCase):
    """C{muccorectl audit}, with a store in memory."""

    command = "audit"
    configuration = CONFIGURATION

    def setUp(self) -> None:
        """Replace the configured store."""
        self.trail = MemoryAudit()
        self.useStore(self.trail)

    def reasons(self, *arguments: str) -> str:
        """The reasons that are listed."""
        status, lines, errors = self.run_(*arguments)
        self.assertEqual((status, errors), (0, ""))
        return " ".join(line.split("\t")[6] for line in lines)

    def append(self, *entries: Any) -> None:
        """Append entries."""
        self.successResultOf(self.trail.append(entries))

    def test_line(self) -> None:
        """An entry is a line of columns, which nothing in it can imitate."""
        self.append(entry(1_000_000, "ban", actor="", reason="a\tb\nc", details={"from": "none", "to": "outcast"}))
        line = "1\tcave@chat.lit\t1970-01-01T00:00:01Z\tban\t-\twitch@x\ta\\tb\\nc\tfrom: none, to: outcast"
        self.assertEqual(self.run_(), (0, [line], ""))
        self.assertEqual(self.closed, 1)

    def test_filters(self) -> None:
        """By room, person, kind and time; the newest first."""
        self.append(entry(1), entry(2, "ban", actor="romeo@x"), entry(3, room=HEATH), entry(86_400_000_000))
        for arguments, expected in (
            ((), "86400000000 3 2 1"),
            ((CAVE,), "86400000000 2 1"),
            (("--who", "romeo@x/a"), "2"),
            ((CAVE, "--kind", "ban"), "2"),
            (("--since", "1970-01-02"), "86400000000"),
            (("--limit", "2"), "86400000000 3"),
            (("none@chat.lit",), ""),
        ):
            self.assertEqual(self.reasons(*arguments), expected, arguments)

    def test_many(self) -> None:
        """A hundred by default, and all if that is asked for."""
        self.append(*(entry(n) for n in range(2500)))
        for arguments, count in (((), 100), (("--limit", "0"), 2500), (("--limit", "1500"), 1500)):
            found = self.reasons(*arguments).split()
            self.assertEqual((len(found), found[0], found[-1]), (count, "2499", str(2500 - count)))

    def test_refused(self) -> None:
        """Wrong arguments, and stores that cannot be read, are named."""
        for arguments, words in (
            (("@",), "is no address"),
            (("--who", "@"), "is no address"),
            (("--since", "yesterday"), "is neither a date"),
        ):
            status, lines, errors = self.run_(*arguments)
            self.assertEqual((status, lines), (1, []))
            self.assertIn(words, errors)
        self.patch(self.trail, "query", lambda query: fail(StoreUnavailable("the disk has failed")))
        self.assertEqual(self.run_(), (1, [], "muccorectl: the disk has failed\n"))
        self.assertEqual(self.closed, 1)
        self.configure("memory:")
        self.assertIn("'memory:', which keeps no audit trails", self.run_()[2])
