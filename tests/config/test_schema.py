# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.schema}."""

from __future__ import annotations

import re
from typing import cast

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muccore.config.ini import Line
from muccore.config.schema import NAMED_OPTIONS, NAMED_SECTIONS, OPTIONS, SECTIONS, Settings
from muccore.config.types import Integer, Secret
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
"""Names in existing files, which must not change."""


class TableTests(SynchronousTestCase):
    """L{OPTIONS}"""

    def test_promisedNames(self) -> None:
        """The names in existing files are there."""
        for section, names in PROMISED.items():
            self.assertEqual(names - {name for at, name in OPTIONS if at == section}, set())

    def test_namesInTheFile(self) -> None:
        """A key is its attribute's name with underscores."""
        self.assertEqual(OPTIONS["c2s", "direct_tls_listen"].attribute, "directTlsListen")
        for section, name in (*OPTIONS, *NAMED_OPTIONS):
            self.assertRegex(section, r"\A[a-z0-9_]+\Z")
            self.assertRegex(name, r"\A[a-z]+(_[a-z]+)*\Z")

    def test_defaults(self) -> None:
        """Every default is a valid value."""
        for option in (*OPTIONS.values(), *NAMED_OPTIONS.values()):
            if option.default is None:
                continue
            refused: list[tuple[object, ...]] = []
            lines = [Line(1, line) for line in option.default.split("\n") if line]
            base = FilePath("/srv")
            value = option.type.read(lines, 1, base, lambda *refusal, to=refused: to.append(refusal))
            self.assertEqual(refused, [], option)
            # An optional list is None if it is missing, but not if it is empty.
            self.assertEqual(value or None, option.type.parse(option.default, base) or None)

    def test_documented(self) -> None:
        """Every option and every section has a description."""
        for option in (*OPTIONS.values(), *NAMED_OPTIONS.values()):
            self.assertRegex(option.doc, r"\A[A-Z].+\.\Z")
            self.assertNotEqual(option.type.allowed, "")
        for section in (*SECTIONS.values(), *NAMED_SECTIONS.values()):
            self.assertTrue(section.__doc__)

    def test_depth(self) -> None:
        """A stanza of the maximum depth can be copied and rendered, both recursive, with room left on the stack."""
        (option,) = (option for option in OPTIONS.values() if option.name == "depth")
        depth = cast(Integer, option.type).most
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
        """The settings have each section by name, and are immutable."""
        found = settings()
        for name, section in SECTIONS.items():
            self.assertIsInstance(getattr(found, name), section)
            self.assertRaises(AttributeError, setattr, getattr(found, name), "x", 1)
        self.assertRaises(AttributeError, setattr, found, "server", None)


class SettingsTests(SynchronousTestCase):
    """L{Settings}"""

    def test_equality(self) -> None:
        """Settings with the same values are equal, so that a reload notices changes."""
        self.assertEqual(settings(), settings(c2s={"tls": "required"}))
        self.assertNotEqual(settings(), settings(c2s={"tls": "optional"}))

    def test_problem(self) -> None:
        """A later problem with a value has the line of the key; that of a default has none."""
        found: Settings = settings()
        number = text().decode().split("\n").index("certificate = server.crt") + 1
        self.assertEqual(
            str(found.problem("tls", "certificate", "cannot be read")),
            f"{found.path}:{number}: [tls] certificate: cannot be read",
        )
        self.assertEqual(str(found.problem("c2s", "listen", "in use")), f"{found.path}: [c2s] listen: in use")

    def test_secretsAreNotShown(self) -> None:
        """An option that is a secret is declared as one: settings may be shown."""
        secrets = [found for at, found in OPTIONS.items() if re.search("password|secret", at[1])]
        self.assertEqual([found.name for found in secrets if not isinstance(found.type, Secret)], [])
        shown = repr(settings(**{found.section: {found.name: "hidden-from-all"} for found in secrets}))
        self.assertNotIn("hidden-from-all", shown)
