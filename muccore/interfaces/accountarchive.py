# Copyright (c) The muccore authors. See LICENSE for details.
"""The archives of a domain's accounts, as others ask for them."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from muccore.interfaces.archive import ArchiveMetadata
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID


class IAccountArchive(Interface):
    """
    The archives (XEP-0313) of the accounts of a domain, C{IUserDomain.accountArchive}: what others need of them. A
    handler of the domain provides it.
    """

    def metadata(account: JID) -> Deferred[ArchiveMetadata | None]:
        """
        Get the ends of an archive with all that was archived before, such as for a client that logs in (XEP-0386 §4);
        C{None}: it is empty. L{muccore.xmpp.archivequeries.metadata} makes the element.

        @raise StoreError: (as failure) if the store fails.
        """

    def remove(account: str) -> Deferred[None]:
        """
        Remove the archive of an account that ends, a bare JID. Its preferences are documents, and go with these.

        @raise StoreError: (as failure) if the store fails.
        """

    def receive(message: Element, stamps: bytes, account: JID) -> bytes:
        """
        Archive a message that is delivered to sessions of an account past the filters of its domain, such as a private
        message in a room, if the rules and the user want that, and it is in memory what the user wants.

        @param message: as it is delivered, but for its C{to}, and without stamps or a stanza id of the account.
        @param stamps: further children, rendered, that it is delivered with.
        @param account: the bare JID.
        @return: the stanza id that it is delivered with, rendered; C{b""} for none.
        """
