# Copyright (c) The muccore authors. See LICENSE for details.
"""Random requests for archives, whose results are compared with those of L{MemoryArchive}."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import ArchiveItem, ArchiveQuery, StoreError
from muccore.storage.memoryarchive import MemoryArchive
from muccore.storage.rows.archivequeries import ArchiveQueries
from muccore.storage.rows.archiverows import ArchiveRows
from muccore.testing.contracts.archivequeries import message, shown
from muccore.xmpp.rendering import Rendered

ARCHIVES = st.sampled_from(["a@x", "b@x"])
_id = st.sampled_from([f"m{n}" for n in range(12)])
_sender = st.sampled_from(["a@x/A", "a@x/B", "a@x", "b@x/A", "b@x", "romeo@z", "romeo@z/1", "romeo@z/1/2"])
_author = st.sampled_from(["", "romeo@z", "hag@z"])
_time = st.integers(-3, 6)
_text = st.lists(st.sampled_from(["fire", "Fire", "BURN", "ä", "a", "東京", '"', "-", "NOT"]), max_size=3).map(" ".join)
_item = st.builds(
    lambda id, time, sender, author, text: ArchiveItem(id, time, sender, author, message(text), text),
    _id, _time, _sender, _author, _text,
)  # fmt: skip
QUERIES = st.builds(
    lambda page, **filters: ArchiveQuery(**page, **filters),
    st.fixed_dictionaries({}, optional={"after": _id})
    | st.fixed_dictionaries({}, optional={"before": st.just("") | _id}),
    start=st.none() | _time,
    end=st.none() | _time,
    sender=st.none() | st.none() | _sender,
    author=st.none() | st.none() | _author,
    text=st.none() | st.none() | _text,
    ids=st.none() | st.none() | st.lists(_id, max_size=4),
    afterId=st.none() | st.none() | _id,
    beforeId=st.none() | st.none() | _id,
    limit=st.integers(0, 4),
    counted=st.booleans(),
)
CALLS = st.one_of(
    st.tuples(st.just("append"), ARCHIVES, st.lists(_item, max_size=5, unique_by=lambda each: each.id)),
    st.tuples(st.just("append"), ARCHIVES, st.lists(_item, max_size=5)),
    st.tuples(st.just("retract"), ARCHIVES, st.dictionaries(_id, _text.map(message), max_size=3)),
    st.tuples(st.just("remove"), ARCHIVES, st.lists(_id, max_size=3)),
    st.tuples(st.just("expire"), ARCHIVES, _time),
    st.tuples(st.just("trim"), ARCHIVES, st.integers(0, 6)),
    st.tuples(st.just("delete"), ARCHIVES),
    st.tuples(st.just("get"), ARCHIVES, _id),
    st.tuples(st.just("metadata"), ARCHIVES),
    st.tuples(st.just("erase")),
)
SEARCHES = st.tuples(ARCHIVES, QUERIES)


class AtOnce:
    """Does what archives of rows do in their threads."""

    def __init__(self, connection: Any, rows: ArchiveRows[Any], queries: ArchiveQueries[Any]) -> None:
        self.connection = connection
        self.rows = rows
        self._queries = queries
        self._erase = rows.eraser()

    def append(self, archive: str, items: list[ArchiveItem]) -> None:
        """Append items."""
        [refused] = self.rows.appendItems(self.connection, [(archive, items)])
        if refused is not None:
            raise refused

    def retract(self, archive: str, tombstones: dict[str, Rendered]) -> int:
        """Retract items."""
        stanzas = [(id, (stanza.head + stanza.tail).decode()) for id, stanza in tombstones.items()]
        return self.rows.retractItems(self.connection, archive, stanzas)

    def remove(self, archive: str, ids: list[str]) -> int:
        """Remove items."""
        return self.rows.removeItems(self.connection, archive, ids)

    def expire(self, archive: str, before: int) -> int:
        """Expire items."""
        return self._inSteps(self.rows.expireItems, archive, before)

    def trim(self, archive: str, count: int) -> int:
        """Delete surplus items."""
        return self._inSteps(self.rows.trimItems, archive, count)

    def _inSteps(self, step: Callable[[Any, str, int], tuple[int, bool]], archive: str, argument: int) -> int:
        removed, more = 0, True
        while more:
            count, more = step(self.connection, archive, argument)
            removed += count
        return removed

    def delete(self, archive: str) -> None:
        """Delete an archive."""
        self.rows.deleteArchive(self.connection, archive)

    def query(self, archive: str, query: ArchiveQuery) -> Any:
        """Find a page."""
        return self._queries.findPage(self.connection, archive, query)

    def get(self, archive: str, id: str) -> Any:
        """Get an item."""
        return self._queries.getItem(self.connection, archive, id)

    def metadata(self, archive: str) -> Any:
        """Get the ends."""
        return self._queries.getMetadata(self.connection, archive)

    def erase(self) -> None:
        """Take a step."""
        self._erase(self.connection)


def _plain(result: Any) -> Any:
    """A result that can be compared."""
    if isinstance(result, ArchiveItem):
        return shown(result)
    if hasattr(result, "items"):
        return [shown(each) for each in result.items], result.complete, result.index, result.count
    return result


def compare(
    case: SynchronousTestCase, store: AtOnce, calls: Sequence[tuple[Any, ...]],
    queries: Sequence[tuple[str, ArchiveQuery]],
) -> None:  # fmt: skip
    """Check that an empty store and one in memory give the same results, and the same pages of the same items."""
    model = MemoryArchive()
    model.open()
    for name, *arguments in [*calls, *(("query", *query) for query in queries)]:
        if name == "erase":
            store.erase()
            continue
        expected = getattr(model, name)(*arguments)
        try:
            found = getattr(store, name)(*arguments)
        except StoreError as e:
            case.failureResultOf(expected, type(e))
            continue
        case.assertEqual(_plain(found), _plain(case.successResultOf(expected)), (name, arguments))
    while store.rows.mustErase(store.connection):
        store.erase()
    for name in ("a@x", "b@x"):
        everything = case.successResultOf(model.query(name, ArchiveQuery(limit=100)))
        case.assertEqual(_plain(store.query(name, ArchiveQuery(limit=100))), _plain(everything))
