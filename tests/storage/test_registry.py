# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.storage.registry}, L{muccore.storage.factory} and the plugins of
C{twisted/plugins/muccore_storage.py}.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from twisted.plugin import IPlugin
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.interfaces import BadDescription, IStoreFactory
from muccore.storage import registry
from muccore.storage.factory import StoreFactory
from muccore.storage.fileuploads import FileUploads
from muccore.storage.insecure import InsecureAuth
from muccore.storage.memory import MemoryAccounts, MemoryRooms
from muccore.storage.memoryarchive import MemoryArchive
from muccore.storage.memoryaudit import MemoryAudit
from muccore.storage.memorypubsub import MemoryPubSub
from muccore.storage.memoryroster import MemoryRosters
from muccore.storage.memoryuploads import MemoryUploads
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.storage.sqlite.archive import SQLiteArchive
from muccore.storage.sqlite.audit import SQLiteAudit
from muccore.storage.sqlite.pubsub import SQLitePubSub
from muccore.storage.sqlite.rooms import SQLiteRooms
from muccore.storage.sqlite.rosters import SQLiteRosters
from muccore.storage.sqlite.userdata import SQLiteUserData


class MakeStoreTests(SynchronousTestCase):
    """L{registry.makeStore}"""

    def setUp(self) -> None:
        """Choose a folder for relative paths."""
        self.base = FilePath(self.mktemp())

    def make(self, kind: str, description: str) -> object:
        """Make a store."""
        return registry.makeStore(kind, description, self.base, object())

    def refusal(self, kind: str, description: str) -> str:
        """The error for a description, which is one line."""
        line = str(self.assertRaises(BadDescription, self.make, kind, description))
        self.assertNotIn("\n", line)
        return line

    def install(self, *factories: StoreFactory) -> None:
        """Replace the installed plugins."""
        self.patch(registry, "getPlugins", lambda interface: iter(factories))

    def test_schemes(self) -> None:
        """muccore's stores are found as plugins."""
        rooms = ["memory", "postgresql", "sqlite"]
        accounts = ["http", "https", "insecure", "ldap", "ldaps", "memory", "open", "pam"]
        accounts += ["postgresql", "program", "sqlite"]
        others = [(kind, rooms) for kind in ("rooms", "archive", "audit", "rosters", "userdata", "pubsub")]
        others += [("accounts", accounts), ("uploads", ["files", "memory"])]
        for kind, schemes in others:
            factories = registry.factories(kind)
            self.assertEqual([factory.scheme for factory in factories], schemes)
            for factory in factories:
                verifyObject(IStoreFactory, factory)
                verifyObject(IPlugin, factory)
                self.assertTrue(factory.help)
                self.assertNotIn("\n", factory.help)

    def test_makes(self) -> None:
        """Kind and scheme choose what is made; C{open:} is an alias of C{insecure:}."""
        for kind, description, expected in [
            ("accounts", "memory:", MemoryAccounts),
            ("accounts", "insecure:", InsecureAuth),
            ("accounts", "open:", InsecureAuth),
            ("accounts", "sqlite:a.db", SQLiteAccounts),
            ("rooms", "memory:", MemoryRooms),
            ("rooms", "sqlite:a.db", SQLiteRooms),
            ("archive", "memory:", MemoryArchive),
            ("archive", "sqlite:a.db", SQLiteArchive),
            ("audit", "memory:", MemoryAudit),
            ("audit", "sqlite:a.db", SQLiteAudit),
            ("rosters", "memory:", MemoryRosters),
            ("rosters", "sqlite:a.db", SQLiteRosters),
            ("userdata", "memory:", MemoryUserData),
            ("userdata", "sqlite:a.db", SQLiteUserData),
            ("pubsub", "memory:", MemoryPubSub),
            ("pubsub", "sqlite:a.db", SQLitePubSub),
            ("uploads", "memory:", MemoryUploads),
            ("uploads", "files:a", FileUploads),
        ]:
            self.assertIs(type(self.make(kind, description)), expected)

    def test_paths(self) -> None:
        """Relative paths start at the base; colons and spaces are part of the path. No file is created."""
        for argument, expected in [
            ("var/a.db", os.path.join(self.base.path, "var", "a.db")),
            ("../a.db", os.path.join(os.path.dirname(self.base.path), "a.db")),
            ("/srv/a b:c.db", "/srv/a b:c.db"),
        ]:
            for kind in ("accounts", "rooms"):
                store = self.make(kind, f"sqlite:{argument}")
                assert isinstance(store, SQLiteRooms | SQLiteAccounts)
                self.assertEqual(store.database.path, expected)
            archive = self.make("archive", f"sqlite:{argument}")
            assert isinstance(archive, SQLiteArchive)
            self.assertEqual((archive.writer.path, archive.reader.path), (expected, expected))
        self.assertFalse(self.base.exists())

    def test_noPath(self) -> None:
        """C{sqlite:} without a valid path is refused with an example."""
        for description in ("sqlite:", "sqlite:  ", "sqlite:a\x00b", "sqlite:var/"):
            self.assertIn("sqlite:", self.refusal("rooms", description))
        self.assertIn("sqlite:var/muccore.db", self.refusal("accounts", "sqlite:"))

    def test_needlessArgument(self) -> None:
        """C{memory:} and C{insecure:} refuse an argument, which is quoted."""
        for kind, scheme in [("accounts", "memory"), ("accounts", "insecure"), ("rooms", "memory")]:
            self.assertIn("'x y'", self.refusal(kind, f"{scheme}:x y"))

    def test_unknownScheme(self) -> None:
        """An unknown scheme, or one of another kind, is refused with the installed ones."""
        line = self.refusal("rooms", "carrier-pigeon:home")
        self.assertIn("'carrier-pigeon'", line)
        self.assertIn("memory: (", line)
        self.assertIn("sqlite: (PATH", line)
        self.assertNotIn("insecure: (", line)
        self.assertNotIn("did you mean", line)
        self.assertIn("insecure: (", self.refusal("accounts", "carrier-pigeon:home"))
        self.assertIn("unknown store 'insecure' for rooms", self.refusal("rooms", "insecure:"))

    def test_nearMiss(self) -> None:
        """A scheme that is nearly right is refused with a suggestion."""
        for wrong in ("sqlit:a", "SQLite:a", " sqlite :a"):
            self.assertIn("(did you mean sqlite:?)", self.refusal("rooms", wrong))

    def test_noColon(self) -> None:
        """A description without a colon is refused, even if its word is a scheme."""
        line = self.refusal("rooms", "memory")
        self.assertIn("'memory' has no colon (did you mean memory:?)", line)
        self.assertIn("installed: ", self.refusal("rooms", ""))

    def test_ambiguous(self) -> None:
        """A scheme that two plugins provide for one kind is refused."""
        factory = StoreFactory("rooms", "memory", "", lambda argument, base, reactor: MemoryRooms())
        self.install(factory, factory)
        self.assertIn("2 plugins", self.refusal("rooms", "memory:"))

    def test_incomplete(self) -> None:
        """A store without the interface of its kind is refused."""
        self.install(StoreFactory("rooms", "bad", "", lambda argument, base, reactor: InsecureAuth()))
        self.assertIn("bad: is not a store for rooms", self.refusal("rooms", "bad:"))

    def test_arguments(self) -> None:
        """A plugin gets the argument as written, the base folder and the reactor."""
        given: list[Sequence[object]] = []

        def make(*arguments: object) -> MemoryRooms:
            given.append(arguments)
            return MemoryRooms()

        self.install(StoreFactory("rooms", "mine", "", make))
        reactor = object()
        registry.makeStore("rooms", "mine: a:b ", self.base, reactor)
        self.assertEqual(given, [(" a:b ", self.base, reactor)])
