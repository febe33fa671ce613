# -*- test-case-name: tests.server.test_handlers -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.handlers}."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from zope.interface import implementer

from muccore.config import plugins
from muccore.config.errors import ConfigError
from muccore.interfaces import (
    BadDescription,
    HandlerContext,
    IArchiveStore,
    IAuthBackend,
    IHandlerFactory,
    InvalidOption,
    IRoomStore,
    Stage,
)
from muccore.interfaces.handlers import BARE, HOST
from muccore.interfaces.http import HTTPResource
from muccore.routing.handler import Handler
from muccore.server import preflight
from muccore.server.assembly import ServerComponents
from muccore.testing.server import makeSettings
from tests.stream.doubles import Feature


@implementer(IPlugin, IHandlerFactory)
class Factory:
    """
    A plugin.

    @ivar make: called with what C{makeHandler} is called with.
    """

    help = ""

    def __init__(self, name: str, make: Callable[..., Any]) -> None:
        self.name = name
        self.makeHandler = make


class Greeter(Handler):
    """A handler with tables."""

    def __init__(self, *keys: Any) -> None:
        super().__init__()
        self.stanzas = {key: lambda *_: None for key in keys if len(key) == 3}
        self.iqs = {key: lambda *_: None for key in keys if len(key) == 4}


def crash(*_: object) -> None:
    """A bug in a plugin."""
    raise ZeroDivisionError("one line\nand another")


def refuse(*_: object) -> None:
    """A plugin that refuses its argument."""
    raise BadDescription("give a word")


GREETING = ("get", HOST, "urn:example:greeting", "greeting")


