# Copyright (c) The muccore authors. See LICENSE for details.
"""What slixmpp publishes over TLS: avatars, bookmarks and keys of OMEMO, across a kill of the server."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from xml.etree import ElementTree

from slixmpp.exceptions import IqError

from tests.endtoend.persistentserver import PersistentServerTests
from tests.endtoend.slixmppthread import Slixmpp

ROMEO, JULIET = "romeo@localhost", "juliet@localhost"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
ID = hashlib.sha1(PICTURE).hexdigest()

OMEMO = "urn:xmpp:omemo:2"
BUNDLE = ElementTree.fromstring(
    f"<bundle xmlns='{OMEMO}'><spk id='1'>c3Br</spk><spks>c3Brcw==</spks><ik>aWs=</ik>"
    "<prekeys><pk id='1'>cGsx</pk><pk id='2'>cGsy</pk></prekeys></bundle>"
)
CONFERENCE = ElementTree.fromstring(
    "<conference xmlns='urn:xmpp:bookmarks:1' name='Orchard' autojoin='true'><nick>Juliet</nick></conference>"
)


class PubSubTests(PersistentServerTests):
    """Juliet publishes; Romeo is her contact, Tybalt is not."""

    async def logIn(self, name: str, *plugins: str) -> Any:
        """Log a client in, which becomes available with its capabilities. For asyncio."""
        client: Any = Slixmpp(self.asyncioThread, name, f"{name}'s")
        for plugin in ("xep_0115", "xep_0060", "xep_0163", *plugins):
            client.register_plugin(plugin)
        client.events = asyncio.Queue()
        self.assertEqual(await client.logIn(self.server.port, self.server.certificate), "session_start")
        await client.get_roster()
        return client

    async def follow(self, client: Any, *nodes: str) -> None:
        """Let a client want the events of nodes, and become available. For asyncio."""
        for node in nodes:
            client["xep_0030"].add_feature(f"{node}+notify")
        client.add_event_handler("pubsub_publish", client.events.put_nowait)
        await client["xep_0115"].update_caps(broadcast=False)
        client.send_presence()

    async def nextItem(self, client: Any, node: str) -> tuple[str, str, bool]:
        """The next event of a node: who has published it, the id, and whether it is from before. For asyncio."""
        while True:
            event = await client.events.get()
            items = event["pubsub_event"]["items"]
            if items["node"] == node:
                return event["from"].bare, items["item"]["id"], bool(event["delay"]["stamp"])

    async def test_published(self) -> None:
        """Others get what is for them, at once or when they come online, and after the server was killed."""
        await self.asyncioThread.run(self.publish())
        await self.kill()
        await self.server.start()
        await self.asyncioThread.run(self.read())
        await self.stop()

    async def publish(self) -> None:
        """Publish all."""
        romeo, juliet = await self.logIn("romeo", "xep_0084"), await self.logIn("juliet", "xep_0084")
        await self.follow(romeo, "urn:xmpp:avatar:metadata")
        await self.follow(juliet, "urn:xmpp:bookmarks:1")
        for one, other in ((romeo, JULIET), (juliet, ROMEO)):
            one.auto_authorize, one.auto_subscribe = True, True
            one.send_presence_subscription(other)
        await juliet["xep_0084"].publish_avatar(PICTURE)
        await juliet["xep_0084"].publish_avatar_metadata([{"id": ID, "type": "image/png", "bytes": len(PICTURE)}])
        self.assertEqual((await self.nextItem(romeo, "urn:xmpp:avatar:metadata"))[:2], (JULIET, ID))
        data = await romeo["xep_0084"].retrieve_avatar(JULIET, ID)
        self.assertEqual(data["pubsub"]["items"]["item"]["avatar_data"]["value"], PICTURE)
        options = self.options(juliet, access_model="open", max_items="max")
        await juliet["xep_0060"].publish(JULIET, f"{OMEMO}:bundles", id="31415", payload=BUNDLE, options=options)
        options = self.options(juliet, access_model="whitelist", max_items="max", send_last_published_item="never")
        room = "orchard@conference.localhost"
        await juliet["xep_0060"].publish(JULIET, "urn:xmpp:bookmarks:1", id=room, payload=CONFERENCE, options=options)
        self.assertEqual(await self.nextItem(juliet, "urn:xmpp:bookmarks:1"), (JULIET, room, False))
        with self.assertRaises(IqError) as raised:
            wrong = self.options(juliet, access_model="open")
            await juliet["xep_0060"].publish(JULIET, "urn:xmpp:bookmarks:1", id="x", payload=CONFERENCE, options=wrong)
        self.assertEqual(raised.exception.condition, "conflict")

    def options(self, client: Any, **values: str) -> Any:
        """The options of a publication."""
        form = client["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
        for name, value in values.items():
            form.add_field(var=f"pubsub#{name}", value=value)
        return form

    async def read(self) -> None:
        """Read all."""
        romeo = await self.logIn("romeo", "xep_0084")
        await self.follow(romeo, "urn:xmpp:avatar:metadata")
        self.assertEqual(await self.nextItem(romeo, "urn:xmpp:avatar:metadata"), (JULIET, ID, True))
        tybalt = await self.logIn("tybalt")
        found = await tybalt["xep_0060"].get_items(JULIET, f"{OMEMO}:bundles", item_ids=["31415"])
        [item] = found["pubsub"]["items"]["substanzas"]
        self.assertEqual(item["payload"].find(f"{{{OMEMO}}}ik").text, "aWs=")
        with self.assertRaises(IqError) as raised:
            await tybalt["xep_0060"].get_items(JULIET, "urn:xmpp:bookmarks:1")
        self.assertEqual(raised.exception.condition, "not-allowed")
        juliet = await self.logIn("juliet", "xep_0048", "xep_0049")
        old = await juliet["xep_0048"].get_bookmarks(method="xep_0049")
        [conference] = old["private"]["bookmarks"]["conferences"]
        self.assertEqual((conference["jid"], conference["nick"]), ("orchard@conference.localhost", "Juliet"))
