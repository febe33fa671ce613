# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of publish-subscribe nodes."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import (
    IPubSubStore,
    ItemPage,
    ItemQuery,
    NodeChange,
    NodeExists,
    NoSuchNode,
    PubSubItem,
    StoredNode,
    StoredSubscription,
    TooManyItems,
    TooManyNodes,
)
from muccore.testing.contracts.base import Contract

ROMEO: Final = "romeo@montague.lit"
JULIET: Final = "juliet@capulet.lit"
NURSE: Final = "nurse@capulet.lit"
NODE: Final = "urn:example:tune"

SUBSCRIBED: Final = StoredSubscription("1", "subscribed")
EMPTY: Final = StoredNode({}, {}, {}, ROMEO, 1000.0)
FULL: Final = StoredNode(
    {"title": ["Ä '\";--\n\U0001f600"], "groups": ["a", "b"], "none": []},
    {ROMEO: "owner", JULIET: "member"},
    {f"{JULIET}/balcony": StoredSubscription("ä", "pending", {"deliver": ["0"]}), "capulet.lit": SUBSCRIBED},
    ROMEO,
    1234567890.25,
)
WHOLE: Final = ItemQuery(1000, 1_000_000)


def item(id: str, time: float = 1000.0, payload: bytes = b"<a/>") -> PubSubItem:
    """An item of Romeo's."""
    return PubSubItem(id, ROMEO, time, payload)


