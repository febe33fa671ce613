# -*- test-case-name: tests.operations.transfer.test_migrating -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What stores of publish-subscribe nodes have: a node may have too many items to be read at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Final

from twisted.internet.defer import gatherResults

from muccore.interfaces import IPubSubStore
from muccore.operations.transfer.storecontents import Contents
from muccore.operations.transfer.storereader import itemsOf, nodesOf, paged

_ANY_NUMBER: Final = 2**31 - 1
"""What nobody has as many nodes or items as."""


class Nodes(Contents):
    """
    Nodes of accounts and of domains: each is a piece, of whose items a digest is read. It is named by its service, a
    JID, which has no space, and its name behind a space.
    """

    unit = "publish-subscribe nodes"

    async def names(self, store: IPubSubStore) -> AsyncIterator[str]:
        """See L{Contents.names}."""
        async for service in paged(store.services):
            async for node in nodesOf(store, service):
                yield f"{service} {node}"

    async def load(self, store: IPubSubStore, name: str) -> Any:
        """A node, the number of its items, and the digest of all of them."""
        service, _, node = name.partition(" ")
        found = await store.load(service, node)
        if found is None:
            return None
        count, digest = 0, hashlib.sha256()
        async for each in itemsOf(store, service, node):
            for item in each.items:
                count += 1
                values = [item.id, item.publisher, item.time, len(item.payload)]
                digest.update(json.dumps(values).encode() + b"\n" + item.payload)
        return json.dumps([asdict(found), count, digest.hexdigest()], sort_keys=True)

    async def copy(self, source: IPubSubStore, target: IPubSubStore, name: str) -> None:
        """See L{Contents.copy}."""
        wanted, there = await self.load(source, name), await self.load(target, name)
        if wanted is None or wanted == there:
            return
        service, _, node = name.partition(" ")
        if there is not None:
            await target.delete(service, node)
        content = await source.load(service, node)
        assert content is not None, "nobody else has it open"
        await target.create(service, node, content, _ANY_NUMBER)
        async for each in itemsOf(source, service, node):
            # Databases commit together what comes together.
            await gatherResults(
                [target.publish(service, node, item, _ANY_NUMBER) for item in each.items], consumeErrors=True
            )

    def encode(self, value: Any) -> bytes:
        """See L{Contents.encode}."""
        return bytes(value.encode())
