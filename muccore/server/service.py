# -*- test-case-name: tests.server.test_service -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The Twisted service: start, reload and end of a server."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, FirstError, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from muccore.config.endpoints import endpointsOf
from muccore.config.errors import ConfigError
from muccore.config.load import load
from muccore.config.schema import HANDLER_SECTION, Settings
from muccore.im.userdomain import UserDomain
from muccore.interfaces import StoreError, StoreUnavailable
from muccore.log import eventlog
from muccore.log.logger import Logger, setThreshold
from muccore.net import transport
from muccore.net.certificatecheck import findProblems, isExposed, isForDomain
from muccore.net.polling import dispatchDirectly
from muccore.server import preflight, rlimits
from muccore.server.assembly import ServerComponents
from muccore.server.control import Control
from muccore.server.controloperations import operations
from muccore.server.listeners import Listeners
from muccore.server.monotonictime import useMonotonicTime
from muccore.server.peerpolicy import makePolicy
from muccore.server.systemd import READY, STOPPING, notify, reloading
from muccore.xmpp.errors import StreamError

_RESTART_ONLY: Final = ("transport", "auth", "storage")
"""Sections whose changes need a restart."""

_HOST_RESTART_ONLY: Final = {
    "accounts": "accounts",
    "anonymous": "anonymous",
    "muc": "muc",
    "extra_handlers": "extraHandlers",
    "muc_extra_handlers": "mucExtraHandlers",
}
"""Keys of C{[host NAME]} whose changes need a restart, with their attributes."""

RESTART_STATUS: Final = 75
"""The exit status with which a service manager is to start the server again (C{EX_TEMPFAIL} of sysexits.h)."""

CERTIFICATE_CHECK_PERIOD: Final = 24 * 60 * 60
"""Seconds between checks of the certificates."""


