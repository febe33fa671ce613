# -*- test-case-name: tests.operations.transfer.test_storewriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Messages that come into an archive.

Archives grow at their ends only. So of what comes, that is appended which follows what is there: what comes after the
last message there, or, if that does not come, what is later. What would be before that cannot come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from twisted.internet.defer import Deferred

from muccore.interfaces import ArchiveItem, ArchiveMetadata, IArchiveStore, ItemExists
from muccore.operations.transfer.records import Problem

SIZE_AT_ONCE: Final = 8 * 1024 * 1024
"""
Bytes of messages that are being written at a time, unless a single group is larger: a store commits at once those that
come close together, and refuses what would wait for too many.
"""


class ArchiveMerge:
    """Appends messages to one archive."""

    def __init__(self, store: IArchiveStore, name: str, exists: bool, dryRun: bool) -> None:
        """
        @param name: the address of the archive.
        @param exists: whether there may be messages in it.
        @param dryRun: whether nothing is to be appended.
        """
        self._store = store
        self._name = name
        self._dryRun = dryRun
        # What was there, until what comes is known to follow it.
        self._ends: ArchiveMetadata | None = None
        self._looks = exists
        self._early = 0
        self._count = 0
        self._writing: deque[tuple[Deferred[None], int]] = deque()
        self._size = 0

    async def append(self, items: Sequence[ArchiveItem]) -> None:
        """
        Append messages that follow those before; those that are there already are left out. It is certain with
        L{finish} only.

        @raise StoreError: if these, or earlier ones, cannot be written.
        """
        if self._looks:
            self._looks = False
            self._ends = await self._store.metadata(self._name)
        if self._ends is not None:
            items = await self._later(self._ends, items)
        size = sum([len(item.stanza.tail) for item in items])
        while self._writing and self._size + size > SIZE_AT_ONCE:
            await self._wait()
        if items:
            self._writing.append((Deferred.fromCoroutine(self._write(items)), size))
            self._size += size

    async def _wait(self) -> None:
        """Wait for the group that is being written for the longest time."""
        writing, size = self._writing.popleft()
        self._size -= size
        await writing

    async def _later(self, ends: ArchiveMetadata, items: Sequence[ArchiveItem]) -> list[ArchiveItem]:
        """The messages that follow what was there."""
        later: list[ArchiveItem] = []
        for number, item in enumerate(items):
            if item.id == ends.lastId:
                self._ends = None
                return [*later, *items[number + 1 :]]
            if item.time > ends.lastTime:
                later.append(item)
            elif await self._store.get(self._name, item.id) is None:
                self._early += 1
        return later

    async def _write(self, items: Sequence[ArchiveItem]) -> None:
        if self._dryRun:
            self._count += len(items)
            return
        try:
            await self._store.append(self._name, [_withText(item) for item in items])
        except ItemExists:
            unique = {item.id: item for item in items}.values()
            items = [item for item in unique if await self._store.get(self._name, item.id) is None]
            await self._store.append(self._name, [_withText(item) for item in items])
        tombstones = {item.id: item.stanza for item in items if item.retracted}
        if tombstones:
            await self._store.retract(self._name, tombstones)
        self._count += len(items)

    async def finish(self) -> tuple[int, list[Problem]]:
        """
        Wait until all is written.

        @return: how many messages were appended, or would be, and what could not come.
        @raise StoreError: if something cannot be written.
        """
        while self._writing:
            await self._wait()
        problems = []
        if self._early:
            text = "the archive here has later ones already, and grows only at its end"
            problems.append(Problem(self._name, f"{self._early} messages in the archive", text))
        return self._count, problems


def _withText(item: ArchiveItem) -> ArchiveItem:
    """A message with the text that searches find it by."""
    stanza = item.stanza.withoutElement()
    text = "" if item.retracted else stanza.element.childText("body") or ""
    return replace(item, stanza=stanza.withoutElement(), text=text, retracted=False)
