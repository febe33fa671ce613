# -*- test-case-name: tests.server.test_listeners -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The ports that the server listens on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from muccore.config.endpoints import ListenKey, endpointsOf, socketAddress
from muccore.config.errors import ConfigError
from muccore.config.schema import Settings
from muccore.log.logger import Logger
from muccore.server import preflight

_BACKLOG = 1024
"""Connections that may wait to be accepted at one endpoint, unless it specifies a backlog."""


class Listeners:
    """The listening ports of a server; C{ports} are open."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        factories: Mapping[tuple[str, str], Any],
        installTransport: Callable[[IListeningPort, Settings], object],
    ) -> None:
        """
        @param factories: the protocol factories, by section and option.
        @param installTransport: called with each port in the reactor turn in which it begins to listen.
        """
        self.ports: dict[ListenKey, IListeningPort] = {}
        self._reactor = reactor
        self._factories = factories
        self._installTransport = installTransport

    async def reconfigure(self, settings: Settings) -> Callable[[], Any]:
        """
        Open the ports of a configuration that are not open yet.

        @return: a function that closes all other ports and returns an awaitable.
        @raise ConfigError: for the first endpoint that cannot be opened; the ports are then as before.
        """
        wanted = endpointsOf(settings)
        closing = [key for key in self.ports if key not in wanted]
        opening = [key for key in wanted if key not in self.ports]
        # The same port number on another address, or for another purpose, must be closed first.
        numbers = {_number(key) for key in opening} - {0, None}
        closedFirst = [key for key in closing if _number(key) in numbers]
        for key in closedFirst:
            await self._close(key)
        opened: list[ListenKey] = []
        try:
            for key in opening:
                await self._open(key, settings)
                opened.append(key)
        except ConfigError:
            for key in opened:
                await self._close(key)
            for key in closedFirst:
                await self._reopen(key, settings)
            raise

        async def closeOthers() -> None:
            for key in closing:
                if key in self.ports:
                    await self._close(key)

        return closeOthers

    async def closeAll(self) -> None:
        """Close all ports."""
        for key in list(self.ports):
            await self._close(key)

    async def _open(self, key: ListenKey, settings: Settings) -> None:
        section, option, endpoint = key
        try:
            factory = self._factories[section, option]
            port = await serverFromString(self._reactor, _withBacklog(endpoint)).listen(factory)
        except CannotListenError as e:
            reason = preflight.describeError(e.socketError) if isinstance(e.socketError, OSError) else str(e)
            raise ConfigError([settings.problem(section, option, f"cannot listen on {endpoint}: {reason}")]) from None
        except (LookupError, OSError):
            raise ConfigError([preflight.socketNotPassed(settings, key)]) from None
        self._installTransport(port, settings)
        self.ports[key] = port

    async def _close(self, key: ListenKey) -> None:
        await maybeDeferred(self.ports.pop(key).stopListening)

    async def _reopen(self, key: ListenKey, settings: Settings) -> None:
        try:
            await self._open(key, settings)
        except ConfigError as e:
            # Another process took the port in between.
            self._log.critical("no longer listening on {endpoint}: {problem}", endpoint=key[2], problem=e)


def _number(key: ListenKey) -> int | None:
    address = socketAddress(key[2])
    return None if address is None else address[2]


def _withBacklog(endpoint: str) -> str:
    """
    The endpoint with a backlog. With Twisted's default of 50, most clients that reconnect together after a restart
    would have to try again a second later.
    """
    if endpoint.startswith("systemd:") or ":backlog=" in endpoint:
        return endpoint
    return f"{endpoint}:backlog={_BACKLOG}"
