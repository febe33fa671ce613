# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.pastmessages}."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import pastmessages
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.extensionpoints import RoomExtensions
from muccore.muc.model.history import RECENT
from muccore.muc.model.pastmessages import PastMessage
from muccore.muc.model.room import Room
from muccore.muc.model.roommessage import RoomMessage
from muccore.muc.model.roomsettings import RoomSettings
from muccore.xmpp import ns
from muccore.xmpp.element import stanza
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered
from tests.muc.extensions.keeper import Keeper

T = TypeVar("T")

TOMBSTONE = Rendered.of(stanza("message", "groupchat"))


def message(id: str, when: float, account: str, messageId: str, replace: str = "") -> RoomMessage:
    """A message that was sent, perhaps a correction."""
    element = stanza("message", "groupchat", id=messageId or None)
    element.add("body", text=f"text of {id}")
    if replace:
        element.add("replace", ns.CORRECT, id=replace)
    return RoomMessage(id, when, "room@x/nick", account, element, Rendered.of(element), True)


class PastMessageTests(SynchronousTestCase):
    """A room with a history of two messages, and something that keeps more."""

    def setUp(self) -> None:
        self.makeRoom(2)

    def makeRoom(self, history: int, *extensions: Keeper) -> None:
        """Make the room."""
        self.now = 0.0
        settings = RoomSettings(
            public=True, persistent=True, membersOnly=False, moderated=False, nonAnonymous=False, historyLength=history
        )
        known = RoomExtensions(extensions)
        self.room = Room(parse("room@x"), settings, Affiliations({}), lambda: 0.0, extensions=known)

    def send(self, id: str, account: str = "a@x", messageId: str = "", replace: str = "") -> None:
        """Send a message."""
        self.now += 1.0
        sent = message(id, self.now, account, messageId, replace)
        self.room.history.add(sent)
        for extension in self.room.extensions:
            extension.published(self.room, sent)

    def get(self, coroutine: Coroutine[Deferred[Any], Any, T]) -> T:
        """The result of a coroutine that need not wait."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def find(self, id: str) -> PastMessage | None:
        """Find a message."""
        return self.get(pastmessages.find(self.room, id))

    def ids(self, limit: int = 100) -> list[str]:
        """The ids of the messages of an author."""
        return [past.id for past in self.get(pastmessages.findBy(self.room, "a@x", limit))]

    def test_find(self) -> None:
        """A message is found in the history, with its content; of one that has left it, who wrote it."""
        for number in range(3):
            self.send(str(number), messageId=f"m{number}")
        found = [self.find(id) for id in ("0", "2", "3")]
        self.assertEqual(found, [PastMessage("0", "a@x", "m0", 1.0), PastMessage("2", "a@x", "m2", 3.0), None])
        assert found[0] is not None and found[1] is not None
        self.assertIsNone(found[0].element)
        self.assertIn("text of 2", str(found[1].element and found[1].element.toXml()))

    def test_findKept(self) -> None:
        """One that the history has no more is found where else it is kept."""
        self.makeRoom(2, Keeper())
        for number in range(RECENT + 5):
            self.send(str(number))
        found = self.find("0")
        assert found is not None
        self.assertIn("text of 0", str(found.element and found.element.toXml()))

    def test_findSent(self) -> None:
        """By the id that its author gave it; the first author of an id decides, and no id is found."""
        for id, account, messageId in (("0", "a@x", "m"), ("1", "b@x", "m"), ("2", "b@x", ""), ("3", "b@x", "n")):
            self.send(id, account, messageId)
        for account, messageId, expected in (("b@x", "m", "0"), ("a@x", "m", "0"), ("b@x", "n", "3"), ("a@x", "o", "")):
            found = self.get(pastmessages.findSent(self.room, account, messageId))
            self.assertEqual("" if found is None else found.id, expected)

    def test_findSentKept(self) -> None:
        """What nobody remembers is found among what the author has written last, the last one first."""
        self.makeRoom(2, Keeper())
        for id in "abc":
            self.send(id, messageId="m")
        for number in range(RECENT):
            self.send(str(number), "b@x", "m" if number == 0 else "")
        found = self.get(pastmessages.findSent(self.room, "a@x", "m"))
        self.assertEqual(found and found.id, "0")
        self.room.history.forget({next(self.room.history.recent()).id})
        found = self.get(pastmessages.findSent(self.room, "a@x", "m"))
        self.assertEqual(found and found.id, "c")

    def test_findBy(self) -> None:
        """All of an author, in their order, whatever is known of them; not what is retracted."""
        for keeper in ((), (Keeper(),)):
            self.makeRoom(2, *keeper)
            for number in range(6):
                self.send(str(number), "b@x" if number == 3 else "a@x")
            self.assertEqual(self.ids(), ["0", "1", "2", "4", "5"])
            self.assertEqual(self.ids(2), ["4", "5"])
            self.get(pastmessages.replace(self.room, {"0": TOMBSTONE, "1": None, "4": TOMBSTONE}))
            expected = ["2", "5"] if not keeper else ["1", "2", "5"]
            self.assertEqual(self.ids(), expected)

    @given(st.lists(st.booleans(), max_size=12), st.integers(0, 5), st.integers(0, 6))
    def test_order(self, kept: list[bool], history: int, forgotten: int) -> None:
        """Their order is that in which they were sent, whatever each of those who know them knows."""
        keeper = Keeper()
        self.makeRoom(history, keeper)
        for number, isKept in enumerate(kept):
            self.send(str(number))
            if not isKept:
                keeper.messages["room@x"].pop()
        for _ in range(min(forgotten, len(kept))):
            self.room.history.forget({next(self.room.history.recent()).id})
        inHistory = {item.id for item in self.room.history}
        expected = [
            str(number)
            for number, isKept in enumerate(kept)
            if isKept or number >= forgotten or str(number) in inHistory
        ]
        self.assertEqual(self.ids(), expected)

    def test_corrections(self) -> None:
        """What is one message to its readers, whichever of them is asked for."""
        self.makeRoom(20)
        self.send("1", messageId="m1")
        self.send("2", messageId="m2", replace="m1")
        self.send("3", messageId="m3", replace="m2")
        self.send("4", messageId="m4", replace="m1")
        self.send("5", messageId="m5")
        self.send("6", "b@x", "m6", replace="m1")
        self.send("7", messageId="")
        self.send("8", messageId="", replace="lost")
        self.send("9", messageId="", replace="lost")
        for id, expected in (("1", "234"), ("2", "134"), ("3", "124"), ("5", ""), ("6", ""), ("7", ""), ("8", "")):
            past = self.find(id)
            assert past is not None
            found = self.get(pastmessages.findCorrections(self.room, past))
            self.assertEqual(sorted(other.id for other in found), list(expected), id)

    def test_replace(self) -> None:
        """Tombstones take the places of messages, which are not remembered any more."""
        keeper = Keeper()
        self.makeRoom(2, keeper)
        for number in range(4):
            self.send(str(number))
        self.get(pastmessages.replace(self.room, {"0": TOMBSTONE, "3": TOMBSTONE, "x": None}))
        self.assertEqual([(item.id, item.retracted) for item in self.room.history], [("2", False), ("3", True)])
        self.assertEqual([sent.id for sent in self.room.history.recent()], ["1", "2"])
        self.assertEqual([past.retracted for past in keeper.messages["room@x"]], [True, False, False, True])
        for id in ("0", "3"):
            past = self.find(id)
            assert past is not None
            self.assertTrue(past.retracted)
