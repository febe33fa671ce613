# Copyright (c) The muccore authors. See LICENSE for details.
"""
Clients that keep to the rules and ask for as much as they can, beside a bystander who pings the server all the while.

The bystander's times are asserted with room to spare, since they depend on what else the machine does. docs/design/0020
has what is wanted, and reached on a quiet one.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.configuration import ENVIRONMENT
from tests.endtoend.serverprocess import TIMEOUT, ServerProcess

SECONDS = 6.0
"""For how long each attack goes on."""

ALLOWED = 300.0
"""Milliseconds of the 99th percentile of the bystander's pings, on a busy machine."""


class _Crowd(ProcessProtocol):
    """A run of L{tests.endtoend.crowd}."""

    def __init__(self, port: int, *arguments: Any) -> None:
        self.ready: Deferred[None] = Deferred()
        self.ended: Deferred[Any] = Deferred()
        self._output = b""
        command = [sys.executable, "-m", "tests.endtoend.crowd", *map(str, (port, *arguments))]
        spawn: Any = reactor
        spawn.spawnProcess(self, command[0], command, env=ENVIRONMENT, childFDs={0: "w", 1: "r", 2: 2})

    def outReceived(self, data: bytes) -> None:
        """Collect the output."""
        self._output += data
        if self._output.startswith(b"ready\n") and not self.ready.called:
            self.ready.callback(None)

    def begin(self) -> None:
        """Let the attack begin."""
        transport: Any = self.transport
        transport.write(b"go\n")

    def processEnded(self, reason: Failure) -> None:
        """Return the result."""
        if reason.check(ProcessDone):
            self.ended.callback(json.loads(self._output.splitlines()[-1]))
        else:
            for waiting in (self.ready, self.ended):
                if not waiting.called:
                    waiting.errback(reason)


class GreedyTests(TestCase):
    """Attackers who keep to the default limits, and a bystander."""

    timeout = 300

    async def attack(self, kind: str, occupants: int, attackers: int, **overrides: dict[str, str]) -> dict[str, int]:
        """Let some of a room's occupants attack; return what they have read and written, and how many were ended."""
        limits = {"connections_per_address": "2000", "exempt": ""}
        server = ServerProcess(self, limits=limits, **overrides)
        await server.start()
        crowd = _Crowd(server.port, kind, occupants, attackers, SECONDS)
        await crowd.ready.addTimeout(2 * TIMEOUT, reactor)
        bystander = _Crowd(server.port, "ping", SECONDS - 1)
        crowd.begin()
        times = await bystander.ended.addTimeout(TIMEOUT, reactor)
        found: dict[str, int] = await crowd.ended.addTimeout(TIMEOUT, reactor)
        self.assertEqual(server.unexpectedLines, [])
        self.assertEqual(found["ended"], 0, "somebody was disconnected")
        self.assertGreater(len(times), 50)
        self.assertLess(times[int(len(times) * 0.99)], ALLOWED, times[-20:])
        return found

    async def assertSlowed(self, kind: str, occupants: int, attackers: int) -> None:
        """
        Attack a room: it sends what the bursts and rates of each attacker and of their address allow; twice that is
        asserted, since C{to} is not counted.
        """
        found = await self.attack(kind, occupants, attackers)
        allowed = min(attackers * (16 + 2 * SECONDS), 128 + 8 * SECONDS)
        self.assertLess(found["read"], 2 * allowed * 1024 * 1024)
        self.assertGreater(found["read"], 1024 * 1024)

    def test_messages(self) -> Deferred[None]:
        """One occupant of 500 sends short messages without end."""
        return Deferred.fromCoroutine(self.assertSlowed("messages", 500, 1))

    def test_presence(self) -> Deferred[None]:
        """One occupant of 500 changes their presence without end."""
        return Deferred.fromCoroutine(self.assertSlowed("presence", 500, 1))

    def test_rejoining(self) -> Deferred[None]:
        """One occupant of 500 leaves and enters without end."""
        return Deferred.fromCoroutine(self.assertSlowed("rejoin", 500, 1))

    def test_manyRejoining(self) -> Deferred[None]:
        """Twenty occupants of 300 leave and enter without end: nobody is disconnected for reading too slowly."""
        return Deferred.fromCoroutine(self.assertSlowed("rejoin", 300, 20))

    async def test_smallestStanzas(self) -> None:
        """Fifty clients of one address send the smallest stanzas that are answered."""
        found = await self.attack("iq", 0, 50)
        # An answer is some 140 bytes: what the burst and the rate of the address allow, and what each may owe.
        allowed = (4096 + 256 * SECONDS) * 2 + 50 * 64
        self.assertLess(found["read"], allowed * 1.5 * 200)
        self.assertGreater(found["read"], 1000 * 100)

    async def test_smallestPresence(self) -> None:
        """Fifty clients of one account send presence to each other without end."""
        await self.attack("broadcast", 0, 50)
