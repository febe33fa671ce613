# -*- test-case-name: tests.testing.test_scansion_compare -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Comparing a stanza with the expected one.

Names and namespaces always have to match. What else may be there is set by the L{Rules}, and for one element by its
C{scansion:strict} attribute.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from lxml import etree

from muccore.testing.scansion.language import ANY, STRICT, STRICT_VALUES, capturedName
from muccore.xmpp import ns

_UNWRITTEN: Final = frozenset(["id", "to", f"{{{ns.XML}}}lang"])
"""Attributes of a stanza that need not be written down in exact mode."""

_UNWRITTEN_CHILDREN: Final = frozenset(
    [f"{{{ns.OCCUPANT_ID}}}occupant-id", f"{{{ns.STANZA_ID}}}stanza-id"]
)
"""Children of a stanza that need not be: the ids that rooms add to everything."""


class Rules(Enum):
    """How elements without C{scansion:strict} are compared."""

    LENIENT = "expected attributes and children have to be there, others may be"
    PAYLOADS = "like LENIENT for jabber:client; like scansion:strict='true' for every other namespace"
    EXACT = "attributes, children and text are exactly those expected; the order of children does not matter"


class _Closeness(Enum):
    """How one element is compared."""

    LOOSE = 1
    SAME = 2
    SAME_ORDER = 3


@dataclass(frozen=True)
class Comparison:
    """
    The result of a comparison.

    @ivar difference: the first difference, as a readable line, or C{None}.
    @ivar captures: the values of C{{scansion:capture:x}}, if there is no difference.
    """

    difference: str | None
    captures: Mapping[str, str] = field(default_factory=dict)


_Difference: TypeAlias = tuple[str, str]
"""Where (a path of names) and what."""


def assign(fits: Sequence[Sequence[bool]]) -> list[int | None]:
    """
    Assign candidates to as many of the expected as possible, the first ones that fit (a maximum matching).

    @param fits: for each expected, whether each candidate fits.
    @return: for each expected its candidate, or C{None}.
    """
    holders: dict[int, int] = {}

    def place(wanted: int, seen: set[int]) -> bool:
        fitting = [candidate for candidate, fit in enumerate(fits[wanted]) if fit]
        # Free ones first, so that nothing is moved without need.
        for candidate in sorted(fitting, key=holders.__contains__):
            if candidate not in seen:
                seen.add(candidate)
                if candidate not in holders or place(holders[candidate], seen):
                    holders[candidate] = wanted
                    return True
        return False

    for wanted in range(len(fits)):
        place(wanted, set())
    found: list[int | None] = [None] * len(fits)
    for candidate, wanted in holders.items():
        found[wanted] = candidate
    return found


def compare(
    expected: etree._Element, received: etree._Element, rules: Rules = Rules.LENIENT, own: Collection[str] = ()
) -> Comparison:
    """
    Compare a stanza with the expected one.

    With L{Rules.EXACT}, the stanza's C{id}, C{to} and C{xml:lang} need not be written down.

    @param own: the receiver's addresses: with L{Rules.EXACT}, a C{to} that is not written down has to be one of them.
    """
    compared = _ElementComparison(expected, received, rules, True)
    difference = compared.difference
    written = expected.get("to") is not None
    if difference is None and rules is Rules.EXACT and not written and received.get("to", "") not in ("", *own):
        difference = "", f"attribute to is {received.get('to')!r}, which is not its receiver's address"
    if difference is None:
        return Comparison(None, compared.captures)
    path, what = difference
    return Comparison(f"{_name(expected, None)}{path}: {what}")


def _name(element: etree._Element, inherited: str | None = ns.CLIENT) -> str:
    """Format an element's name, with its namespace if that is not C{inherited}."""
    name = etree.QName(element)
    return name.localname if name.namespace in (inherited, ns.CLIENT) else f"{name.localname}[{name.namespace}]"


def _attribute(key: str) -> str:
    return f"xml:{key[len(ns.XML) + 2 :]}" if key.startswith(f"{{{ns.XML}}}") else key


def _text(element: etree._Element) -> str:
    return "".join([element.text or "", *(child.tail or "" for child in element)]).strip()


