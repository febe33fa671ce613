# -*- test-case-name: tests.config.test_docgen -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.docgen}, and of the two files that it writes."""

from __future__ import annotations

import re
import sys
from io import StringIO

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.docgen import EXAMPLE, example, main, reference
from muccore.config.load import load, parse
from muccore.config.schema import OPTIONS

ROOT = FilePath(__file__).parent().parent().parent()


class ReferenceTests(SynchronousTestCase):
    """The reference."""

    def test_fresh(self) -> None:
        """
        C{docs/configuration.md} is what the table says now; if not, C{python -m muccore.config.docgen reference}
        writes it.
        """
        written = ROOT.descendant(["docs", "configuration.md"]).getContent().decode("utf-8")
        self.assertEqual(written, reference())

    def test_everyKey(self) -> None:
        """Every key stands below its section with its default and its unit."""
        sections = {part.split("]")[0]: part for part in reference().split("\n### [")[1:]}
        for (section, name), key in OPTIONS.items():
            paragraph = sections[section].split(f"\n**`{name}`**: ")[1].split("\n**`")[0]
            default = re.search("^- Default: (.*)$", paragraph, re.M)[1]
            if key.default is None:
                self.assertIn("has to be given", default)
            elif key.default:
                self.assertEqual(re.findall("`([^`]*)`", default), key.default.split("\n"))
            self.assertEqual(f"\n- Unit: {key.type.unit}\n" in paragraph, bool(key.type.unit))

    def test_relativePaths(self) -> None:
        """It says where relative paths lead."""
        self.assertIn("**Relative paths start at the folder that the configuration file is in**", reference())


class ExampleTests(SynchronousTestCase):
    """The example, C{etc/server.cfg}."""

    path = ROOT.descendant(["etc", "server.cfg"])

    def test_fresh(self) -> None:
        """
        C{etc/server.cfg} is what the table says now; if not, C{python -m muccore.config.docgen example} writes it.
        """
        self.assertEqual(self.path.getContent().decode("utf-8"), example())

    def test_loads(self) -> None:
        """It can be used as it stands: STARTTLS and direct TLS on loopback, SQLite in C{var} beside C{etc}."""
        found = load(self.path.path)
        self.assertEqual((found.server.domain, found.muc.domain), ("localhost", "conference.localhost"))
        self.assertEqual(found.c2s.listen, ("tcp:5222:interface=127.0.0.1",))
        self.assertEqual(found.c2s.directTlsListen, ("tcp:5223:interface=127.0.0.1",))
        self.assertEqual(found.tls.certificate, ROOT.descendant(["var", "localhost.crt"]))
        self.assertEqual(found.tls.privateKey, ROOT.descendant(["var", "localhost.key"]))
        self.assertEqual(found.auth.backend, "sqlite:../var/muccore.db")

    def test_everyKey(self) -> None:
        """Every key is in it once, commented out unless the example gives it, with a comment above."""
        lines = self.path.getContent().decode("utf-8").split("\n")
        for at, key in OPTIONS.items():
            head = f"[{at[0]}]"
            start = lines.index(head)
            end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("[")), len(lines))
            mark = "" if at in EXAMPLE else "# "
            own = [i for i in range(start, end) if re.match(rf"{mark}{key.name} =", lines[i])]
            self.assertEqual(len(own), 1, key)
            self.assertTrue(lines[own[0] - 1].startswith("# "))

    def test_defaultsAreTheDefaults(self) -> None:
        """With every comment taken from the keys that stand at their default, it says the same."""
        data = self.path.getContent().decode("utf-8")
        names = "|".join(name for _, name in OPTIONS)
        bare = re.sub(rf"^# (({names}) =.*)$", r"\1", data, flags=re.M)
        bare = re.sub(r"^#     (\S+)$", r"    \1", bare, flags=re.M)
        found = parse(bare.encode("utf-8"), self.path.path)
        self.assertEqual(found, load(self.path.path))
        self.assertEqual(set(found.lines), set(OPTIONS))


class MainTests(SynchronousTestCase):
    """The command that prints them."""

    def test_prints(self) -> None:
        """It prints the document that it is asked for."""
        for name, document in (("reference", reference), ("example", example)):
            self.patch(sys, "stdout", StringIO())
            self.assertEqual(main([name]), 0)
            self.assertEqual(sys.stdout.getvalue(), document())

    def test_usage(self) -> None:
        """Anything else is a mistake in its use."""
        for argv in ([], ["both"], ["reference", "example"]):
            self.patch(sys, "stderr", StringIO())
            self.assertEqual(main(argv), 2)
            self.assertIn("usage: ", sys.stderr.getvalue())
