# -*- test-case-name: tests.muc.model.test_personalrows -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Rows of extensions that are about one user: their key is the bare JID of the user, alone or followed by a space and what
else it is about, such as a hat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_KEPT: Final = frozenset(["affiliation-version", "timed-affiliations", "timed-mutes"])
"""
Rows that go by themselves with what they are about: versions of the list, memberships that end; and sanctions, of which
nobody gets rid by leaving.
"""


def isOf(account: str, key: str) -> bool:
    """Whether a row with a key is about an account, a bare JID."""
    return key == account or key.startswith(f"{account} ")


def removable(account: str, states: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """
    The rows of an account, by extension and key, that go when everything of it is removed.

    @param states: the rows of a room.
    """
    for name, rows in states.items():
        if name not in _KEPT:
            yield from ((name, key) for key in rows if isOf(account, key))
