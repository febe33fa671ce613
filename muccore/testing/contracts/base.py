# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The base class of the contracts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import gatherResults
from twisted.python.filepath import FilePath

from muccore.interfaces import StoreUnavailable

if TYPE_CHECKING:
    import unittest

    class TestCase(unittest.TestCase):
        """The part of trial's TestCase that contracts use; the class that mixes one in has trial's own."""

        def mktemp(self) -> str:
            """See C{trial}."""
            raise NotImplementedError

        def successResultOf(self, deferred: object) -> Any:
            """See C{trial}."""
            raise NotImplementedError
else:
    TestCase = object


class Contract(TestCase):
    """Makes, opens and closes the stores under test."""

    durable = True
    """Whether another store at the same place finds the content of this one."""

    requests: Sequence[tuple[Any, ...]]
    """A request of each kind: the name of the method, and its arguments."""

    def makeStore(self, place: FilePath[str]) -> Any:
        """Make a store at a path in the test's folder, where at first nothing is, without opening it."""
        raise NotImplementedError("a contract's makeStore")

    def setUp(self) -> None:
        """Choose the place."""
        super().setUp()
        self.place = FilePath(self.mktemp())

    async def opened(self) -> Any:
        """Open a store; it is closed after the test."""
        store = self.makeStore(self.place)
        await store.open()
        self.addCleanup(store.close)
        return store

    async def reopened(self, store: Any) -> Any:
        """Close a store and open another one at the same place; if it is not L{durable}, return it as it is."""
        if not self.durable:
            return store
        await store.close()
        return await self.opened()

    async def test_closed(self) -> None:
        """A store that is not open refuses every request."""
        for store in (self.makeStore(self.place), await self.opened()):
            await store.close()
            for name, *arguments in self.requests:
                with self.assertRaises(StoreUnavailable):
                    await getattr(store, name)(*arguments)

    async def test_closedTwice(self) -> None:
        """A store can be closed again, before and after the first C{close} has fired."""
        store = await self.opened()
        await gatherResults([store.close(), store.close()])
        await store.close()

    async def test_closedUnopened(self) -> None:
        """A store that was not opened can be closed."""
        await self.makeStore(self.place).close()
