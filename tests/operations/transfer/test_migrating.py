# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccorectl migrate}."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import TestCase

from muccore.config.load import load
from muccore.interfaces import AuditEntry, AuditQuery, NodeChange, RosterChange, RosterItem, StoreUnavailable, Tombstone
from muccore.operations.transfer import migrating
from muccore.operations.transfer.openstores import opened
from muccore.server import controlsocket
from muccore.server.stores import ServerStores
from tests.configuration import ENVIRONMENT, ConfigurationFile
from tests.operations.ctltestcase import CtlTestCase
from tests.operations.transfer.transferstores import (
    CAVE,
    JULIET,
    NOON,
    MemoryStores,
    exported,
    keysOf,
    now,
    postgresqlPlace,
    pubSubItem,
    put,
    roomItem,
    sample,
    storedNode,
)
from tests.storage.postgres import missing, server

TRAIL = [AuditEntry(CAVE, "i", NOON + n, "ban", JULIET, f"{n}@x.lit", "r", {"a": "ä"}) for n in range(501)]


async def fill(stores: Any, trail: Sequence[AuditEntry] = TRAIL) -> None:
    """Add what records do not have: versions of rosters, tombstones, audit trails, records of hosts."""
    change = RosterChange("e", 5, 2, {"a@x": RosterItem("A"), "gone@x": None})
    await stores.rosters.change("nurse@localhost", change)
    await stores.rosters.change("nurse@localhost", RosterChange("e", 7, 2, {"b@x": RosterItem(request=b"<presence/>")}))
    await stores.rosters.change("nurse@localhost", RosterChange("e", 9, 3, {}))
    await stores.rooms.destroy(f"ruin{CAVE}", Tombstone(1.5, 2.0**40, "v@x", None, False, {JULIET: "owner"}))
    await stores.rooms.destroy(f"old{CAVE}", Tombstone(0.5, 1.0))
    await stores.audit.append(trail)
    nodes = stores.pubSub if isinstance(stores, MemoryStores) else next(iter(stores._pubSub.values()))
    await nodes.create("pubsub.localhost", "news of today", storedNode(), 9)
    for number in range(250):
        await nodes.publish("pubsub.localhost", "news of today", pubSubItem(f"i{number}"), 999)
    documents = stores.userDataOf(None) if isinstance(stores, MemoryStores) else next(iter(stores._userData.values()))
    await documents.change("localhost", {("admin", JULIET): b"", ("invitation", "x"): b"{}"})


class MigrateTestCase(CtlTestCase):
    """
    Stores in memory in place of two databases.

    @cvar trail: the audit trail.
    """

    trail: ClassVar[Sequence[AuditEntry]] = TRAIL

    def setUp(self) -> None:
        """Fill one of them."""
        self.files = ConfigurationFile(self, storage={"affiliations": "sqlite:rooms.db"})
        self.configurationPath = self.files.path
        with closing(sqlite3.connect(self.files.file("from.db"))) as connection:
            connection.execute("CREATE TABLE muccore_schema (purpose TEXT, version INTEGER)")
            kinds = ("accounts", "userdata", "pubsub", "rosters", "rooms", "archive", "audit")
            connection.executemany("INSERT INTO muccore_schema VALUES (?, 1)", [(kind,) for kind in kinds])
            connection.commit()
        self.source, self.target = MemoryStores(), MemoryStores()
        now(put(sample(), self.source, load(self.files.path)))
        now(fill(self.source, self.trail))
        self.patch(migrating, "makeStore", self.makeStore)
        self.closed: list[Any] = []

    def makeStore(self, kind: str, description: str, *arguments: Any) -> Any:
        """The store of a kind."""
        stores = self.source if description == "sqlite:from.db" else self.target
        names = {"userdata": "userData", "pubsub": "pubSub"}
        store = getattr(stores, names.get(kind, kind))
        self.patch(store, "close", lambda: self._close(store))
        return store

    def _close(self, store: Any) -> Deferred[None]:
        self.closed.append(store)
        return succeed(None)

    def migrate(self, *options: str) -> list[str]:
        """Migrate, which has to succeed."""
        return self.succeed("migrate", "sqlite:from.db", "sqlite:to.db", *options)

    def assertSame(self) -> None:
        """The target has what the source has."""
        configuration = load(self.files.path)
        self.assertEqual(now(exported(self.target, configuration)), now(exported(self.source, configuration)))
        self.assertEqual(self.target.rosters._rosters, self.source.rosters._rosters)
        self.assertEqual(self.target.rooms._rooms, self.source.rooms._rooms)
        self.assertEqual(list(self.target.rooms._tombstones), [f"ruin{CAVE}"])
        self.assertEqual(self.target.userData._documents, self.source.userData._documents)
        self.assertEqual(now(self.target.audit.query(AuditQuery(limit=9999))).entries, self.trail[::-1])
        self.assertEqual(self.target.pubSub._services, self.source.pubSub._services)
        for name, archive in self.source.archive._archives.items():
            found = self.target.archive._archives[name]
            self.assertEqual((found.words, list(found.items)), (archive.words, list(archive.items)))


