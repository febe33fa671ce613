# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of accounts."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.interfaces.auth import IAuthBackend
from muccore.interfaces.stores import StoreError


class NoSuchUser(StoreError):
    """There is no such account."""


class UserExists(StoreError):
    """There is already such an account."""


class IAccountStore(IAuthBackend):
    """Accounts that muccore manages, kept as SCRAM keys only."""

    def create(account: str, password: str) -> Deferred[None]:
        """
        Create an account.

        @raise UserExists: (as failure)
        @raise ValueError: (as failure) if the password is empty or invalid (RFC 4013).
        """

    def setPassword(account: str, password: str) -> Deferred[None]:
        """
        Replace the password of an account.

        @raise NoSuchUser: (as failure)
        @raise ValueError: (as failure) as L{create}.
        """

    def delete(account: str) -> Deferred[None]:
        """Delete an account; fails with L{NoSuchUser}."""

    def users(host: str | None = None) -> Deferred[list[str]]:
        """List the accounts, or those of one domain, as bare JIDs, sorted."""
