# -*- test-case-name: tests.config.test_plugins -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.config.plugins}."""

from __future__ import annotations

from twisted.plugin import IPlugin
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.xmlstream import XMPPHandler
from zope.interface import implementer

from muccore.config import plugins
from muccore.config.errors import InvalidValue
from muccore.config.ini import Line
from muccore.config.plugins import HandlerDescription, HandlerType, StoreType
from muccore.interfaces import BadDescription, HandlerContext, IHandlerFactory

BASE = FilePath("/srv/muccore/etc")


@implementer(IPlugin, IHandlerFactory)
class GreetingFactory:
    """A plugin."""

    name = "greeting"
    help = "a word"

    def makeHandler(self, context: HandlerContext) -> XMPPHandler:
        """Make a handler."""
        return XMPPHandler()


class StoreLinesTests(SynchronousTestCase):
    """L{StoreType.read}"""

    def read(self, *lines: str) -> tuple[str | None, list[tuple[int, str, str]]]:
        """Read a value whose lines follow line 5; return it, and the line, the text found and the reason of errors."""
        rejected: list[tuple[int, str, str]] = []
        value = StoreType("accounts", "x").read(
            [Line(5 + number, line) for number, line in enumerate(lines)], 5, BASE,
            lambda line, found, error: rejected.append((line, found, error.why)),
        )  # fmt: skip
        return value, rejected

    def test_options(self) -> None:
        """Some stores have options on further lines; an error has its line, and what may be a secret is not shown."""
        self.assertEqual(self.read("program:/bin/true", "timeout = 5"), ("program:/bin/true\ntimeout = 5", []))
        value, rejected = self.read("program:/bin/true", "timeout = 5", "password = s3cret")
        self.assertIsNone(value)
        self.assertEqual([(line, found) for line, found, _ in rejected], [(7, "password")])
        self.assertNotIn("s3cret", str(rejected))

    def test_oneLine(self) -> None:
        """Others have none."""
        for lines in (("sqlite:a.db", "timeout = 5"), ("memory:", "x = y"), ("unknown:", "x = y")):
            self.assertEqual([line for line, _, _ in self.read(*lines)[1]], [6])


class HandlerTests(SynchronousTestCase):
    """L{HandlerType}"""

    def setUp(self) -> None:
        """Install the plugin."""
        self.factory = GreetingFactory()
        self.patch(plugins, "getPlugins", lambda interface: [self.factory, GreetingFactory()])

    def test_named(self) -> None:
        """A description has two parts; of two plugins with one name it finds the first."""
        description = HandlerType().parse("greeting: hello: you", BASE)
        self.assertEqual(description, HandlerDescription("greeting", "hello: you"))
        self.assertIs(description.findFactory(), self.factory)

    def test_unknown(self) -> None:
        """An unknown name is refused, with a suggestion or the installed ones."""
        refusal = self.assertRaises(InvalidValue, HandlerType().parse, "greetings:x", BASE)
        self.assertEqual(refusal.why, "no handler 'greetings' is installed")
        self.assertEqual(refusal.hint, "did you mean 'greeting'?")
        self.assertEqual(self.assertRaises(InvalidValue, HandlerType().parse, "zzz", BASE).hint, "installed: greeting")

    def test_gone(self) -> None:
        """A plugin that is no longer installed is named."""
        self.patch(plugins, "getPlugins", lambda interface: [])
        error = self.assertRaises(BadDescription, HandlerDescription("greeting", "x").findFactory)
        self.assertEqual(str(error), "no handler 'greeting' is installed")


class StoreTests(SynchronousTestCase):
    """L{StoreType}"""

    def test_named(self) -> None:
        """The description of a store is kept as it is."""
        for kind, text in (("accounts", "sqlite:x/y.db"), ("accounts", "insecure:"), ("rooms", "memory:")):
            self.assertEqual(StoreType(kind, "").parse(text, BASE), text)

    def test_refused(self) -> None:
        """An invalid description is refused with the reason."""
        for kind, text in (("accounts", "sqlite:"), ("rooms", "insecure:"), ("rooms", "sqlit:x"), ("rooms", "")):
            self.assertNotEqual(self.assertRaises(InvalidValue, StoreType(kind, "").parse, text, BASE).why, "")
