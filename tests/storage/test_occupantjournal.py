# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.occupantjournal}."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase, TestCase

from muccore.interfaces import Place, StoreUnavailable
from muccore.storage import occupantjournal
from muccore.storage.occupantjournal import HEADER, OccupantJournal
from muccore.testing.contracts import OccupantStoreContract
from muccore.testing.doubles import ThreadlessReactor

ROOMS = ("cave@chat.lit", "heath@chat.lit")

Places = dict[str, Sequence[Place]]


def place(n: int, nick: str = "") -> Place:
    """A place of the nth user."""
    return Place(
        f"witch{n}@shakespeare.lit/pda", nick or f"Witch {n} \u2603", "participant", "none", b"<show>xa</show>"
    )


class OccupantJournalContractTests(OccupantStoreContract, TestCase):
    """The journal passes the contract suite."""

    def makeStore(self, place: FilePath[str]) -> OccupantJournal:
        """A journal at the place."""
        return OccupantJournal(place, reactor)


class SlowThreads(ThreadlessReactor):
    """A reactor whose threads do their work when they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self.waiting: list[Deferred[None]] = []

    def callInThreadWithCallback(self, *arguments: object, **named: object) -> None:  # type: ignore[override]
        """Do it at once, or when released."""
        work = super().callInThreadWithCallback
        if not self.slow:
            work(*arguments, **named)  # type: ignore[arg-type]
            return
        waiting: Deferred[None] = Deferred()
        waiting.addCallback(lambda _: work(*arguments, **named))  # type: ignore[arg-type]
        self.waiting.append(waiting)

    def release(self) -> None:
        """Do what waits."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(None)


class JournalTestCase(SynchronousTestCase):
    """A journal in a folder of its own."""

    def setUp(self) -> None:
        """Open it."""
        self.file = FilePath(self.mktemp()).child("sub").child("occupants")
        self.reactor = SlowThreads()
        self.store = self.opened()

    def opened(self, file: FilePath[str] | None = None) -> OccupantJournal:
        """Open a journal."""
        store = OccupantJournal(file or self.file, self.reactor)
        self.successResultOf(store.open())
        return store

    def size(self) -> int:
        """The size of the file."""
        return os.stat(self.file.path).st_size

    def placesAtNextStart(self) -> Places:
        """The places that a copy of the file, as it is now, has for the next start."""
        return self.places(self.file.getContent())

    def places(self, data: bytes) -> Places:
        """The places in a file with this content, which is opened, closed, and opened again."""
        file = FilePath(self.mktemp())
        file.setContent(data)
        store = self.opened(file)
        found = store.places()
        store.put("later@chat.lit", place(0))
        self.successResultOf(store.close())
        again = self.opened(file)
        stale = {room: [each._replace(stale=True) for each in places] for room, places in found.items()}
        self.assertEqual(again.places(), {**stale, "later@chat.lit": [place(0)]})
        self.successResultOf(again.close())
        return found

    def makeChanges(self) -> list[tuple[int, Places]]:
        """Make changes of every kind; return the size of the file and the places after each of them."""
        store = self.store
        states: list[tuple[int, Places]] = []

        def note() -> None:
            states.append((self.size(), store.places()))

        note()
        for room in ROOMS:
            store.put(room, place(1))
            note()
        store.put(ROOMS[0], place(2), place(3))
        note()
        store.remove(ROOMS[0], place(1).jid)
        note()
        store.put(ROOMS[0], place(2, "Hecate"))
        note()
        store.removeRoom(ROOMS[1])
        note()
        store.put(ROOMS[1], place(4))
        note()
        return states


