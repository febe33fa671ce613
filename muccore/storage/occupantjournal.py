# -*- test-case-name: tests.storage.test_occupantjournal -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{file:PATH}, the places of occupants in a journal; sessions (L{muccore.storage.sessionfile}) are in a file beside it.

The file (L{muccore.storage.journalfile}) has a line for each change: a checksum and a JSON list. A line that is torn or
damaged is dropped; all others count. There is no C{fsync}: after a power loss all clients are gone.

When most of the file is out of date, a thread writes what counts to a new file; changes go to the old one and, before
it takes the name, to the new one. So the file under the name is complete at all times.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring
from typing import Any, Final
from zlib import crc32

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath
from zope.interface import implementer

from muccore.interfaces import IOccupantStore, Place, StoreUnavailable
from muccore.log.logger import Logger
from muccore.storage.files import createPrivate, makeFolders, writeAll
from muccore.storage.journalfile import appendWhole, checkWritable, readJournalFile, unavailable
from muccore.storage.sessionfile import SessionFile

HEADER: Final = b"muccore occupants 1\n"
"""The first line, with the version of the format."""

COMPACT_ABOVE: Final = 256 * 1024
"""Bytes of a file that is never written anew."""

COMPACT_FACTOR: Final = 4
"""How many times as large as what counts the file becomes before it is written anew."""

RETRY: Final = 10.0
"""Seconds after which a file that could not be written is tried again."""

_log: Final = Logger()

_Rooms = dict[str, dict[str, bytes]]
"""The line of each place, by room and full JID."""


def _line(*words: str) -> bytes:
    """
    Render a change.

    @param words: C{+} with the room and the fields of a L{Place}, C{=} with the same if it is stale or was put before
        the store was opened, C{-} with room and JID, or C{x} with the room.
    """
    # json.dumps would take three times as long.
    text = f"[{','.join(map(encode_basestring, words))}]".encode("utf-8", "surrogatepass")
    return b"%08x %s\n" % (crc32(text), text)


