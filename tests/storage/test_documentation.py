# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for C{docs/writing-a-store.md}."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from unittest import skipIf

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

import tests
from tests.test_examples import canBuild

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
        [self.commands] = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        self.folder = FilePath(self.mktemp())
        self.names = []
        for name, text in re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", page, re.DOTALL):
            self.names.append(name)
            file = self.folder.descendant(name.split("/"))
            file.parent().makedirs(ignoreExistingDirectory=True)
            file.setContent(text.encode())

    def python(self, *arguments: str) -> str:
        """Run Python in the folder of the example; return its output."""
        return self.execute([sys.executable, *arguments], self.folder, self.folder)

    def execute(self, command: list[str], folder: FilePath[str], package: FilePath[str], **variables: str) -> str:
        """
        Run a command; return its output.

        @param folder: where it runs.
        @param package: where Python finds the example.
        @param variables: other variables of the environment.
        """
        variables["PYTHONPATH"] = os.pathsep.join([package.path, ROOT])
        done = subprocess.run(
            command,
            cwd=folder.path,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
        output = done.stdout.decode()
        self.assertEqual(done.returncode, 0, output)
        return output

    def test_files(self) -> None:
        """The page has a store, a plugin, a test and what a package needs."""
        plugin = "twisted/plugins/fileaccounts_plugin.py"
        self.assertEqual(self.names, ["fileaccounts.py", plugin, "test_fileaccounts.py", "pyproject.toml"])

    @skipIf(not canBuild(), "pip, setuptools or wheel is not installed")
    def test_commands(self) -> None:
        """
        The commands run as they stand, in the folder of the files: the example passes the contract suite, and what is
        installed is found from elsewhere.
        """
        site, elsewhere, nowhere = (FilePath(self.mktemp()) for _ in range(3))
        for each in (site, elsewhere, nowhere):
            each.makedirs()
        output = self.execute(
            ["sh", "-e", "-c", self.commands], self.folder, nowhere,
            PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
            # Not into the environment of the tests, and without network.
            PIP_TARGET=site.path, PIP_NO_INDEX="1", PIP_NO_DEPS="1", PIP_NO_BUILD_ISOLATION="0",
            PIP_DISABLE_PIP_VERSION_CHECK="1",
        )  # fmt: skip
        self.assertRegex(output, r"PASSED \(successes=\d\d\)")
        self.assertIn("Successfully installed muccore-fileaccounts", output)
        self.assertIn("fileaccounts.FileAccounts", self.execute([sys.executable, "-c", _CHOOSE], elsewhere, site))

    def test_plugin(self) -> None:
        """The plugin is found by its scheme."""
        self.assertIn("fileaccounts.FileAccounts", self.python("-c", _CHOOSE))
