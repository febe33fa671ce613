# -*- test-case-name: tests.server.test_control -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Where C{muccorectl} reaches the running server: a UNIX socket in the file system, and the lock beside it.

Whoever has the lock may change accounts: the server from before it opens its stores until it has closed them, or
C{muccorectl} while no server runs. So two processes never do both a half. The kernel releases it when its owner ends,
in whatever way.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final

from muccore.config.schema import Settings
from muccore.storage.files import makeFolders

REQUEST_LIMIT: Final = 16 * 1024
"""Bytes of a request: a line of JSON."""

_BACKLOG: Final = 10


def controlPath(settings: Settings) -> str | None:
    """
    The path of the socket; by default beside the database of the rooms. C{None} if these are in memory, and it is not
    configured.
    """
    if settings.server.controlSocket is not None:
        return str(settings.server.controlSocket.path)
    scheme, _, path = settings.storage.placeOf("rooms")[1].partition(":")
    return os.path.join(settings.base.path, f"{path}-control") if scheme == "sqlite" else None


def takeLock(path: str) -> IO[bytes] | None:
    """
    Take the lock of a socket; it is released by closing what is returned. A missing folder is created, as a database
    would.

    @return: C{None} if another process has it.
    @raise OSError: if the file cannot be created.
    """
    makeFolders(os.path.dirname(os.path.abspath(path)))
    file = os.fdopen(os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def _reachable(path: str) -> Iterator[str]:
    """A name of a path that is short enough for a socket, however deep its folder is."""
    folder, name = os.path.split(path)
    descriptor = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def listen(path: str) -> socket.socket:
    """
    Listen, for the user of this process alone. Only who has the lock may: a socket that is left from another process is
    replaced.

    @raise OSError: if that is not possible.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file that is no socket", path)
        os.unlink(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # Nobody may connect before its mode is set.
        before = os.umask(0o177)
        try:
            with _reachable(path) as reachable:
                made.bind(reachable)
        finally:
            os.umask(before)
        made.setblocking(False)
        made.listen(_BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def connect(path: str) -> socket.socket | None:
    """
    Connect to the server.

    @return: C{None} if none listens.
    @raise OSError: if this user may not.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with _reachable(path) as reachable:
            made.connect(reachable)
    except (FileNotFoundError, ConnectionRefusedError):
        made.close()
        return None
    except BaseException:
        made.close()
        raise
    return made


def mayUse(connection: socket.socket) -> bool:
    """Whether the process at the other end belongs to the user of this one, or to root."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return user in (0, os.geteuid())
