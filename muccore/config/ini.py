# -*- test-case-name: tests.config.test_ini -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A strict reader of INI files that remembers line numbers and reports everything that is wrong, not the first thing.

The standard library's C{configparser} forgets where a value stood and stops at the first error. The form is a subset
of what it reads: C{[section]}, C{key = value}, lines that begin with white space continue the value above, whole
lines that begin with C{#} or C{;} are comments. Nothing is interpolated, nothing may stand twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from muccore.config.errors import quoted

_SECTION: Final = re.compile(r"\[\s*([^\[\]]*?)\s*\]\Z")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BOM: Final = "\ufeff"


@dataclass(frozen=True)
class Line:
    """
    One line of a value.

    @ivar number: where it stands, from 1.
    @ivar text: without white space around it.
    """

    number: int
    text: str


@dataclass
class Entry:
    """
    One key with its value.

    @ivar number: the line of the key.
    @ivar lines: the value's lines, none of them empty.
    """

    number: int
    lines: list[Line] = field(default_factory=list)


@dataclass
class Section:
    """
    One section.

    @ivar number: the line of its head.
    @ivar entries: its keys.
    """

    number: int
    entries: dict[str, Entry] = field(default_factory=dict)


Report = Callable[[int, str | None, str | None, str], None]
"""Takes line, section, key and text of a problem."""


def read(data: bytes, complain: Report) -> dict[str, Section]:
    """
    Read a file's content.

    @param data: the bytes of the file.
    @param complain: called for everything that is wrong with the form.
    @return: the sections by name, with whatever could be made out.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        number = data.count(b"\n", 0, e.start) + 1
        complain(number, None, None, f"found the byte 0x{data[e.start]:02x}, which is not UTF-8; allowed: UTF-8 text")
        return {}
    return _Reader(complain).read(text.removeprefix(_BOM))


class _Reader:
    def __init__(self, complain: Report) -> None:
        self._report = complain
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
            self._report(
                number,
                self._name,
                None,
                f"found {quoted(line)} behind white space, which would continue a value, but there is none above; "
                "allowed: a key or a section at the very start of its line",
            )
        else:
            self._entry.lines.append(Line(number, line))

    def _openSection(self, number: int, line: str) -> None:
        # Whatever comes below a bad head is read into a section that nobody sees, so that it adds no noise.
        self._section, self._entry, self._name = Section(number), None, None
        match = _SECTION.match(line)
        if match is None:
            self._report(number, None, None, f"found {quoted(line)}; allowed: [section] alone on its line")
            return
        name = match[1]
        first = self._sections.get(name)
        if first is not None:
            self._report(
                number, name, None, f"found the section again, it is in line {first.number} already; allowed: once"
            )
            # Its keys still count, so that their own mistakes are told as well.
            self._section, self._name = first, name
            return
        self._sections[name] = self._section
        self._name = name

    def _openEntry(self, number: int, line: str) -> None:
        self._entry = Entry(number)
        key, equals, value = line.partition("=")
        key = key.rstrip()
        if not equals or not key:
            self._report(
                number, self._name, None, f"found {quoted(line)}; allowed: key = value, [section], # comment"
            )
            return
        if self._section is None:
            self._report(number, None, key, "found a key above the first section; allowed: below its [section]")
            return
        value = value.strip()
        if value:
            self._entry.lines.append(Line(number, value))
        first = self._section.entries.get(key)
        if first is not None:
            self._report(
                number,
                self._name,
                key,
                f"found the key again, it is in line {first.number} already; allowed: once",
            )
            return
        self._section.entries[key] = self._entry
