# -*- test-case-name: tests.config.test_load -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What is wrong with a configuration, one line for each problem."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_SHOWN: Final = 80


@dataclass(frozen=True)
class Problem:
    """
    One thing that is wrong; C{str()} of it is one line for the operator.

    @ivar path: the file, as it was given.
    @ivar text: what was found, what is allowed, what to do.
    @ivar line: the line's number, or C{None} where there is no line to point at.
    @ivar section: the section's name, or C{None}.
    @ivar key: the key's name, or C{None}.
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
    """
    The configuration cannot be used; C{str()} of it has one line for each problem.

    @ivar problems: every L{Problem}, in the order of the file.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class InvalidValue(ValueError):
    """
    A value is not one of those that its key takes.

    @ivar why: what exactly is wrong with it, where "allowed: ..." does not say it already, or C{""}.
    @ivar hint: what may have been meant, a whole clause, or C{""}.
    """

    def __init__(self, why: str = "", hint: str = "") -> None:
        super().__init__(why, hint)
        self.why = why
        self.hint = hint


def quoted(text: str) -> str:
    """A found text for a problem's line: in quotes, cut where it is long, control characters escaped."""
    return repr(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _plain(text: str) -> str:
    """A name without anything that would break the line or steer a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def suggestion(found: str, names: Iterable[str]) -> str:
    """C{"did you mean 'x'?"} for the name that is most like what was found, or C{""} if none is like it."""
    known = {name.lower(): name for name in names}
    similar = difflib.get_close_matches(found.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    return f"did you mean {known[similar[0]]!r}?" if similar else ""
