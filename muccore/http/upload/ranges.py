# -*- test-case-name: tests.http.upload.test_ranges -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Range requests (RFC 9110 §14): one range of bytes. Several are answered with the whole, which §14.2 allows."""

from __future__ import annotations

import re
from typing import Final

_RANGE: Final = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))[ \t]*", re.IGNORECASE)


class NotSatisfiable(Exception):
    """The range is outside of the file."""


def parseRange(text: str, size: int) -> tuple[int, int] | None:
    """
    Parse the header C{Range}.

    @param size: of the file, at least 1.
    @return: the first byte, and that after the last; C{None} for the whole file.
    @raise NotSatisfiable: if nothing of the file is in the range.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        if not int(suffix):
            raise NotSatisfiable
        return max(0, size - int(suffix)), size
    start = int(first)
    if last is not None and int(last) < start:
        return None
    if start >= size:
        raise NotSatisfiable
    return start, size if last is None else min(int(last) + 1, size)
