# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.schema}."""

from __future__ import annotations

import re
from typing import cast

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.ini import Line
from muccore.config.schema import OPTIONS, SECTIONS, Settings
from muccore.config.types import Integer
from muccore.xmpp.element import Element, setParents
from muccore.xmpp.rendering import render
from tests.config import settings, text

PROMISED = {
    "server": {"domain"},
    "c2s": {"listen", "tls", "allow_plaintext_auth", "direct_tls_listen"},
    "tls": {"certificate", "private_key"},
    "transport": {"opportunistic_writes", "outbox_limit"},
    "limits": {"stanza_size", "stanza_size_unauthenticated"},
    "auth": {"backend"},
    "muc": {"domain"},
    "storage": {"affiliations"},
}
"""Names that people's files have in them; they never change."""


class TableTests(SynchronousTestCase):
    """The table as a whole."""

    def test_promisedNames(self) -> None:
        """The names that are promised are there."""
        for section, names in PROMISED.items():
            self.assertEqual(names - {name for at, name in OPTIONS if at == section}, set())

    def test_namesInTheFile(self) -> None:
        """A key's name is its attribute's in lower case words."""
        self.assertEqual(OPTIONS["c2s", "direct_tls_listen"].attribute, "directTlsListen")
        for section, name in OPTIONS:
            self.assertRegex(section, r"\A[a-z0-9]+\Z")
            self.assertRegex(name, r"\A[a-z]+(_[a-z]+)*\Z")

    def test_defaults(self) -> None:
        """Every default is allowed, as it would stand in a file."""
        for key in OPTIONS.values():
            if key.default is None:
                continue
            refused: list[tuple[object, ...]] = []
            lines = [Line(1, line) for line in key.default.split("\n") if line]
            base = FilePath("/srv")
            value = key.type.read(lines, 1, base, lambda *refusal, to=refused: to.append(refusal))
            self.assertEqual(refused, [], key)
            self.assertEqual(value, key.type.parse(key.default, base))

    def test_documented(self) -> None:
        """Every key says in sentences what it means, and every section what it is."""
        for key in OPTIONS.values():
            self.assertRegex(key.doc, r"\A[A-Z].+\.\Z")
            self.assertNotEqual(key.type.allowed, "")
        for section in SECTIONS.values():
            self.assertTrue(section.__doc__)

    def test_numbersHaveUnits(self) -> None:
        """Sizes and durations name their unit."""
        units = {name: key.type.unit for (_, name), key in OPTIONS.items()}
        self.assertEqual((units["outbox_limit"], units["idle_timeout"], units["tls"]), ("bytes", "seconds", ""))

    def test_depth(self) -> None:
        """
        A stanza as deep as can be allowed can be copied and rendered, which goes down into it step by step, with room
        on the stack for whoever asks for it.
        """
        (key,) = (key for key in OPTIONS.values() if key.name == "depth")
        depth = cast(Integer, key.type).most
        inner = outer = Element(("urn:x", "a"))
        for _ in range(depth - 1):
            inner = inner.add("a")

        def far(frames: int) -> bytes:
            if frames:
                return far(frames - 1)
            copied = outer.copy()
            setParents(copied)
            return render(copied)

        self.assertEqual(far(300).count(b"</a>"), depth - 1)

    def test_sectionsAreAttributes(self) -> None:
        """The settings have each section under its own name, and nothing of it can be changed."""
        found = settings()
        for name, section in SECTIONS.items():
            self.assertIsInstance(getattr(found, name), section)
            self.assertRaises(AttributeError, setattr, getattr(found, name), "x", 1)
        self.assertRaises(AttributeError, setattr, found, "server", None)


class SettingsTests(SynchronousTestCase):
    """The settings of a file."""

    def test_equality(self) -> None:
        """Settings are equal when they say the same: a reload can see what has changed."""
        self.assertEqual(settings(), settings(c2s={"tls": "required"}))
        self.assertNotEqual(settings(), settings(c2s={"tls": "optional"}))

    def test_problem(self) -> None:
        """Trouble with a value that comes later is told with the place of the key; a default has no line."""
        found: Settings = settings()
        number = text().decode().split("\n").index("certificate = server.crt") + 1
        self.assertEqual(
            str(found.problem("tls", "certificate", "cannot be read")),
            f"{found.path}:{number}: [tls] certificate: cannot be read",
        )
        self.assertEqual(str(found.problem("c2s", "listen", "in use")), f"{found.path}: [c2s] listen: in use")

    def test_secretsAreNotKept(self) -> None:
        """No key holds a secret itself: settings may be shown."""
        self.assertEqual([at for at in OPTIONS if re.search("password|secret", at[1])], [])
