# -*- test-case-name: tests.operations.transfer.test_records -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What moves between servers, files and stores: accounts, what they publish, rooms, and the messages in archives.

A source gives one stream of records: an account or a room, then the nodes of the account, their items and the messages
in the archive, piece by piece, then the next one. So an archive of any size passes through constant memory. If there is
more of an account or room after its messages, another record of it follows, which adds to the first. What a source
finds and cannot give is in the stream as well, as a L{Problem}: it is reported, not lost silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from muccore.im.archivepreferences import ArchivePreferences
from muccore.interfaces import Affiliate, ArchiveItem, PubSubItem, RosterItem, StoredNode, Subject
from muccore.xmpp.element import Element
from muccore.xmpp.scramkeys import ScramKeys


class SourceError(Exception):
    """A source cannot be read (any further). C{str()} is a line for the operator."""


@dataclass(frozen=True, slots=True)
class OfflineMessage:
    """
    A message that waits for a user.

    @ivar time: when it came, in microseconds since the epoch.
    @ivar message: the C{<message/>}, with C{to} and a delay stamp.
    """

    time: int
    message: Element = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """
    An account with what it keeps, but for its archive.

    @ivar account: its address: a bare JID, prepared, as text.
    @ivar password: its password, if that is known; then its keys do not matter.
    @ivar keys: its SCRAM keys, at most one for each hash. Without a password and keys nobody can log in until an admin
        sets a password.
    @ivar disabled: whether nobody may log in.
    @ivar roster: its contacts, by prepared bare JID. A request that waits for an answer is part of the item, which is
        not C{listed} if there is nothing else.
    @ivar private: its elements of private XML storage (XEP-0049), each with a namespace of its own.
    @ivar vCard: its C{<vCard/>} (XEP-0054), or C{None}.
    @ivar blocked: the addresses that it blocks (XEP-0191), prepared.
    @ivar archiving: what it wants to have archived (XEP-0441); C{None}: the default.
    @ivar offline: the messages that wait for it, oldest first.
    @ivar documents: what the store of documents has of it besides, by kind and key.
    @ivar preferences: what it has chosen for all rooms (L{IRoomStore.preferences<muccore.interfaces.IRoomStore>}), by
        name: JSON values.
    """

    account: str
    password: str | None = field(default=None, repr=False)
    keys: tuple[ScramKeys, ...] = ()
    disabled: bool = False
    roster: Mapping[str, RosterItem] = field(default_factory=dict, repr=False)
    private: tuple[Element, ...] = field(default=(), repr=False)
    vCard: Element | None = field(default=None, repr=False)
    blocked: frozenset[str] = field(default=frozenset(), repr=False)
    archiving: ArchivePreferences | None = field(default=None, repr=False)
    offline: tuple[OfflineMessage, ...] = field(default=(), repr=False)
    documents: Mapping[tuple[str, str], bytes] = field(default_factory=dict, repr=False)
    preferences: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class UserNode:
    """
    A node to which the account that precedes it in the stream publishes (XEP-0163), without its items.

    @ivar account: its address.
    @ivar node: the name of the node.
    @ivar content: what is stored of it, in values that this server knows. Of a node that came before in the stream, the
        affiliations and subscriptions are added.
    @ivar isConfigured: whether the configuration was known, and not just made up.
    """

    account: str
    node: str
    content: StoredNode = field(repr=False)
    isConfigured: bool = True


@dataclass(frozen=True, slots=True)
class NodeItems:
    """
    Items of a node of the account that precedes them in the stream, in the order of their publication.

    @ivar account: its address.
    @ivar node: the name of the node.
    @ivar items: some hundred at most.
    """

    account: str
    node: str
    items: tuple[PubSubItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """
    A room, but for its archive, which is its history as well.

    @ivar room: its address: a bare JID, prepared, as text.
    @ivar settings: its configuration: names of
        L{RoomSettings.toMapping<muccore.muc.model.roomsettings.RoomSettings>} to JSON values. Those that are missing
        have the default of the server that it comes to.
    @ivar affiliates: its list, by prepared bare JID or domain: affiliations with reasons, and the nicks that are
        reserved for registered users, whose affiliation may be C{none}.
    @ivar subject: its subject with author and time, or C{None}.
    @ivar states: what extensions keep of it, as in L{RoomRecord<muccore.interfaces.RoomRecord>}: timed bans and mutes
        (L{muccore.muc.model.timedprivileges}), requests for membership (L{muccore.muc.model.membershiprequests}), hats;
        but for the vCard.
    @ivar vCard: its C{<vCard/>} with its avatar (XEP-0054, XEP-0486), or C{None}.
    @ivar creator: the bare JID of who has created it; C{""} if it is not known.
    """

    room: str
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    affiliates: Mapping[str, Affiliate] = field(default_factory=dict, repr=False)
    subject: Subject | None = field(default=None, repr=False)
    states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    vCard: Element | None = field(default=None, repr=False)
    creator: str = ""


@dataclass(frozen=True, slots=True)
class Messages:
    """
    Messages in the archive of the account or room that precedes them in the stream, in the order of the archive.

    @ivar archive: its address.
    @ivar items: some hundred at most, whose stanzas are what C{ArchiveItem} says: that of an account has its C{to} in
        the tail, that of a room has none. Their C{text} need not be given.
    """

    archive: str
    items: tuple[ArchiveItem, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Something that cannot come.

    @ivar subject: the account or room that it belongs to; C{""} for none.
    @ivar what: what it is, in a few words.
    @ivar reason: why it cannot come.
    @ivar wholly: whether the account or room cannot come at all; its record is not in the stream then.
    """

    subject: str
    what: str
    reason: str
    wholly: bool = False

    def __str__(self) -> str:
        subject = f"{self.subject}: " if self.subject else ""
        return f"{subject}{self.what}: {self.reason}"


Written = User | UserNode | NodeItems | Room | Messages
"""What a target takes."""

Record = Written | Problem
"""What is in a stream."""


class ISource(Interface):
    """
    Accounts and rooms that are read from outside of the server's stores, such as a file. Reading may wait for the disk:
    it is done in processes of their own.
    """

    size = Attribute("C{int | None}: the size of all, in the unit of L{position}; C{None} if it is not known.")
    position = Attribute("C{int}: how much of that has been read.")
    unit = Attribute("C{str}: the unit, for people: C{'B'} for bytes, or such as C{'files'}.")

    def records() -> Iterable[Record]:
        """
        Read the records, from the beginning; every call reads anew.

        @raise SourceError: (while it is iterated) if it cannot be read any further.
        """


class ITarget(Interface):
    """Where records go. After L{finish} there are no more of them; after a failure it is not to be used any further."""

    summary = Attribute("What came so far, with C{problems}: those of what cannot, each with the number of times.")

    def write(record: Written) -> Deferred[None]:
        """
        Take the next record of a stream. It is durable when L{finish} has fired.

        @raise StoreError: (as failure) if it, or an earlier one, cannot be written.
        """

    def finish() -> Deferred[None]:
        """Wait until all is written; fails as L{write}."""
