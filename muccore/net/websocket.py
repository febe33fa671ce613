# -*- test-case-name: tests.net.test_websocket -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The frames of WebSocket (RFC 6455 §5) as a server reads and writes them. No extensions are negotiated.

Only text messages are accepted, since the subprotocol for XMPP has no others (RFC 7395 §3.2). Why this is not a
library's: docs/design/0011-websocket.md.
"""

from __future__ import annotations

import struct
from typing import Final

from muccore.xmpp.specs import Spec

implements: Final = (Spec(6455, "The WebSocket Protocol", note="Text messages, without extensions.", series="RFC"),)

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009

_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_CONTROL: Final = 8
_CONTROL_SIZE: Final = 125
_MASK_SIZE: Final = 4
_CODES: Final = frozenset([*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)])
"""Status codes that may be in a Close frame (§7.4)."""

_medium: Final = struct.Struct(">BBH").pack
_long: Final = struct.Struct(">BBQ").pack


class FrameError(Exception):
    """The peer has violated the protocol: fail the connection (§7.1.7), with C{code} in the Close frame."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def frameHeader(opcode: int, size: int) -> bytes:
    """The header of an unfragmented frame whose payload has C{size} bytes; 2 to 10 bytes."""
    if _CONTROL_SIZE < size < 1 << 16:
        return _medium(_FINAL | opcode, 126, size)
    if size <= _CONTROL_SIZE:
        return bytes((_FINAL | opcode, size))
    return _long(_FINAL | opcode, 127, size)


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole frame."""
    return frameHeader(opcode, len(payload)) + payload


def closeFrame(code: int) -> bytes:
    """A Close frame without a reason."""
    return frame(CLOSE, code.to_bytes(2, "big"))


def closeCode(payload: bytes) -> int:
    """The status code of a received Close frame, L{NORMAL} if it has none; L{FrameError} if it is invalid."""
    if not payload:
        return NORMAL
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or code not in _CODES:
        raise FrameError(PROTOCOL_ERROR, "The code of a Close frame is invalid.")
    _checkText(payload[2:])
    return code


def _checkText(data: bytes) -> bytes:
    """Check that data is UTF-8 (§8.1), and return it."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise FrameError(INVALID_DATA, "A text is not UTF-8.") from None
    return data


def applyMask(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """Mask or unmask a payload (§5.3)."""
    size = len(payload)
    key = (mask * (size // _MASK_SIZE + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


class FrameDecoder:
    """Decodes what a client sends. A size is checked before the payload that it announces is buffered."""

    __slots__ = ("_buffer", "_message")

    def __init__(self) -> None:
        # Appending to bytes would copy everything again for each small segment or fragment.
        self._buffer = bytearray()
        self._message: bytearray | None = None

    def __len__(self) -> int:
        """Bytes not decoded yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes from the connection."""
        self._buffer += data

    def next(self, limit: int) -> tuple[int, bytes] | None:
        """
        Decode the next text message or control frame.

        @param limit: for the bytes of a message.
        @return: its opcode and payload; C{None} if there is none yet.
        @raise FrameError: if the peer has violated the protocol; nothing may be decoded after that.
        """
        buffer = self._buffer
        while len(buffer) >= 2:
            opcode, final = buffer[0] & _OPCODE, bool(buffer[0] & _FINAL)
            self._checkStart(opcode, final)
            size, begin = buffer[1] & ~_MASKED, 2
            if size > _CONTROL_SIZE:
                begin += 2 if size == 126 else 8
                if len(buffer) < begin:
                    return None
                least = 126 if size == 126 else 1 << 16
                size = int.from_bytes(buffer[2:begin], "big")
                if size < least:
                    raise FrameError(PROTOCOL_ERROR, "The size of a frame is not encoded minimally.")
            message = self._message
            if opcode < _CONTROL and size + len(message or b"") > limit:
                raise FrameError(TOO_BIG, f"A message has more than {limit} bytes.")
            end = begin + _MASK_SIZE + size
            if len(buffer) < end:
                return None
            payload = applyMask(buffer[begin + _MASK_SIZE : end], buffer[begin : begin + _MASK_SIZE])
            del buffer[:end]
            if opcode >= _CONTROL:
                return opcode, payload
            if message is None and final:
                return TEXT, _checkText(payload)
            if message is None:
                message = self._message = bytearray()
            message += payload
            if final:
                self._message = None
                return TEXT, _checkText(bytes(message))
        return None

    def _checkStart(self, opcode: int, final: bool) -> None:
        """Check the first two bytes of a frame."""
        first, second = self._buffer[:2]
        if first & _RESERVED:
            raise FrameError(PROTOCOL_ERROR, "Reserved bits of a frame are set.")
        if not second & _MASKED:
            raise FrameError(PROTOCOL_ERROR, "A frame is not masked.")
        if opcode >= _CONTROL:
            if opcode > PONG or not final or second & ~_MASKED > _CONTROL_SIZE:
                raise FrameError(PROTOCOL_ERROR, "A control frame is unknown, fragmented or too long.")
        elif opcode == BINARY:
            raise FrameError(UNSUPPORTED_DATA, "A message is binary.")
        elif opcode > BINARY or (opcode == CONTINUATION) != (self._message is not None):
            raise FrameError(PROTOCOL_ERROR, "A frame has an unknown opcode, or does not continue a message.")
