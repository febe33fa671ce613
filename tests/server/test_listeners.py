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

from muccore.config.endpoints import endpointsOf
from muccore.config.errors import ConfigError
from muccore.config.schema import Settings
from muccore.server.listeners import Listeners
from muccore.testing.server import makeSettings
from tests.configuration import Logged


def settings(*listen: str, direct: str = "", **http: str) -> Settings:
    """A configuration with some endpoints; those of C{[http]} by option."""
    return makeSettings(
        http=http,
        c2s={"listen": "\n  ".join(listen), "direct_tls_listen": direct, "tls": "required"},
        tls={"certificate": "c", "private_key": "k"},
        auth={"backend": "memory:"},
    )


def at(port: int, interface: str = "127.0.0.1") -> str:
    """An endpoint."""
    return f"tcp:{port}:interface={interface}"


def reachable(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a port accepts connections."""
    try:
        socket.create_connection((host, port)).close()
    except ConnectionRefusedError:
        return False
    return True


class ListenersTests(TestCase):
    """Opening and closing ports."""

    def setUp(self) -> None:
        """Make factories that accept connections and do nothing."""
        self.logged = Logged(self)
        self.equipped: list[Any] = []
        options = [("c2s", "listen"), ("c2s", "direct_tls_listen"), ("http", "listen"), ("http", "tls_listen")]
        self.factories = {key: Factory.forProtocol(Protocol) for key in options}
        self.listeners = Listeners(reactor, self.factories, lambda port, settings: self.equipped.append(port))
        self.addCleanup(self.listeners.closeAll)

    def free(self, host: str = "127.0.0.1") -> int:
        """A port that is not in use."""
        with socket.create_server((host, 0)) as listening:
            port: int = listening.getsockname()[1]
        return port

    async def reconfigure(self, settings: Settings) -> None:
        """Open the ports of a configuration and close all others."""
        closeOthers = await self.listeners.reconfigure(settings)
        await closeOthers()

    async def test_endpoints(self) -> None:
        """
        It listens on each endpoint of every option, with the option's factory, and installs the transport on every
        port.
        """
        one, two, direct, web, webTLS = (self.free() for _ in range(5))
        configured = settings(at(one), at(two), direct=at(direct), listen=at(web), tls_listen=at(webTLS))
        await self.reconfigure(configured)
        self.assertEqual(list(self.listeners.ports), endpointsOf(configured))
        self.assertEqual(self.equipped, list(self.listeners.ports.values()))
        for port in (one, two, direct, web, webTLS):
            self.assertTrue(reachable(port))
        made = [port.factory for port in self.equipped]
        first, *others = self.factories.values()
        self.assertEqual(made, [first, first, *others])

    async def test_changes(self) -> None:
        """
        Unchanged ports are not touched, new ones open at once, removed ones close only when the others are closed.
        """
        stays, goes, comes = (self.free() for _ in range(3))
        await self.reconfigure(settings(at(stays), at(goes)))
        before = self.listeners.ports["c2s", "listen", at(stays)]
        closeOthers = await self.listeners.reconfigure(settings(at(stays), at(comes)))
        self.assertTrue(reachable(comes))
        self.assertTrue(reachable(goes))
        await closeOthers()
        self.assertFalse(reachable(goes))
        self.assertIs(self.listeners.ports["c2s", "listen", at(stays)], before)
        self.assertEqual(set(self.listeners.ports), {("c2s", "listen", at(stays)), ("c2s", "listen", at(comes))})

    async def test_samePort(self) -> None:
        """A port can move from one address to all, and from STARTTLS to direct TLS."""
        port = self.free("0.0.0.0")
        await self.reconfigure(settings(at(port)))
        await self.reconfigure(settings(at(port, "0.0.0.0")))
        self.assertTrue(reachable(port, "127.0.0.2"))
        await self.reconfigure(settings(at(self.free()), direct=at(port)))
        self.assertTrue(reachable(port))
        self.assertIs(self.equipped[-1].factory, self.factories["c2s", "direct_tls_listen"])

    async def test_cannot(self) -> None:
        """
        If an endpoint cannot be opened, the error names it and the reason, and all ports are as before: those opened
        before it are closed, removed ones stay, and those closed first are open again.
        """
        with socket.create_server(("127.0.0.2", 0)) as taken:
            blocked = taken.getsockname()[1]
            stays, ceded, comes = self.free(), blocked, self.free()
            await self.reconfigure(settings(at(stays), at(ceded)))
            before = set(self.listeners.ports)
            bad = settings(at(comes), at(blocked, "0.0.0.0"))
            error = await self.assertFailure(self.reconfigureFails(bad), ConfigError)
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

    def reconfigureFails(self, settings: Settings) -> Deferred[Any]:
        """Reconfigure, as a Deferred."""
        return Deferred.fromCoroutine(self.listeners.reconfigure(settings))

    async def test_lost(self) -> None:
        """If another process takes a port that was closed first, this is logged, and the original error is raised."""
        port = self.free("0.0.0.0")
        await self.reconfigure(settings(at(port)))
        real = self.listeners._close
        takers = []

        async def close(place: tuple[str, str]) -> None:
            await real(place)
            takers.append(socket.create_server(("127.0.0.1", port)))

        self.patch(self.listeners, "_close", close)
        error = await self.assertFailure(self.reconfigureFails(settings(at(port, "0.0.0.0"))), ConfigError)
        takers[0].close()
        self.assertIn(at(port, "0.0.0.0"), str(error))
        [line] = self.logged.lines(LogLevel.critical)
        self.assertIn(f"no longer listening on {at(port)}: ", line)
        self.assertEqual(self.listeners.ports, {})

    async def test_notHandedOver(self) -> None:
        """A socket that systemd did not pass cannot be listened on."""
        for endpoint in ("systemd:domain=INET:index=7", "systemd:domain=INET:name=clients"):
            error = await self.assertFailure(self.reconfigureFails(settings(endpoint)), ConfigError)
            self.assertIn(f"cannot listen on {endpoint}: no such socket has been handed over", str(error))

    async def test_backlog(self) -> None:
        """The backlog is large, or the endpoint's own."""
        one, two = self.free(), f"{at(self.free())}:backlog=7"
        await self.reconfigure(settings(at(one), two))
        self.assertEqual([port.backlog for port in self.equipped], [1024, 7])
        self.assertIsInstance(self.equipped[0], tcp.Port)

    async def test_closeAll(self) -> None:
        """No port stays open; closing again is harmless."""
        port = self.free()
        await self.reconfigure(settings(at(port)))
        for _ in range(2):
            await self.listeners.closeAll()
            self.assertFalse(reachable(port))
