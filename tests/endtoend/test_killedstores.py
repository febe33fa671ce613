# Copyright (c) The muccore authors. See LICENSE for details.
"""Servers that are killed at random moments, and what is then in their stores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.python.filepath import FilePath

from muccore.storage.postgresql.rooms import PostgreSQLRooms
from muccore.storage.postgresql.rosters import PostgreSQLRosters
from muccore.storage.postgresql.userdata import PostgreSQLUserData
from muccore.storage.sqlite.rooms import SQLiteRooms
from muccore.storage.sqlite.rosters import SQLiteRosters
from muccore.storage.sqlite.userdata import SQLiteUserData
from tests.endtoend.killedstores import KilledStoresTestCase
from tests.endtoend.serverprocess import TIMEOUT
from tests.storage.postgres import USER, Server, missing

_AWAY = re.compile(r"postgresql://\S+: |messages could not be archived|store-failures")
"""What the log says while PostgreSQL is away, and when it has come back."""


class KilledSQLiteTests(KilledStoresTestCase):
    """A server whose stores are one SQLite database."""

    kills = 2

    def configured(self) -> dict[str, dict[str, str]]:
        """See L{KilledStoresTestCase.configured}."""
        return {"storage": {"affiliations": "sqlite:muccore.db", "archive": "sqlite:archive.db"}}

    def stores(self) -> Sequence[Any]:
        """See L{KilledStoresTestCase.stores}."""
        path = FilePath(self.server.file("muccore.db"))
        return [kind(path, reactor) for kind in (SQLiteRooms, SQLiteRosters, SQLiteUserData)]

    async def test_killed(self) -> None:
        """What anybody was told is there, and nothing was refused."""
        for _ in range(self.kills):
            await self.write()
            await self.killServer()
        self.assertGreater(self.told(), 0)
        self.assertEqual(sum(each.refused for each in self.writers), 0)


class KilledPostgreSQLTests(KilledStoresTestCase):
    """
    A server whose stores are in PostgreSQL, which is killed too.

    @cvar databaseKills: how often PostgreSQL is killed.
    """

    kills, databaseKills = 1, 1
    skip = missing()

    def configured(self) -> dict[str, dict[str, str]]:
        """See L{KilledStoresTestCase.configured}."""
        self.postgres = Server()
        self.addCleanup(self.postgres.remove)
        self.postgres.start()
        self.address = self.postgres.makeDatabase()
        place = f"postgresql://{USER}:s3cret@127.0.0.1:{self.postgres.port}/{self.address.options['dbname']}"
        return {"storage": {"affiliations": place, "archive": "sqlite:archive.db"}}

    def stores(self) -> Sequence[Any]:
        """See L{KilledStoresTestCase.stores}."""
        return [kind(self.address, reactor) for kind in (PostgreSQLRooms, PostgreSQLRosters, PostgreSQLUserData)]

    def checkLog(self) -> None:
        """See L{KilledStoresTestCase.checkLog}. While PostgreSQL is away, errors are expected, and no others."""
        lines = [line for line in self.server.unexpectedLines if not _AWAY.search(line)]
        self.assertEqual(lines, [])

    async def killDatabase(self) -> None:
        """Kill PostgreSQL, start it again, and compare when everything is answered."""
        self.postgres.kill()
        await deferToThread(self.postgres.start)
        for writer in self.writers:
            writer.stop()
        answering = gatherResults([Deferred.fromCoroutine(each.answered()) for each in self.writers])
        await answering.addTimeout(TIMEOUT, reactor)
        await self.compare()

    async def test_killed(self) -> None:
        """
        What anybody was told is there, and what was refused is not, also when it was on its way to PostgreSQL. The
        server goes on when PostgreSQL does.
        """
        kinds = [self.killServer] * self.kills + [self.killDatabase] * self.databaseKills
        self.random.shuffle(kinds)
        for kill in kinds:
            await self.write()
            await kill()
