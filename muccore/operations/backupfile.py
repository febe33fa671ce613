# -*- test-case-name: tests.operations.test_backupfile -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The file of a back-up (design/0033): a tar file of databases, and at its end a manifest in JSON that describes them.

What is read is not trusted: only ordinary members with expected names are accepted, none is unpacked under its own
name, and nothing is read into memory but headers and a manifest of bounded size.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from tarfile import BLOCKSIZE, GNU_FORMAT, NUL, REGTYPE, HeaderError, TarInfo
from typing import Any, BinaryIO, Final

from muccore.operations.refused import Refused

FORMAT: Final = 1
"""The version of the format."""

MANIFEST: Final = "manifest.json"

MANIFEST_LIMIT: Final = 1024 * 1024
"""Bytes."""

MEMBERS_LIMIT: Final = 1000

_CHUNK: Final = 1024 * 1024
"""Bytes that are copied at once."""


@dataclass(frozen=True)
class SavedDatabase:
    """
    A database in a back-up.

    @ivar name: that of its member.
    @ivar purposes: what it was configured for, as in L{muccore.server.stores.permanent}.
    @ivar schemas: versions by kind.
    @ivar size: bytes.
    @ivar sha256: the digest, hexadecimal.
    """

    name: str
    purposes: list[str]
    schemas: dict[str, int]
    size: int
    sha256: str


def _chunks(source: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        data = source.read(min(size, _CHUNK))
        if not data:
            raise Refused("a file has become shorter while it was read")
        size -= len(data)
        yield data


def addMember(file: BinaryIO, name: str, source: BinaryIO, size: int, time: int) -> str:
    """
    Append a member.

    @param time: seconds since the epoch.
    @return: its SHA-256, hexadecimal.
    """
    header = TarInfo(name)
    header.size, header.mtime, header.mode = size, time, 0o600
    file.write(header.tobuf(GNU_FORMAT))
    digest = hashlib.sha256()
    for data in _chunks(source, size):
        digest.update(data)
        file.write(data)
    file.write(NUL * (-size % BLOCKSIZE))
    return digest.hexdigest()


def finish(file: BinaryIO, databases: list[SavedDatabase], version: str, time: int) -> None:
    """
    Append the manifest and the end.

    @param version: that of muccore.
    @param time: when the back-up was begun, in seconds since the epoch.
    """
    described = [asdict(database) for database in databases]
    manifest = {"format": FORMAT, "muccore": version, "time": time, "databases": described}
    text = json.dumps(manifest, indent=1).encode()
    addMember(file, MANIFEST, io.BytesIO(text), len(text), time)
    file.write(NUL * 2 * BLOCKSIZE)


class BackupReader:
    """
    A back-up that is read.

    @ivar databases: what is in it.
    """

    def __init__(self, file: BinaryIO, path: str) -> None:
        """
        @param file: a regular file.
        @param path: its name, for errors.
        @raise Refused: if it is no back-up, is truncated, or of a newer format.
        """
        self._file = file
        self._path = path
        self._members = self._readHeaders()
        self.databases = self._readManifest()

    def _refused(self, problem: str) -> Refused:
        return Refused(f"{self._path}: {problem}")

    def _readHeaders(self) -> dict[str, tuple[int, int]]:
        """Find place and size of each member."""
        found: dict[str, tuple[int, int]] = {}
        end = os.fstat(self._file.fileno()).st_size
        at = 0
        while True:
            self._file.seek(at)
            block = self._file.read(BLOCKSIZE)
            if block == NUL * BLOCKSIZE:
                return found
            if len(block) < BLOCKSIZE:
                raise self._refused("it is truncated, or no back-up" if at else "it is no back-up")
            try:
                header = TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except HeaderError:
                raise self._refused("it is damaged, or no back-up" if at else "it is no back-up") from None
            at += BLOCKSIZE
            if header.type != REGTYPE or header.size < 0 or header.name in found or len(found) >= MEMBERS_LIMIT:
                raise self._refused(f"it has something that is in no back-up: {header.name!r}")
            if at + header.size > end:
                raise self._refused("it is truncated")
            found[header.name] = at, header.size
            at += header.size + -header.size % BLOCKSIZE

    def _readManifest(self) -> list[SavedDatabase]:
        at, size = self._members.pop(MANIFEST, (0, 0))
        if not 0 < size <= MANIFEST_LIMIT:
            raise self._refused("it is no back-up: it has no manifest")
        self._file.seek(at)
        try:
            manifest = json.loads(self._file.read(size))
            version = manifest["format"]
            if version != FORMAT:
                raise self._refused(
                    f"its format is version {version!r}, and this muccore knows {FORMAT}; use the muccore that wrote it"
                )
            databases = [_parse(each) for each in manifest["databases"]]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise self._refused("its manifest is damaged") from None
        sizes = {database.name: database.size for database in databases}
        if len(sizes) != len(databases) or sizes != {name: size for name, (_, size) in self._members.items()}:
            raise self._refused("its manifest and its content differ")
        return databases

    def extract(self, database: SavedDatabase, to: BinaryIO) -> None:
        """
        Copy a database to a file.

        @raise Refused: if it is damaged.
        """
        at, size = self._members[database.name]
        self._file.seek(at)
        digest = hashlib.sha256()
        for data in _chunks(self._file, size):
            digest.update(data)
            to.write(data)
        if digest.hexdigest() != database.sha256:
            raise self._refused(f"it is damaged: {database.name!r} has another SHA-256 than in the manifest")


def _parse(found: Any) -> SavedDatabase:
    """A database of the manifest; C{TypeError} or C{KeyError} if it is none."""
    database = SavedDatabase(*[found[key] for key in ("name", "purposes", "schemas", "size", "sha256")])
    texts = [database.name, database.sha256, *database.purposes, *database.schemas]
    if not (isinstance(database.purposes, list) and isinstance(database.schemas, dict) and database.purposes):
        raise TypeError
    if not all(isinstance(text, str) for text in texts) or type(database.size) is not int:
        raise TypeError
    return database


def digestOf(path: str) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
