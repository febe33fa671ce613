# -*- test-case-name: tests.tools.test_requirements -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The requirements of a specification, with the tests that hold them: the file C{docs/requirements/xep-0045.txt}.

Lines without indentation begin something: C{specification: NAME}, a section (C{§7.2.1 Title}), a requirement of it
(C{7.2.1-2 MUST: text}), an example (C{Example 19: title}), or words of a sentence that binds somebody else
(C{others: words}). Below a requirement or an example stand, indented by two spaces, C{says: words} of the
specification (only for requirements), C{test: path or dotted name}, C{decided: reason} and C{pending: what}. Four
spaces continue the line before. C{#} begins a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

LEVELS: Final = (
    "MUST", "MUST NOT", "SHALL", "SHALL NOT", "REQUIRED", "SHOULD", "SHOULD NOT", "RECOMMENDED", "MAY", "OPTIONAL",
    "STATED",
)  # fmt: skip
"""The levels of requirements (RFC 2119). C{STATED} is a rule that the specification states without such a word."""

_SECTION: Final = re.compile(r"§(\d+(?:\.\d+)*) (.+)")
_REQUIREMENT: Final = re.compile(rf"(\d+(?:\.\d+)*)-(\d+) ({'|'.join(sorted(LEVELS, reverse=True))}): (.+)")
_EXAMPLE: Final = re.compile(r"Example (\d+): (.+)")
_ATTRIBUTE: Final = re.compile(r"  (says|test|decided|pending): (.+)")


class RequirementsError(Exception):
    """A mistake in the file, as C{FILE:LINE: WHAT}."""


@dataclass
class Requirement:
    """
    A requirement, or an example, of which what is shown has to happen.

    @ivar id: section and number, such as C{7.2.1-2}; of an example only the number.
    @ivar level: one of L{LEVELS}; C{""} for an example.
    @ivar text: a paraphrase; of an example the title.
    @ivar says: words of the sentence, by which it is found in the specification.
    @ivar tests: paths of scenarios and dotted names of test methods.
    @ivar decided: why muccore does otherwise, or what it does where the specification leaves a choice.
    @ivar pending: what is being built for it.
    """

    id: str
    level: str
    text: str
    says: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)
    decided: str = ""
    pending: str = ""


@dataclass
class Section:
    """
    A section of the specification.

    @ivar others: words of its sentences that bind clients, users or other specifications.
    """

    number: str
    title: str
    requirements: list[Requirement] = field(default_factory=list)
    examples: list[Requirement] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass
class Requirements:
    """
    All requirements of a specification.

    @ivar specification: its name and version.
    """

    specification: str
    sections: list[Section]

    def all(self) -> Iterator[tuple[Section, Requirement]]:
        """Every requirement and every example with its section."""
        for section in self.sections:
            for each in (*section.requirements, *section.examples):
                yield section, each


def parse(text: str, name: str) -> Requirements:
    """
    Parse a file.

    @param name: its name, for errors.
    @raise RequirementsError: for the first line that is not understood, or whose section, requirement or example is not
        in its order.
    """
    parser = _Parser()
    for number, line in _logicalLines(text):
        try:
            parser.take(line)
        except ValueError as e:
            raise RequirementsError(f"{name}:{number}: {e}") from None
    if not parser.found.specification:
        raise RequirementsError(f"{name}:1: the specification is not named")
    return parser.found


def _logicalLines(text: str) -> Iterator[tuple[int, str]]:
    """The lines without comments and empty ones, each with those that continue it."""
    begun: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("    ") and begun is not None:
            begun = begun[0], f"{begun[1]} {line.strip()}"
            continue
        if begun is not None:
            yield begun
        begun = number, line.rstrip()
    if begun is not None:
        yield begun


class _Parser:
    """Takes line by line; a L{ValueError} says what is wrong."""

    def __init__(self) -> None:
        self.found = Requirements("", [])
        self._owner: Requirement | None = None

    def take(self, line: str) -> None:
        attribute = _ATTRIBUTE.fullmatch(line)
        if attribute:
            self._takeAttribute(attribute[1], attribute[2])
            return
        self._owner = None
        sections = self.found.sections
        if line.startswith("specification: ") and not self.found.specification:
            self.found.specification = line.partition(" ")[2]
        elif match := _SECTION.fullmatch(line):
            sections.append(Section(match[1], match[2]))
            _checkOrder(tuple(map(int, section.number.split("."))) for section in sections)
        elif not sections:
            raise ValueError(f"not understood before the first section: {line.strip()[:60]}")
        elif line.startswith("others: "):
            sections[-1].others.append(line.partition(" ")[2])
        elif match := _REQUIREMENT.fullmatch(line):
            self._takeRequirement(sections[-1], match[1], match[2], match[3], match[4])
        elif match := _EXAMPLE.fullmatch(line):
            self._owner = Requirement(match[1], "", match[2])
            sections[-1].examples.append(self._owner)
            _checkOrder((int(each.id),) for section in sections for each in section.examples)
        else:
            raise ValueError(f"not understood: {line.strip()[:60]}")

    def _takeRequirement(self, section: Section, number: str, index: str, level: str, text: str) -> None:
        expected = f"{section.number}-{len(section.requirements) + 1}"
        if f"{number}-{index}" != expected:
            raise ValueError(f"the next requirement here is {expected}")
        self._owner = Requirement(expected, level, text)
        section.requirements.append(self._owner)

    def _takeAttribute(self, name: str, value: str) -> None:
        owner = self._owner
        if owner is None or (name == "says" and not owner.level):
            raise ValueError(f"{name} has to be below a requirement")
        if name in ("says", "test"):
            values = owner.says if name == "says" else owner.tests
            if value in values:
                raise ValueError(f"twice: {value}")
            values.append(value)
        elif owner.decided or owner.pending:
            raise ValueError(f"{owner.id} is decided or pending already")
        else:
            setattr(owner, name, value)


def _checkOrder(keys: Iterable[tuple[int, ...]]) -> None:
    if any(first >= second for first, second in pairwise(keys)):
        raise ValueError("not in order")
