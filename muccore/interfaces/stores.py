# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores, what can go wrong with them, and who may log in."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from muccore.xmpp.scramkeys import ScramKeys


class StoreError(Exception):
    """A store did not do what it was asked for. C{str()} of it is a line for the operator."""


class StoreUnavailable(StoreError):
    """The store cannot be opened, read or written."""


class SchemaTooNew(StoreError):
    """A newer muccore has written this store."""


class BadDescription(ValueError):
    """
    The argument of a describing string such as C{sqlite:PATH} is not understood; C{str()} of it says why and what is.
    """


class NoSuchUser(StoreError):
    """There is no account of that name."""


class UserExists(StoreError):
    """There is an account of that name already."""


class IStore(Interface):
    """
    Something durable that is opened at start and closed at the end.

    A store may have a method C{probe()} besides, without arguments: it is called before the server goes into the
    background, and raises L{StoreError} if the store could not be opened. It must leave nothing running.
    """

    def open() -> Deferred[None]:
        """
        Make ready; create or migrate the schema.

        @raise StoreUnavailable: (as failure) with a line that names the store and the trouble.
        @raise SchemaTooNew: (as failure) likewise.
        """

    def close() -> Deferred[None]:
        """Finish: when it fires, everything that was accepted is durable. Calling it twice is harmless."""


class IAuthBackend(IStore):
    """Who may log in. User names are prepared localparts."""

    hashes = Attribute(
        "C{frozenset[str]}: the SCRAM hashes whose keys it keeps, e.g. C{'SHA-256'}; empty if it only checks passwords."
    )
    loopbackOnly = Attribute("C{bool}: so permissive that it may serve loopback listeners only.")

    def scramKeys(user: str, hashName: str) -> Deferred[ScramKeys | None]:
        """A user's keys for one hash, or C{None} if there is no such user."""

    def checkPassword(user: str, password: str) -> Deferred[bool]:
        """
        Whether the password is right. Takes as long for an unknown user as for a known one, and never blocks the
        reactor.

        @param password: not yet prepared by SASLprep.
        """


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
