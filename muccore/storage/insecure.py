# -*- test-case-name: tests.storage.test_insecure -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{open:}, accounts for tests: every name may log in with any password."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import IAuthBackend
from muccore.xmpp.scramkeys import ScramKeys


@implementer(IAuthBackend)
class InsecureAuth:
    """
    Lets everybody in, at once: it stands on the log-in path of load tests. The configuration refuses it unless every
    listener is on a loopback address.
    """

    hashes: frozenset[str] = frozenset()
    loopbackOnly = True

    def open(self) -> Deferred[None]:
        """See L{IAuthBackend.open}."""
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IAuthBackend.close}."""
        return succeed(None)

    def scramKeys(self, user: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{IAuthBackend.scramKeys}: there are none."""
        return succeed(None)

    def checkPassword(self, user: str, password: str) -> Deferred[bool]:
        """See L{IAuthBackend.checkPassword}: every password is right."""
        return succeed(bool(user))
