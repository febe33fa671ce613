# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.domain}, with handlers of muccore's own and with stock ones of wokkel's."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import StanzaError as TwistedStanzaError
from twisted.words.protocols.jabber.xmlstream import toResponse
from twisted.words.xish import domish
from wokkel.generic import FallbackHandler, VersionHandler
from wokkel.ping import PingHandler
from wokkel.subprotocols import XMPPHandler
from wokkel.xmppim import MessageProtocol, PresenceProtocol
from zope.interface.verify import verifyObject

from muccore.interfaces import IDomain
from muccore.routing.handler import ANSWERED, ANY, BARE, FULL, HOST, Handler
from muccore.xmpp import jid
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from tests.routing.helpers import Server, canonical, conditions, error, xml

ROMEO = "romeo@localhost/orchard"
HERE = "there.localhost"


class DomainTestCase(SynchronousTestCase):
    """A domain C{there.localhost}, and Romeo, who sends to it."""

    def setUp(self) -> None:
        """Connect Romeo."""
        self.server = Server(HERE)
        self.domain: Any = self.server.router.domains[HERE]
        self.romeo = self.server.connect(ROMEO)

    def ask(self, stanza: str) -> list[str]:
        """Send a stanza as Romeo; return what comes back."""
        return self.romeo.ask(stanza)

    def iq(self, name: str = "q", type: str = "get", to: str = HERE, uri: str = "urn:q") -> list[str]:
        """Send an IQ as Romeo; return what comes back."""
        return self.ask(f"<iq type='{type}' id='1' to='{to}'><{name} xmlns='{uri}'/></iq>")

    def result(self, inside: str = "", to: str = HERE) -> list[str]:
        """The expected result of L{iq}."""
        return canonical(f"<iq type='result' id='1' from='{to}' to='{ROMEO}'>{inside}</iq>")

    def error(self, condition: str, type: str, text: str | None = None) -> list[str]:
        """The expected error of L{iq}."""
        head = f"<iq type='error' id='1' from='{HERE}' to='{ROMEO}'><q xmlns='urn:q'/></iq>"
        return error(head, condition, type, text=text)


