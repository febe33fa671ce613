# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of message archives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from twisted.internet.defer import Deferred

from muccore.interfaces.stores import IStore, StoreError
from muccore.xmpp.rendering import Rendered

IDS_LIMIT: Final = 1000
"""The maximum of ids in one query."""

WORDS_LIMIT: Final = 16
"""The maximum of words in one query."""


class NoSuchItem(StoreError):
    """A query names an id that is not in the archive (XEP-0313 §4.1.3, §4.3.2: C{item-not-found})."""


class ItemExists(StoreError):
    """An id is in the archive already."""


class QueryRefused(StoreError):
    """A query has more words or ids than L{WORDS_LIMIT} and L{IDS_LIMIT} allow."""


@dataclass(slots=True)
class ArchiveItem:
    """
    A message in an archive, not to be changed: it is not frozen, since that makes it slow to create.

    @ivar id: its stable stanza id (XEP-0359), unique in the archive.
    @ivar time: when it was received or sent, in microseconds since the epoch.
    @ivar sender: whom a query by C{with} finds it by: in the archive of a room the occupant JID that it is from (the
        room's own JID for what the room says), in the archive of an account the JID at the other end.
    @ivar author: the bare JID of the account that has written it; C{""} if it is not known. Not to be shown to
        everybody.
    @ivar stanza: the message; in the archive of a room without C{to}, in that of an account with it, rendered in the
        tail.
    @ivar text: what full-text queries search, such as its body. Stores do not give it back.
    @ivar retracted: whether it is a tombstone, see L{IArchiveStore.retract}.
    """

    id: str
    time: int
    sender: str
    author: str = field(repr=False)
    stanza: Rendered = field(repr=False, compare=False)
    text: str = field(default="", repr=False, compare=False)
    retracted: bool = False


@dataclass(frozen=True, slots=True)
class ArchiveQuery:
    """
    Which items of an archive are requested: a filter, and a page of what it lets through. C{None} means any.

    @ivar start: the earliest time, in microseconds since the epoch.
    @ivar end: the latest time.
    @ivar sender: the L{ArchiveItem.sender}; a bare JID stands for all its resources.
    @ivar author: the L{ArchiveItem.author}.
    @ivar text: words that must all be in the text, in any order. Case, width, accents and punctuation make no
        difference. Without a word, nothing is found.
    @ivar ids: the ids, see L{IDS_LIMIT}.
    @ivar afterId: the id of an item, found or not, after which the others must be.
    @ivar beforeId: the same for before.
    @ivar limit: the maximum of items on the page. It may have fewer, at least one, if there are megabytes of them.
    @ivar after: the id of the item, found or not, that precedes the page.
    @ivar before: the id of the item that follows the page, which ends there; C{""}: the last page. At most one of
        C{after} and C{before} is given.
    @ivar counted: whether index and count are wanted, which takes time.
    """

    start: int | None = None
    end: int | None = None
    sender: str | None = None
    author: str | None = None
    text: str | None = field(default=None, repr=False)
    ids: Sequence[str] | None = None
    afterId: str | None = None
    beforeId: str | None = None
    limit: int = 50
    after: str | None = None
    before: str | None = None
    counted: bool = False


@dataclass(frozen=True, slots=True)
class ArchivePage:
    """
    A page of an archive.

    @ivar items: oldest first.
    @ivar complete: whether nothing that the filter lets through follows the page, or, if it was requested by C{before},
        precedes it.
    @ivar index: the number of items that the filter lets through before this page; C{None} if that was not asked for,
        the page is empty, or they are too many to be counted.
    @ivar count: the number of all items that the filter lets through; C{None} likewise.
    """

    items: Sequence[ArchiveItem]
    complete: bool
    index: int | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class ArchiveMetadata:
    """Id and time of the first and the last item of an archive."""

    firstId: str
    firstTime: int
    lastId: str
    lastTime: int


class IArchiveStore(IStore):
    """
    Archives of messages (XEP-0313), each named by the bare JID of a room or an account.

    The order of an archive is that in which its items were appended, whatever their times and ids are. Writes to one
    archive are carried out in the order of the calls, and a read sees all that were requested before it. The Deferred
    of a write fires when it is durable; if it fails, nothing of that call has been done.
    """

    def openReading() -> Deferred[None]:
        """
        Open the store for reading alone, as another process may have it open: L{open} would take over what that one has
        not yet committed, which is not found then. Writes are refused with L{StoreUnavailable}.

        @raise StoreUnavailable: (as failure) as L{open}.
        @raise SchemaTooNew: (as failure) likewise.
        """

    def append(archive: str, items: Sequence[ArchiveItem]) -> Deferred[None]:
        """
        Append items to an archive, which need not exist. Calls are committed in groups, within about 300 ms. What a
        killed process has not committed, a persistent store appends at the next start; a power failure may take it.

        @raise ItemExists: (as failure) if one of the ids is in the archive, or twice among the items.
        @raise StoreUnavailable: (as failure) if they cannot be written, or too many wait to be.
        """

    def query(archive: str, query: ArchiveQuery) -> Deferred[ArchivePage]:
        """
        Request a page. An archive that does not exist is empty.

        @raise NoSuchItem: (as failure) if an id in the query is not in the archive.
        @raise QueryRefused: (as failure) if the query is too long.
        """

    def get(archive: str, id: str) -> Deferred[ArchiveItem | None]:
        """Get one item, or C{None} if it is not there."""

    def metadata(archive: str) -> Deferred[ArchiveMetadata | None]:
        """Get the ends of an archive, or C{None} if it is empty (XEP-0313 §5)."""

    def retract(archive: str, tombstones: Mapping[str, Rendered]) -> Deferred[int]:
        """
        Replace items by tombstones (XEP-0424 §4), all of them in one write. Ids, times, senders, authors and places
        stay; of stanza and text nothing remains in the store, except for a while in what a database keeps of its own
        past. Ids that are not in the archive are ignored.

        @param tombstones: id to the new stanza.
        @return: the number of items that were there.
        """

    def remove(archive: str, ids: Collection[str]) -> Deferred[int]:
        """
        Remove items that nobody has got, as what is returned to its sender is not archived (XEP-0313 §6.1); others are
        replaced by tombstones. Ids that are not in the archive are ignored.

        @return: the number of items removed.
        """

    def expire(archive: str, before: int) -> Deferred[int]:
        """
        Delete the oldest items, up to the first that is not older than a time, since an archive must not get holes
        (XEP-0313 §3.2). This is done step by step; if it fails, some may be gone already.

        @param before: the time, in microseconds since the epoch.
        @return: the number of items deleted.
        """

    def trim(archive: str, count: int) -> Deferred[int]:
        """
        Delete the oldest items, so that at most some are left. This is done step by step, as L{expire}.

        @param count: how many may be left.
        @return: the number of items deleted.
        """

    def delete(archive: str) -> Deferred[None]:
        """Delete an archive, if it exists. Its content may be erased later, but cannot be found any more."""

    def deleteUnopened(archive: str) -> Deferred[None]:
        """
        Delete an archive while the store is not open here, as another process may have it open: L{open} would take over
        what that one has not yet committed. What that one appends to the archive at the moment may stay.

        @raise StoreUnavailable: (as failure) if it cannot be written.
        """

    def names(after: str, limit: int) -> Deferred[list[str]]:
        """List archives, sorted by code point, from the first that follows C{after}. An empty one may be among them."""
