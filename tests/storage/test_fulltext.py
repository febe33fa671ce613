# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.fulltext}."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import WORDS_LIMIT, QueryRefused
from muccore.storage.fulltext import TEXT_LENGTH, WORD_LENGTH, contains, queryWords, words


class WordsTests(SynchronousTestCase):
    """L{words}"""

    def test_words(self) -> None:
        """Letters, digits and underscores make words; everything else parts them. Each word is listed once."""
        for text, expected in [
            ("Thrice the brinded cat hath mew'd.", ["thrice", "the", "brinded", "cat", "hath", "mew", "d"]),
            ("double, DOUBLE toil_and trouble 1606", ["double", "toil_and", "trouble", "1606"]),
            ('AND "OR" (NOT) near* -x:y ^z', ["and", "or", "not", "near", "x", "y", "z"]),
            ("  …!? \U0001f600", []),
            ("", []),
        ]:
            self.assertEqual(words(text), expected)

    def test_folded(self) -> None:
        """Case, width, ligatures and accents make no difference, however they are composed."""
        for text, expected in [
            ("Straße", ["strasse"]),
            ("ΣΊΣΥΦΟΣ Σίσυφος", ["σισυφοσ"]),
            ("café cafe\u0301 CAFE", ["cafe"]),
            ("ｆｕｌｌ \ufb01n", ["full", "fin"]),
            ("\u1112\u1161\u11ab 한", ["한"]),
            ("हिन्दी", ["हनद"]),
        ]:
            self.assertEqual(words(text), expected)

    def test_unspaced(self) -> None:
        """In scripts without spaces, each character is a word; Latin words among them are not parted."""
        self.assertEqual(words("東京のcafe店"), ["東", "京", "の", "cafe", "店"])
        self.assertEqual(words("สวัสดี"), ["ส", "ว", "ด"])

    def test_bounded(self) -> None:
        """Long words are cut, and the end of a long text is ignored."""
        self.assertEqual(words("x" * 100), ["x" * WORD_LENGTH])
        self.assertEqual(words("a " * (TEXT_LENGTH // 2) + "b"), ["a"])
        self.assertEqual(words("ä " * (TEXT_LENGTH // 2) + "b"), ["a"])

    @given(st.text(max_size=30))
    def test_plain(self, text: str) -> None:
        """Whatever the text, words have word characters only, and are the words of themselves."""
        for word in words(text):
            self.assertRegex(word, re.compile(r"\A\w+\Z"))
            if len(word) < WORD_LENGTH:
                self.assertEqual(words(word), [word])


class QueryTests(SynchronousTestCase):
    """L{queryWords} and L{contains}"""

    def test_limit(self) -> None:
        """A query of more words than are allowed is refused; repeated ones count once."""
        allowed = [f"w{n}" for n in range(WORDS_LIMIT)]
        self.assertEqual(queryWords(" ".join(allowed * 2)), allowed)
        self.assertRaises(QueryRefused, queryWords, " ".join([*allowed, "more"]))

    def test_contains(self) -> None:
        """A text must have all words of the query, which must have one."""
        text = words("Double, double toil and trouble")
        self.assertTrue(contains(text, words("trouble toil")))
        self.assertFalse(contains(text, words("trouble fire")))
        self.assertFalse(contains(text, []))
