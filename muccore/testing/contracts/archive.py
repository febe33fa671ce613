# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of message archives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import (
    ArchiveItem,
    ArchiveMetadata,
    ArchivePage,
    ArchiveQuery,
    IArchiveStore,
    ItemExists,
    NoSuchItem,
    StoreUnavailable,
)
from muccore.testing.contracts.archivequeries import (
    CAVE,
    HEATH,
    NOON,
    SECOND,
    ArchiveQueryContract,
    item,
    message,
    series,
    shown,
)
from muccore.xmpp.rendering import Rendered


class ArchiveStoreContract(ArchiveQueryContract):
    """Tests of an L{IArchiveStore}."""

    requests = (
        ("append", CAVE, [item("a")]),
        ("query", CAVE, ArchiveQuery()),
        ("get", CAVE, "a"),
        ("metadata", CAVE),
        ("retract", CAVE, {"a": message("")}),
        ("expire", CAVE, NOON),
        ("trim", CAVE, 1),
        ("delete", CAVE),
        ("names", "", 5),
    )

    async def test_interface(self) -> None:
        """It provides the interface."""
        verifyObject(IArchiveStore, self.makeStore(self.place))

    async def test_unknown(self) -> None:
        """An archive to which nothing was appended is empty."""
        store = await self.opened()
        self.assertEqual(await store.query(CAVE, ArchiveQuery(counted=True)), ArchivePage([], True, None, 0))
        self.assertIsNone(await store.get(CAVE, "a"))
        self.assertIsNone(await store.metadata(CAVE))
        self.assertEqual(await store.retract(CAVE, {"a": message("")}), 0)
        self.assertEqual(await store.expire(CAVE, NOON), 0)
        self.assertEqual(await store.trim(CAVE, 0), 0)
        await store.delete(CAVE)
        await store.append(CAVE, [])
        self.assertEqual(await store.query(CAVE, ArchiveQuery()), ArchivePage([], True))

    async def test_appended(self) -> None:
        """Items come back as they were appended, whatever their text is."""
        store = await self.opened()
        given = [
            item("a", NOON, "Third \"Witch\" 'of' Ⅲ \U0001f600", "hag66@shakespeare.lit", "Straße\n\t& <\U0001f600>"),
            ArchiveItem("ä'\"\\;--", -1, CAVE, "", message("")),
            ArchiveItem("c", 2**52, "romeo@montague.lit/orchard/2", "romeo@montague.lit", message("x" * 70_000)),
            ArchiveItem("d", 0, "cave@chat.lit.example/x", "", Rendered(b"<message", b"/>")),
        ]
        await store.append(CAVE, given)
        store = await self.reopened(store)
        page = await store.query(CAVE, ArchiveQuery())
        self.assertEqual([shown(each) for each in page.items], [shown(each) for each in given])
        for each in given:
            self.assertEqual(shown(await store.get(CAVE, each.id)), shown(each))
        self.assertIsNone(await store.get(CAVE, "b"))
        self.assertIsNone(await store.get(HEATH, "a"))

    async def test_order(self) -> None:
        """The order is that of appending, within a call and of calls; not of ids and times."""
        store = await self.opened()
        await gatherResults(
            [
                store.append(CAVE, [item("z", NOON + 9), item("b", NOON + 1)]),
                store.append(HEATH, [item("y")]),
                store.append(CAVE, [item("a", NOON + 5)]),
                store.append(HEATH, [item("x")]),
            ]
        )
        await store.append(CAVE, [item("c", NOON - 5)])
        store = await self.reopened(store)
        await store.append(CAVE, [item("A", NOON)])
        self.assertEqual(await self.found(store), ["z", "b", "a", "c", "A"])
        self.assertEqual(await self.found(store, HEATH), ["y", "x"])
        self.assertEqual(await store.metadata(CAVE), ArchiveMetadata("z", NOON + 9, "A", NOON))

    async def test_inOrder(self) -> None:
        """Writes to an archive are carried out in the order of the calls, and reads see all those before them."""
        store = await self.opened()
        cases: list[tuple[Callable[[], list[Any]], list[Any]]] = [
            (lambda: [self.ids(store)], [[]]),
            (
                lambda: [
                    store.append(CAVE, [item("a"), item("b", NOON + SECOND)]), self.ids(store), store.names("", 5),
                ],
                [None, ["a", "b"], [CAVE]],
            ),
            (
                lambda: [
                    store.append(CAVE, [item("c", NOON + 2 * SECOND)]), store.retract(CAVE, {"c": message("gone")}),
                    store.expire(CAVE, NOON + 1), self.ids(store),
                    store.get(CAVE, "c").addCallback(lambda found: found.retracted),
                ],
                [None, 1, 1, ["b", "c"], True],
            ),
            (lambda: [store.delete(CAVE), store.metadata(CAVE)], [None, None]),
            (
                lambda: [
                    store.append(CAVE, [item("a")]), store.delete(CAVE), store.append(CAVE, [item("a")]),
                    self.ids(store),
                ],
                [None, None, None, ["a"]],
            ),
        ]  # fmt: skip
        for requests, expected in cases:
            self.assertEqual(await gatherResults(requests()), expected)

    def ids(self, store: Any) -> Any:
        """Request the ids of L{CAVE}."""
        return store.query(CAVE, ArchiveQuery()).addCallback(lambda page: [each.id for each in page.items])

    async def test_exists(self) -> None:
        """A call with an id that is there, or twice the same, is refused as a whole; others of the moment are not."""
        store = await self.opened()
        await store.append(CAVE, [item("a")])
        requests = [
            store.append(CAVE, [item("b")]),
            store.append(CAVE, [item("c"), item("a")]),
            store.append(HEATH, [item("a")]),
            store.append(CAVE, [item("d"), item("d")]),
            store.append(CAVE, [item("b")]),
            store.append(CAVE, [item("e")]),
        ]
        for number, request in enumerate(requests):
            if number in (1, 3, 4):
                with self.assertRaises(ItemExists):
                    await request
            else:
                await request
        self.assertEqual(await self.found(store), ["a", "b", "e"])
        self.assertEqual(await self.found(store, HEATH), ["a"])

    async def test_isolated(self) -> None:
        """The list may be changed after the call, and what is found is not shared."""
        store = await self.opened()
        items = [item("a")]
        appending = store.append(CAVE, items)
        items[0] = item("b")
        await appending
        self.assertEqual(await self.found(store), ["a"])

    async def test_cancelled(self) -> None:
        """A cancelled request does not affect others."""
        store = await self.opened()
        for request in (
            store.append(CAVE, [item("a")]),
            store.query(CAVE, ArchiveQuery()),
            store.retract(CAVE, {}),
            store.expire(CAVE, 0),
        ):
            request.addErrback(lambda failure: None)
            request.cancel()
        await store.append(CAVE, [item("b")])
        self.assertEqual((await self.found(store))[-1], "b")

    async def test_closeFinishes(self) -> None:
        """What was appended before C{close} is there when it fires."""
        store = await self.opened()
        appended = [store.append(CAVE, [each]) for each in series(20)]
        await store.close()
        self.assertEqual([self.successResultOf(done) for done in appended], [None] * 20)
        if self.durable:
            self.assertEqual(len(await self.found(await self.opened())), 20)

    async def test_removed(self) -> None:
        """What is removed is not found any more, by no query, nor counted; its id can be used again."""
        store = await self.opened()
        await store.append(CAVE, [item(f"m{n}", NOON + n, text="fire") for n in range(4)])
        await store.append(HEATH, [item("m1", text="fire")])
        self.assertEqual(await store.remove(CAVE, ["m1", "x", "m3", "m1"]), 2)
        self.assertEqual(await store.remove(CAVE, ["m1"]), 0)
        self.assertEqual(await store.remove("nobody@x", ["m1"]), 0)
        store = await self.reopened(store)
        self.assertIsNone(await store.get(CAVE, "m1"))
        for query in (ArchiveQuery(counted=True), ArchiveQuery(text="fire", author="hecate@x", counted=True)):
            page = await store.query(CAVE, query)
            self.assertEqual(([each.id for each in page.items], page.count), (["m0", "m2"], 2))
        self.assertEqual(await self.found(store, HEATH, text="fire"), ["m1"])
        await store.append(CAVE, [item("m1", NOON + 9)])
        self.assertEqual(await self.found(store, CAVE), ["m0", "m2", "m1"])

    async def test_retracted(self) -> None:
        """A tombstone has the place, id, time, sender and author of its item, and none of its text (XEP-0424 §4)."""
        store = await self.opened()
        given = [item(f"m{n}", NOON + n, text=f"fire {n}") for n in range(4)]
        await store.append(CAVE, given)
        await store.append(HEATH, [item("m1", text="fire")])
        tombstones = {"m1": message("one"), "x": message("unknown"), "m2": message("two \U0001f600")}
        self.assertEqual(await store.retract(CAVE, tombstones), 2)
        store = await self.reopened(store)
        page = await store.query(CAVE, ArchiveQuery(sender=f"{CAVE}/Hecate", author="hecate@x", start=NOON))
        expected = [list(shown(each)) for each in given]
        for n, id in (1, "m1"), (2, "m2"):
            expected[n][5], expected[n][6] = tombstones[id].tail, True
        self.assertEqual([list(shown(each)) for each in page.items], expected)
        await self.assertFound(store, "m0 m3", text="fire")
        await self.assertFound(store, "", text="one")
        self.assertEqual(await self.found(store, HEATH, text="fire"), ["m1"])
        self.assertEqual(await store.retract(CAVE, {"m1": message("again")}), 1)
        self.assertIn(b"again", (await store.get(CAVE, "m1")).stanza.tail)

    async def test_trimmed(self) -> None:
        """The oldest are deleted by their places, tombstones too, until so many are left; other archives stay."""
        store = await self.opened()
        await store.append(CAVE, series(2000))
        await store.append(HEATH, series(3))
        everything = await self.found(store, limit=3000)
        self.assertEqual(await store.retract(CAVE, {everything[0]: message("")}), 1)
        for count, expected in ((2001, 0), (2000, 0), (1400, 600), (1399, 1), (1, 1398), (1, 0)):
            self.assertEqual(await store.trim(CAVE, count), expected)
            store = await self.reopened(store)
            self.assertEqual(await self.found(store, limit=3000), everything[-count:])
        self.assertEqual(await store.trim(CAVE, 0), 1)
        self.assertEqual(await self.found(store), [])
        self.assertEqual(len((await store.query(HEATH, ArchiveQuery())).items), 3)
        await store.append(CAVE, [item("new")])
        self.assertEqual(await self.found(store), ["new"])

    async def test_deletedUnopened(self) -> None:
        """An archive is deleted by a store that is not open; what is appended to others meanwhile is kept."""
        store = await self.opened()
        await store.append(CAVE, series(3))
        await store.append(HEATH, series(3))
        if self.durable:
            waiting = store.append(HEATH, [item("meanwhile")])
            await self.makeStore(self.place).deleteUnopened(CAVE)
            await waiting
        else:
            await store.close()
            await store.deleteUnopened(CAVE)
            await store.open()
        store = await self.reopened(store)
        self.assertEqual(await self.found(store), [])
        page = await store.query(HEATH, ArchiveQuery())
        self.assertEqual(len(page.items), 4 if self.durable else 3)

    async def test_openedForReading(self) -> None:
        """A store is read beside another one that has it open, which keeps what it has not yet committed."""
        store = await self.opened()
        await store.append(CAVE, series(3))
        if not self.durable:
            await store.close()
            await store.openReading()
            self.assertEqual(await self.ids(store), ["m0", "m1", "m2"])
            return
        waiting = store.append(CAVE, [item("meanwhile")])
        beside = self.makeStore(self.place)
        await beside.openReading()
        self.addCleanup(beside.close)
        self.assertEqual((await self.ids(beside))[:3], ["m0", "m1", "m2"])
        self.assertEqual(await beside.names("", 5), [CAVE])
        for name, *arguments in self.requests:
            if name in ("append", "retract", "expire", "trim", "delete"):
                with self.assertRaises(StoreUnavailable):
                    await getattr(beside, name)(*arguments)
        await waiting
        self.assertEqual(await self.ids(beside), ["m0", "m1", "m2", "meanwhile"])
        await beside.close()
        store = await self.reopened(store)
        self.assertEqual(await self.ids(store), ["m0", "m1", "m2", "meanwhile"])

    async def test_expired(self) -> None:
        """The oldest are deleted, up to the first that is not older, whatever follows it (XEP-0313 §3.2)."""
        store = await self.opened()
        await store.append(CAVE, [*series(700), item("late", NOON, text="fire")])
        await store.append(HEATH, [item("m0")])
        for before, count, first in [(0, 0, "m0"), (10, 10, "m10"), (10, 0, "m10"), (600, 590, "m600")]:
            self.assertEqual(await store.expire(CAVE, NOON + before * SECOND), count)
            self.assertEqual((await store.metadata(CAVE)).firstId, first)
        store = await self.reopened(store)
        page = await store.query(CAVE, ArchiveQuery(counted=True, after="m600", limit=1))
        self.assertEqual((page.index, page.count), (1, 101))
        await self.assertFound(store, "late", text="fire")
        with self.assertRaises(NoSuchItem):
            await self.found(store, after="m599")
        self.assertEqual(await store.expire(CAVE, NOON + 9999 * SECOND), 101)
        self.assertIsNone(await store.metadata(CAVE))
        await self.assertFound(store, "", text="fire")
        self.assertEqual(await self.found(store, HEATH), ["m0"])
        await store.append(CAVE, [item("new", text="fire")])
        await self.assertFound(store, "new", text="fire")

    async def test_deleted(self) -> None:
        """A deleted archive is gone; one of that name can begin anew, and others stay."""
        store = await self.opened()
        await store.append(CAVE, [*series(700), item("a", text="fire")])
        await store.append(HEATH, [item("a", text="fire")])
        await store.delete(CAVE)
        await store.delete(CAVE)
        store = await self.reopened(store)
        self.assertEqual(await self.found(store), [])
        self.assertIsNone(await store.get(CAVE, "a"))
        self.assertEqual(await store.names("", 5), [HEATH])
        await store.append(CAVE, [item("a", text="fire")])
        page = await store.query(CAVE, ArchiveQuery(text="fire", counted=True))
        self.assertEqual(([each.id for each in page.items], page.count), (["a"], 1))
        self.assertEqual(await self.found(store, HEATH, text="fire"), ["a"])

    async def test_names(self) -> None:
        """The archives are listed by code point, page by page."""
        store = await self.opened()
        names = [f"{local}@chat.lit" for local in ("a", "b", "ä", "\U0001f600")]
        await gatherResults([store.append(name, [item("a")]) for name in reversed(names)])
        await store.append("empty@chat.lit", [])
        store = await self.reopened(store)
        self.assertEqual(await store.names("", 3), names[:3])
        self.assertEqual(await store.names(names[1], 3), names[2:])
        self.assertEqual(await store.names("aa@chat.lit", 1), names[1:2])
        self.assertEqual(await store.names(names[3], 3), [])
