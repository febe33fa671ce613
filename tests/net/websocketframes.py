# Copyright (c) The muccore authors. See LICENSE for details.
"""The client's side of WebSocket frames, also invalid ones."""

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


__all__ = ["clientFrame"]
