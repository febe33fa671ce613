# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of accounts."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Attribute

from muccore.interfaces.auth import IAuthBackend
from muccore.interfaces.stores import StoreError
from muccore.xmpp.scramkeys import ScramKeys


class NoSuchUser(StoreError):
    """There is no such account."""


class UserExists(StoreError):
    """There is already such an account."""


class IAccountStore(IAuthBackend):
    """
    Accounts that muccore manages, kept as SCRAM keys only.

    Accounts of an earlier version, or from elsewhere, may have no keys for some hash. They get them with the next
    password, or when the present one is checked.
    """

    missingHashes = Attribute("C{frozenset[str]}: the SCRAM hashes for which some account has no keys yet.")

    def create(account: str, password: str) -> Deferred[None]:
        """
        Create an account.

        @raise UserExists: (as failure)
        @raise ValueError: (as failure) if the password is empty or invalid (RFC 4013).
        """

    def createWithKeys(account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        """
        Create an account with the keys of its password, such as one that comes from another server.

        @param keys: at least one, each for another hash. A mechanism whose keys are missing is offered to nobody.
        @raise UserExists: (as failure)
        @raise ValueError: (as failure) if there are none, or two for one hash.
        """

    def setPassword(account: str, password: str) -> Deferred[None]:
        """
        Replace the password of an account.

        @raise NoSuchUser: (as failure)
        @raise ValueError: (as failure) as L{create}.
        """

    def addKeys(account: str, keys: Sequence[ScramKeys], known: ScramKeys) -> Deferred[bool]:
        """
        Add keys of the password that an account has, for hashes for which it has none. Others are ignored.

        @param known: the keys that this password was checked with.
        @return: whether the account still had those; otherwise nothing is added.
        """

    def delete(account: str) -> Deferred[None]:
        """Delete an account; fails with L{NoSuchUser}."""

    def users(host: str | None = None) -> Deferred[list[str]]:
        """List the accounts, or those of one domain, as bare JIDs, sorted."""
