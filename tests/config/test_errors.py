# -*- test-case-name: tests.config.test_errors -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.errors}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.config.errors import ConfigError, Problem, quoted, suggestion


class ProblemTests(SynchronousTestCase):
    """Texts of problems."""

    def test_whole(self) -> None:
        """File, line, section and key precede the text."""
        self.assertEqual(
            str(Problem("etc/server.cfg", "found 'x'; allowed: y", 12, "c2s", "tls")),
            "etc/server.cfg:12: [c2s] tls: found 'x'; allowed: y",
        )

    def test_parts(self) -> None:
        """Missing parts are omitted."""
        self.assertEqual(str(Problem("a.cfg", "b")), "a.cfg: b")
        self.assertEqual(str(Problem("a.cfg", "b", 1)), "a.cfg:1: b")
        self.assertEqual(str(Problem("a.cfg", "b", 1, "c")), "a.cfg:1: [c]: b")
        self.assertEqual(str(Problem("a.cfg", "b", None, "c", "d")), "a.cfg: [c] d: b")

    def test_harmless(self) -> None:
        """Names from a file cannot break the line or control the terminal, and are cut."""
        line = str(Problem("a\n.cfg", "b", 1, "c\x1b[2J", "d\x85" + "e" * 1000))
        self.assertTrue(line.startswith("a\\n.cfg:1: [c\\x1b[2J] d\\x85eee"))
        self.assertTrue(line.isprintable())
        self.assertLess(len(line), 150)
        self.assertEqual(quoted("a\nb"), r"'a\nb'")
        self.assertLess(len(quoted("a" * 1000)), 90)

    def test_error(self) -> None:
        """An error with many problems has a line for each."""
        self.assertEqual(str(ConfigError([Problem("a", "b"), Problem("c", "d")])), "a: b\nc: d")

    def test_suggestion(self) -> None:
        """The most similar name is suggested, whatever its case and hyphens, if any is similar."""
        names = ["stanza_size", "listen", "KiB"]
        self.assertEqual(suggestion("Stanza-Size", names), "did you mean 'stanza_size'?")
        self.assertEqual(suggestion("kib", names), "did you mean 'KiB'?")
        self.assertEqual(suggestion("zzz", names), "")
