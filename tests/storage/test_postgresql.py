# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.postgresql}: the contracts, and what becomes of requests when PostgreSQL fails."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import (
    Affiliate,
    BadDescription,
    RoomChange,
    RoomRecord,
    RosterChange,
    RosterItem,
    SchemaTooNew,
    StoreUnavailable,
)
from muccore.storage.postgresql import database as databaseModule
from muccore.storage.postgresql import rooms as roomsModule
from muccore.storage.postgresql.accounts import PostgreSQLAccounts
from muccore.storage.postgresql.address import Address, parseAddress
from muccore.storage.postgresql.audit import PostgreSQLAudit
from muccore.storage.postgresql.connection import Connection, PostgreSQLError
from muccore.storage.postgresql.database import Database, Link
from muccore.storage.postgresql.pubsub import PostgreSQLPubSub
from muccore.storage.postgresql.rooms import SCHEMA as ROOMS
from muccore.storage.postgresql.rooms import PostgreSQLRoomRows, PostgreSQLRooms
from muccore.storage.postgresql.rosters import SCHEMA, PostgreSQLRosters
from muccore.storage.postgresql.schema import Schema
from muccore.storage.postgresql.userdata import PostgreSQLUserData
from muccore.testing.contracts import (
    AccountStoreContract,
    AuditStoreContract,
    PubSubStoreContract,
    RoomStoreContract,
    RosterStoreContract,
    UserDataStoreContract,
)
from muccore.testing.contracts.rosters import JULIET, ROMEO
from muccore.xmpp.scramkeys import HASHES
from tests.storage import roommodel
from tests.storage.postgres import missing, server, stoppable


class _Places:
    """Gives each place of a contract a database of its own."""

    skip = missing()

    def setUp(self) -> None:
        """No database is made yet."""
        super().setUp()  # type: ignore[misc]
        self._addresses: dict[str, Address] = {}

    def address(self, place: FilePath[str]) -> Address:
        """The database for a place."""
        if place.path not in self._addresses:
            self._addresses[place.path] = server().emptyDatabase(self)
        return self._addresses[place.path]


class AccountsContractTests(_Places, AccountStoreContract, TestCase):
    """Accounts in PostgreSQL pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> PostgreSQLAccounts:
        """A store in a database."""
        return PostgreSQLAccounts(self.address(place), reactor)


class RostersContractTests(_Places, RosterStoreContract, TestCase):
    """Rosters in PostgreSQL pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> PostgreSQLRosters:
        """A store in a database."""
        return PostgreSQLRosters(self.address(place), reactor)


class UserDataContractTests(_Places, UserDataStoreContract, TestCase):
    """Documents in PostgreSQL pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> PostgreSQLUserData:
        """A store in a database."""
        return PostgreSQLUserData(self.address(place), reactor)


class PubSubContractTests(_Places, PubSubStoreContract, TestCase):
    """Publish-subscribe nodes in PostgreSQL pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> PostgreSQLPubSub:
        """A store in a database."""
        return PostgreSQLPubSub(self.address(place), reactor)


