# Copyright (c) The muccore authors. See LICENSE for details.
"""Clients that take more than is theirs."""

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
    Person,
    arrive,
    bodyOf,
    bounded,
    call,
    isPresence,
    meet,
    nickOf,
)
from tests.endtoend.serverprocess import PATIENCE, ServerProcess

EVERYONE_COUNTS = {"exempt": ""}
"""The section C{[limits]} of a server that takes clients on its own machine for strangers."""


async def conditionAtEnd(person: Person) -> str:
    """
    Wait until somebody is disconnected.

    @return: the condition of the stream error that he heard.
    """
    await person.closed().addTimeout(PATIENCE, reactor)
    errors = [element for element in person.stanzas if element.tag == STREAM_ERROR]
    return " ".join(str(child.tag).partition("}")[2] for error in errors for child in error[:1])


class SlowReaderTests(TestCase):
    """Somebody who stops reading."""

    timeout = 120

    async def cutOff(self, server: ServerProcess) -> None:
        """Talk until he is cut off."""
        await server.start()
        romeo, juliet = await meet(self, server.port)
        slow = await arrive(self, server.port, "slow")
        await bounded(slow.enter("Slow"))
        for person in (romeo, juliet):
            await bounded(person.until(lambda e: isPresence(e) and nickOf(e) == "Slow"))
        slow.transport.pauseProducing()
        said, left = 0, None
        while left is None:
            # Each waits until both have heard it: nobody is held up by the one who reads nothing.
            said += 1
            romeo.say(f"{said} {'x' * 100_000}")
            for person in (romeo, juliet):
                while True:
                    element = await bounded(person.next())
                    if isPresence(element) and nickOf(element) == "Slow":
                        left = element
                    elif (bodyOf(element) or "").startswith(f"{said} "):
                        break
        self.assertEqual(left.get("type"), "unavailable")
        romeo.say("He is gone.")
        for person in (romeo, juliet):
            await bounded(person.until(lambda e: bodyOf(e) == "He is gone."))
        self.assertIn("outbox-overflow from 127.0.0.1: more than 262144 bytes unread", server.output)
        self.assertEqual(server.troubles, [])
        # He finds out as soon as he reads again.
        slow.transport.resumeProducing()
        await slow.closed().addTimeout(PATIENCE, reactor)

    def test_opportunistic(self) -> None:
        """Whoever leaves more unread than the limit is cut off, the room sees him leave, and nobody else waits."""
        return self.cutOff(ServerProcess(self, transport={"outbox_limit": "256 KiB"}))

    def test_byPoller(self) -> None:
        """It is the same where everything is sent by the poller."""
        return self.cutOff(
            ServerProcess(self, transport={"outbox_limit": "256 KiB", "opportunistic_writes": "no"})
        )

    def test_TLS(self) -> None:
        """It is the same under TLS."""
        return self.cutOff(ServerProcess(self, c2s=ENCRYPTED, transport={"outbox_limit": "256 KiB"}))


