# -*- test-case-name: tests.xmpp.test_datetimes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Dates and times (XEP-0082, the DateTime profile)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from math import floor
from time import gmtime
from typing import Any, Final

from muccore.xmpp.specs import Spec

implements = (Spec(82, "XMPP Date and Time Profiles", "1.1.1", "The DateTime profile."),)

_STAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,32})?"
    r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
)
"""Offsets are at most 14 hours (XML Schema part 2, §3.2.7.3)."""

_LAST: Final = 253402300799
"""The last second of the year 9999."""

_FIRST: Final = -62135596800
"""The first second of the year 1."""


def timeOfDay(clock: Any) -> Callable[[], float]:
    """
    The time of day that goes with a clock, in seconds since the epoch: for stamps, and for what is kept over a restart.
    It may be set back and forward, so whatever waits or measures uses C{clock.seconds}, whose epoch is not known.

    @param clock: an L{IReactorTime<twisted.internet.interfaces.IReactorTime>}, with C{now}; without, as in tests,
        C{seconds} is both.
    """
    now: Callable[[], float] = getattr(clock, "now", clock.seconds)
    return now


def stamp(seconds: float) -> str:
    """Format a time since the epoch in UTC, to the second; L{ValueError} if it is outside the years 1 to 9999."""
    if not _FIRST <= seconds < _LAST + 1:
        raise ValueError("time outside the years 1 to 9999")
    year, month, day, hour, minute, second = gmtime(floor(seconds))[:6]
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}Z"


def parseStamp(text: str) -> float:
    """
    Parse a time in UTC or with an offset, with or without fractions of a second.

    @return: seconds since the epoch.
    @raise ValueError: if the text is not in this profile or not an existing time.
    """
    if _STAMP.fullmatch(text) is None:
        raise ValueError("not an XEP-0082 DateTime")
    return datetime.fromisoformat(text).timestamp()
