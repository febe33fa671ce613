# Copyright (c) The muccore authors. See LICENSE for details.
"""What users store on the server, with slixmpp and aioxmpp over TLS, across C{kill -9}."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any, Final

from slixmpp import JID
from slixmpp.exceptions import IqError

from muccore.xmpp import ns
from tests.endtoend.persistentserver import PersistentServerTests
from tests.endtoend.slixmppthread import ROOM, Slixmpp

_PNG: Final = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
_HASH: Final = hashlib.sha1(_PNG).hexdigest()


class UserDataTests(PersistentServerTests):
    """Romeo has two clients, one of each library."""

    async def setUp(self) -> None:
        """Find aioxmpp, and start the server."""
        await super().setUp()
        # Not at the top: without aioxmpp only these tests fail.
        from tests.endtoend import aioxmppclient

        self.lib = aioxmppclient

    async def logIn(self, name: str, *plugins: str) -> Slixmpp:
        """Log slixmpp in, with plugins. For asyncio."""
        client = Slixmpp(self.asyncioThread, name, f"{name}'s")
        for plugin in plugins:
            client.register_plugin(plugin)
        self.assertEqual(await client.logIn(self.server.port, self.server.certificate), "session_start")
        return client

    async def logInOther(self, name: str, service: Any) -> Any:
        """Log aioxmpp in; return one of its services. For asyncio."""
        person = self.lib.Person(self.asyncioThread, name, self.server.port, self.server.certificate)
        found = person.client.summon(service)
        await person.logIn()
        return found

    async def killServer(self) -> None:
        """Kill the server, and start it again."""
        await self.kill()
        await self.server.start()

    async def test_bookmarks(self) -> None:
        """Bookmarks (XEP-0048) that one client has set are there for the other, and what that adds for the first."""
        await self.asyncioThread.run(self.setBookmarks())
        await self.killServer()
        await self.asyncioThread.run(self.addBookmark())
        await self.killServer()
        await self.asyncioThread.run(self.findBookmarks())
        self.assertEqual(self.server.unexpectedLines, [])

    async def bookmarks(self, client: Any) -> list[tuple[str, str, str]]:
        """The bookmarks that slixmpp finds: address, nick, name."""
        found = (await client["xep_0048"].get_bookmarks())["private"]["bookmarks"]["conferences"]
        return [(str(each["jid"]), each["nick"], each["name"]) for each in found]

    async def setBookmarks(self) -> None:
        """Before the first end: none at first, then one."""
        romeo: Any = await self.logIn("romeo", "xep_0048", "xep_0049")
        self.assertEqual(await self.bookmarks(romeo), [])
        made = romeo["xep_0048"].stanza.Bookmarks()
        made.add_conference(JID(ROOM), "Romeo", name="The orchard", autojoin=True)
        await romeo["xep_0048"].set_bookmarks(made)
        juliet: Any = await self.logIn("juliet", "xep_0048", "xep_0049")
        self.assertEqual(await self.bookmarks(juliet), [])
        with self.assertRaises(IqError) as caught:
            request = juliet.make_iq_get(ito="romeo@localhost")
            request["private"].enable("bookmarks")
            await request.send()
        self.assertEqual(caught.exception.condition, "forbidden")

    async def addBookmark(self) -> None:
        """Before the second end: aioxmpp finds the first and adds one."""
        aioxmpp = self.lib.aioxmpp
        bookmarks = await self.logInOther("romeo", aioxmpp.BookmarkClient)
        [orchard] = await bookmarks.get_bookmarks()
        self.assertEqual((str(orchard.jid), orchard.nick, orchard.name, orchard.autojoin),
                         (ROOM, "Romeo", "The orchard", True))  # fmt: skip
        balcony = aioxmpp.JID.fromstr("balcony@conference.localhost")
        await bookmarks.add_bookmark(aioxmpp.bookmarks.Conference("The balcony", balcony, nick="Montague"))

    async def findBookmarks(self) -> None:
        """After the second end: both are there."""
        self.assertEqual(
            await self.bookmarks(await self.logIn("romeo", "xep_0048", "xep_0049")),
            [(ROOM, "Romeo", "The orchard"), ("balcony@conference.localhost", "Montague", "The balcony")],
        )

    async def test_vCards(self) -> None:
        """A vCard with an avatar that slixmpp has set is there for aioxmpp; its hash is in presence after a log-in."""
        await self.asyncioThread.run(self.setVCard())
        await self.killServer()
        await self.asyncioThread.run(self.findVCard())
        self.assertEqual(self.server.unexpectedLines, [])

    async def setVCard(self) -> None:
        """Before the end."""
        romeo: Any = await self.logIn("romeo", "xep_0054", "xep_0153")
        card = romeo["xep_0054"].make_vcard()
        card["FN"] = "Romeo Montague"
        await romeo["xep_0054"].publish_vcard(card)
        await romeo["xep_0153"].set_avatar(avatar=_PNG, mtype="image/png")
        juliet: Any = await self.logIn("juliet", "xep_0054", "xep_0153")
        # Without a vCard before.
        await juliet["xep_0153"].set_avatar(avatar=_PNG, mtype="image/png")
        found = (await juliet["xep_0054"].get_vcard("romeo@localhost", cached=False))["vcard_temp"]
        self.assertEqual((found["FN"], found["PHOTO"]["BINVAL"]), ("Romeo Montague", _PNG))
        for name in ("tybalt", "nobody"):
            with self.assertRaises(IqError) as caught:
                await juliet["xep_0054"].get_vcard(f"{name}@localhost", cached=False)
            self.assertEqual(caught.exception.condition, "service-unavailable")

    async def findVCard(self) -> None:
        """After it."""
        aioxmpp = self.lib.aioxmpp
        cards = await self.logInOther("juliet", aioxmpp.vcard.VCardService)
        found = await cards.get_vcard(aioxmpp.JID.fromstr("romeo@localhost"))
        photo = found.elements.find("{vcard-temp}PHOTO")
        self.assertEqual(base64.b64decode(photo.findtext("{vcard-temp}BINVAL")), _PNG)
        romeo = await self.logIn("romeo")
        presences: asyncio.Queue[Any] = asyncio.Queue()
        romeo.add_event_handler("presence_available", presences.put_nowait)
        romeo.send_presence()
        presence = await presences.get()
        self.assertEqual(presence.xml.findtext(f"{{{ns.VCARD_UPDATE}}}x/{{{ns.VCARD_UPDATE}}}photo"), _HASH)

    async def test_blocking(self) -> None:
        """What one client blocks, the other learns; it holds across a restart, until it is unblocked."""
        await self.asyncioThread.run(self.blockTybalt())
        await self.killServer()
        await self.asyncioThread.run(self.unblockTybalt())
        self.assertEqual(self.server.unexpectedLines, [])

    async def assertBlocked(self, tybalt: Any, romeo: Any) -> None:
        """Check that neither reaches the other."""
        errors: asyncio.Queue[Any] = asyncio.Queue()
        for client in (tybalt, romeo):
            client.add_event_handler("message_error", errors.put_nowait)
        for client, to, condition in (
            (tybalt, "romeo", "service-unavailable"), (romeo, "tybalt", "not-acceptable"),
        ):  # fmt: skip
            client.send_message(f"{to}@localhost", "Villain", mtype="chat")
            self.assertEqual((await errors.get())["error"]["condition"], condition)

    async def blockTybalt(self) -> None:
        """Before the restart."""
        aioxmpp = self.lib.aioxmpp
        tybalt: Any = await self.logIn("tybalt")
        romeo: Any = await self.logIn("romeo", "xep_0191")
        for client in (tybalt, romeo):
            client.send_presence()
        pushes: asyncio.Queue[Any] = asyncio.Queue()
        romeo.add_event_handler("blocked", pushes.put_nowait)
        self.assertEqual(await romeo["xep_0191"].get_blocked_jids(), set())
        blocking = await self.logInOther("romeo", aioxmpp.BlockingClient)
        await blocking.block_jids([aioxmpp.JID.fromstr("tybalt@localhost")])
        self.assertEqual([str(item["jid"]) for item in (await pushes.get())["block"]], ["tybalt@localhost"])
        await self.assertBlocked(tybalt, romeo)

    async def unblockTybalt(self) -> None:
        """After the restart."""
        aioxmpp = self.lib.aioxmpp
        tybalt: Any = await self.logIn("tybalt")
        romeo: Any = await self.logIn("romeo", "xep_0191")
        for client in (tybalt, romeo):
            client.send_presence()
        await self.assertBlocked(tybalt, romeo)
        blocking = await self.logInOther("romeo", aioxmpp.BlockingClient)
        self.assertEqual({str(each) for each in blocking.blocklist}, {"tybalt@localhost"})
        pushed = blocking.on_jids_unblocked.future()
        messages: asyncio.Queue[Any] = asyncio.Queue()
        romeo.add_event_handler("message", messages.put_nowait)
        await romeo["xep_0191"].unblock([JID("tybalt@localhost")])
        await pushed
        self.assertEqual(set(blocking.blocklist), set())
        tybalt.send_message("romeo@localhost/slixmpp", "Peace", mtype="chat")
        while (message := await messages.get())["type"] == "error":
            pass
        self.assertEqual(message["body"], "Peace")