class Recorder(Handler):
    """Records what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[str, str]] = []

    def onExact(self, element: Element, to: JID) -> None:
        """Record a stanza of the exact key."""
        self.got.append(("exact", to.full))

    def onAny(self, element: Element, to: JID) -> None:
        """Record a stanza of the wider key."""
        self.got.append(("any", to.full))


class DispatchTests(DomainTestCase):
    """L{Domain.dispatch}: which method gets a stanza."""

    def test_interface(self) -> None:
        """A domain provides its interface."""
        self.assertTrue(verifyObject(IDomain, self.domain))
        self.assertEqual(repr(self.domain), "<Domain 'there.localhost'>")

    def recorder(self, **tables: Any) -> Recorder:
        """Add a handler with tables."""
        handler = Recorder()
        vars(handler).update(tables)
        handler.setHandlerParent(self.domain)
        return handler

    def test_kinds(self) -> None:
        """The address type decides; an address without localpart is the domain's, with or without a resource."""
        for kind, addresses in (
            (HOST, [HERE, f"{HERE}/x"]),
            (BARE, [f"a@{HERE}"]),
            (FULL, [f"a@{HERE}/b"]),
        ):
            self.setUp()
            handler = self.recorder(stanzas={("message", "chat", kind): Recorder.onExact})
            for address in (HERE, f"{HERE}/x", f"a@{HERE}", f"a@{HERE}/b"):
                self.ask(f"<message type='chat' to='{address}'/>")
            self.assertEqual(handler.got, [("exact", address) for address in addresses])

    def test_exactBeforeAny(self) -> None:
        """A type with a line of its own is dispatched by that line, all others by C{ANY}."""
        handler = self.recorder(
            stanzas={("presence", ANY, FULL): Recorder.onAny, ("presence", "unavailable", FULL): Recorder.onExact}
        )
        for type in ("", "type='unavailable'", "type='error'"):
            self.ask(f"<presence to='a@{HERE}/b' {type}/>")
        self.assertEqual([name for name, _ in handler.got], ["any", "exact", "any"])

    def test_messageTypes(self) -> None:
        """A message without a type, or with an unknown one, is C{normal} (RFC 6121 §5.2.2)."""
        handler = self.recorder(stanzas={("message", "normal", BARE): Recorder.onExact})
        for type in ("", "type='normal'", "type='shout'", "type='chat'"):
            self.ask(f"<message to='a@{HERE}' {type}/>")
        self.assertEqual(len(handler.got), 3)

    def test_available(self) -> None:
        """Available presence has the type C{None}."""
        handler = self.recorder(stanzas={("presence", None, BARE): Recorder.onExact})
        self.ask(f"<presence to='a@{HERE}'/>")
        self.ask(f"<presence to='a@{HERE}' type='unavailable'/>")
        self.assertEqual(len(handler.got), 1)

    def test_iqByPayload(self) -> None:
        """A request is dispatched by type, address type, and namespace and name of its payload."""
        handler = self.recorder(iqs={("get", HOST, "urn:q", "q"): Recorder.onExact})
        self.assertEqual(self.iq(), self.result())
        for other in ({"name": "p"}, {"uri": "urn:p"}, {"type": "set"}, {"to": f"a@{HERE}"}):
            self.assertEqual(conditions(self.iq(**other)), ["service-unavailable"])
        self.assertEqual(len(handler.got), 1)

    def test_iqByKind(self) -> None:
        """A request whose payload has no line is dispatched by type and address type, for handlers that relay."""
        handler = self.recorder(
            iqs={("get", FULL, "urn:q", "q"): Recorder.onExact}, stanzas={("iq", "get", FULL): Recorder.onAny}
        )
        self.iq(to=f"a@{HERE}/b")
        self.iq("p", to=f"a@{HERE}/b")
        self.assertEqual([name for name, _ in handler.got], ["exact", "any"])

    def test_iqAnswers(self) -> None:
        """Unexpected results and errors are dispatched by the table of stanzas."""
        on = {("iq", "result", FULL): Recorder.onExact, ("iq", "error", FULL): Recorder.onAny}
        handler = self.recorder(stanzas=on)
        self.ask(f"<iq type='result' id='1' to='a@{HERE}/b'/>")
        self.ask(f"<iq type='error' id='1' to='a@{HERE}/b'/>")
        self.assertEqual([name for name, _ in handler.got], ["exact", "any"])

    def test_noPayload(self) -> None:
        """A request without a payload, from a handler that does not check, is C{bad-request}."""
        self.domain.send(xml(f"<iq type='get' id='1' to='{HERE}' from='{ROMEO}'/>"))
        self.assertEqual(conditions(self.romeo.take()), ["bad-request"])

    def test_conflict(self) -> None:
        """A second handler with a line of the first is refused, with both names, and nothing of it is added."""
        first = self.recorder(stanzas={("message", "chat", HOST): Recorder.onExact})
        for tables in (
            {"stanzas": {("message", "chat", HOST): Recorder.onAny}},
            {"stanzas": {("presence", None, HOST): Recorder.onAny, ("message", "chat", HOST): Recorder.onAny}},
        ):
            raised = self.assertRaises(ValueError, self.recorder, **tables)
            self.assertEqual(str(raised).count("Recorder"), 2)
            self.assertIn("'chat'", str(raised))
        self.assertEqual(list(self.domain), [first])
        self.ask(f"<presence to='{HERE}'/>")
        self.assertEqual(first.got, [])

    def test_noFunction(self) -> None:
        """A table that holds anything but functions, such as a method's name, is refused when the handler is added."""
        raised = self.assertRaises(ValueError, self.recorder, stanzas={("message", "chat", HOST): "onExact"})
        self.assertIn("a table holds functions", str(raised))
        self.assertEqual(list(self.domain), [])

    def test_removed(self) -> None:
        """A handler that is removed gets nothing more, and has no parent and no stream."""
        handler = self.recorder(iqs={("get", HOST, "urn:q", "q"): Recorder.onExact})
        self.assertIs(handler.xmlstream, self.domain.xmlstream)
        handler.disownHandlerParent(self.domain)
        self.assertEqual(conditions(self.iq()), ["service-unavailable"])
        self.assertEqual((handler.parent, handler.xmlstream, list(self.domain)), (None, None, []))

    def test_notInTheMiddle(self) -> None:
        """A stanza that a handler's own stanzas cause waits until the handler has returned."""
        log: list[str] = []

        class Talker(Handler):
            """Sends to itself."""


            def onChat(self, element: Element, to: JID) -> None:
                """Send twice."""
                log.append("begin")
                for id in "12":
                    self.send(xml(f"<message id='{id}' to='{HERE}'/>"))
                log.append("end")

            def onNormal(self, element: Element, to: JID) -> None:
                """Record that it has come back."""
                log.append(element["id"])

            stanzas = {("message", "chat", HOST): onChat, ("message", "normal", HOST): onNormal}

        self.server.add(HERE, Talker())
        self.ask(f"<message type='chat' to='{HERE}'/>")
        self.assertEqual(log, ["begin", "end", "1", "2"])


