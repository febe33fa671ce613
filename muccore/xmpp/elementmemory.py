# -*- test-case-name: tests.xmpp.test_elementmemory -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The memory that elements take."""

from __future__ import annotations

from sys import getsizeof
from typing import Final

from twisted.words.xish import domish

_ELEMENT: Final = 600
"""Bytes of an element without attributes and children."""

_ATTRIBUTE: Final = 150
"""Bytes of an attribute besides its texts."""


def memoryOf(element: domish.Element) -> int:
    """Estimate the memory of an element, in bytes."""
    size, elements = 0, [element]
    while elements:
        each = elements.pop()
        size += _ELEMENT
        for key, value in each.attributes.items():
            size += _ATTRIBUTE + getsizeof(key) + getsizeof(value)
        for child in each.children:
            if isinstance(child, str):
                size += getsizeof(child)
            else:
                elements.append(child)
    return size
