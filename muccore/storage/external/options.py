# -*- test-case-name: tests.storage.external.test_options -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Descriptions of several lines: what a store is at, and below it an option on each line, C{name = value}.

    program:/usr/local/bin/check
        processes = 4
        timeout = 5
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from twisted.python.filepath import FilePath

from muccore.interfaces import BadDescription, StoreUnavailable

_SECRET_LIMIT: Final = 4096
"""Bytes of a file with a secret."""

_T = TypeVar("_T")

Parse = Callable[[str, FilePath[str]], _T]
"""Parses a value, relative to a folder; C{ValueError} says what is allowed."""


@dataclass(frozen=True)
class StoreOption:
    """
    An option in a description.

    @ivar name: its name.
    @ivar parse: parses its value.
    @ivar default: its value if it is not given.
    """

    name: str
    parse: Parse[Any]
    default: Any


def parseDescription(
    scheme: str, argument: str, base: FilePath[str], options: tuple[StoreOption, ...]
) -> tuple[str, Mapping[str, Any]]:
    """
    Parse what follows the colon of a description.

    @param scheme: what precedes it, for errors.
    @param base: the base of relative paths.
    @return: the first line, and the value of each option.
    @raise BadDescription: for an unknown, repeated or invalid option; with its line.
    """
    place, *lines = argument.split("\n")
    known = {option.name: option for option in options}
    values: dict[str, Any] = {}
    for number, line in enumerate(lines, 1):
        name, equals, text = (part.strip() for part in line.partition("="))
        if not equals or name not in known:
            close = difflib.get_close_matches(name.lower(), known, 1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            # Not the whole line: it may be a secret in the wrong place.
            found = f"{scheme}: has no option {name[:40]!r}" if equals else f"{scheme}: an option has no equals sign"
            raise BadDescription(f"{found}{hint}; allowed: {', '.join(known)}", number)
        if name in values:
            raise BadDescription(f"{scheme}: has the option {name!r} twice; allowed: once", number)
        try:
            values[name] = known[name].parse(text, base)
        except ValueError as e:
            raise BadDescription(f"{scheme}: {name} = {text!r}; allowed: {e}", number) from None
    return place.strip(), {option.name: values.get(option.name, option.default) for option in options}


def seconds(least: float, most: float) -> Parse[float]:
    """Parse seconds within bounds."""

    def parse(text: str, base: FilePath[str]) -> float:
        try:
            value = float(text.removesuffix("s").strip())
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ValueError(f"seconds, {least:g} to {most:g}")
        return value

    return parse


def integer(least: int, most: int) -> Parse[int]:
    """Parse an integer within bounds."""

    def parse(text: str, base: FilePath[str]) -> int:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if not least <= value <= most:
            raise ValueError(f"a number, {least} to {most}")
        return value

    return parse


def choice(**words: _T) -> Parse[_T]:
    """Parse one of some words, which stand for the values."""

    def parse(text: str, base: FilePath[str]) -> _T:
        if text not in words:
            raise ValueError(", ".join(words))
        return words[text]

    return parse


yesOrNo: Final = choice(yes=True, no=False)
"""Parses a switch."""


def path(text: str, base: FilePath[str]) -> FilePath[str]:
    """Parse the path of a file."""
    if not text or "\0" in text or text.endswith(os.sep):
        raise ValueError("the path of a file")
    return FilePath(os.path.join(base.path, text))


def readSecret(file: FilePath[str]) -> str:
    """
    Read a secret: the only line of a file.

    @raise StoreUnavailable: if it cannot be read, or is not one line of UTF-8; without its content.
    """
    try:
        with open(file.path, "rb") as opened:
            content = opened.read(_SECRET_LIMIT + 1)
    except OSError as e:
        raise StoreUnavailable(f"{file.path}: it cannot be read ({e.strerror}); check its path and mode") from None
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        lines = []
    if len(content) > _SECRET_LIMIT or len(lines) != 1 or not lines[0]:
        raise StoreUnavailable(f"{file.path}: a secret is one line of UTF-8 of at most {_SECRET_LIMIT} bytes")
    return lines[0]
