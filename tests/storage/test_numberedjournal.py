# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.storage.numberedjournal}; those of archives with it are those of L{test_postgresql_archive}."""

from __future__ import annotations

import os
import stat

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import StoreUnavailable
from muccore.storage.archivejournal import FILES
from muccore.storage.numberedjournal import RUN, NumberedJournal
from muccore.testing.contracts.archivequeries import CAVE, item


class NumberedJournalTests(SynchronousTestCase):
    """Tests for L{NumberedJournal}."""

    def setUp(self) -> None:
        """Choose a folder."""
        self.folder = FilePath(self.mktemp())
        self.path = self.folder.child("archive").path

    def resumed(self) -> tuple[NumberedJournal, list[tuple[int, str]]]:
        """Begin; return the journal, and position and id of what it had."""
        journal = NumberedJournal(self.path)
        self.addCleanup(journal.close)
        return journal, [(position, items[0].id) for position, _, items in journal.resume()]

    def test_runs(self) -> None:
        """What is not committed is kept from run to run, in order of growing positions, until it is."""
        given = []
        for run in range(1, FILES + 3):
            journal, found = self.resumed()
            self.assertEqual(found, given)
            position = journal.append(CAVE, [item(f"m{run}")])
            self.assertEqual(position, (run << RUN) + 1)
            given.append((position, f"m{run}"))
            journal.close()
        journal, _ = self.resumed()
        journal.committed(given[2][0])
        journal.close()
        journal, found = self.resumed()
        # A file is emptied as a whole.
        self.assertEqual(found[-3:], given[-3:])
        journal.committed(given[-1][0])
        journal.close()
        self.assertEqual(self.resumed()[1], [])
        self.folder.restat()

    def test_name(self) -> None:
        """The name stays; other journals have other names. The files are private."""
        journal, _ = self.resumed()
        name = journal.id
        journal.close()
        self.assertEqual(self.resumed()[0].id, name)
        self.path = self.folder.child("other").path
        self.assertNotEqual(self.resumed()[0].id, name)
        modes = {stat.S_IMODE(os.stat(each.path).st_mode) for each in self.folder.children()}
        self.assertEqual(modes, {0o600})

    def test_locked(self) -> None:
        """It cannot be used twice, and what the first one does is not disturbed."""
        journal, _ = self.resumed()
        journal.append(CAVE, [item("a")])
        with self.assertRaisesRegex(StoreUnavailable, "another process uses it"):
            self.resumed()
        journal.append(CAVE, [item("b")])
        journal.close()
        self.assertEqual([id for _, id in self.resumed()[1]], ["a", "b"])

    def test_torn(self) -> None:
        """What is appended after a record that is torn is there after the next start."""
        journal, _ = self.resumed()
        for id in "ab":
            journal.append(CAVE, [item(id)])
        journal.close()
        file = self.folder.child("archive-appended-1")
        with open(file.path, "r+b") as opened:
            opened.truncate(file.getsize() - 3)
        journal, found = self.resumed()
        self.assertEqual([id for _, id in found], ["a"])
        for _ in range(FILES):
            journal.append(CAVE, [item("c")])
            journal.beginGroup()
        journal.close()
        self.assertEqual([id for _, id in self.resumed()[1]], ["a", *"c" * FILES])

    def test_nameLost(self) -> None:
        """Without the file of the name, positions follow those of the calls that there are."""
        journal, _ = self.resumed()
        journal.close()
        journal, _ = self.resumed()
        position = journal.append(CAVE, [item("a")])
        journal.close()
        self.folder.child("archive-journal").remove()
        journal, found = self.resumed()
        self.assertEqual(found, [(position, "a")])
        self.assertGreater(journal.append(CAVE, [item("b")]), position)

    def test_probe(self) -> None:
        """Files of another program are refused, and a folder that cannot be made."""
        NumberedJournal(self.path).probe()
        self.folder.child("archive-journal").setContent(b"something else\n")
        for use in (NumberedJournal(self.path).probe, NumberedJournal(self.path).resume):
            with self.assertRaisesRegex(StoreUnavailable, "another program"):
                use()
        self.path = self.folder.child("archive-journal").child("x").path
        for use in (NumberedJournal(self.path).probe, NumberedJournal(self.path).resume):
            with self.assertRaises(StoreUnavailable):
                use()
