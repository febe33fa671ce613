# -*- test-case-name: tests.storage.test_memoryaudit -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""C{memory:}, audit trails that are lost when the server ends, for tests: a query looks at every entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.interfaces import ENTRIES_LIMIT, AuditEntry, AuditPage, AuditQuery, IAuditStore
from muccore.storage.memory import whileOpen


@implementer(IAuditStore)
class MemoryAudit:
    """Audit trails in a list."""

    def __init__(self) -> None:
        self.isOpen = False
        self._entries: list[AuditEntry] = []
        self._last = 0

    def open(self) -> Deferred[None]:
        """See L{IAuditStore.open}."""
        self.isOpen = True
        return succeed(None)

    def close(self) -> Deferred[None]:
        """See L{IAuditStore.close}."""
        self.isOpen = False
        return succeed(None)

    @whileOpen
    def append(self, entries: Sequence[AuditEntry]) -> None:
        """See L{IAuditStore.append}."""
        for entry in entries:
            self._last += 1
            self._entries.append(replace(entry, id=self._last, details=dict(entry.details)))
        for room, kind in {(entry.room, entry.kind) for entry in entries}:
            alike = [entry for entry in self._entries if (entry.room, entry.kind) == (room, kind)]
            dropped = {entry.id for entry in alike[:-ENTRIES_LIMIT]}
            if dropped:
                self._entries = [entry for entry in self._entries if entry.id not in dropped]

    @whileOpen
    def query(self, query: AuditQuery) -> AuditPage:
        """See L{IAuditStore.query}."""
        found = [entry for entry in reversed(self._entries) if _matches(entry, query)]
        return AuditPage(found[: query.limit], len(found) <= query.limit)

    @whileOpen
    def expire(self, before: int) -> int:
        """See L{IAuditStore.expire}."""
        kept = next((place for place, entry in enumerate(self._entries) if entry.time >= before), len(self._entries))
        del self._entries[:kept]
        return kept


def _matches(entry: AuditEntry, query: AuditQuery) -> bool:
    return (
        query.room in (None, entry.room)
        and query.instance in (None, entry.instance)
        and query.kind in (None, entry.kind)
        and query.who in (None, entry.actor, entry.target)
        and (query.since is None or entry.time >= query.since)
        and (query.before is None or entry.id < query.before)
    )
