# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of rooms: lists of rooms, and searches."""

from __future__ import annotations

from typing import Any, Final

from muccore.interfaces import Affiliate, RoomChange, RoomRecord, RoomSearch
from muccore.testing.contracts.base import Contract

_SETTINGS: Final = {"title": "Heath", "maxUsers": 20, "langs": ["de", "en"]}
_CAVE: Final = RoomRecord(
    _SETTINGS, {}, name="A Dark Cave", description="Where the weird ſisters meet", language="en-GB"
)
_PLAIN: Final = RoomRecord(settings={}, affiliates={})


class RoomQueryContract(Contract):
    """Tests of the lists of an L{IRoomStore<muccore.interfaces.IRoomStore>}."""

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
        await store.save("a@chat.lit", _PLAIN)
        await store.save("b@chat.lit", _PLAIN)
        for arguments in [(None, None, 0), ("a@chat.lit", None, 0), ("b@chat.lit", None, 5), (None, "a@chat.lit", 5)]:
            page = await store.publicRooms("chat.lit", *arguments)
            self.assertEqual((list(page.rooms), page.index, page.count), ([], 0, 2), arguments)
        self.assertEqual((await store.publicRooms("talk.lit", None, None, 5)).count, 0)

    async def test_publicRoomsCounted(self) -> None:
        """The count is right after all that may change it, and that of each domain its own."""
        store = await self.opened()

        async def counts() -> tuple[int, int]:
            return (
                (await store.publicRooms("chat.lit", None, None, 0)).count,
                (await store.publicRooms("talk.lit", None, None, 1)).count,
            )

        for name in ("a@chat.lit", "b@chat.lit", "c@talk.lit"):
            await store.save(name, _PLAIN)
        self.assertEqual(await counts(), (2, 1))
        for public, expected in ((False, 1), (False, 1), (True, 2), (True, 2)):
            await store.change("a@chat.lit", RoomChange(settings={}, public=public))
            self.assertEqual(await counts(), (expected, 1))
        await store.change("a@chat.lit", RoomChange(growth=1))
        await store.save("a@chat.lit", RoomRecord({}, {}, public=False))
        self.assertEqual(await counts(), (1, 1))
        for name in ("a@chat.lit", "b@chat.lit", "c@talk.lit", "d@talk.lit"):
            await store.destroy(name)
        self.assertEqual(await counts(), (0, 0))

    async def test_publicRoomsRenamed(self) -> None:
        """The list has the current name of a room."""
        store = await self.opened()
        await store.save("a@chat.lit", _CAVE)
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

    async def _assertFound(self, store: Any, search: RoomSearch, expected: str) -> None:
        found = await store.searchRooms("chat.lit", search, None, None, 20)
        locals = " ".join(room.partition("@")[0] for room, _ in found.rooms)
        self.assertEqual((locals, found.index, found.count), (expected, 0, len(expected.split())), search)

    async def test_searched(self) -> None:
        """Public rooms of a domain are found by parts of the texts that are searched, whatever their case and width."""
        store = await self.opened()
        for room, name, description, language in (
            ("straße@chat.lit", "Die Straße 100%", "ÄRGER", "de"),
            ("cave@chat.lit", "Ｃave", "weird_sisters", "en-GB"),
            ("heath@chat.lit", "Heath", "of the cave", "en"),
            ("plain@chat.lit", "", "", ""),
        ):
            await store.save(room, RoomRecord({}, {}, name=name, description=description, language=language))
        await store.save("hidden@chat.lit", RoomRecord({}, {}, public=False, name="Cave"))
        await store.save("cave@talk.lit", RoomRecord({}, {}, name="Cave"))
        store = await self.reopened(store)
        for search, expected in (
            (RoomSearch(), "cave heath plain straße"),
            (RoomSearch(["CAVE"]), "cave heath"),
            (RoomSearch(["cave"], inDescription=False), "cave"),
            (RoomSearch(["cave"], inAddress=False, inName=False), "heath"),
            (RoomSearch(["STRASSE"]), "straße"),
            (RoomSearch(["strasse"], inName=False), "straße"),
            (RoomSearch(["ärger"]), "straße"),
            (RoomSearch(["chat.lit"]), "cave heath plain straße"),
            (RoomSearch(["of", "heath"]), "heath"),
            (RoomSearch(["of", "weird"]), ""),
            (RoomSearch(["d_s"]), "cave"),
            (RoomSearch(["h_a"]), ""),
            (RoomSearch(["%"]), "straße"),
            (RoomSearch(["'\"\\"]), ""),
            (RoomSearch(["cave"], inAddress=False, inName=False, inDescription=False), ""),
            (RoomSearch(language="en"), "cave heath"),
            (RoomSearch(language="EN-gb"), "cave"),
            (RoomSearch(language="e"), ""),
            (RoomSearch(["cave"], without=["cave@chat.lit", "x@y"]), "heath"),
            (RoomSearch(without=[]), "cave heath plain straße"),
            (RoomSearch(among=["heath@chat.lit", "hidden@chat.lit", "x@chat.lit", "cave@chat.lit"]), "heath cave"),
            (RoomSearch(among=["cave@talk.lit", "plain@chat.lit"], without=["plain@chat.lit"]), ""),
            (RoomSearch(["cave"], among=["plain@chat.lit", "heath@chat.lit"]), "heath"),
            (RoomSearch(among=[]), ""),
        ):
            await self._assertFound(store, search, expected)

    async def test_searchedAsChanged(self) -> None:
        """Changed rooms are found by their new texts only, with all their settings."""
        store = await self.opened()
        await store.save("cave@chat.lit", _CAVE)
        await self._assertFound(store, RoomSearch(["weird Sisters"], language="en"), "cave")
        await store.change("cave@chat.lit", RoomChange(settings=_SETTINGS, name="Heath", description="x"))
        await self._assertFound(store, RoomSearch(["weird"]), "")
        await self._assertFound(store, RoomSearch(language="en"), "")
        found = await store.searchRooms("chat.lit", RoomSearch(["heath"]), None, None, 1)
        self.assertEqual(list(found.rooms), [("cave@chat.lit", _SETTINGS)])
        await store.destroy("cave@chat.lit")
        await self._assertFound(store, RoomSearch(), "")

    async def test_searchPages(self) -> None:
        """A result comes in pages in both directions, sorted by JID, or as the rooms are given."""
        store = await self.opened()
        names = [f"{local}@chat.lit" for local in ("a", "b", "c", "d", "ä")]
        for name in names:
            await store.save(name, RoomRecord({}, {}, name="found"))
        for name in ("bb", "zz"):
            await store.save(f"{name}@chat.lit", RoomRecord({}, {}, name="other"))
        ranked = [*reversed(names), "bb@chat.lit"]
        for search, order in (
            (RoomSearch(["found"]), names),
            (RoomSearch(["found"], among=ranked), ranked[:-1]),
        ):
            for after, before, limit, start, end in [
                (None, None, 9, 0, 5),
                (None, None, 2, 0, 2),
                (None, None, 0, 0, 0),
                (order[1], None, 2, 2, 4),
                (order[3], None, 2, 4, 5),
                (order[4], None, 2, 0, 0),
                (None, "", 2, 3, 5),
                (None, "", 9, 0, 5),
                (None, order[3], 2, 1, 3),
                (None, order[1], 2, 0, 1),
                (None, order[0], 2, 0, 0),
            ]:
                page = await store.searchRooms("chat.lit", search, after, before, limit)
                self.assertEqual(
                    ([room for room, _ in page.rooms], page.index, page.count),
                    (order[start:end], start, 5),
                    (search, after, before, limit),
                )
        page = await store.searchRooms("chat.lit", RoomSearch(["found"]), "bb@chat.lit", None, 1)
        self.assertEqual(([room for room, _ in page.rooms], page.index, page.count), (names[2:3], 2, 5))
        page = await store.searchRooms("chat.lit", RoomSearch(["found"], among=ranked), None, "bb@chat.lit", 1)
        self.assertEqual(([room for room, _ in page.rooms], page.index, page.count), (names[:1], 4, 5))

    async def test_affiliatedRooms(self) -> None:
        """The rooms of a domain in which a user has some affiliations are listed in pages, public or not."""
        store = await self.opened()
        juliet = "juliet@x.lit"
        for room, public, affiliates in (
            ("d@chat.lit", True, {juliet: Affiliate("owner")}),
            ("a@chat.lit", False, {juliet: Affiliate("member", "Jule", "x"), "x.lit": Affiliate("owner")}),
            ("b@chat.lit", True, {juliet: Affiliate("outcast")}),
            ("c@chat.lit", True, {"x.lit": Affiliate("member"), "romeo@x.lit": Affiliate("owner")}),
            ("e@chat.lit", True, {juliet: Affiliate("member")}),
            ("a@talk.lit", True, {juliet: Affiliate("member")}),
        ):
            await store.save(room, RoomRecord({}, affiliates, name=room[0].upper(), public=public))
        store = await self.reopened(store)
        rooms = [("a@chat.lit", "A", "member"), ("d@chat.lit", "D", "owner"), ("e@chat.lit", "E", "member")]
        for after, before, limit, start, end in [
            (None, None, 9, 0, 3),
            (None, None, 1, 0, 1),
            (None, None, 0, 0, 0),
            ("a@chat.lit", None, 1, 1, 2),
            ("b@chat.lit", None, 9, 1, 3),
            ("e@chat.lit", None, 9, 0, 0),
            (None, "", 2, 1, 3),
            (None, "d@chat.lit", 2, 0, 1),
        ]:
            page = await store.affiliatedRooms("chat.lit", juliet, ["owner", "member"], after, before, limit)
            self.assertEqual((list(page.rooms), page.index, page.count), (rooms[start:end], start, 3), (after, before))
        await store.change("e@chat.lit", RoomChange({juliet: None}))
        await store.change("d@chat.lit", RoomChange({juliet: Affiliate("none", "Jule")}))
        await store.destroy("a@talk.lit")
        page = await store.affiliatedRooms("chat.lit", juliet, ["owner", "member"], None, None, 9)
        self.assertEqual((list(page.rooms), page.count), (rooms[:1], 1))
        for user, affiliations in ((juliet, []), ("nobody@x.lit", ["member"]), ("romeo@x.lit", ["member"])):
            page = await store.affiliatedRooms("chat.lit", user, affiliations, None, None, 9)
            self.assertEqual((list(page.rooms), page.count), ([], 0))
