# -*- test-case-name: tests.server.test_service -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.service} and L{muccore.testing.server}."""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import socket
import sys
import time
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogLevel
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.config import plugins
from muccore.config.errors import ConfigError
from muccore.config.load import load
from muccore.interfaces import StoreUnavailable
from muccore.log import eventlog
from muccore.net.connection import BoundedConnection
from muccore.net.transport import OpportunisticConnection
from muccore.server import assembly, service
from muccore.server.service import MUCCoreService
from muccore.server.systemd import READY, STOPPING
from muccore.storage.memory import MemoryAccounts, MemoryOccupants, MemoryRooms
from muccore.storage.memoryaudit import MemoryAudit
from muccore.storage.memorypubsub import MemoryPubSub
from muccore.storage.memoryroster import MemoryRosters
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.storage.sqlite.userdata import SQLiteUserData
from muccore.testing.server import RunningServer, makeSettings, startServer
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.certificates import makeCertificate
from tests.configuration import ENCRYPTED, ConfigurationFile, Logged
from tests.endtoend.clients import RoomClient, bounded, codes, isPresence, logIn
from tests.routing.helpers import FakeStream, xml
from tests.server.test_handlers import Factory, Greeter

CHAT = "conference.localhost"


class ServerTestCase(TestCase):
    """Base class of tests with servers in this process."""

    timeout = 60

    def setUp(self) -> None:
        """Capture the log and the states sent to the service manager."""
        self.logged = Logged(self)
        self.states: list[str] = []
        self.patch(service, "notify", lambda state: self.states.append(state.partition("\n")[0]))

    def server(self, file: ConfigurationFile, tuned: bool = False) -> MUCCoreService:
        """Make a server that is stopped when the test ends."""
        server = MUCCoreService(load(file.path), reactor, tuned)
        self.addCleanup(server.stopService)
        return server

    async def serve(self, file: ConfigurationFile) -> RunningServer:
        """Start a server."""
        server = self.server(file)
        server.startService()
        await server.ready
        return RunningServer(server)

    async def nameOf(self, person: RoomClient) -> str | None:
        """The name of the rooms' domain, as a client gets it by disco."""
        info = await bounded(person.request("get", f"<query xmlns='{ns.DISCO_INFO}'/>", CHAT))
        [identity] = info.iter(f"{{{ns.DISCO_INFO}}}identity")
        return identity.get("name")