class PubSubStoreContract(Contract):
    """Tests of an L{IPubSubStore}."""

    requests = (
        ("nodes", ROMEO, 10), ("load", ROMEO, NODE), ("configured", ROMEO, "x", "y"),
        ("create", ROMEO, NODE, EMPTY, 10),
        ("change", ROMEO, NODE, NodeChange()), ("delete", ROMEO, NODE), ("affiliations", ROMEO, JULIET),
        ("subscriptions", ROMEO, JULIET), ("publish", ROMEO, NODE, item("a"), 1), ("retract", ROMEO, NODE, ["a"]),
        ("purge", ROMEO, NODE), ("items", ROMEO, NODE, WHOLE), ("find", ROMEO, NODE, ["a"]),
        ("latest", [ROMEO], [NODE]), ("removeService", ROMEO), ("removeEntity", ROMEO),
    )  # fmt: skip

    async def withItems(self, ids: str) -> Any:
        """Open a store with a node of Romeo's that has items with these letters as ids, one second after the other."""
        store = await self.opened()
        await store.create(ROMEO, NODE, EMPTY, 10)
        for number, id in enumerate(ids):
            await store.publish(ROMEO, NODE, item(id, 1000.0 + number), 1000)
        return store

    async def page(self, store: Any, limit: int = 1000, **query: Any) -> tuple[str, int, int]:
        """Get items of the node: their ids as letters, the number of those before them, and of all."""
        found = await store.items(ROMEO, NODE, ItemQuery(limit, **{"size": 1_000_000, **query}))
        return "".join(each.id for each in found.items), found.index, found.count

    async def test_interface(self) -> None:
        """It provides the interface."""
        verifyObject(IPubSubStore, self.makeStore(self.place))

    async def test_empty(self) -> None:
        """At first there is nothing, and what is not there can be removed, but no node be changed."""
        store = await self.opened()
        await store.retract(ROMEO, NODE, ["a"])
        await store.purge(ROMEO, NODE)
        await store.removeService(ROMEO)
        await store.removeEntity(ROMEO)
        self.assertEqual((await store.nodes(ROMEO, 10), await store.load(ROMEO, NODE)), ([], None))
        self.assertEqual(await store.items(ROMEO, NODE, WHOLE), ItemPage((), 0, 0))
        self.assertEqual(await store.find(ROMEO, NODE, ["a"]), [])
        self.assertEqual(await store.latest([ROMEO], [NODE]), [])
        self.assertEqual(await store.affiliations(ROMEO, JULIET), {})
        self.assertEqual(await store.subscriptions(ROMEO, JULIET), [])
        for request in (store.change(ROMEO, NODE, NodeChange({})), store.delete(ROMEO, NODE)):
            with self.assertRaises(NoSuchNode):
                await request
        with self.assertRaises(NoSuchNode):
            await store.publish(ROMEO, NODE, item("a"), 1)

    async def test_created(self) -> None:
        """Nodes come back as they were created, whatever is in them."""
        store = await self.opened()
        nodes = {NODE: FULL, "a": EMPTY, "A '\";--\n\U0001f600ä": FULL, "n" * 3000: EMPTY}
        for name, content in nodes.items():
            await store.create(ROMEO, name, content, 10)
        store = await self.reopened(store)
        self.assertEqual(await store.nodes(ROMEO, 10), sorted(nodes))
        for name, content in nodes.items():
            self.assertEqual(await store.load(ROMEO, name), content)
        self.assertIsNone(await store.load(JULIET, NODE))

    async def test_notCreated(self) -> None:
        """There is one node of a name, and as many nodes of a service as it may have; names are not folded."""
        store = await self.opened()
        await store.create(ROMEO, "a", FULL, 2)
        await store.create(ROMEO, "A", EMPTY, 2)
        await store.create(JULIET, "a", EMPTY, 1)
        with self.assertRaises(NodeExists):
            await store.create(ROMEO, "a", EMPTY, 2)
        with self.assertRaises(TooManyNodes):
            await store.create(ROMEO, "b", EMPTY, 2)
        self.assertEqual((await store.load(ROMEO, "a"), await store.nodes(ROMEO, 10)), (FULL, ["A", "a"]))

    async def test_listed(self) -> None:
        """Names are listed in order, page by page."""
        store = await self.opened()
        for name in ("b", "ä", "a", "c", "B"):
            await store.create(ROMEO, name, EMPTY, 10)
        self.assertEqual(await store.nodes(ROMEO, 3), ["B", "a", "b"])
        self.assertEqual(await store.nodes(ROMEO, 3, "b"), ["c", "ä"])
        self.assertEqual(await store.nodes(ROMEO, 3, "ä"), [])

    async def test_services(self) -> None:
        """Services with nodes are listed in order, page by page."""
        store = await self.opened()
        for service in ("b@x", "\xe4@x", "a@x", "B.x"):
            for name in ("a", "b"):
                await store.create(service, name, EMPTY, 10)
        self.assertEqual(await store.services("", 2), ["B.x", "a@x"])
        self.assertEqual(await store.services("a@x", 9), ["b@x", "\xe4@x"])
        await store.removeService("a@x")
        await store.delete("B.x", "a")
        await store.delete("B.x", "b")
        self.assertEqual(await store.services("", 1), ["b@x"])

    async def test_configured(self) -> None:
        """The nodes are found whose configuration has one value, and no other."""
        store = await self.opened()
        values = {
            "b": {"a": ["1"]}, "ä": {"x": [], "a": ["1"]}, "c": {"a": ["1", "1"]}, "d": {"a": ["0"]}, "e": {},
            "f": {"ba": ["1"]}, "g": {"title": ['"a": ["1"]']},
        }  # fmt: skip
        for name, configuration in values.items():
            await store.create(ROMEO, name, StoredNode(configuration, {}, {}, ROMEO, 0.0), 10)
        await store.create(JULIET, "b", EMPTY, 10)
        self.assertEqual(await store.configured(ROMEO, "a", "1"), ["b", "ä"])
        self.assertEqual(await store.configured(JULIET, "a", "1"), [])

    async def test_changed(self) -> None:
        """What a change mentions is replaced, added or removed; the rest stays."""
        store = await self.opened()
        await store.create(ROMEO, NODE, FULL, 10)
        await store.change(ROMEO, NODE, NodeChange())
        self.assertEqual(await store.load(ROMEO, NODE), FULL)
        new = StoredSubscription("2", "subscribed", {"deliver": ["1"]})
        changes = {f"{JULIET}/balcony": new, "capulet.lit": None, NURSE: SUBSCRIBED}
        await store.change(ROMEO, NODE, NodeChange({"x": ["y"]}, {JULIET: None, NURSE: "outcast"}, changes))
        store = await self.reopened(store)
        affiliations = {ROMEO: "owner", NURSE: "outcast"}
        subscriptions = {f"{JULIET}/balcony": new, NURSE: SUBSCRIBED}
        self.assertEqual(
            await store.load(ROMEO, NODE), StoredNode({"x": ["y"]}, affiliations, subscriptions, ROMEO, FULL.created)
        )

    async def test_deleted(self) -> None:
        """A deleted node has nothing left, if there is another one of its name."""
        store = await self.opened()
        for service in (ROMEO, JULIET):
            await store.create(service, NODE, FULL, 10)
            await store.publish(service, NODE, item("a"), 10)
        await store.delete(ROMEO, NODE)
        self.assertIsNone(await store.load(ROMEO, NODE))
        await store.create(ROMEO, NODE, EMPTY, 10)
        store = await self.reopened(store)
        self.assertEqual(await store.load(ROMEO, NODE), EMPTY)
        self.assertEqual((await store.items(ROMEO, NODE, WHOLE)).count, 0)
        self.assertEqual(await store.load(JULIET, NODE), FULL)
        self.assertEqual(await store.find(JULIET, NODE, ["a"]), [item("a")])

    async def test_ofEntity(self) -> None:
        """What an entity has with the nodes of a service is found, and that of nobody else."""
        store = await self.opened()
        for name in ("b", "a"):
            await store.create(ROMEO, name, FULL, 10)
        await store.create(NURSE, "a", FULL, 10)
        await store.change(ROMEO, "b", NodeChange(None, {JULIET: None}, {JULIET: SUBSCRIBED, JULIET + "x": SUBSCRIBED}))
        self.assertEqual(await store.affiliations(ROMEO, JULIET), {"a": "member"})
        self.assertEqual(await store.affiliations(ROMEO, ROMEO), {"a": "owner", "b": "owner"})
        full, pending = f"{JULIET}/balcony", FULL.subscriptions[f"{JULIET}/balcony"]
        self.assertEqual(
            await store.subscriptions(ROMEO, JULIET),
            [("a", full, pending), ("b", JULIET, SUBSCRIBED), ("b", full, pending)],
        )
        await store.removeEntity(JULIET)
        store = await self.reopened(store)
        self.assertEqual((await store.affiliations(ROMEO, JULIET), await store.subscriptions(ROMEO, JULIET)), ({}, []))
        self.assertEqual(await store.subscriptions(NURSE, JULIET), [])
        others = {"capulet.lit": SUBSCRIBED, JULIET + "x": SUBSCRIBED}
        self.assertEqual((await store.load(ROMEO, "b")).subscriptions, others)
        self.assertEqual((await store.load(ROMEO, "a")).affiliations, {ROMEO: "owner"})

    async def test_published(self) -> None:
        """Items come back as they were published, whatever is in them; one with the same id is replaced."""
        store = await self.opened()
        items = [item(id, 1000.5, b"<x>\0\xff" + id.encode()) for id in ("", "a", "A", "ä '\";--\n", "i" * 3000)]
        await store.publish(ROMEO, NODE, items[0], 10, create=(FULL, 1))
        for each in items[1:]:
            await store.publish(ROMEO, NODE, each, 10)
        replaced = PubSubItem("a", JULIET, 999.0, b"x" * 300_000)
        await store.publish(ROMEO, NODE, replaced, 10)
        store = await self.reopened(store)
        expected = [items[0], *items[2:], replaced]
        self.assertEqual(list((await store.items(ROMEO, NODE, WHOLE)).items), expected)
        self.assertEqual(await store.find(ROMEO, NODE, ["a", "b", "A"]), [replaced, items[2]])
        self.assertEqual(await store.load(ROMEO, NODE), FULL)

    async def test_publishedCreating(self) -> None:
        """A node is created with its first item, or neither is."""
        store = await self.opened()
        await store.publish(ROMEO, NODE, item("a"), 10, create=(FULL, 1))
        with self.assertRaises(NodeExists):
            await store.publish(ROMEO, NODE, item("b"), 10, create=(EMPTY, 2))
        with self.assertRaises(TooManyNodes):
            await store.publish(ROMEO, "other", item("b"), 10, create=(EMPTY, 1))
        with self.assertRaises(TooManyItems):
            await store.publish(ROMEO, "other", item("b"), 10, limit=7, create=(EMPTY, 2))
        self.assertEqual((await store.load(ROMEO, NODE), await store.nodes(ROMEO, 10)), (FULL, [NODE]))
        self.assertEqual(await self.page(store), ("a", 0, 1))

    async def test_order(self) -> None:
        """Items are in the order of their publication, whatever their times are; a repetition is the newest."""
        store = await self.withItems("abcd")
        await store.publish(ROMEO, NODE, item("b", 0.0), 10)
        await store.publish(ROMEO, NODE, item("e", 5000.0), 10)
        await store.publish(ROMEO, NODE, item("f", 4000.0), 10)
        store = await self.reopened(store)
        self.assertEqual(await self.page(store), ("acdbef", 0, 6))

    async def test_kept(self) -> None:
        """Above the number of items that a node keeps, the oldest ones go; above an age as well."""
        store = await self.withItems("abcd")
        await store.publish(ROMEO, NODE, item("e", 1004.0), 3)
        self.assertEqual(await self.page(store), ("cde", 0, 3))
        await store.publish(ROMEO, NODE, item("f", 1005.0), 10, 1003.0)
        self.assertEqual(await self.page(store), ("def", 0, 3))
        await store.change(ROMEO, NODE, NodeChange(keep=2))
        self.assertEqual(await self.page(store), ("ef", 0, 2))
        await store.change(ROMEO, NODE, NodeChange(keep=0))
        self.assertEqual(await self.page(store), ("", 0, 0))
        await store.publish(ROMEO, NODE, item("g"), 1)
        self.assertEqual(await self.page(store), ("g", 0, 1))

    async def test_pages(self) -> None:
        """Pages begin behind an item or a number of them, or end before one or at the end."""
        store = await self.withItems("abcdef")
        cases: list[tuple[dict[str, Any], tuple[str, int, int]]] = [
            ({"limit": 2}, ("ab", 0, 6)), ({"limit": 2, "after": "b"}, ("cd", 2, 6)), ({"after": "f"}, ("", 0, 6)),
            ({"limit": 2, "before": "d"}, ("bc", 1, 6)), ({"before": "a"}, ("", 0, 6)),
            ({"limit": 2, "newest": True}, ("ef", 4, 6)), ({"limit": 9, "newest": True}, ("abcdef", 0, 6)),
            ({"limit": 2, "index": 3}, ("de", 3, 6)), ({"index": 6}, ("", 0, 6)), ({"limit": 0}, ("", 0, 6)),
        ]  # fmt: skip
        for query, expected in cases:
            self.assertEqual(await self.page(store, **query), expected, query)
        for missing in (ItemQuery(10, 1000, after="x"), ItemQuery(10, 1000, before="x")):
            self.assertIsNone(await store.items(ROMEO, NODE, missing))

    async def test_expired(self) -> None:
        """Items that were published before a time do not exist any more."""
        store = await self.withItems("abcdef")
        self.assertEqual(await self.page(store, since=1002.0), ("cdef", 0, 4))
        self.assertEqual(await self.page(store, 2, since=1002.0, after="c"), ("de", 1, 4))
        self.assertEqual(await self.page(store, 2, since=1002.0, index=1), ("de", 1, 4))
        self.assertEqual(await self.page(store, 1, since=1002.0, newest=True), ("f", 3, 4))
        self.assertIsNone(await store.items(ROMEO, NODE, ItemQuery(10, 1000, 1002.0, after="b")))
        self.assertEqual([each.id for each in await store.find(ROMEO, NODE, ["b", "c"], 1002.0)], ["c"])

    async def test_large(self) -> None:
        """As much is read as may be, but one item in any case."""
        store = await self.opened()
        await store.create(ROMEO, NODE, EMPTY, 10)
        for id in "abcd":
            await store.publish(ROMEO, NODE, item(id, payload=b"x" * 99), 10)
        self.assertEqual(await self.page(store, size=250), ("ab", 0, 4))
        self.assertEqual(await self.page(store, size=200, newest=True), ("cd", 2, 4))
        self.assertEqual(await self.page(store, size=250, before="d"), ("bc", 1, 4))
        self.assertEqual(await self.page(store, size=10, after="b"), ("c", 2, 4))

    async def test_size(self) -> None:
        """What would make the items of a service too large is refused as a whole; what does not grow is not."""
        store = await self.opened()
        for name in ("a", "b"):
            await store.create(ROMEO, name, EMPTY, 10)
        await store.create(JULIET, "a", EMPTY, 10)
        await store.publish(JULIET, "a", item("1", payload=b"x" * 500), 10, limit=501)
        await store.publish(ROMEO, "a", item("ä", payload=b"x" * 98), 10, limit=100)
        await store.publish(ROMEO, "b", item("1", payload=b"x" * 99), 10, limit=200)
        for node, id in (("a", "2"), ("b", "")):
            with self.assertRaises(TooManyItems):
                await store.publish(ROMEO, node, item(id, payload=b"x"), 10, limit=200)
        # Smaller than before, or in the place of another.
        await store.publish(ROMEO, "a", item("ä", payload=b"x" * 97), 10, limit=100)
        await store.publish(ROMEO, "b", item("2", payload=b"x" * 99), 1, limit=100)
        self.assertEqual([each.id for each in (await store.items(ROMEO, "a", WHOLE)).items], ["ä"])
        self.assertEqual([each.id for each in (await store.items(ROMEO, "b", WHOLE)).items], ["2"])

    async def test_retracted(self) -> None:
        """Items are retracted, one by one or all, and others stay."""
        store = await self.withItems("abcd")
        await store.create(ROMEO, "other", EMPTY, 10)
        await store.publish(ROMEO, "other", item("a"), 10)
        await store.retract(ROMEO, NODE, ["b", "x", "d"])
        store = await self.reopened(store)
        self.assertEqual(await self.page(store), ("ac", 0, 2))
        await store.purge(ROMEO, NODE)
        self.assertEqual(await self.page(store), ("", 0, 0))
        self.assertEqual((await store.items(ROMEO, "other", WHOLE)).count, 1)

    async def test_latest(self) -> None:
        """The newest items of nodes of some names of some services are found."""
        store = await self.opened()
        for service in (ROMEO, JULIET, NURSE):
            for name in ("a", "ä", "c"):
                await store.create(service, name, EMPTY, 10)
                for id in "12":
                    await store.publish(service, name, item(id + service), 10)
        await store.purge(JULIET, "ä")
        await store.publish(JULIET, "a", item("1" + JULIET), 10)
        self.assertEqual(
            await store.latest([ROMEO, JULIET, "nobody@x"], ["ä", "a", "none"]),
            [(JULIET, "a", "1" + JULIET), (ROMEO, "a", "2" + ROMEO), (ROMEO, "ä", "2" + ROMEO)],
        )
        self.assertEqual(await store.latest([], ["a"]), [])
        self.assertEqual(await store.latest([ROMEO], []), [])

    async def test_removed(self) -> None:
        """All nodes of a service are removed, and none of another one."""
        store = await self.opened()
        for service in (ROMEO, JULIET):
            await store.publish(service, NODE, item("a"), 10, create=(FULL, 10))
        await store.removeService(ROMEO)
        store = await self.reopened(store)
        self.assertEqual((await store.nodes(ROMEO, 10), await store.load(ROMEO, NODE)), ([], None))
        self.assertEqual((await store.items(ROMEO, NODE, WHOLE)).count, 0)
        self.assertEqual(await store.subscriptions(ROMEO, JULIET), [])
        self.assertEqual(await store.load(JULIET, NODE), FULL)
        self.assertEqual((await store.items(JULIET, NODE, WHOLE)).count, 1)

    async def test_inOrder(self) -> None:
        """Requests see those before them."""
        store = await self.opened()
        requests = [
            store.create(ROMEO, NODE, EMPTY, 10), store.publish(ROMEO, NODE, item("a"), 10),
            store.find(ROMEO, NODE, ["a"]), store.change(ROMEO, NODE, NodeChange(None, {JULIET: "owner"})),
            store.load(ROMEO, NODE), store.delete(ROMEO, NODE), store.nodes(ROMEO, 10),
        ]  # fmt: skip
        results = await gatherResults(requests)
        self.assertEqual((results[2], results[4].affiliations, results[6]), ([item("a")], {JULIET: "owner"}, []))

    async def test_isolated(self) -> None:
        """The arguments may be changed after the call."""
        store = await self.opened()
        await store.create(ROMEO, NODE, EMPTY, 10)
        await store.publish(ROMEO, NODE, item("a"), 10)
        configuration, affiliations, ids = {"a": ["1"]}, {JULIET: "member"}, ["b"]
        requests = [
            store.change(ROMEO, NODE, NodeChange(configuration, affiliations)), store.retract(ROMEO, NODE, ids),
        ]  # fmt: skip
        configuration["b"] = ["2"]
        affiliations[NURSE] = "owner"
        ids.append("a")
        await gatherResults(requests)
        found = await store.load(ROMEO, NODE)
        self.assertEqual((found.configuration, found.affiliations), ({"a": ["1"]}, {JULIET: "member"}))
        self.assertEqual(await self.page(store), ("a", 0, 1))

    async def test_closeFinishes(self) -> None:
        """What was changed before C{close} is there when it fires."""
        store = await self.opened()
        await store.create(ROMEO, NODE, EMPTY, 10)
        published = [store.publish(ROMEO, NODE, item(str(number)), 100) for number in range(20)]
        await store.close()
        self.assertEqual([self.successResultOf(done) for done in published], [None] * 20)
        if self.durable:
            self.assertEqual((await (await self.opened()).items(ROMEO, NODE, WHOLE)).count, 20)
