# -*- test-case-name: tests.operations.transfer.prosody.test_folder -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The folder in which Prosody keeps its data with the storage C{internal}, its default: C{HOST/STORE/NAME.dat} with one
value, or C{HOST/STORE/NAME.list} with any number of items. All but letters and digits is encoded as C{%} and two
hexadecimal digits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

from muccore.operations.transfer.pieces import DataError, IReadable
from muccore.operations.transfer.prosody.luadata import LuaTable, LuaValue, parseDocument, readItems

DATA: Final = ".dat"
"""The end of the name of a file with one value."""

LIST: Final = ".list"
"""The end of the name of a file with items."""

_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def encodeName(name: str) -> str:
    """Encode the name of a host or user as that of a file."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02x}"
        for byte in name.encode("utf-8", "surrogateescape")
    )


def decodeName(name: str) -> str:
    """Decode the name of a file; bytes that are not UTF-8 become surrogates."""
    plain = _ENCODED.sub(lambda found: bytes((int(found.group(1), 16),)), os.fsencode(name))
    return plain.decode("utf-8", "surrogateescape")


class DataFolder:
    """
    The folder.

    @ivar path: where it is.
    @ivar position: the bytes of the files that have been read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.position = 0

    def size(self) -> int:
        """Add up the sizes of all files."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                if name.endswith((DATA, LIST)):
                    total += os.lstat(os.path.join(folder, name)).st_size
        return total

    def hosts(self) -> list[str]:
        """
        The hosts that have data, sorted.

        @raise OSError: if the folder cannot be read.
        """
        return sorted(
            decodeName(entry.name) for entry in os.scandir(self.path) if entry.is_dir() and entry.name[0] not in "_."
        )

    def files(self, host: str | None = None) -> list[str]:
        """The names of the files beside the hosts, or beside the stores of a host."""
        folder = self.path if host is None else os.path.join(self.path, encodeName(host))
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())

    def stores(self, host: str) -> list[str]:
        """The names of the stores of a host that have files for each user or room, decoded and sorted."""
        folder = os.path.join(self.path, encodeName(host))
        return sorted(decodeName(entry.name) for entry in os.scandir(folder) if entry.is_dir())

    def names(self, host: str, store: str, ending: str = DATA) -> list[str]:
        """The names of users or rooms in a store, sorted; none if there is no such store."""
        try:
            found = os.listdir(self._store(host, store))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(decodeName(name.removesuffix(ending)) for name in found if name.endswith(ending))

    def has(self, host: str, store: str, name: str, ending: str) -> bool:
        """Whether there is a file."""
        return os.path.exists(self._file(host, store, name, ending))

    def read(self, host: str, store: str, name: str) -> LuaTable | None:
        """
        Read a file with one value; C{None} if there is none.

        @raise DataError: if it cannot be read, or is not what it should be.
        """
        try:
            with open(self._file(host, store, name, DATA), "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(error.strerror) from None
        self.position += len(content)
        value = parseDocument(content)
        if not isinstance(value, LuaTable):
            raise DataError("it is no table")
        return value

    def readList(self, host: str, store: str, name: str) -> Iterator[LuaValue]:
        """
        Read a file with items, one after the other; there are none if there is no file.

        @raise DataError: as L{read}, after the items that could be read.
        """
        try:
            with open(self._file(host, store, name, LIST), "rb") as file:
                yield from readItems(_Counted(file, self))
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(error.strerror) from None

    def _store(self, host: str, store: str) -> str:
        folder = os.path.join(self.path, encodeName(host))
        # Underscores of stores are not encoded.
        return os.path.join(folder, encodeName(store).replace("%5f", "_"))

    def _file(self, host: str, store: str, name: str, ending: str) -> str:
        return os.path.join(self._store(host, store), encodeName(name) + ending)


class _Counted:
    """A file whose bytes count."""

    def __init__(self, file: IReadable, folder: DataFolder) -> None:
        self._file = file
        self._folder = folder

    def read(self, size: int, /) -> bytes:
        """See L{IReadable}."""
        content = self._file.read(size)
        self._folder.position += len(content)
        return content
