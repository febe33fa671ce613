# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of rooms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from muccore.interfaces.stores import IStore


@dataclass(frozen=True, slots=True)
class Affiliate:
    """
    An entry of a room's affiliation list, whose meaning a store need not know.

    @ivar affiliation: C{owner}, C{admin}, C{member}, C{outcast} or C{none} (which only reserves a nick).
    @ivar nick: the nick reserved for this user in this room, or C{None}.
    @ivar reason: the reason given for the affiliation, or C{None}.
    """

    affiliation: str
    nick: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Subject:
    """
    A room's subject.

    @ivar text: the subject; C{""} if it was cleared.
    @ivar nick: the nick of its author; C{""} for the room itself.
    @ivar stamp: when it was set, in seconds since the epoch.
    @ivar language: its language (C{xml:lang}), if it is known.
    @ivar author: the bare JID of its author; C{""} for the room itself, or if it is not known.
    """

    text: str
    nick: str
    stamp: float
    language: str | None = None
    author: str = ""


@dataclass(frozen=True)
class RoomRecord:
    """
    A stored room.

    @ivar settings: its configuration: names of L{muccore.muc.model.roomsettings} to JSON values (C{str}, C{int},
        C{bool}, lists of C{str}).
    @ivar affiliates: bare JID or domain to L{Affiliate}.
    @ivar subject: its subject, or C{None} if none was ever set.
    @ivar name: its natural-language name, for listings, which do not read the settings.
    @ivar public: whether it is listed.
    @ivar temporary: whether it is destroyed when its last occupant leaves.
    @ivar states: what extensions keep: JSON values by name of the extension and key, both not empty. A store keeps and
        returns them as rows; a name without rows is left out.
    @ivar description: its description, for searches.
    @ivar language: the language tag of its discussions, for searches; C{""} if it is not known.
    @ivar creator: the bare JID of who has created it; C{""} if it is not known.
    @ivar size: what it takes, in bytes, as those count who store it.
    """

    settings: Mapping[str, Any] = field(repr=False)
    affiliates: Mapping[str, Affiliate]
    subject: Subject | None = None
    name: str = ""
    public: bool = True
    temporary: bool = False
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    description: str = ""
    language: str = ""
    creator: str = ""
    size: int = 0


