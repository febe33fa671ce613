# -*- test-case-name: tests.storage.test_insecure -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{open:}, accounts for tests: every name may log in with any password.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import IAccounts
from muccore.xmpp.scramkeys import ScramKeys


@implementer(IAccounts)
class OpenAccounts:
    """
    Lets everybody in, at once: it stands on the log-in path of load tests. The configuration refuses it unless every
    listener is on a loopback address.
    """

    hashes: frozenset[str] = frozenset()
    loopbackOnly = True

    def open(self) -> Deferred[None]:
        """
        See L{IAccounts.open}.
        """
        return succeed(None)

    def close(self) -> Deferred[None]:
        """
        See L{IAccounts.close}.
        """
        return succeed(None)

    def scramKeys(self, user: str, hashName: str) -> Deferred[ScramKeys | None]:
        """
        See L{IAccounts.scramKeys}: there are none.
        """
        return succeed(None)

    def checkPassword(self, user: str, password: str) -> Deferred[bool]:
        """
        See L{IAccounts.checkPassword}: every password is right.
        """
        return succeed(bool(user))