class RoomsContractTests(_Places, RoomStoreContract, TestCase):
    """Rooms in PostgreSQL pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> PostgreSQLRooms:
        """A store in a database."""
        return PostgreSQLRooms(self.address(place), reactor)

    async def test_oneRow(self) -> None:
        """A change of an affiliation writes one row, however long the list is."""
        store = await self.opened()
        await store.save("a@x", RoomRecord({}, {f"user{n}@z": Affiliate("member") for n in range(1000)}))

        def changed(link: Link) -> Any:
            given = {"user7@z": Affiliate("admin")}
            counted = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_user_tables"
            (before,) = link.execute(counted).fetchone()
            PostgreSQLRoomRows().change(link, "a@x", RoomChange(given), None, given)
            return link.execute(counted).fetchone()[0] - before

        self.assertEqual(await store.database.write(changed), 1)


class MigrationTests(TestCase):
    """Tables of earlier versions."""

    skip = missing()

    async def test_counted(self) -> None:
        """The public rooms of version 1 are counted."""
        address = server().emptyDatabase(self)
        connection = Connection(address, 10)
        Schema("rooms", roomsModule.SCHEMA.migrations[:1]).migrate(connection, "test")
        for name, public in (("a", True), ("b", False), ("c", True)):
            connection.execute(
                "INSERT INTO room (jid, domain, name, public, temporary, settings, creator, size)"
                " VALUES (?, 'x', '', ?, false, '{}', '', 0)", (f"{name}@x", public),
            )  # fmt: skip
        connection.close()
        store = PostgreSQLRooms(address, reactor)
        self.addCleanup(store.close)
        await store.open()
        await store.destroy("c@x")
        self.assertEqual((await store.publicRooms("x", None, None, 0)).count, 1)


class SmallPagesContractTests(RoomsContractTests):
    """They pass it wherever the pages of lists end."""

    def setUp(self) -> None:
        """Let a page have three entries."""
        super().setUp()
        self.patch(roomsModule, "_PAGE", 3)


class RoomModelTests(SynchronousTestCase):
    """Comparison of rooms in PostgreSQL and in memory."""

    skip = missing()

    def setUp(self) -> None:
        """Connect to a database."""
        self.link = Link(server().emptyDatabase(self), ROOMS, 10)
        self.addCleanup(self.link.close)
        self.link.connect()

    @settings(max_examples=60)
    @given(st.lists(roommodel.CALLS, max_size=25))
    def test_same(self, calls: list[tuple[Any, ...]]) -> None:
        """Both give the same results for arbitrary requests, and have the same rooms afterwards."""
        self.link.execute("BEGIN")
        roommodel.compare(self, self.link, PostgreSQLRoomRows(), calls)
        self.link.execute("ROLLBACK")


class AuditContractTests(_Places, AuditStoreContract, TestCase):
    """Audit trails in PostgreSQL pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> PostgreSQLAudit:
        """A store in a database."""
        return PostgreSQLAudit(self.address(place), reactor)


def change(number: int) -> RosterChange:
    """A change with one contact."""
    return RosterChange("e", number, 0, {JULIET: RosterItem(str(number))})


