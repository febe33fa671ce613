# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of accounts."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import IAccountStore, NoSuchUser, UserExists
from muccore.testing.contracts.base import Contract
from muccore.xmpp.scramkeys import HASHES, ScramKeys

JULIET: Final = "juliet@chat.lit"
ROMEO: Final = "romeo@chat.lit"


class AccountStoreContract(Contract):
    """Tests of an L{IAccountStore}."""

    requests = (
        ("scramKeys", JULIET, "SHA-256"),
        ("checkPassword", JULIET, "r0m30"),
        ("hasAccount", JULIET),
        ("create", JULIET, "r0m30"),
        ("createWithKeys", JULIET, [ScramKeys.derive("SHA-1", "r0m30", b"salt", 4096)]),
        ("setPassword", JULIET, "r0m30"),
        ("delete", JULIET),
        ("users",),
    )

    async def test_interface(self) -> None:
        """It provides the interface, has keys for at least one hash and is not for loopback listeners only."""
        store = self.makeStore(self.place)
        verifyObject(IAccountStore, store)
        self.assertTrue(store.hashes)
        self.assertLessEqual(store.hashes, HASHES.keys())
        self.assertFalse(store.missingHashes)
        self.assertFalse(store.loopbackOnly)

    async def test_closeFinishes(self) -> None:
        """Requests before C{close} are done when it fires."""
        store = await self.opened()
        created = [store.create(f"user{n}@chat.lit", "r0m30") for n in range(3)]
        await store.close()
        self.assertEqual([self.successResultOf(done) for done in created], [None] * 3)
        if self.durable:
            again = await self.opened()
            self.assertEqual(await again.users(), [f"user{n}@chat.lit" for n in range(3)])

    async def test_created(self) -> None:
        """A new account has the keys of its password for every hash."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        store = await self.reopened(store)
        for hashName in sorted(store.hashes):
            keys = await store.scramKeys(JULIET, hashName)
            self.assertEqual(
                keys, ScramKeys.derive(hashName, "r0m30", keys.salt, keys.iterations), f"keys for {hashName}"
            )
            self.assertGreaterEqual(keys.iterations, 4096)
            self.assertGreaterEqual(len(keys.salt), 8)

    async def test_createdWithKeys(self) -> None:
        """An account can be created with the keys that another server has; mechanisms of others are not offered."""
        store = await self.opened()
        await store.create(ROMEO, "juliet")
        keys = [ScramKeys.derive(name, "r0m30", b"salt" * 4, 4096) for name in ("SHA-1", "SHA-256")]
        await store.createWithKeys(JULIET, keys)
        self.assertEqual(store.missingHashes, frozenset({"SHA-512"}))
        store = await self.reopened(store)
        self.assertEqual(store.missingHashes, frozenset({"SHA-512"}))
        self.assertEqual([await store.scramKeys(JULIET, key.hashName) for key in keys], keys)
        self.assertTrue(await store.checkPassword(JULIET, "r0m30"))
        # Checking it has completed the keys.
        self.assertEqual(store.missingHashes, frozenset())
        with self.assertRaises(UserExists):
            await store.createWithKeys(JULIET, keys)
        for bad in ([], [keys[0], keys[0]]):
            with self.assertRaises(ValueError):
                await store.createWithKeys("nurse@chat.lit", bad)
        self.assertEqual(await store.users(), [JULIET, ROMEO])

    async def test_differentHashes(self) -> None:
        """Accounts that have no hash in common exist, and their passwords complete their keys."""
        store = await self.opened()
        for account, name in ((JULIET, "SHA-1"), (ROMEO, "SHA-256")):
            await store.createWithKeys(account, [ScramKeys.derive(name, "r0m30", b"salt" * 4, 4096)])
        self.assertEqual(store.hashes, frozenset())
        for account, exists in ((JULIET, True), (ROMEO, True), ("nurse@chat.lit", False)):
            self.assertEqual(await store.hasAccount(account), exists)
            self.assertFalse(await store.checkPassword(account, "other"))
            self.assertEqual(await store.checkPassword(account, "r0m30"), exists)
        self.assertEqual(store.missingHashes, frozenset())

    async def test_salted(self) -> None:
        """Two users with the same password have different salts and keys."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        await store.create("nurse@chat.lit", "r0m30")
        for hashName in sorted(store.hashes):
            one = await store.scramKeys(JULIET, hashName)
            other = await store.scramKeys("nurse@chat.lit", hashName)
            self.assertNotEqual(one.salt, other.salt)
            self.assertNotEqual(one.storedKey, other.storedKey)

    async def test_noKeys(self) -> None:
        """There are no keys for an unknown user or hash."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        self.assertIsNone(await store.scramKeys(ROMEO, "SHA-256"))
        self.assertIsNone(await store.scramKeys(JULIET, "SHA-224"))

    async def test_checked(self) -> None:
        """The right password is accepted in any form of Unicode (RFC 4013); others and unknown users are refused."""
        store = await self.opened()
        await store.create(JULIET, "Ⅸ café")
        for password in ("Ⅸ café", "IX cafe\u0301"):
            self.assertIs(await store.checkPassword(JULIET, password), True)
        for password in ("ix café", "", "\x07"):
            self.assertIs(await store.checkPassword(JULIET, password), False)
        for user, password in ((ROMEO, "Ⅸ café"), (ROMEO, ""), ("", "Ⅸ café")):
            self.assertIs(await store.checkPassword(user, password), False)

    async def test_hasAccount(self) -> None:
        """Whether there is an account."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        self.assertIs(await store.hasAccount(JULIET), True)
        self.assertIs(await store.hasAccount(ROMEO), False)
        await store.delete(JULIET)
        self.assertIs(await store.hasAccount(JULIET), False)

    async def test_exists(self) -> None:
        """An existing account is refused, and its account keeps its password."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        with self.assertRaises(UserExists):
            await store.create(JULIET, "other")
        self.assertTrue(await store.checkPassword(JULIET, "r0m30"))

    async def test_badPassword(self) -> None:
        """An empty or invalid password is refused for new and existing accounts, and changes nothing."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        for password in ("", "\u00ad", "bell\x07", "\u0627a"):
            with self.assertRaises(ValueError):
                await store.create(ROMEO, password)
            with self.assertRaises(ValueError):
                await store.setPassword(JULIET, password)
        self.assertEqual(await store.users(), [JULIET])
        self.assertTrue(await store.checkPassword(JULIET, "r0m30"))

    async def test_setPassword(self) -> None:
        """A new password replaces the old one, with another salt."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        old = await store.scramKeys(JULIET, "SHA-256")
        await store.setPassword(JULIET, "p4ris")
        store = await self.reopened(store)
        self.assertFalse(await store.checkPassword(JULIET, "r0m30"))
        self.assertTrue(await store.checkPassword(JULIET, "p4ris"))
        self.assertNotEqual((await store.scramKeys(JULIET, "SHA-256")).salt, old.salt)

    async def test_addKeys(self) -> None:
        """Keys are never replaced, and none are added by who does not know those of the present password."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        [hashName, *_] = sorted(store.hashes)
        known = await store.scramKeys(JULIET, hashName)
        other = ScramKeys.derive(hashName, "p4ris")
        self.assertIs(await store.addKeys(JULIET, [other], known), True)
        self.assertEqual(await store.scramKeys(JULIET, hashName), known)
        self.assertIs(await store.addKeys(JULIET, [other], other), False)
        self.assertIs(await store.addKeys(ROMEO, [other], known), False)
        self.assertIs(await store.hasAccount(ROMEO), False)

    async def test_unknown(self) -> None:
        """An unknown account cannot be changed or deleted."""
        store = await self.opened()
        with self.assertRaises(NoSuchUser):
            await store.setPassword(ROMEO, "r0m30")
        with self.assertRaises(NoSuchUser):
            await store.delete(ROMEO)
        self.assertEqual(await store.users(), [])

    async def test_deleted(self) -> None:
        """A deleted account has no keys, and can be created again."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        await store.delete(JULIET)
        store = await self.reopened(store)
        self.assertEqual(await store.users(), [])
        self.assertIsNone(await store.scramKeys(JULIET, "SHA-256"))
        self.assertFalse(await store.checkPassword(JULIET, "r0m30"))
        await store.create(JULIET, "p4ris")
        self.assertTrue(await store.checkPassword(JULIET, "p4ris"))

    async def test_users(self) -> None:
        """The accounts are sorted; those of one host can be listed alone."""
        store = await self.opened()
        for jid in (ROMEO, "ärzte@chat.lit", "juliet@other.lit", JULIET, "a.b@chat.lit"):
            await store.create(jid, "r0m30")
        first = ["a.b@chat.lit", JULIET]
        self.assertEqual(await store.users(), [*first, "juliet@other.lit", ROMEO, "ärzte@chat.lit"])
        self.assertEqual(await store.users("chat.lit"), [*first, ROMEO, "ärzte@chat.lit"])
        self.assertEqual(await store.users("other.lit"), ["juliet@other.lit"])
        self.assertEqual(await store.users("lit"), [])

    async def test_severalHosts(self) -> None:
        """Accounts of one name at two hosts are independent."""
        store = await self.opened()
        await store.create(JULIET, "r0m30")
        await store.create("juliet@other.lit", "p4ris")
        await store.setPassword("juliet@other.lit", "t0mb")
        self.assertTrue(await store.checkPassword(JULIET, "r0m30"))
        self.assertFalse(await store.checkPassword(JULIET, "t0mb"))
        await store.delete("juliet@other.lit")
        self.assertIsNone(await store.scramKeys("juliet@other.lit", "SHA-256"))
        self.assertTrue(await store.checkPassword(JULIET, "r0m30"))

    async def test_changesInOrder(self) -> None:
        """Concurrent changes are made in the order of the calls."""
        store = await self.opened()
        await gatherResults(
            [
                store.create(JULIET, "first"),
                store.setPassword(JULIET, "second"),
                store.create(ROMEO, "r0m30"),
                store.setPassword(JULIET, "third"),
                store.delete(ROMEO),
            ]
        )
        self.assertTrue(await store.checkPassword(JULIET, "third"))
        self.assertEqual(await store.users(), [JULIET])

    async def test_cancelled(self) -> None:
        """Cancelled requests do not affect others."""
        store = await self.opened()
        for request in (store.create(JULIET, "r0m30"), store.checkPassword(JULIET, "r0m30")):
            request.addErrback(lambda failure: None)
            request.cancel()
        await store.create(ROMEO, "r0m30")
        self.assertTrue(await store.checkPassword(ROMEO, "r0m30"))
