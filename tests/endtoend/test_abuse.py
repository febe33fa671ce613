# Copyright (c) The muccore authors. See LICENSE for details.
"""Clients that exceed the limits or break the protocol."""

from __future__ import annotations

import contextlib
import socket
import time

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from muccore.testing.scansion.client import STREAM_ERROR, ClientFailed
from muccore.xmpp import ns
from tests.configuration import ENCRYPTED
from tests.endtoend.clients import (
    HEADER,
    RoomClient,
    bodyOf,
    bounded,
    enterRoom,
    isPresence,
    logIn,
    nickOf,
    openConnection,
)
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess

NO_EXEMPTIONS = {"exempt": ""}
"""The section C{[limits]} of a server without exempt addresses."""


async def conditionAtEnd(client: RoomClient) -> str:
    """Wait until a client is disconnected; return the condition of its stream error."""
    await client.closed().addTimeout(TIMEOUT, reactor)
    errors = [element for element in client.stanzas if element.tag == STREAM_ERROR]
    return " ".join(str(child.tag).partition("}")[2] for error in errors for child in error[:1])


class SlowReaderTests(TestCase):
    """A client that stops reading."""

    timeout = 120

    async def assertOverflowEndsStream(self, server: ServerProcess) -> None:
        """Send until the slow client is disconnected."""
        await server.start()
        romeo, juliet = await enterRoom(self, server.port)
        slow = await logIn(self, server.port, "slow")
        await bounded(slow.enter("Slow"))
        for client in (romeo, juliet):
            await bounded(client.until(lambda e: isPresence(e) and nickOf(e) == "Slow"))
        slow.transport.pauseProducing()
        count, left = 0, None
        while left is None:
            # Wait until both have received it: the one that reads nothing must not delay them.
            count += 1
            romeo.sendToRoom(f"{count} {'x' * 100_000}")
            for client in (romeo, juliet):
                while True:
                    element = await bounded(client.next())
                    if isPresence(element) and nickOf(element) == "Slow":
                        left = element
                    elif (bodyOf(element) or "").startswith(f"{count} "):
                        break
        self.assertEqual(left.get("type"), "unavailable")
        romeo.sendToRoom("Slow is gone.")
        for client in (romeo, juliet):
            await bounded(client.until(lambda e: bodyOf(e) == "Slow is gone."))
        self.assertIn("outbox-overflow from 127.0.0.1: more than 262144 bytes unread", server.output)
        self.assertEqual(server.unexpectedLines, [])
        # The client notices as soon as it reads again.
        slow.transport.resumeProducing()
        await slow.closed().addTimeout(TIMEOUT, reactor)

    def test_opportunistic(self) -> None:
        """A client with more unread than the limit is disconnected, leaves its room, and nobody else waits."""
        return self.assertOverflowEndsStream(ServerProcess(self, transport={"outbox_limit": "256 KiB"}))

    def test_byPoller(self) -> None:
        """The same without opportunistic writes."""
        return self.assertOverflowEndsStream(
            ServerProcess(self, transport={"outbox_limit": "256 KiB", "opportunistic_writes": "no"})
        )

    def test_TLS(self) -> None:
        """The same under TLS."""
        return self.assertOverflowEndsStream(ServerProcess(self, c2s=ENCRYPTED, transport={"outbox_limit": "256 KiB"}))


