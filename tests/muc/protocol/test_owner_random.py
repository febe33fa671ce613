# Copyright (c) The muccore authors. See LICENSE for details.
"""Random forms for L{muccore.muc.protocol.owner}: each applies as a whole, or not at all (XEP-0045 §10.1.3, §10.2)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.roomsettings import FIELDS, RoomSettings
from muccore.testing.defaults import defaultRoom
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import CONFIG, MUCTestCase, form, sendOwner

ADMINS: Final = CONFIG + "roomadmins"
OWNERS: Final = CONFIG + "roomowners"
BOOLEANS: Final = {"0": False, "1": True, "false": False, "true": True}
REFUSED: Final = object()
"""Stands for the setting of an invalid value."""

Drawn = tuple[Any, Any]
"""What is submitted, and the setting that results."""


def words(values: dict[str, Any], *bad: Any) -> st.SearchStrategy[Drawn]:
    """Any of these values with its setting, or one of the bad ones."""
    return st.sampled_from([*values.items(), *((value, REFUSED) for value in bad), (["1", "0"], REFUSED)])


def text(limit: int) -> st.SearchStrategy[Drawn]:
    """A text, or one that is too long."""
    shown = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=limit).map(lambda each: (each, each))
    return shown | st.just(("x" * (limit + 1), REFUSED))


def several(*values: str) -> st.SearchStrategy[Drawn]:
    """Some of these values in any order, more than once, or others; the setting has each once, in this order."""
    good = st.lists(st.sampled_from(values)).map(lambda each: (each, tuple(v for v in values if v in each)))
    return good | st.sampled_from([(["nobody"], REFUSED), ([values[0], ""], REFUSED)])


def addresses(*bad: Any) -> st.SearchStrategy[Drawn]:
    """Some JIDs, or bad values."""
    good = st.lists(st.sampled_from(["juliet@localhost", "nurse@localhost", "friar@cell.example"]), unique=True)
    return good.map(lambda each: (each, tuple(each))) | st.sampled_from([(value, REFUSED) for value in bad])


ROWS: Final[dict[str, st.SearchStrategy[Drawn]]] = {
    **{row.var: words(BOOLEANS, "maybe", "", "2") for row in FIELDS if row.kind == "boolean"},
    CONFIG + "roomname": text(256),
    CONFIG + "roomdesc": text(1024),
    CONFIG + "lang": words({"": "", "en": "en", " pt-BR ": "pt-BR"}, "pt_BR", "a language", "x" * 65),
    CONFIG + "pubsub": words(
        {
            "": "",
            " xmpp:pubsub.localhost?;node=news ": "xmpp:pubsub.localhost?;node=news",
            "xmpp:romeo@localhost": "xmpp:romeo@localhost",
        },
        "pubsub.localhost",
        "http://pubsub.localhost",
        "xmpp:",
        "x" * 1025,
    ),
    CONFIG + "whois": words({"anyone": True, "moderators": False}, "nobody", ""),
    CONFIG + "allowpm": words({key: key for key in ("anyone", "participants", "moderators", "none")}, "friends", ""),
    CONFIG + "presencebroadcast": several("moderator", "participant", "visitor", "none"),
    CONFIG + "getmemberlist": several("moderator", "participant", "visitor"),
    "x-muc#roomconfig_selfregistration": words({key: key for key in ("open", "approval", "none")}, "closed", ""),
    CONFIG + "maxusers": words({"3": 3, "20": 20, " 7 ": 7}, "-1", "many", "1.5"),
    CONFIG + "roomsecret": words({"rose": "rose", " r ": " r ", "": ""}, "  ", "x" * 1025),
    "muc#maxhistoryfetch": words({"0": 0, "5": 5}, "", "-1", "all"),
    "muc#roominfo_contactjid": addresses("not @ jid", [f"n{number}@localhost" for number in range(21)]),
    ADMINS: addresses("not @ jid", "localhost"),
    OWNERS: addresses("not @ jid", ["romeo@localhost", "localhost"]),
}
SETTINGS: Final = {**{row.var: row.setting for row in FIELDS}, CONFIG + "roomsecret": "password"}


class RandomFormTests(MUCTestCase):
    """A configured room and its owner."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.client("romeo")
        self.createRoom(self.romeo)

    def listed(self, affiliation: Affiliation) -> set[str]:
        """The users with an affiliation."""
        return {jid for jid, _ in self.room().affiliations.withAffiliation(affiliation)}

    @given(st.fixed_dictionaries({}, optional=ROWS))
    def test_allOrNothing(self, drawn: dict[str, Drawn]) -> None:
        """A form is applied and stored as a whole, or refused for one of its invalid fields without any effect."""
        self.setUp()
        before, stored, old = self.room().record(), self.record(), asdict(self.room().settings)
        submitted = {var: value for var, (value, _) in drawn.items()}
        # A room must have an owner.
        refused = {var for var, (_, setting) in drawn.items() if setting is REFUSED or (var, setting) == (OWNERS, ())}
        sendOwner(self.romeo, form(ns.MUC_ROOMCONFIG, submitted))
        # Moderators are told of absent admins before the result.
        [answer] = [stanza for stanza in self.romeo.received() if stanza.name == "iq"]
        if refused:
            self.assertRefusedFor(answer, refused)
            self.assertEqual((self.room().record(), self.record()), (before, stored))
            return
        self.assertEqual(answer.get("type"), "result", answer.toXml())
        wanted = {SETTINGS[var]: setting for var, (_, setting) in drawn.items() if var in SETTINGS}
        self.assertEqual(asdict(self.room().settings), old | wanted)
        found = RoomSettings.fromMapping(self.storedRecord().settings, defaultRoom())
        self.assertEqual(found, self.room().settings)
        owners = self.listed(Affiliation.OWNER)
        if OWNERS in submitted:
            self.assertEqual(owners, set(submitted[OWNERS]))
        if ADMINS in submitted:
            self.assertEqual(self.listed(Affiliation.ADMIN), set(submitted[ADMINS]) - set(submitted.get(OWNERS, ())))

    def assertRefusedFor(self, answer: Element, fields: set[str]) -> None:
        """Check that an error names one of these fields first in its text."""
        error = answer.child("error")
        assert error is not None, answer.toXml()
        condition, explanation = [child for child in error.childElements() if child.uri == ns.STANZA_ERRORS]
        self.assertIn(condition.name, ("bad-request", "conflict", "not-acceptable"))
        self.assertTrue(set(explanation.text().partition(": ")[0].split(", ")) & fields, answer.toXml())
