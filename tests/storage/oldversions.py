# Copyright (c) The muccore authors. See LICENSE for details.
"""
Databases of all versions that the schemas have had, as SQL, in C{fixtures/}: C{KIND-vVERSION.sql}. Each was written by
the stores of its version. C{python -m tests.storage.oldversions} writes those that are missing of the present ones; run
it when a migration has been added, before anything is released.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.python.filepath import FilePath

from muccore.interfaces import (
    Affiliate,
    ArchiveItem,
    AuditEntry,
    RoomRecord,
    RosterChange,
    RosterItem,
    Subject,
    Tombstone,
)
from muccore.storage.sqlite import archiveschema, audit, rooms, rosters, userdata
from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.storage.sqlite.accounts import schema as accountsSchema
from muccore.storage.sqlite.archive import SQLiteArchive
from muccore.storage.sqlite.schema import Schema
from muccore.testing.inmemory import parseStanza
from muccore.xmpp.rendering import Rendered

FIXTURES: Final = Path(__file__).parent / "fixtures"

CAVE, DEN, MOOR = "cave@chat.example", "den@chat.example", "moor@chat.example"
CRONE, HECATE, TYBALT = "crone1@shakespeare.example", "hecate@shakespeare.example", "tybalt@verona.example"

SETTINGS: Final = {
    "name": "The Cave", "description": "Double, double", "language": "en", "public": True, "persistent": True,
    "membersOnly": True,
}  # fmt: skip
AFFILIATES: Final = {
    CRONE: Affiliate("owner"), HECATE: Affiliate("member", "Hecate"), TYBALT: Affiliate("outcast", None, "brawling"),
    "evil.example": Affiliate("outcast"),
}  # fmt: skip
SUBJECT: Final = Subject("Fire burn", "Hecate", 1.5, "en", HECATE)
STATES: Final = {"hats": {HECATE: ["queen"]}}
TOMBSTONE: Final = Tombstone(1e9, 4e9, "heath@chat.example", "Storm", False, {CRONE: "owner"})

SAID: Final = ("Double, double", "toil and trouble", "Fire burn")
"""The second was retracted."""

ENTRIES: Final = [
    AuditEntry(CAVE, "1", 1000 + number, kind, CRONE, TYBALT, "brawling", {"from": "none", "to": "outcast"})
    for number, kind in enumerate(("ban", "affiliation"))
]
CONTACTS: Final = {
    "juliet@localhost": RosterItem("Juliet", ("Friends",), "both"),
    "nurse@localhost": RosterItem(request=b"<presence type='subscribe'/>", listed=False),
}
DOCUMENTS: Final = {
    ("private", "{storage:bookmarks}storage"): b"<storage xmlns='storage:bookmarks'/>",
    ("vcard", "vcard"): "<vCard>\u00e4</vCard>".encode(),
}


async def _rooms(store: Any) -> None:
    cave = RoomRecord(
        SETTINGS, AFFILIATES, SUBJECT, "The Cave", True, False, STATES, "Double, double", "en", CRONE, 1000
    )  # fmt: skip
    await store.save(CAVE, cave)
    hidden = {"public": False, "persistent": False}
    await store.save(DEN, RoomRecord(hidden, {CRONE: Affiliate("owner")}, None, "", False, True, creator=CRONE))
    await store.save(MOOR, RoomRecord({}, {}))
    await store.destroy(MOOR, TOMBSTONE)
    await store.setPreference("refuse-invitations", TYBALT, True)


async def _accounts(store: Any) -> None:
    for name in ("romeo", "juliet"):
        await store.create(f"{name}@localhost", "secret")


def _said(id: str, time: int, text: str) -> ArchiveItem:
    message = parseStanza(f"<message type='groupchat' from='{CAVE}/Hecate' id='{id}'><body>{text}</body></message>")
    return ArchiveItem(id, time, f"{CAVE}/Hecate", HECATE, Rendered.of(message), text)


async def _archive(store: Any) -> None:
    await store.append(CAVE, [_said(f"i{number}", 1000 + number, text) for number, text in enumerate(SAID)])
    await store.append(DEN, [_said("j0", 5, "Fire burn")])
    await store.retract(CAVE, {"i1": Rendered.of(parseStanza(f"<message type='groupchat' from='{CAVE}/Hecate'/>"))})


async def _audit(store: Any) -> None:
    await store.append(ENTRIES)


async def _rosters(store: Any) -> None:
    await store.change("romeo@localhost", RosterChange("epoch", 1, 0, CONTACTS))
    await store.change("romeo@localhost", RosterChange("epoch", 2, 0, {"paris@localhost": None}))


async def _userData(store: Any) -> None:
    await store.change("romeo@localhost", DOCUMENTS)


KINDS: Final[dict[str, tuple[Schema, Callable[..., Any], Callable[[Any], Awaitable[None]]]]] = {
    "rooms": (rooms.SCHEMA, rooms.SQLiteRooms, _rooms),
    "accounts": (accountsSchema("localhost"), SQLiteAccounts, _accounts),
    "archive": (archiveschema.SCHEMA, SQLiteArchive, _archive),
    "audit": (audit.SCHEMA, audit.SQLiteAudit, _audit),
    "rosters": (rosters.SCHEMA, rosters.SQLiteRosters, _rosters),
    "userdata": (userdata.SCHEMA, userdata.SQLiteUserData, _userData),
}
"""By kind: the schema, what makes a store, and what fills one."""


def fixture(kind: str, version: int) -> Path:
    """The file of a version."""
    return FIXTURES / f"{kind}-v{version}.sql"


def dump(path: str) -> Iterator[str]:
    """
    The statements that make a database: unlike L{sqlite3.Connection.iterdump} with what is in the tables of a search
    index, and with triggers last, so that they do not act.
    """
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type <> 'table', rowid"
        ).fetchall()
        virtual = [name for _, name, sql in found if sql.startswith("CREATE VIRTUAL")]
        # SQLite makes these with others.
        shadows = {name for _, name, _ in found if name.startswith(("sqlite_", *(f"{each}_" for each in virtual)))}
        for type, name, sql in found:
            if name not in shadows:
                yield sql
            if type == "table" and name not in virtual:
                if name in shadows:
                    yield f"DELETE FROM {name}"
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
                quoted = " || ', ' || ".join(f"quote({column})" for column in columns)
                for (values,) in connection.execute(f"SELECT {quoted} FROM {name}"):
                    yield f"INSERT INTO {name} VALUES ({values})"


def restore(kind: str, version: int, path: str) -> None:
    """Make the database of a version."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(fixture(kind, version).read_text(encoding="utf-8"))


async def write(reactor: Any) -> None:
    """Write what is missing."""
    for kind, (schema, make, fill) in KINDS.items():
        path = fixture(kind, len(schema.migrations))
        if path.exists():
            continue
        with tempfile.TemporaryDirectory() as folder:
            database = os.path.join(folder, "database")
            store = make(FilePath(database), reactor)
            await store.open()
            await fill(store)
            await store.close()
            path.write_text("".join(f"{each.strip()};\n" for each in dump(database)), encoding="utf-8")
            print(path)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(write(reactor)))
