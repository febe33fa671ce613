# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of rooms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import (
    Affiliate,
    IRoomStore,
    PublicRooms,
    RoomChange,
    RoomRecord,
    RoomSearch,
    StoreError,
    Subject,
    Tombstone,
)
from muccore.testing.contracts.roomqueries import RoomQueryContract

SETTINGS: Final = {"title": "Straße ✓ \U0001f600", "maxUsers": 20, "moderated": True, "langs": ["de", "en"], "log": ""}
"""Settings of every type."""

CAVE: Final = RoomRecord(
    settings=SETTINGS,
    affiliates={
        "crone1@shakespeare.lit": Affiliate("owner"),
        "hag66@shakespeare.lit": Affiliate("member", "Third \"Witch\" 'of' Ⅲ"),
        "hecate@shakespeare.lit": Affiliate("admin", "Hecate", "she asked; we could not refuse"),
        "earthly.lit": Affiliate("outcast", None, ""),
        "wiccarocks@shakespeare.lit": Affiliate("none", "wicca"),
    },
    subject=Subject(
        "Fire Burn and Cauldron Bubble!\nDouble, double", "secondwitch", 1078000000.25, "en", "hag66@shakespeare.lit"
    ),
    name="A Dark Cave",
    public=True,
    temporary=True,
    states={"hats": {"hag66@shakespeare.lit": ["Witch", "urn:x"], "Ⅲ": 3}, "mood": {"": {"dark": True, "of": None}}},
    description="Where the weird ſisters meet",
    language="en-GB",
    creator="crone1@shakespeare.lit",
    size=1234,
)
"""A room with all fields."""

PLAIN: Final = RoomRecord(settings={}, affiliates={})
"""A room without content."""

RUINS: Final = Tombstone(
    1078000000.25, 1080592000.5, "heath@chat.lit", "Macbeth doth come.\n✓", False, {"crone1@shakespeare.lit": "owner"}
)
"""A tombstone with all fields."""


