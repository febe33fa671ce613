# -*- test-case-name: tests.im.test_filters -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Merges the tables of filters of a domain's handlers (L{muccore.interfaces.filters})."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MethodType
from typing import Any, Final

from muccore.interfaces.filters import IFilterHandler
from muccore.interfaces.handlers import InvalidHandler
from muccore.routing.dispatch import handlerName

Filters = dict[str, tuple[Callable[..., Any], ...]]
"""The filters for each kind of stanza, in order."""

TABLES: Final = ("outbound",)
"""The attributes of L{IFilterHandler}."""

_STANZAS: Final = ("message", "presence", "iq")


def mergeFilters(handlers: Iterable[Any], table: str) -> Filters:
    """
    Merge the tables of one name.

    @param handlers: in the order in which they were added.
    @raise InvalidHandler: if a line is invalid.
    """
    found: dict[str, list[tuple[int, Callable[..., Any]]]] = {name: [] for name in _STANZAS}
    for handler in handlers:
        for key, function in _table(handler, table).items():
            if not (isinstance(key, tuple) and len(key) == 2 and key[0] in found and isinstance(key[1], int)):
                raise InvalidHandler(f"{handlerName(handler)} has {key!r} in {table!r}, which is no key of it")
            if not callable(function):
                raise InvalidHandler(f"{handlerName(handler)} has {function!r} in {table!r}; a table holds functions")
            found[key[0]].append((key[1], MethodType(function, handler)))
    # The sort is stable.
    return {
        name: tuple(method for _, method in sorted(lines, key=lambda line: line[0])) for name, lines in found.items()
    }


def checkNoFilters(handlers: Iterable[Any]) -> None:
    """
    Check that handlers have no filters.

    @raise InvalidHandler: for the first that has one.
    """
    for handler in handlers:
        if any(_table(handler, table) for table in TABLES):
            raise InvalidHandler(f"{handlerName(handler)} has filters, which only a domain of accounts applies")


def _table(handler: Any, table: str) -> Any:
    return getattr(handler, table, {}) if IFilterHandler.providedBy(handler) else {}
