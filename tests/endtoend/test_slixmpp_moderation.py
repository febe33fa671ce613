# Copyright (c) The muccore authors. See LICENSE for details.
"""Retraction and moderation with slixmpp over TLS."""

from __future__ import annotations

import asyncio
from typing import Any

from slixmpp import JID
from slixmpp.exceptions import XMPPError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import StanzaPath

from tests.endtoend.slixmppthread import ROOM, Slixmpp
from tests.endtoend.test_slixmpp import SlixmppTests


class ModerationTests(SlixmppTests):
    """Three clients in a room, with slixmpp's plugins for XEP-0424 and XEP-0425."""

    async def test_moderation(self) -> None:
        """An author retracts a message, a moderator another one; others are refused."""
        await self.asyncioThread.run(self.retract())
        self.assertEqual(self.server.unexpectedLines, [])

    async def enter(self, name: str) -> Slixmpp:
        """Log in, and enter the room."""
        client = await self.logIn(name)
        for plugin in ("xep_0424", "xep_0425"):
            client.register_plugin(plugin)
        events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        client.events = events  # type: ignore[attr-defined]
        for event in ("message_retract", "moderated_message", "groupchat_message_error"):
            client.add_event_handler(event, lambda message, event=event: events.put_nowait((event, message)))
        await client.room.join_muc_wait(JID(ROOM), name.capitalize())
        return client

    async def retract(self) -> None:
        """Use the room. For asyncio."""
        romeo = await self.enter("romeo")
        form = await romeo.room.get_room_config(ROOM)
        form["type"] = "submit"
        await romeo.room.set_room_config(ROOM, form)
        juliet, tybalt = [await self.enter(name) for name in ("juliet", "tybalt")]
        everybody: list[Any] = [romeo, juliet, tybalt]
        ids = []
        for text in ("one", "two"):
            juliet.send_message(JID(ROOM), text, mtype="groupchat")
            for client in everybody:
                message = await client.received.get()
            ids.append(message["stanza_id"]["id"])
        juliet["xep_0424"].send_retraction(JID(ROOM), ids[0], "groupchat")
        for client in everybody:
            event, message = await client.events.get()
            self.assertEqual((event, message["from"].resource), ("message_retract", "Juliet"))
            self.assertEqual(message["retract"]["id"], ids[0])
        tybalt["xep_0424"].send_retraction(JID(ROOM), ids[1], "groupchat")
        event, message = await tybalt.events.get()
        while event != "groupchat_message_error":
            event, message = await tybalt.events.get()
        self.assertEqual(message["error"]["condition"], "forbidden")
        try:
            await tybalt["xep_0425"].moderate(JID(ROOM), ids[1])
        except XMPPError as e:
            self.assertEqual(e.condition, "forbidden")
        else:
            self.fail("no moderator has moderated")
        await romeo["xep_0425"].moderate(JID(ROOM), ids[1], "A feud")
        for client in everybody:
            event, message = await client.events.get()
            while event != "moderated_message":
                event, message = await client.events.get()
            retract = message["retract"]
            self.assertEqual((message["from"], retract["id"]), (JID(ROOM), ids[1]))
            self.assertEqual(retract["moderated"]["by"], f"{ROOM}/Romeo")
            self.assertEqual(len(retract["moderated"]["occupant-id"]["id"]), 64)
        found: asyncio.Queue[Any] = asyncio.Queue()
        tybalt.register_handler(Callback("tombstones", StanzaPath("message/retracted"), found.put_nowait))
        tybalt.room.leave_muc(JID(ROOM), "Tybalt")
        await juliet.nextPresence("Tybalt", "unavailable")
        await tybalt.room.join_muc_wait(JID(ROOM), "Tybalt")
        tombstones = [await found.get() for _ in ids]
        self.assertEqual([message["stanza_id"]["id"] for message in tombstones], ids)
        self.assertEqual([message["body"] for message in tombstones], ["", ""])
        self.assertEqual(tombstones[1]["retracted"]["moderated"]["by"], f"{ROOM}/Romeo")
