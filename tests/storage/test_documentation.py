# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for C{docs/writing-a-store.md}."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

import tests

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(tests.__file__)))

_CHOOSE = """
from twisted.internet import reactor
from twisted.python.filepath import FilePath
from muccore.storage.registry import makeStore
print(type(makeStore("accounts", "file:accounts.json", FilePath("."), reactor)))
"""


class ExampleTests(SynchronousTestCase):
    """The example is a package that works."""

    def setUp(self) -> None:
        """Extract the files of the example."""
        page = FilePath(ROOT).descendant(["docs", "writing-a-store.md"]).getContent().decode()
        self.folder = FilePath(self.mktemp())
        self.names = []
        for name, text in re.findall(r"```python\n# (\S+)\n(.*?)```", page, re.DOTALL):
            self.names.append(name)
            file = self.folder.descendant(name.split("/"))
            file.parent().makedirs(ignoreExistingDirectory=True)
            file.setContent(text.encode())

    def python(self, *arguments: str) -> str:
        """Run Python in the folder of the example; return its output."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder.path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([self.folder.path, ROOT])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
        )
        output = done.stdout.decode()
        self.assertEqual(done.returncode, 0, output)
        return output

    def test_files(self) -> None:
        """The page has a store, a plugin and a test."""
        self.assertEqual(
            self.names, ["fileaccounts.py", "twisted/plugins/fileaccounts_plugin.py", "test_fileaccounts.py"]
        )

    def test_contract(self) -> None:
        """The example passes the contract suite."""
        self.assertRegex(self.python("-m", "twisted.trial", "test_fileaccounts"), r"PASSED \(successes=\d\d\)")

    def test_plugin(self) -> None:
        """The plugin is found by its scheme."""
        self.assertIn("fileaccounts.FileAccounts", self.python("-c", _CHOOSE))
