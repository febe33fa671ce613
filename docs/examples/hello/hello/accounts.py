# Copyright (c) The muccore authors. See LICENSE for details.
"""A store of accounts: everybody whose name begins with C{guest} may log in with one password, which is in a file."""

import hmac

from twisted.internet.defer import fail, succeed
from zope.interface import implementer

from muccore.interfaces import IAuthBackend, StoreUnavailable
from muccore.xmpp.scramkeys import saslprep


@implementer(IAuthBackend)
class GuestAccounts:
    """Guests. They log in by PLAIN, over TLS: the password alone gives no SCRAM keys that would differ by user."""

    hashes = frozenset()
    loopbackOnly = False

    def __init__(self, file, reactor):
        self.file = file
        self.password = None

    def open(self):
        """Read the password; on a failure the operator reads this line."""
        try:
            self.password = saslprep(self.file.getContent().decode("utf-8").strip()).encode("utf-8")
        except (OSError, ValueError) as e:
            return fail(StoreUnavailable(f"{self.file.path}: no password in it ({type(e).__name__}); write one"))
        return succeed(None)

    def close(self):
        """There is nothing to finish."""
        self.password = None
        return succeed(None)

    def hasAccount(self, account):
        """Every guest is as good as any other."""
        return succeed(account.startswith("guest"))

    def scramKeys(self, account, hashName):
        """There are none."""
        return succeed(None)

    def checkPassword(self, account, password):
        """Compare in a time that does not depend on how much of the password is right, for strangers too."""
        if self.password is None:
            return fail(StoreUnavailable(f"{self.file.path}: it is not open"))
        try:
            given = saslprep(password).encode("utf-8")
        except ValueError:
            given = b""
        right = hmac.compare_digest(given, self.password)
        return succeed(right and account.startswith("guest"))
