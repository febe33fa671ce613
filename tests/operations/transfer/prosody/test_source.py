# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.prosody.source}."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.operations.transfer.prosody.folder import DataFolder
from muccore.operations.transfer.prosody.source import ProsodySource
from muccore.operations.transfer.records import ISource, Room, SourceError, User
from tests.operations.transfer.prosody.datafolder import WrittenFolder, problems


class SourceTests(SynchronousTestCase):
    """A directory with several hosts."""

    def setUp(self) -> None:
        """Make it."""
        self.folder = WrittenFolder(self)
        self.folder.put("a.lit/accounts/romeo.dat", '{["password"] = "x"}')
        self.folder.put("b.lit/roster/juliet.dat", "{}")
        self.folder.put("conference.a.lit/config/orchard.dat", '{["_data"] = {["persistent"] = true}}')
        self.folder.put("conference.a.lit/persistent.dat", '{["orchard@conference.a.lit"] = true}')

    def test_records(self) -> None:
        """Accounts of all hosts, and rooms, as often as they are read; progress is known."""
        source = ProsodySource(self.folder.path)
        verifyObject(ISource, source)
        for _ in range(2):
            records = list(source.records())
            self.assertEqual(problems(records), [])
            accounts = [each.account for each in records if isinstance(each, User)]
            self.assertEqual(accounts, ["romeo@a.lit", "juliet@b.lit"])
            self.assertEqual([each.room for each in records if isinstance(each, Room)], ["orchard@conference.a.lit"])
            assert source.size is not None
            self.assertTrue(0 < source.position <= source.size)

    def test_others(self) -> None:
        """What is not read is told, but for what means nothing elsewhere."""
        self.folder.put("a.lit/roles/romeo.dat", "{}")
        self.folder.put("a.lit/roles/juliet.dat", "{}")
        self.folder.put("a.lit/archive_cleanup/2026.dat", "{}")
        self.folder.put("a.lit/pep_urn:x/romeo.list", "")
        self.folder.put("not a host/accounts/x.dat", "{}")
        self.folder.put("conference.a.lit/invite_token.dat", "{}")
        with open(os.path.join(self.folder.path, "prosody.sqlite"), "w"):
            pass
        self.assertEqual(
            problems(ProsodySource(self.folder.path).records()),
            [
                "prosody.sqlite: data in SQL are not read: convert them with prosody-migrator first",
                "store roles of a.lit, with 2 entries: muccore has nothing like it",
                "store invite_token of conference.a.lit: muccore has nothing like it",
                "host not a host: domainpart is not a host name",
            ],
        )

    def test_noFolder(self) -> None:
        """A folder that is none, or has nothing of Prosody, is refused, with a hint if it is in SQL."""
        with self.assertRaises(SourceError):
            ProsodySource(self.folder.path + "x")
        empty = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(empty, "some", "folder"))
        with self.assertRaises(SourceError) as caught:
            ProsodySource(empty)
        self.assertNotIn("SQL", str(caught.exception))
        with open(os.path.join(empty, "prosody.sqlite"), "w"):
            pass
        with self.assertRaises(SourceError) as caught:
            ProsodySource(empty)
        self.assertIn("prosody.sqlite is of its SQL storage", str(caught.exception))

    def test_unreadable(self) -> None:
        """A folder that cannot be read, from the beginning or later, is an error."""
        source = ProsodySource(self.folder.path)

        def fail(host: str, *arguments: str) -> list[str]:
            raise PermissionError(13, "Permission denied", f"/data/{host}")

        self.patch(DataFolder, "names", fail)
        for read in (lambda: ProsodySource(self.folder.path), lambda: list(source.records())):
            with self.assertRaises(SourceError) as caught:
                read()
            self.assertIn("Permission denied", str(caught.exception))