class StrangerTests(TestCase):
    """Connections of people who have not logged in."""

    timeout = 120

    async def test_garbage(self) -> None:
        """
        What is no XML, no XMPP or not allowed in it is answered with the stream error that says so, each on a
        connection of its own, and the server goes on.
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
            person = await call(self, server.port)
            person.send(sent)
            self.assertEqual(await conditionAtEnd(person), condition, sent[:200])
        self.assertEqual(server.troubles, [])

    def flood(self, port: int) -> bytes:
        """
        Send megabytes without end until the server hangs up. In a thread: it may block.

        @return: what the server has said.
        """
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            heard = b""
            connection.sendall(HEADER.encode())
            while not heard.endswith(b"</stream:features>"):
                heard += connection.recv(4096)
            heard = b""
            try:
                connection.sendall(b"<auth>")
                while True:
                    connection.sendall(b"A" * 65536)
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                while data := connection.recv(65536):
                    heard += data
            except ConnectionResetError:
                pass
            return heard

    async def test_flood(self) -> None:
        """Somebody who sends an element without end before he logs in is cut off, and others are served meanwhile."""
        server = ServerProcess(self, c2s={"close_timeout": "1 s"})
        await server.start()
        flooding = [deferToThread(self.flood, server.port) for _ in range(3)]
        romeo = await arrive(self, server.port, "romeo")
        await romeo.ping("localhost").addTimeout(PATIENCE, reactor)
        for flood in flooding:
            heard = await flood
            # He may have been cut off before he could hear it.
            self.assertIn(b"policy-violation", heard or b"policy-violation")
        self.assertEqual(server.troubles, [])

    async def test_size(self) -> None:
        """An element of 10,000 bytes before the log-in is read; with one byte more it is a policy violation."""
        server = ServerProcess(self)
        await server.start()
        start, end = f"<auth xmlns='{ns.SASL}' mechanism='X'>", "</auth>"
        for size, condition in ((10_000, ""), (10_001, "policy-violation")):
            person = await call(self, server.port)
            person.send(HEADER)
            await bounded(person.next())
            person.send(start + "A" * (size - len(start) - len(end)) + end)
            if condition:
                self.assertEqual(await conditionAtEnd(person), condition)
            else:
                failure = await bounded(person.next())
                self.assertEqual(failure[0].tag, f"{{{ns.SASL}}}invalid-mechanism")
        self.assertEqual(server.troubles, [])

    async def test_loginTimeout(self) -> None:
        """Whoever has not logged in in time is disconnected, also one who says nothing at all; one who has stays."""
        server = ServerProcess(self, c2s={"login_timeout": "1 s"})
        await server.start()
        romeo = await arrive(self, server.port, "romeo")
        silent = await call(self, server.port)
        slow = await call(self, server.port)
        slow.send(HEADER)
        await bounded(slow.next())
        for person in (slow, silent):
            self.assertEqual(await conditionAtEnd(person), "connection-timeout")
        await romeo.ping("localhost").addTimeout(PATIENCE, reactor)
        self.assertEqual(server.troubles, [])

    async def test_connections(self) -> None:
        """
        From one address only so many may be connected; one more is told so, and when one has gone there is room again.
        """
        server = ServerProcess(self, limits={**EVERYONE_COUNTS, "connections_per_address": "3"})
        await server.start()
        people = [await arrive(self, server.port, name) for name in ("romeo", "juliet", "tybalt")]
        self.assertEqual(await conditionAtEnd(await call(self, server.port)), "policy-violation")
        await people.pop().close().addTimeout(PATIENCE, reactor)
        mercutio = None
        while mercutio is None:
            with contextlib.suppress(ClientFailed):
                # The server may see the next connection before the end of the last one.
                mercutio = await arrive(self, server.port, "mercutio")
        for person in people:
            await person.ping("localhost").addTimeout(PATIENCE, reactor)
        self.assertEqual(server.troubles, [])

    async def test_allConnections(self) -> None:
        """In all only so many may be connected."""
        server = ServerProcess(self, limits={"connections": "2"})
        await server.start()
        for name in ("romeo", "juliet"):
            await arrive(self, server.port, name)
        self.assertEqual(await conditionAtEnd(await call(self, server.port)), "resource-constraint")
        self.assertEqual(server.troubles, [])


class RateTests(TestCase):
    """Somebody who sends too fast."""

    timeout = 120

    async def test_slowed(self) -> None:
        """
        Of four times the burst, sent at once, everything arrives, in order, and nobody is cut off; others are not
        slowed with him.
        """
        server = ServerProcess(self, limits={**EVERYONE_COUNTS, "rate": "64 KiB", "burst": "64 KiB"})
        await server.start()
        romeo, juliet = await meet(self, server.port)
        count, size = 256, 1024
        began = time.monotonic()
        for n in range(count):
            romeo.say(f"{n} {'x' * size}")
        await bounded(juliet.until(lambda e: (bodyOf(e) or "").startswith("0 ")))
        # She is answered while some of what he has said still waits.
        await juliet.ping("localhost").addTimeout(PATIENCE, reactor)
        self.assertLess(1 + len(juliet.stanzas), count)
        for n in range(1, count):
            message = await bounded(juliet.next())
            self.assertEqual((bodyOf(message) or "").partition(" ")[0], str(n))
        # It is read 64 KiB at a time, so all but the first two portions have to wait: the last one for two seconds at
        # least. However slow the machine is, it cannot be less.
        self.assertGreaterEqual(time.monotonic() - began, (count - 128) / 64)
        await romeo.ping("localhost").addTimeout(PATIENCE, reactor)
        self.assertEqual(server.troubles, [])
