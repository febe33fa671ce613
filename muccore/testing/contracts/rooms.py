# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of rooms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import gatherResults
from zope.interface.verify import verifyObject

from muccore.interfaces import Affiliate, IRoomStore, PublicRooms, RoomChange, RoomRecord, StoreError, Subject
from muccore.testing.contracts.base import Contract

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
)
"""A room with all fields."""

PLAIN: Final = RoomRecord(settings={}, affiliates={})
"""A room without content."""


class RoomStoreContract(Contract):
    """Tests of an L{IRoomStore}."""

    requests = (
        ("load", "cave@chat.lit"),
        ("save", "cave@chat.lit", PLAIN),
        ("change", "cave@chat.lit", RoomChange()),
        ("destroy", "cave@chat.lit"),
        ("publicRooms", "chat.lit", None, None, 1),
        ("temporaryRooms", "chat.lit"),
    )

    async def test_interface(self) -> None:
        """It provides the interface."""
        verifyObject(IRoomStore, self.makeStore(self.place))

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
        """New settings also set name, C{public} and C{temporary}, but not the list or the subject."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        await store.change("cave@chat.lit", RoomChange(settings={"a": 1}, name="Heath", public=False, temporary=False))
        store = await self.reopened(store)
        self.assertEqual(
            await store.load("cave@chat.lit"),
            replace(CAVE, settings={"a": 1}, name="Heath", public=False, temporary=False),
        )
        self.assertEqual(await store.publicRooms("chat.lit", None, None, 9), PublicRooms([], 0, 0))
        self.assertEqual(await store.temporaryRooms("chat.lit"), [])

    async def test_changedSubject(self) -> None:
        """A new subject, even an empty one, replaces the old one only; without settings, C{name} is ignored."""
        store = await self.opened()
        await store.save("cave@chat.lit", CAVE)
        for subject in (Subject("Tomorrow", "macbeth", 5e9, "en-GB", "macbeth@x"), Subject("", "", 0.0)):
            await store.change("cave@chat.lit", RoomChange(subject=subject, name="ignored", public=False))
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

    async def test_publicRooms(self) -> None:
        """The public rooms of a domain are sorted by JID (by code point), with pages in both directions."""
        store = await self.opened()
        names = [f"{local}@chat.lit" for local in ("a", "b", "c", "d", "ä", "\U0001f600")]
        for name in reversed(names):
            await store.save(name, RoomRecord({}, {}, name=name.upper()))
        await store.save("bb@chat.lit", RoomRecord({}, {}, public=False))
        await store.save("bc@talk.lit", RoomRecord({}, {}))
        rooms = [(name, name.upper()) for name in names]
        for after, before, limit, start, end in [
            (None, None, 10, 0, 6),
            (None, None, 2, 0, 2),
            (names[1], None, 2, 2, 4),
            (names[4], None, 2, 5, 6),
            ("", None, 2, 0, 2),
            ("bb@chat.lit", None, 1, 2, 3),
            (None, "", 2, 4, 6),
            (None, "", 10, 0, 6),
            (None, names[4], 2, 2, 4),
            (None, names[1], 5, 0, 1),
            (None, "bb@chat.lit", 1, 1, 2),
        ]:
            page = await store.publicRooms("chat.lit", after, before, limit)
            self.assertEqual(
                (list(page.rooms), page.index, page.count), (rooms[start:end], start, 6), (after, before, limit)
            )

    async def test_publicRoomsEmptyPage(self) -> None:
        """An empty page has the count of all rooms, and the index 0."""
        store = await self.opened()
        await store.save("a@chat.lit", PLAIN)
        await store.save("b@chat.lit", PLAIN)
        for arguments in [(None, None, 0), ("a@chat.lit", None, 0), ("b@chat.lit", None, 5), (None, "a@chat.lit", 5)]:
            page = await store.publicRooms("chat.lit", *arguments)
            self.assertEqual((list(page.rooms), page.index, page.count), ([], 0, 2), arguments)
        self.assertEqual((await store.publicRooms("talk.lit", None, None, 5)).count, 0)

    async def test_publicRoomsRenamed(self) -> None:
        """The list has the current name of a room."""
        store = await self.opened()
        await store.save("a@chat.lit", CAVE)
        await store.change("a@chat.lit", RoomChange(settings={}, name="Heath"))
        self.assertEqual(list((await store.publicRooms("chat.lit", None, None, 5)).rooms), [("a@chat.lit", "Heath")])

    async def test_temporaryRooms(self) -> None:
        """The temporary rooms of one domain are listed, public or not."""
        store = await self.opened()
        for name, public, temporary in [("b", False, True), ("a", True, True), ("c", True, False)]:
            await store.save(f"{name}@chat.lit", RoomRecord({}, {}, public=public, temporary=temporary))
        await store.save("d@talk.lit", RoomRecord({}, {}, temporary=True))
        store = await self.reopened(store)
        self.assertEqual(sorted(await store.temporaryRooms("chat.lit")), ["a@chat.lit", "b@chat.lit"])
