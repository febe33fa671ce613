# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.external.options}."""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import BadDescription, StoreUnavailable
from muccore.storage.external.options import (
    StoreOption,
    choice,
    integer,
    parseDescription,
    path,
    readSecret,
    seconds,
    yesOrNo,
)

BASE = FilePath("/etc/muccore")
OPTIONS = (
    StoreOption("count", integer(1, 9), 2), StoreOption("time", seconds(0.5, 60), 5.0),
    StoreOption("on", yesOrNo, True),
    StoreOption("how", choice(get="GET", post="POST"), "POST"), StoreOption("file", path, None),
)  # fmt: skip


class DescriptionTests(SynchronousTestCase):
    """L{parseDescription}"""

    def test_defaults(self) -> None:
        """Without options all have their default."""
        values = {"count": 2, "time": 5.0, "on": True, "how": "POST", "file": None}
        self.assertEqual(parseDescription("x", " place ", BASE, OPTIONS), ("place", values))

    def test_given(self) -> None:
        """Values are parsed, and may have an equals sign."""
        found = parseDescription("x", "p\ncount=9\ntime = 0.5 s\non= no\nhow =get\nfile = a=b", BASE, OPTIONS)[1]
        values = {"count": 9, "time": 0.5, "on": False, "how": "GET", "file": FilePath("/etc/muccore/a=b")}
        self.assertEqual(found, values)

    def test_refused(self) -> None:
        """Each error says what is allowed."""
        for line, problem in (
            ("count = 0", "allowed: a number, 1 to 9"), ("count = 1.5", "a number"), ("count = \u0661", "a number"),
            ("count = 99999999999", "a number"), ("time = nan", "allowed: seconds, 0.5 to 60"),
            ("time = 5 h", "seconds"),
            ("time =", "seconds"), ("on = maybe", "allowed: yes, no"), ("file =", "allowed: the path"),
            ("file = a/", "the path"), ("coutn = 1", r"did you mean count\?"), ("z = 1", "allowed: count, time, on"),
            ("s3cret", "no equals sign"), ("on = yes\non = yes", "twice"),
        ):  # fmt: skip
            with self.assertRaisesRegex(BadDescription, f"^x: .*{problem}") as caught:
                parseDescription("x", f"p\n{line}", BASE, OPTIONS)
            self.assertEqual(caught.exception.line, line.count("\n") + 1)
            self.assertNotIn("s3cret", str(caught.exception))


class SecretTests(SynchronousTestCase):
    """L{readSecret}"""

    def test_read(self) -> None:
        """A secret is a line of a file."""
        file = FilePath(self.mktemp())
        for content in ("s3crét", "s3crét\n"):
            file.setContent(content.encode())
            self.assertEqual(readSecret(file), "s3crét")

    def test_refused(self) -> None:
        """What is anything else is not shown."""
        file = FilePath(self.mktemp())
        self.assertIn("No such file", str(self.assertRaises(StoreUnavailable, readSecret, file)))
        for content in (b"", b"\n", b"s3cret\nx\n", b"s3cret\xff", b"s3cret" * 1000):
            file.setContent(content)
            self.assertNotIn("s3cret", str(self.assertRaises(StoreUnavailable, readSecret, file)))