class UnauthenticatedTests(TestCase):
    """Connections without a login."""

    timeout = 120

    async def test_garbage(self) -> None:
        """
        What is not XML, not XMPP or not allowed is answered with the right stream error, and the server goes on.
        """
        server = ServerProcess(self)
        await server.start()
        for sent, condition in (
            ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "not-well-formed"),
            ("\x01\x02" * 1000, "not-well-formed"),
            ("\x00<\x00s" * 1000, "unsupported-encoding"),
            (HEADER + "</nonsense>", "not-well-formed"),
            ("<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y 'z'>]><x/>", "restricted-xml"),
            (HEADER + "<!-- -->", "restricted-xml"),
            (HEADER + "<message to='romeo@localhost'><body>x</body></message>", "not-authorized"),
            (HEADER.replace("jabber:client", "jabber:x"), "invalid-namespace"),
            (HEADER.replace("localhost", "example.org"), "host-unknown"),
            (HEADER + "<a>" * 1000, "policy-violation"),
        ):
            client = await openConnection(self, server.port)
            client.send(sent)
            self.assertEqual(await conditionAtEnd(client), condition, sent[:200])
        self.assertEqual(server.unexpectedLines, [])

    def flood(self, port: int) -> bytes:
        """Send until the server disconnects; return what it has sent. In a thread, since it may block."""
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
            received = b""
            connection.sendall(HEADER.encode())
            while not received.endswith(b"</stream:features>"):
                received += connection.recv(4096)
            received = b""
            try:
                connection.sendall(b"<auth>")
                while True:
                    connection.sendall(b"A" * 65536)
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                while data := connection.recv(65536):
                    received += data
            except ConnectionResetError:
                pass
            return received

    async def test_flood(self) -> None:
        """A client that sends an endless element before the login is disconnected; others are served meanwhile."""
        server = ServerProcess(self, c2s={"close_timeout": "1 s"})
        await server.start()
        flooding = [deferToThread(self.flood, server.port) for _ in range(3)]
        romeo = await logIn(self, server.port, "romeo")
        await romeo.ping("localhost").addTimeout(TIMEOUT, reactor)
        for flood in flooding:
            received = await flood
            # The connection may have been reset before the error was read.
            self.assertIn(b"policy-violation", received or b"policy-violation")
        self.assertEqual(server.unexpectedLines, [])

    async def test_size(self) -> None:
        """Before the login, an element of 10,000 bytes is read; one of 10,001 is a policy violation."""
        server = ServerProcess(self)
        await server.start()
        start, end = f"<auth xmlns='{ns.SASL}' mechanism='X'>", "</auth>"
        for size, condition in ((10_000, ""), (10_001, "policy-violation")):
            client = await openConnection(self, server.port)
            client.send(HEADER)
            await bounded(client.next())
            client.send(start + "A" * (size - len(start) - len(end)) + end)
            if condition:
                self.assertEqual(await conditionAtEnd(client), condition)
            else:
                failure = await bounded(client.next())
                self.assertEqual(failure[0].tag, f"{{{ns.SASL}}}invalid-mechanism")
        self.assertEqual(server.unexpectedLines, [])

    async def test_loginTimeout(self) -> None:
        """Clients that do not log in in time are disconnected, silent ones too; one that has logged in stays."""
        server = ServerProcess(self, c2s={"login_timeout": "1 s"})
        await server.start()
        romeo = await logIn(self, server.port, "romeo")
        silent = await openConnection(self, server.port)
        slow = await openConnection(self, server.port)
        slow.send(HEADER)
        await bounded(slow.next())
        for client in (slow, silent):
            self.assertEqual(await conditionAtEnd(client), "connection-timeout")
        await romeo.ping("localhost").addTimeout(TIMEOUT, reactor)
        self.assertEqual(server.unexpectedLines, [])

    async def test_connections(self) -> None:
        """
        The number of connections from one address is limited; a further one gets an error until another has gone.
        """
        server = ServerProcess(self, limits={**NO_EXEMPTIONS, "connections_per_address": "3"})
        await server.start()
        clients = [await logIn(self, server.port, name) for name in ("romeo", "juliet", "tybalt")]
        self.assertEqual(await conditionAtEnd(await openConnection(self, server.port)), "policy-violation")
        await clients.pop().close().addTimeout(TIMEOUT, reactor)
        mercutio = None
        while mercutio is None:
            with contextlib.suppress(ClientFailed):
                # The server may see the new connection before the end of the old one.
                mercutio = await logIn(self, server.port, "mercutio")
        for client in clients:
            await client.ping("localhost").addTimeout(TIMEOUT, reactor)
        self.assertEqual(server.unexpectedLines, [])

    async def test_allConnections(self) -> None:
        """The number of all connections is limited."""
        server = ServerProcess(self, limits={"connections": "2"})
        await server.start()
        for name in ("romeo", "juliet"):
            await logIn(self, server.port, name)
        self.assertEqual(await conditionAtEnd(await openConnection(self, server.port)), "resource-constraint")
        self.assertEqual(server.unexpectedLines, [])


class RateTests(TestCase):
    """A client that sends too fast."""

    timeout = 120

    async def test_slowed(self) -> None:
        """
        Four times the burst, sent at once, arrives in order, without a disconnect; other clients are not slowed.
        """
        server = ServerProcess(self, limits={**NO_EXEMPTIONS, "rate": "64 KiB", "burst": "64 KiB"})
        await server.start()
        romeo, juliet = await enterRoom(self, server.port)
        count, size = 256, 1024
        began = time.monotonic()
        for n in range(count):
            romeo.sendToRoom(f"{n} {'x' * size}")
        await bounded(juliet.until(lambda e: (bodyOf(e) or "").startswith("0 ")))
        # Juliet is answered while some of Romeo's messages still wait.
        await juliet.ping("localhost").addTimeout(TIMEOUT, reactor)
        self.assertLess(1 + len(juliet.stanzas), count)
        for n in range(1, count):
            message = await bounded(juliet.next())
            self.assertEqual((bodyOf(message) or "").partition(" ")[0], str(n))
        # It is read 64 KiB at a time, so all but the first two portions wait: the last one for at least two seconds,
        # however slow the machine is.
        self.assertGreaterEqual(time.monotonic() - began, (count - 128) / 64)
        await romeo.ping("localhost").addTimeout(TIMEOUT, reactor)
        self.assertEqual(server.unexpectedLines, [])
