# Copyright (c) The muccore authors. See LICENSE for details.
"""Who may log in."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Attribute

from muccore.interfaces.stores import IStore
from muccore.xmpp.scramkeys import ScramKeys


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
