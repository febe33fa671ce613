# Copyright (c) The muccore authors. See LICENSE for details.
"""A server whose disk is full, whose database is locked, or whose PostgreSQL is started late; all of them real."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ClassVar

from lxml import etree
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from muccore.xmpp import ns
from tests.configuration import ENVIRONMENT
from tests.endtoend.clients import RoomClient, bodyOf, bounded, logIn
from tests.endtoend.serverprocess import CLEAN, ServerProcess
from tests.storage.postgres import USER, Server, missing

_TRACEBACK = "Traceback"

_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""
"""A process that locks a database until its input ends."""


def outcome(answer: etree._Element) -> str:
    """The type of an answer; of an error, its condition and type."""
    error = answer.find(f"{{{ns.CLIENT}}}error")
    return str(answer.get("type")) if error is None else f"{etree.QName(error[0]).localname} {error.get('type')}"


REFUSED = "internal-server-error wait"


class FaultyDiskTestCase(TestCase):
    """A server that stores everything in SQLite, and a room of Romeo's, with Juliet in it."""

    timeout = 240

    folder: ClassVar[str] = ""

    async def setUp(self) -> None:
        """Start it."""
        storage = {"affiliations": f"sqlite:{self.folder}muccore.db", "archive": f"sqlite:{self.folder}archive.db"}
        self.server = ServerProcess(self, storage=storage, muc={"default_archive": "yes"})
        await self.prepare()
        await self.server.start()
        self.romeo, self.juliet = [await logIn(self, self.server.port, name) for name in ("romeo", "juliet")]
        await bounded(self.romeo.enter("Romeo"))
        await bounded(self.romeo.configure(persistentroom="1"))
        await bounded(self.juliet.enter("Juliet"))

    async def prepare(self) -> None:
        """Prepare the place of the databases."""

    async def affiliate(self, name: str) -> str:
        """Let Romeo make somebody a member; return the outcome."""
        item = f"<item jid='{name}@localhost' affiliation='member'/>"
        answer = await bounded(self.romeo.request("set", f"<query xmlns='{ns.MUC_ADMIN}'>{item}</query>"))
        return outcome(answer)

    async def ask(self, client: RoomClient, payload: str) -> str:
        """Send a request to the account itself; return the outcome."""
        return outcome(await bounded(client.request("set", payload, client.full.partition("/")[0])))

    async def changes(self) -> list[str]:
        """Change what is in several stores; return the outcomes."""
        return [
            await self.affiliate("mercutio"),
            await self.ask(self.juliet, f"<query xmlns='{ns.ROSTER}'><item jid='nurse@localhost'/></query>"),
            await self.ask(
                self.juliet, f"<query xmlns='{ns.PRIVATE}'><storage xmlns='storage:bookmarks'><a/></storage></query>"
            ),
        ]

    async def talk(self) -> None:
        """The room goes on: Romeo says something, and Juliet hears it."""
        self.romeo.sendToRoom("still here")
        await bounded(self.juliet.until(lambda e: bodyOf(e) == "still here"))

    async def checkFault(self, begin: Callable[[], Any], end: Callable[[], Any], advice: str) -> None:
        """
        Changes are refused while there is a fault, and the room goes on; afterwards they are made, by themselves, and
        are there after another start.

        @param begin: causes the fault.
        @param end: ends it.
        @param advice: what the log says.
        """
        begin()
        self.assertEqual(set(await self.changes()), {REFUSED})
        await self.talk()
        end()
        self.assertEqual(set(await self.changes()), {"result"})
        await self.talk()
        self.assertIn(advice, self.server.output)
        self.assertNotIn(_TRACEBACK, self.server.output)
        self.assertEqual(await self.server.stop(), CLEAN)
        await self.server.start()
        self.romeo = await logIn(self, self.server.port, "romeo")
        await bounded(self.romeo.enter("Romeo"))
        self.assertEqual(await bounded(self.romeo.affiliates("member")), {"mercutio@localhost"})


class LimitedTests(FaultyDiskTestCase):
    """The kernel refuses to make files larger."""

    async def test_limited(self) -> None:
        """See L{checkFault}."""
        pid = self.server.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        await self.checkFault(
            lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1])),
            lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, before),
            "check the disk",
        )


class FullTests(FaultyDiskTestCase):
    """A file system that is full; where a test may mount one."""

    folder = "disk/"

    async def prepare(self) -> None:
        """Mount it."""
        self.disk = self.server.file("disk")
        os.mkdir(self.disk)
        mounting = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", self.disk], capture_output=True, check=False
        )  # fmt: skip
        if mounting.returncode:
            raise SkipTest("no file system may be mounted here")
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)

    def fill(self) -> None:
        """Fill it."""
        with open(os.path.join(self.disk, "rubbish"), "wb", buffering=0) as file:
            size = 65536
            while size:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2

    async def test_full(self) -> None:
        """See L{checkFault}."""
        await self.checkFault(self.fill, lambda: os.unlink(os.path.join(self.disk, "rubbish")), "free some space")


class LockedTests(FaultyDiskTestCase):
    """Another process has locked the database."""

    def lock(self) -> None:
        """Begin that."""
        command = [sys.executable, "-c", _LOCK, self.server.file("muccore.db")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)
        self.addCleanup(self.release)
        assert self.process.stdout is not None
        self.assertEqual(self.process.stdout.readline(), b"locked\n")

    def release(self) -> None:
        """End it."""
        self.process.communicate()

    async def changes(self) -> list[str]:
        """As above; while one of them waits for the lock, others log in and enter."""
        item = "<item jid='mercutio@localhost' affiliation='member'/>"
        changing = bounded(self.romeo.request("set", f"<query xmlns='{ns.MUC_ADMIN}'>{item}</query>"))
        nurse = await logIn(self, self.server.port, "nurse")
        self.assertEqual(
            outcome(await bounded(nurse.request("get", f"<query xmlns='{ns.ROSTER}'/>", "nurse@localhost"))), "result"
        )
        self.assertIsNone((await bounded(nurse.enter("nurse"))).get("type"))
        self.assertEqual(changing.called, self.process.poll() is not None)
        nurse.abort()
        return [outcome(await changing)]

    async def test_locked(self) -> None:
        """See L{checkFault}."""
        await self.checkFault(self.lock, self.release, "locked by another process")


class LatePostgreSQLTests(TestCase):
    """A server whose rooms are in a PostgreSQL that is not there when it starts."""

    timeout = 240
    skip = missing()

    async def test_late(self) -> None:
        """It starts; nobody enters a room, and everybody can when PostgreSQL is there. The log says what to do."""
        postgres = Server()
        self.addCleanup(postgres.remove)
        await deferToThread(postgres.start)
        database = postgres.makeDatabase().options["dbname"]
        await deferToThread(postgres.stop)
        place = f"postgresql://{USER}:s3cret@127.0.0.1:{postgres.port}/{database}"
        server = ServerProcess(self, storage={"affiliations": place, "userdata": "sqlite:users.db"})
        await server.start()
        romeo = await logIn(self, server.port, "romeo")
        self.assertEqual(outcome(await bounded(romeo.enter("Romeo"))), REFUSED)
        self.assertIn("check that PostgreSQL runs, and the address", server.output)
        await deferToThread(postgres.start)
        while (await bounded(romeo.enter("Romeo"))).get("type") == "error":
            await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        await bounded(romeo.configure())
        self.assertEqual(await bounded(romeo.affiliates("owner")), {"romeo@localhost"})
        self.assertIn("it is there again", server.output)
        for unwanted in ("s3cret", _TRACEBACK):
            self.assertNotIn(unwanted, server.output)
