# Copyright (c) The muccore authors. See LICENSE for details.
"""The contacts of accounts, for handlers that keep no rosters."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from muccore.interfaces.roster import RosterItem


class IContacts(Interface):
    """The rosters of the accounts of a host (RFC 6121 §2); accounts and contacts are bare JIDs as text."""

    observers = Attribute(
        "C{list}: called with account, contact, and the L{RosterItem} of the contact before and after a change that is "
        "durable, of which the contact and the clients have been told. A contact who was removed has an item that is "
        "not listed. They must not fail."
    )

    def contacts(account: str) -> Deferred[Mapping[str, RosterItem]]:
        """
        Get the roster of an account, by contact; of an account that does not exist it is empty. It is that of the
        account, must not be changed, and stays up to date only as long as the account has sessions.

        @raise StanzaError: (as failure) if it cannot be loaded, or too much waits for it.
        """
