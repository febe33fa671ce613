# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.sessionfile}."""

from __future__ import annotations

import errno
import os
import stat
from unittest.mock import patch

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import StoreUnavailable
from muccore.storage import sessionfile
from muccore.storage.sessionfile import HEADER, SessionFile

SAVED = [b'{"a": "\xe2\x98\x83"}', b"{}", b""]


class SessionFileTests(SynchronousTestCase):
    """A file of sessions."""

    def setUp(self) -> None:
        """Make one."""
        folder = FilePath(self.mktemp())
        folder.makedirs()
        self.path = folder.child("sessions")
        self.file = SessionFile(self.path.path)
        self.logged: list[str] = []
        self.patch(sessionfile._log, "warn", lambda text, **fields: self.logged.append(text.format(**fields)))

    def test_takenOnce(self) -> None:
        """What was saved is taken once; the last save counts."""
        self.assertEqual(self.file.take(), [])
        self.file.save([b"old"])
        self.file.save(SAVED)
        self.assertEqual(stat.S_IMODE(os.stat(self.path.path).st_mode), 0o600)
        self.assertEqual(self.file.take(), SAVED)
        self.assertFalse(os.path.exists(self.path.path))
        self.assertEqual(self.file.take(), [])

    def test_none(self) -> None:
        """Without sessions there is no file, nor that of before."""
        self.file.save(SAVED)
        self.file.save([])
        self.assertFalse(os.path.exists(self.path.path))

    def test_damaged(self) -> None:
        """Lines that are torn or damaged are dropped, with one warning."""
        self.file.save(SAVED)
        data = self.path.getContent()
        for length in range(len(HEADER), len(data)):
            self.path.setContent(data[:length])
            found = self.file.take()
            self.assertEqual(found, SAVED[: len(found)])
            self.assertLess(len(found), 3)
        self.logged.clear()
        self.path.setContent(data.replace(b"{}", b"[]"))
        self.assertEqual(self.file.take(), [SAVED[0], SAVED[2]])
        self.assertEqual(self.logged, [f"{self.path.path}: damaged sessions are ignored"])

    def test_otherFile(self) -> None:
        """Another file is refused, and stays."""
        self.path.setContent(b"muccore sessions 2\n")
        self.assertRaises(StoreUnavailable, self.file.take)
        self.assertTrue(os.path.exists(self.path.path))

    def test_fullDisk(self) -> None:
        """If it cannot be written, that is told, and there is no half of it."""

        def full(file: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with patch.object(os, "write", full):
            error = self.assertRaises(StoreUnavailable, self.file.save, SAVED)
        expected = f"{self.path.path}: it cannot be written (No space left on device); check the disk"
        self.assertEqual(str(error), expected)
        self.assertEqual(os.listdir(os.path.dirname(self.path.path)), [])

    def test_unreadable(self) -> None:
        """A file that cannot be read or removed is told."""
        os.mkdir(self.path.path)
        error = self.assertRaises(StoreUnavailable, self.file.take)
        self.assertIn(f"{self.path.path}: it cannot be read", str(error))
