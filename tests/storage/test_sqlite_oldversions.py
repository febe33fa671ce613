# Copyright (c) The muccore authors. See LICENSE for details.
"""Databases of all versions that have been there (L{tests.storage.oldversions}) are migrated, with what is in them."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.interfaces import ArchiveQuery, AuditQuery, SchemaTooNew, StoredRoster, Subject
from muccore.muc.model.roomsize import sizeOf
from tests.storage import oldversions
from tests.storage.oldversions import CAVE, CRONE, DEN, HECATE, KINDS, MOOR, TYBALT, fixture, restore


def versionIn(path: str, kind: str) -> int:
    """The version of a schema in a file."""
    with closing(sqlite3.connect(path)) as connection:
        [(version,)] = connection.execute("SELECT version FROM muccore_schema WHERE purpose = ?", (kind,))
    return int(version)


class OldVersionTests(TestCase):
    """Each version of each kind of store."""

    async def opened(self, kind: str, version: int) -> tuple[Any, Path]:
        """Open a store on a database of a version; return it with the folder of the database."""
        folder = Path(self.mktemp())
        folder.mkdir()
        path = str(folder / "database")
        restore(kind, version, path)
        self.assertEqual(versionIn(path, kind), version)
        store = KINDS[kind][1](FilePath(path), reactor)
        if hasattr(store, "setHost"):
            store.setHost("localhost")
        self.addCleanup(store.close)
        await store.open()
        return store, folder

    async def test_migrated(self) -> None:
        """
        Everything is there that the version had, as it was or as it is today; a copy of the old database is beside it,
        readable by its owner only, unless nothing was changed.
        """
        for kind, (schema, _, _) in KINDS.items():
            present = len(schema.migrations)
            for version in range(1, present + 1):
                store, folder = await self.opened(kind, version)
                await getattr(self, f"check_{kind}")(store, version)
                await store.close()
                path = str(folder / "database")
                self.assertEqual(versionIn(path, kind), present)
                with closing(sqlite3.connect(path)) as connection:
                    self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
                    self.assertEqual(connection.execute("PRAGMA foreign_key_check").fetchall(), [])
                copies = [str(each) for each in folder.glob("*.bak")]
                self.assertEqual(len(copies), int(version < present), (kind, version))
                for copy in copies:
                    self.assertEqual(stat.S_IMODE(os.stat(copy).st_mode), 0o600)
                    self.assertEqual(versionIn(copy, kind), version)

    async def test_newer(self) -> None:
        """A database of a later version is refused, and left alone."""
        for kind, (schema, make, _) in KINDS.items():
            path = self.mktemp()
            restore(kind, len(schema.migrations), path)
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("UPDATE muccore_schema SET version = version + 1")
                connection.commit()
            before = Path(path).read_bytes()
            with self.assertRaisesRegex(SchemaTooNew, "run the newer muccore that wrote it"):
                await make(FilePath(path), reactor).open()
            self.assertEqual(Path(path).read_bytes(), before)

    def test_complete(self) -> None:
        """There is one of every version; python -m tests.storage.oldversions writes those of the present ones."""
        versions = {kind: range(1, len(schema.migrations) + 1) for kind, (schema, _, _) in KINDS.items()}
        expected = {fixture(kind, version) for kind, known in versions.items() for version in known}
        self.assertEqual(set(oldversions.FIXTURES.iterdir()), expected)

    async def test_written(self) -> None:
        """Those of the present versions are what the stores write."""
        for kind, (schema, make, fill) in KINDS.items():
            path = self.mktemp()
            store = make(FilePath(path), reactor)
            await store.open()
            await fill(store)
            await store.close()
            written = [line for line in oldversions.dump(path) if not line.startswith("INSERT")]
            fixed = fixture(kind, len(schema.migrations)).read_text(encoding="utf-8")
            for statement in written:
                self.assertIn(f"{statement.strip()};\n", fixed)

    async def check_rooms(self, store: Any, version: int) -> None:
        """Rooms, a tombstone, and a preference."""
        cave = await store.load(CAVE)
        expected = oldversions.SUBJECT
        if version < 3:
            expected = Subject(expected.text, expected.nick, expected.stamp, expected.language if version > 1 else None)
        self.assertEqual(cave.settings, oldversions.SETTINGS)
        self.assertEqual(cave.affiliates, oldversions.AFFILIATES)
        self.assertEqual(cave.subject, expected)
        self.assertEqual((cave.name, cave.public, cave.temporary), ("The Cave", True, False))
        self.assertEqual((cave.description, cave.language, cave.creator), ("Double, double", "en", CRONE))
        self.assertEqual(cave.states, oldversions.STATES if version > 3 else {})
        if version < 7:
            self.assertEqual(cave.size, sizeOf(replace(cave, size=0)))
        den = await store.load(DEN)
        self.assertEqual((den.public, den.temporary, den.subject, list(den.affiliates)), (False, True, None, [CRONE]))
        self.assertIsNone(await store.load(MOOR))
        self.assertEqual(await store.tombstone(MOOR), oldversions.TOMBSTONE if version > 4 else None)
        self.assertEqual(await store.preferences("refuse-invitations"), {TYBALT: True} if version > 5 else {})
        page = await store.publicRooms("chat.example", None, None, 9)
        self.assertEqual((page.rooms, page.index, page.count), ([(CAVE, "The Cave")], 0, 1))
        self.assertEqual(await store.temporaryRooms("chat.example"), [DEN])
        self.assertEqual(set(await store.usage("chat.example")), {CRONE})

    async def check_accounts(self, store: Any, version: int) -> None:
        """Accounts that can log in."""
        self.assertEqual(await store.users("localhost"), ["juliet@localhost", "romeo@localhost"])
        for password in ("secret", "wrong"):
            self.assertIs(await store.checkPassword("romeo@localhost", password), password == "secret")
        for hashName in store.hashes:
            self.assertIsNotNone(await store.scramKeys("juliet@localhost", hashName))
        self.assertIn("SHA-1", store.hashes)

    async def check_archive(self, store: Any, version: int) -> None:
        """Messages, one of them retracted, which are found by words, sender and author."""
        page = await store.query(CAVE, ArchiveQuery())
        self.assertEqual([(item.id, item.time, item.retracted) for item in page.items],
                         [("i0", 1000, False), ("i1", 1001, True), ("i2", 1002, False)])  # fmt: skip
        self.assertIn(b"<body>Fire burn</body>", page.items[2].stanza.tail)
        for query, found in (
            (ArchiveQuery(text="double"), ["i0"]), (ArchiveQuery(text="toil"), []),
            (ArchiveQuery(sender=f"{CAVE}/Hecate", text="FIRE"), ["i2"]),
            (ArchiveQuery(author=HECATE, start=1002), ["i2"]),
        ):  # fmt: skip
            self.assertEqual([item.id for item in (await store.query(CAVE, query)).items], found, query)
        self.assertEqual(await store.names("", 9), [CAVE, DEN])
        await store.append(CAVE, [replace(page.items[2], id="i3", text="Cool it")])
        self.assertEqual([each.id for each in (await store.query(CAVE, ArchiveQuery(text="cool"))).items], ["i3"])

    async def check_audit(self, store: Any, version: int) -> None:
        """The entries."""
        found = (await store.query(AuditQuery(room=CAVE))).entries
        self.assertEqual(list(reversed(found)), oldversions.ENTRIES)

    async def check_rosters(self, store: Any, version: int) -> None:
        """The contacts, and who was removed."""
        rows = {jid: (1, item) for jid, item in oldversions.CONTACTS.items()}
        expected = StoredRoster("epoch", 2, 0, {**rows, "paris@localhost": (2, None)})
        self.assertEqual(await store.load("romeo@localhost"), expected)

    async def check_userdata(self, store: Any, version: int) -> None:
        """The documents."""
        for (kind, key), content in oldversions.DOCUMENTS.items():
            self.assertEqual(await store.get("romeo@localhost", kind, key), content)
