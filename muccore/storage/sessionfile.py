# -*- test-case-name: tests.storage.test_sessionfile -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A file with the sessions that were there when the server ended, a line each with its checksum.

It is whole or not there, and it is taken once: what is left of a server that was killed must not be resumed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import Final
from zlib import crc32

from muccore.interfaces import StoreUnavailable
from muccore.log.logger import Logger
from muccore.storage.files import createPrivate, writeAll

HEADER: Final = b"muccore sessions 1\n"
"""The first line, with the version of the format."""

_log: Final = Logger()


class SessionFile:
    """The file. Both methods wait for the disk, and raise L{StoreUnavailable} with a line that names the file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def save(self, sessions: Sequence[bytes]) -> None:
        """Write the file, in place of any other; without sessions there is none."""
        new = f"{self.path}.new"
        try:
            if not sessions:
                self._remove()
                return
            file = createPrivate(new)
            try:
                writeAll(file, HEADER + b"".join([b"%08x %s\n" % (crc32(each), each) for each in sessions]))
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(new, self.path)
        except OSError as e:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise StoreUnavailable(f"{self.path}: it cannot be written ({e.strerror}); check the disk") from None

    def take(self) -> list[bytes]:
        """Read the file, and remove it. Lines that are damaged are dropped."""
        try:
            with open(self.path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as e:
            raise StoreUnavailable(f"{self.path}: it cannot be read ({e.strerror})") from None
        if not data.startswith(HEADER):
            raise StoreUnavailable(f"{self.path}: it was not written by this version of muccore; remove it")
        try:
            self._remove()
            # It must not come back after a power loss.
            folder = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as e:
            raise StoreUnavailable(f"{self.path}: it cannot be removed ({e.strerror})") from None
        sessions = []
        lines = data[len(HEADER) :].split(b"\n")
        damaged = len(lines.pop()) > 0
        for line in lines:
            checksum, _, session = line.partition(b" ")
            if checksum == b"%08x" % crc32(session):
                sessions.append(session)
            else:
                damaged = True
        if damaged:
            _log.warn("{path}: damaged sessions are ignored", path=self.path)
        return sessions

    def _remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
