# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.dispatch}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase
from wokkel.generic import VersionHandler

from muccore.interfaces.handlers import NOT_HANDLED, InvalidHandler, mayDecline
from muccore.routing.handler import ANY, HOST, Handler
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from tests.routing.helpers import Server, conditions

CHAT = ("message", "chat", HOST)
WIDER = ("message", ANY, HOST)
QUERY = ("get", HOST, "jabber:iq:version", "query")
REQUESTS = ("iq", "get", HOST)


class SharingTests(SynchronousTestCase):
    """Handlers that share keys."""

    def setUp(self) -> None:
        """Connect Romeo."""
        self.server = Server()
        self.romeo = self.server.connect("romeo@localhost/orchard")
        self.asked: list[str] = []

    def handler(self, word: str, *keys: Any, result: Any = None, declared: bool | None = None) -> Handler:
        """
        Add a handler that records its word.

        @param result: what its method returns (or what makes that), unless the id of the stanza is the word.
        @param declared: whether it is declared with L{mayDecline}; C{None}: if it declines.
        """

        def method(self_: Handler, element: Element, to: JID) -> Any:
            self.asked.append(word)
            if element.get("id") == word:
                return None
            return result() if callable(result) else result

        handler = Handler()
        function = mayDecline(method) if (result is NOT_HANDLED if declared is None else declared) else method
        handler.stanzas = {key: function for key in keys if len(key) == 3}
        handler.iqs = {key: function for key in keys if len(key) == 4}
        self.server.add("localhost", handler)
        return handler

    def ask(self, id: str = "1", stanza: str = "message type='chat'", payload: str = "<body/>") -> str:
        """Let Romeo send something to the server; return who was asked, and the error conditions that came back."""
        self.asked = []
        answers = self.romeo.ask(f"<{stanza} id='{id}' to='localhost'>{payload}</{stanza.split()[0]}>")
        return " ".join(self.asked + conditions(answers))

    def query(self, id: str = "1") -> str:
        """Let Romeo request the server's version."""
        return self.ask(id, "iq type='get'", "<query xmlns='jabber:iq:version'/>")

    def test_order(self) -> None:
        """
        Methods that may decline are asked in the order in which they were added, before the one that takes all,
        wherever that was added. The first that takes the stanza ends it.
        """
        self.handler("all", CHAT)
        self.handler("a", CHAT, result=NOT_HANDLED)
        self.handler("b", CHAT, result=NOT_HANDLED)
        self.assertEqual([self.ask(id) for id in ("a", "b", "c")], ["a", "a b", "a b all"])

    def test_wider(self) -> None:
        """
        After all with the exact key, those with the wider one are asked: C{ANY} for a type, any payload for a request.
        """
        self.handler("wider", WIDER, REQUESTS)
        self.handler("exact", CHAT, QUERY, result=NOT_HANDLED)
        self.assertEqual([self.ask(id) for id in ("exact", "x")], ["exact", "exact wider"])
        self.assertEqual([self.query(id) for id in ("exact", "x")], ["exact ", "exact wider "])
        self.assertEqual(self.ask(stanza="message type='headline'"), "wider")

    def test_sameHandler(self) -> None:
        """A handler may have both an exact key and a wider one."""
        handler = Handler()
        handler.stanzas = {CHAT: lambda *_: self.asked.append("exact"), WIDER: lambda *_: self.asked.append("wider")}
        self.server.add("localhost", handler)
        self.assertEqual([self.ask(), self.ask(stanza="message")], ["exact", "wider"])

    def test_nobody(self) -> None:
        """What all decline is offered to stock handlers, and then is refused."""
        self.handler("a", CHAT, QUERY, result=NOT_HANDLED)
        self.assertEqual(self.query(), "a service-unavailable")
        self.server.add("localhost", VersionHandler("stock", "1"))
        self.assertEqual((self.query(), self.ask()), ("a ", "a service-unavailable"))

    def test_conflict(self) -> None:
        """
        Two handlers that take all cannot share a key, nor a key and the wider one; nothing of the second is added.
        """
        self.handler("a", WIDER, REQUESTS, QUERY)
        for key in (WIDER, CHAT, REQUESTS, QUERY, ("get", HOST, "urn:q", "q")):
            raised = self.assertRaises(InvalidHandler, self.handler, "b", ("presence", None, HOST), key)
            self.assertRegex(str(raised), r"\A\S+\.Handler and \S+\.Handler both handle \(.*, HOST.*\), and neither")
        self.assertEqual(self.ask(stanza="presence"), "")

    def test_mistaken(self) -> None:
        """Declining without being declared, or by a Deferred, is a bug: it is logged, and is an error to the sender."""
        for result, declared in ((NOT_HANDLED, False), (lambda: succeed(NOT_HANDLED), True)):
            handler = self.handler("a", CHAT, QUERY, result=result, declared=declared)
            self.assertEqual((self.ask(), self.query()), ("a internal-server-error", "a internal-server-error"))
            self.assertEqual(len(self.flushLoggedErrors(TypeError)), 2)
            handler.disownHandlerParent(self.server.users)

    def test_noKey(self) -> None:
        """A key that no stanza has is refused, and so is one in the wrong table."""
        for key in (("mesage", "chat", HOST), ("message", "chat", 0), ("result", HOST, "urn:q", "q"), ("message",)):
            for table in ("stanzas", "iqs"):
                handler = Handler()
                vars(handler)[table] = {key: lambda *_: None}
                raised = self.assertRaises(InvalidHandler, self.server.add, "localhost", handler)
                self.assertIn("which is no key of it", str(raised))
