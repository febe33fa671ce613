# -*- test-case-name: tests.storage.test_archivejournal -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What was appended to archives and is not yet committed, in files beside the database: a message that occupants have seen
is in the archive although the process was killed before the commit (design/0014).

Each call has a number, its position. The database keeps that of the last one that it has committed, so a call is
written once, and what was retracted, expired or deleted since does not come back. Each group of calls has a file of its
own as long as there are free ones; it is emptied when the group is committed.

A record is a checksum, its length, and fields with a NUL between them, which no text in XML has: the position, the
archive, and seven for each item. A file ends at its first damaged record.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from zlib import crc32

from muccore.interfaces import ArchiveItem
from muccore.log.logger import Logger
from muccore.storage.files import createPrivate, writeAll
from muccore.storage.journalfile import appendWhole, checkWritable, readJournalFile, unavailable
from muccore.xmpp.rendering import Rendered

HEADER: Final = b"muccore appended 1\n"
"""The first line of each file, with the version of the format."""

FILES: Final = 4
"""Groups that may be on their way until two share a file."""

_START: Final = 18
"""Bytes before the fields: checksum and length, as hexadecimal numbers."""

_FIELDS: Final = 7
"""Fields of an item."""

_log: Final = Logger()

JournaledCall = tuple[int, str, Sequence[ArchiveItem]]
"""Its position, the archive, and what was appended to it."""


def encodeCall(position: int, archive: str, items: Sequence[ArchiveItem]) -> bytes:
    """Encode a record; C{TypeError} or C{ValueError} if something is no text."""
    texts = f"{position}\0{archive}"
    parts = []
    for item in items:
        stanza = item.stanza
        texts = "\0".join((texts, item.id, str(item.time), item.sender, item.author, item.text))
        parts.append(b"%b\0%b\0%b" % (texts.encode(), stanza.head, stanza.tail))
        texts = ""
    record = b"".join(parts) or texts.encode()
    if record.count(b"\0") != 1 + _FIELDS * len(items):
        raise ValueError("a NUL in text")
    return b"%08x %08x %b" % (crc32(record), len(record), record)


def decodeCalls(data: bytes) -> Iterator[JournaledCall]:
    """Decode records, up to the first that is torn or damaged."""
    for record, _ in _records(data):
        position, archive, *fields = record.split(b"\0")
        items = [_item(*fields[n : n + _FIELDS]) for n in range(0, len(fields), _FIELDS)]
        yield int(position), archive.decode(), items


