# -*- test-case-name: tests.storage.test_folding -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Texts as searches compare them."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Fold the case and the width of a text: the case folding of its NFKC, in NFKC."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def matchesLanguage(tag: str, wanted: str) -> bool:
    """Whether a language tag begins with the subtags of another, whatever their case (RFC 4647 §3.3.1)."""
    return not wanted or f"{tag.lower()}-".startswith(f"{wanted.lower()}-")
