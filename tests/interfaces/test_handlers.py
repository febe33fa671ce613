# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.interfaces.handlers}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces.handlers import BARE, FULL, HOST, addressType, isFromAccount
from muccore.xmpp import jid
from tests.routing.helpers import xml


class AddressTypeTests(SynchronousTestCase):
    """L{addressType}"""

    def test_types(self) -> None:
        """A domain is C{HOST} even with a resource (RFC 6120 §10.5.2); other addresses are C{BARE} or C{FULL}."""
        for address, expected in (
            ("localhost", HOST),
            ("localhost/admin", HOST),
            ("romeo@localhost", BARE),
            ("romeo@localhost/orchard", FULL),
        ):
            self.assertIs(addressType(jid.parse(address)), expected)


class IsFromAccountTests(SynchronousTestCase):
    """L{isFromAccount}"""

    def test_senders(self) -> None:
        """Only sessions of the account are its own; stanzas without a valid sender are from nobody."""
        for sender, expected in (
            ("from='Romeo@localhost/orchard'", True),
            ("from='juliet@localhost/balcony'", False),
            ("from='romeo@example.org'", False),
            ("", False),
            ("from='a@b@c'", False),
        ):
            self.assertIs(isFromAccount(xml(f"<iq {sender}/>"), jid.parse("romeo@localhost")), expected, sender)
