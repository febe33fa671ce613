# Copyright (c) The muccore authors. See LICENSE for details.
"""SIGTERM and SIGHUP."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.client import STREAM_ERROR, Client
from muccore.xmpp import ns
from tests.certificates import makeCertificate
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import Person, arrive, bounded, codes, isPresence, meet
from tests.endtoend.serverprocess import CLEAN, PATIENCE, ServerProcess


def certificateOf(person: Client) -> int:
    """The serial number of the certificate that the server has shown somebody."""
    transport: Any = person.transport
    serial: int = transport.getPeerCertificate().get_serial_number()
    return serial


class TermTests(TestCase):
    """SIGTERM."""

    timeout = 120

    async def assertGoodbye(self, person: Person, rooms: int) -> None:
        """Check how somebody is told: his rooms shut down (332, XEP-0045 §11.2), then his stream does."""
        await person.closed().addTimeout(PATIENCE, reactor)
        last = list(person.stanzas)
        self.assertEqual(person.lost, "stream error system-shutdown")
        self.assertEqual(last.pop().tag, STREAM_ERROR)
        goodbyes = [element for element in last if isPresence(element) and element.get("type") == "unavailable"]
        self.assertEqual(len(goodbyes), rooms)
        for goodbye in goodbyes:
            self.assertEqual(codes(goodbye), {110, 332})

    async def test_ends(self) -> None:
        """
        Whoever is in a room is told that it shuts down, every stream gets C{system-shutdown} and is closed, whoever
        connected and did nothing too, and the process ends as it should. Changes that were asked for before the
        signal and answered are on the disk.
        """
        server = ServerProcess(self, storage={"affiliations": "sqlite:rooms.db"})
        await server.start()
        romeo, juliet = await meet(self, server.port)
        outsider = await arrive(self, server.port, "paris")
        silent = socket.create_connection(("127.0.0.1", server.port))
        self.addCleanup(silent.close)
        # So that it is certain that the silent one has been accepted.
        await arrive(self, server.port, "herald")
        for n in range(50):
            romeo.send(
                f"<iq type='set' to='orchard@conference.localhost' id='change-{n}'><query xmlns='{ns.MUC_ADMIN}'>"
                f"<item jid='extra{n}@localhost' affiliation='member'/></query></iq>"
            )
        await bounded(romeo.until(lambda e: e.get("id") == "change-9"))
        ended = server.stop()
        await self.assertGoodbye(juliet, 1)
        await self.assertGoodbye(outsider, 0)
        await romeo.closed().addTimeout(PATIENCE, reactor)
        answered = {f"extra{n}@localhost" for n in range(10)}
        answered.update(
            f"extra{str(e.get('id'))[7:]}@localhost"
            for e in romeo.stanzas
            if e.tag == f"{{{ns.CLIENT}}}iq" and e.get("type") == "result"
        )
        self.assertEqual(await ended, CLEAN)
        self.assertEqual(server.troubles, [])
        self.assertIn("muccore has ended", server.output)
        silent.settimeout(PATIENCE)
        heard = b""
        while data := silent.recv(4096):
            heard += data
        self.assertIn(b"<system-shutdown ", heard)
        self.assertTrue(heard.endswith(b"</stream:stream>"), heard)
        await server.start()
        again = await arrive(self, server.port, "romeo")
        await bounded(again.enter("Romeo"))
        self.assertLessEqual(answered, await bounded(again.affiliates("member")))

    async def test_TLS(self) -> None:
        """It is the same under TLS."""
        server = ServerProcess(self, c2s=ENCRYPTED)
        await server.start()
        people = [
            await arrive(self, server.port, "romeo"),
            await arrive(self, server.directPort, "juliet", direct=True),
        ]
        for person in people:
            await bounded(person.enter(person.full))
            if person is people[0]:
                await bounded(person.configure())
        ended = server.stop()
        for person in people:
            await self.assertGoodbye(person, 1)
        self.assertEqual(await ended, CLEAN)
        self.assertEqual(server.troubles, [])

    async def test_whoDoesNotListen(self) -> None:
        """Somebody who neither reads nor hangs up does not keep the server from ending."""
        server = ServerProcess(self, c2s={"close_timeout": "1 s"})
        await server.start()
        deaf = await arrive(self, server.port, "deaf")
        deaf.transport.pauseProducing()
        self.assertEqual(await server.stop(), CLEAN)
        self.assertEqual(server.troubles, [])


class HangUpTests(TestCase):
    """SIGHUP."""

    timeout = 120

    async def test_reloads(self) -> None:
        """
        The configuration and the certificate are read again: new connections get the new certificate, a new endpoint
        is listened on, another is not any more, and whoever is there stays and goes on.
        """
        server = ServerProcess(self, c2s=ENCRYPTED)
        await server.start()
        romeo = await arrive(self, server.port, "romeo", tls=True)
        await bounded(romeo.enter("Romeo"))
        await bounded(romeo.configure())
        before = certificateOf(romeo)
        makeCertificate(server.folder)
        server.configure(c2s={"listen": "tcp:0:interface=127.0.0.2"}, muc={"name": "Verona"})
        server.signal("HUP")
        await server.logged("reloaded ")
        await server.logged(rf"Port {server.port} Closed")
        port = int(server.portsOf("C2SFactory")[-1])
        self.assertNotEqual(port, server.port)
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", server.port)).close()
        socket.create_connection(("127.0.0.2", port)).close()
        paris = await arrive(self, server.directPort, "paris", direct=True)
        self.assertNotEqual(certificateOf(paris), before)
        await bounded(paris.enter("Paris"))
        romeo.say("I am still here.")
        await bounded(paris.until(lambda e: e.findtext(f"{{{ns.CLIENT}}}body") == "I am still here."))
        self.assertEqual(certificateOf(romeo), before)
        info = await bounded(romeo.ask("get", f"<query xmlns='{ns.DISCO_INFO}'/>", "conference.localhost"))
        self.assertEqual(
            [identity.get("name") for identity in info.iter(f"{{{ns.DISCO_INFO}}}identity")], ["Verona"]
        )
        self.assertEqual(server.troubles, [])

    async def test_mistakes(self) -> None:
        """
        What is wrong with the new configuration is logged, one line a problem, and nothing changes; the next try,
        with the mistakes corrected, is taken.
        """
        server = ServerProcess(self)
        await server.start()
        romeo = await arrive(self, server.port, "romeo")
        server.configure(limits={"stanza_size": "much"}, muc={"name": "Verona", "historie": "1"})
        server.signal("HUP")
        await server.logged(r"not reloaded: .*\[muc\] historie")
        await server.logged(r"not reloaded: .*\[limits\] stanza_size")
        self.assertEqual(len(server.troubles), 2)
        info = await bounded(romeo.ask("get", f"<query xmlns='{ns.DISCO_INFO}'/>", "conference.localhost"))
        self.assertEqual(
            [identity.get("name") for identity in info.iter(f"{{{ns.DISCO_INFO}}}identity")], ["Chat rooms"]
        )
        del server.sections["muc"]["historie"]
        server.configure(limits={"stanza_size": "64 KiB"}, auth={"backend": "memory:"})
        server.signal("HUP")
        await server.logged("reloaded ")
        # What has to wait for a restart is told, and goes on as it was: anybody can still log in.
        self.assertRegex(server.troubles[2], r"take effect at the next start: \[auth\]")
        self.assertEqual(len(server.troubles), 3)
        await arrive(self, server.port, "juliet")
        await romeo.ping("localhost").addTimeout(PATIENCE, reactor)


class InterruptTests(TestCase):
    """SIGINT, as Ctrl-C sends it."""

    timeout = 120

    async def test_twice(self) -> None:
        """Pressed again and again, it ends the server once, in order, without a traceback."""
        server = ServerProcess(self)
        await server.start()
        person = await arrive(self, server.port, "romeo")
        for _ in range(3):
            server.signal("INT")
        self.assertEqual(await server.ended(), 0)
        self.assertEqual(server.troubles, [])
        self.assertEqual(person.lost, "stream error system-shutdown")
