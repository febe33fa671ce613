# Copyright (c) The muccore authors. See LICENSE for details.
"""What is kept in memory of accounts, because filters need it at once."""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import Attribute, Interface

from muccore.xmpp.jid import JID


class IUserState(Interface):
    """
    The state of an account whose stanzas are being handled, the same for all of its sessions
    (C{ISession.userState}). Only the handlers that store its parts change them, once that is durable.
    """

    photo = Attribute(
        "C{str}: the hash of its avatar (XEP-0153), C{''} if it has none; C{None} if it has never had a vCard."
    )
    archiving = Attribute(
        "What it wants to have archived, C{muccore.im.archivepreferences.ArchivePreferences}; C{None} if it has never "
        "said that."
    )
    pushes = Attribute(
        "C{Mapping}: the push services that it has enabled, L{muccore.im.pushregistrations.PushRegistration}s by "
        "service and node."
    )
    blocked = Attribute("C{set[str]}: the addresses that it blocks (XEP-0191), prepared.")

    def blocks(address: JID) -> bool:
        """Whether the account blocks an address, which is not its own nor that of its server (XEP-0191)."""


class IUserStates(Interface):
    """The states of the accounts of a host."""

    def load(account: JID) -> Awaitable[IUserState]:
        """
        Get the state of an account, a bare JID.

        @raise StanzaError: if it cannot be loaded.
        """