class _ElementComparison:
    """
    The comparison of one element, children included.

    @ivar difference: the first difference, or C{None}.
    @ivar captures: the captured values; complete if there is no difference.
    """

    def __init__(self, expected: etree._Element, received: etree._Element, rules: Rules, top: bool = False) -> None:
        """@param top: this is the stanza itself."""
        self.expected = expected
        self.received = received
        self.rules = rules
        self.top = top
        self.captures: dict[str, str] = {}
        self.difference: _Difference | None = None
        if expected.tag != received.tag:
            self.difference = "", f"this is <{_name(received, None)}>, expected <{_name(expected, None)}>"
        else:
            closeness = self._closeness()
            self.difference = self._attributes(closeness) or self._text(closeness) or self._children(closeness)

    def _closeness(self) -> _Closeness:
        strict = self.expected.get(STRICT)
        if strict is not None:
            return _Closeness.SAME_ORDER if STRICT_VALUES[strict] else _Closeness.LOOSE
        if self.rules is Rules.EXACT:
            return _Closeness.SAME
        if self.rules is Rules.PAYLOADS and etree.QName(self.expected).namespace != ns.CLIENT:
            return _Closeness.SAME_ORDER
        return _Closeness.LOOSE

    def _matches(self, expected: str, received: str) -> bool:
        name = capturedName(expected)
        if name is not None:
            self.captures[name] = received
        return name is not None or expected in (ANY, received)

    def _attributes(self, closeness: _Closeness) -> _Difference | None:
        there = {str(key): str(value) for key, value in self.received.attrib.items()}
        for key, wanted in ((str(key), str(value)) for key, value in self.expected.attrib.items()):
            if key == STRICT:
                continue
            value = there.pop(key, None)
            if value is None:
                return "", f"attribute {_attribute(key)} is missing, expected {wanted!r}"
            if not self._matches(wanted, value):
                return "", f"attribute {_attribute(key)} is {value!r}, expected {wanted!r}"
        if closeness is not _Closeness.LOOSE:
            for key, value in there.items():
                if not (self.top and self.rules is Rules.EXACT and key in _UNWRITTEN):
                    return "", f"attribute {_attribute(key)}={value!r} is not expected"
        return None

    def _text(self, closeness: _Closeness) -> _Difference | None:
        wanted, there = _text(self.expected), _text(self.received)
        # Scripts from elsewhere omit text that does not matter to them, even where they are strict.
        exact = self.rules is Rules.EXACT and closeness is not _Closeness.LOOSE
        if (wanted or exact) and not self._matches(wanted, there):
            return "", f"its text is {there!r}, expected {wanted!r}"
        return None

    def _children(self, closeness: _Closeness) -> _Difference | None:
        wanted = list(self.expected.iterchildren(etree.Element))
        there = list(self.received.iterchildren(etree.Element))
        pairs = [[_ElementComparison(each, child, self.rules) for child in there] for each in wanted]
        ordered = closeness is _Closeness.SAME_ORDER
        found = assign([
            [pair.difference is None and (i == j or not ordered) for j, pair in enumerate(row)]
            for i, row in enumerate(pairs)
        ])
        space = etree.QName(self.expected).namespace
        for i, place in enumerate(found):
            if place is not None:
                self.captures.update(pairs[i][place].captures)
                continue
            # Describe how the child that was probably meant differs.
            for j, pair in enumerate(pairs[i]):
                if j not in found and there[j].tag == wanted[i].tag and (i == j or not ordered):
                    assert pair.difference is not None
                    path, what = pair.difference
                    break
            else:
                path, what = "", "this element is missing"
                if ordered and i < len(there):
                    what = f"here stands <{_name(there[i])}>; the order counts"
            return f"/{_name(wanted[i], space)}{path}", what
        if closeness is not _Closeness.LOOSE:
            unwritten = self.top and closeness is _Closeness.SAME
            for j, child in enumerate(there):
                if j not in found and not (unwritten and child.tag in _UNWRITTEN_CHILDREN):
                    return f"/{_name(child, space)}", "this element is not expected"
        return None
