# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.router}."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from wokkel.generic import VersionHandler as StockVersionHandler
from zope.interface.verify import verifyObject

from muccore.interfaces import IDestination, IRoute, IRouter
from muccore.routing.domain import Domain
from muccore.services.disco import AccountDiscoHandler, DiscoHandler
from muccore.services.ping import AccountPingHandler, PingHandler
from muccore.services.version import VersionHandler
from muccore.xmpp import jid
from muccore.xmpp.errors import StreamError
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import Server, error, xml


class RouterTests(SynchronousTestCase):
    """L{Router}"""

    def setUp(self) -> None:
        """Connect Romeo to a server with two domains."""
        self.server = Server("conference.localhost")
        self.router = self.server.router
        self.romeo = self.server.connect("romeo@localhost/orchard")

    def test_interface(self) -> None:
        """The router provides its interface."""
        self.assertTrue(verifyObject(IRouter, self.router))

    def test_domain(self) -> None:
        """A stanza is routed to the domain of its address, whatever localpart and resource are."""
        got: list[object] = []
        domain = self.router.domains["conference.localhost"]
        domain.dispatch = lambda element, to: got.append((element, to))  # type: ignore[method-assign]
        for address in ("conference.localhost", "conference.localhost/x", "a@conference.localhost/b"):
            element = xml(f"<message from='romeo@localhost/orchard' to='{address}'/>")
            self.router.route(element, jid.parse(address))
            self.assertEqual(got.pop(), (element, jid.parse(address)))

    def test_twice(self) -> None:
        """A host name has one domain."""
        self.assertRaises(ValueError, self.router.addDomain, Domain("localhost", self.router, Clock()))

    def test_elsewhere(self) -> None:
        """Without federation every other domain is C{remote-server-not-found} (RFC 6120 §8.3.3.16)."""
        self.assertEqual(
            self.romeo.ask("<message to='a@example.org' id='1'><body>hi</body></message>"),
            error(
                "<message from='a@example.org' to='romeo@localhost/orchard' id='1' type='error'>"
                "<body>hi</body></message>",
                "remote-server-not-found",
                "cancel",
            ),
        )
        for stanza in ("iq type='get' id='1'", "presence"):
            answer = self.romeo.ask(f"<{stanza} to='example.org'><q xmlns='urn:q'/></{stanza.split()[0]}>")
            self.assertEqual(len(answer), 1)
            self.assertIn("remote-server-not-found", answer[0])

    def test_answersElsewhere(self) -> None:
        """Errors, results and unavailable presence to other domains are dropped."""
        for stanza in (
            "message type='error'",
            "presence type='error'",
            "presence type='unavailable'",
            "iq type='result' id='1'",
            "iq type='error' id='1'",
        ):
            self.assertEqual(self.romeo.ask(f"<{stanza} to='example.org'/>"), [], stanza)

    def test_neitherHere(self) -> None:
        """If neither sender nor recipient is at this server, or the sender is no JID, no error is routed."""
        for sender in ("a@example.org", "a@b@c"):
            element = xml(f"<message from='{sender}' to='b@example.com'/>")
            self.assertIsNone(self.router.route(element, jid.parse("b@example.com")))
        self.assertEqual(self.romeo.take(), [])

    def test_routeTo(self) -> None:
        """Every address has a route: that to a session, a domain, or an unreachable destination."""
        address = jid.parse("romeo@localhost/orchard")
        domains = self.router.domains
        for text, route in (
            (address.full, self.romeo.session),
            ("localhost/x", domains["localhost"]),
            ("a@conference.localhost/b", domains["conference.localhost"]),
            ("a@example.org/b", self.router.elsewhere),
        ):
            self.assertIs(self.router.routeTo(jid.parse(text)), route)
            self.assertTrue(verifyObject(IRoute, route))
        for domain in (*domains.values(), self.router.elsewhere):
            self.assertTrue(verifyObject(IDestination, domain))
        self.romeo.vanish()
        self.assertIsNot(self.router.routeTo(address), self.romeo.session)

    def test_undeliverable(self) -> None:
        """
        What is delivered where nothing can be reached comes back in a later turn, with an error unless it must not be
        answered.
        """
        for to, condition, type in (
            ("a@example.org/b", "remote-server-not-found", "cancel"),
            ("juliet@localhost/gone", "recipient-unavailable", "wait"),
            ("juliet@localhost", "recipient-unavailable", "wait"),
        ):
            for start in ("<message id='1'", "<message id='2' type='error'", "<presence type='unavailable'"):
                stanza = Rendered.of(xml(f"{start} from='romeo@localhost/orchard'/>"))
                self.router.routeTo(jid.parse(to)).deliver(stanza, toAttribute(to))
            self.assertEqual(self.romeo.take(), [])
            self.server.clock.advance(0)
            answer = f"<message from='{to}' to='romeo@localhost/orchard' id='1' type='error'/>"
            self.assertEqual(self.romeo.take(), error(answer, condition, type))


_ADDRESSES = [
    "localhost",
    "localhost/x",
    "romeo@localhost",
    "romeo@localhost/orchard",
    "juliet@localhost",
    "juliet@localhost/balcony",
    "juliet@localhost/gone",
    "nobody@localhost",
    "there.localhost",
    "a@there.localhost/b",
    "a@example.org",
    "a@b@c",
    "",
]
_TYPES = ["get", "set", "result", "error", "chat", "groupchat", "headline", "unavailable", "subscribe", "probe", ""]
_PAYLOADS = [
    "<ping xmlns='urn:xmpp:ping'/>",
    "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "<query xmlns='http://jabber.org/protocol/disco#items' node='x'/>",
    "<query xmlns='jabber:iq:version'/>",
    "<priority>300</priority>",
    "text",
]


class AnyStanzaTests(SynchronousTestCase):
    """Any stanza of a client is refused, answered or delivered."""

    @settings(max_examples=400)
    @given(
        st.sampled_from(["iq", "message", "presence"]),
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(_TYPES),
                "to": st.sampled_from(_ADDRESSES),
                "from": st.sampled_from(_ADDRESSES),
                "id": st.just("1"),
            },
        ),
        st.lists(st.sampled_from(_PAYLOADS), max_size=2),
    )
    def test_anyStanza(self, name: str, attributes: dict[str, str], payloads: list[str]) -> None:
        """
        Only a wrong C{from} ends the stream. A request is answered or delivered once; stanzas that must not be answered
        are not.
        """
        server = Server("there.localhost")
        server.add("localhost", AccountDiscoHandler(), AccountPingHandler(), VersionHandler())
        server.add("there.localhost", DiscoHandler(), PingHandler(), StockVersionHandler("n", "v"))
        romeo = server.connect("romeo@localhost/orchard", "<presence/>")
        juliet = server.connect("juliet@localhost/balcony", "<presence/>")
        pairs = "".join(f" {key}='{value}'" for key, value in attributes.items())
        try:
            romeo.send(f"<{name}{pairs}>{''.join(payloads)}</{name}>")
        except StreamError as e:
            self.assertEqual(e.condition, "invalid-from")
            self.assertNotIn(attributes.get("from"), (None, "romeo@localhost", "romeo@localhost/orchard"))
            return
        back, there = romeo.take(), juliet.take()
        type = attributes.get("type")
        if name == "iq" and type not in ("result", "error"):
            self.assertEqual(len(back) + len(there), 1)
        elif type == "error" or (name == "iq" and type == "result") or (name == "presence" and type == "unavailable"):
            self.assertNotIn("<error ", "".join(back))
        for stanza in there:
            self.assertIn('from="romeo@localhost/orchard"', stanza)
