# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for C{docs/external-accounts.md} and C{docs/guests.md}."""

from __future__ import annotations

import os
import re
import sys

from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

import tests
from muccore.config.load import parse
from muccore.storage.external.program import ProgramAuth

DOCS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(tests.__file__))), "docs")

_REST = """
[server]
domain = example.org
[tls]
certificate = c.pem
private_key = k.pem
[storage]
affiliations = memory:
[muc]
domain = conference.example.org
"""


class DocumentationTests(TestCase):
    """The examples work."""

    def blocks(self, language: str, name: str = "external-accounts.md") -> list[str]:
        """The blocks of code in a language."""
        with open(os.path.join(DOCS, name), encoding="utf-8") as page:
            return re.findall(rf"```{language}\n(.*?)```", page.read(), re.DOTALL)

    async def test_configurations(self) -> None:
        """Each example of a configuration is valid."""
        for page in ("external-accounts.md", "guests.md"):
            blocks = self.blocks("ini", page)
            self.assertTrue(blocks)
            for block in blocks:
                parse(f"{_REST}{block}".encode(), "/etc/muccore/server.cfg")

    async def test_program(self) -> None:
        """The program answers."""
        (program,) = self.blocks("python")
        file = FilePath(self.mktemp())
        file.setContent(program.encode())
        values = {"processes": 1, "timeout": 20.0, "isuser": True}
        accounts = ProgramAuth([sys.executable, file.path], values, reactor)
        await accounts.open()
        self.addCleanup(accounts.close)
        self.assertIs(await accounts.checkPassword("romeo@example.org", "w1th love"), True)
        self.assertIs(await accounts.checkPassword("romeo@example.org", "hate"), False)
        self.assertIs(await accounts.checkPassword("romeo@example.net", "w1th love"), False)
        self.assertIs(await accounts.hasAccount("romeo@example.org"), True)
        self.assertIs(await accounts.hasAccount("juliet@example.org"), False)
