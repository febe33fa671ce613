# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.shadowing}."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.xish.xpath import XPathQuery
from wokkel.generic import FallbackHandler
from wokkel.ping import PingHandler as StockPing
from wokkel.subprotocols import XMPPHandler
from wokkel.xmppim import MessageProtocol

from muccore.routing.handler import ANY, BARE, FULL, HOST, Handler, mayDecline
from muccore.services.ping import AccountPingHandler, PingHandler
from tests.configuration import Logged
from tests.routing.helpers import Server

QUERY = ("get", HOST, "urn:q", "q")
EXPRESSION = "/iq[@type='get']/q[@xmlns='urn:q']"
MESSAGES = ("chat", "error", "groupchat", "headline", "normal")


class Observer(XMPPHandler):  # type: ignore[misc]
    """A stock handler."""

    def __init__(self, *events: Any) -> None:
        super().__init__()
        self.events = events

    def connectionInitialized(self) -> None:
        """Observe."""
        for event in self.events:
            self.xmlstream.addObserver(event, self.on)
        self.xmlstream.addObserver("//event/x", self.on)
        self.xmlstream.addObserver("/message", lambda message: None)

    def on(self, element: Any) -> None:
        """Do nothing."""


class ShadowingTests(SynchronousTestCase):
    """Warnings of stock handlers that a table keeps stanzas from."""

    def warnings(self, *handlers: Any, host: str = "there.localhost") -> list[str]:
        """Add handlers to a domain; return its warnings."""
        logged = Logged(self)
        server = Server("there.localhost")
        server.add(host, *handlers)
        server.router.domains[host].warnOfShadowed()
        return logged.lines(LogLevel.warn)

    def tables(self, *keys: Any, declared: bool = False) -> Handler:
        """Make a handler with keys, all declared with C{mayDecline} or none."""
        function = mayDecline(lambda *_: None) if declared else lambda *_: None
        handler = Handler()
        handler.iqs = {key: function for key in keys if len(key) == 4}
        handler.stanzas = {key: function for key in keys if len(key) == 3}
        return handler

    def test_stock(self) -> None:
        """One line names domain, handler, what it observes and who takes it, in any order of the handlers."""
        for host, own in (("localhost", AccountPingHandler), ("there.localhost", PingHandler)):
            for handlers in ((own(), StockPing()), (StockPing(), own())):
                [line] = self.warnings(*handlers, host=host)
                self.assertRegex(
                    line,
                    rf"\A{host}: stanzas to the domain itself never reach wokkel\.ping\.PingHandler: "
                    rf"/iq\[@type=.get.\]/ping\[.*\] \(taken by muccore\.services\.ping\.{own.__name__}\)\Z",
                )
        self.assertEqual(self.warnings(PingHandler(), FallbackHandler(), MessageProtocol()), [])

    def test_shadowed(self) -> None:
        """An observer is shadowed if tables take every stanza that it observes."""
        for event, keys in (
            (EXPRESSION, [QUERY]),
            (XPathQuery(EXPRESSION), [QUERY]),
            (EXPRESSION, [("iq", "get", HOST)]),
            ("/iq[@type='get']", [("iq", "get", HOST)]),
            ("/iq[@type='result']", [("iq", ANY, HOST)]),
            ("/iq", [("iq", type, HOST) for type in ("get", "set", ANY)]),
            ("/message", [("message", ANY, HOST)]),
            ("/message/event[@xmlns='urn:q']", [("message", type, HOST) for type in MESSAGES]),
            ("/message[@type='chat']/body", [("message", "chat", HOST)]),
            ("/message[@type='odd']", [("message", "normal", HOST)]),
            ('/presence[@type="probe"]', [("presence", "probe", HOST)]),
            ("/presence", [("presence", ANY, HOST)]),
        ):
            for handlers in ((Observer(event), self.tables(*keys)), (self.tables(*keys), Observer(event, event))):
                self.assertEqual(len(self.warnings(*handlers)), 1, event)

    def test_notShadowed(self) -> None:
        """An observer that still gets stanzas, or whose expression is not analyzed, is not reported."""
        for event, keys in (
            (EXPRESSION, [("get", HOST, "urn:q", "p"), ("set", HOST, "urn:q", "q"), ("iq", "set", HOST)]),
            (EXPRESSION, [("get", BARE, "urn:q", "q"), ("iq", "get", FULL)]),
            ("/iq[@type='get']", [QUERY]),
            ("/iq/q[@xmlns='urn:q']", [QUERY]),
            ("/message", [("message", type, HOST) for type in MESSAGES[1:]]),
            ("/presence", [("presence", None, HOST), ("presence", "unavailable", HOST)]),
            ("/message[@to='x']", [("message", ANY, HOST)]),
            ("/*", [("message", ANY, HOST)]),
        ):
            self.assertEqual(self.warnings(Observer(event), self.tables(*keys)), [], event)
        self.assertEqual(self.warnings(Observer(EXPRESSION), self.tables(QUERY, declared=True)), [])
