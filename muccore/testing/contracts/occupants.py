# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The contract of stores of the places of occupants."""

from __future__ import annotations

from typing import Final

from zope.interface.verify import verifyObject

from muccore.interfaces import IOccupantStore, Place
from muccore.testing.contracts.base import Contract

CAVE: Final = "cave@chat.lit"

WITCH: Final = Place("hag66@shakespeare.lit/pda", "Third \"Witch\" 'of' Ⅲ", "participant", "member", b"")
"""A place of a session without a presence payload."""

CRONE: Final = Place(
    "crone1@shakespeare.lit/\u2028 \\\x7f\U0001f600", "firstwitch", "moderator", "owner",
    "<show>xa</show><status>\n\t\\ \U0001f600</status>".encode(), 1_700_000_000,
)  # fmt: skip
"""A place with everything that has to be escaped."""


class OccupantStoreContract(Contract):
    """Tests of an L{IOccupantStore}."""

    requests = (("saveSessions", [b"{}"]), ("takeSessions",))

    async def test_interface(self) -> None:
        """It provides the interface."""
        verifyObject(IOccupantStore, self.makeStore(self.place))

    async def test_empty(self) -> None:
        """A new store has no places."""
        self.assertEqual((await self.opened()).places(), {})

    async def test_put(self) -> None:
        """Places come back as they were put, in that order, one or several at a time."""
        store = await self.opened()
        store.put(CAVE, WITCH, CRONE)
        store.put("other@chat.lit", CRONE)
        store.put("other@chat.lit")
        store.put("none@chat.lit")
        expected = {CAVE: [WITCH, CRONE], "other@chat.lit": [CRONE]}
        self.assertEqual(store.places(), expected)
        self.assertEqual((await self.reopened(store)).places(), expected)

    async def test_putAgain(self) -> None:
        """A place that is put again replaces the former one of that session, and is the last."""
        store = await self.opened()
        store.put(CAVE, WITCH, CRONE)
        changed = WITCH._replace(nick="hecate", role="visitor", affiliation="none", presence=b"<show>dnd</show>")
        store.put(CAVE, changed)
        self.assertEqual(store.places(), {CAVE: [CRONE, changed]})
        self.assertEqual((await self.reopened(store)).places(), {CAVE: [CRONE, changed]})

    async def test_remove(self) -> None:
        """Places can be removed; a room without places is none."""
        store = await self.opened()
        store.put(CAVE, WITCH, CRONE, WITCH._replace(jid="x@y/z"))
        store.remove(CAVE, CRONE.jid, WITCH.jid)
        self.assertEqual(store.places(), {CAVE: [WITCH._replace(jid="x@y/z")]})
        store = await self.reopened(store)
        store.remove(CAVE, "x@y/z")
        self.assertEqual(store.places(), {})
        self.assertEqual((await self.reopened(store)).places(), {})

    async def test_removeUnknown(self) -> None:
        """Removing what is not there does nothing."""
        store = await self.opened()
        store.put(CAVE, WITCH)
        store.remove(CAVE, CRONE.jid)
        store.remove("other@chat.lit", WITCH.jid)
        store.removeRoom("other@chat.lit")
        self.assertEqual(store.places(), {CAVE: [WITCH]})
        self.assertEqual((await self.reopened(store)).places(), {CAVE: [WITCH]})

    async def test_removeRoom(self) -> None:
        """All places in a room can be removed, and new ones put."""
        store = await self.opened()
        store.put(CAVE, WITCH, CRONE)
        store.put("other@chat.lit", WITCH)
        store.removeRoom(CAVE)
        self.assertEqual(store.places(), {"other@chat.lit": [WITCH]})
        store.put(CAVE, CRONE)
        self.assertEqual(store.places(), {"other@chat.lit": [WITCH], CAVE: [CRONE]})
        self.assertEqual((await self.reopened(store)).places(), {"other@chat.lit": [WITCH], CAVE: [CRONE]})

    async def test_stale(self) -> None:
        """A place that was not put between two times when the store was opened is stale."""
        store = await self.opened()
        store.put(CAVE, WITCH, CRONE)
        for expected in ([WITCH, CRONE], [CRONE._replace(stale=True), WITCH], [CRONE._replace(stale=True), WITCH]):
            await store.close()
            if self.durable:
                store = await self.opened()
            else:
                await store.open()
            self.assertEqual(store.places(), {CAVE: expected})
            store.put(CAVE, WITCH)
            self.assertEqual(store.places()[CAVE], [CRONE._replace(stale=expected[0].stale), WITCH])

    async def test_putStale(self) -> None:
        """A place may be put stale; it remains so until it is put otherwise."""
        store = await self.opened()
        stale = CRONE._replace(stale=True)
        store.put(CAVE, WITCH, CRONE)
        store = await self.reopened(store)
        store.put(CAVE, stale)
        self.assertEqual(store.places(), {CAVE: [WITCH, stale]})
        store.put(CAVE, WITCH)
        store = await self.reopened(store)
        self.assertEqual(store.places(), {CAVE: [stale, WITCH]})
        store.put(CAVE, CRONE)
        self.assertEqual(store.places()[CAVE][-1], CRONE)
        store = await self.reopened(store)
        self.assertEqual(store.places()[CAVE][-1], CRONE)

    async def test_sessions(self) -> None:
        """Sessions are kept until they are taken, once; the last ones that were saved count."""
        store = await self.opened()
        self.assertEqual(await store.takeSessions(), [])
        await store.saveSessions([b"old"])
        await store.saveSessions([b'{"a": 1}', b"b"])
        store = await self.reopened(store)
        self.assertEqual(await store.takeSessions(), [b'{"a": 1}', b"b"])
        self.assertEqual(await store.takeSessions(), [])
        await store.saveSessions([b"c"])
        await store.saveSessions([])
        store = await self.reopened(store)
        self.assertEqual(await store.takeSessions(), [])

    async def test_copy(self) -> None:
        """C{places} returns a copy."""
        store = await self.opened()
        store.put(CAVE, WITCH)
        before = store.places()
        store.remove(CAVE, WITCH.jid)
        self.assertEqual(before, {CAVE: [WITCH]})

    async def test_notOpen(self) -> None:
        """Before it is opened and after it is closed, changes do nothing, and there are no places."""
        store = self.makeStore(self.place)
        store.put(CAVE, WITCH)
        self.assertEqual(store.places(), {})
        await store.open()
        self.addCleanup(store.close)
        self.assertEqual(store.places(), {})
        store.put(CAVE, WITCH)
        await store.close()
        store.put(CAVE, CRONE)
        store.remove(CAVE, WITCH.jid)
        store.removeRoom(CAVE)
        self.assertEqual(store.places(), {})
        if self.durable:
            self.assertEqual((await self.opened()).places(), {CAVE: [WITCH]})
