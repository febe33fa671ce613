# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.tools.confusables}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.tools.confusables import shorten

TABLE = """\ufeff# confusables.txt
# Version: 15.0.0

0430 ;\t0061 ;\tMA\t# ( а → a )
FF41 ;\t0061 ;\tMA\t# ( ａ → a )
0251 ;\t0061 ;\tMA\t# ( ɑ → a )
006D ;\t0072 006E ;\tMA\t# ( m → rn )
"""


class ShortenTests(SynchronousTestCase):
    """The table of nicks."""

    def test_shortened(self) -> None:
        """Sources stand with their prototype, without those that NFKC replaces, below version and license."""
        head, *rest = shorten(TABLE.splitlines(), "(c) Unicode\n\nAll rights")
        self.assertIn("Version: 15.0.0", head)
        self.assertEqual("".join(rest), "# (c) Unicode\n#\n# All rights\n0061: 0430 0251\n0072 006E: 006D\n")
