# -*- test-case-name: tests.config.test_ini -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A strict reader of INI files that keeps line numbers and reports every error, unlike C{configparser}.

The syntax is a subset of C{configparser}'s: C{[section]}, C{key = value}; a line that begins with white space continues
the value above, one that begins with C{#} or C{;} is a comment. Nothing is interpolated; duplicates are errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from muccore.config.errors import quoted

_SECTION: Final = re.compile(r"\[\s*([^\[\]]*?)\s*\]\Z")
_SECRET: Final = re.compile(r"secret\b")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BOM: Final = "\ufeff"


@dataclass(frozen=True)
class Line:
    """A line of a value: its number, from 1, and its text, stripped."""

    number: int
    text: str


@dataclass
class Entry:
    """A key with its value: the line of the key, and the lines of the value, none of them empty."""

    number: int
    lines: list[Line] = field(default_factory=list)


@dataclass
class Section:
    """A section: the line of its header, and its entries by key."""

    number: int
    entries: dict[str, Entry] = field(default_factory=dict)


Report = Callable[[int, str | None, str | None, str], None]
"""Called with line, section, key and text of a problem."""


def read(data: bytes, report: Report) -> dict[str, Section]:
    """
    Read the content of a file.

    @param report: called for every syntax error.
    @return: the sections by name, as far as they could be read.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        number = data.count(b"\n", 0, e.start) + 1
        report(number, None, None, f"found the byte 0x{data[e.start]:02x}, which is not UTF-8; allowed: UTF-8 text")
        return {}
    return _Reader(report).read(text.removeprefix(_BOM))


class _Reader:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._sections: dict[str, Section] = {}
        self._name: str | None = None
        self._section: Section | None = None
        self._entry: Entry | None = None

    def read(self, text: str) -> dict[str, Section]:
        for number, raw in enumerate(_LINE_END.split(text), 1):
            line = raw.strip()
            if not line or line[0] in "#;":
                continue
            if raw[0] in " \t":
                self._continue(number, line)
            elif line[0] == "[":
                self._openSection(number, line)
            else:
                self._openEntry(number, line)
        return self._sections

    def _continue(self, number: int, line: str) -> None:
        if self._entry is None:
            text = "after white space, which would continue a value, but there is none above"
            allowed = "a key or a section at the start of its line"
            self._report(number, self._name, None, f"found {quoted(line)} {text}; allowed: {allowed}")
        else:
            self._entry.lines.append(Line(number, line))

    def _openSection(self, number: int, line: str) -> None:
        # What follows a bad header goes into a section that is not returned, so that it causes no further errors.
        self._section, self._entry, self._name = Section(number), None, None
        match = _SECTION.match(line)
        if match is None:
            self._report(number, None, None, f"found {quoted(line)}; allowed: [section] alone on its line")
            return
        name = match[1]
        first = self._sections.get(name)
        if first is not None:
            self._report(number, name, None, f"found the section again (first in line {first.number}); allowed: once")
            # Its keys are read nevertheless, so that their errors are reported.
            self._section, self._name = first, name
            return
        self._sections[name] = self._section
        self._name = name

    def _openEntry(self, number: int, line: str) -> None:
        self._entry = Entry(number)
        key, equals, value = line.partition("=")
        key = key.rstrip()
        if not equals or not key:
            shown = quoted(line) if _SECRET.match(line) is None else "a secret without ="
            self._report(number, self._name, None, f"found {shown}; allowed: key = value, [section], # comment")
            return
        if self._section is None:
            self._report(number, None, key, "found a key before the first section; allowed: after its [section]")
            return
        value = value.strip()
        if value:
            self._entry.lines.append(Line(number, value))
        first = self._section.entries.get(key)
        if first is not None:
            self._report(number, self._name, key, f"found the key again (first in line {first.number}); allowed: once")
            return
        self._section.entries[key] = self._entry
