# -*- test-case-name: tests.test_service -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A server that starts, is reloaded, and ends.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, FirstError, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure

from muccore import preflight
from muccore.config.load import load
from muccore.config.problems import ConfigError
from muccore.config.table import Settings
from muccore.errors import StreamError
from muccore.house import House
from muccore.interfaces import StoreError
from muccore.log import Logger, setThreshold
from muccore.stream import transport
from muccore.stream.tls import TLSConfigError
from muccore.systemd import READY, STOPPING, notify, reloading

_BACKLOG = 1024
"""How many connections may wait to be accepted at one endpoint, unless the endpoint says otherwise."""

_RESTART_ONLY = ("transport", "auth", "storage")
"""Sections of which nothing can be taken over while the server runs."""


class Server(Service):
    """
    One server.

    @ivar settings: the configuration that holds.
    @ivar house: its parts; C{None} before it has started.
    @ivar ports: what it listens on, by key and endpoint.
    @ivar ready: fires when it serves, or fails with why it does not.
    """

    name = "muccore"
    _log = Logger()

    def __init__(self, settings: Settings, reactor: Any, tuned: bool = False) -> None:
        """
        @param tuned: the process is ours alone: handle SIGHUP, tune the collector, end the process if the start
            fails.
        """
        self.settings = settings
        self.reactor = reactor
        self.house: House | None = None
        self.ports: dict[tuple[str, str], IListeningPort] = {}
        self.ready: Deferred[None] = Deferred()
        self._tuned = tuned
        # twistd may go to another folder before the configuration is read again.
        self._path = os.path.abspath(settings.path)
        self._factories: dict[str, Any] = {}
        self._stopped: Deferred[None] | None = None

    # Starting

    def startService(self) -> None:
        """
        Begin. What cannot be done at once is told by L{ready}.
        """
        super().startService()  # type: ignore[no-untyped-call]
        setThreshold(self.settings.server.logLevel)
        starting = Deferred.fromCoroutine(self._start())
        starting.addErrback(self._startFailed)
        starting.chainDeferred(self.ready)
        if self._tuned:
            self.ready.addErrback(self._giveUp)

    async def _start(self) -> None:
        try:
            self.house = House(self.settings, self.reactor)
        except TLSConfigError as e:
            raise ConfigError([self.settings.problem("tls", "certificate", str(e))]) from None
        await self.house.open()
        streams = self.house.streams
        self._factories = {"listen": streams, "direct_tls_listen": streams.directTLS}
        await self._listen(self.settings)
        if self._tuned:
            signal.signal(signal.SIGHUP, lambda *_: self.reactor.callFromThread(self.reload))
            _tuneCollector()
        self._announce()
        notify(READY)

    async def _listen(self, settings: Settings) -> None:
        """
        Listen where a configuration says so, and nowhere else.

        @raise ConfigError: for the first endpoint that cannot be had; those before it stay.
        """
        wanted = {
            *(("listen", endpoint) for endpoint in settings.c2s.listen),
            *(("direct_tls_listen", endpoint) for endpoint in settings.c2s.directTlsListen),
        }
        for key, endpoint in sorted(wanted - self.ports.keys()):
            try:
                port = await serverFromString(self.reactor, _withBacklog(endpoint)).listen(self._factories[key])
            except CannotListenError as e:
                trouble = preflight.explain(e.socketError) if isinstance(e.socketError, OSError) else str(e)
                text = f"cannot listen on {endpoint}: {trouble}"
                raise ConfigError([settings.problem("c2s", key, text)]) from None
            self._equip(port, settings)
            self.ports[key, endpoint] = port
        for gone in self.ports.keys() - wanted:
            await maybeDeferred(self.ports.pop(gone).stopListening)

    def _equip(self, port: IListeningPort, settings: Settings) -> None:
        house = self.house
        assert house is not None
        transport.install(
            port,
            house.turn,
            settings.transport.opportunisticWrites,
            settings.transport.outboxLimit,
            settings.c2s.closeTimeout,
        )

    def _announce(self) -> None:
        settings = self.settings
        self._log.info(
            "muccore serves {domain} on {endpoints}; rooms are at {rooms}",
            domain=settings.server.domain,
            endpoints=", ".join(sorted(endpoint for _, endpoint in self.ports)),
            rooms=settings.muc.domain,
        )
        self._log.info("accounts are made with: muccorectl -c {path} adduser NAME", path=settings.path)

    def _startFailed(self, failure: Failure) -> Failure:
        """
        Turn what went wrong into lines for the operator.
        """
        error = failure.value
        if isinstance(error, FirstError):
            failure = error.subFailure
            error = failure.value
        if isinstance(error, StoreError):
            error = ConfigError([self.settings.problem("storage", "affiliations", str(error))])
            failure = Failure(error)
        if isinstance(error, ConfigError):
            for problem in error.problems:
                self._log.critical("{problem}", problem=problem)
        else:
            self._log.failure("The server cannot start", failure)
        return failure

    def _giveUp(self, failure: Failure) -> None:
        """
        End the process with status 1.
        """
        print(failure.getErrorMessage(), file=sys.stderr, flush=True)
        # twistd has its own way out, on which it removes its pid file, and no word for a status.
        atexit.register(os._exit, 1)
        self.reactor.stop()

    # Reloading

    def reload(self) -> Deferred[None]:
        """
        Read the configuration and the certificate again, without dropping a stream. What is wrong is logged and
        changes nothing.
        """
        notify(reloading())

        def failed(failure: Failure) -> None:
            if isinstance(failure.value, ConfigError):
                for problem in failure.value.problems:
                    self._log.error("not reloaded: {problem}", problem=problem)
            else:
                self._log.failure("not reloaded", failure)

        def done(_: object) -> None:
            notify(READY)

        return Deferred.fromCoroutine(self._reload()).addErrback(failed).addBoth(done)

    async def _reload(self) -> None:
        house = self.house
        if house is None or self._stopped is not None:
            return
        settings = load(self._path)
        self._checkRestart(settings)
        if house.tls is not None:
            try:
                house.tls.reload()
            except TLSConfigError as e:
                raise ConfigError([settings.problem("tls", "certificate", str(e))]) from None
        setThreshold(settings.server.logLevel)
        house.adopt(settings)
        await self._listen(settings)
        self.settings = settings
        self._log.info("reloaded {path}", path=settings.path)

    def _checkRestart(self, settings: Settings) -> None:
        """
        Tell what will hold at the next start only.
        """
        old = self.settings
        waiting = [f"[{section}]" for section in _RESTART_ONLY if getattr(old, section) != getattr(settings, section)]
        for section, key, attribute in (
            ("server", "domain", "domain"),
            ("server", "extra_handlers", "extraHandlers"),
            ("muc", "domain", "domain"),
            ("muc", "extra_handlers", "extraHandlers"),
            ("tls", "certificate", "certificate"),
            ("tls", "private_key", "privateKey"),
        ):
            if getattr(getattr(old, section), attribute) != getattr(getattr(settings, section), attribute):
                waiting.append(f"[{section}] {key}")
        if waiting:
            self._log.warn("these changes take effect at the next start: {keys}", keys=", ".join(waiting))

    # Ending

    def stopService(self) -> Deferred[None]:
        """
        End: take nobody in any more, let rooms and streams say goodbye, and put everything on disk. Calling it again
        waits for the same end.
        """
        if self._stopped is None:
            notify(STOPPING)
            super().stopService()  # type: ignore[no-untyped-call]
            self._stopped = Deferred.fromCoroutine(self._stop())
        waiting: Deferred[None] = Deferred()

        def stopped(result: object) -> object:
            if isinstance(result, Failure):
                self._log.failure("The server did not end as it should", result)
            waiting.callback(None)
            return None

        self._stopped.addBoth(stopped)
        return waiting

    async def _stop(self) -> None:
        for port in self.ports.values():
            await maybeDeferred(port.stopListening)
        self.ports.clear()
        house = self.house
        if house is None:
            return
        for domain in (house.chat, house.users):
            await domain.shutDown()
        house.turn.flush()
        await house.streams.closeAll(StreamError("system-shutdown"))
        await DeferredList([store.close() for store in house.stores])
        self._log.info("muccore has ended")


def _withBacklog(endpoint: str) -> str:
    """
    The endpoint with a queue for connections that are not accepted yet: with Twisted's default of 50, most of those
    who come at once, after a restart for example, try again a second later.
    """
    if endpoint.startswith("systemd:") or ":backlog=" in endpoint:
        return endpoint
    return f"{endpoint}:backlog={_BACKLOG}"


def _tuneCollector() -> None:
    """
    What has been made by now stays; and collections over tens of thousands of live sessions, which find nothing, get
    rarer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
