# -*- test-case-name: tests.xmpp.test_uniqueids -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Ids that nobody can predict, of messages in rooms and in archives."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Final

_POOL: Final = 256
"""Ids for which random numbers are read at once: a system call for each would cost more than all the rest."""

PERIOD: Final = 0.1
"""Seconds in which ids begin alike."""

_DIGITS: Final = 24
"""Random hexadecimal digits of an id, besides its beginning; one of them is not used."""

_VARIANTS: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def randomIds(seconds: Callable[[], float] = time.monotonic) -> Iterator[str]:
    """
    Make random UUIDs (RFC 4122 §4.4), in a tenth of the time of the class C{UUID}.

    Those made within L{PERIOD} begin alike, so they are neighbours in the index of an archive, and a group of messages
    changes a few pages of it instead of one each. That tells nothing but the time; the other 90 bits cannot be
    predicted (XEP-0313 §3, XEP-0359 §6).
    """
    beginning, until = "", -math.inf
    while True:
        pool = os.urandom(_DIGITS // 2 * _POOL).hex()
        for at in range(0, len(pool), _DIGITS):
            if (now := seconds()) >= until:
                beginning, until = os.urandom(4).hex(), now + PERIOD
            digits = pool[at : at + _DIGITS]
            yield f"{beginning}-{digits[:4]}-4{digits[4:7]}-{_VARIANTS[digits[7]]}{digits[8:11]}-{digits[12:]}"


newId: Final[Callable[[], str]] = randomIds().__next__
"""Makes a random UUID."""