class CrashTests(JournalTestCase):
    """What is left of a file."""

    def test_cut(self) -> None:
        """
        Cut off after any byte, the journal has the places after the last change that is in it as a whole; a change of
        several places may be in it in part. What is written from then on is not affected.
        """
        states = self.makeChanges()
        data = self.file.getContent()
        self.assertEqual(len(data), states[-1][0])
        partly = {ROOMS[0]: [place(1), place(2)], ROOMS[1]: [place(1)]}
        for length in range(len(data) + 1):
            found = self.places(data[:length])
            expected = [places for size, places in states if size <= length][-1:] or [{}]
            if found != partly:
                self.assertEqual(found, expected[0], length)
            else:
                self.assertEqual(expected[0], {ROOMS[0]: [place(1)], ROOMS[1]: [place(1)]})
        self.assertEqual(self.logged, [])

    def setUp(self) -> None:
        """Collect warnings."""
        super().setUp()
        self.logged: list[str] = []
        self.patch(occupantjournal._log, "warn", lambda text, **fields: self.logged.append(text.format(**fields)))

    def test_damaged(self) -> None:
        """A line with a wrong byte anywhere is dropped, and all others count; one warning tells how many."""
        store = self.store
        for n in range(3):
            store.put(ROOMS[0], place(n))
        lines = self.file.getContent().splitlines(keepends=True)
        for at in range(len(lines[2])):
            wrong = bytearray(lines[2])
            wrong[at] ^= 0x15
            found = self.places(b"".join([*lines[:2], bytes(wrong), *lines[3:]]))
            if at == len(lines[2]) - 1:
                # The line and the next one are one damaged line.
                self.assertEqual(found, {ROOMS[0]: [place(0)]})
            else:
                self.assertEqual(found, {ROOMS[0]: [place(0), place(2)]}, at)
        self.assertEqual(len(self.logged), len(lines[2]))
        self.assertIn("1 damaged lines are ignored", self.logged[0])

    def test_nonsense(self) -> None:
        """Lines whose checksum is right and whose content is nonsense are dropped too."""
        lines = [
            occupantjournal._line(*words)
            for words in ((), ("+",), ("+", "a", "b"), ("-", "a"), ("y", "a"), ("+", *"abcdefg"))
        ]
        for text in (b"{}", b"3", b"[1, 2, 3]", b"[", b"\xff"):
            lines.append(b"%08x %s\n" % (occupantjournal.crc32(text), text))
        self.assertEqual(
            self.places(HEADER + b"".join(lines) + occupantjournal._line("+", *ROOMS, *"nrap", "7")),
            {ROOMS[0]: [Place(ROOMS[1], "n", "r", "a", b"p", 7)]},
        )
        self.assertEqual(len(self.logged), 1)
        self.assertIn("11 damaged lines", self.logged[0])

    def test_newFileLeft(self) -> None:
        """A new file that was not finished when the process ended is of no account."""
        self.store.put(ROOMS[0], place(1))
        self.file.siblingExtension(".new").setContent(b"half")
        self.assertEqual(self.opened().places(), {ROOMS[0]: [place(1)]})


