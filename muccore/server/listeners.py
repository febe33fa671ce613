# -*- test-case-name: tests.server.test_listeners -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Where the server listens, and how that changes while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from muccore.config.endpoints import socketAddress
from muccore.config.errors import ConfigError
from muccore.config.schema import Settings
from muccore.log.logger import Logger
from muccore.server import preflight

_BACKLOG = 1024
"""How many connections may wait to be accepted at one endpoint, unless the endpoint says otherwise."""

ListenKey = tuple[str, str]
"""The key of C{[c2s]} that an endpoint stands in, and the endpoint."""


class Listeners:
    """
    Everything that a server listens on.

    @ivar ports: what there is.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, factories: Mapping[str, Any], equip: Callable[[IListeningPort, Settings], object]
    ) -> None:
        """
        @param factories: what takes the connections, by key of C{[c2s]}.
        @param equip: is given each port when it has begun to listen, in the same turn.
        """
        self.ports: dict[ListenKey, IListeningPort] = {}
        self._reactor = reactor
        self._factories = factories
        self._installTransport = equip

    async def reconfigure(self, settings: Settings) -> Callable[[], Any]:
        """
        Listen where a configuration says so, in addition to where we listen already.

        @return: call this to listen nowhere else from then on; it returns something to await.
        @raise ConfigError: for the first endpoint that cannot be had; then we listen where we did before.
        """
        wanted = listenKeys(settings)
        gone = [place for place in self.ports if place not in wanted]
        coming = [place for place in wanted if place not in self.ports]
        # The same port of another address, or for another purpose, can only be had when we have given it up.
        numbers = {_number(place) for place in coming} - {0, None}
        ceded = [place for place in gone if _number(place) in numbers]
        for place in ceded:
            await self._close(place)
        opened: list[ListenKey] = []
        try:
            for place in coming:
                await self._open(place, settings)
                opened.append(place)
        except ConfigError:
            for place in opened:
                await self._close(place)
            for place in ceded:
                await self._reopen(place, settings)
            raise

        async def closeOthers() -> None:
            for place in gone:
                if place in self.ports:
                    await self._close(place)

        return closeOthers

    async def closeAll(self) -> None:
        """Listen nowhere."""
        for place in list(self.ports):
            await self._close(place)

    async def _open(self, place: ListenKey, settings: Settings) -> None:
        key, endpoint = place
        try:
            port = await serverFromString(self._reactor, _withBacklog(endpoint)).listen(self._factories[key])
        except CannotListenError as e:
            trouble = preflight.describeError(e.socketError) if isinstance(e.socketError, OSError) else str(e)
            raise ConfigError([settings.problem("c2s", key, f"cannot listen on {endpoint}: {trouble}")]) from None
        except (LookupError, OSError):
            raise ConfigError([preflight.socketNotPassed(settings, key, endpoint)]) from None
        self._installTransport(port, settings)
        self.ports[place] = port

    async def _close(self, place: ListenKey) -> None:
        await maybeDeferred(self.ports.pop(place).stopListening)

    async def _reopen(self, place: ListenKey, settings: Settings) -> None:
        try:
            await self._open(place, settings)
        except ConfigError as e:
            # Nobody can have wanted it in that moment; if somebody did, this is the time to look.
            self._log.critical("{endpoint} is lost: {problem}", endpoint=place[1], problem=e)


def listenKeys(settings: Settings) -> list[ListenKey]:
    """Where a configuration says that we listen."""
    found = [("listen", endpoint) for endpoint in settings.c2s.listen]
    found += [("direct_tls_listen", endpoint) for endpoint in settings.c2s.directTlsListen]
    return found


def _number(place: ListenKey) -> int | None:
    address = socketAddress(place[1])
    return None if address is None else address[2]


def _withBacklog(endpoint: str) -> str:
    """
    The endpoint with a queue for connections that are not accepted yet: with Twisted's default of 50, most of those
    who come at once, after a restart for example, try again a second later.
    """
    if endpoint.startswith("systemd:") or ":backlog=" in endpoint:
        return endpoint
    return f"{endpoint}:backlog={_BACKLOG}"