class StartTests(ServerTestCase):
    """The start."""

    async def test_serves(self) -> None:
        """Once ready, it accepts clients; the log names the endpoints, and the service manager gets READY."""
        file = ConfigurationFile(self, c2s={"listen": "tcp:0:interface=127.0.0.1\n  tcp:0:interface=127.0.0.2"})
        running = await self.serve(file)
        self.assertTrue(running.server.running)
        romeo = await logIn(self, running.port, "romeo")
        self.assertEqual(await self.nameOf(romeo), "Chat rooms")
        self.assertEqual(self.states, [READY])
        self.assertEqual(
            self.logged.lines(LogLevel.info)[:1],
            [
                "muccore serves localhost on tcp:0:interface=127.0.0.1, tcp:0:interface=127.0.0.2; "
                "rooms are at conference.localhost",
            ],
        )

    async def test_noAccounts(self) -> None:
        """While there are no accounts, the log says how to create one."""
        file = ConfigurationFile(self, auth={"backend": "sqlite:accounts.db"})
        running = await self.serve(file)
        hint = f"there are no accounts yet; create one: muccorectl -c {file.path} adduser NAME@localhost"
        self.assertEqual(self.logged.lines(LogLevel.info)[1:], [hint])
        await running.server.components.hosts[0].accounts.create("romeo@localhost", "secret")
        await running.server.stopService()
        self.logged.events.clear()
        await self.serve(file)
        self.assertNotIn(hint, self.logged.lines(LogLevel.info))

    async def test_transports(self) -> None:
        """Connections have the configured transport: opportunistic or not, with its limits."""
        for word, kind in (("yes", OpportunisticConnection), ("no", BoundedConnection)):
            running = await startServer(
                reactor,
                transport={"opportunistic_writes": word, "outbox_limit": "300 KiB"},
                c2s={"close_timeout": "2 s"},
            )
            self.addCleanup(running.stop)
            await logIn(self, running.port, "romeo")
            assert running.server.components is not None
            [stream] = running.server.components.streams.streams
            transport = stream.transport
            self.assertEqual(isinstance(transport, OpportunisticConnection), kind is OpportunisticConnection)
            self.assertIsInstance(transport, kind)
            self.assertEqual((transport.outboxLimit, transport.closeTimeout), (300 * 1024, 2))

    async def test_ports(self) -> None:
        """The server for tests tells its ports."""
        file = ConfigurationFile(self, c2s=ENCRYPTED)
        running = await self.serve(file)
        self.assertEqual(running.portOf("listen"), running.port)
        person = await logIn(self, running.portOf("direct_tls_listen"), "romeo", direct=True)
        await bounded(person.enter("Romeo"))

    async def assertFails(self, server: MUCCoreService, *places: tuple[str, str]) -> str:
        """
        Check that a server does not start.

        @param places: section and key of each problem. @return: the report.
        """
        server.startService()
        error = await self.assertFailure(server.ready, ConfigError)
        self.assertEqual([(problem.section, problem.key) for problem in error.problems], list(places))
        self.assertEqual(self.logged.lines(LogLevel.critical), str(error).splitlines())
        self.assertNotIn(READY, self.states)
        return str(error)

    async def test_portTaken(self) -> None:
        """A port that was taken after the preflight is reported."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            endpoint = f"tcp:{listening.getsockname()[1]}:interface=127.0.0.1"
            told = await self.assertFails(
                self.server(ConfigurationFile(self, c2s={"listen": endpoint})), ("c2s", "listen")
            )
        self.assertIn(f"cannot listen on {endpoint}: another program listens there", told)

    async def test_certificate(self) -> None:
        """An unusable certificate is reported."""
        file = ConfigurationFile(self, c2s=ENCRYPTED)
        os.remove(file.certificate)
        self.assertIn(file.certificate, await self.assertFails(self.server(file), ("tls", "certificate")))

    async def test_stores(self) -> None:
        """A store that cannot be opened is reported at its option."""
        for section, key, scheme in (
            ("auth", "backend", "sqlite"),
            ("storage", "affiliations", "sqlite"),
            ("storage", "archive", "sqlite"),
            ("storage", "occupants", "file"),
        ):
            self.logged.events.clear()
            given: dict[str, Any] = {"storage": {"affiliations": "memory:"}}
            given.setdefault(section, {})[key] = f"{scheme}:x.db"
            file = ConfigurationFile(self, **given)
            os.mkdir(file.file("x.db"))
            self.assertIn(file.file("x.db"), await self.assertFails(self.server(file), (section, key)))

    async def test_fault(self) -> None:
        """An unexpected error is logged with its traceback."""

        def fault(self: object) -> None:
            raise ZeroDivisionError

        self.patch(assembly.ServerComponents, "_addHandlers", fault)
        server = self.server(ConfigurationFile(self))
        server.startService()
        await self.assertFailure(server.ready, ZeroDivisionError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.states, [])


class IdleReactor:
    """
    A reactor that does not run yet.

    @ivar waiting: what it will do then. @ivar stopped: whether it has been told to stop.
    """

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.stopped = False

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def callWhenRunning(self, function: Any) -> None:
        """Keep it."""
        self.waiting.append(function)

    def stop(self) -> None:
        """Stop."""
        self.stopped = True


class OwnProcessTests(ServerTestCase):
    """A server that owns its process."""

    def setUp(self) -> None:
        """Restore the test's process at the end."""
        super().setUp()
        self.atExit: list[Any] = []
        self.patch(atexit, "register", lambda *call: self.atExit.append(call))
        self.patch(gc, "freeze", lambda: None)
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.err = io.StringIO()
        self.patch(sys, "stderr", self.err)

    async def test_startFails(self) -> None:
        """
        If the start fails before the reactor runs, the problems are on standard error, one line each, the reactor is
        stopped once it runs, and the exit status is 1.
        """
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        file = ConfigurationFile(self, c2s={"listen": f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"})
        waiting = IdleReactor()
        server = MUCCoreService(load(file.path), waiting, True)
        self.addCleanup(server.stopService)
        server.startService()
        await server.ready
        self.assertRegex(self.err.getvalue(), rf"\A{file.path}:\d+: \[c2s\] listen: cannot listen on [^\n]+\n\Z")
        self.assertEqual(self.atExit, [(os._exit, 1)])
        self.assertFalse(waiting.stopped)
        for function in waiting.waiting:
            function()
        self.assertTrue(waiting.stopped)

    async def test_hangUp(self) -> None:
        """SIGHUP reloads; the garbage collector runs more rarely."""
        file = ConfigurationFile(self)
        server = self.server(file, True)
        server.startService()
        await server.ready
        self.assertEqual(gc.get_threshold(), (50_000, 50, 100))
        reloaded: Deferred[None] = Deferred()
        self.patch(server, "reload", lambda: reloaded.callback(None))
        os.kill(os.getpid(), signal.SIGHUP)
        await reloaded

    async def test_fewFiles(self) -> None:
        """
        A file limit too low for the configured connections is logged once, and again when it changes; no more clients
        get in than it says.
        """
        possible = 10
        self.patch(service.rlimits, "raiseFileLimit", lambda wanted: min(possible, wanted))
        server = self.server(ConfigurationFile(self), True)
        server.startService()
        await server.ready
        assert server.components is not None
        limit = server.components.streams.limit
        await server.reload()
        self.assertEqual(limit.total, 10)
        possible = 11
        await server.reload()
        self.assertEqual(limit.total, 11)
        lines = [line for line in self.logged.lines(LogLevel.info) if "clients can be connected" in line]
        self.assertEqual([line.partition(" ")[0] for line in lines], ["10", "11"])

    async def test_stoppedEarly(self) -> None:
        """A server that is stopped during its start has not failed."""
        server = self.server(ConfigurationFile(self, storage={"affiliations": "sqlite:rooms.db"}), True)
        server.startService()
        await server.stopService()
        await server.ready
        self.assertEqual((self.err.getvalue(), self.atExit), ("", []))


class CertificateTests(ServerTestCase):
    """Warnings of certificates that clients reject, or soon will."""

    async def start(self, file: ConfigurationFile, age: int) -> MUCCoreService:
        """Start a server whose calendar is some days ahead."""
        server = MUCCoreService(load(file.path), reactor, seconds=lambda: time.time() + age * 86400)
        self.addCleanup(server.stopService)
        server.startService()
        await server.ready
        return server

    async def test_daily(self) -> None:
        """The warning is logged at the start and once a day."""
        self.patch(service, "CERTIFICATE_CHECK_PERIOD", 0.01)
        file = ConfigurationFile(self, c2s=ENCRYPTED)
        await self.start(file, 20)
        [line, *_] = self.logged.lines(LogLevel.warn)
        self.assertIn(f"{file.certificate}: the certificate expires on ", line)
        while len(self.logged.lines(LogLevel.warn)) < 3:
            await deferLater(reactor, 0.01)
        self.assertEqual(set(self.logged.lines(LogLevel.warn)), {line})

    async def test_reloaded(self) -> None:
        """A reload checks the new certificate; a valid one is not logged."""
        file = ConfigurationFile(self, c2s=ENCRYPTED)
        server = await self.start(file, 0)
        await server.reload()
        self.assertEqual(self.logged.lines(LogLevel.warn), [])
        makeCertificate(file.folder, ["example.net"])
        await server.reload()
        [line] = self.logged.lines(LogLevel.warn)
        self.assertIn("is for example.net, not for localhost", line)


class ReloadTests(ServerTestCase):
    """Reloading the configuration."""

    async def test_applied(self) -> None:
        """
        The new configuration applies at once, streams continue, and the service manager is notified of begin and end.
        """
        file = ConfigurationFile(self)
        running = await self.serve(file)
        romeo = await logIn(self, running.port, "romeo")
        file.configure(muc={"name": "Verona"}, server={"log_level": "warn"})
        await running.server.reload()
        self.assertEqual(await self.nameOf(romeo), "Verona")
        self.assertEqual(self.states, [READY, "RELOADING=1", READY])
        self.assertEqual(running.server.settings.muc.name, "Verona")
        # The new threshold is above this.
        self.assertNotIn("reloaded", "".join(self.logged.lines(LogLevel.info)))
        file.configure(server={"log_level": "info"})
        await running.server.reload()
        self.assertEqual(self.logged.lines(LogLevel.info)[-1], f"reloaded {file.path}")

    async def test_elsewhere(self) -> None:
        """The file is found after a change of the current folder."""
        file = ConfigurationFile(self)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(file.folder)
        server = MUCCoreService(load("server.cfg"), reactor)
        self.addCleanup(server.stopService)
        server.startService()
        await server.ready
        os.chdir(before)
        file.configure(muc={"name": "Verona"})
        await server.reload()
        self.assertEqual(server.settings.muc.name, "Verona")

    async def test_ports(self) -> None:
        """New endpoints are opened and removed ones closed; their connections continue."""
        file = ConfigurationFile(self)
        running = await self.serve(file)
        romeo = await logIn(self, running.port, "romeo")
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        file.configure(c2s={"listen": f"tcp:{port}:interface=127.0.0.1"})
        await running.server.reload()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port))
        await logIn(self, port, "juliet")
        await romeo.ping("localhost")

    async def assertNotReloaded(self, running: RunningServer, person: RoomClient, *words: str) -> None:
        """
        Check that a reload is refused and changes nothing.

        @param words: what is told, a line each.
        """
        settings = running.server.settings
        assert running.server.listeners is not None
        ports = dict(running.server.listeners.ports)
        self.states.clear()
        await running.server.reload()
        lines = self.logged.lines(LogLevel.error)
        self.assertEqual(len(lines), len(words), lines)
        for line, word in zip(lines, words, strict=True):
            self.assertTrue(line.startswith("not reloaded: "), line)
            self.assertIn(word, line)
        self.assertEqual(self.states, ["RELOADING=1", READY])
        self.assertIs(running.server.settings, settings)
        self.assertEqual(running.server.listeners.ports, ports)
        self.assertEqual(await self.nameOf(person), "Chat rooms")
        await logIn(self, running.port, "paris")

    async def test_mistakes(self) -> None:
        """An invalid configuration changes nothing; each problem is logged."""
        file = ConfigurationFile(self)
        running = await self.serve(file)
        romeo = await logIn(self, running.port, "romeo")
        file.configure(muc={"name": "Verona", "historie": "1"}, limits={"depth": "1"})
        await self.assertNotReloaded(running, romeo, "[muc] historie", "[limits] depth")

    async def test_noFile(self) -> None:
        """A missing configuration changes nothing."""
        file = ConfigurationFile(self)
        running = await self.serve(file)
        romeo = await logIn(self, running.port, "romeo")
        os.remove(file.path)
        await self.assertNotReloaded(running, romeo, "cannot be read")

    async def test_portTaken(self) -> None:
        """If a port cannot be opened, nothing of the new configuration applies."""
        file = ConfigurationFile(self)
        running = await self.serve(file)
        romeo = await logIn(self, running.port, "romeo")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
            file.configure(c2s={"listen": f"tcp:0:interface=127.0.0.2\n  {endpoint}"}, muc={"name": "Verona"})
            await self.assertNotReloaded(running, romeo, f"cannot listen on {endpoint}")

    async def test_badCertificate(self) -> None:
        """If the certificate is unusable, nothing of the new configuration applies, and the old one stays in use."""
        file = ConfigurationFile(self, c2s=ENCRYPTED)
        running = await self.serve(file)
        romeo = await logIn(self, running.port, "romeo")
        with open(file.certificate, "w") as certificate:
            certificate.write("nothing")
        file.configure(muc={"name": "Verona"})
        await self.assertNotReloaded(running, romeo, f"{file.certificate}: is not a PEM file of certificates")

    async def test_fault(self) -> None:
        """An unexpected error is logged with its traceback, and the service manager gets the end of the reload."""
        running = await self.serve(ConfigurationFile(self))

        def fault(path: str) -> None:
            raise ZeroDivisionError

        self.patch(service, "load", fault)
        await running.server.reload()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.states, [READY, "RELOADING=1", READY])

    def serialOf(self, person: RoomClient) -> int:
        """The serial number of the certificate that a client was shown."""
        transport: Any = person.transport
        serial: int = transport.getPeerCertificate().get_serial_number()
        return serial

    async def test_certificate(self) -> None:
        """
        New connections get the new certificate, whether its files were changed or renamed; existing ones continue.
        """
        file = ConfigurationFile(self, c2s=ENCRYPTED)
        running = await self.serve(file)
        people = [await logIn(self, running.port, "romeo")]
        file.certify()
        await running.server.reload()
        people.append(await logIn(self, running.port, "juliet"))
        for name in ("certificate.pem", "key.pem"):
            os.rename(file.file(name), file.file(f"other-{name}"))
        old = file.sections["tls"]
        renamed = {key: f"other-{name}" for key, name in old.items()}
        file.certify()
        file.configure(tls=renamed)
        await running.server.reload()
        people.append(await logIn(self, running.port, "paris"))
        file.configure(tls={"certificate": "certificate.pem", "private_key": "key.pem"})
        await running.server.reload()
        people.append(await logIn(self, running.portOf("direct_tls_listen"), "tybalt", direct=True))
        serials = [self.serialOf(person) for person in people]
        self.assertEqual(serials[1], serials[2])
        self.assertEqual(len(set(serials)), 3)
        for person in people:
            await person.ping("localhost")
        self.assertEqual(self.logged.lines(LogLevel.warn), [])

    async def test_firstCertificate(self) -> None:
        """A server without TLS can be reloaded to use it."""
        file = ConfigurationFile(self)
        running = await self.serve(file)
        romeo = await logIn(self, running.port, "romeo")
        file.certify()
        file.configure(c2s=ENCRYPTED)
        await running.server.reload()
        await logIn(self, running.port, "juliet", tls=True)
        await logIn(self, running.portOf("direct_tls_listen"), "paris", direct=True)
        await romeo.ping("localhost")

    async def test_restart(self) -> None:
        """Exactly the changes that need a restart are logged, and do not apply."""
        self.patch(plugins, "getPlugins", lambda _: [Factory("greeter", lambda context: Greeter())])
        file = ConfigurationFile(self, **{"host example.net": {}})
        running = await self.serve(file)
        romeo = await logIn(self, running.port, "romeo")
        file.configure(
            server={"domain": "example.org", "name": "Verona", "extra_handlers": "greeter"},
            transport={"outbox_limit": "1 MiB"},
            auth={"backend": "memory:"},
            storage={"affiliations": "sqlite:rooms.db"},
            muc={"domain": "rooms.example.org", "name": "Verona"},
            users={"archive": "no", "archive_messages": "1"},
            http={"bosh_path": "/bosh"},
            **{"handler:greeter": {"word": "Good day"}, "host example.net": {"extra_handlers": "greeter"}},
        )
        await running.server.reload()
        [line] = self.logged.lines(LogLevel.warn)
        self.assertEqual(
            line,
            "these changes take effect at the next start: [transport], [auth], [storage], [server] domain, "
            "[server] extra_handlers, [users] archive, [http] bosh_path, [muc] domain, "
            "[host example.net] extra_handlers, [handler:greeter]",
        )
        self.assertEqual(await self.nameOf(romeo), "Verona")
        await logIn(self, running.port, "juliet")

    async def test_together(self) -> None:
        """A second reload waits for the first, and both are carried out."""
        file = ConfigurationFile(self)
        running = await self.serve(file)
        assert running.server.listeners is not None
        file.configure(c2s={"listen": "tcp:0:interface=127.0.0.2"})
        first = running.server.reload()
        file.configure(c2s={"listen": "tcp:0:interface=127.0.0.3"})
        await running.server.reload()
        self.assertTrue(first.called)
        [(_, _, endpoint)] = running.server.listeners.ports
        self.assertEqual(endpoint, "tcp:0:interface=127.0.0.3")
        self.assertEqual(len([line for line in self.logged.lines(LogLevel.info) if line.startswith("reloaded")]), 2)

    async def test_whenItDoesNotServe(self) -> None:
        """Before the start and during the end, a reload does nothing and notifies nobody."""
        server = self.server(ConfigurationFile(self, storage={"affiliations": "sqlite:rooms.db"}))
        await server.reload()
        server.startService()
        await server.reload()
        self.assertEqual(self.states, [])
        await server.ready
        stopping = server.stopService()
        await server.reload()
        await stopping
        self.assertEqual(self.states, [READY, STOPPING])


