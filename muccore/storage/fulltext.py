# -*- test-case-name: tests.storage.test_fulltext -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The words of a text, for full-text search: all stores agree on them, so that all find the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from muccore.interfaces import WORDS_LIMIT, QueryRefused

TEXT_LENGTH: Final = 16384
"""Characters of a text that can be found; what follows is ignored."""

WORD_LENGTH: Final = 64
"""Characters of a word that count."""

_UNSPACED: Final = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Japanese and Chinese, which are written without spaces."""

_WORD: Final = re.compile(rf"[^\W{_UNSPACED}]+|(?=\w)[{_UNSPACED}]")
_ASCII_WORD: Final = re.compile(r"\w+", re.ASCII)
"""The same for texts in ASCII, in a quarter of the time."""

_MARKS: Final = re.compile("[^\x00-\u02ff]")
"""What may be a combining mark."""


def words(text: str) -> list[str]:
    """
    List the different words of a text, in a form in which equal ones can be compared: folded as to case, width and
    accents. A word has letters, digits and underscores only. In scripts without spaces, each character is a word.
    """
    text = text[:TEXT_LENGTH]
    if text.isascii():
        found = _ASCII_WORD.findall(text.lower())
    else:
        text = _MARKS.sub(_dropMark, unicodedata.normalize("NFKD", text).casefold())
        found = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
    return list(dict.fromkeys([word[:WORD_LENGTH] for word in found]))


def _dropMark(match: re.Match[str]) -> str:
    return "" if unicodedata.category(match[0])[0] == "M" else match[0]


def queryWords(text: str) -> list[str]:
    """
    The L{words} of a query.

    @raise QueryRefused: if there are more than L{WORDS_LIMIT}.
    """
    found = words(text)
    if len(found) > WORDS_LIMIT:
        raise QueryRefused(f"the query has {len(found)} words; {WORDS_LIMIT} are allowed")
    return found


def contains(found: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether words of a text satisfy a query: it has all of the query's, which has at least one."""
    missing = set(wanted)
    return bool(missing) and missing.issubset(found)
