# -*- test-case-name: tests.config.test_ini -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.ini}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.config.ini import Line, Section, read


class ReadTests(SynchronousTestCase):
    """Reading the form of a file."""

    def read(self, data: str | bytes) -> dict[str, Section]:
        """Read, and keep the complaints."""
        self.complaints: list[tuple[int, str | None, str | None, str]] = []
        if isinstance(data, str):
            data = data.encode("utf-8")
        return read(data, lambda *complaint: self.complaints.append(complaint))

    def values(self, data: str | bytes) -> dict[str, dict[str, list[str]]]:
        """Sections to keys to the texts of their lines."""
        return {
            name: {key: [line.text for line in entry.lines] for key, entry in section.entries.items()}
            for name, section in self.read(data).items()
        }

    def test_keysAndLines(self) -> None:
        """Sections, keys and values are found with the lines they stand in."""
        sections = self.read("# head\n\n[a]\nx = 1\ny=2\n\n[ b ]\nx =  3  \n")
        self.assertEqual(self.complaints, [])
        self.assertEqual([(name, s.number) for name, s in sections.items()], [("a", 3), ("b", 7)])
        self.assertEqual(sections["a"].entries["x"].lines, [Line(4, "1")])
        self.assertEqual(sections["a"].entries["y"].lines, [Line(5, "2")])
        self.assertEqual(sections["b"].entries["x"].lines, [Line(8, "3")])

    def test_continued(self) -> None:
        """Lines behind white space continue a value; blank lines and comments between them do not end it."""
        sections = self.read("[a]\nx = 1\n  2\n\n # no\n\t3\ny =\n  [4]\n  k = 5\n")
        self.assertEqual(self.complaints, [])
        self.assertEqual(sections["a"].entries["x"].lines, [Line(2, "1"), Line(3, "2"), Line(6, "3")])
        self.assertEqual(sections["a"].entries["y"].lines, [Line(8, "[4]"), Line(9, "k = 5")])

    def test_commentsStandAlone(self) -> None:
        """A line that begins with C{#} or C{;} is a comment; behind a value neither is."""
        self.assertEqual(self.values("#a\n;b\n[a]\n  ; c\nx = 1 # 2 ; 3\n"), {"a": {"x": ["1 # 2 ; 3"]}})

    def test_nothingIsInterpolated(self) -> None:
        """Percent and dollar signs, and further equals signs, mean themselves."""
        self.assertEqual(self.values("[a]\nx = %(y)s ${b:c} = %\n"), {"a": {"x": ["%(y)s ${b:c} = %"]}})

    def test_lineEndsAndByteOrderMark(self) -> None:
        """A byte order mark and the line ends of other systems are taken, and lines counted alike."""
        for end in ("\n", "\r\n", "\r"):
            sections = self.read("\ufeff[a]\nx = 1\n".replace("\n", end))
            self.assertEqual(self.complaints, [])
            self.assertEqual(sections["a"].entries["x"].lines, [Line(2, "1")])

    def test_notUTF8(self) -> None:
        """Bytes that are not UTF-8 are reported with the line of the first."""
        self.assertEqual(self.read(b"[a]\nx = 1\ny = caf\xe9\n"), {})
        self.assertEqual(
            self.complaints,
            [(3, None, None, "found the byte 0xe9, which is not UTF-8; allowed: UTF-8 text")],
        )

    def test_sectionTwice(self) -> None:
        """A section that comes again is reported with both lines, and its keys are read nevertheless."""
        self.assertEqual(self.values("[a]\nx = 1\n[b]\n[a]\ny = 2\n"), {"a": {"x": ["1"], "y": ["2"]}, "b": {}})
        self.assertEqual(
            self.complaints, [(4, "a", None, "found the section again, it is in line 1 already; allowed: once")]
        )

    def test_keyTwice(self) -> None:
        """A key that comes again is reported with both lines, and the first one stands."""
        self.assertEqual(self.values("[a]\nx = 1\nx = 2\n  3\n"), {"a": {"x": ["1"]}})
        self.assertEqual(
            self.complaints, [(3, "a", "x", "found the key again, it is in line 2 already; allowed: once")]
        )

    def test_keyAboveSections(self) -> None:
        """A key above the first section is reported."""
        self.assertEqual(self.values("x = 1\n 2\n[a]\n"), {"a": {}})
        self.assertEqual(
            self.complaints, [(1, None, "x", "found a key above the first section; allowed: below its [section]")]
        )

    def test_nothingToContinue(self) -> None:
        """A line behind white space with no value above it is reported."""
        self.assertEqual(self.values(" x = 1\n[a]\n y = 1\n"), {"a": {}})
        self.assertEqual([complaint[:3] for complaint in self.complaints], [(1, None, None), (3, "a", None)])
        self.assertIn("found 'y = 1' behind white space", self.complaints[1][3])

    def test_neitherKeyNorSection(self) -> None:
        """Lines that are nothing of all this are reported, one by one."""
        self.assertEqual(self.values("[a]\nword\n= 1\n"), {"a": {}})
        self.assertEqual(
            self.complaints,
            [
                (2, "a", None, "found 'word'; allowed: key = value, [section], # comment"),
                (3, "a", None, "found '= 1'; allowed: key = value, [section], # comment"),
            ],
        )

    def test_badHead(self) -> None:
        """A head that is none is reported; what stands below it adds no noise."""
        self.assertEqual(self.values("[a\nx = 1\n[b] c\ny = 2\n[[d]]\n"), {})
        self.assertEqual([complaint[0] for complaint in self.complaints], [1, 3, 5])
        self.assertEqual(self.complaints[0][3], "found '[a'; allowed: [section] alone on its line")