class MigrateTests(MigrateTestCase):
    """The command."""

    def test_everything(self) -> None:
        """Everything is copied, compared, and counted."""
        lines = self.migrate()
        self.assertSame()
        self.assertEqual([line.partition(" copied")[0] for line in lines], [
            "accounts: 2", "accounts with data: 2", "publish-subscribe nodes: 3", "rosters: 2", "rooms: 2",
            "destroyed rooms: 1", "kinds of choices: 2", "archives: 2", "collections of audit trails: 1",
        ])  # fmt: skip
        self.assertEqual(len({line.rpartition(" ")[2] for line in lines}), 9)
        self.assertEqual(len(set(self.closed)), 14)

    def test_notEmpty(self) -> None:
        """If something is there, it is refused, unless that is wanted: then what differs is replaced."""
        self.migrate()
        self.assertRefusal("there are accounts in TO already", "migrate", "sqlite:from.db", "sqlite:to.db")
        now(self.target.rooms.save(CAVE, replace(now(self.target.rooms.load(CAVE)), name="Other")))
        now(self.target.accounts.delete(JULIET))
        now(self.target.accounts.createWithKeys(JULIET, keysOf("other", "SHA-1")))
        now(self.target.userData.change(JULIET, {("k", "new"): b"1", ("private", "{urn:empty}empty"): None}))
        now(self.target.pubSub.change(JULIET, "notes <&>", NodeChange(affiliations={"x@y": "owner"})))
        now(self.target.pubSub.publish("pubsub.localhost", "news of today", pubSubItem("i0", b"<x/>"), 999))
        now(self.target.rosters.change(JULIET, RosterChange("x", 99, 0, {"new@x": RosterItem()})))
        now(self.target.archive.append(CAVE, [roomItem("new", "new")]))
        now(self.target.archive.retract(JULIET, {"a": roomItem("x", "x").stanza}))
        now(self.target.audit.append(TRAIL[:1]))
        now(self.target.rooms.setPreference("other", "new@x", 1))
        self.migrate("--resume")
        self.assertSame()

    def test_differs(self) -> None:
        """What is not the same at the end is refused."""
        save = self.target.rooms.save
        self.patch(self.target.rooms, "save", lambda room, record: save(room, replace(record, name="Other")))
        self.assertRefusal("rooms: 'cave@conference.localhost' is not the same", "migrate", "sqlite:from.db",
                           "sqlite:to.db")  # fmt: skip

    def test_stays(self) -> None:
        """A kind that the other place cannot keep stays, which is told."""
        self.patch(migrating, "hasScheme", lambda kind, place: kind != "audit" or place == "sqlite:from.db")
        self.assertIn("audit: sqlite: cannot keep it; it stays where it is", self.migrate())
        self.assertEqual(now(self.target.audit.query(AuditQuery())).entries, [])

    def test_noKeys(self) -> None:
        """An account without any keys is left out, which is told."""
        self.source.accounts._keys["a@localhost"] = {}
        self.assertIn("1 in which nothing is were left out", self.migrate()[0])

    def test_refused(self) -> None:
        """Places that are the same, missing, unknown or in memory are refused, and so is a running server."""
        for source, target, reason in (
            ("sqlite:from.db", "sqlite:./from.db", "are the same"),
            ("sqlite:none.db", "sqlite:to.db", "no such database"),
            ("memory:", "sqlite:to.db", "in the memory"), ("nonsense", "sqlite:to.db", "nothing in FROM"),
            ("sqlite:server.cfg", "sqlite:to.db", "it cannot be read"),
        ):  # fmt: skip
            self.assertRefusal(reason, "migrate", source, target)
        path = controlsocket.controlPath(load(self.files.path))
        assert path is not None
        lock, listening = controlsocket.takeLock(path), controlsocket.listen(path)
        assert lock is not None
        with lock, listening:
            self.assertRefusal("the server is running", "migrate", "sqlite:from.db", "sqlite:to.db")
        os.unlink(path)


