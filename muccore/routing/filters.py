# -*- test-case-name: tests.im.test_filters -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Merges the tables of filters of a domain's handlers (L{muccore.interfaces.filters}) and applies them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MethodType
from typing import Any, Final

from muccore.interfaces.filters import CONSUMED, IFilterHandler
from muccore.interfaces.handlers import InvalidHandler
from muccore.routing.dispatch import handlerName
from muccore.xmpp.element import Element

Filters = tuple[Callable[..., Any], ...]
"""The filters for one kind of stanza, in order."""

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "outbound": ("message", "presence", "iq"),
    "inbound": ("message", "presence", "iq"),
    "redelivered": ("message",),
    "offline": ("message",),
}
"""The attributes of L{IFilterHandler} and the stanzas that each is for."""


def mergeFilters(handlers: Iterable[Any]) -> dict[str, dict[str, Filters]]:
    """
    Merge the tables of filters of handlers.

    @param handlers: in the order in which they were added.
    @return: by name of the table, then by kind of stanza.
    @raise InvalidHandler: if a line is invalid.
    """
    handlers = list(handlers)
    return {table: _merge(handlers, table, kinds) for table, kinds in TABLES.items()}


def _merge(handlers: list[Any], table: str, kinds: tuple[str, ...]) -> dict[str, Filters]:
    found: dict[str, list[tuple[int, Callable[..., Any]]]] = {kind: [] for kind in kinds}
    for handler in handlers:
        for key, function in _table(handler, table).items():
            if not (isinstance(key, tuple) and len(key) == 2 and key[0] in found and isinstance(key[1], int)):
                raise InvalidHandler(f"{handlerName(handler)} has {key!r} in {table!r}, which is no key of it")
            if not callable(function):
                raise InvalidHandler(f"{handlerName(handler)} has {function!r} in {table!r}; a table holds functions")
            found[key[0]].append((key[1], MethodType(function, handler)))
    # The sort is stable.
    for lines in found.values():
        lines.sort(key=lambda line: line[0])
    return {kind: tuple(method for _, method in lines) for kind, lines in found.items()}


def checkNoFilters(handlers: Iterable[Any]) -> None:
    """@raise InvalidHandler: for the first of some handlers that has filters."""
    for handler in handlers:
        if any(_table(handler, table) for table in TABLES):
            raise InvalidHandler(f"{handlerName(handler)} has filters, which only a domain of accounts applies")


def _table(handler: Any, table: str) -> Any:
    return getattr(handler, table, {}) if IFilterHandler.providedBy(handler) else {}


def passed(result: Any) -> bool:
    """Whether the result of a filter passes a stanza on; L{TypeError} if it is neither a stanza nor L{CONSUMED}."""
    if result is CONSUMED:
        return False
    if not isinstance(result, Element):
        raise TypeError(f"a filter returned {type(result).__name__}")
    return True
