# Copyright (c) The muccore authors. See LICENSE for details.
"""Guests (SASL ANONYMOUS) with slixmpp, over TLS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree
from slixmpp import JID
from slixmpp.exceptions import XMPPError
from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from muccore.xmpp.guestnames import isGuestName
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import RoomClient, bounded, openConnection
from tests.endtoend.serverprocess import CLEAN, ServerProcess
from tests.endtoend.slixmppthread import ROOM, AsyncioThread, Slixmpp

_AUTH = f"<auth xmlns='{ns.SASL}' mechanism='ANONYMOUS'/>"
_BIND = f"<iq type='set' id='bind'><bind xmlns='{ns.BIND}'/></iq>"


class GuestTests(TestCase):
    """A server with guests."""

    timeout = 120

    async def started(self, **overrides: Mapping[str, str]) -> ServerProcess:
        """Start the server, which has an account for every name too."""
        backend = {"backend": "insecure:", "anonymous": "yes"}
        server = ServerProcess(self, c2s=ENCRYPTED, auth=backend, **overrides)
        await server.start()
        return server

    async def test_room(self) -> None:
        """A guest gets a name, enters a room, and talks there; they create none. Their session ends with the server."""
        server = await self.started(storage={"affiliations": "sqlite:rooms.db"})
        thread = AsyncioThread(self)
        log: dict[str, Any] = {}

        async def meet() -> None:
            romeo = Slixmpp(thread, "romeo", "x")
            self.assertEqual(await romeo.logIn(server.port, server.certificate), "session_start")
            guest = log["guest"] = Slixmpp(thread, "localhost", "", "ANONYMOUS")
            guest.requested_jid = guest.boundjid = JID("localhost")
            guest.register_plugin("xep_0198")
            self.assertEqual(await guest.logIn(server.port, server.certificate), "session_start", server.output)
            self.assertTrue(isGuestName(guest.boundjid.user), guest.boundjid)
            info = await romeo["xep_0030"].get_info(guest.boundjid.bare, cached=False)
            self.assertEqual([each[:2] for each in info["disco_info"]["identities"]], [("account", "anonymous")])
            with self.assertRaises(XMPPError) as caught:
                await guest.room.join_muc_wait(JID(ROOM), "Guest")
            self.assertEqual(caught.exception.condition, "not-allowed")
            await romeo.room.join_muc_wait(JID(ROOM), "Romeo")
            await romeo.room.set_room_config(ROOM, await romeo.room.get_room_config(ROOM))
            await guest.room.join_muc_wait(JID(ROOM), "Guest")
            guest.send_message(ROOM, "But, soft!", mtype="groupchat")
            for client in (romeo, guest):
                self.assertEqual(await client.nextMessage(), ("Guest", "But, soft!"))

        await thread.run(meet())
        self.assertEqual(await server.stop(), CLEAN)
        self.assertEqual(server.unexpectedLines, [])
        await server.start()
        self.assertNotIn("resumed", server.output)
        self.assertEqual(await server.stop(), CLEAN)

    async def negotiate(self, client: RoomClient, answer: str) -> etree._Element:
        """Send one step of the negotiation; return the answer."""
        client.send(answer)
        return await bounded(client.next())

    async def logIn(self, server: ServerProcess) -> str:
        """Log a guest in; return the name of what comes last: of the address, or of the condition."""
        client = await openConnection(self, server.directPort, True)
        client._domain = "localhost"
        features = await bounded(client._open())
        mechanisms = [element.text for element in features.iter(f"{{{ns.SASL}}}mechanism")]
        if "ANONYMOUS" not in mechanisms:
            return str(mechanisms)
        answer = await self.negotiate(client, _AUTH)
        if etree.QName(answer).localname == "success":
            self.assertIsNone(answer.text)
            await bounded(client._open())
            answer = await self.negotiate(client, _BIND)
        conditions = [etree.QName(element).localname for element in answer.iter() if element is not answer]
        return next(name for name in conditions if name not in ("bind", "error"))

    async def test_limits(self) -> None:
        """Guests are limited by address and in all."""
        server = await self.started(
            anonymous={"sessions": "3", "sessions_per_address": "2"}, limits={"exempt": "::1/128"}
        )
        self.assertEqual([await self.logIn(server) for _ in range(3)], ["jid", "jid", "resource-constraint"])
        server.configure(limits={"exempt": "127.0.0.0/8"})
        server.signal("HUP")
        await server.logged("reloaded ")
        while await self.logIn(server) == "resource-constraint":
            pass
        self.assertEqual(await self.logIn(server), "temporary-auth-failure")

    async def test_off(self) -> None:
        """By default there are none."""
        server = ServerProcess(self, c2s=ENCRYPTED)
        await server.start()
        self.assertEqual(await self.logIn(server), "['PLAIN']")
