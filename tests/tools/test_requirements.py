# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.tools.requirements}."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muccore.tools.requirements import RequirementsError, parse

HEAD = "specification: XEP-9999 1.0\n"

TEXT = f"""# A comment.
{HEAD}
§1 Greetings

1-1 MUST: A service greets those
    who come.
  says: MUST greet
  says: MUST say hello
  test: tests/scenarios/hello.scs
  test: tests.greetings.HelloTests.test_hello
1-2 MAY: It may
  decided: It does not,
    since nobody

    likes it.

Example 3: Hello
  pending: soon

others: client MUST answer

§1.10 Farewells
1.10-1 STATED: It says farewell.
"""


class ParseTests(SynchronousTestCase):
    """The file of requirements."""

    def test_parsed(self) -> None:
        """Sections have requirements, examples and words of others, each with what stands below it."""
        found = parse(TEXT, "x.txt")
        self.assertEqual(found.specification, "XEP-9999 1.0")
        first, second = found.sections
        self.assertEqual((first.number, first.title, first.others), ("1", "Greetings", ["client MUST answer"]))
        must, may = first.requirements
        self.assertEqual((must.id, must.level, must.text), ("1-1", "MUST", "A service greets those who come."))
        self.assertEqual(must.says, ["MUST greet", "MUST say hello"])
        self.assertEqual(must.tests, ["tests/scenarios/hello.scs", "tests.greetings.HelloTests.test_hello"])
        self.assertEqual((may.decided, may.pending), ("It does not, since nobody likes it.", ""))
        [example] = first.examples
        self.assertEqual((example.id, example.level, example.text, example.pending), ("3", "", "Hello", "soon"))
        self.assertEqual([(section.number, each.id) for section, each in found.all()][-1], ("1.10", "1.10-1"))
        self.assertEqual(second.requirements[0].tests, [])

    def test_mistakes(self) -> None:
        """A mistake is told with its line."""
        for text, message in (
            ("", "x:1: the specification is not named"),
            ("§1 A\n", "x:1: the specification is not named"),
            ("1-1 MUST: a\n", "x:1: not understood before the first section: 1-1 MUST: a"),
            (f"{HEAD}  test: a\n", "x:2: test has to be below a requirement"),
            (f"{HEAD}§1 A\n  test: a\n", "x:3: test has to be below a requirement"),
            (f"{HEAD}§1 A\nothers: b\n  says: a\n", "x:4: says has to be below a requirement"),
            (f"{HEAD}§1 A\nExample 1: b\n  says: a\n", "x:4: says has to be below a requirement"),
            (f"{HEAD}§1 A\n1-2 MUST: a\n", "x:3: the next requirement here is 1-1"),
            (f"{HEAD}§1 A\n1-1 MUST: a\n1-1 MUST: b\n", "x:4: the next requirement here is 1-2"),
            (f"{HEAD}§1 A\n2-1 MUST: a\n", "x:3: the next requirement here is 1-1"),
            (f"{HEAD}§1 A\n1-1 WILL: a\n", "x:3: not understood: 1-1 WILL: a"),
            (f"{HEAD}§1 A\n1-1 MUST:\n", "x:3: not understood: 1-1 MUST:"),
            (f"{HEAD}§1 A\n1-1 MUST: a\n test: b\n", "x:4: not understood: test: b"),
            (f"{HEAD}§1 A\n1-1 MUST: a\n  tests: b\n", "x:4: not understood: tests: b"),
            (f"{HEAD}§1 A\n1-1 MUST: a\n  test: b\n  test: b\n", "x:5: twice: b"),
            (f"{HEAD}§1 A\n1-1 MUST: a\n  decided: b\n  pending: c\n", "x:5: 1-1 is decided or pending already"),
            (f"{HEAD}§2 A\n§1 B\n", "x:3: not in order"),
            (f"{HEAD}§1.9 A\n§1.10 B\n§1.10 C\n", "x:4: not in order"),
            (f"{HEAD}§1 A\nExample 2: a\n§2 B\nExample 2: b\n", "x:5: not in order"),
            (HEAD * 2, "x:2: not understood before the first section: specification: XEP-9999 1.0"),
        ):
            error = self.assertRaises(RequirementsError, parse, text, "x")
            self.assertEqual(str(error), message)

    def test_documented(self) -> None:
        """The example of C{docs/requirements.md} is understood."""
        page = Path(__file__).resolve().parents[2].joinpath("docs", "requirements.md").read_text("utf-8")
        [example] = re.findall(r"^```\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        [section] = parse(example, "requirements.md").sections
        self.assertEqual((len(section.requirements), len(section.examples), len(section.others)), (2, 1, 1))
