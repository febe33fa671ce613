# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.storage.folding}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.storage.folding import fold, matchesLanguage


class FoldTests(SynchronousTestCase):
    """L{fold}"""

    def test_equal(self) -> None:
        """Texts that differ in case, width or composition only are folded to the same."""
        for one, other in (("Straße", "STRASSE"), ("Ｃave", "cAVE"), ("e\u0301", "É"), ("ſ", "S"), ("İ", "i\u0307")):
            self.assertEqual(fold(one), fold(other))
        self.assertNotEqual(fold("e"), fold("é"))

    def test_twice(self) -> None:
        """Folding again changes nothing."""
        for text in ("Straße", "ΐ", "ﬃ", "Ⅷ", "ǰ"):
            self.assertEqual(fold(fold(text)), fold(text))


class LanguageTests(SynchronousTestCase):
    """L{matchesLanguage}"""

    def test_subtags(self) -> None:
        """A tag matches by whole subtags from the first, in any case; no tag is wanted: all match."""
        for tag, wanted in (("de", "DE"), ("de-CH-1996", "de-ch"), ("de", ""), ("", "")):
            self.assertTrue(matchesLanguage(tag, wanted), (tag, wanted))
        for tag, wanted in (("de", "d"), ("den", "de"), ("de", "de-CH"), ("", "de"), ("en-de", "de")):
            self.assertFalse(matchesLanguage(tag, wanted), (tag, wanted))
