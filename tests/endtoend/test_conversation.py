# Copyright (c) The muccore authors. See LICENSE for details.
"""An evening in rooms with slixmpp, over TLS, with a restart in the middle of it."""

from __future__ import annotations

import ssl
from typing import Any

from slixmpp import JID
from slixmpp.exceptions import XMPPError
from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.sqlite.accounts import SQLiteAccounts
from tests.configuration import ENCRYPTED
from tests.endtoend.serverprocess import CLEAN, ServerProcess
from tests.endtoend.slixmppthread import ROOM, AsyncioSide, Slixmpp, statuses

BALCONY = "balcony@conference.localhost"


class SlixmppTests(TestCase):
    """A server with accounts, and slixmpp."""

    timeout = 120

    async def setUp(self) -> None:
        """Start a server whose accounts and rooms are in a database, and add three people."""
        self.server = ServerProcess(
            self,
            c2s=ENCRYPTED,
            auth={"backend": "sqlite:muccore.db"},
            storage={"affiliations": "sqlite:muccore.db"},
        )
        accounts = SQLiteAccounts(FilePath(self.server.file("muccore.db")), reactor)
        await accounts.open()
        for name in ("romeo", "juliet", "tybalt"):
            await accounts.create(name, f"{name}'s")
        await accounts.close()
        await self.server.start()
        self.side = AsyncioSide(self)

    async def logIn(self, name: str, **options: Any) -> Slixmpp:
        """Log somebody in with his password. For asyncio."""
        person = Slixmpp(self.side, name, f"{name}'s", options.pop("mechanism", None))
        direct = options.get("direct", False)
        port = self.server.directPort if direct else self.server.port
        self.assertEqual(await person.logIn(port, self.server.certificate, **options), "session_start")
        return person


