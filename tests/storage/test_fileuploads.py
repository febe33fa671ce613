# -*- test-case-name: tests.storage.test_fileuploads -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.storage.fileuploads}."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import LogLevel
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from muccore.interfaces import BadDescription, StoreError, StoreUnavailable
from muccore.interfaces.uploads import UploadUsage
from muccore.storage import fileuploads
from muccore.storage.fileuploads import FileUploads, makeFileUploads
from muccore.testing.contracts.uploads import ID, MANY, PICTURE, ROMEO, UploadStoreContract, numbered
from tests.configuration import Logged

KILLED = """
import os, signal, sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.python.filepath import FilePath
from muccore.storage import fileuploads
from muccore.storage.fileuploads import FileUploads
from muccore.testing.contracts.uploads import MANY, PICTURE, numbered

place, moment = sys.argv[1:]

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def run():
    store = FileUploads(FilePath(place), reactor)
    await store.open()
    for upload in (numbered(1), PICTURE):
        writer = await store.create(upload, MANY, MANY)
        await writer.write(b"abc")
        if upload is PICTURE and moment == "writing":
            kill()
        await writer.write(b"def")
        if upload is PICTURE and moment == "renamed":
            fileuploads.UploadIndex.add = kill
        await writer.finish()
    kill()

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(run()))
reactor.run()
"""
"""Stores two files and kills itself, at a moment of the second one."""


class FileUploadsTests(UploadStoreContract, TestCase):
    """The contract, and the folder."""

    def makeStore(self, place: FilePath[str]) -> FileUploads:
        """See L{UploadStoreContract}."""
        return FileUploads(place, reactor)

    def files(self) -> list[str]:
        """The paths of all files but the index, in the folder."""
        found = [
            os.path.relpath(os.path.join(folder, name), self.place.path)
            for folder, _, names in os.walk(self.place.path)
            for name in names
        ]
        return sorted(each for each in found if not each.startswith(("index.db", "lock")))

    async def test_folder(self) -> None:
        """Files are where their id says, for their owner only, and gone when they are removed."""
        store = await self.opened()
        writer = await store.create(PICTURE, MANY, MANY)
        self.assertEqual(self.files(), [f"new/{ID}"])
        await writer.write(b"abcdef")
        await writer.finish()
        self.assertEqual(self.files(), [f"{ID[:2]}/{ID}"])
        for path in (self.place.child(ID[:2]), self.place.child(ID[:2]).child(ID), self.place.child("index.db")):
            self.assertFalse(path.getPermissions().group.read or path.getPermissions().other.read)
        await store.removeAccount(ROMEO)
        self.assertEqual(self.files(), [])

    async def test_killed(self) -> None:
        """After a kill, a file is whole or not there, and what is left is swept."""
        for moment, kept in (("writing", False), ("renamed", False), ("finished", True)):
            place = FilePath(self.mktemp())
            self.place = place
            command = [sys.executable, "-c", KILLED, place.path, moment]
            root = Path(__file__).parent.parent.parent
            self.assertEqual(subprocess.run(command, cwd=root, check=False).returncode, -9)
            left = len(self.files())
            self.assertEqual(left, 2)
            store = await self.opened()
            self.assertEqual(await store.find(numbered(1).id), numbered(1))
            self.assertEqual(await store.find(ID), PICTURE if kept else None)
            self.assertEqual(await store.usage(ROMEO), UploadUsage(12 if kept else 6, 12 if kept else 6, 2000))
            while len(self.files()) > (2 if kept else 1):
                await deferLater(reactor, 0.01)
            await store.close()
            self.assertEqual(len(self.files()), 2 if kept else 1)

    async def test_sweep(self) -> None:
        """Files without rows are removed at the start; a file that is not one of the store stays."""
        logged = Logged(self)
        store = await self.opened()
        await self.put(store)
        await store.close()
        for name in (ID[:2] + "B" * 30, ID[:2] + "C" * 30, "README"):
            self.place.child(ID[:2]).child(name).setContent(b"x")
        store = await self.opened()
        await store.close()
        self.assertEqual(self.files(), [f"{ID[:2]}/{ID}", f"{ID[:2]}/README"])
        self.assertIn("removed 2 files that a crash has left", "".join(logged.lines(LogLevel.info)))

    async def test_twoProcesses(self) -> None:
        """While it is open, nobody else opens it, and removes what is being written; C{probe} does not either."""
        store = await self.opened()
        writer = await store.create(PICTURE, MANY, MANY)
        await writer.write(b"abc")
        other = self.makeStore(self.place)
        other.probe()
        with self.assertRaises(StoreUnavailable) as raised:
            await other.open()
        self.assertIn("another process has opened it", str(raised.exception))
        await other.close()
        await writer.write(b"def")
        await writer.finish()
        await store.close()
        self.assertEqual(await (await self.opened()).read(ID, 0, 6), b"abcdef")

    async def test_lost(self) -> None:
        """A file that somebody has removed is not read; its row can be removed."""
        store = await self.opened()
        await self.put(store)
        self.place.child(ID[:2]).child(ID).remove()
        with self.assertRaises(StoreError):
            await store.read(ID, 0, 1)
        self.assertEqual(await store.removeExpired(MANY, 10), 1)

    async def test_sameID(self) -> None:
        """An id is used once."""
        store = await self.opened()
        writer = await store.create(PICTURE, MANY, MANY)
        for upload in (PICTURE, numbered(1, filename="x")):
            if upload is not PICTURE:
                await self.put(store, upload)
            with self.assertRaises(StoreError):
                await store.create(upload, MANY, MANY)
        await writer.abort()
        self.assertEqual(await store.read(numbered(1).id, 0, 6), b"abcdef")

    async def test_notWritable(self) -> None:
        """A folder that cannot be written is an error that names it, in C{probe} too."""
        self.place.setContent(b"a file")
        store = self.makeStore(self.place)
        with self.assertRaises(StoreUnavailable) as raised:
            await store.open()
        self.assertIn(self.place.path, str(raised.exception))
        self.assertRaises(StoreUnavailable, store.probe)
        await store.close()

    async def test_diskFull(self) -> None:
        """An error of the disk is one of the store, and nothing is left of the file."""
        store = await self.opened()
        writer = await store.create(PICTURE, MANY, MANY)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        self.patch(fileuploads, "writeAll", full)
        with self.assertRaises(StoreUnavailable) as raised:
            await writer.write(b"abcdef")
        self.assertIn("No space left on device", str(raised.exception))
        await writer.abort()
        self.assertEqual(self.files(), [])

    def test_description(self) -> None:
        """C{files:} needs a path, relative to the configuration."""
        base = FilePath("/base")
        for argument in ("", " ", "a\0b"):
            self.assertRaises(BadDescription, makeFileUploads, argument, base, reactor)
        made = makeFileUploads("var/uploads", base, reactor)
        self.assertEqual(made.path, "/base/var/uploads")  # type: ignore[attr-defined]

    async def test_probe(self) -> None:
        """C{probe} creates the folder and leaves nothing open."""
        store = self.makeStore(self.place)
        store.probe()
        self.assertEqual(self.files(), [])
        self.assertTrue(self.place.child("new").isdir())
