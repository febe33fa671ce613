# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.affiliations}."""

from __future__ import annotations

import gc
import json
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Affiliate
from muccore.muc.model import affiliations
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.privileges import AFFILIATIONS, Affiliation
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse

ROMEO = parse("romeo@localhost/orchard")
KEYS = ("romeo@localhost", "juliet@localhost", "tybalt@elsewhere", "localhost", "elsewhere")
REASON = st.none() | st.text(max_size=9)
ENTRY = st.none() | st.builds(
    Affiliate, st.sampled_from(sorted(AFFILIATIONS)), st.none() | st.sampled_from("NMO"), REASON
)


class AffiliationsTests(SynchronousTestCase):
    """The list of affiliations of a room."""

    def test_domain(self) -> None:
        """A domain's entry applies to its users and nobody else; a user's own entry comes first (§9.2)."""
        list = Affiliations({"localhost": Affiliate("outcast"), "romeo@localhost": Affiliate("member")})
        self.assertIs(list.get(ROMEO), Affiliation.MEMBER)
        self.assertIs(list.get(parse("juliet@localhost")), Affiliation.OUTCAST)
        self.assertIs(list.get(parse("juliet@sub.localhost")), Affiliation.NONE)

    def test_reasons(self) -> None:
        """Entries come back as they were: with and without nicks and reasons, of any length and script."""
        nicks, reasons = (None, "", "N", "é" * 70_000), (None, "", "Spam", "ж😀\ud800", "x" * 70_000)
        for word in AFFILIATIONS:
            for nick in nicks:
                for reason in reasons:
                    entry = Affiliate(word, nick, reason)
                    list = Affiliations({"romeo@localhost": entry})
                    self.assertEqual(list.entry("romeo@localhost"), entry)
                    self.assertEqual(list.entries(), {"romeo@localhost": entry})
                    self.assertEqual([*list.withAffiliation(AFFILIATIONS[word])], [("romeo@localhost", entry)])
                    self.assertEqual(list.reservedNick("romeo@localhost"), nick)
                    self.assertIs(list.get(ROMEO), AFFILIATIONS[word])

    def test_memory(self) -> None:
        """
        An entry costs its texts as UTF-8, whatever one character of them, and 200 bytes; one without texts 120, as
        those that were read from a store.
        """
        count = 2000
        for reason, limit in (("x" * 999 + "😀", 1200), (None, 120)):
            rows = {f"user{n:04}@elsewhere.example": json.dumps(["outcast", None, reason]) for n in range(count)}
            tracemalloc.start()
            try:
                list = Affiliations({jid: Affiliate(*json.loads(row)) for jid, row in rows.items()})
                gc.collect()
                size, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertEqual(len(list.entries()), count)
            self.assertLess(size / count, limit)

    def test_nickOnly(self) -> None:
        """An entry that only reserves a nick does not override that of the domain."""
        list = Affiliations({"localhost": Affiliate("outcast"), "romeo@localhost": Affiliate("none", "Romeo")})
        self.assertIs(list.get(ROMEO), Affiliation.OUTCAST)
        self.assertFalse(list.hasExplicit("romeo@localhost"))
        self.assertFalse(list.hasExplicit("juliet@localhost"))
        list.update({"romeo@localhost": Affiliate("member", "Romeo")})
        self.assertTrue(list.hasExplicit("romeo@localhost"))

    def test_full(self) -> None:
        """A full list takes nobody new: C{resource-constraint}; its entries can still change or go."""
        self.patch(affiliations, "LIMIT", 2)
        list = Affiliations({"a@x": Affiliate("member"), "b@x": Affiliate("member")})
        error = self.assertRaises(StanzaError, list.checkSize, {"c@x": Affiliate("outcast")})
        self.assertEqual((error.condition, error.type), ("resource-constraint", "wait"))
        list.checkSize({"a@x": Affiliate("outcast"), "b@x": None})
        list.update({"b@x": None})
        list.checkSize({"c@x": Affiliate("outcast")})

    def test_ownersAfter(self) -> None:
        """Whether a change leaves the room an owner is known in advance."""
        list = Affiliations({"a@x": Affiliate("owner"), "b@x": Affiliate("owner"), "c@x": Affiliate("member")})
        self.assertTrue(list.hasOwnerAfter({"a@x": None}))
        self.assertFalse(list.hasOwnerAfter({"a@x": None, "b@x": Affiliate("admin")}))
        self.assertTrue(list.hasOwnerAfter({"a@x": None, "b@x": None, "c@x": Affiliate("owner")}))
        self.assertIs(list.get(parse("a@x")), Affiliation.OWNER)

    def test_entriesAreACopy(self) -> None:
        """The entries handed out for storing do not change with the list."""
        list = Affiliations({"a@x": Affiliate("owner")})
        entries = list.entries()
        list.update({"a@x": None})
        self.assertEqual(entries, {"a@x": Affiliate("owner")})
        self.assertIsNone(list.entry("a@x"))

    def test_many(self) -> None:
        """Many changes at once leave sorted keys as well."""
        users = [f"u{number}" for number in range(300)]
        list = Affiliations(dict.fromkeys(users, Affiliate("member")))
        list.update(dict.fromkeys(users[:150], Affiliate("outcast")))
        list.update(dict.fromkeys(users[140:160]))
        self.assertEqual([*list.keys(Affiliation.OUTCAST)], sorted(users[:140]))
        self.assertEqual([*list.keys(Affiliation.MEMBER)], sorted(users[160:]))

    @given(st.lists(st.dictionaries(st.sampled_from(KEYS), ENTRY, max_size=3), max_size=6))
    @settings(max_examples=100)
    def test_model(self, changes: list[dict[str, Affiliate | None]]) -> None:
        """After any changes all answers agree with a plain dictionary, as long as no nick is reserved twice."""
        list = Affiliations({})
        model: dict[str, Affiliate] = {}
        for change in changes:
            after = {key: entry for key, entry in ({**model, **change}).items() if entry is not None}
            nicks = [entry.nick for entry in after.values() if entry.nick]
            if len(nicks) != len(set(nicks)):
                continue
            list.update(change)
            model = after
            self.assertEqual(list.entries(), model)
            for affiliation in Affiliation:
                keys = sorted(key for key, entry in model.items() if entry.affiliation == affiliation.xmlName)
                self.assertEqual([*list.keys(affiliation)], keys)
                self.assertEqual([*list.withAffiliation(affiliation)], [(key, model[key]) for key in keys])
            for nick in "NMO":
                holder = [key for key, entry in model.items() if entry.nick == nick]
                self.assertEqual(list.reservedBy(nick), holder[0] if holder else None)
            for key in KEYS:
                own = model.get(key)
                self.assertEqual(list.reservedNick(key), own.nick if own is not None else None)
                jid = parse(key)
                if own is None or own.affiliation == "none":
                    own = model.get(jid.domain)
                expected = AFFILIATIONS[own.affiliation] if own is not None else Affiliation.NONE
                self.assertIs(list.get(jid), expected)
