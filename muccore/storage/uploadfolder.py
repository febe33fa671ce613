# -*- test-case-name: tests.storage.test_fileuploads -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A folder of uploaded files. Everything here waits for the disk.

A file is written in C{new}, synced, and renamed into a folder named after the beginning of its id.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable
from typing import Final

from muccore.interfaces import StoreUnavailable
from muccore.interfaces.uploads import UPLOAD_ID
from muccore.log.logger import Logger
from muccore.storage.files import createPrivate, makeFolders, sync

_NEW: Final = "new"
_LOCK: Final = "lock"

_log: Final = Logger()


class UploadFolder:
    """The folder at C{path}. Methods raise C{OSError}, unless they say otherwise."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock: int | None = None

    def newPath(self, id: str) -> str:
        """Where a file is written."""
        return os.path.join(self.path, _NEW, id)

    def pathOf(self, id: str) -> str:
        """Where a file is when it is whole."""
        return os.path.join(self.path, id[:2], id)

    def take(self) -> None:
        """
        Take it for this process until L{release} is called, and remove what was being written.

        @raise StoreUnavailable: if nothing can be written there, or another process has it: that would lose what it is
            writing.
        """
        self.prepare()
        try:
            lock = os.open(os.path.join(self.path, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._lock = lock
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
                raise StoreUnavailable(f"{self.path}: another process has opened it; end that first") from None
            for name in os.listdir(self.newPath("")):
                os.unlink(self.newPath(name))
        except OSError as e:
            self.release()
            raise StoreUnavailable(f"{self.path}: {e.strerror}") from None

    def release(self) -> None:
        """Leave it to other processes."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def prepare(self) -> None:
        """
        Create it.

        @raise StoreUnavailable: if nothing can be written there.
        """
        try:
            makeFolders(self.newPath(""))
            probe = self.newPath(f".{os.getpid()}")
            os.close(createPrivate(probe))
            os.unlink(probe)
        except OSError as e:
            raise StoreUnavailable(
                f"{self.path}: files cannot be written there ({e.strerror}); give the server's user permission, or "
                "name another folder"
            ) from None

    def begin(self, id: str) -> int:
        """Begin to write a file; return its descriptor."""
        return createPrivate(self.newPath(id))

    def keep(self, id: str, file: int) -> None:
        """Make a file that is whole durable in its place."""
        os.fsync(file)
        path = self.pathOf(id)
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
            sync(self.path)
        os.rename(self.newPath(id), path)
        sync(folder)

    def discard(self, id: str, file: int) -> None:
        """Close and remove a file, wherever it is. Raises nothing."""
        with contextlib.suppress(OSError):
            os.close(file)
        self.remove([self.newPath(id), self.pathOf(id)])

    def read(self, id: str, offset: int, size: int) -> bytes:
        """Read part of a file."""
        with open(self.pathOf(id), "rb", buffering=0) as file:
            parts, wanted = [], size
            while wanted:
                part = os.pread(file.fileno(), wanted, offset + size - wanted)
                if not part:
                    break
                parts.append(part)
                wanted -= len(part)
            return b"".join(parts)

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files, there or not. Raises nothing: what cannot be removed is logged, and is a remain."""
        for path in paths:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as e:
                _log.error("{path}: cannot be removed ({error})", path=path, error=e.strerror)

    def folders(self) -> list[str]:
        """The names of the folders with files that are whole."""
        with os.scandir(self.path) as found:
            return sorted(each.name for each in found if len(each.name) == 2 and each.is_dir())

    def ids(self, folder: str) -> list[str]:
        """The ids of the files in one of them."""
        return [name for name in os.listdir(os.path.join(self.path, folder)) if UPLOAD_ID.fullmatch(name)]
