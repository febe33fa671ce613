# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the contracts of all stores have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import gatherResults
from twisted.python.filepath import FilePath

if TYPE_CHECKING:
    import unittest

    class TestCase(unittest.TestCase):
        """
        As much of trial's as contracts need, with types. At run time whoever mixes a contract in brings trial's own.
        """

        def mktemp(self) -> str:
            """A new name in the test's own folder."""
            raise NotImplementedError

        def successResultOf(self, deferred: object) -> Any:
            """The result that a Deferred has."""
            raise NotImplementedError
else:
    TestCase = object


class Contract(TestCase):
    """How a contract comes by its stores."""

    durable = True
    """Whether another store on the same place finds what this one has kept."""

    def makeStore(self, place: FilePath[str]) -> Any:
        """
        Make a store that is not open.

        @param place: a name in the test's own folder; nothing is there at first. Stores that are made for the same
            place keep the same things, if L{durable}.
        """
        raise NotImplementedError("a contract's makeStore")

    def setUp(self) -> None:
        """Choose the place."""
        super().setUp()
        self.place = FilePath(self.mktemp())

    async def opened(self) -> Any:
        """A store that is open and will be closed."""
        store = self.makeStore(self.place)
        await store.open()
        self.addCleanup(store.close)
        return store

    async def reopened(self, store: Any) -> Any:
        """Another store that keeps the same, after this one was closed; this very one if it is not L{durable}."""
        if not self.durable:
            return store
        await store.close()
        return await self.opened()

    async def test_closedTwice(self) -> None:
        """Closing a store again is harmless, whether or not the first has finished."""
        store = await self.opened()
        await gatherResults([store.close(), store.close()])
        await store.close()

    async def test_closedUnopened(self) -> None:
        """A store that was never opened can be closed."""
        await self.makeStore(self.place).close()
