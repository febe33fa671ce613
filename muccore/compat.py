# -*- test-case-name: tests.test_compat -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What wokkel 18 expects of Twisted and no longer finds there.

Names have gone from C{twisted.python.compat}, and C{twisted.python.constants} is now the package C{constantly}. They
are put back before wokkel is imported; everything of wokkel that muccore or a third party's handler uses then
imports and works.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import constantly
from twisted.python import compat

_K = TypeVar("_K")
_V = TypeVar("_V")


def _iteritems(mapping: Mapping[_K, _V]) -> Iterator[tuple[_K, _V]]:
    return iter(mapping.items())


def _itervalues(mapping: Mapping[Any, _V]) -> Iterator[_V]:
    return iter(mapping.values())


def _iterkeys(mapping: Iterable[_K]) -> Iterator[_K]:
    return iter(mapping)


_NAMES: dict[str, object] = {
    "_PY3": True,
    "unicode": str,
    "iteritems": _iteritems,
    "itervalues": _itervalues,
    "iterkeys": _iterkeys,
    "range": range,
}


def install() -> None:
    """Put the missing names back. Names that Twisted still has are left alone; calling twice changes nothing."""
    for name, value in _NAMES.items():
        if not hasattr(compat, name):
            setattr(compat, name, value)
    sys.modules.setdefault("twisted.python.constants", constantly)
