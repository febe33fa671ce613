# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.ping}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore.services.ping import AccountPingHandler, PingHandler
from tests.routing.helpers import Server, canonical, conditions

ROMEO = "romeo@localhost/orchard"
PING = "<ping xmlns='urn:xmpp:ping'/>"


class PingTests(SynchronousTestCase):
    """XEP-0199 §4"""

    def setUp(self) -> None:
        """Romeo is on line."""
        self.server = Server("conference.localhost")
        self.server.add("localhost", AccountPingHandler())
        self.server.add("conference.localhost", PingHandler())
        self.romeo = self.server.connect(ROMEO)

    def test_server(self) -> None:
        """§4.2: the server answers with an empty result; every domain does."""
        for host in ("localhost", "conference.localhost"):
            self.assertEqual(
                self.romeo.ask(f"<iq type='get' id='1' to='{host}'>{PING}</iq>"),
                canonical(f"<iq type='result' id='1' from='{host}' to='{ROMEO}'/>"),
            )

    def test_own(self) -> None:
        """§4.2: a client may leave C{to} out, or name its own account."""
        for to in ("", "to='romeo@localhost'"):
            self.assertEqual(
                self.romeo.ask(f"<iq type='get' id='1' {to}>{PING}</iq>"),
                canonical(f"<iq type='result' id='1' from='romeo@localhost' to='{ROMEO}'/>"),
            )

    def test_others(self) -> None:
        """Another account does not answer, whether it is there or not."""
        self.server.connect("juliet@localhost/balcony", "<presence/>")
        for user in ("juliet", "nobody"):
            answer = self.romeo.ask(f"<iq type='get' id='1' to='{user}@localhost'>{PING}</iq>")
            self.assertEqual(conditions(answer), ["service-unavailable"])

    def test_set(self) -> None:
        """A ping is of type get."""
        answer = self.romeo.ask(f"<iq type='set' id='1' to='localhost'>{PING}</iq>")
        self.assertEqual(conditions(answer), ["service-unavailable"])

    def test_declared(self) -> None:
        """§5: it is told by disco, and in the documentation."""
        self.assertEqual((PingHandler.features, PingHandler.implements[0].number), (("urn:xmpp:ping",), 199))
