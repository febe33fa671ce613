# -*- test-case-name: tests.config.test_load -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Reads a configuration file into L{Settings}, or says everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, cast

from twisted.python.filepath import FilePath

from muccore.config import ini
from muccore.config.errors import ConfigError, InvalidValue, Problem, quoted, suggestion
from muccore.config.schema import OPTIONS, SECTIONS, Option, Settings
from muccore.config.validation import CHECKS

DEFAULT_PATH: Final = "/etc/muccore/server.cfg"
"""The configuration file of the commands unless they are given another one."""


class _NotRead(Exception):
    """A check asks for a value that could not be read."""


class _PartialSettings:
    """Stands in for a section, or for the settings, while some values could not be read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        raise _NotRead(name)


def load(path: str) -> Settings:
    """
    Read a configuration file.

    @raise ConfigError: with everything that is wrong with it.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) and e.strerror else str(e)
        raise ConfigError([Problem(path, f"cannot be read: {reason}; give the path of a configuration file")]) from None
    return parse(data, path)


def parse(data: bytes, path: str) -> Settings:
    """
    Read the content of a configuration file.

    @param path: where it is from; its folder is where relative paths start.
    @raise ConfigError: with everything that is wrong with it.
    """
    reading = _Reading(path)
    settings = reading.settings(data)
    if reading.problems:
        raise ConfigError(sorted(reading.problems, key=lambda problem: (problem.line is None, problem.line or 0)))
    return settings


class _Reading:
    """
    Reading one file.

    @ivar problems: what is wrong with it, as found.
    """

    def __init__(self, path: str) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._base = FilePath(os.path.dirname(os.path.abspath(path)))
        self._lines: dict[tuple[str, str], int] = {}

    def settings(self, data: bytes) -> Settings:
        """The settings; incomplete if there are problems."""
        sections = ini.read(data, self._report)
        if self.problems and not sections:
            # Not a text at all: nothing more to say about what is not in it.
            return cast(Settings, _PartialSettings({}))
        self._checkNames(sections)
        values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        for key in OPTIONS.values():
            self._readKey(key, sections.get(key.section), values[key.section])
        common: dict[str, Any] = {"base": self._base, "path": self._path, "lines": self._lines}
        known = cast(
            Settings, _PartialSettings({name: _PartialSettings(found) for name, found in values.items()} | common)
        )
        for check in CHECKS:
            try:
                for section, name, text in check(known):
                    self._report(self._lines.get((section, name)), section, name, text)
            except _NotRead:
                continue
        if self.problems:
            return known
        return Settings(**{name: SECTIONS[name](**found) for name, found in values.items()}, **common)

    def _report(self, line: int | None, section: str | None, key: str | None, text: str) -> None:
        self.problems.append(Problem(self._path, text, line, section, key))

    def _checkNames(self, sections: Mapping[str, ini.Section]) -> None:
        for name, section in sections.items():
            if name not in SECTIONS:
                allowed = _with(f"allowed: {', '.join(SECTIONS)}", suggestion(name, SECTIONS))
                self._report(section.number, name, None, f"no such section; {allowed}")
                continue
            for key, entry in section.entries.items():
                if (name, key) not in OPTIONS:
                    self._report(entry.number, name, key, f"no such key; {_keysLike(name, key)}")

    def _readKey(self, key: Option, section: ini.Section | None, values: dict[str, Any]) -> None:
        entry = section.entries.get(key.name) if section is not None else None
        if entry is None:
            if key.default is None:
                line = section.number if section is not None else None
                text = f"found nothing, and there is no default; allowed: {key.type.allowed}"
                self._report(line, key.section, key.name, text)
            else:
                values[key.attribute] = key.type.parse(key.default, self._base)
            return
        self._lines[key.section, key.name] = entry.number
        before = len(self.problems)

        def refuse(line: int, found: str, refusal: InvalidValue) -> None:
            self._report(line, key.section, key.name, _refusal(key, found, refusal))

        value = key.type.read(entry.lines, entry.number, self._base, refuse)
        if len(self.problems) == before:
            values[key.attribute] = value


def _with(text: str, hint: str) -> str:
    return f"{text} ({hint})" if hint else text


def _refusal(key: Option, found: str, refusal: InvalidValue) -> str:
    shown = quoted(found) if found else "nothing"
    why = f" ({refusal.why})" if refusal.why else ""
    return _with(f"found {shown}{why}; allowed: {key.type.allowed}", refusal.hint)


def _keysLike(section: str, name: str) -> str:
    """
    What may have been meant by a key that the section does not have: one of its own, or the same in another section.
    """
    own = [known for at, known in OPTIONS if at == section]
    elsewhere = [at for at, known in OPTIONS if known == name]
    if elsewhere:
        hint = f"did you mean {name!r} in [{elsewhere[0]}]?"
    else:
        hint = suggestion(name, own)
    return _with(f"allowed: {', '.join(own)}", hint)
