# -*- test-case-name: tests.operations.transfer.ejabberd.test_tables -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Files with tables of ejabberd's database Mnesia, as C{ejabberdctl dump} and C{dump_table} write them: the declarations
of the tables, and then a term for each row, which begins with the table's name at the beginning of a line.
"""

from __future__ import annotations

import io
import mmap
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from muccore.operations.transfer.ejabberd.terms import Term, readTerms
from muccore.operations.transfer.pieces import DataError

HEADER: Final = re.compile(rb"\s*\{\s*tables\s*,")
"""What a file begins with."""

ARCHIVE: Final = "archive_msg"
"""The table of archived messages, by the account or room that the archive is of."""

ITEMS: Final = "pubsub_item"
"""The table of published items, whose rows are found one by one."""

_DECLARATIONS: Final = "tables"
_ROW: Final = re.compile(rb"^\{([a-z][a-z0-9_]*),", re.MULTILINE)
_KEY: Final = re.compile(rb"\{archive_msg,\s*(\{\s*<<[^<>]*>>\s*,\s*<<[^<>]*>>\s*\})\s*,")

Range = tuple[int, int]
"""Where something begins and ends."""


class TablesFile:
    """
    A file, in which the rows of each table are found without reading what precedes them.

    @ivar path: where it is.
    @ivar size: its bytes.
    @ivar position: how many of them were read as rows.
    @ivar counts: the number of rows of each table.
    """

    def __init__(self, path: str) -> None:
        """
        @raise OSError: if it cannot be read.
        @raise ValueError: if it is empty.
        """
        self.path = path
        with open(path, "rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.size = len(self._content)
        self.position = 0
        self.counts: Counter[str] = Counter()
        self._tables: dict[str, list[Range]] = {}
        self._archives: dict[bytes, list[Range]] = {}
        self._index()

    def close(self) -> None:
        """Let the file go."""
        self._content.close()

    def rows(self, table: str) -> Iterator[tuple[Term, ...]]:
        """
        Read the rows of a table.

        @raise DataError: if one is not what it should be; what precedes it has been yielded.
        """
        for found in self._tables.get(table, ()):
            yield from self._read(found)

    def places(self, table: str) -> list[Range]:
        """Where the rows of a table are, several in a range unless the table is L{ITEMS}."""
        return list(self._tables.get(table, ()))

    def rowsAt(self, place: Range) -> Iterator[tuple[Term, ...]]:
        """
        Read the rows at a place.

        @raise DataError: as L{rows}.
        """
        return self._read(place)

    def archives(self) -> Iterator[bytes]:
        """List the archives, each by what L{archived} takes."""
        return iter(self._archives)

    def archived(self, key: bytes) -> Iterator[tuple[Term, ...]]:
        """
        Read the messages of an archive.

        @raise DataError: as L{rows}.
        """
        for found in self._archives.get(key, ()):
            yield from self._read(found)

    def _index(self) -> None:
        """Find where rows of the same table, or messages of the same archive, follow each other."""
        last: list[Range] | None = None
        starts = _ROW.finditer(self._content)
        found = next(starts, None)
        while found is not None:
            following = next(starts, None)
            begin, end = found.start(), self.size if following is None else following.start()
            name = found.group(1).decode()
            self.counts[name] += name != _DECLARATIONS
            ranges = self._archive(begin) if name == ARCHIVE else self._tables.setdefault(name, [])
            if ranges is last and name != ITEMS:
                ranges[-1] = (ranges[-1][0], end)
            else:
                ranges.append((begin, end))
            last = ranges
            found = following

    def _archive(self, begin: int) -> list[Range]:
        """Where the messages of the archive are whose row begins there; what names none is an archive by itself."""
        key = _KEY.match(self._content, begin)
        return self._archives.setdefault(b"" if key is None else b"".join(key.group(1).split()), [])

    def _read(self, found: Range) -> Iterator[tuple[Term, ...]]:
        for term in readTerms(_Part(self, *found)):
            if not isinstance(term, tuple):
                raise DataError("there is something else than a row")
            yield term

    def read(self, begin: int, end: int) -> bytes:
        """Read bytes, which count."""
        self.position += end - begin
        return self._content[begin:end]


class _Part:
    """A part of a file that is read as one."""

    def __init__(self, file: TablesFile, begin: int, end: int) -> None:
        self._file = file
        self._offset = begin
        self._end = end

    def read(self, size: int, /) -> bytes:
        """See L{IReadable}."""
        piece = self._file.read(self._offset, min(self._offset + size, self._end))
        self._offset += len(piece)
        return piece


def addressIn(key: bytes) -> tuple[bytes, bytes]:
    """
    The name and the domain in the key of an archive.

    @raise DataError: if there is none.
    """
    try:
        [found] = readTerms(io.BytesIO(key + b"."))
        name, host = found  # type: ignore[misc]
    except (ValueError, TypeError):
        raise DataError("it does not say whose it is") from None
    if not (isinstance(name, bytes) and isinstance(host, bytes)):
        raise DataError("it does not say whose it is")
    return name, host