class Answering(Handler):
    """Returns or raises an object."""

    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def on(self, element: Element, to: JID) -> Any:
        """Return or raise it."""
        if isinstance(self.what, Exception):
            raise self.what
        return self.what

    iqs = {("get", HOST, "urn:q", "q"): on, ("set", HOST, "urn:q", "q"): on}
    stanzas = {("message", ANY, HOST): on, ("presence", ANY, HOST): on, ("iq", "result", HOST): on}


class AnswerTests(DomainTestCase):
    """Replies: what a method returns or raises."""

    def answer(self, what: Any, **more: Any) -> list[str]:
        """The reply to a request, from a handler that is removed afterwards."""
        handler = Answering(what)
        self.server.add(HERE, handler)
        try:
            return self.iq(**more)
        finally:
            handler.disownHandlerParent(self.domain)

    def test_results(self) -> None:
        """
        C{None} is an empty result; an element of muccore or of Twisted, or a list of elements, is the payload;
        C{ANSWERED} is no reply. So it is for both types of request, and for Deferreds.
        """
        one, both = "<a xmlns='urn:a'/>", "<a xmlns='urn:a'/><b xmlns='urn:a'/>"
        for what, expected in (
            (None, self.result()),
            (xml(one), self.result(one)),
            (domish.Element(("urn:a", "a")), self.result(one)),
            ([xml(one), xml("<b xmlns='urn:a'/>")], self.result(both)),
            (ANSWERED, []),
        ):
            for type, value in (("get", what), ("set", what), ("get", succeed(what))):
                self.assertEqual(self.answer(value, type=type), expected)

    def test_later(self) -> None:
        """A Deferred, or a coroutine, is the reply when it fires."""
        for wrap in (lambda deferred: deferred, self.coroutine):
            later: Deferred[Element] = Deferred()
            self.assertEqual(self.answer(wrap(later)), [])
            later.callback(xml("<a xmlns='urn:a'/>"))
            self.assertEqual(self.romeo.take(), self.result("<a xmlns='urn:a'/>"))

    @staticmethod
    async def coroutine(later: Deferred[Element]) -> Element:
        """Wait for a Deferred."""
        return await later

    def test_refused(self) -> None:
        """L{StanzaError}, or Twisted's, raised or as a failure, is the error, with its application condition."""
        for what, expected in (
            (StanzaError("forbidden", text="no"), self.error("forbidden", "auth", "no")),
            (TwistedStanzaError("gone"), self.error("gone", "modify")),
        ):
            for value in (what, fail(what)):
                self.assertEqual(self.answer(value), expected)
        refused = StanzaError("conflict", appCondition=xml("<c xmlns='urn:c'/>"))
        self.assertIn('<c xmlns="urn:c">', self.answer(refused)[0])

    def test_crash(self) -> None:
        """
        Any other exception, an unknown condition, or a return value that is no payload is logged, without the value,
        and is C{internal-server-error}.
        """
        for what, logged in (
            (ZeroDivisionError("secret"), ZeroDivisionError),
            (fail(KeyError("x")), KeyError),
            (TwistedStanzaError("hungry"), TwistedStanzaError),
            ("secret", TypeError),
            (17, TypeError),
            ([xml("<a/>"), "secret"], TypeError),
            (succeed("secret"), TypeError),
        ):
            self.assertEqual(self.answer(what), self.error("internal-server-error", "cancel"))
            [failure] = self.flushLoggedErrors(logged)
            if logged is TypeError:
                self.assertNotIn("secret", str(failure.value))

    def test_otherStanzas(self) -> None:
        """A message or presence is refused by raising, or by a failure; other return values are ignored."""
        refused = error(
            f"<message type='error' from='{HERE}' to='{ROMEO}'><body>x</body></message>", "not-allowed", "cancel"
        )
        crashed = [line.replace("not-allowed", "internal-server-error") for line in refused]
        for what, expected in (
            (StanzaError("not-allowed"), refused),
            (fail(StanzaError("not-allowed")), refused),
            (ZeroDivisionError(), crashed),
            (xml("<a/>"), []),
            (succeed("x"), []),
            (17, []),
        ):
            handler = Answering(what)
            self.server.add(HERE, handler)
            self.assertEqual(self.ask(f"<message to='{HERE}'><body>x</body></message>"), expected)
            if not isinstance(what, Deferred):
                self.assertEqual(conditions(self.ask(f"<presence to='{HERE}'/>")), conditions(expected))
            self.domain.removeHandler(handler)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_nobodyToTell(self) -> None:
        """A stanza without a sender, which no client can send, is refused without a reply."""
        self.server.add(HERE, Answering(StanzaError("conflict")))
        self.domain.dispatch(xml(f"<message to='{HERE}'/>"), jid.parse(HERE))
        self.domain.dispatch(xml(f"<iq type='get' id='1' to='{HERE}'><q xmlns='urn:q'/></iq>"), jid.parse(HERE))
        self.assertEqual(self.romeo.take(), [])

    def test_neverAnswered(self) -> None:
        """An error, a result and unavailable presence are not answered, whatever the method raises."""
        self.server.add(HERE, Answering(StanzaError("conflict")))
        for stanza in ("message type='error'", "presence type='error'", "presence type='unavailable'"):
            self.assertEqual(self.ask(f"<{stanza} to='{HERE}'/>"), [])
        self.assertEqual(self.ask(f"<iq type='result' id='1' to='{HERE}'/>"), [])

    def test_nobody(self) -> None:
        """Requests and messages without a handler are refused, and other stanzas dropped."""
        for address in (HERE, f"{HERE}/x", f"a@{HERE}", f"a@{HERE}/b"):
            self.assertEqual(conditions(self.iq(to=address)), ["service-unavailable"])
            for type in ("normal", "chat", "groupchat", "x"):
                answer = self.ask(f"<message type='{type}' to='{address}'/>")
                self.assertEqual(conditions(answer), ["service-unavailable"])
            for stanza in ("message type='headline'", "message type='error'", "presence", "presence type='probe'"):
                self.assertEqual(self.ask(f"<{stanza} to='{address}'/>"), [])
            for type in ("result", "error"):
                self.assertEqual(self.ask(f"<iq type='{type}' id='1' to='{address}'/>"), [])