class EveningTests(SlixmppTests):
    """The evening."""

    async def test_evening(self) -> None:
        """
        Romeo creates a persistent room and a temporary one; two others join; they talk; one is banned from both.
        After a restart both rooms are there as they were, with their configuration, and the ban holds in both. After
        another one nobody comes in time to the temporary room, and it is gone.
        """
        await self.side.run(self.firstHalf())
        self.assertEqual(await self.server.stop(), CLEAN)
        self.assertEqual(self.server.troubles, [])
        await self.server.start()
        await self.side.run(self.secondHalf())
        self.assertEqual(await self.server.stop(), CLEAN)
        self.assertEqual(self.server.troubles, [])
        self.server.configure(muc={"temporary_room_grace": "0 s"})
        await self.server.start()
        await self.side.run(self.tooLate())
        self.assertEqual(self.server.troubles, [])

    async def firstHalf(self) -> None:
        """Until the restart."""
        romeo, juliet, tybalt = self.before = [await self.logIn(name) for name in ("romeo", "juliet", "tybalt")]
        for room, persistent in ((ROOM, True), (BALCONY, False)):
            created = romeo.room.join_muc_wait(JID(room), "Romeo")
            await created
            self.assertEqual(statuses(await romeo.sees("Romeo", "available")), {110, 201})
            form = await romeo.room.get_room_config(room)
            answers = form["values"]
            answers["muc#roomconfig_roomname"] = f"The {room.partition('@')[0]}"
            answers["muc#roomconfig_persistentroom"] = persistent
            form["type"] = "submit"
            form["values"] = answers
            await romeo.room.set_room_config(room, form)
            for person, nick in ((juliet, "Juliet"), (tybalt, "Tybalt")):
                await person.room.join_muc_wait(JID(room), nick)
                await romeo.sees(nick, "available")
            romeo.send_message(room, "But, soft!", mtype="groupchat")
            for person in self.before:
                self.assertEqual(await person.hears(), ("Romeo", "But, soft!"))
            juliet.send_message(room, "Ay me!", mtype="groupchat")
            for person in self.before:
                self.assertEqual(await person.hears(), ("Juliet", "Ay me!"))
            await romeo.room.set_affiliation(room, "outcast", jid="tybalt@localhost", reason="A villain")
            banned = await tybalt.sees("Tybalt", "unavailable")
            self.assertEqual(statuses(banned), {110, 301})
            self.assertEqual(banned["muc"]["item"]["reason"], "A villain")
            self.assertEqual(statuses(await juliet.sees("Tybalt", "unavailable")), {301})

    async def secondHalf(self) -> None:
        """From the first restart on."""
        for person in self.before:
            await person.gone
            self.assertEqual(person.streamErrors, ["system-shutdown"])
        romeo, juliet, tybalt = [await self.logIn(name) for name in ("romeo", "juliet", "tybalt")]
        # Not by the owner first: nobody who came now could create a room anew.
        for room in (ROOM, BALCONY):
            try:
                await tybalt.room.join_muc_wait(JID(room), "Tybalt")
            except XMPPError as e:
                self.assertEqual(e.condition, "forbidden")
            else:
                self.fail("the ban is gone")
            await juliet.room.join_muc_wait(JID(room), "Juliet")
            self.assertEqual(statuses(await juliet.sees("Juliet", "available")), {110})
            await romeo.room.join_muc_wait(JID(room), "Romeo")
            own = await romeo.sees("Romeo", "available")
            self.assertEqual(own["muc"]["affiliation"], "owner")
            self.assertEqual(await romeo.room.get_affiliation_list(room, "outcast"), [JID("tybalt@localhost")])
            values = (await romeo.room.get_room_config(room))["values"]
            self.assertEqual(values["muc#roomconfig_roomname"], f"The {room.partition('@')[0]}")
            self.assertEqual(values["muc#roomconfig_persistentroom"], room == ROOM)
            juliet.send_message(room, "Romeo?", mtype="groupchat")
            self.assertEqual(await romeo.hears(), ("Juliet", "Romeo?"))

    async def tooLate(self) -> None:
        """After the second one, when the grace is over."""
        juliet = await self.logIn("juliet")
        await juliet.room.join_muc_wait(JID(ROOM), "Juliet")
        self.assertEqual(statuses(await juliet.sees("Juliet", "available")), {110})
        await juliet.room.join_muc_wait(JID(BALCONY), "Juliet")
        own = await juliet.sees("Juliet", "available")
        self.assertEqual((statuses(own), own["muc"]["affiliation"]), ({110, 201}, "owner"))


class LogInTests(SlixmppTests):
    """Ways to log in, and ways not to."""

    async def test_ways(self) -> None:
        """
        slixmpp logs in by SCRAM with both hashes and by PLAIN, with STARTTLS and with TLS from the first byte on;
        under TLS 1.2 as well, where it first tries a channel binding that the server does not have.
        """
        await self.side.run(self.ways())
        self.assertEqual(self.server.troubles, [])

    async def ways(self) -> None:
        """All of them."""
        used = {}
        for direct in (False, True):
            for mechanism in (None, "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
                romeo = await self.logIn("romeo", mechanism=mechanism, direct=direct)
                used[direct, mechanism] = romeo["feature_mechanisms"].mech.name
                self.assertEqual(romeo.socket.version(), "TLSv1.3")
                await romeo.disconnect()
            romeo = await self.logIn("romeo", direct=direct, version=ssl.TLSVersion.TLSv1_2)
            self.assertEqual(romeo.failures, [])
            self.assertEqual(romeo.socket.version(), "TLSv1.2")
            await romeo.disconnect()
        for (_, mechanism), name in used.items():
            self.assertEqual(name, mechanism or "SCRAM-SHA-256")

    async def test_wrongPassword(self) -> None:
        """A wrong password and a user who does not exist are refused alike, whatever the mechanism."""
        await self.side.run(self.wrong())
        self.assertEqual(self.server.troubles, [])

    async def wrong(self) -> None:
        """Try both."""
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"):
            for name in ("romeo", "mercutio"):
                person = Slixmpp(self.side, name, "wrong", mechanism)
                outcome = await person.logIn(self.server.port, self.server.certificate)
                self.assertEqual((outcome, person.failures), ("failed_all_auth", ["not-authorized"]))


