# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.memory}."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import RoomChange, RoomRecord
from muccore.storage.memory import MemoryAccounts, MemoryRooms
from muccore.testing.contracts import AccountStoreContract, RoomStoreContract
from muccore.testing.doubles import ThreadlessReactor


class MemoryRoomsContractTests(RoomStoreContract, TestCase):
    """Rooms in memory keep the contract, as long as they last."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryRooms:
        """A new store."""
        return MemoryRooms()


class MemoryAccountsContractTests(AccountStoreContract, TestCase):
    """Accounts in memory keep the contract, as long as they last."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> MemoryAccounts:
        """A new store."""
        return MemoryAccounts(reactor)


class MemoryTests(SynchronousTestCase):
    """What stores in memory promise beyond the contract."""

    def test_roomsAtOnce(self) -> None:
        """Rooms in memory answer at once: whoever tests with them needs no reactor."""
        store = MemoryRooms()
        self.successResultOf(store.open())
        self.successResultOf(store.save("a@chat.lit", RoomRecord({}, {})))
        self.assertEqual(self.successResultOf(store.load("a@chat.lit")), RoomRecord({}, {}))

    def test_roomsSurviveClosing(self) -> None:
        """Opened again, the same store has the same rooms, so that a restart can be played."""
        store = MemoryRooms()
        self.successResultOf(store.open())
        self.successResultOf(store.save("a@chat.lit", RoomRecord({}, {})))
        self.successResultOf(store.close())
        self.successResultOf(store.open())
        self.assertEqual(self.successResultOf(store.load("a@chat.lit")), RoomRecord({}, {}))

    def test_accountsSurviveClosing(self) -> None:
        """Opened again, the same store has the same accounts and takes changes."""
        store = MemoryAccounts(ThreadlessReactor())
        self.successResultOf(store.open())
        self.successResultOf(store.create("juliet", "r0m30"))
        self.successResultOf(store.close())
        self.successResultOf(store.open())
        self.successResultOf(store.create("romeo", "r0m30"))
        self.assertEqual(self.successResultOf(store.users()), ["juliet", "romeo"])

    def test_becomesPublicAndBack(self) -> None:
        """A room is listed once while it is public, however often that is said."""
        store = MemoryRooms()
        store.open()
        store.save("a@chat.lit", RoomRecord({}, {}, public=False))
        listed = [("a@chat.lit", "A")]
        for public, expected in [(False, []), (True, listed), (True, listed), (False, [])]:
            store.change("a@chat.lit", RoomChange(settings={}, name="A", public=public))
            page = self.successResultOf(store.publicRooms("chat.lit", None, None, 5))
            self.assertEqual((page.rooms, page.count), (expected, len(expected)))
