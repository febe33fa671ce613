# Copyright (c) The muccore authors. See LICENSE for details.
"""Rooms with slixmpp over TLS, across restarts of the server."""

from __future__ import annotations

import ssl
from typing import Any

from slixmpp import JID
from slixmpp.exceptions import XMPPError

from tests.endtoend.persistentserver import PersistentServerTests
from tests.endtoend.slixmppthread import ROOM, Slixmpp, statuses

BALCONY = "balcony@conference.localhost"


class SlixmppTests(PersistentServerTests):
    """Tests with slixmpp clients."""

    async def logIn(self, name: str, **options: Any) -> Slixmpp:
        """Log a client in. For asyncio."""
        client = Slixmpp(self.asyncioThread, name, f"{name}'s", options.pop("mechanism", None))
        direct = options.get("direct", False)
        port = self.server.directPort if direct else self.server.port
        self.assertEqual(await client.logIn(port, self.server.certificate, **options), "session_start")
        return client


class RestartTests(SlixmppTests):
    """Rooms across restarts."""

    async def test_restart(self) -> None:
        """
        Romeo creates a persistent room and a temporary one; two others enter; all send messages; one is banned from
        both. After a restart both rooms have their configuration and the ban. After another one nobody enters the
        temporary room in time, and it is destroyed.
        """
        await self.asyncioThread.run(self.beforeRestart())
        await self.stop()
        await self.server.start()
        await self.asyncioThread.run(self.afterRestart())
        await self.stop()
        self.server.configure(muc={"temporary_room_grace": "0 s", "occupant_grace": "0 s"})
        await self.server.start()
        await self.asyncioThread.run(self.afterGracePeriod())
        self.assertEqual(self.server.unexpectedLines, [])

    async def beforeRestart(self) -> None:
        """Use the rooms before the first restart."""
        romeo, juliet, tybalt = self.before = [await self.logIn(name) for name in ("romeo", "juliet", "tybalt")]
        for room, persistent in ((ROOM, True), (BALCONY, False)):
            created = romeo.room.join_muc_wait(JID(room), "Romeo")
            await created
            self.assertEqual(statuses(await romeo.nextPresence("Romeo", "available")), {110, 201})
            form = await romeo.room.get_room_config(room)
            answers = form["values"]
            answers["muc#roomconfig_roomname"] = f"The {room.partition('@')[0]}"
            answers["muc#roomconfig_persistentroom"] = persistent
            form["type"] = "submit"
            form["values"] = answers
            await romeo.room.set_room_config(room, form)
            for client, nick in ((juliet, "Juliet"), (tybalt, "Tybalt")):
                await client.room.join_muc_wait(JID(room), nick)
                await romeo.nextPresence(nick, "available")
            romeo.send_message(room, "But, soft!", mtype="groupchat")
            for client in self.before:
                self.assertEqual(await client.nextMessage(), ("Romeo", "But, soft!"))
            juliet.send_message(room, "Ay me!", mtype="groupchat")
            for client in self.before:
                self.assertEqual(await client.nextMessage(), ("Juliet", "Ay me!"))
            await romeo.room.set_affiliation(room, "outcast", jid="tybalt@localhost", reason="A villain")
            banned = await tybalt.nextPresence("Tybalt", "unavailable")
            self.assertEqual(statuses(banned), {110, 301})
            self.assertEqual(banned["muc"]["item"]["reason"], "A villain")
            self.assertEqual(statuses(await juliet.nextPresence("Tybalt", "unavailable")), {301})

    async def afterRestart(self) -> None:
        """Use the rooms after the first restart."""
        for client in self.before:
            await client.gone
            self.assertEqual(client.streamErrors, ["system-shutdown"])
        romeo, juliet, tybalt = [await self.logIn(name) for name in ("romeo", "juliet", "tybalt")]
        # The owner is not the first to enter: others could not create the room again.
        for room in (ROOM, BALCONY):
            try:
                await tybalt.room.join_muc_wait(JID(room), "Tybalt")
            except XMPPError as e:
                self.assertEqual(e.condition, "forbidden")
            else:
                self.fail("the ban is gone")
            await juliet.room.join_muc_wait(JID(room), "Juliet")
            self.assertEqual(statuses(await juliet.nextPresence("Juliet", "available")), {110})
            await romeo.room.join_muc_wait(JID(room), "Romeo")
            own = await romeo.nextPresence("Romeo", "available")
            self.assertEqual(own["muc"]["affiliation"], "owner")
            self.assertEqual(await romeo.room.get_affiliation_list(room, "outcast"), [JID("tybalt@localhost")])
            values = (await romeo.room.get_room_config(room))["values"]
            self.assertEqual(values["muc#roomconfig_roomname"], f"The {room.partition('@')[0]}")
            self.assertEqual(values["muc#roomconfig_persistentroom"], room == ROOM)
            juliet.send_message(room, "Romeo?", mtype="groupchat")
            self.assertEqual(await romeo.nextMessage(), ("Juliet", "Romeo?"))

    async def afterGracePeriod(self) -> None:
        """Enter after the second restart, when the grace period is over."""
        juliet = await self.logIn("juliet")
        await juliet.room.join_muc_wait(JID(ROOM), "Juliet")
        self.assertEqual(statuses(await juliet.nextPresence("Juliet", "available")), {110})
        await juliet.room.join_muc_wait(JID(BALCONY), "Juliet")
        own = await juliet.nextPresence("Juliet", "available")
        self.assertEqual((statuses(own), own["muc"]["affiliation"]), ({110, 201}, "owner"))


