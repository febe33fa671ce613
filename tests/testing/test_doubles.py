# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.testing.doubles}."""

from __future__ import annotations

from twisted.internet.threads import deferToThreadPool
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import Affiliate, RoomChange, RoomRecord, StoreError, StoreUnavailable
from muccore.storage.memory import MemoryRooms
from muccore.testing.contracts import RoomStoreContract
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore, ThreadlessReactor

EMPTY = RoomRecord({}, {})
CHANGE = RoomChange({"hag66@shakespeare.lit": Affiliate("member")})
CHANGED = RoomRecord({}, {"hag66@shakespeare.lit": Affiliate("member")})


class TransparentContractTests(RoomStoreContract, TestCase):
    """A wrapper that fails nothing is a store like the one that it wraps."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> FailingRoomStore:
        """Return a wrapper around a store that is not open."""
        return FailingRoomStore(MemoryRooms())


class FailingRoomStoreTests(SynchronousTestCase):
    """A store that fails on demand."""

    def test_fails(self) -> None:
        """The chosen methods fail and do nothing, until they are chosen no more; the others work."""
        store = FailingRoomStore()
        self.successResultOf(store.save("a@x", EMPTY))
        store.failing = WRITES
        self.failureResultOf(store.change("a@x", CHANGE), StoreUnavailable)
        self.failureResultOf(store.destroy("a@x"), StoreUnavailable)
        self.assertEqual(self.successResultOf(store.load("a@x")), EMPTY)
        store.failing = frozenset()
        self.successResultOf(store.change("a@x", CHANGE))
        self.assertEqual(self.successResultOf(store.load("a@x")), CHANGED)

    def test_calls(self) -> None:
        """All calls are recorded, failing ones too."""
        store = FailingRoomStore()
        store.failing = frozenset(["destroy"])
        self.successResultOf(store.load("a@x"))
        self.failureResultOf(store.destroy("a@x"), StoreUnavailable)
        self.assertEqual(store.calls, [("load", "a@x"), ("destroy", "a@x")])


class DelayedRoomStoreTests(SynchronousTestCase):
    """A store that holds requests."""

    def setUp(self) -> None:
        """Create a store with a room."""
        self.rooms = MemoryRooms()
        self.rooms.open()
        self.rooms.save("a@x", EMPTY)
        self.store = DelayedRoomStore(self.rooms)

    def test_held(self) -> None:
        """Writes are done when they are released; reads without a write before them are done at once."""
        self.assertEqual(self.successResultOf(self.store.load("a@x")), EMPTY)
        change = self.store.change("a@x", CHANGE)
        self.assertNoResult(change)
        self.assertEqual(self.successResultOf(self.rooms.load("a@x")), EMPTY)
        self.store.release()
        self.successResultOf(change)
        self.assertEqual(self.successResultOf(self.rooms.load("a@x")), CHANGED)

    def test_order(self) -> None:
        """Reads behind a held write wait, and are done after it."""
        change, read = self.store.change("a@x", CHANGE), self.store.load("a@x")
        destroy, last = self.store.destroy("a@x"), self.store.load("a@x")
        self.assertEqual(self.store.held, ["change", "load", "destroy", "load"])
        self.assertNoResult(read)
        self.store.release(1)
        self.successResultOf(change)
        self.assertEqual(self.successResultOf(read), CHANGED)
        self.assertNoResult(destroy)
        self.store.release(1)
        self.successResultOf(destroy)
        self.assertIsNone(self.successResultOf(last))

    def test_failure(self) -> None:
        """A write that fails when it is released fails to its caller."""
        change = self.store.change("b@x", CHANGE)
        self.store.release()
        self.failureResultOf(change, StoreError)

    def test_tooMany(self) -> None:
        """Releasing more requests than are held is an error."""
        self.store.change("a@x", CHANGE)
        self.assertRaises(ValueError, self.store.release, 2)
        self.assertEqual(self.store.held, ["change"])

    def test_releasedWhileReleasing(self) -> None:
        """Requests made during a release are held again."""
        self.store.change("a@x", CHANGE).addCallback(lambda ignored: self.store.destroy("a@x"))
        self.store.release()
        self.assertEqual(self.store.held, ["destroy"])

    def test_holding(self) -> None:
        """The held methods can be chosen."""
        self.store.holding = frozenset(["load"])
        self.successResultOf(self.store.change("a@x", CHANGE))
        load = self.store.load("a@x")
        self.assertNoResult(load)
        self.store.release()
        self.assertEqual(self.successResultOf(load), CHANGED)


class ThreadlessReactorTests(SynchronousTestCase):
    """A reactor without threads."""

    def test_atOnce(self) -> None:
        """Work deferred to its threads is done at once; failures are passed on."""
        reactor = ThreadlessReactor()
        pool = reactor.getThreadPool()
        self.assertEqual(self.successResultOf(deferToThreadPool(reactor, pool, divmod, 7, 2)), (3, 1))
        self.failureResultOf(deferToThreadPool(reactor, pool, divmod, 7, 0), ZeroDivisionError)
