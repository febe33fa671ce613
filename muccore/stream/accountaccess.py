# -*- test-case-name: tests.stream.test_accountaccess -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Which accounts may not log in although their credentials are right: those that are disabled, and, on streams that were
opened before, those that were removed or disabled meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

LIFETIME: Final = 3700.0
"""Seconds for which a revocation is remembered: longer than any log-in may take (C{[c2s] login_timeout})."""


class AccountAccess:
    """
    The accounts that may not log in, of all hosts, by bare JID as text.

    @ivar disabled: those that are disabled.
    @ivar unread: the domains of which it is not known yet who is disabled, so that nobody may log in for now.
    @ivar count: the number of revocations so far, by which a stream notes when it was opened.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        """@param seconds: returns a time that is never set, in seconds."""
        self.disabled: set[str] = set()
        self.unread: set[str] = set()
        self.count = 0
        self._seconds = seconds
        # By account, in the order of time: its latest revocation, and when that was.
        self._revoked: dict[str, tuple[int, float]] = {}

    def revoke(self, account: str) -> None:
        """Let no stream that is open now log in to an account, whatever it has proved so far."""
        now = self._seconds()
        self.count += 1
        self._revoked.pop(account, None)
        self._revoked[account] = self.count, now
        while self._revoked:
            first = next(iter(self._revoked))
            if self._revoked[first][1] > now - LIFETIME:
                break
            del self._revoked[first]

    def refusal(self, account: str, since: int) -> str | None:
        """
        Why an account may not log in, whose credentials are right: a condition of RFC 6120 §6.5, or C{None} if it may.

        @param since: L{count} when the stream was opened.
        """
        if account.partition("@")[2] in self.unread:
            return "temporary-auth-failure"
        if account in self.disabled:
            return "account-disabled"
        revoked = self._revoked.get(account)
        return None if revoked is None or revoked[0] <= since else "not-authorized"
