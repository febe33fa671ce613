# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.testing.faults}."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import IStore, StoreUnavailable
from muccore.storage.memory import MemoryOccupants
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.storage.registry import KINDS
from muccore.testing.contracts import UserDataStoreContract
from muccore.testing.faults import CERTAIN, Fault, Faults, FaultyStore, requestsOf, writesOf

KEY = ("private", "k")


class TransparentContractTests(UserDataStoreContract, TestCase):
    """A wrapper without a fault is a store like the one that it wraps."""

    durable = False

    def makeStore(self, place: FilePath[str]) -> FaultyStore:
        """Wrap a store."""
        return FaultyStore("userdata", MemoryUserData(), Faults())


class RequestTests(SynchronousTestCase):
    """What requests there are."""

    def test_kinds(self) -> None:
        """Each kind has writes and reads, without those of every store; those that never fail are among them."""
        for kind in KINDS:
            requests, writes = requestsOf(kind), writesOf(kind)
            self.assertLess(writes, requests)
            self.assertTrue(writes)
            self.assertFalse(requests & set(IStore.names()))
            self.assertLessEqual(CERTAIN.get(kind, set()), requests)
        self.assertEqual(writesOf("rooms"), {"save", "change", "destroy", "setPreference"})
        self.assertEqual(writesOf("accounts"), {"create", "createWithKeys", "setPassword", "addKeys", "delete"})


class FaultTests(SynchronousTestCase):
    """A store of documents with faults."""

    def setUp(self) -> None:
        """Make it."""
        self.faults = Faults()
        self.inner = MemoryUserData()
        self.store = FaultyStore("userdata", self.inner, self.faults)
        self.successResultOf(self.store.open())

    def write(self, content: bytes) -> Deferred[None]:
        """Change a document."""
        changing: Deferred[None] = self.store.change("romeo@x", {KEY: content})
        return changing

    def content(self) -> bytes | None:
        """What the store has."""
        found: bytes | None = self.successResultOf(self.inner.get("romeo@x", *KEY))
        return found

    def test_fails(self) -> None:
        """Requests from a position on fail, so many, and do nothing; what was requested is recorded."""
        self.faults.arm(Fault.FAIL, 1, 1)
        self.successResultOf(self.write(b"1"))
        self.failureResultOf(self.write(b"2"), StoreUnavailable)
        self.assertEqual(self.content(), b"1")
        self.assertEqual(self.successResultOf(self.store.get("romeo@x", *KEY)), b"1")
        self.assertEqual(self.faults.requests, ["userdata.change", "userdata.change", "userdata.get"])
        self.faults.arm(Fault.FAIL)
        for _ in range(2):
            self.failureResultOf(self.write(b"3"), StoreUnavailable)
        self.faults.heal()
        self.successResultOf(self.write(b"4"))

    def test_waits(self) -> None:
        """Requests wait until the stores are healed, and are then made in order."""
        self.faults.arm(Fault.WAIT)
        answers = [self.write(b"1"), self.store.get("romeo@x", *KEY)]
        self.assertNoResult(answers[0])
        self.assertIsNone(self.content())
        self.faults.heal()
        self.assertEqual(list(map(self.successResultOf, answers)), [None, b"1"])

    def test_dies(self) -> None:
        """A request is lost, or done, and never answered; all later ones are lost, until the server is buried."""
        for fault, expected in ((Fault.LOST, None), (Fault.DONE, b"1")):
            self.faults.arm(fault)
            answers = [self.write(b"1"), self.write(b"2")]
            for answer in answers:
                self.assertNoResult(answer)
            self.assertEqual(self.content(), expected)
            another = FaultyStore("userdata", self.inner, Faults())
            self.successResultOf(another.open())
            self.assertEqual(self.successResultOf(another.get("romeo@x", *KEY)), expected)
            self.faults.bury()
            for answer in (*answers, self.write(b"3")):
                self.failureResultOf(answer, StoreUnavailable)

    def test_certain(self) -> None:
        """What never fails by its interface does not fail."""
        inner = MemoryOccupants()
        store = FaultyStore("occupants", inner, self.faults)
        self.successResultOf(store.open())
        self.faults.arm(Fault.FAIL)
        store.removeRoom("room@x")
        self.assertEqual(store.places(), {})
        self.failureResultOf(store.takeSessions(), StoreUnavailable)
        self.successResultOf(store.close())
        with self.assertRaises(AttributeError):
            store.unknown  # noqa: B018
