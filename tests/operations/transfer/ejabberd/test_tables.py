# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.ejabberd.tables}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.ejabberd.tables import HEADER, TablesFile, addressIn
from muccore.operations.transfer.pieces import DataError
from tests.operations.transfer.ejabberd.tablefiles import TABLES, address, archived, message, write

ROOM, ROMEO = address("orchard", "conference.lit"), address("romeo", "montague.lit")


class TablesTests(SynchronousTestCase):
    """A file."""

    def open(self, *rows: str) -> TablesFile:
        """Write and open a file."""
        file = TablesFile(write(self, *rows))
        self.addCleanup(file.close)
        return file

    def test_rows(self) -> None:
        """Rows are found by table, wherever they are; what looks like one within another is none."""
        file = self.open(
            "{muc_room,1,[]}", "{passwd,1}", "{passwd,2}", '{muc_room,2,\n  <<"a\\n{muc_room,3}.">>}', "{muc_room,4,[]}"
        )
        self.assertEqual([each[1] for each in file.rows("muc_room")], [1, 2, 4])
        self.assertEqual([each[1] for each in file.rows("passwd")], [1, 2])
        self.assertEqual(list(file.rows("roster")), [])
        self.assertEqual(dict(file.counts), {"muc_room": 3, "passwd": 2, "tables": 0})

    def test_archives(self) -> None:
        """The messages of each archive are found, whether they follow each other or not."""
        rows = [archived(key, message("Hi"), id=f"{number}") for number, key in enumerate((ROOM, ROOM, ROMEO, ROOM))]
        file = self.open(*rows[:2], "{passwd,1}", *rows[2:])
        found = {addressIn(key): [each[2] for each in file.archived(key)] for key in file.archives()}
        self.assertEqual(
            found, {(b"orchard", b"conference.lit"): [b"0", b"1", b"3"], (b"romeo", b"montague.lit"): [b"2"]}
        )
        self.assertEqual(list(file.archived(b"{}")), [])

    def test_position(self) -> None:
        """What is read counts."""
        file = self.open("{passwd,1}", "{muc_room,1,[]}")
        list(file.rows("muc_room"))
        self.assertEqual(
            (file.position, file.size), (len("{muc_room,1,[]}.\n"), len(TABLES) + len("{passwd,1}.\n") + 17)
        )

    def test_header(self) -> None:
        """Files are known by what they begin with."""
        self.assertIsNotNone(HEADER.match(TABLES.encode()))
        self.assertIsNone(HEADER.match(b"<?xml version='1.0'?>"))

    def test_broken(self) -> None:
        """A row that cannot be read is an error after those before it; an archive without an address as well."""
        file = self.open("{muc_room,1,[]}", "{muc_room,<0.1.0>}", "{archive_msg,x}", "{muc_room,2,[]}")
        found = []
        with self.assertRaises(DataError):
            for each in file.rows("muc_room"):
                found.append(each[1])
        self.assertEqual(found, [1])
        [key] = file.archives()
        for wrong in (key, b"{a,b}", b"{<<1>>}", b"x"):
            with self.assertRaises(DataError):
                addressIn(wrong)
