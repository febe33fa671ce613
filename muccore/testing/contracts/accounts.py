# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of accounts."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import IAccountStore, NoSuchUser, StoreUnavailable, UserExists
from muccore.testing.contracts.base import Contract
from muccore.xmpp.scramkeys import ScramKeys


class AccountStoreContract(Contract):
    """Tests of an L{IAccountStore}."""

    async def test_interface(self) -> None:
        """It provides the interface, has keys for at least one hash and is not for loopback listeners only."""
        store = self.makeStore(self.place)
        verifyObject(IAccountStore, store)
        self.assertTrue(store.hashes)
        self.assertLessEqual(store.hashes, {"SHA-1", "SHA-256"})
        self.assertFalse(store.loopbackOnly)

    async def test_closed(self) -> None:
        """A store that is not open refuses every request."""
        for store in (self.makeStore(self.place), await self.opened()):
            await store.close()
            requests: list[tuple[Any, ...]] = [
                ("scramKeys", "juliet", "SHA-256"),
                ("checkPassword", "juliet", "r0m30"),
                ("create", "juliet", "r0m30"),
                ("setPassword", "juliet", "r0m30"),
                ("delete", "juliet"),
                ("users",),
            ]
            for name, *arguments in requests:
                with self.assertRaises(StoreUnavailable):
                    await getattr(store, name)(*arguments)

    async def test_closeFinishes(self) -> None:
        """Requests before C{close} are done when it fires."""
        store = await self.opened()
        created = [store.create(f"user{n}", "r0m30") for n in range(3)]
        await store.close()
        self.assertEqual([self.successResultOf(done) for done in created], [None] * 3)
        if self.durable:
            again = await self.opened()
            self.assertEqual(await again.users(), ["user0", "user1", "user2"])

    async def test_created(self) -> None:
        """A new account has the keys of its password for every hash."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        store = await self.reopened(store)
        for hashName in sorted(store.hashes):
            keys = await store.scramKeys("juliet", hashName)
            self.assertEqual(
                keys, ScramKeys.derive(hashName, "r0m30", keys.salt, keys.iterations), f"keys for {hashName}"
            )
            self.assertGreaterEqual(keys.iterations, 4096)
            self.assertGreaterEqual(len(keys.salt), 8)

    async def test_salted(self) -> None:
        """Two users with the same password have different salts and keys."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        await store.create("nurse", "r0m30")
        for hashName in sorted(store.hashes):
            one = await store.scramKeys("juliet", hashName)
            other = await store.scramKeys("nurse", hashName)
            self.assertNotEqual(one.salt, other.salt)
            self.assertNotEqual(one.storedKey, other.storedKey)

    async def test_noKeys(self) -> None:
        """There are no keys for an unknown user or hash."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        self.assertIsNone(await store.scramKeys("romeo", "SHA-256"))
        self.assertIsNone(await store.scramKeys("juliet", "SHA-512"))

    async def test_checked(self) -> None:
        """The right password is accepted in any form of Unicode (RFC 4013); others and unknown users are refused."""
        store = await self.opened()
        await store.create("juliet", "Ⅸ café")
        for password in ("Ⅸ café", "IX cafe\u0301"):
            self.assertIs(await store.checkPassword("juliet", password), True)
        for password in ("ix café", "", "\x07"):
            self.assertIs(await store.checkPassword("juliet", password), False)
        for user, password in (("romeo", "Ⅸ café"), ("romeo", ""), ("", "Ⅸ café")):
            self.assertIs(await store.checkPassword(user, password), False)

    async def test_exists(self) -> None:
        """An existing name is refused, and its account keeps its password."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        with self.assertRaises(UserExists):
            await store.create("juliet", "other")
        self.assertTrue(await store.checkPassword("juliet", "r0m30"))

    async def test_badPassword(self) -> None:
        """An empty or invalid password is refused for new and existing accounts, and changes nothing."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        for password in ("", "\u00ad", "bell\x07", "\u0627a"):
            with self.assertRaises(ValueError):
                await store.create("romeo", password)
            with self.assertRaises(ValueError):
                await store.setPassword("juliet", password)
        self.assertEqual(await store.users(), ["juliet"])
        self.assertTrue(await store.checkPassword("juliet", "r0m30"))

    async def test_setPassword(self) -> None:
        """A new password replaces the old one, with another salt."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        old = await store.scramKeys("juliet", "SHA-256")
        await store.setPassword("juliet", "p4ris")
        store = await self.reopened(store)
        self.assertFalse(await store.checkPassword("juliet", "r0m30"))
        self.assertTrue(await store.checkPassword("juliet", "p4ris"))
        self.assertNotEqual((await store.scramKeys("juliet", "SHA-256")).salt, old.salt)

    async def test_unknown(self) -> None:
        """An unknown account cannot be changed or deleted."""
        store = await self.opened()
        with self.assertRaises(NoSuchUser):
            await store.setPassword("romeo", "r0m30")
        with self.assertRaises(NoSuchUser):
            await store.delete("romeo")
        self.assertEqual(await store.users(), [])

    async def test_deleted(self) -> None:
        """A deleted account has no keys, and its name is free."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        await store.delete("juliet")
        store = await self.reopened(store)
        self.assertEqual(await store.users(), [])
        self.assertIsNone(await store.scramKeys("juliet", "SHA-256"))
        self.assertFalse(await store.checkPassword("juliet", "r0m30"))
        await store.create("juliet", "p4ris")
        self.assertTrue(await store.checkPassword("juliet", "p4ris"))

    async def test_users(self) -> None:
        """The names are sorted."""
        store = await self.opened()
        for name in ("romeo", "ärzte", "juliet", "a.b"):
            await store.create(name, "r0m30")
        self.assertEqual(await store.users(), ["a.b", "juliet", "romeo", "ärzte"])

    async def test_changesInOrder(self) -> None:
        """Concurrent changes are made in the order of the calls."""
        store = await self.opened()
        await gatherResults(
            [
                store.create("juliet", "first"),
                store.setPassword("juliet", "second"),
                store.create("romeo", "r0m30"),
                store.setPassword("juliet", "third"),
                store.delete("romeo"),
            ]
        )
        self.assertTrue(await store.checkPassword("juliet", "third"))
        self.assertEqual(await store.users(), ["juliet"])

    async def test_cancelled(self) -> None:
        """Cancelled requests do not affect others."""
        store = await self.opened()
        for request in (store.create("juliet", "r0m30"), store.checkPassword("juliet", "r0m30")):
            request.addErrback(lambda failure: None)
            request.cancel()
        await store.create("romeo", "r0m30")
        self.assertTrue(await store.checkPassword("romeo", "r0m30"))
