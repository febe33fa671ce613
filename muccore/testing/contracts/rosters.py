# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of rosters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import IRosterStore, RosterChange, RosterItem, StoredRoster
from muccore.testing.contracts.base import Contract

ROMEO: Final = "romeo@montague.lit"
JULIET: Final = "juliet@capulet.lit"
NURSE: Final = "nurse@capulet.lit"


class RosterStoreContract(Contract):
    """Tests of an L{IRosterStore}."""

    requests = (("load", ROMEO), ("change", ROMEO, RosterChange("e", 1, 0)), ("delete", ROMEO), ("accounts", "", 9))

    async def test_interface(self) -> None:
        """It provides the interface."""
        verifyObject(IRosterStore, self.makeStore(self.place))

    async def test_empty(self) -> None:
        """An account without a roster has an empty one, which can be deleted."""
        store = await self.opened()
        self.assertEqual(await store.load(ROMEO), StoredRoster())
        await store.delete(ROMEO)
        self.assertEqual(await store.load(ROMEO), StoredRoster())

    async def test_items(self) -> None:
        """Items come back as they were given, whatever is in them."""
        store = await self.opened()
        items = {
            JULIET: RosterItem("Julie\u0301t '\";--\n\U0001f600", ("a", "ä"), "both", approved=True),
            NURSE: RosterItem(subscription="from", ask=True),
            "tybalt@capulet.lit": RosterItem(request="<presence>ä'\"</presence>".encode(), listed=False),
            "capulet.lit": RosterItem("x" * 70_000, subscription="to"),
        }
        await store.change(ROMEO, RosterChange("e", 2**40, 7, items))
        expected = StoredRoster("e", 2**40, 7, {jid: (2**40, item) for jid, item in items.items()})
        self.assertEqual(await store.load(ROMEO), expected)
        store = await self.reopened(store)
        self.assertEqual(await store.load(ROMEO), expected)

    async def test_changed(self) -> None:
        """Items are replaced, removed and forgotten; each has the number of the change that made it what it is."""
        store = await self.opened()
        item = RosterItem("a")
        await store.change(ROMEO, RosterChange("e", 1, 0, {JULIET: item, NURSE: item, "x@y": item}))
        await store.change(ROMEO, RosterChange("f", 2, 1, {NURSE: None, "x@y": replace(item, name="b")}, [JULIET]))
        await store.change(ROMEO, RosterChange("f", 3, 1, {}, ["nobody@y"]))
        rows = {NURSE: (2, None), "x@y": (2, RosterItem("b"))}
        self.assertEqual(await store.load(ROMEO), StoredRoster("f", 3, 1, rows))
        await store.change(ROMEO, RosterChange("f", 4, 1, {NURSE: item}))
        self.assertEqual((await store.load(ROMEO)).rows[NURSE], (4, item))

    async def test_accounts(self) -> None:
        """Each account has its own; one is deleted without the others."""
        store = await self.opened()
        for account in (ROMEO, JULIET):
            await store.change(account, RosterChange(account, 1, 0, {NURSE: RosterItem(account)}))
        await store.delete(ROMEO)
        self.assertEqual(await store.load(ROMEO), StoredRoster())
        self.assertEqual(await store.load(JULIET), StoredRoster(JULIET, 1, 0, {NURSE: (1, RosterItem(JULIET))}))

    async def test_listed(self) -> None:
        """The accounts that have rosters are listed in pages, sorted by code points."""
        store = await self.opened()
        accounts = sorted([ROMEO, JULIET, NURSE, "\xe4@x.lit"])
        for account in accounts:
            await store.change(account, RosterChange("e", 1, 0, {"a@x": RosterItem(), "b@x": RosterItem()}))
        store = await self.reopened(store)
        self.assertEqual(await store.accounts("", 9), accounts)
        self.assertEqual(await store.accounts("", 2), accounts[:2])
        self.assertEqual(await store.accounts(accounts[1], 9), accounts[2:])
        await store.delete(ROMEO)
        self.assertNotIn(ROMEO, await store.accounts("", 9))

    async def test_inOrder(self) -> None:
        """Requests see those before them."""
        store = await self.opened()
        requests: list[Any] = [
            store.change(ROMEO, RosterChange("e", 1, 0, {JULIET: RosterItem()})), store.load(ROMEO),
            store.delete(ROMEO), store.load(ROMEO),
        ]  # fmt: skip
        _, first, _, last = await gatherResults(requests)
        self.assertEqual((list(first.rows), list(last.rows)), ([JULIET], []))

    async def test_isolated(self) -> None:
        """What is given may be changed after the call."""
        store = await self.opened()
        rows: dict[str, RosterItem | None] = {JULIET: RosterItem()}
        changing = store.change(ROMEO, RosterChange("e", 1, 0, rows))
        rows.clear()
        await changing
        self.assertEqual(list((await store.load(ROMEO)).rows), [JULIET])

    async def test_closeFinishes(self) -> None:
        """What was changed before C{close} is there when it fires."""
        store = await self.opened()
        changed = [store.change(ROMEO, RosterChange("e", n, 0, {f"{n}@x": RosterItem()})) for n in range(20)]
        await store.close()
        self.assertEqual([self.successResultOf(done) for done in changed], [None] * 20)
        if self.durable:
            self.assertEqual(len((await (await self.opened()).load(ROMEO)).rows), 20)
