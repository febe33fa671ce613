# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of audit trails: what was done in rooms by those who run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from twisted.internet.defer import Deferred

from muccore.interfaces.stores import IStore

ENTRIES_LIMIT: Final = 10_000
"""The number of last entries of one room and kind that are kept; older ones are deleted."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """
    An entry of an audit trail.

    @ivar room: the bare JID of the room.
    @ivar instance: which of the rooms that had this name, one after the other.
    @ivar time: when, in microseconds since the epoch.
    @ivar kind: what was done, in a word such as C{ban}.
    @ivar actor: the bare JID of who has done it; C{""} for the room itself.
    @ivar target: whom it concerns: a bare JID or a domain; C{""} for the room.
    @ivar reason: the reason; C{""} without one.
    @ivar details: what else there is to know, by name.
    @ivar id: its number, which the store gives it. Later entries have greater ones, of all rooms.
    """

    room: str
    instance: str
    time: int
    kind: str
    actor: str = ""
    target: str = ""
    reason: str = field(default="", repr=False)
    details: Mapping[str, str] = field(default_factory=dict)
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """
    Which entries are requested, the newest first. C{None} means any.

    @ivar who: the actor or the target.
    @ivar since: the earliest time, in microseconds since the epoch.
    @ivar before: the number of an entry, there or not, which those of the page precede.
    @ivar limit: the maximum of entries on the page.
    """

    room: str | None = None
    instance: str | None = None
    kind: str | None = None
    who: str | None = None
    since: int | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class AuditPage:
    """
    A page of entries.

    @ivar entries: the newest first.
    @ivar complete: whether there are no older ones.
    """

    entries: Sequence[AuditEntry]
    complete: bool


class IAuditStore(IStore):
    """
    The audit trails of all rooms. They outlive the rooms.

    Requests are carried out in the order of the calls. The Deferred of a write fires when it is durable; if it fails,
    nothing of that call has been done.
    """

    def append(entries: Sequence[AuditEntry]) -> Deferred[None]:
        """Append entries, whose ids do not matter. Of each room and kind, those beyond L{ENTRIES_LIMIT} are deleted."""

    def query(query: AuditQuery) -> Deferred[AuditPage]:
        """Request a page."""

    def expire(before: int) -> Deferred[int]:
        """
        Delete the oldest entries of all rooms, up to the first that is not older than a time. This is done step by
        step; if it fails, some may be gone already.

        @param before: the time, in microseconds since the epoch.
        @return: the number of entries deleted.
        """
