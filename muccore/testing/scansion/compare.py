# -*- test-case-name: tests.testing.test_scansion_compare -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Comparing a stanza with the one that a script expects.

Names and namespaces always have to be the same. How much more than the expected may be there is said by the L{Rules},
and for one element by its C{scansion:strict} attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from lxml import etree

from muccore import ns
from muccore.testing.scansion.language import ANY, STRICT, STRICT_VALUES, capturedName

_LANG: Final = f"{{{ns.XML}}}lang"
_UNWRITTEN: Final = frozenset(["id", "to", _LANG])


class Rules(Enum):
    """
    How elements are compared that do not say it themselves.
    """

    LENIENT = "attributes and children that are expected have to be there, others may be"
    PAYLOADS = "like LENIENT for jabber:client; like scansion:strict='true' for every other namespace"
    EXACT = "attributes, children and text are exactly those expected; the order of children does not matter"


class _Closeness(Enum):
    """
    How one element is compared.
    """

    LOOSE = 1
    SAME = 2
    SAME_ORDER = 3


@dataclass(frozen=True)
class Comparison:
    """
    How a comparison came out.

    @ivar difference: the first difference, as a line for people; C{None} if there is none.
    @ivar captures: what C{{scansion:capture:x}} found, if there is no difference.
    """

    difference: str | None
    captures: Mapping[str, str] = field(default_factory=dict)


_Difference: TypeAlias = tuple[str, str]
"""Where (a path of names) and what."""


def assign(expected: int, candidates: int, fits: Callable[[int, int], bool]) -> list[int | None]:
    """
    Give as many of the expected as possible a candidate each, the first ones that will do (a maximum matching).

    @param fits: whether candidate C{j} would do for expected C{i}.
    @return: for each expected its candidate, or C{None}.
    """
    holders: dict[int, int] = {}

    def place(wanted: int, seen: set[int]) -> bool:
        fitting = [candidate for candidate in range(candidates) if candidate not in seen and fits(wanted, candidate)]
        for candidate in fitting:
            if candidate not in holders:
                holders[candidate] = wanted
                return True
        for candidate in fitting:
            if candidate not in seen:
                seen.add(candidate)
                if place(holders[candidate], seen):
                    holders[candidate] = wanted
                    return True
        return False

    for wanted in range(expected):
        place(wanted, set())
    found: list[int | None] = [None] * expected
    for candidate, wanted in holders.items():
        found[wanted] = candidate
    return found


def compare(
    expected: etree._Element,
    received: etree._Element,
    rules: Rules = Rules.LENIENT,
    own: Collection[str] = (),
) -> Comparison:
    """
    Compare a stanza with the expected one.

    With L{Rules.EXACT}, the stanza's C{id}, C{to} and C{xml:lang} need not be written down.

    @param own: the addresses of its receiver: with L{Rules.EXACT}, a C{to} has to be one of them.
    """
    comparer = _Comparer(rules)
    captures: dict[str, str] = {}
    difference = comparer.element(expected, received, True, captures)
    if difference is None and rules is Rules.EXACT and received.get("to", "") not in ("", *own):
        difference = "", f"attribute to is {received.get('to')!r}, which is not its receiver's address"
    if difference is None:
        return Comparison(None, captures)
    path, what = difference
    return Comparison(f"{_name(expected, None)}{path}: {what}")


def _name(element: etree._Element, inherited: str | None = ns.CLIENT) -> str:
    """
    An element's name for people; its namespace is shown where it is not C{inherited}.
    """
    name = etree.QName(element)
    return name.localname if name.namespace in (inherited, ns.CLIENT) else f"{name.localname}[{name.namespace}]"


def _attribute(key: str) -> str:
    return f"xml:{key[len(ns.XML) + 2 :]}" if key.startswith(f"{{{ns.XML}}}") else key


def _text(element: etree._Element) -> str:
    return "".join([element.text or "", *(child.tail or "" for child in element)]).strip()


def _value(expected: str, received: str, captures: dict[str, str]) -> bool:
    name = capturedName(expected)
    if name is not None:
        captures[name] = received
        return True
    return expected in (ANY, received)


