# -*- test-case-name: tests.server.test_listeners -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.listeners}."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor, tcp
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogLevel
from twisted.trial.unittest import TestCase

from muccore.config.errors import ConfigError
from muccore.config.schema import Settings
from muccore.server.listeners import Listeners, listenKeys
from muccore.testing.server import makeSettings
from tests.configuration import Logged


def settings(*listen: str, direct: str = "") -> Settings:
    """A configuration that listens somewhere."""
    return makeSettings(
        c2s={"listen": "\n  ".join(listen), "direct_tls_listen": direct, "tls": "required"},
        tls={"certificate": "c", "private_key": "k"},
        auth={"backend": "memory:"},
    )


def at(port: int, interface: str = "127.0.0.1") -> str:
    """An endpoint."""
    return f"tcp:{port}:interface={interface}"


def reachable(port: int, host: str = "127.0.0.1") -> bool:
    """Whether anybody listens."""
    try:
        socket.create_connection((host, port)).close()
    except ConnectionRefusedError:
        return False
    return True


class ListenersTests(TestCase):
    """Listening here and there."""

    def setUp(self) -> None:
        """Take connections and do nothing with them."""
        self.logged = Logged(self)
        self.equipped: list[Any] = []
        self.factories = {key: Factory.forProtocol(Protocol) for key in ("listen", "direct_tls_listen")}
        self.listeners = Listeners(reactor, self.factories, lambda port, settings: self.equipped.append(port))
        self.addCleanup(self.listeners.closeAll)

    def free(self, host: str = "127.0.0.1") -> int:
        """A port that nobody listens on now."""
        with socket.create_server((host, 0)) as listening:
            port: int = listening.getsockname()[1]
        return port

    async def adopt(self, settings: Settings) -> None:
        """Listen where a configuration says so and nowhere else."""
        closeOthers = await self.listeners.reconfigure(settings)
        await closeOthers()

    async def test_places(self) -> None:
        """It listens at each endpoint of both keys, with the factory that belongs to the key, and equips every port."""
        one, two, direct = (self.free() for _ in range(3))
        configured = settings(at(one), at(two), direct=at(direct))
        await self.adopt(configured)
        self.assertEqual(list(self.listeners.ports), listenKeys(configured))
        self.assertEqual(self.equipped, list(self.listeners.ports.values()))
        for port in (one, two, direct):
            self.assertTrue(reachable(port))
        made = [port.factory for port in self.equipped]
        self.assertEqual(made, [self.factories["listen"]] * 2 + [self.factories["direct_tls_listen"]])

    async def test_changes(self) -> None:
        """
        What stays is not touched, what is new is listened on at once, what has gone only until the others are closed.
        """
        stays, goes, comes = (self.free() for _ in range(3))
        await self.adopt(settings(at(stays), at(goes)))
        before = self.listeners.ports["listen", at(stays)]
        closeOthers = await self.listeners.reconfigure(settings(at(stays), at(comes)))
        self.assertTrue(reachable(comes))
        self.assertTrue(reachable(goes))
        await closeOthers()
        self.assertFalse(reachable(goes))
        self.assertIs(self.listeners.ports["listen", at(stays)], before)
        self.assertEqual(set(self.listeners.ports), {("listen", at(stays)), ("listen", at(comes))})

    async def test_samePort(self) -> None:
        """A port can go from one address to all of them, and from STARTTLS to direct TLS."""
        port = self.free("0.0.0.0")
        await self.adopt(settings(at(port)))
        await self.adopt(settings(at(port, "0.0.0.0")))
        self.assertTrue(reachable(port, "127.0.0.2"))
        await self.adopt(settings(at(self.free()), direct=at(port)))
        self.assertTrue(reachable(port))
        self.assertIs(self.equipped[-1].factory, self.factories["direct_tls_listen"])

    async def test_cannot(self) -> None:
        """
        If one endpoint cannot be had, it is told which and why, and everything is as it was: what was opened before it
        is closed, what was to go stays, and what was given up for it is there again.
        """
        with socket.create_server(("127.0.0.2", 0)) as taken:
            blocked = taken.getsockname()[1]
            stays, ceded, comes = self.free(), blocked, self.free()
            await self.adopt(settings(at(stays), at(ceded)))
            before = set(self.listeners.ports)
            bad = settings(at(comes), at(blocked, "0.0.0.0"))
            error = await self.assertFailure(self.adoptFails(bad), ConfigError)
        [problem] = error.problems
        self.assertEqual((problem.section, problem.key), ("c2s", "listen"))
        self.assertEqual(
            problem.text,
            f"cannot listen on {at(blocked, '0.0.0.0')}: another program listens there; end it, or choose another port",
        )
        self.assertEqual(set(self.listeners.ports), before)
        self.assertTrue(reachable(stays))
        self.assertTrue(reachable(ceded))
        self.assertFalse(reachable(comes))
        self.assertEqual(self.logged.lines(LogLevel.critical), [])

    def adoptFails(self, settings: Settings) -> Deferred[Any]:
        """Adopt, as a Deferred."""
        return Deferred.fromCoroutine(self.listeners.reconfigure(settings))

    async def test_lost(self) -> None:
        """
        If what was given up is taken by somebody else in that moment, this is logged, and the first trouble is told.
        """
        port = self.free("0.0.0.0")
        await self.adopt(settings(at(port)))
        real = self.listeners._close
        takers = []

        async def close(place: tuple[str, str]) -> None:
            await real(place)
            takers.append(socket.create_server(("127.0.0.1", port)))

        self.patch(self.listeners, "_close", close)
        error = await self.assertFailure(self.adoptFails(settings(at(port, "0.0.0.0"))), ConfigError)
        takers[0].close()
        self.assertIn(at(port, "0.0.0.0"), str(error))
        [line] = self.logged.lines(LogLevel.critical)
        self.assertIn(f"no longer listening on {at(port)}: ", line)
        self.assertEqual(self.listeners.ports, {})

    async def test_notHandedOver(self) -> None:
        """A socket that was not handed over cannot be listened on."""
        for endpoint in ("systemd:domain=INET:index=7", "systemd:domain=INET:name=clients"):
            error = await self.assertFailure(self.adoptFails(settings(endpoint)), ConfigError)
            self.assertIn(f"cannot listen on {endpoint}: no such socket has been handed over", str(error))

    async def test_backlog(self) -> None:
        """Many connections may wait to be accepted, or as many as the endpoint says."""
        one, two = self.free(), f"{at(self.free())}:backlog=7"
        await self.adopt(settings(at(one), two))
        self.assertEqual([port.backlog for port in self.equipped], [1024, 7])
        self.assertIsInstance(self.equipped[0], tcp.Port)

    async def test_closeAll(self) -> None:
        """Then nothing is listened on, and doing it again is harmless."""
        port = self.free()
        await self.adopt(settings(at(port)))
        for _ in range(2):
            await self.listeners.closeAll()
            self.assertFalse(reachable(port))
