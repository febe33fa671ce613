# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of audit trails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import ENTRIES_LIMIT, AuditEntry, AuditPage, AuditQuery, IAuditStore
from muccore.testing.contracts.base import Contract

CAVE: Final = "cave@chat.lit"
HEATH: Final = "heath@chat.lit"


def entry(number: int, kind: str = "kick", room: str = CAVE, **values: Any) -> AuditEntry:
    """Make an entry, whose number is its time and in its reason."""
    given = {"instance": "i", "actor": "hecate@x", "target": "witch@x", "reason": str(number), **values}
    return AuditEntry(room, time=number, kind=kind, **given)


class AuditStoreContract(Contract):
    """Tests of an L{IAuditStore}."""

    requests = (("append", [entry(1)]), ("query", AuditQuery()), ("expire", 1))

    async def found(self, store: Any, **query: Any) -> str:
        """The numbers of the entries found."""
        page = await store.query(AuditQuery(**query))
        return " ".join(each.reason for each in page.entries)

    async def test_interface(self) -> None:
        """It provides the interface."""
        verifyObject(IAuditStore, self.makeStore(self.place))

    async def test_empty(self) -> None:
        """At first there is nothing."""
        store = await self.opened()
        self.assertEqual(await store.query(AuditQuery()), AuditPage([], True))
        self.assertEqual(await store.expire(2**60), 0)
        await store.append([])
        self.assertEqual(await store.query(AuditQuery()), AuditPage([], True))

    async def test_appended(self) -> None:
        """Entries come back as they were appended, the newest first, whatever their times and texts are."""
        store = await self.opened()
        given = [
            entry(5, details={"from": "member", "ä": "\U0001f600'\";--\n"}),
            AuditEntry("ä@chat.lit", "", -1, "x"),
            entry(2**60, actor="", target="chat.lit", reason="x" * 70_000),
        ]
        await store.append(given[:2])
        await store.append(given[2:])
        store = await self.reopened(store)
        page = await store.query(AuditQuery())
        self.assertEqual((list(page.entries), page.complete), (given[::-1], True))
        ids = [each.id for each in page.entries]
        self.assertEqual(ids, sorted(set(ids), reverse=True))

    async def test_filters(self) -> None:
        """Every filter, alone and with others."""
        store = await self.opened()
        await store.append(
            [
                entry(1), entry(2, "ban", actor="romeo@x"), entry(3, target="romeo@x"), entry(4, room=HEATH),
                entry(5, instance="j"), entry(6, target="chat.lit"),
            ]
        )  # fmt: skip
        for query, expected in (
            ({}, "6 5 4 3 2 1"),
            ({"room": CAVE}, "6 5 3 2 1"),
            ({"room": CAVE, "instance": "i"}, "6 3 2 1"),
            ({"room": "none@chat.lit"}, ""),
            ({"kind": "ban"}, "2"),
            ({"who": "romeo@x"}, "3 2"),
            ({"who": "romeo@x", "kind": "kick"}, "3"),
            ({"who": "chat.lit"}, "6"),
            ({"since": 4}, "6 5 4"),
            ({"since": 7}, ""),
        ):
            self.assertEqual(await self.found(store, **query), expected, query)

    async def test_pages(self) -> None:
        """Pages follow each other, and the last one is complete; further entries change nothing."""
        store = await self.opened()
        await store.append([entry(n) for n in range(5)])
        before, pages = None, []
        while True:
            page = await store.query(AuditQuery(room=CAVE, before=before, limit=2))
            pages.append(" ".join(each.reason for each in page.entries))
            await store.append([entry(9)])
            if page.complete:
                break
            before = page.entries[-1].id
        self.assertEqual(pages, ["4 3", "2 1", "0"])
        self.assertTrue((await store.query(AuditQuery(before=before, limit=1))).complete)
        self.assertTrue((await store.query(AuditQuery(before=-1))).complete)

    async def test_bounded(self) -> None:
        """Of a room and kind, the last ones are kept; many of one kind displace none of another kind or room."""
        store = await self.opened()
        await store.append([entry(0, "ban"), entry(0, room=HEATH), *(entry(n) for n in range(ENTRIES_LIMIT + 2))])
        await store.append([entry(ENTRIES_LIMIT + 2)])
        kept = (await self.found(store, room=CAVE, kind="kick", limit=2 * ENTRIES_LIMIT)).split()
        self.assertEqual((len(kept), kept[0], kept[-1]), (ENTRIES_LIMIT, str(ENTRIES_LIMIT + 2), "3"))
        self.assertEqual(await self.found(store, kind="ban"), "0")
        self.assertEqual(await self.found(store, room=HEATH), "0")

    async def test_expired(self) -> None:
        """The oldest are deleted, up to the first that is not older; their numbers do not come back."""
        store = await self.opened()
        await store.append([*(entry(n) for n in range(2500)), entry(1, room=HEATH)])
        last = (await store.query(AuditQuery(limit=1))).entries[0].id
        self.assertEqual(await store.expire(0), 0)
        self.assertEqual(await store.expire(2400), 2400)
        self.assertEqual(await store.expire(2400), 0)
        self.assertEqual(len((await self.found(store, limit=9999)).split()), 101)
        self.assertEqual(await store.expire(9999), 101)
        self.assertEqual(await self.found(store), "")
        store = await self.reopened(store)
        await store.append([entry(3)])
        self.assertGreater((await store.query(AuditQuery())).entries[0].id, last)

    async def test_inOrder(self) -> None:
        """Requests see those before them."""
        store = await self.opened()
        requests = [
            store.append([entry(1)]), store.query(AuditQuery()), store.append([entry(2)]), store.expire(2),
            store.query(AuditQuery()),
        ]  # fmt: skip
        _, first, _, _, last = await gatherResults(requests)
        self.assertEqual([each.time for each in first.entries], [1])
        self.assertEqual([each.time for each in last.entries], [2])

    async def test_isolated(self) -> None:
        """List and details may be changed after the call."""
        store = await self.opened()
        details = {"nick": "a"}
        given = [replace(entry(1), details=details)]
        appending = store.append(given)
        given.clear()
        details["nick"] = "b"
        await appending
        [found] = (await store.query(AuditQuery())).entries
        self.assertEqual(found.details, {"nick": "a"})

    async def test_closeFinishes(self) -> None:
        """What was appended before C{close} is there when it fires."""
        store = await self.opened()
        appended = [store.append([entry(n)]) for n in range(20)]
        await store.close()
        self.assertEqual([self.successResultOf(done) for done in appended], [None] * 20)
        if self.durable:
            self.assertEqual(len((await self.found(await self.opened())).split()), 20)
