# -*- test-case-name: tests.operations.transfer.test_migrating -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What archives and audit trails have: too much to be read at once, so digests stand for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from muccore.interfaces import AuditEntry, AuditQuery, IArchiveStore, IAuditStore
from muccore.operations.transfer.archivemerge import ArchiveMerge
from muccore.operations.transfer.storecontents import Contents
from muccore.operations.transfer.storereader import archived, paged

_PAGE: Final = 500
_ALL: Final = 2**62
"""A time after all others, in microseconds since the epoch."""


class ArchiveDigests(Contents):
    """Archives of messages: each is a piece, of which a digest is read."""

    unit = "archives"

    async def names(self, store: IArchiveStore) -> AsyncIterator[str]:
        """List the archives that are not empty."""
        async for name in paged(store.names):
            if await store.metadata(name) is not None:
                yield name

    async def load(self, store: IArchiveStore, name: str) -> Any:
        """The number of messages, and the digest of all of them; C{None} without any."""
        count, digest = 0, hashlib.sha256()
        async for messages in archived(store, name):
            for item in messages.items:
                count += 1
                values = [item.id, item.time, item.sender, item.author, item.retracted]
                digest.update(json.dumps(values).encode() + b"\n" + item.stanza.head + item.stanza.tail + b"\n")
        return (count, digest.hexdigest()) if count else None

    async def copy(self, source: IArchiveStore, target: IArchiveStore, name: str) -> None:
        """Copy an archive, or what a copy lacks that was interrupted. If there is something else, it is replaced."""
        ends = await target.metadata(name)
        if ends is not None:
            if await source.get(name, ends.lastId) is not None:
                await _append(source, target, name, ends.lastId)
                if await self.load(target, name) == await self.load(source, name):
                    return
            await target.delete(name)
        await _append(source, target, name, None)

    def encode(self, value: Any) -> bytes:
        """See L{Contents.encode}."""
        return repr(value).encode()


async def _append(source: IArchiveStore, target: IArchiveStore, name: str, after: str | None) -> None:
    merge = ArchiveMerge(target, name, exists=False, dryRun=False)
    async for messages in archived(source, name, after):
        await merge.append(messages.items)
    await merge.finish()


class AuditTrails(Contents):
    """Audit trails, which are one piece, of which a digest is read."""

    unit = "collections of audit trails"

    async def names(self, store: IAuditStore) -> AsyncIterator[str]:
        """One name, if there are entries."""
        if (await store.query(AuditQuery(limit=1))).entries:
            yield "all"

    async def load(self, store: IAuditStore, name: str) -> Any:
        """The number of entries, and the digest of all of them; C{None} without any."""
        count, digest = 0, hashlib.sha256()
        async for entries in self._forward(store):
            for entry in entries:
                count += 1
                digest.update(json.dumps({**asdict(entry), "id": 0}, sort_keys=True).encode())
        return (count, digest.hexdigest()) if count else None

    async def copy(self, source: IAuditStore, target: IAuditStore, name: str) -> None:
        """Copy them, in place of others."""
        if await self.load(target, name) == await self.load(source, name):
            return
        await target.expire(_ALL)
        async for entries in self._forward(source):
            await target.append(entries)

    async def _forward(self, store: IAuditStore) -> AsyncIterator[Sequence[AuditEntry]]:
        """Read all entries, the oldest first, which stores give the newest first: by the ends of their pages."""
        ends: list[int | None] = [None]
        while True:
            page = await store.query(AuditQuery(before=ends[-1], limit=_PAGE))
            if page.complete:
                break
            ends.append(page.entries[-1].id)
        for before in reversed(ends):
            page = await store.query(AuditQuery(before=before, limit=_PAGE))
            yield list(reversed(page.entries))

    def encode(self, value: Any) -> bytes:
        """See L{Contents.encode}."""
        return repr(value).encode()