def _records(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The fields of each record, and where it ends."""
    at = 0
    while at < len(data):
        try:
            checksum, length = (int(number, 16) for number in data[at : at + _START].split())
        except ValueError:
            return
        record = data[at + _START : at + _START + length]
        if len(record) < length or crc32(record) != checksum:
            return
        at += _START + length
        yield record, at


def _item(id: bytes, time: bytes, sender: bytes, author: bytes, text: bytes, head: bytes, tail: bytes) -> ArchiveItem:
    return ArchiveItem(id.decode(), int(time), sender.decode(), author.decode(), Rendered(head, tail), text.decode())


class _File:
    """
    One of the files, empty.

    @ivar last: the position of the last record that was to be written; 0 while there is none.
    """

    __slots__ = ("file", "last", "size")

    def __init__(self, path: str) -> None:
        self.file = createPrivate(path)
        self.last = 0
        self.size = len(HEADER)
        writeAll(self.file, HEADER)

    @classmethod
    def kept(cls, path: str) -> _File:
        """
        One that keeps the records that it has.

        @raise StoreUnavailable: as L{ArchiveJournal.read}.
        """
        data = readJournalFile(path, HEADER)
        ends = [(int(record.partition(b"\0")[0]), end) for record, end in _records(data[len(HEADER) :])]
        if not ends:
            return cls(path)
        file = cls.__new__(cls)
        file.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        file.last, file.size = max(ends)[0], len(HEADER) + ends[-1][1]
        # What follows a torn record would not be read.
        os.ftruncate(file.file, file.size)
        return file

    def append(self, record: bytes) -> None:
        """Append a record, or nothing and raise C{OSError}."""
        try:
            appendWhole(self.file, record)
        except OSError:
            # What follows a torn one would not be read.
            with contextlib.suppress(OSError):
                os.ftruncate(self.file, self.size)
            raise
        self.size += len(record)

    def empty(self) -> None:
        """Remove all records."""
        os.ftruncate(self.file, len(HEADER))
        self.last, self.size = 0, len(HEADER)


class ArchiveJournal:
    """
    The files.

    @ivar position: that of the last call.
    @ivar callBeforeSending: see L{IStore<muccore.interfaces.IStore>}; by default each call is written at once.
    """

    callBeforeSending: Callable[[Callable[[], object]], object] = staticmethod(lambda write: write())

    def __init__(self, database: str) -> None:
        """@param database: the path of the database, with which those of the files begin."""
        self.position = 0
        self._paths = [f"{database}-appended-{number}" for number in range(1, FILES + 1)]
        self._files: list[_File] = []
        self._current: _File | None = None
        self._failing = False
        self._unwritten: list[JournaledCall] = []

    def probe(self) -> None:
        """Check that the files can be read and written; L{StoreUnavailable<muccore.interfaces>} names one."""
        self.read()
        checkWritable(self._paths[0])

    def read(self) -> list[JournaledCall]:
        """
        Read what an earlier process has left, in order.

        @raise StoreUnavailable: if a file cannot be read, or belongs to another program.
        """
        calls: list[JournaledCall] = []
        for path in self._paths:
            calls += decodeCalls(readJournalFile(path, HEADER)[len(HEADER) :])
        return sorted(calls, key=lambda call: call[0])

    def open(self, position: int) -> None:
        """
        Begin with empty files; what is in them must have been committed.

        @param position: that of the last call that was committed.
        @raise StoreUnavailable: if they cannot be written.
        """
        self.position = position
        self._open(_File)

    def _open(self, make: Callable[[str], _File]) -> None:
        try:
            for path in self._paths:
                self._files.append(make(path))
        except OSError as e:
            self.close()
            raise unavailable(path, "written", e) from None
        self._current = next((file for file in self._files if not file.last), self._files[0])

    def openKept(self, position: int) -> None:
        """
        Begin with what is in the files.

        @param position: one that follows all that are in them.
        @raise StoreUnavailable: as L{open}.
        """
        self.position = position
        self._open(_File.kept)

    def close(self) -> None:
        """Close the files, and remove them if there is nothing in them."""
        self._write()
        files, self._files, self._current = self._files, [], None
        for file in files:
            os.close(file.file)
        if not any(file.last for file in files):
            for path in self._paths[: len(files)]:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def append(self, archive: str, items: Sequence[ArchiveItem]) -> int:
        """
        Write a call, in no thread, before anybody sees what it appends: with the others of a turn. If that fails, it
        is logged.

        @return: its position.
        """
        self.position += 1
        if self._current is not None:
            self._unwritten.append((self.position, archive, items))
            if len(self._unwritten) == 1:
                self.callBeforeSending(self._write)
        return self.position

    def _write(self) -> None:
        calls, self._unwritten = self._unwritten, []
        file = self._current
        records = []
        for call in calls:
            # The store will refuse what is no text.
            with contextlib.suppress(AttributeError, TypeError, ValueError):
                records.append(encodeCall(*call))
        if not records or file is None:
            return
        file.last = calls[-1][0]
        try:
            file.append(b"".join(records))
        except OSError as e:
            if not self._failing:
                self._failing = True
                _log.error(
                    "{path}: what is appended to the archives cannot be written at once ({problem}); until it can, a"
                    " killed server loses the messages of its last moments",
                    path=self._paths[self._files.index(file)], problem=e.strerror,
                )  # fmt: skip
        else:
            if self._failing:
                self._failing = False
                _log.info("{path}: it can be written again", path=self._paths[self._files.index(file)])

    def beginGroup(self) -> None:
        """Write to another file, if one is free: what is in this one is being committed."""
        self._write()
        if self._current is not None and self._current.last:
            self._current = next((file for file in self._files if not file.last), self._current)

    def committed(self, position: int) -> None:
        """Forget all calls up to a position: they are committed, or their callers know that they have failed."""
        for file in self._files:
            if 0 < file.last <= position:
                try:
                    file.empty()
                except OSError as e:
                    _log.error("an archive's journal cannot be emptied: {problem}", problem=e.strerror)
