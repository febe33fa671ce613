# Copyright (c) The muccore authors. See LICENSE for details.
"""The client's side of WebSocket frames: sending them, also invalid ones, and reading those of a server strictly."""

from __future__ import annotations

from muccore.net.websocket import applyMask


def clientFrame(
    opcode: int,
    payload: bytes,
    final: bool = True,
    mask: bytes = b"\x9d\x01\xfe\x37",
    reserved: int = 0,
    sizeBytes: int | None = None,
) -> bytes:
    """
    A masked frame.

    @param reserved: reserved bits to set in the first byte.
    @param sizeBytes: bytes of the extended size; C{None} for as few as possible.
    """
    size = len(payload)
    if sizeBytes is None:
        sizeBytes = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short = {0: size, 2: 126, 8: 127}[sizeBytes]
    header = bytes([(0x80 if final else 0) | reserved | opcode, 0x80 | short])
    return header + size.to_bytes(8, "big")[8 - sizeBytes :] + mask + applyMask(payload, mask)


def serverFrames(data: bytes) -> list[tuple[int, bytes]]:
    """
    Opcodes and payloads of what a server has sent.

    @raise AssertionError: if frames are masked, fragmented or incomplete.
    """
    found = []
    while data:
        size, begin = data[1], 2
        assert data[0] & 0xF0 == 0x80 and size < 0x80, data[:2]
        if size > 125:
            begin = 4 if size == 126 else 10
            size = int.from_bytes(data[2:begin], "big")
        assert len(data) >= begin + size, data
        found.append((data[0] & 0x0F, data[begin : begin + size]))
        data = data[begin + size :]
    return found


__all__ = ["clientFrame", "serverFrames"]
