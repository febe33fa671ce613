# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of rosters (RFC 6121 §2), with what subscriptions need besides."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from muccore.interfaces.stores import IStore


@dataclass(frozen=True, slots=True)
class RosterItem:
    """
    What an account keeps of a contact.

    @ivar name: the handle (RFC 6121 §2.1.2.4); C{""} for none.
    @ivar groups: the groups, sorted.
    @ivar subscription: C{"none"}, C{"to"}, C{"from"} or C{"both"}.
    @ivar ask: whether a request of the account waits for an answer (Pending Out).
    @ivar approved: whether a request of the contact is approved in advance (RFC 6121 §3.4).
    @ivar request: the request of the contact that waits for an answer (Pending In), a whole C{<presence/>}; or C{None}.
    @ivar listed: whether it is in the roster. Without that there is a request only, of which clients learn by presence.
    """

    name: str = ""
    groups: tuple[str, ...] = ()
    subscription: str = "none"
    ask: bool = False
    approved: bool = False
    request: bytes | None = field(default=None, repr=False)
    listed: bool = True


@dataclass(frozen=True, slots=True)
class StoredRoster:
    """
    The roster of an account as it is stored.

    @ivar epoch: tells it from earlier rosters of an account with this address; C{""} if nothing was ever stored.
    @ivar version: the number of the last change.
    @ivar floor: the last change of which something was forgotten.
    @ivar rows: for each contact, the number of the change that made it what it is, and the item; C{None} if it was
        removed.
    """

    epoch: str = ""
    version: int = 0
    floor: int = 0
    rows: Mapping[str, tuple[int, RosterItem | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RosterChange:
    """
    A change of a roster.

    @ivar epoch, version, floor: as they are from now on; see L{StoredRoster}.
    @ivar rows: the contacts that change, with their items; C{None} for those who are removed, which is remembered.
    @ivar forgotten: the contacts of whom nothing stays.
    """

    epoch: str
    version: int
    floor: int
    rows: Mapping[str, RosterItem | None] = field(default_factory=dict)
    forgotten: Collection[str] = ()


class IRosterStore(IStore):
    """
    The rosters of all accounts. Accounts, and the addresses of contacts, are prepared JIDs as text.

    Requests about one account are carried out in the order of the calls. The Deferred of a write fires when it is
    durable; if it fails, nothing of that call has been done.
    """

    def accounts(after: str, limit: int) -> Deferred[list[str]]:
        """List the accounts that have rosters, sorted by code points, from the first that follows C{after}."""

    def load(account: str) -> Deferred[StoredRoster]:
        """Load a roster; that of an account that has none is empty."""

    def change(account: str, change: RosterChange) -> Deferred[None]:
        """Change a roster; all of the change is done, or nothing."""

    def delete(account: str) -> Deferred[None]:
        """Delete a roster, if there is one."""
