# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What every store of accounts promises."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import IAccountStore, NoSuchUser, StoreUnavailable, UserExists
from muccore.testing.contracts.base import Contract
from muccore.xmpp.scramkeys import ScramKeys


class AccountStoreContract(Contract):
    """What an L{IAccountStore} promises."""

    async def test_interface(self) -> None:
        """It provides the interface, keeps keys for at least one hash and is not for loopback listeners alone."""
        store = self.makeStore(self.place)
        verifyObject(IAccountStore, store)
        self.assertTrue(store.hashes)
        self.assertLessEqual(store.hashes, {"SHA-1", "SHA-256"})
        self.assertFalse(store.loopbackOnly)

    async def test_closed(self) -> None:
        """A store that is closed, or not yet open, refuses every request."""
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
        """What was asked for before C{close} is done by the time it has closed."""
        store = await self.opened()
        created = [store.create(f"user{n}", "r0m30") for n in range(3)]
        await store.close()
        self.assertEqual([self.successResultOf(done) for done in created], [None] * 3)
        if self.durable:
            again = await self.opened()
            self.assertEqual(await again.users(), ["user0", "user1", "user2"])

    async def test_created(self) -> None:
        """A new account has keys for every hash, each of its password, as long as it is kept."""
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
        """Two users with one password have nothing in common."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        await store.create("nurse", "r0m30")
        for hashName in sorted(store.hashes):
            one = await store.scramKeys("juliet", hashName)
            other = await store.scramKeys("nurse", hashName)
            self.assertNotEqual(one.salt, other.salt)
            self.assertNotEqual(one.storedKey, other.storedKey)

    async def test_noKeys(self) -> None:
        """There are no keys of an unknown user, nor for an unknown hash."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        self.assertIsNone(await store.scramKeys("romeo", "SHA-256"))
        self.assertIsNone(await store.scramKeys("juliet", "SHA-512"))

    async def test_checked(self) -> None:
        """
        The right password, in whatever form of Unicode (RFC 4013), is right; every other one is not, one that may not
        be and an unknown user's included.
        """
        store = await self.opened()
        await store.create("juliet", "Ⅸ café")
        self.assertIs(await store.checkPassword("juliet", "Ⅸ café"), True)
        self.assertIs(await store.checkPassword("juliet", "IX cafe\u0301"), True)
        self.assertIs(await store.checkPassword("juliet", "ix café"), False)
        self.assertIs(await store.checkPassword("juliet", ""), False)
        self.assertIs(await store.checkPassword("juliet", "\x07"), False)
        self.assertIs(await store.checkPassword("romeo", "Ⅸ café"), False)
        self.assertIs(await store.checkPassword("romeo", ""), False)
        self.assertIs(await store.checkPassword("", "Ⅸ café"), False)

    async def test_exists(self) -> None:
        """A name can be taken only once; whoever has it keeps the password."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        with self.assertRaises(UserExists):
            await store.create("juliet", "other")
        self.assertTrue(await store.checkPassword("juliet", "r0m30"))

    async def test_badPassword(self) -> None:
        """A password that is empty or may not be is refused, for new accounts and old ones, and changes nothing."""
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
        """A new password takes the place of the old one, under another salt."""
        store = await self.opened()
        await store.create("juliet", "r0m30")
        old = await store.scramKeys("juliet", "SHA-256")
        await store.setPassword("juliet", "p4ris")
        store = await self.reopened(store)
        self.assertFalse(await store.checkPassword("juliet", "r0m30"))
        self.assertTrue(await store.checkPassword("juliet", "p4ris"))
        self.assertNotEqual((await store.scramKeys("juliet", "SHA-256")).salt, old.salt)

    async def test_unknown(self) -> None:
        """An account that is not there can neither be changed nor deleted."""
        store = await self.opened()
        with self.assertRaises(NoSuchUser):
            await store.setPassword("romeo", "r0m30")
        with self.assertRaises(NoSuchUser):
            await store.delete("romeo")
        self.assertEqual(await store.users(), [])

    async def test_deleted(self) -> None:
        """A deleted account is gone with its keys, and its name is free."""
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
        """The names come sorted."""
        store = await self.opened()
        for name in ("romeo", "ärzte", "juliet", "a.b"):
            await store.create(name, "r0m30")
        self.assertEqual(await store.users(), ["a.b", "juliet", "romeo", "ärzte"])

    async def test_changesInOrder(self) -> None:
        """Changes that are made without waiting are carried out in their order."""
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
        """Cancelling requests disturbs none of the others."""
        store = await self.opened()
        for request in (store.create("juliet", "r0m30"), store.checkPassword("juliet", "r0m30")):
            request.addErrback(lambda failure: None)
            request.cancel()
        await store.create("romeo", "r0m30")
        self.assertTrue(await store.checkPassword("romeo", "r0m30"))
