# -*- test-case-name: tests.config.test_docgen -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.docgen} and of the two generated files."""

from __future__ import annotations

import re
import sys
from io import StringIO

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.docgen import NAMED_EXAMPLE, example, main, reference
from muccore.config.load import load, parse
from muccore.config.schema import NAMED_OPTIONS, OPTIONS

ROOT = FilePath(__file__).parent().parent().parent()


class ReferenceTests(SynchronousTestCase):
    """The reference, C{docs/configuration.md}."""

    def test_fresh(self) -> None:
        """The file is up to date; otherwise run C{make docs}."""
        written = ROOT.descendant(["docs", "configuration.md"]).getContent().decode("utf-8")
        self.assertEqual(written, reference())

    def test_everyKey(self) -> None:
        """Every option is in its section, with its default and its unit."""
        sections = {part.split("]")[0]: part for part in reference().split("\n### [")[1:]}
        for (section, name), key in (OPTIONS | NAMED_OPTIONS).items():
            title = f"{section} NAME" if (section, name) in NAMED_OPTIONS else section
            paragraph = sections[title].split(f"\n**`{name}`**: ")[1].split("\n**`")[0]
            default = re.search("^- Default: (.*)$", paragraph, re.M)[1]
            if key.default is None:
                self.assertIn("none, required", default)
            elif key.default:
                self.assertEqual(re.findall("`([^`]*)`", default), key.default.split("\n"))
            self.assertEqual(f"\n- Unit: {key.type.unit}\n" in paragraph, bool(key.type.unit))


class ExampleTests(SynchronousTestCase):
    """The example, C{etc/server.cfg}."""

    path = ROOT.descendant(["etc", "server.cfg"])

    def test_fresh(self) -> None:
        """The file is up to date; otherwise run C{make docs}."""
        self.assertEqual(self.path.getContent().decode("utf-8"), example())

    def test_loads(self) -> None:
        """It is a valid configuration: STARTTLS and direct TLS on loopback, SQLite in C{var} beside C{etc}."""
        found = load(self.path.path)
        self.assertEqual((found.server.domain, found.muc.domain), ("localhost", ("conference.localhost",)))
        self.assertEqual(found.c2s.listen, ("tcp:5222:interface=127.0.0.1",))
        self.assertEqual(found.c2s.directTlsListen, ("tcp:5223:interface=127.0.0.1",))
        self.assertEqual(found.tls.certificate, ROOT.descendant(["var", "localhost.crt"]))
        self.assertEqual(found.tls.privateKey, ROOT.descendant(["var", "localhost.key"]))
        self.assertEqual(found.auth.backend, "sqlite:../var/muccore.db")

    def test_defaults(self) -> None:
        """It has every option, and those that are commented out have their defaults."""
        data = self.path.getContent().decode("utf-8")
        names = "|".join(name for _, name in OPTIONS)
        bare = re.sub(rf"^# (({names}) =.*)$", r"\1", data, flags=re.M)
        bare = re.sub(r"^#     (\S+)$", r"    \1", bare, flags=re.M)
        found = parse(bare.encode("utf-8"), self.path.path)
        self.assertEqual(found, load(self.path.path))
        self.assertEqual(set(found.lines), set(OPTIONS))

    def test_named(self) -> None:
        """The examples of named sections have all their keys, with values of their own."""
        section = NAMED_EXAMPLE.replace("\n#", "\n").replace("\n ", "\n# ")
        found = parse(self.path.getContent() + section.encode(), self.path.path)
        self.assertEqual([host.domain for host in found.hosts], ["localhost", "example.net"])
        given = {(section.split()[0], name) for section, name in found.lines if " " in section and name}
        self.assertEqual(given, set(NAMED_OPTIONS))


class MainTests(SynchronousTestCase):
    """The command that prints the documents."""

    def test_prints(self) -> None:
        """It prints the requested document."""
        for name, document in (("reference", reference), ("example", example)):
            self.patch(sys, "stdout", StringIO())
            self.assertEqual(main([name]), 0)
            self.assertEqual(sys.stdout.getvalue(), document())

    def test_usage(self) -> None:
        """Other arguments are usage errors."""
        for argv in ([], ["both"], ["reference", "example"]):
            self.patch(sys, "stderr", StringIO())
            self.assertEqual(main(argv), 2)
            self.assertIn("usage: ", sys.stderr.getvalue())
