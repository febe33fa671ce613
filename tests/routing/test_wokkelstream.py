# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.wokkelstream}: requests that handlers send, and observers."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.ijabber import IIQResponseTracker
from twisted.words.protocols.jabber.jid import JID as TwistedJID
from twisted.words.protocols.jabber.xmlstream import IQ, XMPPHandler
from twisted.words.protocols.jabber.xmlstream import TimeoutError as IQTimeout
from wokkel.disco import DiscoClientProtocol
from wokkel.generic import Request, Stanza
from wokkel.ping import PingClientProtocol
from zope.interface.verify import verifyObject

from muccore.routing.handler import Handler
from muccore.routing.wokkelstream import REQUEST_TIMEOUT
from muccore.xmpp import jid
from tests.routing.helpers import Server, xml

ROMEO = "romeo@localhost/orchard"
HERE = "there.localhost"


class Asking(Request):
    """A request with a payload."""

    def toElement(self) -> Any:
        """See C{Request.toElement}."""
        element = super().toElement()
        element.addElement(("urn:q", "q"))
        return element


class RequestTests(SynchronousTestCase):
    """Requests and their responses."""

    def setUp(self) -> None:
        """Connect Romeo, who is asked, and Juliet, who is not."""
        self.server = Server(HERE)
        self.romeo = self.server.connect(ROMEO)
        self.juliet = self.server.connect("juliet@localhost/balcony")
        self.handler = Handler()
        self.handler.setHandlerParent(self.server.router.domains[HERE])
        self.stream: Any = self.server.router.domains[HERE].xmlstream

    def request(self, to: str = ROMEO, **more: Any) -> Deferred[Any]:
        """Send Romeo a request."""
        request = Asking(recipient=TwistedJID(to), sender=TwistedJID(f"room@{HERE}"))
        vars(request).update(more)
        return self.handler.request(request)

    def stock(self) -> Deferred[Any]:
        """Send Romeo a request by Twisted's C{IQ}."""
        iq = IQ(self.stream, "get")
        iq.addElement(("urn:q", "q"))
        return iq.send(ROMEO)

    def assertNothingKept(self) -> None:
        """Check that nothing is pending."""
        self.assertEqual((self.stream.iqDeferreds, self.stream._recipients), ({}, {}))
        self.assertEqual(self.server.clock.getDelayedCalls(), [])

    def asked(self) -> str:
        """Get the id of the request that Romeo has received."""
        [asked] = self.romeo.take()
        return xml(asked)["id"]

    def test_interface(self) -> None:
        """The stream provides what Twisted's C{IQ} expects."""
        self.assertTrue(verifyObject(IIQResponseTracker, self.stream))

    def test_result(self) -> None:
        """The result fires the Deferred, and nothing is kept."""
        waiting = self.request()
        id = self.asked()
        self.assertNoResult(waiting)
        self.romeo.send(f"<iq type='result' id='{id}' to='room@{HERE}'><a xmlns='urn:a'/></iq>")
        self.assertEqual(self.successResultOf(waiting).a.uri, "urn:a")
        self.assertNothingKept()

    def test_error(self) -> None:
        """An error is a failure."""
        waiting = self.request()
        self.romeo.send(
            f"<iq type='error' id='{self.asked()}' to='room@{HERE}'><error type='cancel'>"
            "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        )
        self.assertEqual(self.failureResultOf(waiting, StanzaError).value.condition, "gone")

    def test_onlyWhoWasAsked(self) -> None:
        """Only the entity that was asked can respond, not another session of its account either, and only once."""
        waiting = self.request()
        id = self.asked()
        garden = self.server.connect("romeo@localhost/garden")
        for liar in (self.juliet, garden):
            self.assertEqual(liar.ask(f"<iq type='result' id='{id}' to='room@{HERE}'/>"), [])
        self.assertNoResult(waiting)
        for _ in range(2):
            self.romeo.send(f"<iq type='result' id='{id}' to='room@{HERE}'/>")
        self.successResultOf(waiting)

    def test_otherAnswers(self) -> None:
        """Responses with another id, or without a valid sender, are not taken for the response."""
        waiting = self.request()
        id = self.asked()
        domain = self.server.router.domains[HERE]
        self.romeo.send(f"<iq type='result' id='other' to='room@{HERE}'/>")
        for sender in ("", "from='a@b@c'"):
            domain.dispatch(xml(f"<iq type='result' id='{id}' to='{HERE}' {sender}/>"), jid.parse(HERE))
        self.assertNoResult(waiting)
        waiting.addErrback(lambda _: None)

    def test_idsCannotBeGuessed(self) -> None:
        """The id of each request is long and random."""
        ids = set()
        for _ in range(3):
            self.request()
            ids.add(self.asked())
        self.assertEqual(len(ids), 3)
        self.assertTrue(all(len(id) >= 16 for id in ids))

    def test_ownId(self) -> None:
        """A request may have an id of its own, but not that of a pending one."""
        self.request(stanzaID="x")
        self.assertEqual(self.asked(), "x")
        self.failureResultOf(self.request(stanzaID="x"), ValueError)

    def test_timeout(self) -> None:
        """A request without a response times out."""
        waiting = self.request()
        id = self.asked()
        self.server.clock.advance(REQUEST_TIMEOUT)
        self.failureResultOf(waiting, IQTimeout)
        self.romeo.send(f"<iq type='result' id='{id}' to='room@{HERE}'/>")
        self.assertNothingKept()

    def test_ownTimeout(self) -> None:
        """A request may have its own timeout."""
        waiting = self.request(timeout=5)
        self.server.clock.advance(4)
        self.assertNoResult(waiting)
        self.server.clock.advance(1)
        self.failureResultOf(waiting, IQTimeout)

    def test_cancelled(self) -> None:
        """A request can be cancelled, and nothing is kept."""
        waiting = self.request()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertNothingKept()

    def test_nobodyThere(self) -> None:
        """A request to an address without a session fails with the error."""
        self.failureResultOf(self.request("nobody@localhost/x"), StanzaError)
        self.failureResultOf(self.request("example.org"), StanzaError)

    def test_noRequest(self) -> None:
        """What is no request, or has no recipient, fails."""
        self.failureResultOf(self.handler.request(Stanza()), ValueError)
        self.failureResultOf(self.handler.request(Request()), ValueError)
        self.failureResultOf(self.handler.request(Request(TwistedJID(ROMEO), stanzaType="result")), ValueError)

    def test_stockIQ(self) -> None:
        """Twisted's C{IQ}, whose ids can be guessed, is answered only by the entity that was asked."""
        waiting = self.stock()
        id = self.asked()
        self.juliet.send(f"<iq type='result' id='{id}' to='{HERE}'/>")
        self.assertNoResult(waiting)
        self.romeo.send(f"<iq type='result' id='{id}' to='{HERE}'/>")
        self.successResultOf(waiting)
        self.assertNothingKept()

    def test_stockIQTimeout(self) -> None:
        """It times out as well."""
        waiting = self.stock()
        self.server.clock.advance(REQUEST_TIMEOUT)
        self.failureResultOf(waiting, IQTimeout)
        self.assertNothingKept()

    def test_stockClients(self) -> None:
        """wokkel's client protocols work, one through C{parent} and one through C{xmlstream}."""
        for protocol, ask in ((DiscoClientProtocol(), "requestInfo"), (PingClientProtocol(), "ping")):
            protocol.setHandlerParent(self.server.router.domains[HERE])
            waiting = getattr(protocol, ask)(TwistedJID(ROMEO))
            self.romeo.send(
                f"<iq type='result' id='{self.asked()}' to='{HERE}'>"
                "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
            )
            self.successResultOf(waiting)


class ObserverTests(SynchronousTestCase):
    """Observers."""

    def setUp(self) -> None:
        """Make a stream."""
        self.stream: Any = Server(HERE).router.domains[HERE].xmlstream
        self.seen: list[Any] = []

    def test_nobody(self) -> None:
        """Stanzas are dispatched only once they are observed; named events do not count."""
        self.stream.addObserver("//event/xmpp/stream/end", self.seen.append)
        self.assertFalse(self.stream.hasObservers)
        self.stream.addOnetimeObserver("/message", self.seen.append)
        self.assertTrue(self.stream.hasObservers)

    def test_taken(self) -> None:
        """A message is taken if it is observed, an IQ if C{handled} is set."""
        self.stream.addObserver("/message", self.seen.append)
        self.stream.addObserver("/iq/a", self.seen.append)
        self.stream.addObserver("/iq/b", lambda iq: setattr(iq, "handled", True))
        self.assertTrue(self.stream.dispatchToObservers(xml("<message/>")))
        self.assertFalse(self.stream.dispatchToObservers(xml("<presence/>")))
        self.assertFalse(self.stream.dispatchToObservers(xml("<iq><a/></iq>")))
        self.assertTrue(self.stream.dispatchToObservers(xml("<iq><b/></iq>")))
        self.assertEqual(len(self.seen), 2)

    def test_parents(self) -> None:
        """Elements have their parents, which wokkel's publish-subscribe uses."""
        self.stream.addObserver("/iq/a", self.seen.append)
        self.stream.dispatchToObservers(xml("<iq><a><b/></a></iq>"))
        [iq] = self.seen
        self.assertIs(iq.a.b.parent.parent, iq)

    def test_once(self) -> None:
        """A onetime observer gets one stanza."""
        self.stream.addOnetimeObserver("/message", self.seen.append)
        self.stream.dispatchToObservers(xml("<message/>"))
        self.assertFalse(self.stream.dispatchToObservers(xml("<message/>")))
        self.assertEqual(len(self.seen), 1)

    def test_removed(self) -> None:
        """An observer can be removed."""
        observer = self.seen.append
        self.stream.addObserver("/message", observer)
        self.stream.removeObserver("/message", observer)
        self.stream.removeObserver("/message", observer)
        self.assertFalse(self.stream.dispatchToObservers(xml("<message/>")))
        self.assertEqual(self.stream.observers, [])

    def test_forget(self) -> None:
        """All observers of one handler can be removed."""

        class Observer(XMPPHandler):
            """A stock handler."""

            def on(self, element: Any) -> None:
                """Do nothing."""

        one, other = Observer(), Observer()
        for handler in (one, other):
            self.stream.addObserver("/message", handler.on)
        self.stream.addObserver("/presence", one.on)
        self.stream.removeObserversOf(one)
        self.assertEqual(self.stream.observers, [("/message", other.on)])
        self.assertFalse(self.stream.dispatchToObservers(xml("<presence/>")))
        self.assertTrue(self.stream.dispatchToObservers(xml("<message/>")))
