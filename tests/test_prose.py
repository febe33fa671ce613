# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of the prose in code and documents: people are "they"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (".ci", "benchmarks", "docs", "etc", "muccore", "tests", "twisted")
EXEMPT = frozenset([Path(__file__), ROOT / "tests" / "scenarios" / "muc_members_only_deregister.scs"])
"""The second is taken over as it is."""
SUFFIXES = frozenset([".cfg", ".conf", ".md", ".py", ".scs", ".service", ".txt", ""])
PRONOUN = re.compile(r"\b([Hh]e|[Hh]is|[Hh]im|[Hh]imself)\b")


def documents() -> Iterator[Path]:
    """Every text file of the project that is not exempt."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in SUFFIXES and path.name[0] != ".")
    for folder in FOLDERS:
        for path in sorted(ROOT.joinpath(folder).rglob("*")):
            if path.is_file() and path.suffix in SUFFIXES and path not in EXEMPT:
                yield path


def pronouns(text: str) -> list[int]:
    """The numbers of the lines with gendered pronouns."""
    return [number for number, line in enumerate(text.splitlines(), 1) if PRONOUN.search(line)]


class ProseTests(SynchronousTestCase):
    """Words about people."""

    def test_pronouns(self) -> None:
        """No code or document has gendered pronouns."""
        found = []
        for path in documents():
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            found += [f"{path.relative_to(ROOT)}:{number}" for number in pronouns(text)]
        self.assertEqual(found, [])

    def test_found(self) -> None:
        """They are found as whole words only."""
        self.assertEqual(pronouns("the history\nHe left\nasks him.\nthis is the theme"), [2, 3])
