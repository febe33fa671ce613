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

import constantly
from twisted.python import compat

_NAMES: dict[str, object] = {
    "_PY3": True,
    "unicode": str,
    "iteritems": lambda mapping: iter(mapping.items()),
    "itervalues": lambda mapping: iter(mapping.values()),
    "iterkeys": iter,
    "range": range,
}


def install() -> None:
    """Put the missing names back. Names that Twisted still has are left alone; calling twice changes nothing."""
    for name, value in _NAMES.items():
        if not hasattr(compat, name):
            setattr(compat, name, value)
    sys.modules.setdefault("twisted.python.constants", constantly)
