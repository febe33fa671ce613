# -*- test-case-name: tests.storage.test_registry -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The stores that come with muccore, as plugins."""

from muccore.storage.factory import StoreFactory, filePath, withoutArgument
from muccore.storage.insecure import InsecureAuth
from muccore.storage.memory import MemoryAccounts, MemoryRooms
from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.storage.sqlite.rooms import SQLiteRooms

_MEMORY = "nothing; kept in memory and gone when the server ends"
_SQLITE = "PATH of a database file, which is made if it is not there"

openAccounts = StoreFactory(
    "accounts",
    "open",
    "nothing; any user name and password will do, for tests on loopback addresses",
    withoutArgument("open", lambda reactor: InsecureAuth()),
)

memoryAccounts = StoreFactory("accounts", "memory", _MEMORY, withoutArgument("memory", MemoryAccounts))

memoryRooms = StoreFactory("rooms", "memory", _MEMORY, withoutArgument("memory", lambda reactor: MemoryRooms()))

sqliteAccounts = StoreFactory("accounts", "sqlite", _SQLITE, filePath("sqlite", SQLiteAccounts))

sqliteRooms = StoreFactory("rooms", "sqlite", _SQLITE, filePath("sqlite", SQLiteRooms))
