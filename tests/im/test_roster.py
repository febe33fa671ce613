# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.roster}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore.im.roster import RosterHandler
from tests.routing.helpers import Server, canonical, conditions

ROMEO = "romeo@localhost/orchard"
QUERY = "<query xmlns='jabber:iq:roster'/>"


class RosterTests(SynchronousTestCase):
    """RFC 6121 §2"""

    def setUp(self) -> None:
        """Connect Romeo."""
        self.server = Server()
        self.server.add("localhost", RosterHandler())
        self.romeo = self.server.connect(ROMEO)

    def test_get(self) -> None:
        """§2.1.4: a client that requests its roster gets an empty one, with or without the address of its account."""
        for to in ("", "to='romeo@localhost'"):
            self.assertEqual(
                self.romeo.ask(f"<iq type='get' id='1' {to}>{QUERY}</iq>"),
                canonical(
                    f"<iq type='result' id='1' from='romeo@localhost' to='{ROMEO}'>{QUERY}</iq>"
                ),
            )

    def test_set(self) -> None:
        """A contact, which cannot be stored, is refused."""
        answer = self.romeo.ask(
            "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='juliet@localhost'/></query></iq>"
        )
        self.assertEqual(conditions(answer), ["feature-not-implemented"])

    def test_others(self) -> None:
        """§2.1.3: a request about another account's roster is refused, whether the account exists or not."""
        self.server.connect("juliet@localhost/balcony", "<presence/>")
        for user in ("juliet", "nobody"):
            for type in ("get", "set"):
                answer = self.romeo.ask(
                    f"<iq type='{type}' id='1' to='{user}@localhost'>{QUERY}</iq>"
                )
                self.assertEqual(conditions(answer), ["service-unavailable"])
