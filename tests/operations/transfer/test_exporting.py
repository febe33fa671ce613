# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccorectl export}."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import Any

from twisted.internet.defer import succeed

from muccore.interfaces import StoreUnavailable
from muccore.operations.transfer.documentsource import DocumentSource
from muccore.operations.transfer.records import Messages, Problem, Room, User
from muccore.server import stores
from tests.operations.transfer.commandtestcase import TransferCommandTestCase
from tests.operations.transfer.transferstores import CAVE, JULIET, now, sample


class ExportTests(TransferCommandTestCase):
    """The command."""

    def setUp(self) -> None:
        """Fill the stores."""
        super().setUp()
        self.fill(sample())

    def names(self) -> list[str]:
        """The accounts and rooms in the document."""
        found = list(DocumentSource(self.path).records())
        self.assertEqual([each for each in found if isinstance(each, Problem)], [])
        entities = [each for each in found if isinstance(each, (User, Room))]
        return [each.account if isinstance(each, User) else each.room for each in entities]

    def test_all(self) -> None:
        """Everything is written to a private file, and told."""
        lines = self.succeed("export", self.path)
        self.assertEqual(lines, [f"{self.path}: 2 accounts, 2 rooms, 5 messages"])
        self.assertEqual(self.names(), [JULIET, "nurse@localhost", CAVE, "heath@conference.localhost"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(len(set(self.closed)), 6)
        self.assertNotIn(self.stores.occupants, self.closed)

    def test_chosen(self) -> None:
        """Some accounts and rooms can be named, in any spelling."""
        self.assertEqual(self.succeed("export", self.path, "--user", "Juliet@LOCALHOST"),
                         [f"{self.path}: 1 accounts, 0 rooms, 2 messages"])  # fmt: skip
        self.assertEqual(self.names(), [JULIET])
        arguments = ["--room", CAVE, "--user", JULIET, "--room", "heath@conference.localhost", "--force"]
        self.succeed("export", self.path, *arguments)
        self.assertEqual(self.names(), [JULIET, CAVE, "heath@conference.localhost"])

    def test_unknown(self) -> None:
        """What does not exist, or is no address, is refused, and nothing is written."""
        self.assertRefusal("there is no such account", "export", self.path, "--user", CAVE)
        self.assertRefusal("there is no such room", "export", self.path, "--room", JULIET)
        self.assertRefusal("is no address", "export", self.path, "--room", "@")
        self.assertFalse(os.path.exists(self.path))

    def test_existing(self) -> None:
        """A file is replaced only if that is wanted; one that cannot be written is told."""
        self.succeed("export", self.path)
        self.assertRefusal("it exists", "export", self.path)
        self.succeed("export", self.path, "--force")
        self.assertRefusal("it cannot be written", "export", self.files.file("none/data.xml"))

    def test_beside(self) -> None:
        """While the server runs, archives are only read: it may have messages that it has not committed."""
        opened: list[str] = []
        self.patch(self.stores.archive, "open", lambda: succeed(opened.append("open")))
        self.patch(self.stores.archive, "openReading", lambda: succeed(opened.append("openReading")))
        self.succeed("export", self.path)
        with self.serverRunning():
            self.succeed("export", self.path, "--force")
        self.assertEqual(opened, ["open", "openReading"])
        # Without a socket, it may run.
        self.files.configure(storage={"affiliations": "memory:"})
        self.succeed("export", self.path, "--force")
        self.assertEqual(opened, ["open", "openReading", "openReading"])

    def test_storeFails(self) -> None:
        """If a store fails, that is told, all are closed, and no file is left."""
        def fail(*arguments: Any) -> Any:
            raise StoreUnavailable("rooms.db: it is broken")

        self.patch(self.stores.rooms, "load", fail)
        self.assertRefusal("it is broken", "export", self.path)
        self.assertEqual(len(set(self.closed)), 6)
        self.assertEqual([name for name in os.listdir(self.files.folder) if "data" in name], [])

    def test_damaged(self) -> None:
        """What is stored and cannot be given on is told, and the rest is written."""
        now(self.stores.userData.change(JULIET, {("private", "{a}b"): b"<b xmlns='not a URI'/>"}))
        lines = self.succeed("export", self.path)
        self.assertEqual(len(lines), 2)
        self.assertIn(f"{JULIET}: the document private {{a}}b: it is not XML", lines[1])
        self.assertEqual(len(self.names()), 4)

    def test_missing(self) -> None:
        """A database that is not there is not created."""
        os.unlink(self.files.file("rooms.db"))
        self.assertRefusal("there is no such database", "export", self.path)
        self.assertFalse(os.path.exists(self.files.file("rooms.db")))

    def test_memory(self) -> None:
        """What is in the memory of the server cannot be read."""
        self.files.configure(auth={"backend": "memory:"}, storage={"affiliations": "memory:", "archive": ""})
        self.assertRefusal("nothing can be read from here", "export", self.path)

    def test_elsewhere(self) -> None:
        """Of accounts that are kept elsewhere, those come of whom something is stored here, without credentials."""
        self.files.configure(auth={"backend": "insecure:"})
        self.patch(stores, "isManageable", lambda *arguments: False)
        self.succeed("export", self.path)
        # Of the nurse, nothing is stored.
        self.assertEqual(self.names(), [JULIET, CAVE, "heath@conference.localhost"])
        juliet = next(iter(DocumentSource(self.path).records()))
        assert isinstance(juliet, User)
        self.assertEqual((juliet.keys, len(juliet.private)), ((), 2))

    def test_pages(self) -> None:
        """Long archives and lists are read in pages."""
        record = next(each for each in sample() if isinstance(each, Messages))
        item = record.items[0]
        now(self.stores.archive.append(JULIET, [replace(item, id=f"x{n}") for n in range(450)]))
        self.assertEqual(self.succeed("export", self.path), [f"{self.path}: 2 accounts, 2 rooms, 455 messages"])