class MUCCoreService(Service):
    """
    One server.

    @ivar settings: the configuration in force.
    @ivar components: its parts; C{None} before the start.
    @ivar listeners: its ports; C{None} before the start.
    @ivar ready: fires once it accepts clients, or fails with the reason why it cannot.
    @ivar final: whether the end is one for good, which handlers tell those they serve; SIGUSR1 sets it.
    """

    name = "muccore"
    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        reactor: Any,
        ownsProcess: bool = False,
        seconds: Callable[[], float] = time.time,
        announce: Callable[[Settings, bool], object] | None = None,
    ) -> None:
        """
        @param ownsProcess: whether to handle SIGHUP, SIGINT and SIGUSR1, tune the garbage collector, and end the
            process if the start fails.
        @param seconds: returns the time since the epoch, for the dates of certificates.
        @param announce: called once the server accepts clients, with the settings and whether there are no accounts;
            by default it logs.
        """
        self._time = seconds
        self._announce = announce or self._logServing
        useMonotonicTime(reactor)
        self.settings = settings
        self.reactor = reactor
        self.components: ServerComponents | None = None
        self._control = Control(settings, reactor)
        self.listeners: Listeners | None = None
        self.ready: Deferred[None] = Deferred()
        self.final = False
        self._ownsProcess = ownsProcess
        # twistd may change the folder before the configuration is reread.
        self._path = os.path.abspath(settings.path)
        self._serving = False
        self._lifecycleLock = DeferredLock()
        self._stopped: Deferred[None] | None = None
        self._reporting = LoopingCall(lambda: eventlog.limit.expire())
        self._reporting.clock = reactor
        self._certificateCheck = LoopingCall(self._checkCertificates)
        self._certificateCheck.clock = reactor
        self._possibleConnections: int | None = None

    # Starting

    def startService(self) -> None:
        """Begin to start; L{ready} tells the outcome."""
        super().startService()  # type: ignore[no-untyped-call]
        setThreshold(self.settings.server.logLevel)
        if self._ownsProcess:
            signal.signal(signal.SIGHUP, lambda *_: self.reactor.callFromThread(self.reload))
            # Twisted's own handler raises an error on a second Ctrl-C.
            signal.signal(signal.SIGINT, self._interrupted)
            signal.signal(signal.SIGUSR1, self._interrupted)
        starting = self._whenIdle(self._start)
        starting.addErrback(self._startFailed)
        starting.chainDeferred(self.ready)
        if self._ownsProcess:
            self.ready.addErrback(self._exitWithError)

    def _whenIdle(self, step: Callable[[], Coroutine[Any, Any, None]]) -> Deferred[None]:
        """Start, reload or end, once the previous one of these is done."""
        return cast("Deferred[None]", self._lifecycleLock.run(lambda: Deferred.fromCoroutine(step())))

    def _interrupted(self, number: int, _: object) -> None:
        self.final = number == signal.SIGUSR1
        for each in (signal.SIGINT, signal.SIGUSR1):
            signal.signal(each, signal.SIG_IGN)
        self.reactor.callFromThread(self.reactor.stop)

    def _stopByCommand(self, restart: bool) -> None:
        """End the process, as an admin wants; a service manager starts it again if it has failed."""
        self.final = not restart
        if restart:
            # As in _exitWithError.
            atexit.register(os._exit, RESTART_STATUS)
        self.reactor.stop()

    async def _start(self) -> None:
        components = self.components = ServerComponents(self.settings, self.reactor)
        await self._control.takeLock()
        await components.open()
        if self._stopped is not None:
            raise CancelledError()
        self.listeners = Listeners(self.reactor, components.factories, self._installTransport)
        await self.listeners.reconfigure(self.settings)
        self._control.listen(operations(components))
        if self._ownsProcess:
            components.administration.stopProcess = self._stopByCommand
            components.administration.canRestart = "INVOCATION_ID" in os.environ
        self._raiseFileLimit()
        if self._ownsProcess:
            _tuneCollector()
            dispatchDirectly(self.reactor)
        self._serving = True
        self._reporting.start(eventlog.PERIOD, now=False)
        self._certificateCheck.start(CERTIFICATE_CHECK_PERIOD)
        self._announce(self.settings, await self._needsAccounts())
        notify(READY)

    def _installTransport(self, port: IListeningPort, settings: Settings) -> None:
        components = self.components
        assert components is not None
        opportunistic, limit = settings.transport.opportunisticWrites, settings.transport.outboxLimit
        outboxes = components.outboxes
        cls = transport.transportClass(components.flusher, opportunistic, limit, settings.c2s.closeTimeout, outboxes)
        transport.installOnPort(port, cls)

    def _checkCertificates(self) -> None:
        """Warn of certificates that clients refuse, or soon will, and of keys and secrets that others can read."""
        now = datetime.fromtimestamp(self._time(), UTC)
        problems: dict[tuple[str, str], None] = {}
        exposed: dict[str, None] = {}
        for host in () if self.components is None else self.components.hosts:
            if host.tls is None:
                continue
            path = host.tls.certificatePath
            problems.update({(path, problem): None for problem in findProblems(host.tls.certificate, host.domain, now)})
            for domain in host.mucDomains if self.settings.s2s.isEnabled else ():
                if not isForDomain(host.tls.certificate, domain.name, True):
                    problems[path, f"the certificate is not for {domain.name}; other servers may refuse it"] = None
            if isExposed(host.tls.keyPath):
                exposed[host.tls.keyPath] = None
        for path, problem in problems:
            self._log.warn("{path}: {problem}", path=path, problem=problem)
        for path in exposed:
            self._log.warn("{path}: every user of this machine can read this private key; chmod o-r {path}", path=path)
        hasSecrets = self.settings.named["component"] or self.settings.external_services.secret
        if hasSecrets and isExposed(self._path):
            text = "{path}: every user of this machine can read the secrets in it; chmod o-r {path}"
            self._log.warn(text, path=self._path)

    def _raiseFileLimit(self) -> None:
        if not self._ownsProcess:
            return
        wanted = self.settings.limits.connections
        # Streams of other servers, and to them: a quarter at most, if there are too few for all.
        others = 2 * self.settings.s2s.connections if self.settings.s2s.isEnabled else 0
        possible = rlimits.raiseFileLimit(wanted + others)
        possible = min(wanted, possible - min(others, possible // 4))
        if self.components is not None:
            # What the databases and logs need stays free.
            self.components.streams.limit.total = possible
        if possible < wanted and possible != self._possibleConnections:
            self._possibleConnections = possible
            self._log.info(
                "{possible} clients can be connected, not {wanted}: raise the limit of open files (LimitNOFILE) "
                "or lower [limits] connections",
                possible=possible,
                wanted=wanted,
            )

    async def _needsAccounts(self) -> bool:
        """Whether there are no accounts yet and C{muccorectl} can create them."""
        stores = [] if self.components is None else list(self.components.stores.manageable())
        try:
            return bool(stores) and not any([await store.users() for store in stores])
        except StoreUnavailable:
            # Not known yet; the log says why.
            return False

    def _logServing(self, settings: Settings, needsAccounts: bool) -> None:
        self._log.info(
            "muccore serves {domain} on {endpoints}; rooms are at {rooms}",
            domain=", ".join(host.domain for host in settings.hosts),
            endpoints=", ".join(endpoint for _, _, endpoint in endpointsOf(settings)),
            rooms=", ".join(service for host in settings.hosts for service in host.roomServices),
        )
        if needsAccounts:
            self._log.info(
                "there are no accounts yet; create one: muccorectl -c {path} adduser NAME@{domain}",
                path=self._path,
                domain=settings.server.domain,
            )

    def _startFailed(self, failure: Failure) -> Failure:
        """Log the failure in lines for the operator."""
        error = failure.value
        if isinstance(error, FirstError) and self.components is not None:
            failure, (place, _) = error.subFailure, self.components.stores.all[error.index]
            error = failure.value
            if isinstance(error, StoreError):
                error = ConfigError([self.settings.problem(*place, str(error))])
                failure = Failure(error)
        if isinstance(error, CancelledError):
            # It was stopped during the start; nothing is wrong.
            return failure
        if isinstance(error, ConfigError):
            for problem in error.problems:
                self._log.critical("{problem}", problem=problem)
        elif isinstance(error, StoreError):
            self._log.critical("{error}", error=str(error))
        else:
            self._log.failure("The server cannot start", failure)
        return failure

    def _exitWithError(self, failure: Failure) -> None:
        """End the process with status 1."""
        if failure.check(CancelledError) is not None:
            return
        print(failure.getErrorMessage(), file=sys.stderr, flush=True)
        # twistd cannot set an exit status; do it at exit, after it has removed its pid file.
        atexit.register(os._exit, 1)
        # The reactor may not run yet.
        self.reactor.callWhenRunning(self.reactor.stop)

    # Reloading

    def reload(self) -> Deferred[None]:
        """Reread configuration and certificates, ending no stream. If they have errors, log those only."""
        if not self._serving:
            # A starting server has just read it, an ending one needs it no more.
            return succeed(None)
        notify(reloading())

        def failed(failure: Failure) -> None:
            if isinstance(failure.value, ConfigError):
                for problem in failure.value.problems:
                    self._log.error("not reloaded: {problem}", problem=problem)
            else:
                self._log.failure("not reloaded", failure)

        def done(_: object) -> None:
            if self._serving:
                notify(READY)

        return self._whenIdle(self._reload).addErrback(failed).addBoth(done)

    async def _reload(self) -> None:
        components, listeners = self.components, self.listeners
        if components is None or listeners is None or not self._serving:
            return
        settings = load(self._path)
        preflight.checkHandlers(settings, self.reactor)
        certificates = preflight.loadCertificates(settings)
        makePolicy(settings)
        # From here on only the ports can fail, which restores them.
        closeOthers = await listeners.reconfigure(settings)
        components.reconfigure(settings, certificates)
        setThreshold(settings.server.logLevel)
        self._checkRestart(settings)
        self.settings = settings
        self._raiseFileLimit()
        await closeOthers()
        self._certificateCheck.reset()
        self._checkCertificates()
        self._log.info("reloaded {path}", path=settings.path)

    def _checkRestart(self, settings: Settings) -> None:
        """Log which changes need a restart."""
        old = self.settings
        waiting = [f"[{section}]" for section in _RESTART_ONLY if getattr(old, section) != getattr(settings, section)]
        for section, key, attribute in (
            ("server", "domain", "domain"),
            ("server", "extra_handlers", "extraHandlers"),
            ("users", "archive", "archive"),
            ("server", "control_socket", "controlSocket"),
            ("http", "bosh_path", "boshPath"),
            ("upload", "store", "store"),
            ("muc", "domain", "domain"),
            ("muc", "extra_handlers", "extraHandlers"),
        ):
            if getattr(getattr(old, section), attribute) != getattr(getattr(settings, section), attribute):
                waiting.append(f"[{section}] {key}")
        for domain in sorted(old.named["host"].keys() | settings.named["host"].keys()):
            before, after = (each.named["host"].get(domain) for each in (old, settings))
            if before is None or after is None:
                waiting.append(f"[host {domain}]")
                continue
            waiting += [
                f"[host {domain}] {key}"
                for key, attribute in _HOST_RESTART_ONLY.items()
                if getattr(before, attribute) != getattr(after, attribute)
            ]
        for name in sorted(old.handlers.keys() | settings.handlers.keys()):
            if old.handlers.get(name) != settings.handlers.get(name):
                waiting.append(f"[{HANDLER_SECTION}{name}]")
        if waiting:
            self._log.warn("these changes take effect at the next start: {keys}", keys=", ".join(waiting))

    # Ending

    def stopService(self) -> Deferred[None]:
        """End ports, rooms, streams and stores, in this order. Idempotent: every call waits for the same end."""
        if self._stopped is None:
            notify(STOPPING)
            super().stopService()  # type: ignore[no-untyped-call]
            self._serving = False
            # Set first, so that a start or reload in progress notices.
            self._stopped = Deferred()
            self._whenIdle(self._stop).chainDeferred(self._stopped)
        waiting: Deferred[None] = Deferred()
        self._stopped.addCallback(waiting.callback)
        return waiting

    async def _stop(self) -> None:
        components, listeners = self.components, self.listeners
        if listeners is not None:
            await self._try(listeners.closeAll)
        self._control.close()
        if components is None:
            return
        components.administration.shutDown()
        if components.uploads is not None:
            components.uploads.stop()
        sessions = components.sessions
        if self.final:
            sessions.resumptions.endAll()
        await self._try(sessions.endings.finishAll)
        if self.final:
            await self._try(sessions.redelivery.flush)
        else:
            # First: rooms must not tell clients that they are outside, and those who resume send again what comes now.
            sessions.suspendAll()
        domains = [domain for host in components.hosts for domain in host.domains]
        # First the rooms, while their occupants are there.
        for domain in sorted(domains, key=lambda domain: isinstance(domain, UserDomain)):
            await self._try(partial(domain.shutDown, self.final))
        await self._try(components.flusher.flush)
        if not self.final:
            # What sessions that have ended leave to others is saved with these.
            await self._try(sessions.redelivery.flush)
            await self._try(components.saveSessions)
        for factory in (components.streams, components.external.streams):
            await self._try(partial(factory.closeAll, StreamError("system-shutdown")))
        await self._try(components.federation.closeAll)
        await self._try(sessions.endings.finishAll)
        for host in components.hosts:
            await self._try(partial(host.handlers.finished, sessions.redelivery.flush))
        await self._try(components.site.closeAll)
        for _, store in components.stores.all:
            await self._try(store.close)
        self._control.release()
        for call in (self._reporting, self._certificateCheck):
            if call.running:
                call.stop()
        eventlog.limit.expire(everything=True)
        self._log.info("muccore has ended")

    async def _try(self, step: Callable[[], Any]) -> None:
        """Do one step of the end; log a failure, so that the next steps are still done."""
        try:
            await maybeDeferred(step)
        except Exception:
            self._log.failure("cannot shut down cleanly")


def _tuneCollector() -> None:
    """
    Tune the garbage collector: exempt the objects of the start, and make full collections rarer, since they find
    nothing among tens of thousands of live sessions.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