class ResumptionTests(SlixmppTests):
    """XEP-0198 under TLS."""

    async def test_tornSocket(self) -> None:
        """
        Romeo's socket is torn, and a message is sent meanwhile. After the return it arrives, once, and others have not
        seen anything of it.
        """
        await self.asyncioThread.run(self.resume())
        await self.server.logged("session-resumed from 127.0.0.1: romeo@localhost/slixmpp by SCRAM-SHA-512, TLSv1.3")
        self.assertEqual(self.server.unexpectedLines, [])

    async def resume(self) -> None:
        """Tear the socket, and resume. For asyncio."""
        juliet = await self.logIn("juliet")
        romeo = Slixmpp(self.asyncioThread, "romeo", "romeo's")
        romeo.register_plugin("xep_0198")
        enabled, resumed = romeo.loop.create_future(), romeo.loop.create_future()
        romeo.add_event_handler("sm_enabled", enabled.set_result)
        romeo.add_event_handler("session_resumed", resumed.set_result)
        await romeo.logIn(self.server.port, self.server.certificate)
        await enabled
        await juliet.room.join_muc_wait(JID(ROOM), "Juliet")
        form = await juliet.room.get_room_config(ROOM)
        form["type"] = "submit"
        await juliet.room.set_room_config(ROOM, form)
        await romeo.room.join_muc_wait(JID(ROOM), "Romeo")
        await juliet.nextPresence("Romeo", "available")
        romeo.send_message(ROOM, "By whose direction", mtype="groupchat")
        await juliet.nextMessage()
        romeo.transport.abort()
        await romeo.gone
        juliet.send_message(ROOM, "Romeo?", mtype="groupchat")
        await juliet.nextMessage()
        romeo.connect("127.0.0.1", self.server.port)
        await resumed
        romeo.send_message(ROOM, "Here", mtype="groupchat")
        self.assertEqual(await juliet.nextMessage(), ("Romeo", "Here"))
        told = [await romeo.nextMessage() for _ in range(3)]
        self.assertEqual(told, [("Romeo", "By whose direction"), ("Juliet", "Romeo?"), ("Romeo", "Here")])
        self.assertEqual((romeo.socket.version(), romeo.failures), ("TLSv1.3", []))
        self.assertTrue(juliet.presences.empty())


class LogInTests(SlixmppTests):
    """Logins that succeed and that fail."""

    async def test_mechanisms(self) -> None:
        """
        slixmpp logs in by SCRAM with all hashes and by PLAIN, with STARTTLS and with direct TLS; also under TLS 1.2.
        """
        await self.asyncioThread.run(self.logInByAll())
        self.assertEqual(self.server.unexpectedLines, [])

    async def logInByAll(self) -> None:
        """Log in by each."""
        used = {}
        for direct in (False, True):
            for mechanism in (None, "SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
                romeo = await self.logIn("romeo", mechanism=mechanism, direct=direct)
                used[direct, mechanism] = romeo["feature_mechanisms"].mech.name
                self.assertEqual(romeo.socket.version(), "TLSv1.3")
                await romeo.disconnect()
            romeo = await self.logIn("romeo", direct=direct, version=ssl.TLSVersion.TLSv1_2)
            self.assertEqual(romeo.failures, [])
            self.assertEqual(romeo.socket.version(), "TLSv1.2")
            await romeo.disconnect()
        for (_, mechanism), name in used.items():
            self.assertEqual(name, mechanism or "SCRAM-SHA-512")

    async def test_wrongPassword(self) -> None:
        """A wrong password and an unknown user are refused alike, by every mechanism."""
        await self.asyncioThread.run(self.logInWrongly())
        self.assertEqual(self.server.unexpectedLines, [])

    async def logInWrongly(self) -> None:
        """Try both with every mechanism."""
        for mechanism in ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
            for name in ("romeo", "mercutio"):
                client = Slixmpp(self.asyncioThread, name, "wrong", mechanism)
                outcome = await client.logIn(self.server.port, self.server.certificate)
                self.assertEqual((outcome, client.failures), ("failed_all_auth", ["not-authorized"]))


