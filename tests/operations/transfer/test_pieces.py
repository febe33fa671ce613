# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.pieces}."""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer import pieces
from muccore.operations.transfer.pieces import DataError, PieceParser, Unexpected, readPieces


class _Lines(PieceParser[bytes]):
    """A parser of lines, none of which has an exclamation mark."""

    def hasMore(self, atEnd: bool) -> bool:
        return self.offset < len(self.data)

    def piece(self, atEnd: bool) -> bytes:
        end = self.data.find(b"\n", self.offset)
        if end < 0:
            raise Unexpected("a line does not end", len(self.data))
        line = self.data[self.offset : end]
        if b"!" in line:
            raise Unexpected("a line is loud", self.offset)
        self.offset = end + 1
        return line


class PiecesTests(SynchronousTestCase):
    """Reading lines."""

    def setUp(self) -> None:
        """Read little at once."""
        self.patch(pieces, "_CHUNK", 4)
        self.patch(pieces, "PIECE_LIMIT", 100)

    def test_split(self) -> None:
        """Pieces come whole and in order, wherever the parts of the file end."""
        lines = [b"x" * length for length in (0, 3, 40, 1, 0, 7)]
        self.assertEqual(list(readPieces(io.BytesIO(b"\n".join([*lines, b""])), _Lines)), lines)
        self.assertEqual(list(readPieces(io.BytesIO(b""), _Lines)), [])

    def test_wrong(self) -> None:
        """What is wrong is told with its line, after what precedes it."""
        for data, problem in (
            (b"a\nbb\nccccccccccc\nd!\ne\n", "a line is loud in line 4"),
            (b"a\nbb\nccccccccccc\nd", "a line does not end in line 4"),
        ):
            found: list[bytes] = []
            with self.assertRaises(DataError) as caught:
                for piece in readPieces(io.BytesIO(data), _Lines):
                    found.append(piece)
            self.assertEqual((str(caught.exception), found), (problem, [b"a", b"bb", b"ccccccccccc"]))

    def test_limit(self) -> None:
        """A piece that is too large is not read to its end."""
        file = io.BytesIO(b"x" * 10000)
        with self.assertRaises(DataError):
            list(readPieces(file, _Lines))
        self.assertLess(file.tell(), 300)
