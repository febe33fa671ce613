# Copyright (c) The muccore authors. See LICENSE for details.
"""SIGTERM, SIGUSR1, SIGHUP and SIGINT."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.client import STREAM_ERROR, Client
from muccore.xmpp import ns
from tests.certificates import makeCertificate
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import RoomClient, bounded, codes, enterRoom, isPresence, logIn
from tests.endtoend.serverprocess import CLEAN, TIMEOUT, ServerProcess


def certificateOf(client: Client) -> int:
    """Return the serial number of the certificate that the server has presented."""
    transport: Any = client.transport
    serial: int = transport.getPeerCertificate().get_serial_number()
    return serial


class TermTests(TestCase):
    """SIGTERM, and SIGUSR1 for the end for good."""

    timeout = 120

    async def assertShutDown(self, client: RoomClient, rooms: int = 0) -> None:
        """Check that the client's stream ended, and before it C{rooms} rooms (332, XEP-0045 §11.2)."""
        await client.closed().addTimeout(TIMEOUT, reactor)
        last = list(client.stanzas)
        self.assertEqual(client.lost, "stream error system-shutdown")
        self.assertEqual(last.pop().tag, STREAM_ERROR)
        unavailable = [element for element in last if isPresence(element) and element.get("type") == "unavailable"]
        self.assertEqual(len(unavailable), rooms)
        for presence in unavailable:
            self.assertEqual(codes(presence), {110, 332})

    async def test_ends(self) -> None:
        """
        Every stream gets C{system-shutdown} and is closed, one without a login too, and the process ends cleanly. Rooms
        send nothing. Answered changes are on the disk.
        """
        server = ServerProcess(self, storage={"affiliations": "sqlite:rooms.db"})
        await server.start()
        romeo, juliet = await enterRoom(self, server.port)
        outsider = await logIn(self, server.port, "paris")
        silent = socket.create_connection(("127.0.0.1", server.port))
        self.addCleanup(silent.close)
        # A later login proves that the silent connection has been accepted.
        await logIn(self, server.port, "herald")
        for n in range(50):
            romeo.send(
                f"<iq type='set' to='orchard@conference.localhost' id='change-{n}'><query xmlns='{ns.MUC_ADMIN}'>"
                f"<item jid='extra{n}@localhost' affiliation='member'/></query></iq>"
            )
        await bounded(romeo.until(lambda e: e.get("id") == "change-9"))
        ended = server.stop()
        await self.assertShutDown(juliet)
        await self.assertShutDown(outsider)
        await romeo.closed().addTimeout(TIMEOUT, reactor)
        answered = {f"extra{n}@localhost" for n in range(10)}
        answered.update(
            f"extra{str(e.get('id'))[7:]}@localhost"
            for e in romeo.stanzas
            if e.tag == f"{{{ns.CLIENT}}}iq" and e.get("type") == "result"
        )
        self.assertEqual(await ended, CLEAN)
        self.assertEqual(server.unexpectedLines, [])
        self.assertIn("muccore has ended", server.output)
        silent.settimeout(TIMEOUT)
        received = b""
        while data := silent.recv(4096):
            received += data
        self.assertIn(b"<system-shutdown ", received)
        self.assertTrue(received.endswith(b"</stream:stream>"), received)
        await server.start()
        again = await logIn(self, server.port, "romeo")
        await bounded(again.enter("Romeo"))
        self.assertLessEqual(answered, await bounded(again.affiliates("member")))

    async def test_TLS(self) -> None:
        """The same under TLS."""
        server = ServerProcess(self, c2s=ENCRYPTED)
        await server.start()
        clients = [
            await logIn(self, server.port, "romeo"),
            await logIn(self, server.directPort, "juliet", direct=True),
        ]
        for client in clients:
            await bounded(client.enter(client.full))
            if client is clients[0]:
                await bounded(client.configure())
        ended = server.stop()
        for client in clients:
            await self.assertShutDown(client)
        self.assertEqual(await ended, CLEAN)
        self.assertEqual(server.unexpectedLines, [])

    async def test_forGood(self) -> None:
        """SIGUSR1 removes occupants with 332 first; however often it comes, the process ends once, with status 0."""
        server = ServerProcess(self)
        await server.start()
        romeo, juliet = await enterRoom(self, server.port)
        for _ in range(3):
            server.signal("USR1")
        for client in (romeo, juliet):
            await self.assertShutDown(client, 1)
        self.assertEqual(await server.ended(), 0)
        self.assertEqual(server.unexpectedLines, [])

    async def test_whoDoesNotListen(self) -> None:
        """A client that neither reads nor disconnects does not keep the server from ending."""
        server = ServerProcess(self, c2s={"close_timeout": "1 s"})
        await server.start()
        unresponsive = await logIn(self, server.port, "deaf")
        unresponsive.transport.pauseProducing()
        self.assertEqual(await server.stop(), CLEAN)
        self.assertEqual(server.unexpectedLines, [])


