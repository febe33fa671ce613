# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts that the server keeps."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.interfaces.auth import IAuthBackend
from muccore.interfaces.stores import StoreError


class NoSuchUser(StoreError):
    """There is no account of that name."""


class UserExists(StoreError):
    """There is an account of that name already."""


class IAccountStore(IAuthBackend):
    """Accounts that muccore itself keeps, as SCRAM keys only."""

    def create(user: str, password: str) -> Deferred[None]:
        """
        @raise UserExists: (as failure)
        @raise ValueError: (as failure) if the password may not be (RFC 4013) or is empty.
        """

    def setPassword(user: str, password: str) -> Deferred[None]:
        """
        @raise NoSuchUser: (as failure)
        @raise ValueError: (as failure) as L{create}.
        """

    def delete(user: str) -> Deferred[None]:
        """@raise NoSuchUser: (as failure)"""

    def users() -> Deferred[list[str]]:
        """All user names, sorted."""
