# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.folder}."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.prosody.folder import LIST, decodeName, encodeName
from muccore.operations.transfer.prosody.luadata import LuaTable
from tests.operations.transfer.prosody.datafolder import WrittenFolder


class NameTests(SynchronousTestCase):
    """Names of files."""

    def test_known(self) -> None:
        """As Prosody encodes them."""
        for plain, encoded in (
            ("conference.localhost", "conference%2elocalhost"), ("d'artagnan_1", "d%27artagnan%5f1"), ("é", "%c3%a9"),
        ):  # fmt: skip
            self.assertEqual(encodeName(plain), encoded)
            self.assertEqual(decodeName(encoded), plain)
        self.assertEqual(decodeName("a%2Eb%zz%"), "a.b%zz%")
        self.assertEqual(decodeName("%ff"), "\udcff")

    @given(st.text(st.characters(codec="utf-8")))
    def test_anything(self, name: str) -> None:
        """Any name becomes letters, digits and percent signs, which are one name of a file, and is decoded again."""
        encoded = encodeName(name)
        self.assertTrue(encoded.replace("%", "").isascii() and (encoded.replace("%", "") + "a").isalnum())
        self.assertEqual(decodeName(encoded), name)


class FolderTests(SynchronousTestCase):
    """The directory."""

    def setUp(self) -> None:
        """Write some files."""
        self.folder = WrittenFolder(self)
        self.folder.put("a.example/roster/juliet.dat", "{1}")
        self.folder.put("a.example/roster/o'hara.dat", "{2}")
        self.folder.put("a.example/pep_urn:x/juliet.list", "item(1)")
        self.folder.put("_global/cron/x.dat", "{}")
        self.folder.put("b/accounts/x.dat", "{}")
        self.folder.put("a.example/roster/juliet.dat~", "half")

    def test_names(self) -> None:
        """Hosts, stores and names are decoded; other files and folders do not count."""
        self.assertEqual(self.folder.hosts(), ["a.example", "b"])
        self.assertEqual(self.folder.stores("a.example"), ["pep_urn:x", "roster"])
        self.assertEqual(self.folder.names("a.example", "roster"), ["juliet", "o'hara"])
        self.assertEqual(self.folder.names("a.example", "pep_urn:x", LIST), ["juliet"])
        self.assertEqual(self.folder.names("a.example", "other"), [])
        self.assertTrue(self.folder.has("a.example", "roster", "o'hara", ".dat"))
        self.assertFalse(self.folder.has("a.example", "roster", "o'hara", LIST))

    def test_read(self) -> None:
        """Files are read, those that are missing are empty, and progress is counted."""
        self.assertEqual(self.folder.read("a.example", "roster", "o'hara"), LuaTable([2]))
        self.assertIsNone(self.folder.read("a.example", "roster", "nobody"))
        self.assertEqual(list(self.folder.readList("a.example", "pep_urn:x", "juliet")), [1])
        self.assertEqual(list(self.folder.readList("a.example", "pep_urn:x", "nobody")), [])
        self.assertEqual(self.folder.position, len("return {2}item(1)"))
        self.assertEqual(self.folder.size(), len("return {1}return {2}item(1)return {}return {}"))

    def test_broken(self) -> None:
        """What is no data, or cannot be read, is an error."""
        self.folder.put("b/roster/x.dat", "os.exit()")
        self.folder.put("b/roster/y.dat", "1")
        os.mkdir(os.path.join(self.folder.path, "b", "roster", "z.dat"))
        os.mkdir(os.path.join(self.folder.path, "b", "roster", "z.list"))
        for name in "xyz":
            with self.assertRaises(DataError):
                self.folder.read("b", "roster", name)
        with self.assertRaises(DataError):
            list(self.folder.readList("b", "roster", "z"))
