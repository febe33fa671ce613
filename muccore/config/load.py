# -*- test-case-name: tests.config.test_load -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Reads a configuration file into L{Settings}, or reports all its problems."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, cast

from twisted.python.filepath import FilePath

from muccore.config import ini
from muccore.config.errors import ConfigError, InvalidValue, Problem, quoted, suggestion
from muccore.config.option import Option
from muccore.config.schema import HANDLER_SECTION, NAMED_OPTIONS, NAMED_SECTIONS, OPTIONS, SECTIONS, Settings
from muccore.config.types import HostName
from muccore.config.validation import CHECKS

DEFAULT_PATH: Final = "/etc/muccore/server.cfg"
"""The default configuration file of the commands."""


class _NotRead(Exception):
    """A check uses a value that could not be read."""


class _PartialSettings:
    """A substitute for settings, or a section, of which some values could not be read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        raise _NotRead(name)


def load(path: str) -> Settings:
    """Read a configuration file; L{ConfigError} has all its problems."""
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

    @param path: the file, whose folder is the base of relative paths.
    @raise ConfigError: with all its problems.
    """
    reader = _SettingsReader(path)
    settings = reader.read(data)
    if reader.problems:
        raise ConfigError(sorted(reader.problems, key=lambda problem: (problem.line is None, problem.line or 0)))
    return settings