class StopTests(ServerTestCase):
    """The end."""

    async def test_ends(self) -> None:
        """Rooms and streams are closed with their final stanzas, then ports and stores."""
        running = await self.serve(ConfigurationFile(self))
        romeo = await logIn(self, running.port, "romeo")
        await bounded(romeo.enter("Romeo"))
        made = running.server.components
        assert made is not None
        closed: list[object] = []
        for _, store in made.stores.all:
            close = store.close
            self.patch(store, "close", lambda store=store, close=close: closed.append(store) or close())
        await running.stop()
        self.assertEqual(closed, [store for _, store in made.stores.all])
        self.assertFalse(running.server.running)
        await romeo.closed()
        self.assertEqual(romeo.lost, "stream error system-shutdown")
        self.assertEqual([element for element in romeo.stanzas if isPresence(element)], [])
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port))
        self.assertEqual(self.states, [READY, STOPPING])
        self.assertEqual(self.logged.lines(LogLevel.info)[-1], "muccore has ended")

    async def test_final(self) -> None:
        """If the server ends for good, occupants are told (332)."""
        running = await self.serve(ConfigurationFile(self))
        romeo = await logIn(self, running.port, "romeo")
        await bounded(romeo.enter("Romeo"))
        running.server.final = True
        await running.stop()
        await romeo.closed()
        [goodbye] = [element for element in romeo.stanzas if isPresence(element)]
        self.assertEqual((goodbye.get("type"), codes(goodbye)), ("unavailable", {110, 332}))

    async def test_unacknowledged(self) -> None:
        """What clients have not acknowledged at the end is stored for later before the stores are closed."""
        accounts = ConfigurationFile(self).file("accounts.db")
        file = ConfigurationFile(
            self, auth={"backend": f"sqlite:{accounts}"}, storage={"userdata": f"sqlite:{accounts}-data"}
        )
        running = await self.serve(file)
        made = running.server.components
        assert made is not None
        [host] = made.hosts
        await cast(Any, host.accounts).create("juliet@localhost", "secret")
        juliet = made.sessions.bind(parse("juliet@localhost"), "a", FakeStream())
        juliet.enableManagement(False, None)
        for number in range(50):
            message = xml(f"<message from='romeo@localhost/a' type='chat' id='{number}'><body>hi</body></message>")
            juliet.deliver(Rendered.of(message), toAttribute("juliet@localhost/a"))
        running.server.final = True
        self.patch(made.streams, "closeAll", lambda error: juliet.end())
        await running.stop()
        store = SQLiteUserData(FilePath(f"{accounts}-data"), reactor)
        await store.open()
        self.addCleanup(store.close)
        self.assertEqual(len(await store.keys("juliet@localhost", "offline")), 50)

    async def test_suppressedEvents(self) -> None:
        """The count of suppressed events is logged after a minute without another event, and at the end."""
        clock = Clock()
        self.patch(eventlog, "limit", eventlog.RateLimit(clock.seconds))
        self.patch(eventlog, "PERIOD", 0.01)

        def crowd() -> None:
            for _ in range(eventlog.LINE_LIMIT + 1):
                eventlog.ROOM_CREATED.log("romeo@localhost", room="orchard")

        running = await self.serve(ConfigurationFile(self))
        crowd()
        clock.advance(1)
        expected = "events-suppressed from romeo@localhost: 1 more room-created in the last minute were not logged"
        while expected not in self.logged.lines(LogLevel.info):
            await deferLater(reactor, 0.01)
        crowd()
        await running.stop()
        self.assertEqual(self.logged.lines(LogLevel.info)[-2:], [expected, "muccore has ended"])

    async def test_twice(self) -> None:
        """Stopping again, before or after the end, waits for the same end."""
        running = await self.serve(ConfigurationFile(self))
        await logIn(self, running.port, "romeo")
        first = running.stop()
        second = running.stop()
        self.assertFalse(first.called or second.called)
        await first
        await second
        await running.stop()
        self.assertEqual(self.states, [READY, STOPPING])

    async def test_whileStarting(self) -> None:
        """A server stopped while it opens its stores never accepts clients, and closes what it opened."""
        server = self.server(
            ConfigurationFile(self, auth={"backend": "sqlite:x.db"}, storage={"affiliations": "sqlite:x.db"})
        )
        server.startService()
        stopping = server.stopService()
        failing = self.assertFailure(server.ready, CancelledError)
        await stopping
        await failing
        self.assertIsNone(server.listeners)
        self.assertEqual(self.states, [STOPPING])
        self.assertEqual(self.logged.lines(LogLevel.critical), [])
        assert server.components is not None
        stores = server.components.stores
        [accounts] = stores.manageable()
        for answer in (accounts.users(), stores.rooms.load("x@y")):
            await self.assertFailure(answer, StoreUnavailable)

    async def test_neverStarted(self) -> None:
        """A server that was never started can be stopped."""
        await MUCCoreService(makeSettings(), reactor).stopService()

    async def test_afterFailure(self) -> None:
        """A server that could not start can be stopped, and releases what it had opened."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            free = "tcp:0:interface=127.0.0.1"
            endpoint = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
            server = self.server(ConfigurationFile(self, c2s={"listen": f"{free}\n  {endpoint}"}))
            server.startService()
            await self.assertFailure(server.ready, ConfigError)
        assert server.listeners is not None
        self.assertEqual(server.listeners.ports, {})
        await server.stopService()

    async def test_stepsFail(self) -> None:
        """A failing step of the end is logged, and the others are done."""
        running = await self.serve(ConfigurationFile(self, auth={"backend": "memory:"}))
        made = running.server.components
        assert made is not None
        [host] = made.hosts
        endRooms = host.mucDomains[0].shutDown
        self.patch(host.mucDomains[0], "shutDown", lambda final: endRooms(final).addCallback(lambda _: 1 // 0))
        self.patch(host.userDomain, "shutDown", lambda final: 1 // 0)
        self.patch(host.accounts, "close", lambda: fail(ZeroDivisionError()))
        closed = []
        self.patch(made.stores.rooms, "close", lambda: closed.append(True))
        await running.stop()
        self.assertEqual(closed, [True])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port))

    async def test_stores(self) -> None:
        """The stores are those of the configuration."""
        running = await self.serve(ConfigurationFile(self, auth={"backend": "memory:"}))
        made = running.server.components
        assert made is not None
        kinds = [MemoryAccounts, MemoryRooms, MemoryOccupants, MemoryAudit, MemoryRosters, MemoryUserData, MemoryPubSub]
        self.assertEqual([type(store) for _, store in made.stores.all], kinds)
