# Copyright (c) The muccore authors. See LICENSE for details.
"""A server whose time of day is set, and clients that are silent for long."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

from tests.endtoend import test_clock
from tests.endtoend.clients import PlainClient
from tests.endtoend.serverprocess import TIMEOUT


class SilentClient(PlainClient):
    """A client that keeps what arrives once it is logged in, and sends nothing more."""

    received = b""

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        if self.ready.called:
            self.received += data
        super().dataReceived(data)


class SilentClientTests(test_clock.SetClockTests):
    """Silent clients are sent spaces, and are disconnected in the end; it takes half a minute."""

    limits = {"login_timeout": "3 s", "idle_timeout": "17 s", "keepalive": "1 s"}
    times = (-3600, 86400)

    async def connected(self) -> list[Deferred[None]]:
        """Connect such a client, too."""
        strangers = await super().connected()
        silent = SilentClient("silent")
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.server.port, timeout=TIMEOUT), silent)
        await silent.ready

        def check(_: None) -> None:
            spaces, _, end = silent.received.partition(b"<")
            self.assertIn(b" ", spaces)
            self.assertIn(b"connection-timeout", end)

        return [*strangers, silent.gone.addCallback(check)]