class SendTests(DomainTestCase):
    """L{Domain.send}"""

    def test_fromTheDomain(self) -> None:
        """The default of C{from} is the domain."""
        self.domain.send(xml(f"<message to='{ROMEO}'/>"))
        self.domain.send(xml(f"<message to='{ROMEO}' from='a@{HERE}'/>"))
        self.assertEqual(
            self.romeo.take(),
            canonical(f"<message to='{ROMEO}' from='{HERE}'/><message to='{ROMEO}' from='a@{HERE}'/>"),
        )

    def test_stockElement(self) -> None:
        """A stanza of Twisted's, without a namespace, is in C{jabber:client} inside the server."""
        got: list[Element] = []
        self.domain.dispatch = lambda element, to: got.append(element)
        message = domish.Element((None, "message"))
        message["to"] = f"a@{HERE}"
        message.addElement("body", content="hi")
        message.addElement(("urn:x", "x"))
        self.domain.send(message)
        [element] = got
        self.assertIsInstance(element, Element)
        self.assertEqual(
            [(e.uri, e.name) for e in (element, *element.childElements())],
            [("jabber:client", "message"), ("jabber:client", "body"), ("urn:x", "x")],
        )
        self.assertEqual(message.uri, None)

    def test_nowhere(self) -> None:
        """A stanza without a valid address is a bug of the handler: a warning is logged, without the content."""
        from twisted.logger import globalLogPublisher

        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.domain.send(xml("<message><body>secret</body></message>"))
        self.domain.send(xml("<message to='a@b@c'><body>secret</body></message>"))
        self.assertEqual([event["log_level"].name for event in events], ["warn", "warn"])
        self.assertNotIn("secret", str(events))

    def test_elsewhere(self) -> None:
        """The error for a stanza to another server reaches the handler that sent it."""
        handler = Recorder()
        handler.stanzas = {("message", "error", BARE): Recorder.onExact}
        handler.setHandlerParent(self.domain)
        self.domain.send(xml(f"<message from='a@{HERE}' to='b@example.org'/>"))
        self.assertEqual(handler.got, [("exact", f"a@{HERE}")])

    def test_routeTo(self) -> None:
        """A handler can find the route to a session."""
        self.assertIs(self.domain.routeTo(self.romeo.session.jid), self.romeo.session)