class FileTests(JournalTestCase):
    """The file itself."""

    def test_private(self) -> None:
        """File and folder are for the owner only, also after the file was written anew."""
        self.patch(occupantjournal, "COMPACT_ABOVE", 0)
        for _ in range(2):
            self.assertEqual(stat.S_IMODE(os.stat(self.file.path).st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(self.file.dirname()).st_mode), 0o700)
            for n in range(20):
                self.store.put(ROOMS[0], place(1, f"n{n}"))

    def test_written(self) -> None:
        """A change is in the file when the call returns."""
        self.store.put(ROOMS[0], place(1))
        self.assertEqual(
            self.file.getContent(),
            HEADER
            + occupantjournal._line(
                "+", ROOMS[0], place(1).jid, place(1).nick, "participant", "none", "<show>xa</show>", "0"
            ),
        )

    def test_otherFile(self) -> None:
        """A file of another program is refused, and left alone."""
        for content in (b"root:x:0:0\n", b"\0" * 50):
            other = FilePath(self.mktemp())
            other.setContent(content)
            store = OccupantJournal(other, self.reactor)
            self.assertRaises(StoreUnavailable, store.probe)
            failure = self.failureResultOf(store.open(), StoreUnavailable)
            self.assertIn(f"{other.path}: it is a file of another program", failure.getErrorMessage())
            self.assertEqual(other.getContent(), content)

    def test_newerVersion(self) -> None:
        """A file of another version of the format is replaced: places are not worth a refusal to start."""
        self.assertEqual(self.places(b"muccore occupants 2\nsomething\n"), {})

    def test_noPermission(self) -> None:
        """A file that cannot be read or written is explained in one line."""
        folder = FilePath(self.mktemp())
        folder.makedirs()
        for path in (folder, folder.child("file").child("occupants")):
            folder.child("file").setContent(b"")
            store = OccupantJournal(path, self.reactor)
            self.assertRaises(StoreUnavailable, store.probe)
            failure = self.failureResultOf(store.open(), StoreUnavailable)
            self.assertRegex(failure.getErrorMessage(), rf"^{path.path}: it cannot be (read|written) \(.*\); give .*")

    def test_probe(self) -> None:
        """A probe makes an empty file, or leaves it as it is."""
        for content in (b"", HEADER):
            file = FilePath(self.mktemp()).child("occupants")
            if content:
                file.parent().makedirs()
                file.setContent(content)
            OccupantJournal(file, self.reactor).probe()
            self.assertEqual(file.getContent(), content)
            self.assertEqual(self.opened(file).places(), {})


class CompactionTests(JournalTestCase):
    """Writing the file anew."""

    def setUp(self) -> None:
        """A journal that is soon too large."""
        super().setUp()
        self.patch(occupantjournal, "COMPACT_ABOVE", 1000)

    def fill(self) -> None:
        """Change one place until the file is too large."""
        n = 0
        while not self.reactor.waiting:
            self.store.put(ROOMS[0], place(1, f"nick{n}"))
            n += 1
            self.assertLess(n, 100)

    def test_compacted(self) -> None:
        """The file stays small, however often places change, and says the same."""
        for n in range(1000):
            self.store.put(ROOMS[n % 2], place(n % 5, f"nick{n}"))
            if n % 7 == 0:
                self.store.remove(ROOMS[0], place(n % 3).jid)
            self.assertLess(self.size(), 10_000)
        expected = self.store.places()
        self.assertEqual(self.placesAtNextStart(), expected)

    def test_changesMeanwhile(self) -> None:
        """
        Changes while the new file is written are in the old one, which counts until the new one has its name, and in
        that one.
        """
        self.store.put(ROOMS[1], place(2), place(3))
        self.reactor.slow = True
        self.fill()
        self.store.remove(ROOMS[1], place(2).jid)
        self.store.put(ROOMS[1], place(4))
        expected = self.store.places()
        old = self.file.getContent()
        self.reactor.release()
        new = self.file.getContent()
        self.assertLess(len(new), len(old))
        self.reactor.slow = False
        self.assertEqual(self.places(old), expected)
        self.assertEqual(self.places(new), expected)
        self.store.put(ROOMS[1], place(5))
        self.assertEqual(self.placesAtNextStart(), self.store.places())

    def test_closedMeanwhile(self) -> None:
        """C{close} waits for the new file."""
        self.reactor.slow = True
        self.fill()
        expected = self.store.places()
        closing = [self.store.close(), self.store.close()]
        for closed in closing:
            self.assertNoResult(closed)
        self.reactor.release()
        for closed in closing:
            self.successResultOf(closed)
        self.reactor.slow = False
        self.assertEqual(self.placesAtNextStart(), expected)

    def test_unexpectedFailure(self) -> None:
        """Any failure is logged, and it is tried again later only; changes go to the old file."""
        self.reactor.slow = True
        self.fill()
        with patch.object(occupantjournal, "createPrivate", side_effect=RuntimeError("unexpected")) as created:
            self.reactor.release()
            self.reactor.slow = False
            for n in range(3):
                self.store.put(ROOMS[0], place(2, f"nick{n}"))
        self.assertEqual(created.call_count, 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.placesAtNextStart(), self.store.places())
        size = self.size()
        self.reactor.advance(occupantjournal.RETRY)
        self.assertLess(self.size(), size)
        self.assertEqual(self.placesAtNextStart(), self.store.places())


