# -*- test-case-name: tests.config -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config}, and their helpers."""

from __future__ import annotations

from muccore.config.errors import ConfigError
from muccore.config.load import parse
from muccore.config.schema import Settings

PATH = "/srv/muccore/etc/server.cfg"
"""The path of the tests' configurations; there is no such file."""

MINIMAL = {
    "server": {"domain": "example.org"},
    "tls": {"certificate": "server.crt", "private_key": "server.key"},
    "auth": {"backend": "memory:"},
    "storage": {"affiliations": "memory:"},
    "muc": {"domain": "rooms.example.org"},
}
"""The required options only."""


def text(**changes: dict[str, str | None]) -> bytes:
    """
    The minimal configuration with other sections and keys.

    @param changes: by section, keys to values; C{None} removes a key.
    """
    lines = []
    for section in {**MINIMAL, **changes}:
        lines.append(f"[{section}]")
        keys: dict[str, str | None] = {**MINIMAL.get(section, {}), **changes.get(section, {})}
        lines.extend(f"{key} = {value}" for key, value in keys.items() if value is not None)
    return "\n".join(lines).encode("utf-8")


def settings(**changes: dict[str, str | None]) -> Settings:
    """The settings of L{text}."""
    return parse(text(**changes), PATH)


def problemsOf(data: bytes) -> list[str]:
    """The lines of the problems of a configuration, without the path of the file."""
    try:
        parse(data, PATH)
    except ConfigError as e:
        return [str(problem).removeprefix(PATH) for problem in e.problems]
    return []
