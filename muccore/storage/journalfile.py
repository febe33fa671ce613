# -*- test-case-name: tests.storage.test_occupantjournal -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Files of journals: a header, and then what was appended, each time by one C{write} in the reactor thread, after which
the kernel has it, whatever becomes of the process. What power loss may take, a journal is not for.
"""

from __future__ import annotations

import os

from muccore.interfaces import StoreUnavailable
from muccore.storage.files import makeFolders


def unavailable(path: str, what: str, error: OSError) -> StoreUnavailable:
    """The error for the operator; C{what}: C{"read"} or C{"written"}."""
    advice = "give the server's user permission to read and write it and its folder"
    return StoreUnavailable(f"{path}: it cannot be {what} ({error.strerror}); {advice}")


def readJournalFile(path: str, header: bytes) -> bytes:
    """
    Read a file, its header included.

    @param header: the name of the format, its version, and a line feed.
    @return: C{b""} if there is no file, or it was written by another version.
    @raise StoreUnavailable: if it cannot be read, or belongs to another program.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return b""
    except OSError as e:
        raise unavailable(path, "read", e) from None
    if header.startswith(data) or data.startswith(header):
        return data
    if data.startswith(header.rpartition(b" ")[0] + b" "):
        return b""
    raise StoreUnavailable(f"{path}: it is a file of another program; name another file")


def checkWritable(path: str) -> None:
    """
    Check that a file can be appended to, which creates it.

    @raise StoreUnavailable: if it cannot.
    """
    try:
        makeFolders(os.path.dirname(path))
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as e:
        raise unavailable(path, "written", e) from None


def appendWhole(file: int, data: bytes) -> None:
    """Append to a file by one C{write}; C{OSError} if not all of it was written."""
    if os.write(file, data) != len(data):
        raise OSError(0, "the disk is full")
