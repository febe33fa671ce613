# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.nicks}."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.nicks import comparisonForm

NICKS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


class ComparisonTests(SynchronousTestCase):
    """Two nicks are the same if their comparison forms are (RFC 8266 §2.4)."""

    def test_same(self) -> None:
        """Case, spaces and compatibility characters do not matter (RFC 8266 §2.1)."""
        for nick, other in [
            ("Romeo", "rOMEO"),
            ("Third Witch", "third\u3000 witch"),
            ("\u00a0Romeo ", "romeo"),
            ("\uff32\uff2f\uff2d\uff25\uff2f", "Romeo"),
            ("Zo\u00eb", "zoe\u0308"),
            ("ΣΊΣΥΦΟΣ", "Σίσυφος"),
            ("\u2131", "f"),
        ]:
            self.assertEqual(comparisonForm(nick), comparisonForm(other), (nick, other))

    def test_different(self) -> None:
        """Other letters are other nicks. The mapping is to lower case, without case folding."""
        for nick, other in [("Romeo", "Rome"), ("Romeo", "R omeo"), ("Zoe", "Zoë"), ("Strauß", "Strauss")]:
            self.assertNotEqual(comparisonForm(nick), comparisonForm(other), (nick, other))

    @given(NICKS)
    def test_stable(self, nick: str) -> None:
        """The form of a form is the form: it is normalized, without outer or double spaces and other white space."""
        form = comparisonForm(nick)
        self.assertEqual(comparisonForm(form), form)
        self.assertEqual(unicodedata.normalize("NFKC", form), form)
        self.assertEqual(" ".join(form.split()), form)

    @given(NICKS)
    def test_spellings(self, nick: str) -> None:
        """Any nick is the same in lower case, normalized and with other spaces."""
        form = comparisonForm(nick)
        for spelling in (nick.lower(), unicodedata.normalize("NFKC", nick), f" {nick} ", nick.replace(" ", "\u2003 ")):
            self.assertEqual(comparisonForm(spelling), form)
