# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.interfaces.handlers}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces.handlers import BARE, FULL, HOST, addressType, isFromAccount
from muccore.xmpp import jid
from tests.routing.helpers import xml


class AddressTests(SynchronousTestCase):
    """Addresses and senders."""

    def test_addressType(self) -> None:
        """An address without a localpart is C{HOST}, also with a resource (RFC 6120 §10.5.2)."""
        for address, expected in (
            ("localhost", HOST),
            ("localhost/admin", HOST),
            ("romeo@localhost", BARE),
            ("romeo@localhost/orchard", FULL),
        ):
            self.assertIs(addressType(jid.parse(address)), expected)

    def test_isFromAccount(self) -> None:
        """A stanza is from an account if one of its sessions sent it; not without a valid sender."""
        for sender, expected in (
            ("from='Romeo@localhost/orchard'", True),
            ("from='juliet@localhost/balcony'", False),
            ("from='romeo@example.org'", False),
            ("", False),
            ("from='a@b@c'", False),
        ):
            self.assertIs(isFromAccount(xml(f"<iq {sender}/>"), jid.parse("romeo@localhost")), expected)
