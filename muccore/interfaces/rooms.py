# Copyright (c) The muccore authors. See LICENSE for details.
"""Rooms as they are written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from muccore.interfaces.stores import IStore


@dataclass(frozen=True)
class Affiliate:
    """
    One entry of a room's list. Plain words, so that a store need not know what they mean.

    @ivar affiliation: C{owner}, C{admin}, C{member}, C{outcast} or C{none} (then there is only a nick).
    @ivar nick: the nick reserved for this user in this room, or C{None}.
    @ivar reason: why, as the one who gave it put it, or C{None}.
    """

    affiliation: str
    nick: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Subject:
    """
    A room's subject.

    @ivar text: the subject; C{""} if it was cleared.
    @ivar nick: the nick of who set it; C{""} for the room itself.
    @ivar stamp: when, in seconds since the epoch.
    """

    text: str
    nick: str
    stamp: float


@dataclass(frozen=True)
class RoomRecord:
    """
    A room as it is written down.

    @ivar settings: its configuration: names of L{muccore.muc.model.roomsettings} to JSON values (C{str}, C{int},
        C{bool}, lists of C{str}).
    @ivar affiliates: bare JID or domain to L{Affiliate}.
    @ivar subject: its subject, or C{None} if it never had one.
    @ivar name: its natural-language name, for listing without reading the settings.
    @ivar public: whether it is listed.
    @ivar temporary: whether it ends when its last occupant leaves.
    """

    settings: Mapping[str, Any] = field(repr=False)
    affiliates: Mapping[str, Affiliate]
    subject: Subject | None = None
    name: str = ""
    public: bool = True
    temporary: bool = False


@dataclass(frozen=True)
class RoomChange:
    """
    What changes in a room that is stored, all of it or nothing.

    @ivar affiliates: bare JID or domain to its new entry; C{None} removes it.
    @ivar settings: the whole new configuration, or C{None} if it stays. With it come C{name}, C{public} and
        C{temporary}.
    @ivar subject: the new subject, or C{None} if it stays.
    """

    affiliates: Mapping[str, Affiliate | None] = field(default_factory=dict)
    settings: Mapping[str, Any] | None = field(default=None, repr=False)
    name: str = ""
    public: bool = True
    temporary: bool = False
    subject: Subject | None = None


@dataclass(frozen=True)
class PublicRooms:
    """
    A page of the list of public rooms.

    @ivar rooms: C{(room, name)}, sorted by room.
    @ivar index: how many public rooms stand before the first of these.
    @ivar count: how many public rooms there are in all.
    """

    rooms: Sequence[tuple[str, str]]
    index: int
    count: int


class IRoomStore(IStore):
    """
    Rooms with their configuration and affiliations. A room is named by its bare JID.

    Calls for one room are carried out in the order in which they were made. A write's Deferred fires when it is
    durable; when it fails with L{StoreError}, nothing of it has been done.
    """

    def load(room: str) -> Deferred[RoomRecord | None]:
        """A room, or C{None} if it is not stored."""

    def save(room: str, record: RoomRecord) -> Deferred[None]:
        """Write a whole room, instead of whatever was stored under that name."""

    def change(room: str, change: RoomChange) -> Deferred[None]:
        """
        Change a stored room.

        @raise StoreError: (as failure) also if the room is not stored.
        """

    def destroy(room: str) -> Deferred[None]:
        """Forget a room and everything that belongs to it. Forgetting one that is not stored is no error."""

    def publicRooms(domain: str, after: str | None, before: str | None, limit: int) -> Deferred[PublicRooms]:
        """
        A page of the public rooms of a domain, sorted by name: those right behind C{after}, or those right before
        C{before} (C{""}: the last ones), or the first ones.

        @param limit: how many at the most; 0 for none (only the count).
        """

    def temporaryRooms(domain: str) -> Deferred[list[str]]:
        """The temporary rooms of a domain that are stored."""
