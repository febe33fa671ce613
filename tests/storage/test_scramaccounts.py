# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.scramaccounts}."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, fail
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import StoreUnavailable
from muccore.storage.memory import MemoryAccounts
from muccore.storage.scramaccounts import CONCURRENT
from muccore.testing.doubles import ThreadlessReactor
from muccore.xmpp.scramkeys import ScramKeys


class DerivationTests(TestCase):
    """Which keys are derived, and where."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Create accounts with one user, and record derivations."""
        self.accounts = MemoryAccounts(reactor)
        await self.accounts.open()
        await self.accounts.create("juliet", "r0m30")
        self.derived: list[tuple[str, int]] = []
        self.threads: set[threading.Thread] = set()
        original: Callable[..., ScramKeys] = ScramKeys.derive

        def derive(hashName: str, password: str, salt: bytes | None = None, iterations: int = 10_000) -> ScramKeys:
            self.derived.append((hashName, iterations))
            self.threads.add(threading.current_thread())
            return original(hashName, password, salt, iterations)

        self.patch(ScramKeys, "derive", staticmethod(derive))

    async def test_threads(self) -> None:
        """Nothing is derived in the reactor thread."""
        await self.accounts.create("romeo", "r0m30")
        await self.accounts.setPassword("romeo", "r0s4l1n3")
        await self.accounts.checkPassword("romeo", "r0m30")
        self.assertEqual(len(self.derived), 7)
        self.assertNotIn(threading.main_thread(), self.threads)

    async def test_sameWork(self) -> None:
        """Derivations are the same for right and wrong passwords and unknown users."""
        work = []
        for user, password in [("juliet", "r0m30"), ("juliet", "wrong"), ("nobody", "r0m30"), ("", "r0m30")]:
            self.derived.clear()
            await self.accounts.checkPassword(user, password)
            work.append(list(self.derived))
        keys = await self.accounts.scramKeys("juliet", "SHA-256")
        assert keys is not None
        self.assertEqual(work, [[("SHA-256", keys.iterations)]] * 4)

    async def test_sameWorkForInvalid(self) -> None:
        """An invalid password, whose derivation fails at once, takes the same work for unknown users."""
        work = []
        for user in ("juliet", "nobody"):
            self.derived.clear()
            await self.accounts.checkPassword(user, "bell\x07")
            work.append(list(self.derived))
        self.assertEqual(work[0], work[1])
        self.assertEqual(len(work[0]), 2)


class NewHashTests(TestCase):
    """Accounts without keys for a hash, as an earlier version has left them."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Create two such accounts."""
        self.accounts = MemoryAccounts(reactor)
        await self.accounts.open()
        for name in ("juliet", "romeo"):
            await self.accounts.create(name, "r0m30")
            del self.accounts._keys[name]["SHA-512"]
        await self.accounts._updateHashes()

    async def keyed(self, name: str) -> bool:
        """Whether an account has such keys."""
        return await self.accounts.scramKeys(name, "SHA-512") is not None

    async def test_offered(self) -> None:
        """A hash counts once every account has keys for it: by new passwords, or since the others are deleted."""
        self.assertEqual(self.accounts.hashes, {"SHA-1", "SHA-256"})
        self.assertEqual(self.accounts.missingHashes, {"SHA-512"})
        await self.accounts.create("nurse", "r0m30")
        await self.accounts.setPassword("juliet", "p4ris")
        self.assertTrue(await self.keyed("juliet"))
        self.assertEqual(self.accounts.missingHashes, {"SHA-512"})
        await self.accounts.delete("romeo")
        self.assertEqual(self.accounts.missingHashes, set())
        self.assertIn("SHA-512", self.accounts.hashes)

    async def test_checked(self) -> None:
        """The right password brings the missing keys, and only that; what it is checked with stays."""
        before = await self.accounts.scramKeys("juliet", "SHA-256")
        self.assertFalse(await self.accounts.checkPassword("juliet", "wrong"))
        self.assertFalse(await self.accounts.checkPassword("nobody", "r0m30"))
        self.assertFalse(await self.keyed("juliet"))
        self.assertTrue(await self.accounts.checkPassword("juliet", "r0m30"))
        made = await self.accounts.scramKeys("juliet", "SHA-512")
        self.assertEqual(made, ScramKeys.derive("SHA-512", "r0m30", made.salt, made.iterations))
        self.assertEqual(await self.accounts.scramKeys("juliet", "SHA-256"), before)
        self.assertFalse(await self.keyed("romeo"))
        self.assertTrue(await self.accounts.checkPassword("romeo", "r0m30"))
        self.assertIn("SHA-512", self.accounts.hashes)

    async def test_otherPassword(self) -> None:
        """Keys of a password that was changed meanwhile are not added."""
        known = await self.accounts.scramKeys("juliet", "SHA-256")
        old = ScramKeys.derive("SHA-512", "r0m30")
        await self.accounts.setPassword("juliet", "p4ris")
        del self.accounts._keys["juliet"]["SHA-512"]
        self.assertIs(await self.accounts.addKeys("juliet", [old], known), False)
        self.assertFalse(await self.keyed("juliet"))

    async def test_unavailable(self) -> None:
        """A password is right even if the new keys cannot be stored."""
        self.patch(self.accounts, "_addMissing", lambda *ignored: fail(StoreUnavailable("no disk")))
        self.assertTrue(await self.accounts.checkPassword("juliet", "r0m30"))
        self.assertFalse(await self.keyed("juliet"))

    async def test_unreadable(self) -> None:
        """
        A change that is done succeeds although the missing hashes cannot be read after it. They are read for the next
        password.
        """
        find = self.accounts._findMissing
        self.accounts._findMissing = lambda: fail(StoreUnavailable("no disk"))  # type: ignore[method-assign]
        for name in ("juliet", "romeo"):
            await self.accounts.setPassword(name, "p4ris")
        self.assertEqual(self.accounts.missingHashes, {"SHA-512"})
        with self.assertRaises(StoreUnavailable):
            await self.accounts.checkPassword("juliet", "p4ris")
        self.accounts._findMissing = find  # type: ignore[method-assign]
        self.assertTrue(await self.accounts.checkPassword("juliet", "p4ris"))
        self.assertEqual(self.accounts.missingHashes, set())

    async def test_sameWork(self) -> None:
        """Passwords are checked with a hash that every account has, whichever that is."""
        for name in ("juliet", "romeo"):
            del self.accounts._keys[name]["SHA-256"]
        await self.accounts.create("nurse", "r0m30")
        await self.accounts._updateHashes()
        self.assertEqual(self.accounts.hashes, {"SHA-1"})
        derived: list[str] = []
        original: Callable[..., ScramKeys] = ScramKeys.derive

        def derive(hashName: str, *arguments: Any) -> ScramKeys:
            derived.append(hashName)
            return original(hashName, *arguments)

        self.patch(ScramKeys, "derive", staticmethod(derive))
        for name in ("juliet", "nurse", "nobody"):
            self.assertFalse(await self.accounts.checkPassword(name, "wrong"))
        self.assertEqual(derived, ["SHA-1"] * 3)