def _parse(line: bytes) -> list[str] | None:
    """The words of a line without its end, or C{None} if it is damaged."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % crc32(text):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    expected = {"+": 8, "=": 8, "-": 3, "x": 2}
    if not (isinstance(words, list) and words and all(isinstance(word, str) for word in words)):
        return None
    if expected.get(words[0]) != len(words) or (len(words) == 8 and not words[7].isdecimal()):
        return None
    return words


def readJournal(data: bytes) -> tuple[_Rooms, int]:
    """
    Read a whole journal, whose header is not looked at.

    @return: the places, and the number of damaged lines. The last line, if it is torn, is none: its change was not
        announced.
    """
    rooms: _Rooms = {}
    damaged = 0
    lines = data.split(b"\n")
    for line in lines[1:-1]:
        words = _parse(line)
        if words is None:
            damaged += 1
            continue
        kind, room, *rest = words
        if kind == "x":
            rooms.pop(room, None)
            continue
        kept = rooms.setdefault(room, {})
        kept.pop(rest[0], None)
        if kind in "+=":
            kept[rest[0]] = line + b"\n"
        elif not kept:
            del rooms[room]
    return rooms, damaged


@implementer(IOccupantStore)
class OccupantJournal:
    """Places in a journal."""

    def __init__(self, path: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads and time."""
        self.path = path.path
        self._reactor = reactor
        self._saved = SessionFile(f"{self.path}-sessions")
        self._isOpen = False
        self._rooms: _Rooms = {}
        # Those that were there when it was opened, were not stale then, and were not put since, by room and full JID.
        self._put: set[tuple[str, str]] = set()
        self._file: int | None = None
        # Bytes in the file, and those of lines that count.
        self._size = self._counting = 0
        # What was appended since the new file was begun; None while there is none.
        self._meanwhile: list[bytes] | None = None
        self._failing = False
        self._retrying: Any = None
        self._closing: list[Deferred[None]] = []

    # Opening and closing

    def probe(self) -> None:
        """Check that the file can be read and written; L{StoreUnavailable} names it."""
        readJournalFile(self.path, HEADER)
        checkWritable(self.path)

    def open(self) -> Deferred[None]:
        """See L{IOccupantStore.open}."""

        def opened(result: tuple[_Rooms, set[tuple[str, str]], int, int]) -> None:
            self._rooms, self._put, self._file, self._size = result
            self._counting = self._size - len(HEADER)
            self._isOpen = True

        return self._inThread(self._load).addCallback(opened)

    def _inThread(self, work: Any, *arguments: Any) -> Deferred[Any]:
        reactor = self._reactor
        return deferToThreadPool(reactor, reactor.getThreadPool(), work, *arguments)

    def _load(self) -> tuple[_Rooms, set[tuple[str, str]], int, int]:
        """Read the file and write it anew; in a thread."""
        rooms, damaged = readJournal(readJournalFile(self.path, HEADER))
        if damaged:
            _log.warn("{path}: {count} damaged lines are ignored", path=self.path, count=damaged)
        put = set()
        for room, kept in rooms.items():
            for jid, line in kept.items():
                kind, *rest = _words(line)
                if kind == "+":
                    put.add((room, jid))
                    kept[jid] = _line("=", *rest)
        try:
            makeFolders(os.path.dirname(self.path))
            file, size = self._writeNew(_linesOf(rooms))
            os.replace(self._newPath, self.path)
        except OSError as e:
            raise unavailable(self.path, "written", e) from None
        return rooms, put, file, size

    def close(self) -> Deferred[None]:
        """See L{IOccupantStore.close}."""
        self._isOpen = False
        if self._retrying is not None:
            self._retrying.cancel()
            self._retrying = None
        if self._meanwhile is not None:
            waiting: Deferred[None] = Deferred()
            self._closing.append(waiting)
            return waiting
        self._closeFile()
        return succeed(None)

    def _closeFile(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    # Changes

    def put(self, room: str, *places: Place) -> None:
        """See L{IOccupantStore.put}."""
        if not (self._isOpen and places):
            return
        kept = self._rooms.setdefault(room, {})
        lines = b""
        for place in places:
            jid, nick, role, affiliation, payload, since, stale = place
            presence = payload.decode("utf-8", "surrogatepass")
            self._put.discard((room, jid))
            line = _line("=" if stale else "+", room, jid, nick, role, affiliation, presence, str(since))
            self._counting += len(line) - len(kept.pop(jid, b""))
            kept[jid] = line
            lines += line
        self._append(lines)

    def remove(self, room: str, *jids: str) -> None:
        """See L{IOccupantStore.remove}."""
        kept = self._rooms.get(room)
        if not (self._isOpen and kept):
            return
        lines = b""
        for jid in jids:
            old = kept.pop(jid, None)
            if old is not None:
                self._counting -= len(old)
                lines += _line("-", room, jid)
        if not kept:
            del self._rooms[room]
        if lines:
            self._append(lines)

    def removeRoom(self, room: str) -> None:
        """See L{IOccupantStore.removeRoom}."""
        if self._isOpen and room in self._rooms:
            self._counting -= sum(map(len, self._rooms.pop(room).values()))
            self._append(_line("x", room))

    def places(self) -> dict[str, Sequence[Place]]:
        """See L{IOccupantStore.places}."""
        found: dict[str, Sequence[Place]] = {}
        for room, kept in self._rooms.items() if self._isOpen else ():
            found[room] = [_place(line, (room, jid) in self._put) for jid, line in kept.items()]
        return found

    # Sessions

    def saveSessions(self, sessions: Sequence[bytes]) -> Deferred[None]:
        """See L{IOccupantStore.saveSessions}."""
        return self._whileOpen(self._saved.save, list(sessions))

    def takeSessions(self) -> Deferred[list[bytes]]:
        """See L{IOccupantStore.takeSessions}."""
        return self._whileOpen(self._saved.take)

    def _whileOpen(self, work: Any, *arguments: Any) -> Deferred[Any]:
        if not self._isOpen:
            return fail(StoreUnavailable(f"{self.path}: it is not open"))
        return self._inThread(work, *arguments)

    # Writing

    def _append(self, lines: bytes) -> None:
        if self._meanwhile is not None:
            self._meanwhile.append(lines)
        if self._file is None:
            return
        try:
            appendWhole(self._file, lines)
        except OSError as e:
            self._fail(e)
            return
        self._size += len(lines)
        if self._size > max(COMPACT_ABOVE, COMPACT_FACTOR * self._counting):
            self._compact()

    # Writing anew

    @property
    def _newPath(self) -> str:
        return f"{self.path}.new"

    def _compact(self) -> None:
        """Write the file anew, unless that is being done or has failed a moment ago."""
        if self._meanwhile is None and self._retrying is None:
            self._meanwhile = []
            writing = self._inThread(self._writeNew, _linesOf(self._rooms))
            writing.addCallback(self._useNew).addErrback(self._newFailed).addBoth(lambda _: self._newDone())

    def _writeNew(self, lines: Iterable[bytes]) -> tuple[int, int]:
        """
        Write a new file; in a thread.

        @return: the file, open, and its size.
        """
        data = HEADER + b"".join(lines)
        file = createPrivate(self._newPath)
        try:
            writeAll(file, data)
            # Otherwise a power loss might leave an empty file under the name.
            os.fsync(file)
        except BaseException:
            os.close(file)
            raise
        return file, len(data)

    def _useNew(self, result: tuple[int, int]) -> None:
        file, size = result
        meanwhile = b"".join(self._meanwhile or ())
        try:
            writeAll(file, meanwhile)
            os.replace(self._newPath, self.path)
        except OSError:
            os.close(file)
            raise
        self._closeFile()
        self._file, self._size = file, size + len(meanwhile)
        if self._failing:
            self._failing = False
            _log.info("{path}: the places of occupants are written again", path=self.path)

    def _newFailed(self, failure: Failure) -> None:
        if failure.check(OSError) is None:
            _log.failure("{path}: the file cannot be written anew", failure, path=self.path)
        with contextlib.suppress(OSError):
            os.unlink(self._newPath)
        if self._isOpen:
            self._retrying = self._reactor.callLater(RETRY, self._retry)
        if self._file is None:
            self._logFailure(failure.value)

    def _newDone(self) -> None:
        self._meanwhile = None
        if not self._isOpen:
            self._closeFile()
        closing, self._closing = self._closing, []
        for waiting in closing:
            waiting.callback(None)

    def _fail(self, error: OSError) -> None:
        """Go on without a file, rather than with one that does not tell who has left."""
        self._closeFile()
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        self._logFailure(error)
        self._compact()

    def _logFailure(self, error: Any) -> None:
        if not self._failing:
            self._failing = True
            _log.error(
                "{path}: the places of occupants cannot be written ({problem}); until they can, a restart loses them",
                path=self.path,
                problem=getattr(error, "strerror", error),
            )

    def _retry(self) -> None:
        self._retrying = None
        self._compact()


def _linesOf(rooms: _Rooms) -> list[bytes]:
    return [line for kept in rooms.values() for line in kept.values()]


def _words(line: bytes) -> list[str]:
    words = _parse(line[:-1])
    assert words is not None
    return words


def _place(line: bytes, isCurrent: bool) -> Place:
    kind, _, jid, nick, role, affiliation, presence, since = _words(line)
    payload, stale = presence.encode("utf-8", "surrogatepass"), kind == "=" and not isCurrent
    return Place(jid, nick, role, affiliation, payload, int(since), stale)