class ShutDownTests(DomainTestCase):
    """L{Domain.shutDown}"""

    def test_waits(self) -> None:
        """All handlers are waited for."""
        later: Deferred[None] = Deferred()
        handler = Handler()
        handler.shutDown = lambda final: later  # type: ignore[method-assign]
        self.server.add(HERE, Handler(), handler, PingHandler())
        done = self.domain.shutDown(False)
        self.assertNoResult(done)
        later.callback(None)
        self.assertIsNone(self.successResultOf(done))

    def test_failure(self) -> None:
        """A handler that fails is logged, and the others are shut down all the same."""
        done: list[bool] = []
        bad, good = Handler(), Handler()

        def crash(final: bool) -> None:
            raise ZeroDivisionError

        bad.shutDown = crash  # type: ignore[method-assign]
        good.shutDown = lambda final: done.append(final)  # type: ignore[method-assign]
        self.server.add(HERE, bad, good)
        self.assertIsNone(self.successResultOf(self.domain.shutDown(True)))
        self.assertEqual(done, [True])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class Echo(MessageProtocol):
    """A stock handler of messages, as in wokkel's documentation."""

    def onMessage(self, message: Any) -> None:
        """Send it back."""
        response = toResponse(message, message["type"])
        response.addElement("body", content=str(message.body))
        self.send(response)


class Bot(PresenceProtocol):
    """A stock handler of presence."""

    def availableReceived(self, presence: Any) -> None:
        """Answer presence with presence."""
        self.available(recipient=presence.sender, sender=presence.recipient)


class Crash(XMPPHandler):
    """A stock handler with a bug."""

    def connectionInitialized(self) -> None:
        """Observe messages."""
        self.xmlstream.addObserver("/message", self.onMessage)

    def onMessage(self, message: Any) -> None:
        """Fail."""
        raise ZeroDivisionError


class StockTests(DomainTestCase):
    """wokkel's own handlers, unchanged."""

    def test_version(self) -> None:
        """C{VersionHandler}"""
        self.server.add(HERE, VersionHandler("n", "v"))
        self.assertEqual(
            self.iq("query", uri="jabber:iq:version"),
            self.result("<query xmlns='jabber:iq:version'><name>n</name><version>v</version></query>"),
        )

    def test_ping(self) -> None:
        """C{PingHandler}, which sends through C{xmlstream}, for every address at the domain."""
        self.server.add(HERE, PingHandler())
        for address in (HERE, f"a@{HERE}", f"a@{HERE}/b"):
            self.assertEqual(self.iq("ping", uri="urn:xmpp:ping", to=address), self.result(to=address))

    def test_fallback(self) -> None:
        """C{FallbackHandler} answers what no other does, once."""
        self.server.add(HERE, PingHandler(), FallbackHandler())
        self.assertEqual(conditions(self.iq("ping", uri="urn:xmpp:ping")), [""])
        self.assertEqual(conditions(self.iq()), ["service-unavailable"])

    def test_messages(self) -> None:
        """A message that a stock handler observes is taken."""
        echo = Echo()
        self.server.add(HERE, echo)
        self.assertEqual(
            self.ask(f"<message type='chat' to='bot@{HERE}'><body>hi</body></message>"),
            canonical(f"<message type='chat' from='bot@{HERE}' to='{ROMEO}'><body>hi</body></message>"),
        )

    def test_presence(self) -> None:
        """wokkel's stanza classes, which remove the namespace of what they parse, work too."""
        self.server.add(HERE, Bot())
        self.assertEqual(
            self.ask(f"<presence to='bot@{HERE}'><show>dnd</show></presence>"),
            canonical(f"<presence from='bot@{HERE}' to='{ROMEO}'/>"),
        )

    def test_tablesFirst(self) -> None:
        """A stock handler does not get what a table takes."""
        handler = Recorder()
        handler.stanzas = {("message", "chat", BARE): Recorder.onExact}
        self.server.add(HERE, Echo(), handler)
        self.assertEqual(self.ask(f"<message type='chat' to='bot@{HERE}'><body>hi</body></message>"), [])
        self.assertEqual(len(handler.got), 1)

    def test_notTaken(self) -> None:
        """What no stock handler takes is refused as without them."""
        self.server.add(HERE, PingHandler())
        self.assertEqual(conditions(self.iq()), ["service-unavailable"])
        self.assertEqual(conditions(self.ask(f"<message to='{HERE}'/>")), ["service-unavailable"])

    def test_crash(self) -> None:
        """An exception in an observer is logged, and the stanza is taken."""
        self.server.add(HERE, Crash())
        self.assertEqual(self.ask(f"<message to='{HERE}'/>"), [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_removed(self) -> None:
        """A stock handler that is removed observes nothing more; others do."""
        ping, version = PingHandler(), VersionHandler("n", "v")
        self.server.add(HERE, ping, version)
        ping.disownHandlerParent(self.domain)
        self.assertEqual(conditions(self.iq("ping", uri="urn:xmpp:ping")), ["service-unavailable"])
        self.assertEqual(conditions(self.iq("query", uri="jabber:iq:version")), [""])