class LazyReactor(ThreadlessReactor):
    """A reactor whose threads run when the test calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []

    def callInThreadWithCallback(self, *arguments: Any, **named: Any) -> None:
        """Queue the call."""
        call = super().callInThreadWithCallback
        self.waiting.append(lambda: call(*arguments, **named))


class BoundTests(SynchronousTestCase):
    """Concurrency of derivations."""

    def setUp(self) -> None:
        """Create accounts whose derivations the test runs."""
        self.reactor = LazyReactor()
        self.accounts = MemoryAccounts(self.reactor)
        self.accounts.open()

    def test_bounded(self) -> None:
        """A limited number of passwords is checked at a time; the others follow in order."""
        checks = [self.accounts.checkPassword("juliet", "r0m30") for _ in range(CONCURRENT + 2)]
        self.assertEqual(len(self.reactor.waiting), CONCURRENT)
        self.reactor.waiting.pop(0)()
        self.assertEqual(len(self.reactor.waiting), CONCURRENT)
        self.assertIs(self.successResultOf(checks[0]), False)
        self.assertNoResult(checks[1])
        while self.reactor.waiting:
            self.reactor.waiting.pop(0)()
        self.assertEqual([self.successResultOf(check) for check in checks[1:]], [False] * (CONCURRENT + 1))

    def test_cancelled(self) -> None:
        """Cancelling running checks does not start others before the threads are done."""
        checks = [self.accounts.checkPassword("juliet", "r0m30") for _ in range(CONCURRENT + 2)]
        for check in checks[:CONCURRENT]:
            check.cancel()
            self.failureResultOf(check)
        self.assertEqual(len(self.reactor.waiting), CONCURRENT)
        while self.reactor.waiting:
            self.reactor.waiting.pop(0)()
        self.assertEqual([self.successResultOf(check) for check in checks[CONCURRENT:]], [False] * 2)

    def test_cancelledInTime(self) -> None:
        """A waiting check that is cancelled does not run, so that guesses of disconnected clients delay nobody."""
        checks = [self.accounts.checkPassword("juliet", "r0m30") for _ in range(CONCURRENT + 3)]
        for check in checks[CONCURRENT:-1]:
            check.cancel()
            self.failureResultOf(check, CancelledError)
        done = 0
        while self.reactor.waiting:
            self.reactor.waiting.pop(0)()
            done += 1
        self.assertEqual(done, CONCURRENT + 1)
        self.assertEqual([self.successResultOf(check) for check in (*checks[:CONCURRENT], checks[-1])], [False] * done)

    def test_closeWaits(self) -> None:
        """Closing waits for changes whose keys are being derived."""
        created = self.accounts.create("juliet", "r0m30")
        closed = self.accounts.close()
        self.assertNoResult(closed)
        self.reactor.waiting.pop()()
        self.successResultOf(created)
        self.successResultOf(closed)
        self.accounts.open()
        self.assertEqual(self.successResultOf(self.accounts.users()), ["juliet"])
