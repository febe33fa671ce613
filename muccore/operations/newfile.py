# -*- test-case-name: tests.operations.test_backup -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Files that commands write: private, and under their names only when they are complete and durable."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import BinaryIO, Final

from muccore.operations.refused import Refused
from muccore.storage.files import createPrivate, sync

UNFINISHED: Final = ".new"
"""The end of the file's name until it is complete."""


@contextlib.contextmanager
def newFile(path: str, replace: bool) -> Iterator[BinaryIO]:
    """
    Write a file, which gets its name at the end; nothing is left of it if this fails.

    @param path: its absolute path.
    @param replace: whether it may replace one of that name.
    @raise Refused: if it may not, or it cannot be written.
    """
    unfinished = path + UNFINISHED
    try:
        _refuseExisting(path, replace)
        with _created(unfinished) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _refuseExisting(path, replace)
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(unfinished)):
                raise Refused(f"{unfinished}: another process has replaced it")
            os.rename(unfinished, path)
        sync(os.path.dirname(path))
    except OSError as e:
        raise Refused(f"{path}: it cannot be written: {e.strerror}") from None


def _refuseExisting(path: str, replace: bool) -> None:
    if os.path.lexists(path) and not replace:
        raise Refused(f"{path}: it exists; name another file, or replace it with --force")


@contextlib.contextmanager
def _created(path: str) -> Iterator[BinaryIO]:
    """The unfinished file, in place of one that a killed process has left; removed if this fails."""
    with contextlib.suppress(FileNotFoundError):
        left = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _lock(left, path)
        finally:
            os.close(left)
    with os.fdopen(createPrivate(path), "wb") as file:
        _lock(file.fileno(), path)
        try:
            yield file
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            raise


def _lock(file: int, path: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refused(f"{path}: another process is writing it") from None
