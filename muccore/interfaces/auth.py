# Copyright (c) The muccore authors. See LICENSE for details.
"""Authentication."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Attribute

from muccore.interfaces.stores import IStore
from muccore.xmpp.scramkeys import ScramKeys


class IAuthBackend(IStore):
    """Authenticates users. An account is a prepared bare JID as text; one backend can serve several hosts."""

    hashes = Attribute(
        "C{frozenset[str]}: the SCRAM hashes, such as C{'SHA-256'}, for which every account has keys; empty if it only "
        "checks passwords. A client chooses its mechanism before it names its account, so what one account lacks "
        "cannot be offered to any. May grow while the store is open. Until it can be read, all are in it, and "
        "L{scramKeys} and L{checkPassword} fail."
    )
    loopbackOnly = Attribute("C{bool}: whether it is too permissive for listeners that are not on loopback addresses.")

    def hasAccount(account: str) -> Deferred[bool]:
        """Find out whether there is an account. Backends that accept any user say yes."""

    def scramKeys(account: str, hashName: str) -> Deferred[ScramKeys | None]:
        """
        Get the keys of an account for one hash, or C{None} if there are none.

        @raise StoreUnavailable: (as failure) if they cannot be read.
        """

    def checkPassword(account: str, password: str) -> Deferred[bool]:
        """
        Check a password. Takes as long for an unknown account as for a known one, and never blocks the reactor.

        @param password: not prepared by SASLprep.
        @raise StoreUnavailable: (as failure) if it cannot be checked.
        """
