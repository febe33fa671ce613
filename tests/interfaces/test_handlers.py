# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.interfaces.handlers}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces.handlers import isFromAccount
from muccore.xmpp import jid
from tests.routing.helpers import xml


class AddressTests(SynchronousTestCase):
    """Senders."""

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
