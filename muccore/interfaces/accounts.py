# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of accounts."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.interfaces.auth import IAuthBackend
from muccore.interfaces.stores import StoreError


class NoSuchUser(StoreError):
    """There is no account with that name."""


class UserExists(StoreError):
    """There is already an account with that name."""


class IAccountStore(IAuthBackend):
    """Accounts that muccore manages, kept as SCRAM keys only."""

    def create(user: str, password: str) -> Deferred[None]:
        """
        Create an account.

        @raise UserExists: (as failure)
        @raise ValueError: (as failure) if the password is empty or invalid (RFC 4013).
        """

    def setPassword(user: str, password: str) -> Deferred[None]:
        """
        Replace the password of an account.

        @raise NoSuchUser: (as failure)
        @raise ValueError: (as failure) as L{create}.
        """

    def delete(user: str) -> Deferred[None]:
        """
        Delete an account.

        @raise NoSuchUser: (as failure)
        """

    def users() -> Deferred[list[str]]:
        """List all user names, sorted."""
