# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests of L{muccore.router}.
"""

from __future__ import annotations

from muccore import jid
from muccore.domain import Domain
from muccore.interfaces import IRouter
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.routing import Server, error, xml


class RouterTests(SynchronousTestCase):
    """
    Where stanzas go.
    """

    def setUp(self) -> None:
        """
        A server with two domains, and Romeo.
        """
        self.server = Server("conference.localhost")
        self.router = self.server.router
        self.romeo = self.server.connect("romeo@localhost/orchard")

    def test_interface(self) -> None:
        """
        The router is what sessions and domains expect.
        """
        self.assertTrue(verifyObject(IRouter, self.router))

    def test_domain(self) -> None:
        """
        A stanza goes to the domain of its address, whatever the rest of it is.
        """
        got: list[object] = []
        domain = self.router.domains["conference.localhost"]
        domain.received = lambda element, to: got.append((element, to))  # type: ignore[method-assign]
        for address in ("conference.localhost", "conference.localhost/x", "a@conference.localhost/b"):
            element = xml(f"<message from='romeo@localhost/orchard' to='{address}'/>")
            self.router.route(element, jid.parse(address))
            self.assertEqual(got.pop(), (element, jid.parse(address)))

    def test_twice(self) -> None:
        """
        A host name has one domain.
        """
        self.assertRaises(ValueError, self.router.addDomain, Domain("localhost", self.router, Clock()))

    def test_elsewhere(self) -> None:
        """
        Without federation every other domain is C{remote-server-not-found} (RFC 6120 §8.3.3.16).
        """
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
        """
        Errors, results and unavailable presence to other domains are dropped.
        """
        for stanza in (
            "message type='error'",
            "presence type='error'",
            "presence type='unavailable'",
            "iq type='result' id='1'",
            "iq type='error' id='1'",
        ):
            self.assertEqual(self.romeo.ask(f"<{stanza} to='example.org'/>"), [], stanza)

    def test_neitherHere(self) -> None:
        """
        When neither the sender nor the recipient is here, it ends at once; so it does with a sender that is no JID.
        """
        for sender in ("a@example.org", "a@b@c"):
            element = xml(f"<message from='{sender}' to='b@example.com'/>")
            self.assertIsNone(self.router.route(element, jid.parse("b@example.com")))
        self.assertEqual(self.romeo.take(), [])

    def test_routeTo(self) -> None:
        """
        A full JID leads to its session while there is one; nothing else leads anywhere.
        """
        address = jid.parse("romeo@localhost/orchard")
        self.assertIs(self.router.routeTo(address), self.romeo.session)
        for other in ("romeo@localhost", "romeo@localhost/garden", "localhost", "a@example.org/b"):
            self.assertIsNone(self.router.routeTo(jid.parse(other)))
        self.romeo.vanish()
        self.assertIsNone(self.router.routeTo(address))
