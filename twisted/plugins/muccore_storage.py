# -*- test-case-name: tests.storage.test_registry -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The stores that come with muccore, as plugins."""

from functools import partial

from muccore.storage.external.directory import makeDirectoryAuth
from muccore.storage.external.pam import makePAMAuth
from muccore.storage.external.program import makeProgramAuth
from muccore.storage.external.webservice import makeWebServiceAuth
from muccore.storage.factory import StoreFactory, filePath, withoutArgument
from muccore.storage.fileuploads import makeFileUploads
from muccore.storage.insecure import InsecureAuth
from muccore.storage.memory import MemoryAccounts, MemoryOccupants, MemoryRooms
from muccore.storage.memoryarchive import MemoryArchive
from muccore.storage.memoryaudit import MemoryAudit
from muccore.storage.memorypubsub import MemoryPubSub
from muccore.storage.memoryroster import MemoryRosters
from muccore.storage.memoryuploads import MemoryUploads
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.storage.occupantjournal import OccupantJournal
from muccore.storage.postgresql.accounts import PostgreSQLAccounts
from muccore.storage.postgresql.address import databaseAddress
from muccore.storage.postgresql.archive import PostgreSQLArchive
from muccore.storage.postgresql.audit import PostgreSQLAudit
from muccore.storage.postgresql.pubsub import PostgreSQLPubSub
from muccore.storage.postgresql.rooms import PostgreSQLRooms
from muccore.storage.postgresql.rosters import PostgreSQLRosters
from muccore.storage.postgresql.userdata import PostgreSQLUserData
from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.storage.sqlite.archive import SQLiteArchive
from muccore.storage.sqlite.audit import SQLiteAudit
from muccore.storage.sqlite.pubsub import SQLitePubSub
from muccore.storage.sqlite.rooms import SQLiteRooms
from muccore.storage.sqlite.rosters import SQLiteRosters
from muccore.storage.sqlite.userdata import SQLiteUserData

_MEMORY = "no argument; kept in memory and lost when the server ends"
_SQLITE = "PATH of a database file, created if missing"
_POSTGRESQL = "//USER@HOST/DATABASE of a PostgreSQL server"
_POSTGRESQL_ARCHIVE = f"{_POSTGRESQL}, with ?journal=PATH of files here"

insecureAuth = StoreFactory(
    "accounts",
    "insecure",
    "no argument; accepts any user name and password, for tests on loopback addresses",
    withoutArgument("insecure", lambda reactor: InsecureAuth()),
)

openAuth = StoreFactory("accounts", "open", "the former name of insecure:", insecureAuth.make)

pamAuth = StoreFactory("accounts", "pam", "SERVICE of PAM, which a program asks", makePAMAuth, takesLines=True)

programAuth = StoreFactory(
    "accounts", "program", "COMMAND that speaks ejabberd's protocol of extauth", makeProgramAuth, takesLines=True
)

_DIRECTORY = "//HOST of a directory, and options"

ldapAuth = StoreFactory("accounts", "ldap", _DIRECTORY, partial(makeDirectoryAuth, "ldap"), takesLines=True)

ldapsAuth = StoreFactory("accounts", "ldaps", _DIRECTORY, partial(makeDirectoryAuth, "ldaps"), takesLines=True)

_SERVICE = "//HOST/PATH of a web service like that of Prosody's mod_auth_http"

httpAuth = StoreFactory("accounts", "http", _SERVICE, partial(makeWebServiceAuth, "http"), takesLines=True)

httpsAuth = StoreFactory("accounts", "https", _SERVICE, partial(makeWebServiceAuth, "https"), takesLines=True)

memoryAccounts = StoreFactory("accounts", "memory", _MEMORY, withoutArgument("memory", MemoryAccounts))

memoryRooms = StoreFactory("rooms", "memory", _MEMORY, withoutArgument("memory", lambda reactor: MemoryRooms()))

sqliteAccounts = StoreFactory("accounts", "sqlite", _SQLITE, filePath("sqlite", SQLiteAccounts))

memoryArchive = StoreFactory("archive", "memory", _MEMORY, withoutArgument("memory", lambda reactor: MemoryArchive()))

sqliteArchive = StoreFactory("archive", "sqlite", _SQLITE, filePath("sqlite", SQLiteArchive))

memoryAudit = StoreFactory("audit", "memory", _MEMORY, withoutArgument("memory", lambda reactor: MemoryAudit()))

sqliteAudit = StoreFactory("audit", "sqlite", _SQLITE, filePath("sqlite", SQLiteAudit))

memoryRosters = StoreFactory("rosters", "memory", _MEMORY, withoutArgument("memory", lambda reactor: MemoryRosters()))

sqliteRosters = StoreFactory("rosters", "sqlite", _SQLITE, filePath("sqlite", SQLiteRosters))

memoryUserData = StoreFactory(
    "userdata", "memory", _MEMORY, withoutArgument("memory", lambda reactor: MemoryUserData())
)

sqliteUserData = StoreFactory("userdata", "sqlite", _SQLITE, filePath("sqlite", SQLiteUserData))

memoryPubSub = StoreFactory("pubsub", "memory", _MEMORY, withoutArgument("memory", lambda reactor: MemoryPubSub()))

sqlitePubSub = StoreFactory("pubsub", "sqlite", _SQLITE, filePath("sqlite", SQLitePubSub))

sqliteRooms = StoreFactory("rooms", "sqlite", _SQLITE, filePath("sqlite", SQLiteRooms))

memoryOccupants = StoreFactory(
    "occupants", "memory", _MEMORY, withoutArgument("memory", lambda reactor: MemoryOccupants())
)

occupantJournal = StoreFactory(
    "occupants", "file", "PATH of a file, created if missing", filePath("file", OccupantJournal)
)

postgresqlAccounts = StoreFactory("accounts", "postgresql", _POSTGRESQL, databaseAddress(PostgreSQLAccounts))

postgresqlArchive = StoreFactory("archive", "postgresql", _POSTGRESQL_ARCHIVE, databaseAddress(PostgreSQLArchive))

postgresqlAudit = StoreFactory("audit", "postgresql", _POSTGRESQL, databaseAddress(PostgreSQLAudit))

postgresqlRooms = StoreFactory("rooms", "postgresql", _POSTGRESQL, databaseAddress(PostgreSQLRooms))

postgresqlRosters = StoreFactory("rosters", "postgresql", _POSTGRESQL, databaseAddress(PostgreSQLRosters))

postgresqlPubSub = StoreFactory("pubsub", "postgresql", _POSTGRESQL, databaseAddress(PostgreSQLPubSub))

postgresqlUserData = StoreFactory("userdata", "postgresql", _POSTGRESQL, databaseAddress(PostgreSQLUserData))

fileUploads = StoreFactory("uploads", "files", "PATH of a folder, created if missing", makeFileUploads)

memoryUploads = StoreFactory("uploads", "memory", _MEMORY, withoutArgument("memory", lambda reactor: MemoryUploads()))
