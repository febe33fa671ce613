# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.operations.backupfile}: nothing in a file is trusted."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations import backupfile
from muccore.operations.backupfile import BackupReader, SavedDatabase, addMember, digestOf, finish
from muccore.operations.refused import Refused

CONTENT = b"some database" * 100


class BackupFileTests(SynchronousTestCase):
    """Files that are whole, and those that are not."""

    def setUp(self) -> None:
        """Write one with one database."""
        self.path = self.mktemp()
        with open(self.path, "wb") as file:
            digest = addMember(file, "database-1.db", io.BytesIO(CONTENT), len(CONTENT), 5)
            self.database = SavedDatabase("database-1.db", ["rooms"], {"rooms": 3}, len(CONTENT), digest)
            finish(file, [self.database], "1.0", 5)
        with open(self.path, "rb") as file:
            self.data = file.read()

    def read(self, data: bytes) -> bytes:
        """Write a file and read its database."""
        with open(self.path, "wb") as file:
            file.write(data)
        with open(self.path, "rb") as file:
            reader = BackupReader(file, self.path)
            to = io.BytesIO()
            for database in reader.databases:
                reader.extract(database, to)
            return to.getvalue()

    def assertRefused(self, reason: str, data: bytes) -> None:
        """A file is refused with one line that names it."""
        refusal = str(self.assertRaises(Refused, self.read, data))
        self.assertTrue(refusal.startswith(self.path))
        self.assertIn(reason, refusal)
        self.assertNotIn("\n", refusal)

    def withManifest(self, text: bytes) -> bytes:
        """A file with another manifest."""
        file = io.BytesIO()
        addMember(file, "database-1.db", io.BytesIO(CONTENT), len(CONTENT), 5)
        addMember(file, "manifest.json", io.BytesIO(text), len(text), 5)
        return file.getvalue() + bytes(1024)

    def described(self, **changes: Any) -> bytes:
        """A manifest with a changed description of the database."""
        described = {"name": "database-1.db", "purposes": ["rooms"], "schemas": {}, "size": 1300, "sha256": ""}
        return json.dumps({"format": 1, "databases": [{**described, **changes}]}).encode()

    def test_whole(self) -> None:
        """What was written is read; the digest is that of the content."""
        self.assertEqual(self.read(self.data), CONTENT)
        with open(self.path, "wb") as file:
            file.write(CONTENT)
        self.assertEqual(digestOf(self.path), self.database.sha256)

    def test_truncated(self) -> None:
        """A file that ends anywhere before its end is refused."""
        end = len(self.data) - 1024
        for length in (0, 1, 511, 512, 700, 512 + 1536, 512 + 1536 + 100, end - 200, end, end + 511):
            with self.assertRaises(Refused, msg=length):
                self.read(self.data[:length])

    def test_damaged(self) -> None:
        """A changed byte of the content or of a header is noticed."""
        for at in (3, 600, 512 + 1299, 512 + 1536 + 5):
            data = bytearray(self.data)
            data[at] ^= 1
            with self.assertRaises(Refused, msg=at):
                self.read(bytes(data))
        self.assertRefused("it is no back-up", b"SQLite format 3\0" * 100)

    def test_strangeMembers(self) -> None:
        """Links, folders, long names, members twice, too many, and sizes that cannot be are refused."""
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            header = tarfile.TarInfo("x\n")
            header.type = kind
            self.assertRefused("something that is in no back-up: 'x\\n'", header.tobuf() + self.data)
        header = tarfile.TarInfo("x")
        header.size = 1 << 60
        self.assertRefused("it is truncated", header.tobuf(tarfile.GNU_FORMAT) + self.data)
        header.size = -512
        self.assertRefused("in no back-up", header.tobuf(tarfile.GNU_FORMAT) + self.data)
        self.assertRefused("in no back-up", self.data[:2048] + self.data)
        self.patch(backupfile, "MEMBERS_LIMIT", 1)
        self.assertRefused("in no back-up", self.data)

    def test_otherContent(self) -> None:
        """What the manifest does not describe, as the paths of others, is refused."""
        file = io.BytesIO()
        addMember(file, "../../etc/passwd", io.BytesIO(b"x"), 1, 0)
        self.assertRefused("its manifest and its content differ", file.getvalue() + self.data)
        self.assertRefused("it has no manifest", self.data[:2048] + bytes(1024))
        self.assertRefused("differ", self.withManifest(self.described(size=1)))
        self.assertRefused("differ", self.withManifest(self.described(name="database-2.db")))
        self.assertRefused("another SHA-256", self.withManifest(self.described()))

    def test_manifest(self) -> None:
        """A manifest of another version, or with something else in it, is refused, and so is a large one."""
        self.assertRefused("its format is version 2,", self.withManifest(b'{"format": 2}'))
        damaged = [
            b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"format": 1}', b'{"format": 1, "databases": 3}',
            self.described(purposes="rooms"), self.described(purposes=[]), self.described(purposes=[[]]),
            self.described(schemas=[]), self.described(size="1"), self.described(name=None),
        ]  # fmt: skip
        for text in damaged:
            self.assertRefused("its manifest is damaged", self.withManifest(text))
        self.assertRefused("it has no manifest", self.withManifest(b" " * (backupfile.MANIFEST_LIMIT + 1)))