class RoomStoreContract(RoomQueryContract):
    """Tests of an L{IRoomStore}."""

    requests = (
        ("load", "cave@chat.lit"),
        ("save", "cave@chat.lit", PLAIN),
        ("change", "cave@chat.lit", RoomChange()),
        ("destroy", "cave@chat.lit"),
        ("destroy", "cave@chat.lit", RUINS),
        ("tombstone", "cave@chat.lit"),
        ("publicRooms", "chat.lit", None, None, 1),
        ("searchRooms", "chat.lit", RoomSearch(), None, None, 1),
        ("affiliatedRooms", "chat.lit", "hag66@shakespeare.lit", ["member"], None, None, 1),
        ("temporaryRooms", "chat.lit"),
        ("usage", "chat.lit"),
        ("names", "", 1),
        ("tombstones", "", 1),
        ("preferenceNames",),
        ("preferences", "tea"),
        ("setPreference", "tea", "hag66@shakespeare.lit", True),
    )

    async def test_interface(self) -> None:
        """It provides the interface."""
        verifyObject(IRoomStore, self.makeStore(self.place))

    async def test_usage(self) -> None:
        """The rooms of a domain and their sizes are counted by creator; changes add to a size, or take from it."""
        store = await self.opened()
        self.assertEqual(await store.usage("chat.lit"), {})
        for number in range(3):
            await store.save(f"r{number}@chat.lit", CAVE)
        await store.save("plain@chat.lit", replace(PLAIN, size=5))
        await store.save("cave@talk.lit", CAVE)
        await store.change("r0@chat.lit", RoomChange(growth=2**40))
        await store.change("r1@chat.lit", RoomChange({"earthly.lit": None}, growth=-1000))
        await store.change("r1@chat.lit", RoomChange({"earthly.lit": Affiliate("member")}))
        await store.destroy("r2@chat.lit")
        store = await self.reopened(store)
        expected = {CAVE.creator: (2, 2 * CAVE.size + 2**40 - 1000), "": (1, 5)}
        self.assertEqual(await store.usage("chat.lit"), expected)
        found = await store.load("r1@chat.lit")
        self.assertEqual((found.creator, found.size), (CAVE.creator, CAVE.size - 1000))
        self.assertEqual(await store.usage("none.lit"), {})

    async def test_listed(self) -> None:
        """All rooms and tombstones are listed in pages, sorted by code points, and the names of what was chosen."""
        store = await self.opened()
        names = sorted(["a@x.lit", "B@x.lit", "\xe4@a.lit", "z@chat.lit"])
        for number, name in enumerate(names):
            await store.save(name, replace(PLAIN, public=bool(number % 2), temporary=number == 2))
            await store.destroy(f"{name}x", RUINS)
        await store.setPreference("tea", "hag66@shakespeare.lit", 1)
        await store.setPreference("Tea", "hecate@shakespeare.lit", None)
        await store.setPreference("toads", "hag66@shakespeare.lit", 1)
        await store.setPreference("toads", "hecate@shakespeare.lit", 1)
        store = await self.reopened(store)
        self.assertEqual(await store.names("", 9), names)
        self.assertEqual(await store.names(names[0], 2), names[1:3])
        self.assertEqual(await store.names(names[-1], 2), [])
        self.assertEqual(await store.tombstones("", 9), [f"{name}x" for name in names])
        self.assertEqual(await store.tombstones(f"{names[1]}x", 1), [f"{names[2]}x"])
        self.assertEqual(await store.preferenceNames(), ["tea", "toads"])

    async def test_preferences(self) -> None:
        """What users have chosen is kept by name and user; it can be replaced and removed."""
        store = await self.opened()
        value = ["Ⅲ", {"a": None}, 1.5]
        await store.setPreference("tea", "hag66@shakespeare.lit", value)
        value.append("changed after the call")
        await store.setPreference("tea", "hecate@shakespeare.lit", True)
        await store.setPreference("toads", "hag66@shakespeare.lit", 3)
        await store.setPreference("tea", "nobody@shakespeare.lit", None)
        await store.setPreference("toads", "hag66@shakespeare.lit", "green")
        await store.setPreference("tea", "hecate@shakespeare.lit", None)
        store = await self.reopened(store)
        self.assertEqual(await store.preferences("tea"), {"hag66@shakespeare.lit": ["Ⅲ", {"a": None}, 1.5]})
        self.assertEqual(await store.preferences("toads"), {"hag66@shakespeare.lit": "green"})
        self.assertEqual(await store.preferences("none"), {})

    async def test_closeFinishes(self) -> None:
        """Requests before C{close} are done when it fires."""
        store = await self.opened()
        saved = [store.save(f"r{n}@chat.lit", CAVE) for n in range(20)]
        await store.close()
        self.assertEqual([self.successResultOf(done) for done in saved], [None] * 20)
        if self.durable:
            again = await self.opened()
            self.assertEqual((await again.publicRooms("chat.lit", None, None, 0)).count, 20)

    async def test_unknown(self) -> None:
        """A room that is not stored loads as C{None}."""
        store = await self.opened()
        self.assertIsNone(await store.load("cave@chat.lit"))

    async def test_saved(self) -> None:
        """A room is loaded as it was saved, with every field."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        await store.save("plain@chat.lit", PLAIN)
        store = await self.reopened(store)
        self.assertEqual(await store.load("cave@chat.lit"), CAVE)
        self.assertEqual(await store.load("plain@chat.lit"), PLAIN)

    async def test_savedAnew(self) -> None:
        """Saving replaces the whole room."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        await store.save("cave@chat.lit", PLAIN)
        self.assertEqual(await store.load("cave@chat.lit"), PLAIN)
        self.assertEqual(await store.temporaryRooms("chat.lit"), [])

    async def test_isolated(self) -> None:
        """Stored rooms do not share mappings with what was saved or loaded."""
        store = await self.opened()
        affiliates = {"crone1@shakespeare.lit": Affiliate("owner")}
        settings: dict[str, Any] = {"langs": ["en"]}
        saving = store.save("cave@chat.lit", RoomRecord(settings, affiliates))
        affiliates.clear()
        settings["langs"].append("de")
        await saving
        changes: dict[str, Affiliate | None] = {"hag66@shakespeare.lit": Affiliate("member")}
        changing = store.change("cave@chat.lit", RoomChange(changes))
        changes.clear()
        await changing
        loaded = await store.load("cave@chat.lit")
        loaded.affiliates.clear()
        loaded.settings["langs"].clear()
        expected = {"crone1@shakespeare.lit": Affiliate("owner"), "hag66@shakespeare.lit": Affiliate("member")}
        self.assertEqual(await store.load("cave@chat.lit"), RoomRecord({"langs": ["en"]}, expected))

    async def test_notJSON(self) -> None:
        """Settings that are not JSON fail the Deferred, and nothing of the request is done."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        bad = {"title": object()}
        with self.assertRaises(TypeError):
            await store.save("cave@chat.lit", RoomRecord(bad, {}))
        with self.assertRaises(TypeError):
            await store.change("cave@chat.lit", RoomChange({"earthly.lit": None}, settings=bad))
        self.assertEqual(await store.load("cave@chat.lit"), CAVE)

    async def test_changedAffiliates(self) -> None:
        """A change adds, replaces and removes entries of the list, and leaves everything else as it was."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        await store.change(
            "cave@chat.lit",
            RoomChange(
                {
                    "hag66@shakespeare.lit": Affiliate("admin", None, "promoted"),
                    "hecate@shakespeare.lit": None,
                    "stranger@nowhere.lit": None,
                    "new@shakespeare.lit": Affiliate("member"),
                }
            ),
        )
        affiliates = dict(CAVE.affiliates)
        affiliates["hag66@shakespeare.lit"] = Affiliate("admin", None, "promoted")
        affiliates["new@shakespeare.lit"] = Affiliate("member")
        del affiliates["hecate@shakespeare.lit"]
        store = await self.reopened(store)
        self.assertEqual(await store.load("cave@chat.lit"), replace(CAVE, affiliates=affiliates))

    async def test_changedStates(self) -> None:
        """Rows of extensions are put and removed one by one; nothing else changes."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        await store.change(
            "cave@chat.lit",
            RoomChange(
                states={("hats", "Ⅲ"): None, ("hats", "new"): [0.5, ""], ("mood", ""): None, ("votes", "a"): "\0 ✓"}
            ),
        )
        await store.change("cave@chat.lit", RoomChange(states={("hats", "unknown"): None, ("hats", "new"): False}))
        expected: dict[str, dict[str, Any]] = {
            "hats": {"hag66@shakespeare.lit": ["Witch", "urn:x"], "new": False},
            "votes": {"a": "\0 ✓"},
        }
        store = await self.reopened(store)
        self.assertEqual(await store.load("cave@chat.lit"), replace(CAVE, states=expected))
        await store.save("cave@chat.lit", PLAIN)
        self.assertEqual(await store.load("cave@chat.lit"), PLAIN)

    async def test_statesOfItsOwn(self) -> None:
        """What was passed may be changed after the call, and what is no JSON value is refused as a whole."""
        store = await self.opened()
        states = {"hats": {"a": [1]}}
        saving = store.save("cave@chat.lit", RoomRecord({}, {}, states=states))
        states["hats"]["a"].append(2)
        await saving
        with self.assertRaises(TypeError):
            await store.change("cave@chat.lit", RoomChange(states={("hats", "a"): 2, ("hats", "b"): {1, 2}}))
        self.assertEqual(await store.load("cave@chat.lit"), RoomRecord({}, {}, states={"hats": {"a": [1]}}))

    async def test_changedSettings(self) -> None:
        """New settings also set what is listed and searched, and C{temporary}, but not the list or the subject."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        new: dict[str, Any] = {"settings": {"a": 1}, "name": "Heath", "public": False, "temporary": False}
        await store.change("cave@chat.lit", RoomChange(**new, description="Dark", language="gd"))
        store = await self.reopened(store)
        changed = replace(CAVE, **new, description="Dark", language="gd")
        self.assertEqual(await store.load("cave@chat.lit"), changed)
        self.assertEqual(await store.publicRooms("chat.lit", None, None, 9), PublicRooms([], 0, 0))
        self.assertEqual(await store.temporaryRooms("chat.lit"), [])

    async def test_changedSubject(self) -> None:
        """A new subject, even an empty one, replaces the old one only; without settings, C{name} is ignored."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        for subject in (Subject("Tomorrow", "macbeth", 5e9, "en-GB", "macbeth@x"), Subject("", "", 0.0)):
            change = RoomChange(subject=subject, name="ignored", public=False, description="ignored", language="x")
            await store.change("cave@chat.lit", change)
            self.assertEqual(await store.load("cave@chat.lit"), replace(CAVE, subject=subject))

    async def test_changedUnknown(self) -> None:
        """A room that is not stored cannot be changed, and is not created."""
        store = await self.opened()
        with self.assertRaises(StoreError):
            await store.change("cave@chat.lit", RoomChange({"a@b.lit": Affiliate("member")}))
        self.assertIsNone(await store.load("cave@chat.lit"))

    async def test_failsAlone(self) -> None:
        """A request that fails does not affect concurrent ones."""
        store = await self.opened()
        requests = [
            store.save("cave@chat.lit", CAVE),
            store.change("heath@chat.lit", RoomChange()),
            store.change("cave@chat.lit", RoomChange({"earthly.lit": None})),
        ]
        await requests[0]
        with self.assertRaises(StoreError):
            await requests[1]
        await requests[2]
        self.assertNotIn("earthly.lit", (await store.load("cave@chat.lit")).affiliates)

    async def test_ordered(self) -> None:
        """Concurrent requests are carried out and answered in order; a read sees exactly the earlier writes."""
        store = await self.opened()
        answered: list[str] = []
        requests = [
            ("save", store.save("cave@chat.lit", PLAIN)),
            ("load 1", store.load("cave@chat.lit")),
            ("change", store.change("cave@chat.lit", RoomChange({"a@b.lit": Affiliate("member")}))),
            ("load 2", store.load("cave@chat.lit")),
            ("destroy", store.destroy("cave@chat.lit")),
            ("load 3", store.load("cave@chat.lit")),
        ]

        def note(result: object, name: str) -> object:
            answered.append(name)
            return result

        for name, request in requests:
            request.addBoth(note, name)
        results = dict(zip(dict(requests), await gatherResults([request for _, request in requests]), strict=True))
        self.assertEqual(answered, [name for name, _ in requests])
        self.assertEqual(results["load 1"], PLAIN)
        self.assertEqual(results["load 2"].affiliates, {"a@b.lit": Affiliate("member")})
        self.assertIsNone(results["load 3"])

    async def test_cancelled(self) -> None:
        """A cancelled request does not affect others."""
        store = await self.opened()
        first = store.save("cave@chat.lit", PLAIN)
        second = store.save("heath@chat.lit", PLAIN)
        first.addErrback(lambda failure: None)
        first.cancel()
        await second
        self.assertEqual(await store.load("heath@chat.lit"), PLAIN)

    async def test_destroyed(self) -> None:
        """A destroyed room is gone with its list, even if it is created again. Destroying it twice is not an error."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        await store.save("heath@chat.lit", CAVE)
        await store.destroy("cave@chat.lit")
        await store.destroy("cave@chat.lit")
        store = await self.reopened(store)
        self.assertIsNone(await store.load("cave@chat.lit"))
        self.assertEqual((await store.publicRooms("chat.lit", None, None, 9)).rooms, [("heath@chat.lit", CAVE.name)])
        await store.save("cave@chat.lit", PLAIN)
        self.assertEqual(await store.load("cave@chat.lit"), PLAIN)
        self.assertEqual(await store.load("heath@chat.lit"), CAVE)

    async def test_manyAffiliates(self) -> None:
        """A list of ten thousand entries, some with nicks and reasons, is stored and loaded."""
        store = await self.opened()
        affiliates = {
            f"user{n}@shakespeare.lit": Affiliate("member", None if n % 7 else f"nick{n}", None if n % 5 else "trusted")
            for n in range(10_000)
        }
        await store.save("cave@chat.lit", RoomRecord({}, affiliates))
        self.assertEqual((await store.load("cave@chat.lit")).affiliates, affiliates)
        await store.change("cave@chat.lit", RoomChange(dict.fromkeys(list(affiliates)[1:])))
        self.assertEqual(list((await store.load("cave@chat.lit")).affiliates), ["user0@shakespeare.lit"])

    async def test_tombstone(self) -> None:
        """A destroyed room can leave a tombstone, also one that was not stored; another replaces it."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        self.assertIsNone(await store.tombstone("cave@chat.lit"))
        await store.destroy("cave@chat.lit", RUINS)
        await store.destroy("heath@chat.lit", Tombstone(1.0, 1078000001.0))
        store = await self.reopened(store)
        self.assertIsNone(await store.load("cave@chat.lit"))
        self.assertEqual((await store.publicRooms("chat.lit", None, None, 9)).count, 0)
        self.assertEqual(await store.tombstone("cave@chat.lit"), RUINS)
        await store.destroy("cave@chat.lit", replace(RUINS, reason=None, venue=None))
        self.assertEqual(await store.tombstone("cave@chat.lit"), replace(RUINS, reason=None, venue=None))
        self.assertEqual(await store.tombstone("heath@chat.lit"), Tombstone(1.0, 1078000001.0))

    async def test_tombstoneRemoved(self) -> None:
        """A tombstone is removed by a new room of its name, and by destroying that without leaving one."""
        store = await self.opened()
        for room in ("cave@chat.lit", "heath@chat.lit"):
            await store.destroy(room, RUINS)
        await store.save("cave@chat.lit", PLAIN)
        await store.destroy("heath@chat.lit")
        store = await self.reopened(store)
        for room in ("cave@chat.lit", "heath@chat.lit"):
            self.assertIsNone(await store.tombstone(room))
        self.assertEqual(await store.load("cave@chat.lit"), PLAIN)

    async def test_tombstonesExpire(self) -> None:
        """Those that had expired when a room was destroyed are deleted."""
        store = await self.opened()
        for number, expires in enumerate((9.0, 10.0, 10.5)):
            await store.destroy(f"r{number}@chat.lit", Tombstone(1.0, expires))
        await store.destroy("cave@chat.lit")
        self.assertIsNotNone(await store.tombstone("r0@chat.lit"))
        await store.destroy("cave@chat.lit", Tombstone(10.0, 20.0))
        found = [await store.tombstone(f"r{number}@chat.lit") for number in range(3)]
        self.assertEqual(found, [None, None, Tombstone(1.0, 10.5)])
