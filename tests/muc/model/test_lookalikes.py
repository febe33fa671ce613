# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.lookalikes}, and of rooms that refuse nicks by it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.lookalikes import _PROTOTYPES, LookalikeIndex, skeletons
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    RoomTestCase,
    affiliation,
    configure,
    join,
    register,
    sendAdmin,
    sendPresence,
    summaries,
)

CYRILLIC = "R\u043emeo"


class SkeletonTests(SynchronousTestCase):
    """Nicks look alike if they share a skeleton (UTS #39 §4)."""

    def test_alike(self) -> None:
        """Letters of other scripts, digits and groups of letters look alike, also in the comparison form."""
        for nick, other in [
            ("Romeo", CYRILLIC),
            ("ROMEO", CYRILLIC.lower()),
            ("Romeo", "Rorneo"),
            ("Ian", "lan"),
            ("Player1", "Playerl"),
            ("\u0391\u03bd\u03b1", "A\u03bd\u03b1"),
            ("\u0555ne", "One"),
            ("Zoe\u0308", "Zo\u00eb"),
            ("Romeo", "\u2800Romeo\u2800"),
            ("Romeo", "Ro\U0001d159meo"),
            ("Third Witch", "Third\u2800\u2800Witch"),
        ]:
            self.assertTrue(set(skeletons(nick)) & set(skeletons(other)), (nick, other))

    def test_different(self) -> None:
        """Nicks that can be told apart share none."""
        for nick, other in [("Lan", "Ian"), ("Romeo", "Rome"), ("Zoe", "Zoë"), ("Anna", "Hanna"), ("user1", "user2")]:
            self.assertFalse(set(skeletons(nick)) & set(skeletons(other)), (nick, other))

    def test_table(self) -> None:
        """The whole table has been read, and prototypes have no prototypes."""
        self.assertEqual(len(_PROTOTYPES), 2567)
        self.assertEqual([text for text in _PROTOTYPES.values() if text.translate(_PROTOTYPES) != text], [])

    @given(st.lists(st.tuples(st.sampled_from(("Ian", "lan", "IAN", CYRILLIC)), st.sampled_from("ab")), max_size=6))
    def test_index(self, held: list[tuple[str, str]]) -> None:
        """An index has the users of each nick until the last one is removed."""
        index = LookalikeIndex()
        for nick, user in held:
            index.add(nick, user)
        while held:
            for nick in ("Ian", "Romeo"):
                alike = {user for other, user in held if set(skeletons(other)) & set(skeletons(nick))}
                self.assertEqual(index.users(nick), alike)
            index.remove(*held.pop())
        self.assertEqual(index._users, {})


class LookalikeTests(RoomTestCase):
    """Rooms refuse nicks that look like another user's."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.enter("romeo")
        self.other = self.client("other")
        self.discardReceived()

    def assertConflict(self, text: str) -> None:
        """Check that the other user's request has been refused with a text."""
        [refusal] = self.other.received()
        error = refusal.child("error")
        assert isinstance(error, Element)
        self.assertIsNotNone(error.child("conflict", ns.STANZA_ERRORS), refusal.toXml())
        explanation = error.child("text", ns.STANZA_ERRORS)
        assert explanation is not None
        self.assertIn(text, explanation.text())

    def test_entering(self) -> None:
        """Another user cannot enter; the same user can, as another occupant."""
        join(self.other, CYRILLIC)
        self.assertConflict("looks like that of another occupant")
        join(self.client("romeo/b"), CYRILLIC)
        self.assertIn(CYRILLIC, self.room().occupants)

    def test_changing(self) -> None:
        """An occupant cannot change to it, until the other has changed or left."""
        self.enter(self.other, "Tybalt")
        sendPresence(self.other, CYRILLIC)
        self.assertConflict("looks like")
        sendPresence(self.romeo, "Montague")
        self.discardReceived()
        sendPresence(self.other, CYRILLIC)
        self.assertIn(CYRILLIC, self.room().occupants)

    def test_reserving(self) -> None:
        """Nobody reserves it, or enters with what looks like a nick that is reserved; its owner may."""
        register(self.other, CYRILLIC)
        self.assertConflict("looks like that of another occupant")
        self.change(affiliation("paris@localhost", "member", nick="Paris"))
        register(self.other, "P\u0430ris")
        self.assertConflict("looks like one that is reserved")
        join(self.other, "P\u0430ris")
        self.assertConflict("looks like one that is reserved")
        items = [affiliation(f"{name}@localhost", "member", nick=nick) for name, nick in (("a", "Nl"), ("b", "N1"))]
        sendAdmin(self.owner, *items)
        self.assertReceived(self.owner, "error q cancel conflict")

    def test_ownReserved(self) -> None:
        """A reserved nick is its user's, whatever it looks like."""
        self.configureRoom(**{"x-muc#roomconfig_refuselookalikes": False})
        self.change(affiliation("other@localhost", "member", nick=CYRILLIC))
        self.configureRoom(**{"x-muc#roomconfig_refuselookalikes": True})
        register(self.other, CYRILLIC)
        self.assertReceived(self.other, "result q")
        join(self.other, CYRILLIC)
        self.assertIn(CYRILLIC, self.room().occupants)

    def test_allowed(self) -> None:
        """The room's configuration may allow them; those present stay when it no longer does."""
        self.configureRoom(**{"x-muc#roomconfig_refuselookalikes": False})
        self.enter(self.other, CYRILLIC)
        configure(self.owner, **{"x-muc#roomconfig_refuselookalikes": True})
        self.assertIn("room groupchat 104", summaries(self.other))
        sendPresence(self.other, CYRILLIC, "<status>still</status>")
        self.assertIn(f"{CYRILLIC} available none/participant status:still", summaries(self.romeo))
