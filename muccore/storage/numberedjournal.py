# -*- test-case-name: tests.storage.test_numberedjournal -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A journal for archives in a database elsewhere, which may not be there when the server starts (design/0032).

A file beside those of the journal has a random name for them, under which the database keeps the position of the last
call that it has committed: servers on several machines do not take their journals for one another's. It also counts the
runs of the server, so that positions grow from one to the next without asking the database.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from typing import Final

from muccore.interfaces import StoreUnavailable
from muccore.storage.archivejournal import ArchiveJournal, JournaledCall
from muccore.storage.files import createPrivate, makeFolders, sync, writeAll
from muccore.storage.journalfile import readJournalFile, unavailable

HEADER: Final = b"muccore journal 1\n"
"""The first line of the file, with the version of the format."""

RUN: Final = 40
"""Bits of a position that count the calls of one run."""


class NumberedJournal(ArchiveJournal):
    """
    The files.

    @ivar id: their name, once they are open.
    """

    def __init__(self, path: str) -> None:
        """@param path: with which those of the files begin."""
        super().__init__(path)
        self.id = ""
        self._path = f"{path}-journal"
        self._lock: int | None = None

    def probe(self) -> None:
        """See L{ArchiveJournal.probe}."""
        readJournalFile(self._path, HEADER)
        super().probe()

    def resume(self) -> list[JournaledCall]:
        """
        Begin with what an earlier process has left; it is kept until it is L{committed}.

        @return: that, in order.
        @raise StoreUnavailable: if the files cannot be read or written, or another process uses them.
        """
        try:
            makeFolders(os.path.dirname(self._path))
            self._takeLock()
            calls = self.read()
            self.id, run = self._nextRun(max([position for position, _, _ in calls], default=0) >> RUN)
            self.openKept(run << RUN)
        except OSError as e:
            self.close()
            raise unavailable(self._path, "written", e) from None
        except StoreUnavailable:
            self.close()
            raise
        return calls

    def close(self) -> None:
        """See L{ArchiveJournal.close}."""
        super().close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _takeLock(self) -> None:
        # A file of its own, since the other one is replaced.
        self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreUnavailable(
                f"{self._path}: another process uses it; end that, or give each its own journal"
            ) from None

    def _nextRun(self, last: int) -> tuple[str, int]:
        """
        Count this run, durably; return the name and the number.

        @param last: a run that there was.
        """
        found = readJournalFile(self._path, HEADER)[len(HEADER) :].split()
        id, run = (found[0].decode(), int(found[1])) if len(found) == 2 else (secrets.token_hex(16), 0)
        run = max(run, last) + 1
        new = f"{self._path}.new"
        file = createPrivate(new)
        try:
            writeAll(file, HEADER + f"{id} {run}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(new, self._path)
        sync(os.path.dirname(self._path))
        return id, run
