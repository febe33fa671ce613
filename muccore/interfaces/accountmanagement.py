# Copyright (c) The muccore authors. See LICENSE for details.
"""The management of accounts while the server runs: the one place that creates, changes, disables and removes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from zope.interface import Attribute, Interface

from muccore.interfaces.stores import StoreError
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import JID


class AccountBusy(StoreError):
    """The account is being removed."""


class NameReserved(StoreError):
    """An account of this name was removed, and nobody may register it again yet."""


class NotManageable(StoreError):
    """The accounts of this host are not kept by the server, and so cannot be changed by it."""


AccountStep = Callable[[JID], Awaitable[Any] | None]
"""
Called with an account, a bare JID: removes or forgets what is kept of it, and may take its time. It can be called again
for the same account, if the server ended before it was done.
"""


class IAccounts(Interface):
    """
    The accounts of one host. Methods fail with L{NotManageable} unless L{manageable}, and with L{StoreError} if a store
    does. C{by} is the bare JID of who wants it, or what else names them, for the log.
    """

    manageable = Attribute("C{bool}: whether the server keeps the accounts, so that they can be changed.")

    def has(account: JID) -> Awaitable[bool]:
        """Find out whether there is an account."""

    def create(account: JID, password: str, by: str, override: bool = False) -> Awaitable[None]:
        """
        Create an account.

        @param override: also if an account of this name was removed a short time ago.
        @raise UserExists: if there is one.
        @raise AccountBusy: if one of this name is being removed.
        @raise NameReserved: if one was removed a short time ago.
        @raise ValueError: as L{IAccountStore.create<muccore.interfaces.IAccountStore.create>}.
        """

    def setPassword(account: JID, password: str, by: str) -> Awaitable[None]:
        """
        Replace the password of an account. Its sessions go on; whatever else it could log in with is void.

        @raise NoSuchUser: if there is no such account.
        @raise ValueError: as L{create}.
        """

    def remove(account: JID, by: str, announce: Callable[[], object] | None = None) -> Awaitable[bool]:
        """
        Remove an account with all that is kept of it, and end its sessions. Once that is written down it does not fail:
        what a store fails to remove is tried again, and what is left when the server ends is done at its next start.

        @param announce: called once the account cannot be used any more and the rest is certain, before its sessions
            end.
        @return: whether everything is removed; C{False}: the account cannot be used, and the rest is removed later.
        @raise NoSuchUser: if there is no such account.
        @raise AccountBusy: if it is being removed.
        """

    def setDisabled(account: JID, disabled: bool, by: str) -> Awaitable[None]:
        """
        Disable an account, which ends its sessions and lets none begin, or enable it again.

        @raise NoSuchUser: if there is no such account.
        """

    def endSessions(account: JID, error: StreamError) -> int:
        """
        End the sessions of an account, or the one with a full JID, those that wait to be resumed included.

        @return: how many there were.
        """
