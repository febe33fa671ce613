# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.component}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muccore.interfaces import IComponent, IDomainObserver
from muccore.routing.component import Component
from muccore.routing.handler import Handler
from muccore.xmpp import jid
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import FakeStream, Server, canonical, conditions, error, xml

NAME = "bridge.localhost"


@implementer(IDomainObserver)
class Observer(Handler):
    """Records which domains are lost, and fails."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[str] = []

    def domainLost(self, domain: str) -> None:
        """See L{IDomainObserver}."""
        self.lost.append(domain)
        raise ValueError


class ComponentTests(SynchronousTestCase):
    """L{Component}: C{bridge.localhost}, and Romeo, a user."""

    def setUp(self) -> None:
        """Add a component, which is away."""
        self.server = Server("there.localhost")
        self.component = Component(NAME, self.server.router, self.server.clock)
        self.server.router.addDomain(self.component)
        self.stream = FakeStream()
        self.romeo = self.server.connect("romeo@localhost/orchard")

    def send(self, text: str) -> list[str]:
        """Send a stanza as the component; return what comes back to it."""
        self.component.stanzaReceived(xml(text))
        return self.stream.take()

    def test_interface(self) -> None:
        """It provides its interface."""
        self.assertTrue(verifyObject(IComponent, self.component))

    def test_bothWays(self) -> None:
        """Stanzas go both ways, from and to any address at the domain, and between its own addresses."""
        self.component.connect(self.stream)
        for address in (NAME, f"{NAME}/r", f"a@{NAME}", f"a@{NAME}/r"):
            message = f"<message from='{address}' to='romeo@localhost/orchard' id='1'><body>a</body></message>"
            self.assertEqual(self.send(message), [])
            self.assertEqual(self.romeo.take(), canonical(message))
            self.romeo.send(f"<message to='{address}'><body>b</body></message>")
            [got] = self.stream.take()
            self.assertEqual(
                got, *canonical(f"<message from='romeo@localhost/orchard' to='{address}'><body>b</body></message>")
            )
            own = f"<presence from='{address}' to='b@{NAME}'/>"
            self.assertEqual(self.send(own), canonical(own))

    def test_deliver(self) -> None:
        """It is the route to all its addresses."""
        self.component.connect(self.stream)
        route = self.server.router.routeTo(jid.parse(f"a@{NAME}/r"))
        route.deliver(Rendered.of(xml("<message from='x@localhost'/>")), toAttribute(f"a@{NAME}/r"))
        self.assertEqual(self.stream.take(), canonical(f"<message from='x@localhost' to='a@{NAME}/r'/>"))

    def test_senderPrepared(self) -> None:
        """The address of the sender is passed on as this server writes it."""
        self.component.connect(self.stream)
        self.send("<message from='A@Bridge.LOCALHOST/R' to='romeo@localhost/orchard'/>")
        self.assertEqual(self.romeo.take(), canonical(f"<message from='a@{NAME}/R' to='romeo@localhost/orchard'/>"))

    def test_away(self) -> None:
        """
        While it is away, what is dispatched or delivered comes back with C{remote-server-timeout}, unless it must not
        be answered.
        """
        for start in ("<message id='1'", "<iq type='get' id='1'", "<presence id='1'"):
            name = start.split()[0][1:]
            refused = xml(f"{start} from='romeo@localhost/orchard' to='a@{NAME}'><q xmlns='urn:q'/></{name}>")
            answer = f"<{name} from='a@{NAME}' to='romeo@localhost/orchard' id='1' type='error'>"
            answer += f"<q xmlns='urn:q'/></{name}>"
            expected = error(answer, "remote-server-timeout", "wait", text="The component is not connected.")
            self.server.router.route(refused, jid.parse(f"a@{NAME}"))
            self.assertEqual(self.romeo.take(), expected)
            self.component.deliver(Rendered.of(refused), toAttribute(f"a@{NAME}"))
            self.assertEqual(self.romeo.take(), [])
            self.server.clock.advance(0)
            self.assertEqual(self.romeo.take(), expected)
        for stanza in ("message type='error'", "iq type='result' id='1'", "presence type='unavailable'"):
            self.assertEqual(self.romeo.ask(f"<{stanza} to='a@{NAME}'/>"), [], stanza)

    def test_conflict(self) -> None:
        """A second stream is refused; the first stays, and the component can return when it has gone."""
        self.component.connect(self.stream)
        second = FakeStream()
        self.assertEqual(self.assertRaises(StreamError, self.component.connect, second).condition, "conflict")
        self.component.streamLost(second, True)
        self.assertIs(self.component.stream, self.stream)
        self.component.streamLost(self.stream, True)
        self.component.connect(second)
        self.assertIs(self.component.stream, second)

    def test_streamErrors(self) -> None:
        """
        What is no stanza, or lacks an address, or comes from an address of others, ends the stream (XEP-0114 §3).
        """
        self.component.connect(self.stream)
        to = "to='romeo@localhost/orchard'"
        for stanza, condition in (
            (f"<message {to}/>", "improper-addressing"),
            (f"<message from='a@{NAME}'/>", "improper-addressing"),
            (f"<message from='romeo@localhost' {to}/>", "invalid-from"),
            (f"<message from='a@sub.{NAME}' {to}/>", "invalid-from"),
            (f"<message from='a@b@{NAME}' {to}/>", "invalid-from"),
            (f"<handshake from='{NAME}' {to}/>", "unsupported-stanza-type"),
            (f"<message xmlns='jabber:server' from='{NAME}' {to}/>", "invalid-namespace"),
        ):
            e = self.assertRaises(StreamError, self.component.stanzaReceived, xml(stanza))
            self.assertEqual(e.condition, condition, stanza)
        self.assertEqual(self.romeo.take(), [])

    def test_stanzaErrors(self) -> None:
        """Invalid stanzas are refused by the server, unless they must not be answered."""
        self.component.connect(self.stream)
        long = "x" * 1024
        for stanza, condition in (
            (f"<message from='a@{NAME}' to='@'/>", "jid-malformed"),
            (f"<message from='a@{NAME}' to='romeo@localhost' id='{long}'/>", "policy-violation"),
            (f"<iq from='a@{NAME}' to='romeo@localhost' type='get' id='1'/>", "bad-request"),
            (f"<iq from='a@{NAME}' to='romeo@localhost' type='get'><q xmlns='urn:q'/></iq>", "bad-request"),
            (f"<iq from='a@{NAME}' to='romeo@localhost' id='1'><q xmlns='urn:q'/></iq>", "bad-request"),
            (f"<message from='a@{NAME}' to='a@example.org'/>", "remote-server-not-found"),
        ):
            self.assertEqual(conditions(self.send(stanza)), [condition], stanza)
        self.assertEqual(self.send(f"<message from='a@{NAME}' to='@' type='error'/>"), [])

    def test_lost(self) -> None:
        """When its stream ends, the handlers of all domains are told; one that fails does not keep it from others."""
        observers = [Observer(), Observer()]
        self.server.add("localhost", observers[0])
        self.server.add("there.localhost", observers[1])
        self.component.connect(self.stream)
        self.component.streamLost(self.stream, False)
        self.assertEqual([observer.lost for observer in observers], [[NAME], [NAME]])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.component.streamLost(self.stream, False)
        self.assertEqual(observers[0].lost, [NAME])

    def test_disconnect(self) -> None:
        """A component that is disconnected is away at once; the late end of its stream does not end the next."""
        self.component.disconnect(StreamError("host-gone"))
        observer = Observer()
        self.patch(observer, "domainLost", observer.lost.append)
        self.server.add("localhost", observer)
        self.component.connect(self.stream)
        self.component.disconnect(StreamError("host-gone"))
        self.assertEqual([error and error.condition for error in self.stream.closed], ["host-gone"])
        self.assertEqual(observer.lost, [NAME])
        self.component.connect(FakeStream())
        self.component.streamLost(self.stream, False)
        self.assertEqual(observer.lost, [NAME])

    def test_removed(self) -> None:
        """A component that is removed from the router is elsewhere."""
        self.server.router.removeDomain(NAME)
        self.assertEqual(conditions(self.romeo.ask(f"<message to='{NAME}'/>")), ["remote-server-not-found"])
