# Copyright (c) The muccore authors. See LICENSE for details.
"""Push notifications (XEP-0357) with slixmpp, as a client and as the push service, a component, across C{kill -9}."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any, ClassVar
from xml.etree.ElementTree import Element

from slixmpp import ComponentXMPP
from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import CoroutineCallback
from slixmpp.xmlstream.matcher import MatchXPath

from muccore.xmpp import ns
from tests.endtoend.persistentserver import PersistentServerTests
from tests.endtoend.slixmppthread import AsyncioThread, Slixmpp

SERVICE, SECRET = "push.localhost", "the secret of the service"


class PushService(ComponentXMPP):  # type: ignore[misc]
    """
    A push service that refuses a node with the name C{gone}. Everything here runs in the loop's thread.

    @ivar published: account and node of each notification that has not been taken.
    """

    def __init__(self, asyncioThread: AsyncioThread) -> None:
        super().__init__(SERVICE, SECRET)
        asyncioThread.clients.append(self)  # type: ignore[arg-type]
        self.published: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.ready: asyncio.Future[Any] = self.loop.create_future()
        self.add_event_handler("session_start", lambda _: self.ready.done() or self.ready.set_result(None))
        matcher = MatchXPath(f"{{{ns.COMPONENT}}}iq/{{{ns.PUBSUB}}}pubsub")
        self.register_handler(CoroutineCallback("publish", matcher, self._publish))

    async def _publish(self, iq: Any) -> None:
        [publish] = iq.xml.iter(f"{{{ns.PUBSUB}}}publish")
        assert publish.find(f"{{{ns.PUBSUB}}}item/{{{ns.PUSH}}}notification") is not None
        node = publish.get("node")
        answer = iq.reply()
        if node == "gone":
            answer = iq.reply(clear=True)
            answer["type"] = "error"
            answer["error"]["type"], answer["error"]["condition"] = "cancel", "item-not-found"
        answer.send()
        self.published.put_nowait((str(iq["from"]), node))


class PushTests(PersistentServerTests):
    """Romeo has a push service, and Juliet writes."""

    sections: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "components": {"listen": "tcp:0:interface=127.0.0.1"},
        f"component {SERVICE}": {"secret": SECRET},
    }

    async def setUp(self) -> None:
        """Let nobody read the secret."""
        await super().setUp()
        os.chmod(self.server.path, 0o600)

    async def logIn(self, name: str) -> Any:
        """Log a client in. For asyncio."""
        client = Slixmpp(self.asyncioThread, name, f"{name}'s")
        self.assertEqual(await client.logIn(self.server.port, self.server.certificate), "session_start")
        return client

    async def serve(self) -> PushService:
        """Connect the service. For asyncio."""
        service = PushService(self.asyncioThread)
        service.connect("127.0.0.1", int(self.server.portsOf("ComponentFactory")[-1]))
        await service.ready
        return service

    async def test_push(self) -> None:
        """A service that is enabled is told of messages after a kill, and no longer when it has refused."""
        await self.asyncioThread.run(self.enable())
        self.server.signal("KILL")
        await self.server.ended()
        await self.server.start()
        await self.asyncioThread.run(self.notify())
        self.assertNotIn(SECRET, self.server.output)

    async def enable(self) -> None:
        """Before the kill."""
        romeo = await self.logIn("romeo")
        for node in ("gone", "node"):
            request = romeo.make_iq_set()
            request.append(self.element(node))
            await request.send()
        with self.assertRaises(IqError) as raised:
            request = romeo.make_iq_set()
            request.append(self.element(""))
            await request.send()
        self.assertEqual(raised.exception.condition, "bad-request")

    def element(self, node: str) -> Any:
        """The payload of a request."""
        return Element(f"{{{ns.PUSH}}}enable", {"jid": SERVICE, "node": node} if node else {})

    async def notify(self) -> None:
        """After the kill."""
        service, juliet = await self.serve(), await self.logIn("juliet")
        juliet.send_message("romeo@localhost", "Wherefore?", mtype="chat")
        found = {await service.published.get(), await service.published.get()}
        self.assertEqual(found, {("romeo@localhost", "gone"), ("romeo@localhost", "node")})
        for _ in range(2):
            juliet.send_message("romeo@localhost", "Wherefore?", mtype="chat")
            self.assertEqual(await service.published.get(), ("romeo@localhost", "node"))
