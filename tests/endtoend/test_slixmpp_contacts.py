# Copyright (c) The muccore authors. See LICENSE for details.
"""Contacts with slixmpp over TLS, across a kill of the server."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.endtoend.persistentserver import PersistentServerTests
from tests.endtoend.slixmppthread import Slixmpp

ROMEO, JULIET = "romeo@localhost", "juliet@localhost"


class ContactTests(PersistentServerTests):
    """Romeo and Juliet."""

    async def logIn(self, name: str) -> Slixmpp:
        """Log a client in, which has its roster and is available. For asyncio."""
        client = Slixmpp(self.asyncioThread, name, f"{name}'s")
        client.auto_authorize = None
        client.events = asyncio.Queue()  # type: ignore[attr-defined]
        for event in ("presence_subscribe", "presence_subscribed", "got_online", "got_offline"):
            client.add_event_handler(event, lambda stanza, event=event: self.note(client, event, stanza))
        self.assertEqual(await client.logIn(self.server.port, self.server.certificate), "session_start")
        await client.get_roster()
        client.send_presence()
        return client

    def note(self, client: Any, event: str, stanza: Any) -> None:
        """Note what a client is told about others."""
        if stanza["from"].bare != client.boundjid.bare:
            client.events.put_nowait((event, stanza["from"].bare))

    async def test_contacts(self) -> None:
        """
        They become each other's contacts, with a name and a group. After the server was killed they are still, and each
        sees the other come and go.
        """
        await self.asyncioThread.run(self.befriend())
        await self.kill()
        await self.server.start()
        await self.asyncioThread.run(self.meetAgain())
        await self.stop()

    async def befriend(self) -> None:
        """Subscribe to each other."""
        romeo: Any = await self.logIn("romeo")
        juliet: Any = await self.logIn("juliet")
        await romeo.update_roster(JULIET, name="Juliet", groups=["Friends"])
        romeo.send_presence_subscription(JULIET)
        self.assertEqual(await juliet.events.get(), ("presence_subscribe", ROMEO))
        juliet.send_presence_subscription(ROMEO, ptype="subscribed")
        juliet.send_presence_subscription(ROMEO)
        found = {await romeo.events.get() for _ in range(3)}
        events = ("presence_subscribed", "got_online", "presence_subscribe")
        self.assertEqual(found, {(event, JULIET) for event in events})
        romeo.send_presence_subscription(JULIET, ptype="subscribed")
        found = {await juliet.events.get() for _ in range(2)}
        self.assertEqual(found, {(event, ROMEO) for event in ("presence_subscribed", "got_online")})

    async def meetAgain(self) -> None:
        """Log in again."""
        romeo: Any = await self.logIn("romeo")
        item = romeo.client_roster[JULIET]
        self.assertEqual((item["name"], item["groups"], item["subscription"]), ("Juliet", ["Friends"], "both"))
        juliet: Any = await self.logIn("juliet")
        self.assertEqual(await romeo.events.get(), ("got_online", JULIET))
        self.assertEqual(await juliet.events.get(), ("got_online", ROMEO))
        await romeo.disconnect()
        self.assertEqual(await juliet.events.get(), ("got_offline", ROMEO))
        await juliet.del_roster_item(ROMEO)
        await juliet.get_roster()
        self.assertEqual(juliet.client_roster[ROMEO]["subscription"], "none")
