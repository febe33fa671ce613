# Copyright (c) The muccore authors. See LICENSE for details.
"""The archives of users, with slixmpp over TLS, across C{kill -9}."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import Any, Final

from slixmpp import JID
from slixmpp.exceptions import IqError

from muccore.im import offline
from muccore.xmpp import ns
from tests.endtoend.persistentserver import PersistentServerTests
from tests.endtoend.slixmppthread import Slixmpp

_PLUGINS: Final = ("xep_0030", "xep_0280", "xep_0313", "xep_0359", "xep_0424", "xep_0441")
_JULIET: Final = JID("juliet@localhost")


class UserArchiveTests(PersistentServerTests):
    """Romeo writes; Juliet has two clients, and is away for a while."""

    storage = {"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"}

    async def logIn(self, name: str) -> Any:
        """Log in, with what arrives in a queue. For asyncio."""
        client = Slixmpp(self.asyncioThread, name, f"{name}'s")
        for plugin in _PLUGINS:
            client.register_plugin(plugin)
        self.assertEqual(await client.logIn(self.server.port, self.server.certificate), "session_start")
        client.messages = asyncio.Queue()  # type: ignore[attr-defined]
        client.add_event_handler("message", client.messages.put_nowait)  # type: ignore[attr-defined]
        return client

    async def archived(self, client: Any, **query: Any) -> list[tuple[str, str]]:
        """Id and body of what is in an archive, in pages of two."""
        pages = client["xep_0313"].iterate(rsm={"max": 2}, **query)
        return [
            (each["mam_result"]["id"], each["mam_result"]["forwarded"]["stanza"]["body"]) async for each in pages
        ]

    def idOf(self, message: Any) -> str:
        """The id that a message has in Juliet's archive."""
        [found] = [
            each.get("id")
            for each in message.xml.findall(f"{{{ns.STANZA_ID}}}stanza-id")
            if each.get("by") == str(_JULIET)
        ]
        return str(found)

    async def test_archive(self) -> None:
        """
        What Juliet has received is in her archive with the ids that it had, what came while she was away too, before
        and after C{kill -9}. She finds it by its sender; what Romeo retracts is gone; what she does not want stays out.
        """
        await self.asyncioThread.run(self.begin())
        await self.kill()
        await self.server.start()
        await self.asyncioThread.run(self.end())
        self.assertEqual(self.server.unexpectedLines, [])

    async def begin(self) -> None:
        """Before it."""
        romeo, juliet = await self.logIn("romeo"), await self.logIn("juliet")
        self.assertEqual(await self.archived(juliet), [])
        info = await juliet["xep_0030"].get_info(jid=_JULIET)
        self.assertLessEqual(
            {"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", ns.STANZA_ID}, set(info["disco_info"]["features"])
        )
        juliet.send_presence()
        self.seen = []
        for number in range(5):
            romeo.send_message(_JULIET, f"message {number}", mtype="chat")
            message = await juliet.messages.get()
            self.seen.append((self.idOf(message), message["body"]))
        self.assertEqual(await self.archived(juliet), self.seen)
        self.assertEqual([body for _, body in await self.archived(romeo)], [body for _, body in self.seen])
        await juliet.disconnect()
        romeo.send_message(_JULIET, "while away", mtype="chat")
        # Nobody is told when it is stored.
        while not self.isStored():
            await asyncio.sleep(0.05)

    def isStored(self) -> bool:
        """Whether a message waits for Juliet, on disk."""
        query = "SELECT count(*) FROM user_document WHERE account = ? AND kind = ?"
        path = self.server.file("muccore.db")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            [(count,)] = connection.execute(query, (str(_JULIET), offline.KIND))
        return bool(count)

    async def end(self) -> None:
        """After it."""
        romeo, juliet = await self.logIn("romeo"), await self.logIn("juliet")
        found = await self.archived(juliet)
        self.assertEqual(found[:5], self.seen)
        [(id, body)] = found[5:]
        self.assertEqual(body, "while away")
        juliet.send_presence()
        message = await juliet.messages.get()
        self.assertEqual((self.idOf(message), message["body"]), (id, body))
        metadata = (await juliet["xep_0313"].get_archive_metadata())["mam_metadata"]
        self.assertEqual((metadata["start"]["id"], metadata["end"]["id"]), (found[0][0], id))
        # By the other end, from the end
        self.assertEqual(await self.archived(juliet, with_jid=JID("romeo@localhost")), found)
        self.assertEqual(await self.archived(juliet, with_jid=JID("nurse@localhost")), [])
        self.assertEqual(await self.archived(juliet, reverse=True), found[::-1])
        with self.assertRaises(IqError) as caught:
            await romeo["xep_0313"].retrieve(_JULIET)
        self.assertEqual(caught.exception.condition, "forbidden")
        # Preferences (XEP-0441)
        prefs = juliet["xep_0441"]
        self.assertEqual(await prefs.get_preferences(), ("always", set(), set()))
        never = {JID("romeo@localhost")}
        answer = (await prefs.set_preferences(default="always", never=never))["mam_prefs"]
        self.assertEqual((answer["default"], answer["never"]), ("always", never))
        self.assertEqual(await prefs.get_preferences(), ("always", set(), never))
        romeo.send_message(_JULIET, "never", mtype="chat")
        self.assertEqual((await juliet.messages.get())["body"], "never")
        self.assertEqual(await self.archived(juliet), found)
        await prefs.set_preferences(default="always")
        # Retraction (XEP-0424)
        original = romeo.make_message(_JULIET, "a mistake", mtype="chat")
        original.send()
        await juliet.messages.get()
        romeo["xep_0424"].send_retraction(_JULIET, original["id"], mtype="chat", include_fallback=True)
        await juliet.messages.get()
        last = (await self.archived(juliet))[6:]
        self.assertEqual(last[0][1], "")
        self.assertEqual(len(last), 2)
