# -*- test-case-name: tests.test_compat -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.compat}."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

from twisted.python import compat as theirs
from twisted.trial.unittest import SynchronousTestCase

from muccore import compat

MODULES = ("client", "component", "data_form", "delay", "disco", "generic", "iwokkel", "muc", "ping", "pubsub", "shim",
           "subprotocols", "xmppim")  # fmt: skip


class CompatTests(SynchronousTestCase):
    """wokkel on current Twisted."""

    def test_wokkelImports(self) -> None:
        """All modules of wokkel that handlers need can be imported."""
        for name in MODULES:
            self.assertEqual(import_module(f"wokkel.{name}").__name__, f"wokkel.{name}")

    def test_needed(self) -> None:
        """They cannot without it. When this fails, remove the module."""
        command = [sys.executable, "-c", "import wokkel.disco, wokkel.muc, wokkel.data_form"]
        self.assertNotEqual(subprocess.run(command, capture_output=True).returncode, 0)

    def test_first(self) -> None:
        """Importing muccore applies it."""
        command = [sys.executable, "-c", "import muccore, wokkel.disco, wokkel.muc, wokkel.data_form"]
        done = subprocess.run(command, capture_output=True, env={"PYTHONPATH": ":".join(sys.path)})
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_names(self) -> None:
        """The restored names work as before."""
        self.assertIs(theirs.unicode, str)
        self.assertIs(theirs._PY3, True)
        self.assertEqual(list(theirs.iteritems({1: 2})), [(1, 2)])
        self.assertEqual(list(theirs.itervalues({1: 2})), [2])
        self.assertEqual(list(theirs.iterkeys({1: 2})), [1])
        constants = import_module("twisted.python.constants")
        self.assertTrue(hasattr(constants, "NamedConstant"))

    def test_leavesAlone(self) -> None:
        """Existing names are left alone, and applying it twice changes nothing."""
        marker = object()
        self.patch(theirs, "unicode", marker)
        before = dict(vars(theirs))
        compat.install()
        self.assertIs(theirs.unicode, marker)
        self.assertEqual(vars(theirs), before)
