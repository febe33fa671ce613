# -*- test-case-name: tests.storage.test_occupantjournal -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Files that others may not read. Everything here may raise C{OSError}."""

from __future__ import annotations

import contextlib
import os


def makeFolders(folder: str) -> None:
    """Create a folder and those above it, as far as they are missing, for their owner only."""
    if not os.path.isdir(folder):
        makeFolders(os.path.dirname(folder))
        # It may have been created meanwhile; if it is not a folder, creating a file in it fails.
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)


def createPrivate(path: str) -> int:
    """Create a file for its owner only, in place of any of that name, to append to; return its descriptor."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def sync(path: str, flags: int = os.O_RDONLY) -> None:
    """Make a file durable, or the names in a folder. @param flags: how to open it."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def writeAll(file: int, data: bytes) -> None:
    """Write all of this to a descriptor."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
