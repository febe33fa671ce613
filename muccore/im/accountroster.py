# -*- test-case-name: tests.im.test_accountroster -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The roster of an account in memory, with its versions (RFC 6121 §2.6)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Final

from muccore.im.subscriptionstates import State, stateOf
from muccore.interfaces import RosterChange, RosterItem, StoredRoster

REMOVED_LIMIT: Final = 100
"""The number of removed contacts that are remembered, for clients that were away."""

NOBODY: Final = RosterItem(listed=False)
"""The item of those of whom there is none."""

Changes = Mapping[str, RosterItem | None]
"""By contact, what their items become; C{None}, or a mere request that was answered, for nothing."""

RosterChanges = list[tuple[str, str, RosterItem | None]]
"""Version, contact and item of each change, in order; the item is C{None} if the contact was removed."""

_EPOCH_BYTES: Final = 6

_GROUP_SIZE: Final = 16


def sizeOf(contact: str, item: RosterItem) -> int:
    """About the bytes of an item in the roster, but for what has a bound; 0 if it is not in there."""
    if not item.listed:
        return 0
    return sum(len(each.encode()) for each in (contact, item.name, *item.groups)) + _GROUP_SIZE * len(item.groups)


class AccountRoster:
    """
    The roster of one account.

    @ivar items: the items by contact, requests that are not in the roster included.
    @ivar size: the size of those in the roster, by L{sizeOf}.
    """

    def __init__(self, stored: StoredRoster) -> None:
        self._epoch, self._number, self._floor = stored.epoch, stored.version, stored.floor
        self._versions = {jid: version for jid, (version, _) in stored.rows.items()}
        self.items = {jid: item for jid, (_, item) in stored.rows.items() if item is not None}
        self.size = sum(sizeOf(jid, item) for jid, item in self.items.items())

    @property
    def version(self) -> str:
        """The present version; C{"0"} for a roster that was never changed."""
        return f"{self._epoch}-{self._number}" if self._epoch else "0"

    def item(self, jid: str) -> RosterItem:
        """The item of a contact."""
        return self.items.get(jid, NOBODY)

    def listed(self) -> Iterator[tuple[str, RosterItem]]:
        """The contacts in the roster, with their items."""
        return ((jid, item) for jid, item in self.items.items() if item.listed)

    def subscribers(self) -> list[str]:
        """The contacts who get the account's presence."""
        return [jid for jid, item in self.items.items() if item.subscription in ("from", "both")]

    def requests(self) -> list[tuple[str, bytes]]:
        """The contacts whose requests wait for an answer, with these."""
        return [(jid, item.request) for jid, item in self.items.items() if item.request is not None]

    def plan(self, changes: Changes) -> RosterChange | None:
        """Plan changes, as they are to be stored; C{None} if nothing changes."""
        rows: dict[str, RosterItem | None] = {}
        for jid, item in changes.items():
            new = None if item is None or (not item.listed and stateOf(item) is State.NONE) else item
            if new != self.items.get(jid):
                rows[jid] = new
        if not rows:
            return None
        removed = sorted(
            (version, jid) for jid, version in self._versions.items() if jid not in self.items and jid not in rows
        )
        number = sum(item is None for item in rows.values())
        dropped = removed[: max(0, len(removed) + number - REMOVED_LIMIT)]
        floor = dropped[-1][0] if dropped else self._floor
        epoch = self._epoch or secrets.token_hex(_EPOCH_BYTES)
        return RosterChange(epoch, self._number + 1, floor, rows, [jid for _, jid in dropped])

    def apply(self, change: RosterChange) -> None:
        """Make a change that was stored."""
        self._epoch, self._number, self._floor = change.epoch, change.version, change.floor
        for jid in change.forgotten:
            self._versions.pop(jid, None)
        for jid, item in change.rows.items():
            # Again: the order of the versions is that of the changes.
            self._versions.pop(jid, None)
            self._versions[jid] = change.version
            self.size += (0 if item is None else sizeOf(jid, item)) - sizeOf(jid, self.item(jid))
            if item is None:
                self.items.pop(jid, None)
            else:
                self.items[jid] = item

    def changesSince(self, version: str) -> RosterChanges | None:
        """
        What has changed since a version (RFC 6121 §2.6.3).

        @return: the changes that count still; C{None} if these are not known. A mere request is as good as removed:
            there may have been a contact who was.
        """
        if version == self.version:
            return []
        epoch, _, digits = version.rpartition("-")
        if not epoch or epoch != self._epoch or not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
            return None
        number = int(digits)
        if not self._floor <= number <= self._number:
            return None
        later = sorted((changed, jid) for jid, changed in self._versions.items() if changed > number)
        listed = dict(self.listed())
        return [(f"{epoch}-{changed}", jid, listed.get(jid)) for changed, jid in later]