class InterruptedTests(MigrateTestCase):
    """A process that is killed."""

    trail = TRAIL[:5]

    def test_interrupted(self) -> None:
        """Wherever it ends, it goes on."""
        for moment in range(500):
            self.target = MemoryStores()
            left = [moment]
            for store in vars(self.target).values():
                self._limit(store, left)
            status, _, errors = self.runCtl("migrate", "sqlite:from.db", "sqlite:to.db")
            left[0] = 10**9
            if status == 0:
                self.assertGreater(moment, 20)
                return
            self.assertIn("killed", errors)
            self.migrate("--resume")
            self.assertSame()
        self.fail("it does not end")

    def _limit(self, store: Any, left: list[int]) -> None:
        """Let a store fail after some writes."""

        def limited(write: Any) -> Any:
            def call(*arguments: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise StoreUnavailable("killed")
                return write(*arguments)

            return call

        for name in ("_add", "delete", "save", "setPreference", "change", "destroy", "append", "retract"):
            if hasattr(store, name):
                setattr(store, name, limited(getattr(store, name)))


class PostgreSQLTests(TestCase):
    """From SQLite to PostgreSQL and back, by the program."""

    skip = missing()

    def setUp(self) -> None:
        """Make two databases."""
        self.postgresql = postgresqlPlace(self)
        self.database = self.postgresql.rpartition("/")[2]
        self.files = self.configure("sqlite:all.db")

    def configure(self, place: str, archive: str = "sqlite:archive.db") -> ConfigurationFile:
        """Write a configuration with everything in one place, but for the archive."""
        return ConfigurationFile(
            self, auth={"backend": place},
            storage={"affiliations": place, "archive": archive, "occupants": "memory:"},
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start to migrate."""
        command = [sys.executable, "-m", "muccore.operations.ctl", "-c", self.files.path, "migrate", *arguments]
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, *arguments: str) -> list[str]:
        """Migrate, which has to succeed."""
        process = self.start(*arguments)
        output, errors = process.communicate()
        self.assertEqual((process.returncode, errors), (0, ""))
        return output.splitlines()

    async def content(self, files: ConfigurationFile) -> bytes:
        """The document of everything."""
        settings = load(files.path)
        stores = ServerStores(settings, reactor)
        async with opened(stores, False):
            return await exported(stores, settings)

    async def test_killed(self) -> None:
        """A migration that is killed in the middle goes on; what comes back is what was there."""
        settings = load(self.files.path)
        stores = ServerStores(settings, reactor)
        async with opened(stores, False, audit=True):
            await put(sample(), stores, settings)
            await fill(stores)
            accounts: Any = stores.accountsOf(settings.hosts[0])
            (keys,) = keysOf("x", "SHA-1")
            for number in range(60):
                await accounts.createWithKeys(f"user{number}@localhost", [replace(keys, salt=b"%d" % number)])
        before = await self.content(self.files)
        process = self.start("sqlite:all.db", self.postgresql)
        while process.poll() is None and not self.copied():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertEqual(process.returncode, -signal.SIGKILL)
        lines = self.finish("sqlite:all.db", self.postgresql, "--resume")
        self.assertTrue(lines[0].startswith("accounts: 62 copied and compared, SHA-256 "), lines)
        left, *back = self.finish(self.postgresql, "sqlite:back.db")
        self.assertEqual(back, lines)
        self.assertIn("archive: left out: ", left)
        journaled = f"{self.postgresql}?journal=journal"
        for source, target in (("sqlite:archive.db", journaled), (journaled, "sqlite:back.db")):
            told = self.finish(source, target, "--resume")
            self.assertTrue(any(line.startswith("archives: 2 copied and compared") for line in told), told)
        returned = "sqlite:" + self.files.file("back.db")
        other = self.configure(returned, returned)
        self.assertEqual(await self.content(other), before)

    def copied(self) -> int:
        """How many accounts are in PostgreSQL."""
        if not server().execute("SELECT 1 FROM pg_tables WHERE tablename = 'account'", self.database):
            return 0
        ((count,),) = server().execute("SELECT count(*) FROM muccore.account", self.database)
        return int(str(count))
