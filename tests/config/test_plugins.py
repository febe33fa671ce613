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
from muccore.config.plugins import HandlerDescription, HandlerType, StoreType
from muccore.interfaces import BadDescription, IHandlerFactory

BASE = FilePath("/srv/muccore/etc")


class GreetingHandler(XMPPHandler):
    """A handler with a word."""

    def __init__(self, word: str) -> None:
        self.word = word


@implementer(IPlugin, IHandlerFactory)
class GreetingFactory:
    """Makes handlers that greet."""

    name = "greeting"
    help = "a word"

    def makeHandler(self, argument: str) -> GreetingHandler:
        """Make one that greets by the argument."""
        if not argument:
            raise BadDescription("greeting needs a word")
        return GreetingHandler(argument)


class HandlerTests(SynchronousTestCase):
    """Naming handlers."""

    def setUp(self) -> None:
        """Install the greeting."""
        self.patch(plugins, "getPlugins", lambda interface: [GreetingFactory()])

    def test_named(self) -> None:
        """A description is kept in its two parts and makes the handler."""
        description = HandlerType().parse("greeting: hello: you", BASE)
        self.assertEqual(description, HandlerDescription("greeting", "hello: you"))
        self.assertEqual(description.make().word, "hello: you")

    def test_badArgument(self) -> None:
        """What the plugin says to its argument is told."""
        for text in ("greeting", "greeting:"):
            refusal = self.assertRaises(InvalidValue, HandlerType().parse, text, BASE)
            self.assertEqual((refusal.why, refusal.hint), ("greeting needs a word", ""))

    def test_unknown(self) -> None:
        """A name that nobody brings is refused, with what may have been meant."""
        refusal = self.assertRaises(InvalidValue, HandlerType().parse, "greetings:x", BASE)
        self.assertEqual(refusal.why, "no handler 'greetings' is installed")
        self.assertEqual(refusal.hint, "did you mean 'greeting'?")
        self.assertEqual(self.assertRaises(InvalidValue, HandlerType().parse, "zzz", BASE).hint, "installed: greeting")

    def test_gone(self) -> None:
        """A plugin that has been uninstalled since is told by its name."""
        self.patch(plugins, "getPlugins", lambda interface: [])
        error = self.assertRaises(BadDescription, HandlerDescription("greeting", "x").make)
        self.assertEqual(str(error), "no handler 'greeting' is installed")

    def test_firstCounts(self) -> None:
        """Of two plugins with one name the first is taken."""
        first = GreetingFactory()
        self.patch(plugins, "getPlugins", lambda interface: [first, GreetingFactory()])
        self.assertIs(plugins.handlerFactories()["greeting"], first)


class StoreTests(SynchronousTestCase):
    """Naming stores."""

    def test_named(self) -> None:
        """A description that makes a store is kept as it is, and nothing is opened."""
        for purpose, text in (("accounts", "sqlite:x/y.db"), ("accounts", "insecure:"), ("rooms", "memory:")):
            self.assertEqual(StoreType(purpose, "").parse(text, BASE), text)

    def test_refused(self) -> None:
        """A description that makes none is refused with the reason."""
        for purpose, text in (("accounts", "sqlite:"), ("rooms", "insecure:"), ("rooms", "sqlit:x"), ("rooms", "")):
            self.assertNotEqual(self.assertRaises(InvalidValue, StoreType(purpose, "").parse, text, BASE).why, "")
