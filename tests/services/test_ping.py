# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.ping}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore.services.ping import AccountPingHandler, PingHandler
from tests.routing.helpers import Server, canonical, conditions

ROMEO = "romeo@localhost/orchard"


class PingTests(SynchronousTestCase):
    """XEP-0199 §4"""

    def ping(self, to: str, type: str = "get") -> list[str]:
        """Send a ping as Romeo; return what comes back."""
        server = Server("conference.localhost")
        server.add("localhost", AccountPingHandler())
        server.add("conference.localhost", PingHandler())
        server.connect("juliet@localhost/balcony", "<presence/>")
        return server.connect(ROMEO).ask(f"<iq type='{type}' id='1' {to}><ping xmlns='urn:xmpp:ping'/></iq>")

    def test_answered(self) -> None:
        """§4.2: every domain answers with an empty result, and an account to its owner, who may omit C{to}."""
        for to, sender in (
            ("to='localhost'", "localhost"),
            ("to='conference.localhost'", "conference.localhost"),
            ("to='romeo@localhost'", "romeo@localhost"),
            ("", "romeo@localhost"),
        ):
            self.assertEqual(self.ping(to), canonical(f"<iq type='result' id='1' from='{sender}' to='{ROMEO}'/>"))

    def test_refused(self) -> None:
        """Another account does not answer, whether it exists or not; nor does anything to a request of type set."""
        for to, type in (("juliet@localhost", "get"), ("nobody@localhost", "get"), ("localhost", "set")):
            self.assertEqual(conditions(self.ping(f"to='{to}'", type)), ["service-unavailable"])

    def test_declared(self) -> None:
        """§5: it is in disco and in the documentation."""
        self.assertEqual((PingHandler.features, PingHandler.implements[0].number), (("urn:xmpp:ping",), 199))
