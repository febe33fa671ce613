# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.memory}."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import RoomChange, RoomRecord
from muccore.storage.memory import MemoryAccounts, MemoryOccupants, MemoryRooms
from muccore.testing.contracts import AccountStoreContract, OccupantStoreContract, RoomStoreContract
from muccore.testing.doubles import ThreadlessReactor


class MemoryRoomsContractTests(RoomStoreContract, TestCase):
    """Rooms in memory pass the contract suite."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryRooms:
        """A new store."""
        return MemoryRooms()


class MemoryAccountsContractTests(AccountStoreContract, TestCase):
    """Accounts in memory pass the contract suite."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryAccounts:
        """A new store."""
        return MemoryAccounts(reactor)


class MemoryOccupantsContractTests(OccupantStoreContract, TestCase):
    """Places in memory pass the contract suite."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryOccupants:
        """A new store."""
        return MemoryOccupants()


class MemoryTests(SynchronousTestCase):
    """Properties of stores in memory that are not in the contract."""

    def test_roomsSurviveClosing(self) -> None:
        """Rooms answer at once, and survive closing, so that tests can restart a server."""
        store = MemoryRooms()
        self.successResultOf(store.open())
        self.successResultOf(store.save("a@chat.lit", RoomRecord({}, {})))
        self.successResultOf(store.close())
        self.successResultOf(store.open())
        self.assertEqual(self.successResultOf(store.load("a@chat.lit")), RoomRecord({}, {}))

    def test_accountsSurviveClosing(self) -> None:
        """Accounts survive closing, and can be changed after opening again."""
        store = MemoryAccounts(ThreadlessReactor())
        self.successResultOf(store.open())
        self.successResultOf(store.create("juliet@chat.lit", "r0m30"))
        self.successResultOf(store.close())
        self.successResultOf(store.open())
        self.successResultOf(store.create("romeo@chat.lit", "r0m30"))
        self.assertEqual(self.successResultOf(store.users()), ["juliet@chat.lit", "romeo@chat.lit"])

    def test_becomesPublicAndBack(self) -> None:
        """A public room is listed once, however often it is set."""
        store = MemoryRooms()
        store.open()
        store.save("a@chat.lit", RoomRecord({}, {}, public=False))
        listed = [("a@chat.lit", "A")]
        for public, expected in [(False, []), (True, listed), (True, listed), (False, [])]:
            store.change("a@chat.lit", RoomChange(settings={}, name="A", public=public))
            page = self.successResultOf(store.publicRooms("chat.lit", None, None, 5))
            self.assertEqual((page.rooms, page.count), (expected, len(expected)))
