# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccorectl import}."""

from __future__ import annotations

from muccore.interfaces import StoreUnavailable
from tests.operations.transfer.commandtestcase import TransferCommandTestCase
from tests.operations.transfer.transferstores import CAVE, JULIET, MemoryStores, exported, now, sample

PROBLEM = (
    "<server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'><user name='a' password='1'><x xmlns='urn:x'/>"
    "<x xmlns='urn:x'/></user></host><host jid='elsewhere.lit'><user name='b'/></host></server-data>"
)


class ImportTests(TransferCommandTestCase):
    """The command, with a document that another server has exported."""

    def setUp(self) -> None:
        """Export the sample, and begin with empty stores."""
        super().setUp()
        self.fill(sample())
        self.document = now(exported(self.stores, self.settings))
        self.succeed("export", self.path)
        self.use(MemoryStores())

    def content(self) -> bytes:
        """The document of what is there now."""
        return now(exported(self.stores, self.settings))

    def test_all(self) -> None:
        """Everything comes."""
        lines = self.succeed("import", self.path)
        self.assertEqual(lines, ["2 accounts, 2 rooms and 5 messages in archives came"])
        self.assertEqual(self.content(), self.document)

    def test_dryRun(self) -> None:
        """What would come is told, and nothing changes."""
        before = self.content()
        lines = self.succeed("import", self.path, "--dry-run")
        self.assertEqual(lines, ["2 accounts, 2 rooms and 5 messages in archives would come"])
        self.assertEqual(self.content(), before)

    def test_existing(self) -> None:
        """If something exists, nothing comes unless it is said what to do; then that is done."""
        self.succeed("import", self.path)
        now(self.stores.rooms.destroy(CAVE))
        before = self.content()
        self.assertRefusal("3 accounts and rooms exist already (juliet@localhost, ", "import", self.path)
        self.assertEqual(self.content(), before)
        lines = self.succeed("import", self.path, "--existing", "skip")
        self.assertEqual(lines[0], "0 accounts, 1 rooms and 3 messages in archives came")
        self.assertEqual(lines[1], f"{JULIET}: exists already; left out")
        self.assertEqual(self.content(), self.document)
        lines = self.succeed("import", self.path, "--existing", "merge")
        self.assertEqual(lines[:2], ["0 accounts, 0 rooms and 0 messages in archives came",
                                     f"{JULIET}: exists already; added to"])  # fmt: skip
        self.assertEqual(self.content(), self.document)
        lines = self.succeed("import", self.path, "--dry-run")
        self.assertEqual(len(lines), 5)

    def test_problems(self) -> None:
        """What cannot come is told, once, with the reason."""
        with open(self.path, "w") as file:
            file.write(PROBLEM)
        expected = [
            "a@localhost: {urn:x}x: this server does not know it (2 times)",
            "b@elsewhere.lit: all of it: the accounts of this server are at localhost",
        ]
        for arguments in (("--dry-run",), ()):
            first, *rest = self.succeed("import", self.path, *arguments)
            self.assertIn("1 accounts, 0 rooms and 0 messages", first)
            self.assertEqual(rest, expected)

    def test_running(self) -> None:
        """While the server runs, nothing is imported."""
        with self.serverRunning():
            self.assertRefusal("the server is running; stop it first", "import", self.path)

    def test_unknown(self) -> None:
        """If it cannot be known whether the server runs, nothing is imported."""
        self.files.configure(storage={"affiliations": "memory:"})
        self.assertRefusal("set [server] control_socket", "import", self.path)
        self.files.configure(server={"control_socket": self.files.file("control")})
        self.succeed("import", self.path)

    def test_unreadable(self) -> None:
        """A file that is missing or damaged is refused before anything has changed."""
        self.assertRefusal("it cannot be read", "import", self.files.file("none.xml"))
        with open(self.path, "rb") as file:
            content = file.read()
        with open(self.path, "wb") as file:
            file.write(content[:-200])
        before = self.content()
        self.assertRefusal("no well-formed XML", "import", self.path)
        self.assertEqual(self.content(), before)

    def test_formats(self) -> None:
        """The format may be named; others are refused."""
        self.succeed("import", "xep0227", self.path)
        self.assertRefusal("formats are xep0227", "import", "strange", self.path)
        self.assertRefusal("formats are", "import", "xep0227", self.path, self.path)

    def test_storeFails(self) -> None:
        """If a store fails, that is told; the same again completes it."""
        def fail(*arguments: object) -> None:
            raise StoreUnavailable("rooms.db: the disk is full")

        save = self.stores.rooms.save
        self.patch(self.stores.rooms, "save", fail)
        self.assertRefusal("the disk is full", "import", self.path)
        self.patch(self.stores.rooms, "save", save)
        self.assertRefusal("exist already", "import", self.path)
        self.succeed("import", self.path, "--existing", "skip")
        self.assertEqual(self.content(), self.document)
