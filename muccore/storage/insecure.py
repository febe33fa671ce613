# -*- test-case-name: tests.storage.test_insecure -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{insecure:}, authentication for tests: accepts every account with any password."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import IAuthBackend
from muccore.xmpp.scramkeys import ScramKeys


@implementer(IAuthBackend)
class InsecureAuth:
    """
    Accepts every password without a thread, since load tests log in with it. The configuration refuses it unless
    every listener is on a loopback address.
    """

    hashes: frozenset[str] = frozenset()
    loopbackOnly = True

    def open(self) -> Deferred[None]:
        """See L{IAuthBackend.open}."""
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IAuthBackend.close}."""
        return succeed(None)

    def hasAccount(self, account: str) -> Deferred[bool]:
        """See L{IAuthBackend.hasAccount}."""
        return succeed(True)

    def scramKeys(self, account: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{IAuthBackend.scramKeys}."""
        return succeed(None)

    def checkPassword(self, account: str, password: str) -> Deferred[bool]:
        """See L{IAuthBackend.checkPassword}."""
        return succeed(bool(account))
