# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.archivepreferences} (XEP-0441)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.im.archivepreferences import (
    ALWAYS,
    DEFAULTS,
    JIDS_LIMIT,
    NEVER,
    ROSTER,
    ArchivePreferences,
    parsePreferences,
)
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse

ADDRESSES = ("a@x", "a@x/1", "a@x/2", "b@x", "b@x/1", "x", "x/1")
_lists = st.frozensets(st.sampled_from(ADDRESSES), max_size=3)


def prefs(inside: str = "", default: str = "always") -> Element:
    """What a client sends."""
    [element] = parseStanza(
        f"<iq type='set' id='1'><prefs xmlns='{ns.MAM}' default='{default}'>{inside}</prefs></iq>"
    ).childElements()
    return element


def listed(name: str, *addresses: str) -> str:
    """A list."""
    return f"<{name}>{''.join(f'<jid>{address}</jid>' for address in addresses)}</{name}>"


class RuleTests(SynchronousTestCase):
    """What is archived."""

    def test_default(self) -> None:
        """Those who are in no list: by the default, and by the bare JID in the roster (§2.1.1, §2.3.1)."""
        for default, expected in ((ALWAYS, [True, True]), (ROSTER, [True, False]), (NEVER, [False, False])):
            preferences = ArchivePreferences(default)
            found = [preferences.allows(parse(each), "a@x".__eq__) for each in ("a@x/1", "b@x")]
            self.assertEqual(found, expected)

    @given(st.sampled_from(DEFAULTS), _lists, _lists, st.sampled_from(ADDRESSES), st.booleans())
    def test_lists(
        self, default: str, always: frozenset[str], never: frozenset[str], address: str, contact: bool
    ) -> None:
        """An address in a list is compared whole if it has a resource, otherwise without it (§2.3.1); never wins."""
        other = parse(address)

        def matches(addresses: frozenset[str]) -> bool:
            return any(other.full == each if "/" in each else other.bare == each for each in addresses)

        if matches(never):
            expected = False
        elif matches(always):
            expected = True
        else:
            expected = {ALWAYS: True, NEVER: False, ROSTER: contact}[default]
        self.assertEqual(ArchivePreferences(default, always, never).allows(other, lambda bare: contact), expected)


class StanzaTests(SynchronousTestCase):
    """Stanzas and documents."""

    @given(st.sampled_from(DEFAULTS), _lists, _lists)
    def test_same(self, default: str, always: frozenset[str], never: frozenset[str]) -> None:
        """What is parsed is what is answered and stored; what is in both lists is in the second one."""
        parsed = parsePreferences(prefs(listed("always", *always) + listed("never", *never), default))
        self.assertEqual(parsed, ArchivePreferences(default, always - never, never))
        self.assertEqual(parsePreferences(parsed.toElement()), parsed)
        self.assertEqual(ArchivePreferences.decode(parsed.encode()), parsed)

    def test_prepared(self) -> None:
        """Addresses are prepared; missing lists are empty (§2.1.2, §2.1.3)."""
        parsed = parsePreferences(prefs(listed("never", "A@X/y", " a@x ")))
        self.assertEqual(parsed, ArchivePreferences(ALWAYS, never=frozenset({"a@x", "a@x/y"})))
        self.assertEqual(parsePreferences(prefs(default=ROSTER)), ArchivePreferences(ROSTER))

    def test_refused(self) -> None:
        """What makes no sense, or is too much."""
        many = [f"u{number}@x" for number in range(JIDS_LIMIT)]
        self.assertEqual(len(parsePreferences(prefs(listed("always", *many))).always), JIDS_LIMIT)
        for made, condition in (
            (prefs(default="sometimes"), "bad-request"),
            (Element((ns.MAM, "prefs")), "bad-request"),
            (prefs("<sometimes/>"), "bad-request"),
            (prefs(listed("never") * 2), "bad-request"),
            (prefs("<never><x/></never>"), "bad-request"),
            (prefs("<never xmlns='urn:x'/>"), "bad-request"),
            (prefs(listed("never", "@")), "jid-malformed"),
            (prefs(listed("never", "")), "jid-malformed"),
            (prefs(listed("always", *many) + listed("never", "v@x")), "policy-violation"),
        ):
            error = self.assertRaises(StanzaError, parsePreferences, made)
            self.assertEqual(error.condition, condition, made.toXml()[:200])
