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
from muccore.storage.insecure import InsecureAuth
from muccore.storage.memory import MemoryAccounts, MemoryRooms
from muccore.storage.sqlite.accounts import SQLiteAccounts
from muccore.storage.sqlite.rooms import SQLiteRooms


class ChooseTests(SynchronousTestCase):
    """Choosing a store by its description."""

    def setUp(self) -> None:
        """A folder for relative paths."""
        self.base = FilePath(self.mktemp())

    def make(self, purpose: str, description: str) -> object:
        """Make a store."""
        return registry.makeStore(purpose, description, self.base, object())

    def refusal(self, purpose: str, description: str) -> str:
        """What making the store is refused with: one line."""
        line = str(self.assertRaises(BadDescription, self.make, purpose, description))
        self.assertNotIn("\n", line)
        return line

    def install(self, *factories: StoreFactory) -> None:
        """Let these be the plugins that are found."""
        self.patch(registry, "getPlugins", lambda interface: iter(factories))

    def test_schemes(self) -> None:
        """What comes with muccore is found by the plugin system, as plugins."""
        accounts = ["insecure", "memory", "open", "sqlite"]
        for purpose, schemes in [("accounts", accounts), ("rooms", ["memory", "sqlite"])]:
            factories = registry.factories(purpose)
            self.assertEqual([factory.scheme for factory in factories], schemes)
            for factory in factories:
                verifyObject(IStoreFactory, factory)
                verifyObject(IPlugin, factory)
                self.assertTrue(factory.help)
                self.assertNotIn("\n", factory.help)

    def test_makes(self) -> None:
        """Kind and scheme choose what is made; C{open:} is an alias of C{insecure:}."""
        for purpose, description, expected in [
            ("accounts", "memory:", MemoryAccounts),
            ("accounts", "insecure:", InsecureAuth),
            ("accounts", "open:", InsecureAuth),
            ("accounts", "sqlite:a.db", SQLiteAccounts),
            ("rooms", "memory:", MemoryRooms),
            ("rooms", "sqlite:a.db", SQLiteRooms),
        ]:
            self.assertIs(type(self.make(purpose, description)), expected)

    def test_paths(self) -> None:
        """
        A relative path starts from the base, an absolute one does not; colons and blanks in it are its own. Nothing
        is made on disk.
        """
        for argument, expected in [
            ("var/a.db", os.path.join(self.base.path, "var", "a.db")),
            ("../a.db", os.path.join(os.path.dirname(self.base.path), "a.db")),
            ("/srv/a b:c.db", "/srv/a b:c.db"),
        ]:
            for purpose in ("accounts", "rooms"):
                store = self.make(purpose, f"sqlite:{argument}")
                assert isinstance(store, SQLiteRooms | SQLiteAccounts)
                self.assertEqual(store.database.path, expected)
        self.assertFalse(self.base.exists())

    def test_noPath(self) -> None:
        """C{sqlite:} without the path of a file is refused with an example."""
        for description in ("sqlite:", "sqlite:  ", "sqlite:a\x00b", "sqlite:var/"):
            self.assertIn("sqlite:", self.refusal("rooms", description))
        self.assertIn("sqlite:var/muccore.db", self.refusal("accounts", "sqlite:"))

    def test_needlessArgument(self) -> None:
        """C{memory:} and C{insecure:} take no argument, and what was found is named."""
        for purpose, scheme in [("accounts", "memory"), ("accounts", "insecure"), ("rooms", "memory")]:
            self.assertIn("'x y'", self.refusal(purpose, f"{scheme}:x y"))

    def test_unknownScheme(self) -> None:
        """An unknown scheme is refused with a list of what there is for that purpose."""
        line = self.refusal("rooms", "carrier-pigeon:home")
        self.assertIn("'carrier-pigeon'", line)
        self.assertIn("memory: (", line)
        self.assertIn("sqlite: (PATH", line)
        self.assertNotIn("insecure: (", line)
        self.assertNotIn("did you mean", line)
        self.assertIn("insecure: (", self.refusal("accounts", "carrier-pigeon:home"))

    def test_otherPurpose(self) -> None:
        """A scheme of another purpose is unknown for this one."""
        self.assertIn("unknown store 'insecure' for rooms", self.refusal("rooms", "insecure:"))

    def test_nearMiss(self) -> None:
        """A scheme that is nearly right is refused with a suggestion."""
        for wrong in ("sqlit:a", "SQLite:a", " sqlite :a"):
            self.assertIn("(did you mean sqlite:?)", self.refusal("rooms", wrong))

    def test_noColon(self) -> None:
        """A description without a colon is refused, whether or not its word is known."""
        line = self.refusal("rooms", "memory")
        self.assertIn("'memory' has no colon (did you mean memory:?)", line)
        self.assertIn("installed: ", self.refusal("rooms", ""))

    def test_ambiguous(self) -> None:
        """Two plugins that claim one scheme for one purpose are told apart by nobody: refused."""
        factory = StoreFactory("rooms", "memory", "", lambda argument, base, reactor: MemoryRooms())
        self.install(factory, factory)
        self.assertIn("2 plugins", self.refusal("rooms", "memory:"))

    def test_incomplete(self) -> None:
        """A plugin that makes something else than its purpose asks for is refused with what is missing."""
        self.install(StoreFactory("rooms", "bad", "", lambda argument, base, reactor: InsecureAuth()))
        self.assertIn("bad: is not a store for rooms", self.refusal("rooms", "bad:"))

    def test_arguments(self) -> None:
        """A plugin is given the argument as it is written, the base folder and the reactor."""
        given: list[Sequence[object]] = []

        def make(*arguments: object) -> MemoryRooms:
            given.append(arguments)
            return MemoryRooms()

        self.install(StoreFactory("rooms", "mine", "", make))
        reactor = object()
        registry.makeStore("rooms", "mine: a:b ", self.base, reactor)
        self.assertEqual(given, [(" a:b ", self.base, reactor)])
