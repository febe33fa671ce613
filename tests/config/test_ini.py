# -*- test-case-name: tests.config.test_ini -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.ini}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.config.ini import Line, Section, read


class ReadTests(SynchronousTestCase):
    """L{read}"""

    def read(self, data: str | bytes) -> dict[str, Section]:
        """Read, and record the problems."""
        self.problems: list[tuple[int, str | None, str | None, str]] = []
        if isinstance(data, str):
            data = data.encode("utf-8")
        return read(data, lambda *problem: self.problems.append(problem))

    def values(self, data: str | bytes) -> dict[str, dict[str, list[str]]]:
        """Read into texts of lines, by section and key."""
        return {
            name: {key: [line.text for line in entry.lines] for key, entry in section.entries.items()}
            for name, section in self.read(data).items()
        }

    def test_keysAndLines(self) -> None:
        """Sections, keys and values have their lines."""
        sections = self.read("# head\n\n[a]\nx = 1\ny=2\n\n[ b ]\nx =  3  \n")
        self.assertEqual(self.problems, [])
        self.assertEqual([(name, s.number) for name, s in sections.items()], [("a", 3), ("b", 7)])
        self.assertEqual(sections["a"].entries["x"].lines, [Line(4, "1")])
        self.assertEqual(sections["a"].entries["y"].lines, [Line(5, "2")])
        self.assertEqual(sections["b"].entries["x"].lines, [Line(8, "3")])

    def test_continued(self) -> None:
        """Lines after white space continue a value; blank lines and comments do not end it."""
        sections = self.read("[a]\nx = 1\n  2\n\n # no\n\t3\ny =\n  [4]\n  k = 5\n")
        self.assertEqual(self.problems, [])
        self.assertEqual(sections["a"].entries["x"].lines, [Line(2, "1"), Line(3, "2"), Line(6, "3")])
        self.assertEqual(sections["a"].entries["y"].lines, [Line(8, "[4]"), Line(9, "k = 5")])

    def test_comments(self) -> None:
        """A line that begins with C{#} or C{;} is a comment; after a value, they have no meaning."""
        self.assertEqual(self.values("#a\n;b\n[a]\n  ; c\nx = 1 # 2 ; 3\n"), {"a": {"x": ["1 # 2 ; 3"]}})

    def test_nothingIsInterpolated(self) -> None:
        """Percent, dollar and further equals signs have no meaning."""
        self.assertEqual(self.values("[a]\nx = %(y)s ${b:c} = %\n"), {"a": {"x": ["%(y)s ${b:c} = %"]}})

    def test_lineEndsAndByteOrderMark(self) -> None:
        """A byte order mark and all line ends are accepted; lines are counted alike."""
        for end in ("\n", "\r\n", "\r"):
            sections = self.read("\ufeff[a]\nx = 1\n".replace("\n", end))
            self.assertEqual(self.problems, [])
            self.assertEqual(sections["a"].entries["x"].lines, [Line(2, "1")])

    def test_notUTF8(self) -> None:
        """Bytes that are not UTF-8 are reported with the line of the first."""
        self.assertEqual(self.read(b"[a]\nx = 1\ny = caf\xe9\n"), {})
        found = "found the byte 0xe9, which is not UTF-8; allowed: UTF-8 text"
        self.assertEqual(self.problems, [(3, None, None, found)])

    def test_sectionTwice(self) -> None:
        """A repeated section is reported with both lines; its keys are read nevertheless."""
        self.assertEqual(self.values("[a]\nx = 1\n[b]\n[a]\ny = 2\n"), {"a": {"x": ["1"], "y": ["2"]}, "b": {}})
        self.assertEqual(self.problems, [(4, "a", None, "found the section again (first in line 1); allowed: once")])

    def test_keyTwice(self) -> None:
        """A repeated key is reported with both lines; the first one counts."""
        self.assertEqual(self.values("[a]\nx = 1\nx = 2\n  3\n"), {"a": {"x": ["1"]}})
        self.assertEqual(self.problems, [(3, "a", "x", "found the key again (first in line 2); allowed: once")])

    def test_keyBeforeSections(self) -> None:
        """A key before the first section is reported."""
        self.assertEqual(self.values("x = 1\n 2\n[a]\n"), {"a": {}})
        self.assertEqual(
            self.problems, [(1, None, "x", "found a key before the first section; allowed: after its [section]")]
        )

    def test_nothingToContinue(self) -> None:
        """A continuation without a value above is reported."""
        self.assertEqual(self.values(" x = 1\n[a]\n y = 1\n"), {"a": {}})
        self.assertEqual([problem[:3] for problem in self.problems], [(1, None, None), (3, "a", None)])
        self.assertIn("found 'y = 1' after white space", self.problems[1][3])

    def test_neitherKeyNorSection(self) -> None:
        """Other lines are reported, one by one."""
        self.assertEqual(self.values("[a]\nword\n= 1\n"), {"a": {}})
        self.assertEqual(
            self.problems,
            [
                (2, "a", None, "found 'word'; allowed: key = value, [section], # comment"),
                (3, "a", None, "found '= 1'; allowed: key = value, [section], # comment"),
            ],
        )

    def test_badHeader(self) -> None:
        """A bad section header is reported; what follows it is not."""
        self.assertEqual(self.values("[a\nx = 1\n[b] c\ny = 2\n[[d]]\n"), {})
        self.assertEqual([problem[0] for problem in self.problems], [1, 3, 5])
        self.assertEqual(self.problems[0][3], "found '[a'; allowed: [section] alone on its line")
