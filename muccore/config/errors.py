# -*- test-case-name: tests.config.test_load -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Problems of a configuration, one line for each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_SHOWN: Final = 80


@dataclass(frozen=True)
class Problem:
    """
    A problem; C{str()} is one line for the operator.

    @ivar path: the file, as given.
    @ivar text: what was found, what is allowed, what to do.
    """

    path: str
    text: str
    line: int | None = None
    section: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = _plain(self.path) if self.line is None else f"{_plain(self.path)}:{self.line}"
        words = [] if self.section is None else [f"[{_plain(_cut(self.section))}]"]
        if self.key is not None:
            words.append(_plain(_cut(self.key)))
        return ": ".join([place, " ".join(words), self.text] if words else [place, self.text])


class ConfigError(Exception):
    """The configuration is invalid: C{problems} has every L{Problem} in the order of the file, C{str()} a line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class InvalidValue(ValueError):
    """
    A value is invalid.

    @ivar why: the reason, if "allowed: ..." does not say it, or C{""}.
    @ivar hint: a suggestion, as a clause, or C{""}.
    """

    def __init__(self, why: str = "", hint: str = "") -> None:
        super().__init__(why, hint)
        self.why = why
        self.hint = hint


def quoted(text: str) -> str:
    """Quote a text from the file: cut if long, control characters escaped."""
    return repr(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _plain(text: str) -> str:
    """Escape what would break the line or control a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def suggestion(found: str, names: Iterable[str]) -> str:
    """C{"did you mean 'x'?"} for the most similar name, or C{""} if none is similar."""
    known = {name.lower(): name for name in names}
    similar = difflib.get_close_matches(found.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    return f"did you mean {known[similar[0]]!r}?" if similar else ""
