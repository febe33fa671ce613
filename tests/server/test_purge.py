# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccorectl purge-user} with a running server."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.threads import deferToThread

from muccore.interfaces import Affiliate, ArchiveQuery
from muccore.muc.extensions.archive import RoomArchive
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.operations.controlclient import ServerConnection
from muccore.operations.refused import Refused
from muccore.server import controlsocket
from muccore.xmpp import ns
from tests.endtoend.clients import RoomClient, bounded, isPresence
from tests.server.accountserver import AccountServerTestCase

ROOM = "tea@conference.localhost"
OTHER = "empty@conference.localhost"
JULIET = "juliet@localhost"
STRANGER = "tybalt@capulet.lit"


class PurgeTests(AccountServerTestCase):
    """Requests to a running server."""

    sections: ClassVar[dict[str, dict[str, str]]] = {
        "storage": {"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"},
        "muc": {"default_persistent": "yes", "lock_new_rooms": "no"},
    }

    async def setUp(self) -> None:
        """Let Romeo and Juliet talk in a room, in which there is something of a user of another server as well."""
        await super().setUp()
        self.romeo = await self.enter("romeo")
        self.juliet = await self.enter("juliet")
        for text in ("one", "two", "three"):
            await self.say(self.juliet, f"juliet {text}")
            await self.say(self.romeo, f"romeo {text}")
        self.rooms: Any = self.components.hosts[0].handlers.muc["conference.localhost"].rooms
        self.archive: Any = next(each for each in self.rooms.extensions if isinstance(each, RoomArchive)).store
        await self.settle()

    async def settle(self) -> None:
        """Give a user of another server, and Juliet, what rooms keep."""
        room = self.rooms.live[ROOM]
        muc = self.components.hosts[0].handlers.muc["conference.localhost"]
        change = PrivilegeChange()
        change.affiliates = {STRANGER: Affiliate("member", "ty", "r"), "banned@x.lit": Affiliate("outcast")}
        change.states = {("hats-assigned", f"{JULIET} urn:h"): True, ("hats-assigned", f"{STRANGER} urn:h"): True}
        await muc.changeByService(room, lambda: change)

    async def enter(self, user: str) -> RoomClient:
        """Log in and enter the room."""
        client = await self.logIn(user)
        await bounded(client.enter(user, ROOM))
        return client

    async def say(self, client: RoomClient, text: str) -> None:
        """Say something in the room, and wait until it is there."""
        client.sendToRoom(text, ROOM)
        await bounded(client.until(lambda element: element.findtext(f"{{{ns.CLIENT}}}body") == text))

    async def request(self, account: str, messages: str = "") -> list[str]:
        """Send a request, and wait for the answer."""
        path = controlsocket.controlPath(self.service.settings)
        assert path is not None
        made = controlsocket.connect(path)
        assert made is not None
        self.addCleanup(made.close)
        made.settimeout(60)
        connection = ServerConnection(made)
        return await deferToThread(connection.request, "purgeuser", account=account, messages=messages)

    async def bodies(self, author: str | None = None) -> list[str | None]:
        """What the archive has."""
        page = await self.archive.query(ROOM, ArchiveQuery(author=author))
        return [item.stanza.element.childText("body") for item in page.items]

    async def test_account(self) -> None:
        """The account goes, its sessions end, and rooms lose what is about it; messages stay."""
        lines = await self.request(JULIET)
        self.assertEqual(lines, [f"{JULIET}: deleted", f"{JULIET}: removed from 1 rooms"])
        await self.assertEnded(self.juliet)
        record = await self.rooms.store.load(ROOM)
        self.assertNotIn(f"{JULIET} urn:h", record.states["hats-assigned"])
        self.assertIn(f"{STRANGER} urn:h", record.states["hats-assigned"])
        self.assertEqual(len(await self.bodies(JULIET)), 3)
        self.assertNothingWrong()

    async def test_retracted(self) -> None:
        """Messages are retracted, which occupants are told; no moderator is named."""
        lines = await self.request(JULIET, "retract")
        self.assertEqual(lines[1], f"{JULIET}: removed from 1 rooms; 3 messages retracted")
        told = await bounded(self.romeo.until(lambda element: element.find(f"{{{ns.RETRACT}}}retract") is not None))
        self.assertEqual(told.get("from"), ROOM)
        moderated = told.find(f"{{{ns.RETRACT}}}retract/{{{ns.MODERATE}}}moderated")
        assert moderated is not None
        self.assertEqual((dict(moderated.attrib), len(moderated)), ({}, 0))
        self.assertEqual(await self.bodies(JULIET), [None] * 3)
        self.assertEqual([body for body in await self.bodies() if body],
                         ["romeo one", "romeo two", "romeo three"])  # fmt: skip
        # Who enters now does not get them either.
        nurse = await self.logIn("nurse")
        nurse.send(f"<presence to='{ROOM}/nurse'><x xmlns='{ns.MUC}'/></presence>")
        seen: list[str] = []
        while True:
            element = await bounded(nurse.until(lambda element: True))
            text = element.findtext(f"{{{ns.CLIENT}}}body")
            if text:
                seen.append(text)
            if not isPresence(element) and element.find(f"{{{ns.CLIENT}}}subject") is not None:
                break
        self.assertEqual(seen, ["romeo one", "romeo two", "romeo three"])
        self.assertNothingWrong()

    async def test_removed(self) -> None:
        """Or nothing of them is in the archive."""
        lines = await self.request(JULIET, "remove")
        self.assertEqual(lines[1], f"{JULIET}: removed from 1 rooms; 3 messages removed")
        self.assertEqual(await self.bodies(JULIET), [])
        self.assertEqual(len([body for body in await self.bodies() if body]), 3)

    async def test_stranger(self) -> None:
        """A user of another server loses affiliation, nick and hats, and occupants are told; bans stay."""
        lines = await self.request(STRANGER)
        self.assertEqual(lines, [f"{STRANGER}: removed from 1 rooms"])
        record = await self.rooms.store.load(ROOM)
        self.assertNotIn(STRANGER, record.affiliates)
        self.assertNotIn(f"{STRANGER} urn:h", record.states["hats-assigned"])
        await self.request("banned@x.lit")
        self.assertIn("banned@x.lit", (await self.rooms.store.load(ROOM)).affiliates)

    async def test_notInMemory(self) -> None:
        """Rooms that are in the store alone are changed as well."""
        record = await self.rooms.store.load(ROOM)
        await self.rooms.store.save(OTHER, record)
        self.assertEqual(await self.request(STRANGER), [f"{STRANGER}: removed from 2 rooms"])
        self.assertNotIn(STRANGER, (await self.rooms.store.load(OTHER)).affiliates)

    async def test_refused(self) -> None:
        """A request that makes no sense is refused; an account that is not there any more is not."""
        with self.assertRaises(Refused):
            await self.request(JULIET, "burn")
        await self.request(JULIET)
        self.assertEqual(await self.request(JULIET), [f"{JULIET}: removed from 0 rooms"])

    async def test_elsewhere(self) -> None:
        """Of an account that is kept elsewhere, what is stored here goes, and its sessions end."""
        documents = self.service.components.stores.userDataOf(self.service.settings.hosts[0])  # type: ignore[union-attr]
        await documents.change(JULIET, {("k", "a"): b"1"})
        self.accounts.manageable = False
        lines = await self.request(JULIET)
        self.assertIn("the account itself is kept elsewhere", lines[0])
        await self.assertEnded(self.juliet)
        self.assertEqual(await documents.kinds(JULIET), [])
        self.assertTrue(await self.backend.hasAccount(JULIET))
