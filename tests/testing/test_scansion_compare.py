# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.scansion.compare}."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.scansion.compare import Rules, assign, compare
from muccore.testing.scansion.language import SCANSION
from muccore.xmpp import ns

EVERY = (Rules.LENIENT, Rules.PAYLOADS, Rules.EXACT)
CLOSER = (Rules.PAYLOADS, Rules.EXACT)
OWN = ("r@localhost/1", "r@localhost")


def xml(text: str) -> etree._Element:
    """Parse one stanza, written as in a script."""
    (stanza,) = etree.fromstring(f"<script xmlns='{ns.CLIENT}' xmlns:scansion='{SCANSION}'>{text}</script>")
    return stanza


class CompareTests(SynchronousTestCase):
    """Comparing stanzas."""

    def same(self, expected: str, received: str, rules: tuple[Rules, ...] = EVERY) -> dict[str, str]:
        """Expect no difference under these rules, and one under all others. Return what the last one captured."""
        for each in EVERY:
            found = compare(xml(expected), xml(received), each, OWN)
            if each in rules:
                self.assertIsNone(found.difference, each)
                captured = found.captures
            else:
                self.assertIsNotNone(found.difference, each)
                self.assertEqual(found.captures, {})
        return dict(captured)

    def differs(self, expected: str, received: str, difference: str, rules: tuple[Rules, ...] = EVERY) -> None:
        """Expect this difference under these rules, and none under all others."""
        for each in EVERY:
            found = compare(xml(expected), xml(received), each, OWN)
            self.assertEqual(found.difference, difference if each in rules else None, each)

    def test_equal(self) -> None:
        """The order of attributes, white space and namespace prefixes do not matter."""
        self.same(
            "<iq type='result' from='a'>\n <query xmlns='q'> <b/> </query></iq>",
            "<iq from='a' type='result'><p:query xmlns:p='q'><p:b>\n</p:b></p:query></iq>",
        )

    def test_name(self) -> None:
        """Name and namespace have to be equal."""
        self.differs("<iq/>", "<message/>", "iq: this is <message>, expected <iq>")
        self.differs("<iq/>", "<iq xmlns='x'/>", "iq: this is <iq[x]>, expected <iq>")
        self.differs("<iq><a xmlns='x'/></iq>", "<iq><a xmlns='y'/></iq>", "iq/a[x]: this element is missing")
        self.differs("<iq><a xmlns='x'/></iq>", "<iq><a/></iq>", "iq/a[x]: this element is missing")

    def test_attributes(self) -> None:
        """Expected attributes need their value and their namespace."""
        self.differs("<iq a='1'/>", "<iq a='2'/>", "iq: attribute a is '2', expected '1'")
        self.differs("<iq a='1'/>", "<iq b='1'/>", "iq: attribute a is missing, expected '1'")
        self.differs("<iq xml:lang='de'/>", "<iq xml:lang='en'/>", "iq: attribute xml:lang is 'en', expected 'de'")
        self.differs(
            "<iq xmlns:n='x' n:a='1'/>", "<iq xmlns:n='y' n:a='1'/>", "iq: attribute {x}a is missing, expected '1'"
        )

    def test_moreAttributes(self) -> None:
        """Other attributes are allowed, except in exact mode."""
        self.differs("<iq a='1'/>", "<iq a='1' b='2'/>", "iq: attribute b='2' is not expected", (Rules.EXACT,))
        self.differs(
            "<iq/>", "<iq><a xmlns='x' b='2'/></iq>", "iq/a[x]: this element is not expected", (Rules.EXACT,)
        )

    def test_payloads(self) -> None:
        """
        With scansion's rules, payloads in their own namespace have to be as written, in order as well; the stanza may
        have more.
        """
        expected = "<iq><x xmlns='x'><s c='1'/><i a='2'/></x></iq>"
        swapped = xml("<iq><x xmlns='x'><i a='2'/><s c='1'/></x></iq>")
        self.assertEqual(
            compare(xml(expected), swapped, Rules.PAYLOADS).difference,
            "iq/x[x]/s: here stands <i[x]>; the order counts",
        )
        self.same(expected, "<iq><x xmlns='x'><i a='2'/><s c='1'/></x></iq>", (Rules.LENIENT, Rules.EXACT))
        self.same(expected, "<iq y='1'><x xmlns='x'><s c='1'/><i a='2'/></x></iq>", (Rules.LENIENT, Rules.PAYLOADS))
        self.differs(
            expected,
            "<iq><x xmlns='x'><s c='1'/><i a='2' b='3'/></x></iq>",
            "iq/x[x]/i: attribute b='3' is not expected",
            CLOSER,
        )
        self.differs(
            expected,
            "<iq><x xmlns='x'><s c='1'/><i a='2'/><s c='4'/></x></iq>",
            "iq/x[x]/s: this element is not expected",
            CLOSER,
        )

    def test_unwritten(self) -> None:
        """In exact mode C{id}, C{to} and C{xml:lang} of a stanza may be left out, but of no other element."""
        self.same("<message/>", "<message id='1' to='r@localhost' xml:lang='en'/>")
        self.same("<message><m/></message>", "<message><m id='1'/></message>", (Rules.LENIENT, Rules.PAYLOADS))
        self.same("<message/>", "<message from='a'/>", (Rules.LENIENT, Rules.PAYLOADS))

    def test_writtenCounts(self) -> None:
        """Attributes that may be left out have to match if written."""
        self.differs("<iq id='1'/>", "<iq id='2'/>", "iq: attribute id is '2', expected '1'")
        self.differs("<iq id='1'/>", "<iq/>", "iq: attribute id is missing, expected '1'")

    def test_to(self) -> None:
        """In exact mode a C{to} has to be as written, or the receiver's address."""
        for to in OWN:
            self.same("<message/>", f"<message to='{to}'/>")
            self.same(f"<message to='{to}'/>", f"<message to='{to}'/>")
        difference = "message: attribute to is 'r@localhost/2', which is not its receiver's address"
        self.differs("<message/>", "<message to='r@localhost/2'/>", difference, (Rules.EXACT,))
        self.same("<message to='r@localhost/2'/>", "<message to='r@localhost/2'/>")

    def test_text(self) -> None:
        """Text is compared without the white space around it."""
        self.same("<m><b> a b </b></m>", "<m><b>\ta b\n</b></m>")
        self.differs("<m><b>a b</b></m>", "<m><b>a  b</b></m>", "m/b: its text is 'a  b', expected 'a b'")
        self.same("<m>x<b/>y</m>", "<m>x<b/>y</m>")
        self.differs("<m>x<b/>y</m>", "<m>x<b/></m>", "m: its text is 'x', expected 'xy'")

    def test_unwrittenText(self) -> None:
        """Text that a script leaves out is allowed, except in exact mode."""
        self.differs(
            "<m><s/></m>", "<m><s>topic</s></m>", "m/s: its text is 'topic', expected ''", (Rules.EXACT,)
        )
        self.same("<m><s xmlns='x'/></m>", "<m><s xmlns='x'>topic</s></m>", (Rules.LENIENT, Rules.PAYLOADS))

    def test_any(self) -> None:
        """C{{scansion:any}} is any value, but the attribute has to be there."""
        self.same("<iq a='{scansion:any}'><b>{scansion:any}</b></iq>", "<iq a='1'><b>2</b></iq>")
        self.differs("<iq a='{scansion:any}'/>", "<iq/>", "iq: attribute a is missing, expected '{scansion:any}'")

    def test_capture(self) -> None:
        """Values of attributes and text are captured, at any depth."""
        found = self.same(
            "<iq a='{scansion:capture:x}'><b><c d='{scansion:capture:y}'>{scansion:capture:z}</c></b></iq>",
            "<iq a='1'><b><c d='2'> 3 </c></b></iq>",
        )
        self.assertEqual(found, {"x": "1", "y": "2", "z": "3"})

    def test_captureOfMatchingChild(self) -> None:
        """Only the matching child captures."""
        found = self.same(
            "<iq><i id='{scansion:capture:x}'><b/></i></iq>",
            "<iq><i id='1'><c/></i><i id='2'><b/></i></iq>",
            (Rules.LENIENT, Rules.PAYLOADS),
        )
        self.assertEqual(found, {"x": "2"})

    def test_childOrder(self) -> None:
        """The order of children does not matter in any mode."""
        self.same("<iq><a/><b/><c/></iq>", "<iq><c/><a/><b/></iq>")

    def test_childrenAreAssigned(self) -> None:
        """A child that matches several expected ones is assigned where it is needed."""
        self.same("<iq><i/><i a='1'/></iq>", "<iq><i a='1'/><i/></iq>", (Rules.LENIENT, Rules.PAYLOADS, Rules.EXACT))
        self.same(
            "<iq><i a='{scansion:any}'/><i a='1'/></iq>", "<iq><i a='1'/><i a='2'/></iq>"
        )

    def test_missingChildren(self) -> None:
        """One child cannot match two expected ones."""
        self.differs("<iq><i/><i/></iq>", "<iq><i/></iq>", "iq/i: this element is missing")

    def test_nearestChild(self) -> None:
        """The reported difference is that to an unassigned child of the same name."""
        self.differs(
            "<iq><i a='1'/><i a='2'/></iq>",
            "<iq><i a='1'/><i a='3'/></iq>",
            "iq/i: attribute a is '3', expected '2'",
        )
        self.differs(
            "<iq><x><i a='1'/></x></iq>", "<iq><x><i a='2'/></x></iq>", "iq/x/i: attribute a is '2', expected '1'"
        )

    def test_strict(self) -> None:
        """
        C{scansion:strict='true'}: exactly these attributes and children in this order, under any rules; not for
        elements inside.
        """
        for word in ("true", "yes"):
            expected = f"<iq><x a='1' scansion:strict='{word}'><b/><c/></x></iq>"
            self.same(expected, "<iq><x a='1'><b/><c/></x></iq>")
            self.differs(
                expected, "<iq><x a='1'><c/><b/></x></iq>", "iq/x/b: here stands <c>; the order counts"
            )
            self.differs(expected, "<iq><x a='1'><b/></x></iq>", "iq/x/c: this element is missing")
            self.differs(expected, "<iq><x a='1'><b/><c/><d/></x></iq>", "iq/x/d: this element is not expected")
            self.differs(expected, "<iq><x a='1' b='2'><b/><c/></x></iq>", "iq/x: attribute b='2' is not expected")
            self.same(expected, "<iq><x a='1'><b/><c e='3'/></x></iq>", (Rules.LENIENT, Rules.PAYLOADS))

    def test_notStrict(self) -> None:
        """
        C{scansion:strict='false'}: more attributes, children and text are allowed, under any rules; not for elements
        inside.
        """
        for word in ("false", "no"):
            expected = f"<iq><x xmlns='x' scansion:strict='{word}'><b/></x></iq>"
            self.same(expected, "<iq><x xmlns='x' a='1'>text<c/><b/></x></iq>")
            self.differs(expected, "<iq><x xmlns='x'><c/></x></iq>", "iq/x[x]/b: this element is missing")
            self.same(expected, "<iq><x xmlns='x'><b d='1'/></x></iq>", (Rules.LENIENT,))

    def test_notStrictStanza(self) -> None:
        """A stanza that is not strict may have more children in exact mode; its C{to} is still checked."""
        expected = "<message scansion:strict='false'/>"
        self.same(expected, "<message from='a'><b/></message>")
        self.same(expected, "<message to='x@localhost'/>", (Rules.LENIENT, Rules.PAYLOADS))


class AssignTests(SynchronousTestCase):
    """Assigning candidates to the expected."""

    def test_first(self) -> None:
        """The first candidates that fit are assigned, in order."""
        self.assertEqual(assign([[True] * 3] * 2), [0, 1])
        self.assertEqual(assign([]), [])
        self.assertEqual(assign([[]]), [None])

    @settings(max_examples=200)
    @given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2**16 - 1))
    def test_asManyAsPossible(self, expected: int, candidates: int, bits: int) -> None:
        """As many as possible get a fitting candidate of their own."""
        fits = [[bool(bits >> (4 * i + j) & 1) for j in range(candidates)] for i in range(expected)]
        found = assign(fits)
        given = [(i, j) for i, j in enumerate(found) if j is not None]
        self.assertEqual(len(found), expected)
        self.assertTrue(all(fits[i][j] for i, j in given))
        self.assertEqual(len({j for _, j in given}), len(given))
        places = [*range(candidates), *[-1] * expected]
        best = max(
            sum(j >= 0 and fits[i][j] for i, j in enumerate(order))
            for order in set(itertools.permutations(places, expected))
        )
        self.assertEqual(len(given), best)
