# -*- test-case-name: tests.stream.bosh.test_keys -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Key sequences, which show that a request is the client's own (XEP-0124 §15)."""

from __future__ import annotations

import hashlib
import hmac

from muccore.stream.bosh.body import Body
from muccore.stream.bosh.errors import BindingError


class KeySequence:
    """The keys of a session, whose requests are checked in their order."""

    __slots__ = ("_expected",)

    def __init__(self, creation: Body) -> None:
        """@param creation: the request that has created the session; without C{newkey} nothing is checked."""
        self._expected = creation.text("newkey")

    def check(self, request: Body) -> None:
        """
        Check the next request.

        @raise BindingError: C{item-not-found} for a key that is wrong, or missing.
        """
        key = request.text("key")
        if self._expected is not None and (key is None or not _isSame(_hashed(key), self._expected)):
            raise BindingError("item-not-found", "The key is invalid.")
        self._expected = request.text("newkey") or (None if self._expected is None else key)


def isSameKey(first: str | None, again: str | None) -> bool:
    """Whether a request that was sent again has the key of the first, which may be none."""
    if first is None or again is None:
        return first is again
    return _isSame(first, again)


def _hashed(key: str) -> str:
    return hashlib.sha1(key.encode()).hexdigest()


def _isSame(one: str, other: str) -> bool:
    """Compare without case (§15.3)."""
    return hmac.compare_digest(one.lower().encode(), other.lower().encode())
