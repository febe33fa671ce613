# -*- test-case-name: tests.operations.transfer.test_pieces -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Files of any size that are read piece by piece, by a parser that needs the whole of each piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Final, Generic, Protocol, TypeVar

PIECE_LIMIT: Final = 16 * 2**20
"""The size in bytes above which a piece is refused."""

_CHUNK: Final = 256 * 2**10
_LINE: Final = b"\n"

_T = TypeVar("_T")


class DataError(ValueError):
    """A file has not the syntax that it should have. C{str()} says what is wrong where, without citing the file."""


class Unexpected(Exception):
    """Something else than expected, or nothing, is at an offset of a buffer."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.offset = offset

    def locate(self, buffer: bytes, line: int = 1) -> DataError:
        """
        The error, with its line.

        @param line: the number of the first line of the buffer.
        """
        return DataError(f"{self} in line {line + buffer.count(_LINE, 0, self.offset)}")


class IReadable(Protocol):
    """A file."""

    def read(self, size: int, /) -> bytes:
        """Read as many bytes, or what is left."""


class PieceParser(ABC, Generic[_T]):
    """
    A parser of what a buffer holds.

    @ivar data: the buffer.
    @ivar offset: where it is.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    @abstractmethod
    def hasMore(self, atEnd: bool) -> bool:
        """
        Pass what is between pieces.

        @param atEnd: whether the file ends with the buffer.
        @return: whether a piece follows.
        @raise Unexpected: if that cannot be said, since the buffer ends.
        """

    @abstractmethod
    def piece(self, atEnd: bool) -> _T:
        """
        Parse the next piece.

        @param atEnd: as for L{hasMore}.
        @raise Unexpected: if there is none, or the buffer may not have the whole of it.
        """


def readPieces(file: IReadable, parser: Callable[[bytes], PieceParser[_T]]) -> Iterator[_T]:
    """
    Read a file with parsers of its parts, which end anywhere: what one could not finish, the next one has with what
    follows.

    @raise DataError: if there is something that no parser can finish; what precedes it has been yielded.
    """
    buffer, line, wanted, atEnd = b"", 1, _CHUNK, False
    while not atEnd:
        chunk = file.read(wanted)
        atEnd = len(chunk) < wanted
        buffer += chunk
        current = parser(buffer)
        done = 0
        try:
            while current.hasMore(atEnd):
                piece = current.piece(atEnd)
                done = current.offset
                yield piece
            done = current.offset
        except Unexpected as error:
            # It may only be the end of what has been read so far.
            if atEnd or len(buffer) - done > PIECE_LIMIT:
                raise error.locate(buffer, line) from None
        line += buffer.count(_LINE, 0, done)
        buffer = buffer[done:]
        wanted = max(_CHUNK, len(buffer))


__all__ = ["PIECE_LIMIT", "DataError", "IReadable", "PieceParser", "Unexpected", "readPieces"]
