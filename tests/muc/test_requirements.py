# Copyright (c) The muccore authors. See LICENSE for details.
"""
Every requirement of XEP-0045 that binds a service is held by a test, or there is a reason why not:
C{docs/requirements/xep-0045.txt}, and the page made from it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from muccore.tools.requirements import Requirements, parse
from tests.configuration import ENVIRONMENT

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = "docs/requirements/xep-0045.txt"
PAGE: Final = ROOT / "docs" / "xep-0045.md"
EXAMPLES: Final = range(1, 205)
"""The examples of §§6 to 10."""

PENDING_IS_AN_ERROR: Final = True
"""Whether all of the specification has to be done: C{pending} is allowed while the rest of it is being built."""


@cache
def requirements() -> Requirements:
    """The requirements."""
    return parse(ROOT.joinpath(SOURCE).read_text("utf-8"), SOURCE)


@cache
def methods(path: Path) -> dict[str, str]:
    """The test methods of a module, as C{CLASS.METHOD}, each with the docstrings of method, class and module."""
    module = ast.parse(path.read_text("utf-8"))
    found = {}
    for case in module.body:
        if isinstance(case, ast.ClassDef):
            for method in case.body:
                if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name.startswith("test_"):
                    docstrings = [ast.get_docstring(node) or "" for node in (method, case, module)]
                    found[f"{case.name}.{method.name}"] = "\n".join(docstrings)
    return found


def description(test: str) -> str | None:
    """
    What a test says that it tests: the comments of a scenario, or the docstrings of a method; C{None} if there is no
    such test.
    """
    if "/" in test:
        path = ROOT / test
        if not (path.is_file() and path.parent == ROOT / "tests" / "scenarios" and path.suffix == ".scs"):
            return None
        return "\n".join(line for line in path.read_text("utf-8").splitlines() if line.startswith("#"))
    module, case, method = test.rsplit(".", 2)
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return methods(path).get(f"{case}.{method}") if path.is_file() else None


def namesSection(text: str, section: str) -> bool:
    """Whether a description names a section as C{§N}, and no subsection of it."""
    return re.search(rf"§{re.escape(section)}(?![\d.]*\d)", text) is not None


def withoutTest(found: Requirements) -> list[str]:
    """The requirements and examples that have neither a test nor a reason, nor are being built."""
    return [each.id for _, each in found.all() if not (each.tests or each.decided or each.pending)]


def unknownTests(found: Requirements) -> list[str]:
    """The tests that do not exist."""
    named = {test for _, each in found.all() for test in each.tests}
    return [test for test in sorted(named) if description(test) is None]


def withoutWords(found: Requirements) -> list[str]:
    """The requirements with a word of RFC 2119 that do not name their sentence."""
    requirements = [each for section in found.sections for each in section.requirements]
    return [each.id for each in requirements if each.level != "STATED" and not each.says]


def unnamedSections(found: Requirements) -> list[str]:
    """The tests of examples that do not name the section, after the number of the example."""
    return [
        f"{each.id} {test}"
        for section in found.sections
        for each in section.examples
        for test in each.tests
        if not namesSection(description(test) or "", section.number)
    ]


class RequirementTests(SynchronousTestCase):
    """The requirements."""

    def test_kept(self) -> None:
        """Each requirement and each example has a test, a reason, or is being built."""
        self.assertEqual(withoutTest(requirements()), [])

    def test_tests(self) -> None:
        """Each test exists."""
        self.assertEqual(unknownTests(requirements()), [])

    def test_words(self) -> None:
        """Each requirement with a word of RFC 2119 names its sentence, so that a new version can be compared."""
        self.assertEqual(withoutWords(requirements()), [])

    def test_examples(self) -> None:
        """All examples of §§6 to 10 are listed; what shows one names its section."""
        listed = [int(each.id) for section in requirements().sections for each in section.examples]
        self.assertEqual(listed, list(EXAMPLES))
        self.assertEqual(unnamedSections(requirements()), [])

    def test_pending(self) -> None:
        """What is being built is printed."""
        pending = [f"{each.id}: {each.pending}" for _, each in requirements().all() if each.pending]
        if pending:
            print("\nRequirements of XEP-0045 that are being built:", *pending, sep="\n  ")
        if PENDING_IS_AN_ERROR:
            self.assertEqual(pending, [])


class CheckTests(SynchronousTestCase):
    """The checks find what is wrong."""

    def test_found(self) -> None:
        """Requirements and examples without a test, tests that do not exist, missing words and sections are found."""
        found = parse(
            "specification: X\n§10.9 A\n"
            "1-1 MUST: a\n  says: b\n"
            "1-2 MUST: a\n  test: tests/scenarios/none.scs\n  test: tests/scenarios/include/clients.scs\n"
            "1-3 STATED: a\n  decided: b\n"
            "1-4 MAY: a\n  pending: b\n  says: b\n"
            "1-5 MAY: a\n  says: b\n  test: tests.muc.none.CheckTests.test_found\n"
            "  test: tests.muc.test_requirements.CheckTests.test_none\n"
            "  test: tests.muc.test_requirements.CheckTests.test_found\n"
            "Example 1: a\n  test: tests/scenarios/destroyed.scs\n"
            "Example 2: a\n  test: tests/scenarios/kick.scs\n"
            "  test: tests.muc.model.test_configuration.DestroyTests.test_all\n"
            "Example 3: a\n".replace("\n1-", "\n10.9-"),
            "x",
        )
        self.assertEqual(withoutTest(found), ["10.9-1", "3"])
        self.assertEqual(
            unknownTests(found),
            [
                "tests.muc.none.CheckTests.test_found",
                "tests.muc.test_requirements.CheckTests.test_none",
                "tests/scenarios/include/clients.scs",
                "tests/scenarios/none.scs",
            ],
        )
        self.assertEqual(withoutWords(found), ["10.9-2"])
        self.assertEqual(unnamedSections(found), ["2 tests/scenarios/kick.scs"])

    def test_namesSection(self) -> None:
        """A section is named by exactly its number."""
        for text, named in (
            ("(XEP-0045 §7.2)", True),
            ("§7.2.", True),
            ("§7.2, §7.4", True),
            ("§7.2.1", False),
            ("§7.20", False),
            ("§17.2", False),
            ("7.2", False),
        ):
            self.assertEqual(namesSection(text, "7.2"), named, text)


class PageTests(SynchronousTestCase):
    """The page C{docs/xep-0045.md}."""

    def test_fresh(self) -> None:
        """It is up to date; otherwise run C{make docs}."""
        written = subprocess.run(
            [sys.executable, "-m", "muccore.tools.requirementspage", SOURCE],
            cwd=ROOT,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=60,
            check=True,
        )
        self.assertEqual(written.stderr, b"")
        self.assertEqual(PAGE.read_bytes(), written.stdout, "docs/xep-0045.md is stale: make docs")

    def test_links(self) -> None:
        """Its links lead to files."""
        links = set(re.findall(r"\]\(([^)#]+)\)", PAGE.read_text("utf-8")))
        self.assertTrue(links)
        self.assertEqual([link for link in sorted(links) if not (PAGE.parent / link).is_file()], [])