class FaultTests(TestCase):
    """What becomes of requests when PostgreSQL fails."""

    skip = missing()

    def setUp(self) -> None:
        """Make a database; try again soon."""
        self.patch(databaseModule, "LONGEST_PAUSE", 0.05)
        self.patch(databaseModule, "FIRST_PAUSE", 0.01)
        self.server = stoppable()
        self.address = self.server.emptyDatabase(self)

    async def opened(self, timeout: float = 10) -> PostgreSQLRosters:
        """An open store."""
        store = PostgreSQLRosters(self.address, reactor)
        store.database = Database(self.address, SCHEMA, reactor, timeout)
        await store.open()
        self.addCleanup(store.close)
        return store

    async def refused(self, work: Any) -> str:
        """The line of the error of a request."""
        with self.assertRaises(StoreUnavailable) as caught:
            await work
        self.assertNotIn("s3cret", str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    async def healed(self, store: PostgreSQLRosters) -> Any:
        """The content of a store that can be read again."""
        while True:
            try:
                return await store.load(ROMEO)
            except StoreUnavailable:
                await deferLater(reactor, 0.02)

    async def test_stopped(self) -> None:
        """While PostgreSQL is stopped, requests are refused; afterwards all is there, by itself."""
        store = await self.opened()
        await store.change(ROMEO, change(1))
        self.server.stop()
        for _ in range(3):
            self.assertIn(self.address.place, await self.refused(store.change(ROMEO, change(2))))
            await self.refused(store.load(ROMEO))
        self.server.start()
        self.assertEqual((await self.healed(store)).version, 1)
        await store.change(ROMEO, change(3))
        self.assertEqual((await store.load(ROMEO)).version, 3)

    async def test_restarted(self) -> None:
        """A restart, or an administrator who ends the connection, between two requests is not noticed."""
        store = await self.opened()
        await store.change(ROMEO, change(1))
        self.server.stop()
        self.server.start()
        await store.change(ROMEO, change(2))
        self.server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        self.assertEqual((await store.load(ROMEO)).version, 2)

    async def test_unreachableAtStart(self) -> None:
        """A store opens without PostgreSQL, and works when that has been started."""
        self.server.stop()
        lines: list[str] = []
        observer = lambda event: lines.append(str(formatEvent(event)))
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        store = await self.opened()
        for _ in range(3):
            await self.refused(store.load(ROMEO))
            await deferLater(reactor, 0.06)
        self.server.start()
        self.assertEqual((await self.healed(store)).rows, {})
        told = [line for line in lines if self.address.place in line]
        self.assertEqual(len(told), 2, told)
        self.assertIn("check that PostgreSQL runs", told[0])
        self.assertIn("it is there again", told[1])
        self.assertNotIn("s3cret", "".join(lines))
        await store.change(ROMEO, change(1))

    async def test_accountsUnreachableAtStart(self) -> None:
        """
        Accounts open without PostgreSQL. Until it is there, nobody can log in, and all mechanisms count; then those
        for which an account has no keys do not, which is told once.
        """
        store = PostgreSQLAccounts(self.address, reactor)
        await store.open()
        for name in ("romeo@x", "juliet@x"):
            await store.create(name, "pencil")
        await store.database.write(lambda link: link.execute("DELETE FROM account_key WHERE hash = 'SHA-512'"))
        await store.close()
        self.server.stop()
        store = PostgreSQLAccounts(self.address, reactor)
        self.addCleanup(store.close)
        told: list[bool] = []
        store.whenHashesKnown = lambda: told.append(True)
        await store.open()
        self.assertEqual(store.hashes, HASHES.keys())
        await self.refused(store.checkPassword("romeo@x", "pencil"))
        await self.refused(store.scramKeys("romeo@x", "SHA-256"))
        await self.refused(store.hasAccount("romeo@x"))
        await self.refused(store.create("nurse@x", "pencil"))
        self.assertEqual(told, [])
        self.server.start()
        await deferLater(reactor, 0.06)
        checking = [store.checkPassword("romeo@x", "pencil"), store.checkPassword("juliet@x", "wrong")]
        self.assertEqual(await gatherResults(checking), [True, False])
        self.assertEqual((store.missingHashes, told), ({"SHA-512"}, [True]))
        self.assertTrue(await store.checkPassword("juliet@x", "pencil"))
        self.assertEqual(store.missingHashes, set())

    async def test_endedInGroup(self) -> None:
        """If the connection ends within a group, all its writes are refused and undone, and its reads are answered."""
        store = await self.opened()

        def end(connection: Link) -> None:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        first, ending = store.change(ROMEO, change(1)), store.database.write(end)
        last, read = store.change(ROMEO, change(2)), store.load(ROMEO)
        for request in (first, ending, last):
            await self.refused(request)
        self.assertEqual((await read).rows, {})

    async def test_killed(self) -> None:
        """If a process of PostgreSQL is killed, it ends all connections and recovers; then all is there."""
        store = await self.opened()
        await store.change(ROMEO, change(1))
        process = await store.database.read(lambda link: link.execute("SELECT pg_backend_pid()").fetchone()[0])
        starts = self.server.starts()
        os.kill(process, signal.SIGKILL)
        while self.server.starts() == starts:
            # It may take new connections until it notices.
            await deferLater(reactor, 0.02)
        self.assertEqual((await self.healed(store)).version, 1)
        await store.change(ROMEO, change(2))
        self.assertEqual((await store.load(ROMEO)).version, 2)

    async def test_certificate(self) -> None:
        """With TLS, the server has to prove that it has the name, if its certificate is checked."""
        self.server.stop()
        self.server.start(*self.server.tlsOptions("localhost"))
        for name, options, refusal in (
            ("localhost", "sslmode=verify-full&sslrootcert=certificate.pem", None),
            ("127.0.0.1", "sslmode=verify-full&sslrootcert=certificate.pem", "does not match host name"),
            ("127.0.0.1", "sslmode=verify-ca&sslrootcert=certificate.pem", None),
            ("localhost", "sslmode=verify-full&sslrootcert=system", "certificate verify failed"),
        ):
            address = self.server.address(self.address.options["dbname"], f"?{options}", name)
            store = PostgreSQLRosters(address, reactor)
            self.addCleanup(store.close)
            await store.open()
            if refusal is None:
                await store.change(ROMEO, change(1))
                query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                self.assertEqual(
                    await store.database.read(lambda link, query=query: link.execute(query).fetchall()), [(True,)]
                )
            else:
                self.assertIn(refusal, await self.refused(store.load(ROMEO)))

    async def test_lostCommit(self) -> None:
        """If the connection is lost while a commit is on its way, the request is answered by what was done."""
        original = Link.execute
        for committed in (True, False):
            store = await self.opened()

            def lose(link: Link, sql: str, parameters: Any = (), committed: bool = committed) -> Any:
                if sql == "COMMIT":
                    self.patch(Link, "execute", original)
                    if committed:
                        original(link, sql, parameters)
                    link.close()
                    raise PostgreSQLError("08006", "lost")
                return original(link, sql, parameters)

            self.patch(Link, "execute", lose)
            number = 7 if committed else 8
            changing = store.change(ROMEO, change(number))
            if committed:
                await changing
            else:
                await self.refused(changing)
            self.assertEqual((await store.load(ROMEO)).version, 7)

    async def test_locked(self) -> None:
        """A lock that another session holds delays a request for the time of a statement; others of the group go on."""
        store = await self.opened(0.2)
        other = await self.opened()
        await store.change(ROMEO, change(1))
        link = Link(self.address, SCHEMA, 10)
        self.addCleanup(link.close)
        link.connect()
        link.execute("BEGIN")
        link.execute("SELECT 1 FROM roster FOR UPDATE")
        waiting, free = store.change(ROMEO, change(2)), store.change(JULIET, change(3))
        self.assertIn("pg_stat_activity", await self.refused(waiting))
        await free
        link.execute("ROLLBACK")
        await store.change(ROMEO, change(4))
        self.assertEqual((await other.load(ROMEO)).version, 4)

    async def test_failedAlone(self) -> None:
        """A request that fails, or a text that PostgreSQL cannot keep, is refused alone."""
        store = await self.opened()
        good, bad, read = store.change(ROMEO, change(1)), store.change("a\0b", change(2)), store.load(ROMEO)
        await good
        await self.refused(bad)
        self.assertEqual((await read).version, 1)

    async def test_failedReads(self) -> None:
        """Of several reads, one that fails is refused alone; a read or a write that is alone leaves nothing behind."""
        store = await self.opened()
        await store.change(ROMEO, change(1))
        bad = lambda link: link.execute("SELECT 1 / 0").fetchone()
        reads = [store.load(ROMEO), store.database.read(bad), store.load(JULIET), store.load(ROMEO)]
        await self.refused(reads.pop(1))
        self.assertEqual([(await each).version for each in reads], [1, 0, 1])
        for request in (store.database.read, store.database.write):
            self.assertIn("division by zero", await self.refused(request(bad)))

        def spoil(link: Link) -> None:
            link.execute("DELETE FROM roster")
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            await store.database.write(spoil)
        self.assertEqual((await store.load(ROMEO)).version, 1)
        requests = [store.database.write(each) for each in (spoil, bad, spoil)]
        requests += [store.change(ROMEO, change(2)), store.database.write(bad), store.change(JULIET, change(3))]
        results = await DeferredList(requests, consumeErrors=True)
        self.assertEqual([success for success, _ in results], [False, False, False, True, False, True])
        self.assertEqual([(await store.load(each)).version for each in (ROMEO, JULIET)], [2, 3])

    async def test_together(self) -> None:
        """Several servers that open an empty database at once do not clash."""
        stores = [PostgreSQLRosters(self.address, reactor) for _ in range(6)]
        for store in stores:
            self.addCleanup(store.close)
        await gatherResults([store.open() for store in stores])
        await gatherResults([store.change(f"{n}@x", change(n)) for n, store in enumerate(stores)])
        self.assertEqual((await stores[0].load("5@x")).version, 5)

    async def test_newer(self) -> None:
        """A database of a newer muccore is not opened, and not used if it is migrated meanwhile."""
        store = await self.opened()
        database = self.address.options["dbname"]
        self.server.execute("UPDATE muccore.schema_version SET version = 99", database)
        with self.assertRaises(SchemaTooNew):
            await PostgreSQLRosters(self.address, reactor).open()
        with self.assertRaises(SchemaTooNew):
            PostgreSQLRosters(self.address, reactor).probe()
        self.server.stop()
        self.server.start()
        self.assertIn("version 99", await self.refused(store.load(ROMEO)))

    async def test_crashed(self) -> None:
        """What was acknowledged is there after PostgreSQL ended without writing anything more."""
        store = await self.opened()
        for number in range(1, 6):
            await gatherResults([store.change(f"{each}@x", change(number)) for each in range(20)])
        self.server.stop(signal.SIGQUIT)
        self.server.start()
        self.assertEqual({(await store.load(f"{each}@x")).version for each in range(20)}, {5})

    async def test_durable(self) -> None:
        """Commits wait for the disk, even if the server is configured not to."""
        self.server.execute("ALTER SYSTEM SET synchronous_commit = off")
        self.server.execute("SELECT pg_reload_conf()")
        store = await self.opened()
        [(setting,)] = await store.database.read(lambda link: link.execute("SHOW synchronous_commit").fetchall())
        self.assertEqual(setting, "on")

    async def test_notBlocking(self) -> None:
        """The reactor goes on while PostgreSQL does not answer."""
        store = await self.opened()
        asleep = store.database.read(lambda link: link.execute("SELECT pg_sleep(0.3)").fetchall() and time.monotonic())
        await deferLater(reactor, 0)
        ticked = time.monotonic()
        self.assertLess(ticked, await asleep)


class AddressTests(SynchronousTestCase):
    """Tests for L{parseAddress}."""

    def parsed(self, text: str) -> Address:
        """Parse an address."""
        return parseAddress(text, FilePath("/base"))

    def test_shown(self) -> None:
        """What is shown has no password."""
        address = self.parsed("//ro%40meo:p%3Aw@db.example.org/rooms?passfile=p&sslrootcert=ca.pem")
        self.assertEqual(address.place, "postgresql://ro%40meo@db.example.org:5432/rooms")
        self.assertNotIn("p:w", repr(address))
        expected = {
            "host": "db.example.org", "port": "5432", "user": "ro@meo", "password": "p:w", "dbname": "rooms",
            "sslmode": "verify-full", "passfile": "/base/p", "sslrootcert": "/base/ca.pem",
        }  # fmt: skip
        self.assertEqual(address.options, expected)

    def test_journal(self) -> None:
        """The path of a journal is not for libpq."""
        address = self.parsed("//u:s3cret@h/a?journal=var/archive&sslmode=require")
        self.assertEqual(address.journal, "/base/var/archive")
        self.assertNotIn("journal", address.options)
        self.assertEqual(address.place, "postgresql://u@h:5432/a")
        self.assertIsNone(self.parsed("//h/a").journal)

    def test_local(self) -> None:
        """On this machine no certificate is needed."""
        self.assertEqual(self.parsed("//127.0.0.1/a").options["sslmode"], "disable")
        address = self.parsed("///a?host=/run/postgresql")
        self.assertEqual((address.options["host"], address.options["sslmode"]), ("/run/postgresql", "disable"))

    def test_invalid(self) -> None:
        """An invalid address is refused with a line that has no password."""
        for text in (
            "", "x", "//u:s3cret@h", "//u:s3cret@h/", "//u:s3cret@h:x/a", "//u:s3cret@h/a?b=c", "//u:s3cret@h/a#b",
            "///a", "//u:s3cret@h/a?sslmode=prefer", "//u:s3cret@h/a?host=/x", "//u:s3cret@h/a%00", "//[u:s3cret@h/a",
        ):  # fmt: skip
            with self.assertRaises(BadDescription) as caught:
                self.parsed(text)
            self.assertNotIn("s3cret", str(caught.exception))