class FullDiskTests(JournalTestCase):
    """A disk that is full."""

    def setUp(self) -> None:
        """Collect what is logged."""
        super().setUp()
        self.logged: list[str] = []
        for level in ("error", "info"):
            self.patch(
                occupantjournal._log,
                level,
                lambda text, level=level, **fields: self.logged.append(f"{level}: {text.format(**fields)}"),
            )

    def fill(self, room: int = 0) -> None:
        """Leave room for so many bytes in each write."""
        write = os.write

        def limited(file: int, data: bytes) -> int:
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(file, data[:room])

        self.full = patch.object(os, "write", limited)
        self.full.start()
        self.addCleanup(lambda: self.full.stop() if self.full is not None else None)

    def free(self) -> None:
        """Let everything be written again."""
        self.full.stop()
        self.full = None  # type: ignore[assignment]

    def test_full(self) -> None:
        """
        When nothing can be written the file goes, the operator is told once, and changes go on; when there is space
        again, all places are written.
        """
        self.store.put(ROOMS[0], place(1))
        self.fill()
        self.store.put(ROOMS[0], place(2))
        self.store.remove(ROOMS[0], place(1).jid)
        self.assertFalse(self.file.exists())
        self.assertEqual(
            self.logged,
            [
                f"error: {self.file.path}: the places of occupants cannot be written (No space left on device); until "
                "they can, a restart loses them"
            ],
        )
        for _ in range(3):
            self.reactor.advance(occupantjournal.RETRY)
            self.store.put(ROOMS[0], place(3))
        self.assertEqual(len(self.logged), 1)
        self.assertFalse(self.file.exists())
        self.assertFalse(self.file.siblingExtension(".new").exists())
        self.free()
        self.reactor.advance(occupantjournal.RETRY)
        self.assertEqual(self.logged[1:], [f"info: {self.file.path}: the places of occupants are written again"])
        self.assertEqual(self.placesAtNextStart(), {ROOMS[0]: [place(2), place(3)]})
        self.store.put(ROOMS[1], place(4))
        self.assertEqual(self.placesAtNextStart(), self.store.places())

    def test_shortWrite(self) -> None:
        """A write that is cut short counts as none."""
        self.fill(10)
        self.patch(self.reactor, "slow", True)
        self.store.put(ROOMS[0], place(1))
        self.assertFalse(self.file.exists())
        self.assertIn("the disk is full", self.logged[0])
        self.free()
        self.reactor.release()
        self.reactor.slow = False
        self.assertEqual(self.placesAtNextStart(), {ROOMS[0]: [place(1)]})

    def test_fullWhileCompacting(self) -> None:
        """If only the new file cannot be written, the old one goes on, and the new one is tried again later."""
        self.patch(occupantjournal, "COMPACT_ABOVE", 100)
        self.reactor.slow = True
        n = 0
        while not self.reactor.waiting:
            self.store.put(ROOMS[0], place(1, f"n{n}"))
            n += 1
        self.fill()
        self.reactor.release()
        self.free()
        self.store.put(ROOMS[0], place(2))
        self.assertEqual(self.reactor.waiting, [])
        self.assertEqual(self.logged, [])
        size = self.size()
        self.reactor.advance(occupantjournal.RETRY)
        self.reactor.release()
        self.assertLess(self.size(), size)
        self.reactor.slow = False
        self.assertEqual(self.placesAtNextStart(), self.store.places())

    def test_closedWhileFull(self) -> None:
        """It can be closed meanwhile, and tries no more."""
        self.fill()
        self.store.put(ROOMS[0], place(1))
        self.successResultOf(self.store.close())
        self.free()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
