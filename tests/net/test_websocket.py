# -*- test-case-name: tests.net.test_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.websocket}."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    GOING_AWAY,
    INVALID_DATA,
    NORMAL,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    UNSUPPORTED_DATA,
    FrameDecoder,
    FrameError,
    applyMask,
    closeCode,
    closeFrame,
    frame,
)
from tests.net.websocketframes import clientFrame

LIMIT: Final = 1 << 17

EURO: Final = "€".encode()

INVALID: Final[dict[str, tuple[int, list[bytes]]]] = {
    **{
        f"reserved bit {bit:#x}": (PROTOCOL_ERROR, [clientFrame(TEXT, b"<a/>", reserved=bit)])
        for bit in (0x40, 0x20, 0x10, 0x70)
    },
    "reserved bit of a control frame": (PROTOCOL_ERROR, [clientFrame(PING, b"", reserved=0x40)]),
    **{f"opcode {code}": (PROTOCOL_ERROR, [clientFrame(code, b"")]) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "binary": (UNSUPPORTED_DATA, [clientFrame(BINARY, b"<a/>")]),
    "unmasked text": (PROTOCOL_ERROR, [frame(TEXT, b"<a/>")]),
    "unmasked ping": (PROTOCOL_ERROR, [frame(PING, b"")]),
    "unmasked close": (PROTOCOL_ERROR, [closeFrame(NORMAL)]),
    "fragmented ping": (PROTOCOL_ERROR, [clientFrame(PING, b"", final=False)]),
    "fragmented close": (PROTOCOL_ERROR, [clientFrame(CLOSE, b"", final=False)]),
    "ping of 126 bytes": (PROTOCOL_ERROR, [clientFrame(PING, bytes(126))]),
    "pong of 70000 bytes": (PROTOCOL_ERROR, [clientFrame(PONG, bytes(70000))]),
    "close of 126 bytes": (PROTOCOL_ERROR, [clientFrame(CLOSE, bytes(126))]),
    "continuation of nothing": (PROTOCOL_ERROR, [clientFrame(CONTINUATION, b"<a/>")]),
    "unfinished continuation of nothing": (PROTOCOL_ERROR, [clientFrame(CONTINUATION, b"<a/>", final=False)]),
    "continuation of a finished message": (
        PROTOCOL_ERROR,
        [clientFrame(TEXT, b"<a", final=False), clientFrame(CONTINUATION, b"/>"), clientFrame(CONTINUATION, b"")],
    ),
    "text within a message": (PROTOCOL_ERROR, [clientFrame(TEXT, b"<a", final=False), clientFrame(TEXT, b"/>")]),
    "binary within a message": (
        UNSUPPORTED_DATA,
        [clientFrame(TEXT, b"<a", final=False), clientFrame(BINARY, b"/>")],
    ),
    "size 125 in 16 bits": (PROTOCOL_ERROR, [clientFrame(TEXT, bytes(125), sizeBytes=2)]),
    "size 65535 in 64 bits": (PROTOCOL_ERROR, [clientFrame(TEXT, bytes(65535), sizeBytes=8)]),
    "a byte above the limit": (TOO_BIG, [clientFrame(TEXT, bytes(LIMIT + 1))]),
    "only the header of too long a frame": (TOO_BIG, [clientFrame(TEXT, bytes(LIMIT + 1))[:10]]),
    "size 2**63": (TOO_BIG, [b"\x81\xff\x80" + bytes(11)]),
    "fragments above the limit": (
        TOO_BIG,
        [clientFrame(TEXT, bytes(LIMIT), final=False), clientFrame(CONTINUATION, b"x")],
    ),
    "latin-1": (INVALID_DATA, [clientFrame(TEXT, b"<a>\xe4</a>")]),
    "overlong encoding": (INVALID_DATA, [clientFrame(TEXT, b"\xc0\xaf")]),
    "surrogate": (INVALID_DATA, [clientFrame(TEXT, b"\xed\xa0\x80")]),
    "beyond U+10FFFF": (INVALID_DATA, [clientFrame(TEXT, b"\xf4\x90\x80\x80")]),
    "half a character": (INVALID_DATA, [clientFrame(TEXT, EURO[:2])]),
    "half a character in fragments": (
        INVALID_DATA,
        [clientFrame(TEXT, EURO[:1], final=False), clientFrame(CONTINUATION, EURO[1:2])],
    ),
}
"""By name: the code with which the connection is failed, and what the client sends (the cases of Autobahn, 2 to 7)."""

VALID: Final[dict[str, tuple[list[tuple[int, bytes]], list[bytes]]]] = {
    "empty message": ([(TEXT, b"")], [clientFrame(TEXT, b"")]),
    **{f"{n} bytes": ([(TEXT, b"x" * n)], [clientFrame(TEXT, b"x" * n)]) for n in (125, 126, 127, 65535, 65536, LIMIT)},
    "mask of zeros": ([(TEXT, b"<a/>")], [clientFrame(TEXT, b"<a/>", mask=bytes(4))]),
    "fragments": (
        [(TEXT, b"<abc/>")],
        [
            clientFrame(TEXT, b"<a", final=False),
            clientFrame(CONTINUATION, b"bc", final=False),
            clientFrame(CONTINUATION, b"/>"),
        ],
    ),
    "empty fragments": (
        [(TEXT, b"")],
        [
            clientFrame(TEXT, b"", final=False),
            clientFrame(CONTINUATION, b"", final=False),
            clientFrame(CONTINUATION, b""),
        ],
    ),
    "a character in two fragments": (
        [(TEXT, EURO)],
        [clientFrame(TEXT, EURO[:1], final=False), clientFrame(CONTINUATION, EURO[1:])],
    ),
    "control frames between fragments": (
        [(PING, b"p"), (PONG, b""), (TEXT, b"<a/>")],
        [
            clientFrame(TEXT, b"<a", final=False),
            clientFrame(PING, b"p"),
            clientFrame(PONG, b""),
            clientFrame(CONTINUATION, b"/>"),
        ],
    ),
    "binary ping of 125 bytes": ([(PING, b"\xff" * 125)], [clientFrame(PING, b"\xff" * 125)]),
    "close": ([(CLOSE, b"\x03\xe8bye")], [clientFrame(CLOSE, b"\x03\xe8bye")]),
}
"""By name: what is decoded, and what the client sends."""


def decode(*data: bytes, limit: int = LIMIT) -> list[tuple[int, bytes]]:
    """Decode bytes as they come."""
    decoder, found = FrameDecoder(), []
    for piece in data:
        decoder.feed(piece)
        while (each := decoder.next(limit)) is not None:
            found.append(each)
    return found


class FrameDecoderTests(SynchronousTestCase):
    """RFC 6455 §5 and §8.1."""

    def test_valid(self) -> None:
        """Messages and control frames are decoded, whole or byte by byte."""
        for name, (expected, frames) in VALID.items():
            with self.subTest(name):
                data = b"".join(frames)
                self.assertEqual(decode(data), expected)
                if len(data) < 1000:
                    self.assertEqual(decode(*(bytes([byte]) for byte in data)), expected)

    def test_invalid(self) -> None:
        """Each violation of the protocol has its code, after what preceded it."""
        for name, (code, frames) in INVALID.items():
            with self.subTest(name):
                decoder = FrameDecoder()
                decoder.feed(clientFrame(TEXT, b"<before/>") + b"".join(frames))
                self.assertEqual(decoder.next(LIMIT), (TEXT, b"<before/>"))
                error = self.assertRaises(FrameError, self.exhaust, decoder)
                self.assertEqual(error.code, code)

    @staticmethod
    def exhaust(decoder: FrameDecoder) -> None:
        """Decode until nothing is left."""
        while decoder.next(LIMIT) is not None:
            pass

    @given(
        st.lists(st.tuples(st.text(max_size=300), st.lists(st.integers(0, 300), max_size=4), st.binary(max_size=20))),
        st.lists(st.integers(0, 5000), max_size=10),
        st.binary(min_size=4, max_size=4),
    )
    def test_splitting(self, messages: list[tuple[str, list[int], bytes]], cuts: list[int], mask: bytes) -> None:
        """However messages are fragmented, with pings in between, and however the bytes arrive: the same is decoded."""
        data, texts, pings = b"", [], []
        for text, fragments, ping in messages:
            payload = text.encode("utf-8")
            ends = [0, *sorted(min(at, len(payload)) for at in fragments), len(payload)]
            parts = [payload[begin:end] for begin, end in pairwise(ends)]
            for number, part in enumerate(parts):
                opcode = CONTINUATION if number else TEXT
                data += clientFrame(opcode, part, final=number == len(parts) - 1, mask=mask)
                if number == 0:
                    data += clientFrame(PING, ping, mask=mask)
            texts.append(payload)
            pings.append(ping)
        at = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        found = decode(*(data[begin:end] for begin, end in pairwise(at)))
        self.assertEqual([payload for opcode, payload in found if opcode == TEXT], texts)
        self.assertEqual([payload for opcode, payload in found if opcode == PING], pings)

    @given(st.binary(max_size=200), st.integers(0, 100))
    def test_anything(self, data: bytes, limit: int) -> None:
        """Whatever arrives is decoded within the limit, awaited or an error, and no more is kept than came."""
        decoder = FrameDecoder()
        decoder.feed(data)
        try:
            while (found := decoder.next(limit)) is not None:
                self.assertIn(found[0], (TEXT, CLOSE, PING, PONG))
                self.assertLessEqual(len(found[1]), limit if found[0] == TEXT else 125)
        except FrameError as e:
            self.assertIn(e.code, (PROTOCOL_ERROR, UNSUPPORTED_DATA, INVALID_DATA, TOO_BIG))
        self.assertLessEqual(len(decoder), len(data))


class FrameTests(SynchronousTestCase):
    """Encoding."""

    @given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
    def test_mask(self, payload: bytes, mask: bytes) -> None:
        """Masking is XOR with the repeated key."""
        expected = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.assertEqual(applyMask(payload, mask), expected)

    def test_sizes(self) -> None:
        """The size takes 7, 16 or 64 bits, as few as possible; frames of the server are not masked."""
        for size, header in (
            (0, b"\x81\x00"),
            (125, b"\x81\x7d"),
            (126, b"\x81\x7e\x00\x7e"),
            (65535, b"\x81\x7e\xff\xff"),
            (65536, b"\x81\x7f" + bytes(5) + b"\x01\x00\x00"),
        ):
            self.assertEqual(frame(TEXT, bytes(size)), header + bytes(size))

    def test_closeCodes(self) -> None:
        """A Close frame may be empty; otherwise it has a code that may be sent, and a reason in UTF-8 (§7.4)."""
        self.assertEqual(closeFrame(GOING_AWAY), b"\x88\x02\x03\xe9")
        self.assertEqual(closeCode(b""), NORMAL)
        for code in (1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999):
            self.assertEqual(closeCode(code.to_bytes(2, "big") + EURO), code)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1100, 2999, 5000, 65535):
            error = self.assertRaises(FrameError, closeCode, code.to_bytes(2, "big"))
            self.assertEqual(error.code, PROTOCOL_ERROR)
        self.assertEqual(self.assertRaises(FrameError, closeCode, b"\x03").code, PROTOCOL_ERROR)
        self.assertEqual(self.assertRaises(FrameError, closeCode, b"\x03\xe8" + EURO[:2]).code, INVALID_DATA)
