# -*- test-case-name: tests.pubsub.model.test_configuration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The kinds of values that options of nodes have: in a form, in memory and in a store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol, cast

from muccore.xmpp.dataforms import Field, Value
from muccore.xmpp.errors import StanzaError

_DIGITS: Final = re.compile("[0-9]{1,10}")

_NAME_LIMIT: Final = 1023
"""Characters of one of several names."""

_MAX: Final = "max"


class Kind(Protocol):
    """A kind of values."""

    def field(self, var: str, label: str) -> Field:
        """The field of a form."""

    def shown(self, value: Any, limits: Any) -> Value:
        """A value as in a form."""

    def read(self, var: str, value: Value, limits: Any) -> Any:
        """A value from a form; raises L{StanzaError} C{not-acceptable} if it is invalid."""

    def equal(self, one: Any, other: Any) -> bool:
        """Whether two values mean the same."""

    def toStored(self, value: Any) -> list[str]:
        """A value as it is stored."""

    def fromStored(self, values: Sequence[str]) -> Any:
        """A value that was stored."""


def _unacceptable(var: str, text: str) -> StanzaError:
    return StanzaError("not-acceptable", text=f"{var}: {text}")


class Text:
    """A line of text."""

    def __init__(self, length: int) -> None:
        """@param length: its characters, at most."""
        self._length = length

    def field(self, var: str, label: str) -> Field:
        """See L{Kind.field}."""
        return Field("text-single", var, label)

    def shown(self, value: str, limits: Any) -> Value:
        """See L{Kind.shown}."""
        return value or None

    def read(self, var: str, value: Value, limits: Any) -> str:
        """See L{Kind.read}."""
        text = cast(str, value)
        if len(text) > self._length:
            raise _unacceptable(var, f"longer than {self._length} characters")
        return text

    def equal(self, one: Any, other: Any) -> bool:
        """See L{Kind.equal}."""
        return bool(one == other)

    def toStored(self, value: str) -> list[str]:
        """See L{Kind.toStored}."""
        return [value]

    def fromStored(self, values: Sequence[str]) -> Any:
        """See L{Kind.fromStored}."""
        return values[0]


class Choice(Text):
    """One of several values."""

    def __init__(self, options: Sequence[tuple[str, str]]) -> None:
        """@param options: each with its label."""
        super().__init__(max(len(value) for value, _ in options))
        self._options = tuple(options)

    def field(self, var: str, label: str) -> Field:
        """See L{Kind.field}."""
        return Field("list-single", var, label, self._options)


class Flag:
    """Yes or no."""

    def field(self, var: str, label: str) -> Field:
        """See L{Kind.field}."""
        return Field("boolean", var, label)

    def shown(self, value: bool, limits: Any) -> Value:
        """See L{Kind.shown}."""
        return value

    def read(self, var: str, value: Value, limits: Any) -> bool:
        """See L{Kind.read}."""
        return cast(bool, value)

    def equal(self, one: Any, other: Any) -> bool:
        """See L{Kind.equal}."""
        return bool(one == other)

    def toStored(self, value: bool) -> list[str]:
        """See L{Kind.toStored}."""
        return ["1" if value else "0"]

    def fromStored(self, values: Sequence[str]) -> bool:
        """See L{Kind.fromStored}."""
        return values[0] == "1"


class Number:
    """A positive number; C{None}: as many as may be."""

    def __init__(self, limit: int | str, named: bool) -> None:
        """
        @param limit: the largest number, or the attribute of the limits that is.
        @param named: whether the word C{max} stands for C{None} in forms, instead of the largest number.
        """
        self._limit = limit
        self._named = named

    def _greatest(self, limits: Any) -> int:
        return int(getattr(limits, self._limit)) if isinstance(self._limit, str) else self._limit

    def field(self, var: str, label: str) -> Field:
        """See L{Kind.field}."""
        return Field("text-single", var, label)

    def shown(self, value: int | None, limits: Any) -> Value:
        """See L{Kind.shown}."""
        if value is None:
            return _MAX if self._named else str(self._greatest(limits))
        return str(value)

    def read(self, var: str, value: Value, limits: Any) -> int | None:
        """See L{Kind.read}."""
        text, greatest = cast(str, value).strip(), self._greatest(limits)
        if self._named and text == _MAX:
            return None
        if not _DIGITS.fullmatch(text) or not 1 <= int(text) <= greatest:
            raise _unacceptable(var, f"not a number from 1 to {greatest}{', nor max' if self._named else ''}")
        return None if not self._named and int(text) == greatest else int(text)

    def equal(self, one: Any, other: Any) -> bool:
        """See L{Kind.equal}."""
        return bool(one == other)

    def toStored(self, value: int | None) -> list[str]:
        """See L{Kind.toStored}."""
        return [_MAX if value is None else str(value)]

    def fromStored(self, values: Sequence[str]) -> int | None:
        """See L{Kind.fromStored}."""
        return None if values[0] == _MAX else int(values[0])


class Names:
    """Several names, or addresses, whose order does not matter."""

    def __init__(self, number: int, type: str) -> None:
        """
        @param number: how many, at most.
        @param type: the type of the field.
        """
        self._number = number
        self._type = type

    def field(self, var: str, label: str) -> Field:
        """See L{Kind.field}."""
        return Field(self._type, var, label, open=True)

    def shown(self, value: Sequence[str], limits: Any) -> Value:
        """See L{Kind.shown}."""
        return value

    def read(self, var: str, value: Value, limits: Any) -> tuple[str, ...]:
        """See L{Kind.read}."""
        names = tuple(str(each) for each in cast(Sequence[Any], value))
        if len(names) > self._number or any(len(name) > _NAME_LIMIT for name in names):
            raise _unacceptable(var, f"more than {self._number} of them, or one that is too long")
        return names

    def equal(self, one: Any, other: Any) -> bool:
        """See L{Kind.equal}."""
        return set(one) == set(other)

    def toStored(self, value: Sequence[str]) -> list[str]:
        """See L{Kind.toStored}."""
        return list(value)

    def fromStored(self, values: Sequence[str]) -> tuple[str, ...]:
        """See L{Kind.fromStored}."""
        return tuple(values)