class _Comparer:
    """
    One comparison.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def closeness(self, expected: etree._Element) -> _Closeness:
        strict = expected.get(STRICT)
        if strict is not None:
            return _Closeness.SAME_ORDER if STRICT_VALUES[strict] else _Closeness.LOOSE
        if self.rules is Rules.EXACT:
            return _Closeness.SAME
        if self.rules is Rules.PAYLOADS and etree.QName(expected).namespace != ns.CLIENT:
            return _Closeness.SAME_ORDER
        return _Closeness.LOOSE

    def element(
        self, expected: etree._Element, received: etree._Element, top: bool, captures: dict[str, str]
    ) -> _Difference | None:
        if expected.tag != received.tag:
            return "", f"this is <{_name(received, None)}>, expected <{_name(expected, None)}>"
        closeness = self.closeness(expected)
        return (
            self.attributes(expected, received, closeness, top, captures)
            or self.text(expected, received, closeness, captures)
            or self.children(expected, received, closeness, captures)
        )

    def attributes(
        self,
        expected: etree._Element,
        received: etree._Element,
        closeness: _Closeness,
        top: bool,
        captures: dict[str, str],
    ) -> _Difference | None:
        there = {str(key): str(value) for key, value in received.attrib.items()}
        for key, wanted in ((str(key), str(value)) for key, value in expected.attrib.items()):
            if key == STRICT:
                continue
            value = there.pop(key, None)
            if value is None:
                return "", f"attribute {_attribute(key)} is missing, expected {wanted!r}"
            if not _value(wanted, value, captures):
                return "", f"attribute {_attribute(key)} is {value!r}, expected {wanted!r}"
        if closeness is not _Closeness.LOOSE:
            for key, value in there.items():
                if not (top and self.rules is Rules.EXACT and key in _UNWRITTEN):
                    return "", f"attribute {_attribute(key)}={value!r} is not expected"
        return None

    def text(
        self,
        expected: etree._Element,
        received: etree._Element,
        closeness: _Closeness,
        captures: dict[str, str],
    ) -> _Difference | None:
        wanted = _text(expected)
        # Scripts from elsewhere leave text out that they do not care for, also where they are strict.
        exact = self.rules is Rules.EXACT and closeness is not _Closeness.LOOSE
        if (wanted or exact) and not _value(wanted, _text(received), captures):
            return "", f"its text is {_text(received)!r}, expected {wanted!r}"
        return None

    def children(
        self,
        expected: etree._Element,
        received: etree._Element,
        closeness: _Closeness,
        captures: dict[str, str],
    ) -> _Difference | None:
        wanted, there = _children(expected), _children(received)
        pairs = _Pairs(self, wanted, there)
        if closeness is _Closeness.SAME_ORDER:
            places = [i if i < len(there) and pairs.fits(i, i) else None for i in range(len(wanted))]
        else:
            places = assign(len(wanted), len(there), pairs.fits)
        space = etree.QName(expected).namespace
        for i, place in enumerate(places):
            if place is None:
                path, what = pairs.nearest(i, places, closeness is _Closeness.SAME_ORDER)
                return f"/{_name(wanted[i], space)}{path}", what
        if closeness is not _Closeness.LOOSE:
            for j in sorted(set(range(len(there))) - set(places)):
                return f"/{_name(there[j], space)}", "this element is not expected"
        for i, place in enumerate(places):
            if place is not None:
                captures.update(pairs.captures(i, place))
        return None


def _children(element: etree._Element) -> list[etree._Element]:
    return list(element.iterchildren(etree.Element))


class _Pairs:
    """
    The expected children of one element and those that are there, compared with each other as far as is asked for.
    """

    def __init__(
        self, comparer: _Comparer, expected: Sequence[etree._Element], received: Sequence[etree._Element]
    ) -> None:
        self.comparer = comparer
        self.expected = expected
        self.received = received
        self.known: dict[tuple[int, int], tuple[_Difference | None, dict[str, str]]] = {}

    def _compared(self, i: int, j: int) -> tuple[_Difference | None, dict[str, str]]:
        if (i, j) not in self.known:
            captures: dict[str, str] = {}
            difference = self.comparer.element(self.expected[i], self.received[j], False, captures)
            self.known[i, j] = difference, captures
        return self.known[i, j]

    def fits(self, i: int, j: int) -> bool:
        return self._compared(i, j)[0] is None

    def captures(self, i: int, j: int) -> Mapping[str, str]:
        return self._compared(i, j)[1]

    def nearest(self, i: int, places: Sequence[int | None], ordered: bool) -> _Difference:
        """
        What to say about an expected child that has no place: how the one that it may have meant differs.
        """
        candidates: Iterator[int] = (
            j
            for j, there in enumerate(self.received)
            if j not in places and there.tag == self.expected[i].tag and (not ordered or j == i)
        )
        for j in candidates:
            difference, _ = self._compared(i, j)
            if difference is not None:
                return difference
        if ordered and i < len(self.received):
            return "", f"here stands <{_name(self.received[i])}>; the order counts"
        return "", "this element is missing"