class ProblemTests(SynchronousTestCase):
    """Handlers that cannot be added are found before the start."""

    def problems(
        self, makers: dict[str, Callable[..., Any]], server: str = "", muc: str = "", **sections: dict[str, str]
    ) -> list[str]:
        """
        Check handlers.

        @param makers: what the installed plugins do, by name.
        @param server: the value of C{extra_handlers} for the accounts' domain.
        @param muc: likewise for the rooms' domain.
        @param sections: further sections of the configuration.
        @return: the problems found, without the place in the file.
        """
        self.patch(plugins, "getPlugins", lambda _: [Factory(name, make) for name, make in makers.items()])
        self.settings = makeSettings(server={"extra_handlers": server}, muc={"extra_handlers": muc}, **sections)
        for check in (preflight.check, preflight.checkHandlers):
            try:
                check(self.settings, reactor)
            except ConfigError as e:
                found = [str(problem).partition(": ")[2] for problem in e.problems]
            else:
                found = []
        return found

    def test_fine(self) -> None:
        """A handler may be added to both domains."""
        self.assertEqual(self.problems({"greeter": lambda *_: Greeter(GREETING)}, "greeter", "greeter"), [])

    def test_conflict(self) -> None:
        """Two handlers with one key are named with the key and the domain; the handlers after them are checked too."""
        ping = ("get", HOST, "urn:xmpp:ping", "ping")
        lock = ("message", "groupchat", BARE)
        makers = {"a": lambda *_: Greeter(GREETING), "ping": lambda *_: Greeter(ping), "lock": lambda *_: Greeter(lock)}
        both = r"both handle \(.*\), and neither is declared with mayDecline"
        greeter = r"tests\.server\.test_handlers\.Greeter"
        found = self.problems(makers, "a\n a\n ping", "lock")
        for line, pattern in zip(
            found,
            (
                rf"\[server\] extra_handlers: localhost: {greeter} and {greeter} {both}",
                rf"\[server\] extra_handlers: localhost: muccore\.\S+\.AccountPingHandler and {greeter} {both}",
                rf"\[muc\] extra_handlers: conference\.localhost: muccore\.\S+\.MUCHandler and {greeter} {both}",
            ),
            strict=True,
        ):
            self.assertRegex(line, rf"\A{pattern}\Z")
        self.assertIn("'urn:xmpp:ping'", found[1])

    def test_streamFeatures(self) -> None:
        """So are two handlers whose stream features have the same nonza."""

        class WithFeature(Greeter):
            streamFeatures = (Feature("urn:x", Stage.BINDING, 1000),)

        [found] = self.problems({name: lambda *_: WithFeature() for name in "ab"}, "a\n b")
        self.assertRegex(found, r"localhost: .*Feature.* handles the element \('urn:x', 'x'\)")
        self.assertEqual(self.problems({"a": lambda *_: WithFeature()}, "a"), [])
        components = ServerComponents(self.settings, Clock())
        self.successResultOf(components.open())
        self.assertIn(b"<x xmlns='urn:x'/>", components.streams.features.offer(Stage.BINDING, False, None))

    def test_httpResources(self) -> None:
        """So are two handlers that add a resource of HTTP at one path; what is added is at the site."""

        class WithResource(Greeter):
            httpResources = (HTTPResource("/x", Resource(), "Something"),)

        [found] = self.problems({name: lambda *_: WithResource() for name in "ab"}, "a\n b")
        self.assertIn("[server] extra_handlers: localhost: the path /x of a resource is taken", found)
        [found] = self.problems({"a": lambda *_: WithResource()}, "a", "a")
        self.assertIn("[muc] extra_handlers: conference.localhost: the path /x of a resource is taken", found)
        self.failureResultOf(ServerComponents(self.settings, Clock()).open(), ConfigError)
        self.assertEqual(self.problems({"a": lambda *_: WithResource()}, "a"), [])
        components = ServerComponents(self.settings, Clock())
        self.successResultOf(components.open())
        added = components.site.find(b"/x/y")
        self.assertEqual(None if added is None else added.description, "Something")

    def test_illegalKey(self) -> None:
        """So are keys that no domain has, and those of chat between users at the accounts' domain."""
        keys = {"steal": ("message", "*", BARE), "typo": ("mesage", "*", HOST)}
        steal, typo = self.problems({name: lambda *_, k=key: Greeter(k) for name, key in keys.items()}, "steal\n typo")
        self.assertIn(
            "localhost: tests.server.test_handlers.Greeter handles ('message', '*', BARE), which users send", steal
        )
        self.assertIn("localhost: tests.server.test_handlers.Greeter has ('mesage', '*', <AddressType.HOST: 0>)", typo)

    def test_notMade(self) -> None:
        """A plugin that refuses, crashes or makes something else is one line, and the others are checked too."""
        self.assertEqual(
            self.problems({"no": refuse, "bug": crash, "none": lambda *_: None}, "no\n bug\n none"),
            [
                "[server] extra_handlers: localhost: give a word",
                "[server] extra_handlers: localhost: the handler 'bug' cannot be made: "
                "ZeroDivisionError: one line and another",
                "[server] extra_handlers: localhost: the plugin 'none' makes no handler, but NoneType",
            ],
        )

    def test_context(self) -> None:
        """
        A plugin gets argument, options, folder, reactor and stores; an error about an option is reported there.
        """
        contexts = []

        def make(context: HandlerContext) -> Handler:
            contexts.append(context)
            context.checkOptions("word")
            if context.options.get("word") == "x":
                raise InvalidOption("word", "found 'x'; allowed: a word")
            return Greeter(GREETING)

        word = "[handler:greeter] word: found 'x'; allowed: a word"
        for options, problems in (
            ({"word": "Good day"}, []),
            ({}, []),
            ({"word": "x"}, [word]),
            ({"wort": "x"}, ["[handler:greeter] wort: no such key; allowed: word"]),
        ):
            found = self.problems({"greeter": make}, "greeter:hello", **{"handler:greeter": options})
            self.assertEqual(found, problems)
            context = contexts[-1]
            self.assertEqual(
                (context.argument, context.options, context.base, context.reactor),
                ("hello", options, self.settings.base, reactor),
            )
        self.assertTrue(IAuthBackend.providedBy(context.store("accounts")))
        self.assertTrue(IRoomStore.providedBy(context.store("rooms")))
        text = str(self.assertRaises(BadDescription, context.store, "room"))
        self.assertEqual(text, "no store 'room'; allowed: accounts, audit, pubsub, rooms, userdata")

    def test_hosts(self) -> None:
        """A host may have handlers of its own, for its accounts' domain and for its rooms' domains."""
        made = []
        makers = {name: lambda context, name=name: made.append((name, context.domain)) or Greeter() for name in "ab"}
        net = {"muc": "rooms.example.net", "extra_handlers": "b", "muc_extra_handlers": "a"}
        more = {"host example.net": net, "host example.com": {"extra_handlers": ""}, "host example.edu": {}}
        self.assertEqual(self.problems(makers, "a", "b", **more), [])
        self.assertEqual(
            made[: len(made) // 2],
            [("a", "localhost"), ("b", "conference.localhost"), ("b", "example.net"), ("a", "rooms.example.net"),
             ("a", "example.edu")],
        )  # fmt: skip
        self.assertEqual(
            self.problems({"a": refuse}, **{"host example.net": {**net, "extra_handlers": "a"}}),
            [
                "[host example.net] extra_handlers: example.net: give a word",
                "[host example.net] muc_extra_handlers: rooms.example.net: give a word",
            ],
        )

    def test_sameStores(self) -> None:
        """The handlers of a server that starts get its own stores, which are open."""
        contexts: list[HandlerContext] = []
        self.problems({"a": lambda context: contexts.append(context) or Greeter()}, "a")
        clock = Clock()
        components = ServerComponents(self.settings, clock)
        self.successResultOf(components.open())
        self.assertIs(contexts[-1].reactor, clock)
        made = components.stores
        stores = {"accounts": components.hosts[0].accounts, "rooms": made.rooms, "audit": made.audit}
        stores["userdata"] = made.userDataOf(self.settings.hosts[0])
        stores["pubsub"] = made.pubSubOf(self.settings.hosts[0])
        self.assertEqual((contexts[-1].stores, contexts[-1].domain), (stores, "localhost"))

    def test_archive(self) -> None:
        """They get the archive, too, if there is one."""
        contexts: list[HandlerContext] = []
        storage = {"affiliations": "memory:", "archive": "memory:"}
        self.problems({"a": lambda context: contexts.append(context) or Greeter()}, "a", storage=storage)
        components = ServerComponents(self.settings, Clock())
        self.successResultOf(components.open())
        self.assertIs(contexts[-1].store("archive"), components.stores.archive)
        self.assertTrue(IArchiveStore.providedBy(contexts[-1].store("archive")))

    def test_start(self) -> None:
        """A server that is started all the same fails with the same line."""
        [problem] = self.problems({"bug": crash}, "bug")
        failure = self.failureResultOf(ServerComponents(self.settings, Clock()).open(), ConfigError)
        self.assertIn(problem, str(failure.value))
