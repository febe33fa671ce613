# Copyright (c) The muccore authors. See LICENSE for details.
"""C{kill -9} while messages that were kept for somebody are being delivered."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.endtoend.clients import logIn
from tests.endtoend.reconnectingclient import ReconnectingClient
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess


class Phone(ReconnectingClient):
    """
    A client that acknowledges when it is told to.

    @ivar bodies: of the messages that it has received since it has connected, in order.
    """

    def __init__(self, resumable: bool = True) -> None:
        super().__init__("romeo", resumable)
        self.bodies: list[str] = []
        self.requests = 0

    def begin(self, port: int) -> Deferred[None]:
        """Log in with a new session, and become available."""
        self.id = None
        self.bodies.clear()
        self.handled = 0
        return self.connect(port).addCallback(lambda _: self.write("<presence/>"))

    def stanzaReceived(self, element: Element) -> None:
        """Take a stanza; count the delay stamps as well."""
        if element.name == "message":
            assert element.child("delay", ns.DELAY) is not None
            self.bodies.append(element.childText("body") or "")

    def acknowledgementRequested(self) -> None:
        """Say nothing yet."""
        self.requests += 1

    def acknowledgeMessages(self, count: int) -> None:
        """Acknowledge the first messages of those received."""
        self.handled -= len(self.bodies) - count
        self.acknowledge()
        self.handled += len(self.bodies) - count


class KilledOfflineTestCase(TestCase):
    """A server that keeps messages for Romeo."""

    timeout = 600

    messages, kills, size = 100, 2, 10

    async def setUp(self) -> None:
        """Start the server; Juliet writes to Romeo, who is offline."""
        self.server = ServerProcess(
            self,
            storage={"affiliations": "sqlite:rooms.db", "userdata": "sqlite:users.db"},
            users={"offline_size": "100 MiB"},
            limits={"exempt": "127.0.0.0/8"},
        )
        await self.server.start()
        self.expected = [f"{n} {'x' * self.size}" for n in range(self.messages)]
        juliet = await logIn(self, self.server.port, "juliet")
        for number, body in enumerate(self.expected, 1):
            juliet.send(f"<message type='chat' to='romeo@localhost'><body>{body}</body></message>")
            if number % 20 == 0:
                await self.until(lambda number=number: self.stored() == number)

    def stored(self) -> int:
        """How many messages the database keeps for Romeo."""
        with sqlite3.connect(f"file:{self.server.file('users.db')}?mode=ro", uri=True) as connection:
            query = "SELECT count(*) FROM user_document WHERE account = 'romeo@localhost' AND kind = 'offline'"
            [[count]] = connection.execute(query)
        return int(count)

    async def until(self, isSo: Callable[[], Any]) -> None:
        """Wait until something is so."""
        begun = reactor.seconds()  # type: ignore[attr-defined]
        while not isSo():
            self.assertLess(reactor.seconds() - begun, TIMEOUT)  # type: ignore[attr-defined]
            await deferLater(reactor, 0.01)  # type: ignore[arg-type]

    async def kill(self, phone: Phone) -> None:
        """Kill the server and start it again."""
        self.server.signal("KILL")
        self.assertEqual(await self.server.ended(), -signal.SIGKILL)
        self.assertEqual(self.server.unexpectedLines, [])
        await phone.lost()
        await self.server.start()


class KilledOfflineTests(KilledOfflineTestCase):
    """It is killed before they are acknowledged."""

    async def test_killed(self) -> None:
        """
        Killed after each delivery, before its end is acknowledged: what was acknowledged does not come again, and
        everything else does, once, in order.
        """
        phone = Phone()
        self.addCleanup(phone.abort)
        expected = self.expected
        step = self.messages // (self.kills + 1)
        for round in range(self.kills + 1):
            await phone.begin(self.server.port)
            await self.until(lambda expected=expected: len(phone.bodies) >= len(expected))
            self.assertEqual(phone.bodies, expected)
            self.assertEqual(self.stored(), len(expected))
            self.assertEqual(phone.requests, 1)
            phone.requests = 0
            if round < self.kills:
                phone.acknowledgeMessages(step)
                expected = expected[step:]
                await self.until(lambda expected=expected: self.stored() == len(expected))
                await self.kill(phone)
                phone.requests = 0
        phone.acknowledge()
        await self.until(lambda: self.stored() == 0)
        self.assertEqual(self.server.unexpectedLines, [])

    async def test_restart(self) -> None:
        """
        An orderly restart in the middle: the session that is resumed goes on, and a kill after that loses nothing
        either.
        """
        phone = Phone()
        self.addCleanup(phone.abort)
        await phone.begin(self.server.port)
        await self.until(lambda: len(phone.bodies) == self.messages)
        phone.acknowledgeMessages(10)
        await self.until(lambda: self.stored() == self.messages - 10)
        await self.server.stop()
        await phone.lost()
        await self.server.start()
        self.assertEqual(self.stored(), self.messages - 10)
        # The client has lost the last 20 of them.
        phone.handled -= 20
        del phone.bodies[-20:]
        await phone.connect(self.server.port)
        await self.until(lambda: len(phone.bodies) >= self.messages)
        self.assertEqual(phone.bodies, self.expected)
        phone.acknowledgeMessages(self.messages - 5)
        await self.until(lambda: self.stored() == 5)
        await self.kill(phone)
        await phone.begin(self.server.port)
        await self.until(lambda: len(phone.bodies) >= 5)
        self.assertEqual(phone.bodies, self.expected[-5:])
        phone.acknowledge()
        await self.until(lambda: self.stored() == 0)
        self.assertEqual(phone.bodies, self.expected[-5:])


class KilledUnmanagedTests(KilledOfflineTestCase):
    """Without stream management, and with more than the kernel takes."""

    messages, size = 200, 60_000

    async def test_killed(self) -> None:
        """What the kernel has not taken from a server that is killed comes again."""
        phone = Phone(resumable=False)
        self.addCleanup(phone.abort)
        await phone.begin(self.server.port)
        await self.until(lambda: len(phone.bodies) > 5)
        phone.pause()
        # What fits into the buffers leaves the store, and no more.
        left = self.messages
        while (now := self.stored()) != left:
            left = now
            await deferLater(reactor, 0.5)  # type: ignore[arg-type]
        self.assertGreater(left, 10)
        self.server.signal("KILL")
        self.assertEqual(await self.server.ended(), -signal.SIGKILL)
        phone.resume()
        await phone.lost()
        first = list(phone.bodies)
        await self.server.start()
        await phone.begin(self.server.port)
        await self.until(lambda: self.stored() == 0)
        await self.until(lambda: phone.bodies and phone.bodies[-1] == self.expected[-1])
        self.assertEqual(phone.bodies, self.expected[-left:])
        self.assertEqual(first, self.expected[: len(first)])
        self.assertGreaterEqual(len(first) + left, self.messages)
