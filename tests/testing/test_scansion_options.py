# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.scansion.options}."""

from __future__ import annotations

from lxml import etree
from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.scansion.compare import Rules
from muccore.testing.scansion.language import Position, parseStanzas
from muccore.testing.scansion.options import RunOptions, show, showAll


class ShowTests(SynchronousTestCase):
    """Formatting stanzas."""

    def test_show(self) -> None:
        """A stanza is indented, without the common namespace, and cut if it is long."""
        (stanza,) = parseStanzas(Position("a.scs", 1), "<iq><a xmlns='x'>b</a></iq>")
        self.assertEqual(show(stanza), '    <iq>\n      <a xmlns="x">b</a>\n    </iq>')
        stanza.text = "x" * 10_000
        self.assertLess(len(show(stanza)), 5_000)
        self.assertEqual(etree.tostring(stanza).count(b"x" * 10_000), 1)

    def test_showAll(self) -> None:
        """Of many stanzas only the first ones are shown, with the number of the others; none are shown as nothing."""
        stanzas = parseStanzas(Position("a.scs", 1), "".join(f"<iq id='{i}'/>" for i in range(13)))
        lines = showAll(stanzas).splitlines()
        self.assertEqual(lines[:10], [f'    <iq id="{i}"/>' for i in range(10)])
        self.assertEqual(lines[10:], ["    … and 3 more"])
        self.assertEqual(showAll([]), "    (nothing)")


class RunOptionsTests(SynchronousTestCase):
    """The options of a run."""

    def test_rules(self) -> None:
        """Each mode has its rules."""
        self.assertEqual(RunOptions("h", 1).rules, Rules.LENIENT)
        self.assertEqual(RunOptions("h", 1, strictPayloads=True).rules, Rules.PAYLOADS)
        self.assertEqual(RunOptions("h", 1, exact=True).rules, Rules.EXACT)
