# -*- test-case-name: tests.muc.model.test_nicks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Comparison of nicks (RFC 8266).

Stanzas are addressed to exact occupant JIDs; whatever names an occupant by nick, or claims a nick, compares
nicks. docs/design/0012-nicks.md gives the reasons.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from unicodedata import normalize

_CACHE_SIZE: Final = 4096
_PASSES: Final = 4


@lru_cache(_CACHE_SIZE)
def comparisonForm(nick: str) -> str:
    """
    The comparison form of a nick (RFC 8266 §2.4): two nicks are the same if their forms are equal.

    @param nick: a nick that is valid as a resource, thus without control characters.
    """
    # A pass may make work for the next: NFKC turns U+2131 into a capital F. RFC 8264 §7 allows three repetitions.
    for _ in range(_PASSES):
        form = normalize("NFKC", " ".join(nick.split()).lower())
        if form == nick:
            break
        nick = form
    return form