class _SettingsReader:
    """Reads one file. C{problems} has its problems in the order in which they were found."""

    def __init__(self, path: str) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._base = FilePath(os.path.dirname(os.path.abspath(path)))
        self._lines: dict[tuple[str, str], int] = {}

    def read(self, data: bytes) -> Settings:
        """Read the settings; incomplete if there are problems."""
        sections = ini.read(data, self._report)
        if self.problems and not sections:
            # It is not text: do not report missing options.
            return cast(Settings, _PartialSettings({}))
        self._checkNames(sections)
        values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        for option in OPTIONS.values():
            self._readOption(option, option.section, sections.get(option.section), values[option.section])
        named = self._readNamedSections(sections)
        handlers = self._readHandlerSections(sections, values, named["host"])
        common: dict[str, Any] = {
            "named": named, "handlers": handlers, "base": self._base, "path": self._path, "lines": self._lines,
        }
        known = cast(
            Settings, _PartialSettings({name: _PartialSettings(found) for name, found in values.items()} | common)
        )
        for check in CHECKS:
            try:
                for section, name, text in check(known):
                    # Of a key that is missing, the line of its section.
                    line = sections[section].number if section in sections else None
                    self._report(self._lines.get((section, name), line), section, name or None, text)
            except _NotRead:
                continue
        if self.problems:
            return known
        return Settings(**{name: SECTIONS[name](**found) for name, found in values.items()}, **common)

    def _report(self, line: int | None, section: str | None, key: str | None, text: str) -> None:
        self.problems.append(Problem(self._path, text, line, section, key))

    def _checkNames(self, sections: Mapping[str, ini.Section]) -> None:
        for name, section in sections.items():
            if name.startswith(HANDLER_SECTION):
                continue
            kind, named, _ = name.partition(" ")
            if named and kind in NAMED_SECTIONS:
                self._checkKeys(name, kind, section, NAMED_OPTIONS)
            elif name in SECTIONS:
                self._checkKeys(name, name, section, OPTIONS)
            else:
                known = (*SECTIONS, *(f"{kind} NAME" for kind in NAMED_SECTIONS))
                allowed = _with(f"allowed: {', '.join(known)}", suggestion(name, known))
                self._report(section.number, name, None, f"no such section; {allowed}")

    def _checkKeys(
        self, title: str, name: str, section: ini.Section, options: Mapping[tuple[str, str], Option]
    ) -> None:
        for key, entry in section.entries.items():
            if (name, key) not in options:
                self._report(entry.number, title, key, f"no such key; {_similarKeys(name, key, options)}")

    def _readNamedSections(self, sections: Mapping[str, ini.Section]) -> dict[str, dict[str, Any]]:
        """Read the sections of L{NAMED_SECTIONS}, by kind and prepared name."""
        found: dict[str, dict[str, Any]] = {kind: {} for kind in NAMED_SECTIONS}
        for title, section in sections.items():
            kind, named, name = title.partition(" ")
            if not named or kind not in NAMED_SECTIONS:
                continue
            before = len(self.problems)
            try:
                name = HostName().parse(name.strip(), self._base)
            except InvalidValue as e:
                text = f"found {quoted(name)} ({e.why}); allowed: {kind} and {HostName.allowed}"
                self._report(section.number, title, None, text)
                continue
            if name in found[kind]:
                self._report(section.number, title, None, "found the section again; allowed: once")
            self._lines[f"{kind} {name}", ""] = section.number
            values: dict[str, Any] = {}
            for option in NAMED_OPTIONS.values():
                if option.section == kind:
                    self._readOption(option, f"{kind} {name}", section, values)
            complete = len(self.problems) == before
            found[kind][name] = NAMED_SECTIONS[kind](**values) if complete else _PartialSettings(values)
        return found

    def _readHandlerSections(
        self,
        sections: Mapping[str, ini.Section],
        values: Mapping[str, Mapping[str, Any]],
        hosts: Mapping[str, Any],
    ) -> dict[str, dict[str, str]]:
        """Read the options of handlers; report a section of a handler that no list of handlers names."""
        lists = [(values["server"], "extraHandlers"), (values["muc"], "extraHandlers")]
        lists += [(vars(host), key) for host in hosts.values() for key in ("extraHandlers", "mucExtraHandlers")]
        named = sorted({handler.name for found, key in lists for handler in found.get(key) or ()})
        complete = all(key in found for found, key in lists)
        options: dict[str, dict[str, str]] = {}
        for name, section in sections.items():
            if not name.startswith(HANDLER_SECTION):
                continue
            handler = name.removeprefix(HANDLER_SECTION)
            # A list that could not be read may have named it.
            if handler not in named and complete:
                allowed = ", ".join(HANDLER_SECTION + other for other in named) or "none"
                text = f"extra_handlers names no handler {quoted(handler)}; allowed: {allowed}"
                self._report(section.number, name, None, _with(text, suggestion(handler, named)))
            options[handler] = {}
            for key, entry in section.entries.items():
                self._lines[name, key] = entry.number
                options[handler][key] = "\n".join(line.text for line in entry.lines)
        return options

    def _readOption(self, option: Option, title: str, section: ini.Section | None, values: dict[str, Any]) -> None:
        entry = section.entries.get(option.name) if section is not None else None
        if entry is None:
            if option.default is None:
                line = section.number if section is not None else None
                text = f"found nothing, and there is no default; allowed: {option.type.allowed}"
                self._report(line, title, option.name, text)
            else:
                values[option.attribute] = option.type.parse(option.default, self._base)
            return
        self._lines[title, option.name] = entry.number
        before = len(self.problems)

        def reject(line: int, found: str, error: InvalidValue) -> None:
            self._report(line, title, option.name, _rejection(option, found, error))

        value = option.type.read(entry.lines, entry.number, self._base, reject)
        if len(self.problems) == before:
            values[option.attribute] = value


def _with(text: str, hint: str) -> str:
    return f"{text} ({hint})" if hint else text


def _rejection(option: Option, found: str, error: InvalidValue) -> str:
    shown = quoted(found) if found else "nothing"
    why = f" ({error.why})" if error.why else ""
    return _with(f"found {shown}{why}; allowed: {option.type.allowed}", error.hint)


def _similarKeys(section: str, name: str, options: Mapping[tuple[str, str], Option]) -> str:
    """Suggest the same key in another section, or a similar one in this section."""
    own = [known for at, known in options if at == section]
    elsewhere = [at for at, known in OPTIONS if known == name]
    hint = f"did you mean {name!r} in [{elsewhere[0]}]?" if elsewhere else suggestion(name, own)
    return _with(f"allowed: {', '.join(own)}", hint)
