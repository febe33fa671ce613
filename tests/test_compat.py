# -*- test-case-name: tests.test_compat -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.compat}."""

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
    """wokkel on today's Twisted."""

    def test_wokkelImports(self) -> None:
        """Everything of wokkel that handlers need can be imported."""
        for name in MODULES:
            self.assertEqual(import_module(f"wokkel.{name}").__name__, f"wokkel.{name}")

    def test_needed(self) -> None:
        """Without it, it cannot: when this fails, the module has had its day."""
        command = [sys.executable, "-c", "import wokkel.disco, wokkel.muc, wokkel.data_form"]
        self.assertNotEqual(subprocess.run(command, capture_output=True).returncode, 0)

    def test_first(self) -> None:
        """Importing muccore is enough."""
        command = [sys.executable, "-c", "import muccore, wokkel.disco, wokkel.muc, wokkel.data_form"]
        done = subprocess.run(command, capture_output=True, env={"PYTHONPATH": ":".join(sys.path)})
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_names(self) -> None:
        """The names do what they did."""
        self.assertIs(theirs.unicode, str)
        self.assertIs(theirs._PY3, True)
        self.assertEqual(list(theirs.iteritems({1: 2})), [(1, 2)])
        self.assertEqual(list(theirs.itervalues({1: 2})), [2])
        self.assertEqual(list(theirs.iterkeys({1: 2})), [1])
        constants = import_module("twisted.python.constants")
        self.assertTrue(hasattr(constants, "NamedConstant"))

    def test_leavesAlone(self) -> None:
        """Names that are there are left alone, and doing it twice changes nothing."""
        marker = object()
        self.patch(theirs, "unicode", marker)
        before = dict(vars(theirs))
        compat.install()
        self.assertIs(theirs.unicode, marker)
        self.assertEqual(vars(theirs), before)