@dataclass(frozen=True)
class RoomChange:
    """
    A change of a stored room, made as a whole or not at all.

    @ivar affiliates: bare JID or domain to its new entry; C{None} removes it.
    @ivar settings: the whole new configuration, or C{None} to keep it. C{name}, C{public}, C{temporary}, C{description}
        and C{language} count only if it is given.
    @ivar subject: the new subject, or C{None} to keep it.
    @ivar states: name of an extension and key to the new JSON value; C{None} removes the row.
    @ivar growth: what it adds to C{RoomRecord.size}.
    """

    affiliates: Mapping[str, Affiliate | None] = field(default_factory=dict)
    settings: Mapping[str, Any] | None = field(default=None, repr=False)
    name: str = ""
    public: bool = True
    temporary: bool = False
    subject: Subject | None = None
    states: Mapping[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    description: str = ""
    language: str = ""
    growth: int = 0


@dataclass(frozen=True)
class Tombstone:
    """
    What is kept of a room that an owner has destroyed.

    @ivar destroyed: when, in seconds since the epoch.
    @ivar expires: until when it is kept, in seconds since the epoch.
    @ivar venue: the address to go to instead, or C{None}.
    @ivar reason: the reason given, or C{None}.
    @ivar open: whether everybody could enter, so that everybody may know the venue and the reason.
    @ivar affiliates: affiliations in the room that still matter, by bare JID or domain.
    """

    destroyed: float
    expires: float
    venue: str | None = None
    reason: str | None = None
    open: bool = True
    affiliates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PublicRooms:
    """
    A page of the list of public rooms.

    @ivar rooms: C{(room, name)}, sorted by room.
    @ivar index: the number of public rooms before the first of these; C{None} if they are too many to be counted.
    @ivar count: the number of all public rooms.
    """

    rooms: Sequence[tuple[str, str]]
    index: int | None
    count: int


@dataclass(frozen=True)
class RoomSearch:
    """
    Which public rooms to find. Texts are compared without regard to case and width (the case folding of their NFKC).

    @ivar terms: each must be part of one of the texts searched.
    @ivar inAddress: whether the bare JID of a room is one of the texts searched.
    @ivar inName: whether its name is.
    @ivar inDescription: whether its description is.
    @ivar language: the language tag of the rooms, or what precedes further subtags in it; C{""} for any.
    @ivar among: the rooms that may be found, in the order of the result; C{None} for all, by bare JID.
    @ivar without: rooms that are not to be found.
    """

    terms: Sequence[str] = ()
    inAddress: bool = True
    inName: bool = True
    inDescription: bool = True
    language: str = ""
    among: Sequence[str] | None = None
    without: Collection[str] = ()


@dataclass(frozen=True)
class FoundRooms:
    """
    A page of the result of a search.

    @ivar rooms: bare JID and settings of each room.
    @ivar index: the number of rooms found before the first of these.
    @ivar count: the number of all rooms found.
    """

    rooms: Sequence[tuple[str, Mapping[str, Any]]]
    index: int
    count: int


@dataclass(frozen=True)
class AffiliatedRooms:
    """
    A page of the rooms in which a user has an affiliation.

    @ivar rooms: bare JID, name and the user's affiliation, sorted by bare JID.
    @ivar index: the number of such rooms before the first of these.
    @ivar count: the number of all.
    """

    rooms: Sequence[tuple[str, str, str]]
    index: int
    count: int


class IRoomStore(IStore):
    """
    Rooms with their configuration and affiliations, named by bare JID.

    Requests for one room are carried out and answered in the order of the calls; lists of public rooms have at least
    what was answered before. The Deferred of a write fires when it is durable; if it fails, nothing of it has been
    done.
    """

    def load(room: str) -> Deferred[RoomRecord | None]:
        """Load a room, or C{None} if it is not stored."""

    def save(room: str, record: RoomRecord) -> Deferred[None]:
        """Store a whole room, replacing any of that name, or its tombstone."""

    def change(room: str, change: RoomChange) -> Deferred[None]:
        """Change a stored room; fails with L{StoreError}, also if the room is not stored."""

    def destroy(room: str, tombstone: Tombstone | None = None) -> Deferred[None]:
        """
        Delete a room and everything that belongs to it, if it is stored, also its tombstone.

        @param tombstone: what is kept instead. All tombstones that had expired when the room was destroyed are deleted.
        """

    def tombstone(room: str) -> Deferred[Tombstone | None]:
        """Load the tombstone of a room, which may have expired; C{None} if there is none."""

    def publicRooms(domain: str, after: str | None, before: str | None, limit: int) -> Deferred[PublicRooms]:
        """
        List a page of the public rooms of a domain, sorted by bare JID: those that follow C{after}, or those that
        precede C{before} (C{""}: the last ones), or the first ones.

        @param limit: the maximum of rooms; 0 for the count only.
        """

    def searchRooms(
        domain: str, search: RoomSearch, after: str | None, before: str | None, limit: int
    ) -> Deferred[FoundRooms]:
        """
        List a page of the public rooms of a domain that a search finds, as L{publicRooms}.

        @param after: as for L{publicRooms}; with C{search.among}, one of these.
        @param before: likewise.
        """

    def affiliatedRooms(
        domain: str, user: str, affiliations: Collection[str], after: str | None, before: str | None, limit: int
    ) -> Deferred[AffiliatedRooms]:
        """
        List a page of the rooms of a domain, public or not, in which a user has one of some affiliations; pages as for
        L{publicRooms}.

        @param user: a key of C{RoomRecord.affiliates}.
        """

    def temporaryRooms(domain: str) -> Deferred[list[str]]:
        """List the stored temporary rooms of a domain."""

    def usage(domain: str) -> Deferred[dict[str, tuple[int, int]]]:
        """Count the stored rooms of a domain, and add up their sizes, by C{RoomRecord.creator}."""

    def names(after: str, limit: int) -> Deferred[list[str]]:
        """
        List the stored rooms of all domains, public or not, by bare JID, sorted by code points, from the first that
        follows C{after}.
        """

    def tombstones(after: str, limit: int) -> Deferred[list[str]]:
        """List the rooms of which there are tombstones, expired or not, as L{names}."""

    def preferenceNames() -> Deferred[list[str]]:
        """List the names under which users have chosen something, sorted by code points."""

    def preferences(name: str) -> Deferred[dict[str, Any]]:
        """List what users have chosen for all rooms, under a name: JSON values by bare JID."""

    def setPreference(name: str, user: str, value: Any) -> Deferred[None]:
        """
        Store what a user has chosen.

        @param value: a JSON value; C{None} removes what is stored.
        """
