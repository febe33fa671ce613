# -*- test-case-name: tests.net.test_outbox -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What waits for a reader: the parts of an outbox, what a connection tells its protocol about it, and the bound for all
outboxes together (docs/design/0022-outboxes.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

OUTBOXES_LIMIT: Final = 512 * 1024 * 1024
"""Default limit for the unsent bytes of all connections."""

PIECE: Final = 256 * 1024
"""Bytes that are joined and sent at a time."""

HIGH: Final = 256 * 1024
"""Bytes that wait, bulk included, above which the other side is not read."""

LOW: Final = HIGH // 2
"""Bytes that wait, below which it is read again."""


class Bulk:
    """
    A part of an outbox that is made as the reader takes it.

    @ivar size: the bytes that are left.
    @ivar own: whether it was made for this reader, so that its end frees memory.
    """

    __slots__ = ("_pieces", "own", "size")

    def __init__(self, pieces: Iterator[bytes], size: int, own: bool = False) -> None:
        """@param pieces: each is sent whole or not at all."""
        self._pieces = pieces
        self.size = size
        self.own = own

    def take(self, limit: int) -> bytes:
        """Make the next pieces, until they have as many bytes as C{limit}; C{b""} at the end."""
        taken: list[bytes] = []
        size = 0
        while size < limit and (piece := next(self._pieces, None)) is not None:
            taken.append(piece)
            size += len(piece)
        self.size = max(0, self.size - size)
        return b"".join(taken)


class OutboxOwner(Protocol):
    """What a protocol has whose connection is to tell it about its outbox. All calls may come from inside a write."""

    def outboxFilled(self) -> None:
        """Ask for nothing more: the other side has much to read. To be called once until L{outboxDrained}."""

    def outboxDrained(self) -> None:
        """Go on."""

    def outboxExceeded(self, condition: str, text: str) -> None:
        """End the stream with an error. Never called from inside a write; what waited is dropped already."""


class Waiting(Protocol):
    """A connection of which bytes wait, hashable by identity."""

    def endForAll(self, limit: int) -> None:
        """End it, since all outboxes together exceed a limit, and report 0 bytes at once."""


class Outboxes:
    """
    The bound for all outboxes together.

    @ivar limit: in bytes.
    @ivar total: the bytes that wait.
    """

    def __init__(self, limit: int = OUTBOXES_LIMIT) -> None:
        self.limit = limit
        self.total = 0
        self._sizes: dict[Waiting, int] = {}

    def report(self, connection: Waiting, size: int) -> None:
        """Note how many bytes of a connection wait, without shared bulk; above the limit, end those with the most."""
        sizes = self._sizes
        self.total += size - sizes.pop(connection, 0)
        if size:
            sizes[connection] = size
        while self.total > self.limit and sizes:
            largest = max(sizes, key=sizes.__getitem__)
            largest.endForAll(self.limit)
            if largest in sizes:
                self.total -= sizes.pop(largest)
