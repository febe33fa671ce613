# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sqlite.userdata}."""

from __future__ import annotations

import sqlite3

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.storage.sqlite.userdata import SQLiteUserData
from muccore.testing.contracts import UserDataStoreContract
from muccore.testing.contracts.userdata import ROMEO


class SQLiteUserDataContractTests(UserDataStoreContract, TestCase):
    """Documents in SQLite pass the contract suite."""

    def makeStore(self, place: FilePath[str]) -> SQLiteUserData:
        """A store in a file."""
        return SQLiteUserData(place, reactor)


class SQLiteUserDataTests(TestCase):
    """Properties that are not in the contract."""

    async def test_withAccounts(self) -> None:
        """Accounts and their documents are in one file, and are opened and written at once."""
        place = FilePath(self.mktemp())
        accounts, documents = SQLiteAccounts(place, reactor), SQLiteUserData(place, reactor)
        self.assertEqual(accounts.location, documents.location)
        for store in (accounts, documents):
            self.addCleanup(store.close)
        await gatherResults([accounts.open(), documents.open()])
        writes = [documents.change(ROMEO, {("k", str(n)): b"1"}) for n in range(20)]
        await gatherResults([accounts.create(ROMEO, "secret"), *writes])
        self.assertEqual(await documents.size(ROMEO, "k"), 50)
        self.assertEqual(await accounts.users(), [ROMEO])

    async def test_indexes(self) -> None:
        """Documents are found by the index, and their keys are read from it alone."""
        place = FilePath(self.mktemp())
        store = SQLiteUserData(place, reactor)
        await store.open()
        await store.close()
        connection = sqlite3.connect(place.path)
        self.addCleanup(connection.close)
        for query, expected in (
            ("content FROM user_document WHERE account = 'a' AND kind = 'b' AND key = 'c'", "USING INDEX"),
            ("key FROM user_document WHERE account = 'a' AND kind = 'b' ORDER BY key", "USING COVERING INDEX"),
            ("rowid FROM user_document WHERE account = 'a'", "USING COVERING INDEX"),
        ):
            [row] = connection.execute(f"EXPLAIN QUERY PLAN SELECT {query}").fetchall()
            self.assertRegex(row[3], f"SEARCH user_document {expected}")