class HangUpTests(TestCase):
    """SIGHUP."""

    timeout = 120

    async def test_reloads(self) -> None:
        """
        The configuration and the certificate are read again: new connections get the new certificate, a new endpoint
        replaces another, and existing streams go on.
        """
        server = ServerProcess(self, c2s=ENCRYPTED)
        await server.start()
        romeo = await logIn(self, server.port, "romeo", tls=True)
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
        paris = await logIn(self, server.directPort, "paris", direct=True)
        self.assertNotEqual(certificateOf(paris), before)
        await bounded(paris.enter("Paris"))
        romeo.sendToRoom("I am still here.")
        await bounded(paris.until(lambda e: e.findtext(f"{{{ns.CLIENT}}}body") == "I am still here."))
        self.assertEqual(certificateOf(romeo), before)
        info = await bounded(romeo.request("get", f"<query xmlns='{ns.DISCO_INFO}'/>", "conference.localhost"))
        self.assertEqual(
            [identity.get("name") for identity in info.iter(f"{{{ns.DISCO_INFO}}}identity")], ["Verona"]
        )
        self.assertEqual(server.unexpectedLines, [])

    async def test_mistakes(self) -> None:
        """
        Mistakes in the new configuration are logged, one line each, and nothing changes; the corrected one is applied.
        """
        server = ServerProcess(self)
        await server.start()
        romeo = await logIn(self, server.port, "romeo")
        server.configure(limits={"stanza_size": "much"}, muc={"name": "Verona", "historie": "1"})
        server.signal("HUP")
        await server.logged(r"not reloaded: .*\[muc\] historie")
        await server.logged(r"not reloaded: .*\[limits\] stanza_size")
        self.assertEqual(len(server.unexpectedLines), 2)
        info = await bounded(romeo.request("get", f"<query xmlns='{ns.DISCO_INFO}'/>", "conference.localhost"))
        self.assertEqual(
            [identity.get("name") for identity in info.iter(f"{{{ns.DISCO_INFO}}}identity")], ["Chat rooms"]
        )
        del server.sections["muc"]["historie"]
        server.configure(limits={"stanza_size": "64 KiB"}, auth={"backend": "memory:"})
        server.signal("HUP")
        await server.logged("reloaded ")
        # What needs a restart is logged and stays as it was: any user can still log in.
        self.assertRegex(server.unexpectedLines[2], r"take effect at the next start: \[auth\]")
        self.assertEqual(len(server.unexpectedLines), 3)
        await logIn(self, server.port, "juliet")
        await romeo.ping("localhost").addTimeout(TIMEOUT, reactor)


class InterruptTests(TestCase):
    """SIGINT, as Ctrl-C sends it."""

    timeout = 120

    async def test_twice(self) -> None:
        """Pressed repeatedly, it ends the server once, in order, without a traceback."""
        server = ServerProcess(self)
        await server.start()
        client = await logIn(self, server.port, "romeo")
        for _ in range(3):
            server.signal("INT")
        self.assertEqual(await server.ended(), 0)
        self.assertEqual(server.unexpectedLines, [])
        self.assertEqual(client.lost, "stream error system-shutdown")
