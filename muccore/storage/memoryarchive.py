# -*- test-case-name: tests.storage.test_memoryarchive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{memory:}, message archives that are lost when the server ends, for tests: a query looks at every item."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import (
    IDS_LIMIT,
    ArchiveItem,
    ArchiveMetadata,
    ArchivePage,
    ArchiveQuery,
    IArchiveStore,
    ItemExists,
    NoSuchItem,
    QueryRefused,
)
from muccore.storage.fulltext import contains, queryWords, words
from muccore.storage.memory import whileOpen
from muccore.xmpp.rendering import Rendered


@dataclass
class _Archive:
    """The items of an archive by id, in order, and the words of those that have some."""

    items: dict[str, ArchiveItem] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)

    def matches(self, query: ArchiveQuery) -> Callable[[ArchiveItem], bool]:
        """Whether an item satisfies a query, but for its place."""
        wanted = None if query.text is None else queryWords(query.text)
        ids = None if query.ids is None else frozenset(query.ids)
        return lambda item: (
            (query.start is None or query.start <= item.time)
            and (query.end is None or item.time <= query.end)
            and (query.sender is None or query.sender in (item.sender, item.sender.partition("/")[0]))
            and (query.author is None or query.author == item.author)
            and (ids is None or item.id in ids)
            and (wanted is None or contains(self.words.get(item.id, ()), wanted))
        )


@implementer(IArchiveStore)
class MemoryArchive:
    """Archives in dictionaries."""

    def __init__(self) -> None:
        self.isOpen = False
        self._archives: dict[str, _Archive] = {}

    def open(self) -> Deferred[None]:
        """See L{IArchiveStore.open}."""
        self.isOpen = True
        return succeed(None)

    def openReading(self) -> Deferred[None]:
        """See L{IArchiveStore.openReading}: no other process has it open."""
        return self.open()

    def close(self) -> Deferred[None]:
        """See L{IArchiveStore.close}."""
        self.isOpen = False
        return succeed(None)

    @whileOpen
    def append(self, archive: str, items: Sequence[ArchiveItem]) -> None:
        """See L{IArchiveStore.append}."""
        found = self._archives.get(archive, _Archive())
        new = {item.id: item for item in items}
        if len(new) < len(items) or not new.keys().isdisjoint(found.items):
            raise ItemExists(f"{archive}: an id is in the archive already")
        if new:
            self._archives[archive] = found
        for item in items:
            found.items[item.id] = replace(item, stanza=item.stanza.withoutElement(), text="")
            found.words[item.id] = words(item.text)

    @whileOpen
    def query(self, archive: str, query: ArchiveQuery) -> ArchivePage:
        """See L{IArchiveStore.query}."""
        if len(query.ids or ()) > IDS_LIMIT:
            raise QueryRefused(f"the query has {len(query.ids or ())} ids; {IDS_LIMIT} are allowed")
        found = self._archives.get(archive, _Archive())
        items = list(found.items.values())
        places = {item.id: place for place, item in enumerate(items)}
        for id in query.ids or ():
            _place(id, places, 0)
        low, high = _place(query.afterId, places, -1), _place(query.beforeId, places, len(items))
        first, last = _place(query.after, places, -1), _place(query.before or None, places, len(items))
        matches = found.matches(query)
        matching = [place for place in range(low + 1, high) if matches(items[place])]
        page = [place for place in matching if first < place < last]
        complete = len(page) <= query.limit
        page = page[max(0, len(page) - query.limit) :] if query.before is not None else page[: query.limit]
        index = matching.index(page[0]) if page and query.counted else None
        count = len(matching) if query.counted else None
        return ArchivePage([items[place] for place in page], complete, index, count)

    @whileOpen
    def get(self, archive: str, id: str) -> ArchiveItem | None:
        """See L{IArchiveStore.get}."""
        return self._archives.get(archive, _Archive()).items.get(id)

    @whileOpen
    def metadata(self, archive: str) -> ArchiveMetadata | None:
        """See L{IArchiveStore.metadata}."""
        items = list(self._archives.get(archive, _Archive()).items.values())
        return ArchiveMetadata(items[0].id, items[0].time, items[-1].id, items[-1].time) if items else None

    @whileOpen
    def retract(self, archive: str, tombstones: Mapping[str, Rendered]) -> int:
        """See L{IArchiveStore.retract}."""
        found = self._archives.get(archive, _Archive())
        there = [id for id in tombstones if id in found.items]
        for id in there:
            stanza = tombstones[id].withoutElement()
            found.items[id] = replace(found.items[id], stanza=stanza, retracted=True)
            found.words.pop(id, None)
        return len(there)

    @whileOpen
    def remove(self, archive: str, ids: Collection[str]) -> int:
        """See L{IArchiveStore.remove}."""
        found = self._archives.get(archive, _Archive())
        there = [id for id in set(ids) if found.items.pop(id, None) is not None]
        for id in there:
            found.words.pop(id, None)
        return len(there)

    @whileOpen
    def expire(self, archive: str, before: int) -> int:
        """See L{IArchiveStore.expire}."""
        found = self._archives.get(archive, _Archive())
        old = list(_oldest(found.items.values(), before))
        for id in old:
            del found.items[id]
            found.words.pop(id, None)
        return len(old)

    @whileOpen
    def trim(self, archive: str, count: int) -> int:
        """See L{IArchiveStore.trim}."""
        found = self._archives.get(archive, _Archive())
        surplus = list(found.items)[: max(0, len(found.items) - count)]
        for id in surplus:
            del found.items[id]
            found.words.pop(id, None)
        return len(surplus)

    @whileOpen
    def delete(self, archive: str) -> None:
        """See L{IArchiveStore.delete}."""
        self._archives.pop(archive, None)

    def deleteUnopened(self, archive: str) -> Deferred[None]:
        """See L{IArchiveStore.deleteUnopened}: no other process has these."""
        self._archives.pop(archive, None)
        return succeed(None)

    @whileOpen
    def names(self, after: str, limit: int) -> list[str]:
        """See L{IArchiveStore.names}."""
        return sorted(name for name in self._archives if name > after)[:limit]


def _place(id: str | None, places: Mapping[str, int], default: int) -> int:
    """The place of an item; the default if there is no id."""
    if id is None:
        return default
    if id not in places:
        raise NoSuchItem(f"{id!r} is not in the archive")
    return places[id]


def _oldest(items: Iterable[ArchiveItem], before: int) -> Iterator[str]:
    for item in items:
        if item.time >= before:
            return
        yield item.id
