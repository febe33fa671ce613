# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.interfaces.handlers}."""

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces.handlers import ANSWERED, BARE, FULL, HOST, addressType, isFromAccount
from muccore.xmpp import jid
from tests.routing.helpers import xml


class KindTests(SynchronousTestCase):
    """What an address is, seen from its domain."""

    def test_host(self) -> None:
        """The domain itself is C{HOST}, with a resource too (RFC 6120 §10.5.2)."""
        self.assertIs(addressType(jid.parse("localhost")), HOST)
        self.assertIs(addressType(jid.parse("localhost/admin")), HOST)

    def test_bare(self) -> None:
        """An account or a room is C{BARE}."""
        self.assertIs(addressType(jid.parse("romeo@localhost")), BARE)

    def test_full(self) -> None:
        """A session or an occupant is C{FULL}."""
        self.assertIs(addressType(jid.parse("romeo@localhost/orchard")), FULL)

    def test_answeredNamesItself(self) -> None:
        """A table of results that is printed says what C{ANSWERED} is."""
        self.assertEqual(repr(ANSWERED), "ANSWERED")


class OwnerTests(SynchronousTestCase):
    """L{isFromAccount}"""

    def check(self, sender: str, to: str) -> bool:
        """Whether a stanza is one from the owner."""
        return isFromAccount(xml(f"<iq {sender}/>"), jid.parse(to))

    def test_owner(self) -> None:
        """Every session of the account is its owner."""
        self.assertTrue(self.check("from='Romeo@localhost/orchard'", "romeo@localhost"))

    def test_other(self) -> None:
        """Another account is not, nor the same name elsewhere."""
        self.assertFalse(self.check("from='juliet@localhost/balcony'", "romeo@localhost"))
        self.assertFalse(self.check("from='romeo@example.org'", "romeo@localhost"))

    def test_nobody(self) -> None:
        """A stanza without a sender, or with a malformed one, comes from nobody."""
        self.assertFalse(self.check("", "romeo@localhost"))
        self.assertFalse(self.check("from='a@b@c'", "romeo@localhost"))
