# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of users' documents."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import DataTooLarge, IUserDataStore
from muccore.testing.contracts.base import Contract

ROMEO: Final = "romeo@montague.lit"
JULIET: Final = "juliet@capulet.lit"


class UserDataStoreContract(Contract):
    """Tests of an L{IUserDataStore}."""

    requests = (
        ("get", ROMEO, "k", "a"), ("keys", ROMEO, "k"), ("size", ROMEO, "k"), ("change", ROMEO, {("k", "a"): b"1"}),
        ("removeAccount", ROMEO), ("accounts", "", 9), ("kinds", ROMEO),
    )  # fmt: skip

    async def found(self, store: Any, account: str = ROMEO, kind: str = "k") -> dict[str, bytes]:
        """All documents of an account and kind."""
        return {key: await store.get(account, kind, key) for key in await store.keys(account, kind)}

    async def test_interface(self) -> None:
        """It provides the interface."""
        verifyObject(IUserDataStore, self.makeStore(self.place))

    async def test_empty(self) -> None:
        """At first there is nothing, and what is not there can be removed."""
        store = await self.opened()
        await store.change(ROMEO, {("k", "a"): None})
        await store.change(ROMEO, {})
        await store.removeAccount(ROMEO)
        self.assertIsNone(await store.get(ROMEO, "k", "a"))
        self.assertEqual((await store.keys(ROMEO, "k"), await store.size(ROMEO, "k")), ([], 0))

    async def test_kept(self) -> None:
        """Documents come back as they were set, whatever their keys and contents are, and are replaced."""
        store = await self.opened()
        texts = ["", "a", "A", "ä", "\U0001f600'\";--\n", "{urn:x}y", "%", "k" * 5000]
        documents = {text: b"\0\xff" + text.encode() for text in texts}
        await store.change(ROMEO, {("k", key): content for key, content in documents.items()})
        await store.change(ROMEO, {("k", "a"): b"", ("k", "big"): b"x" * 300_000, ("k", "A"): None})
        store = await self.reopened(store)
        del documents["A"]
        self.assertEqual(await self.found(store), documents | {"a": b"", "big": b"x" * 300_000})
        self.assertEqual(await store.keys(ROMEO, "k"), sorted([*documents, "big"]))

    async def test_apart(self) -> None:
        """Neither accounts nor kinds mix."""
        store = await self.opened()
        places = [(ROMEO, "k"), (ROMEO, "K"), (ROMEO, "k2"), (JULIET, "k"), ("Romeo@montague.lit", "k")]
        for number, (account, kind) in enumerate(places):
            await store.change(account, {(kind, "a"): str(number).encode()})
        for number, (account, kind) in enumerate(places):
            self.assertEqual(await self.found(store, account, kind), {"a": str(number).encode()})

    async def test_listed(self) -> None:
        """The accounts that have documents are listed in pages, and the kinds of each, sorted by code points."""
        store = await self.opened()
        accounts = sorted([ROMEO, JULIET, "Romeo@montague.lit", "\xe4@x.lit", "montague.lit"])
        for account in accounts:
            await store.change(account, {("k", "a"): b"", ("K", "a"): b"", ("k", "b"): b"1", ("\xe4", ""): b""})
        store = await self.reopened(store)
        self.assertEqual(await store.accounts("", 9), accounts)
        self.assertEqual(await store.accounts("", 2), accounts[:2])
        self.assertEqual(await store.accounts(accounts[1], 2), accounts[2:4])
        self.assertEqual(await store.accounts(accounts[-1], 2), [])
        self.assertEqual(await store.kinds(ROMEO), ["K", "k", "\xe4"])
        await store.change(ROMEO, {("k", "a"): None, ("k", "b"): None})
        await store.removeAccount(JULIET)
        self.assertEqual((await store.kinds(ROMEO), await store.kinds(JULIET)), (["K", "\xe4"], []))
        self.assertNotIn(JULIET, await store.accounts("", 9))

    async def test_size(self) -> None:
        """The size is that of the contents and of the keys, in bytes, of one kind."""
        store = await self.opened()
        await store.change(ROMEO, {("k", "ä"): b"123", ("k", "b"): b"", ("other", "c"): b"x" * 99})
        self.assertEqual(await store.size(ROMEO, "k"), 6)
        await store.change(ROMEO, {("k", "ä"): b"\0" * 1000, ("k", "b"): None})
        self.assertEqual(await store.size(ROMEO, "k"), 1002)

    async def test_limits(self) -> None:
        """What would exceed a limit is refused as a whole; what does not grow, or is of another kind, is not."""
        store = await self.opened()
        await store.change(ROMEO, {("k", "a"): b"x" * 9}, {"k": 10})
        for changes in ({("k", "b"): b""}, {("k", "a"): b"x" * 10}, {("k", "c"): b"x" * 11, ("k", "a"): None}):
            with self.assertRaises(DataTooLarge):
                await store.change(ROMEO, changes | {("other", "a"): b"1"}, {"k": 10, "other": 99})
        self.assertEqual(await self.found(store), {"a": b"x" * 9})
        self.assertEqual(await self.found(store, kind="other"), {})
        await store.change(ROMEO, {("k", "b"): b"123", ("k", "a"): b"x" * 4, ("other", "a"): b"x" * 99}, {"k": 10})
        # The limit is now lower than what is there.
        await store.change(ROMEO, {("k", "b"): b"12", ("k", "c"): b"", ("other", "b"): b"1"}, {"k": 2})
        self.assertEqual(await self.found(store), {"a": b"x" * 4, "b": b"12", "c": b""})
        await store.change(ROMEO, {("k", "a"): None}, {"k": 0})
        with self.assertRaises(DataTooLarge):
            await store.change(ROMEO, {("k", "a"): b""}, {"k": 3})

    async def test_removed(self) -> None:
        """All documents of an account are removed, and none of another one."""
        store = await self.opened()
        for account in (ROMEO, JULIET):
            await store.change(account, {("k", "a"): b"1", ("other", "a"): b"2"})
        await store.removeAccount(ROMEO)
        store = await self.reopened(store)
        self.assertEqual([await store.keys(ROMEO, kind) for kind in ("k", "other")], [[], []])
        self.assertEqual([await store.keys(JULIET, kind) for kind in ("k", "other")], [["a"], ["a"]])

    async def test_inOrder(self) -> None:
        """Requests see those before them."""
        store = await self.opened()
        requests = [
            store.change(ROMEO, {("k", "a"): b"1"}), store.get(ROMEO, "k", "a"),
            store.change(ROMEO, {("k", "a"): b"22"}), store.size(ROMEO, "k"), store.removeAccount(ROMEO),
            store.keys(ROMEO, "k"),
        ]  # fmt: skip
        results = await gatherResults(requests)
        self.assertEqual((results[1], results[3], results[5]), (b"1", 3, []))

    async def test_isolated(self) -> None:
        """The arguments may be changed after the call."""
        store = await self.opened()
        changes, limits = {("k", "a"): b"1"}, {"k": 10}
        changing = store.change(ROMEO, changes, limits)
        changes["k", "b"] = b"2"
        limits["k"] = 0
        await changing
        self.assertEqual(await self.found(store), {"a": b"1"})

    async def test_closeFinishes(self) -> None:
        """What was changed before C{close} is there when it fires."""
        store = await self.opened()
        changed = [store.change(ROMEO, {("k", str(n)): b""}) for n in range(20)]
        await store.close()
        self.assertEqual([self.successResultOf(done) for done in changed], [None] * 20)
        if self.durable:
            self.assertEqual(len(await self.found(await self.opened())), 20)
