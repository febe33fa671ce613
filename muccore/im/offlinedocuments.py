# -*- test-case-name: tests.im.test_offlinedocuments -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Offline messages as documents: the key of each has the time and the order, its content the address and the rest."""

from __future__ import annotations

from typing import Final

from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered, toAttribute

KIND: Final = "offline"
"""The kind of the documents."""

_MESSAGE: Final = b"<message"
_TO: Final = b"\n"
"""Between the C{to} and the rest of a stored message: no rendered attribute has it."""

_NUMBERS: Final = 1_000_000


def keyOf(time: int, number: int) -> str:
    """
    The key of a message. Keys sort in the order of delivery.

    @param time: when it came, in microseconds since the epoch.
    @param number: tells it from others of that moment; its last six digits count.
    """
    return f"{max(0, time):020}-{number % _NUMBERS:06}"


def timeOf(key: str) -> int:
    """When the message of a key came, in microseconds since the epoch."""
    return int(key.partition("-")[0])


def contentOf(to: str, message: Rendered) -> bytes:
    """
    The content of a document.

    @param to: the address of the message.
    """
    return toAttribute(to) + _TO + message.tail


def partsOf(content: bytes) -> tuple[bytes, Rendered]:
    """The C{to} of a stored message, rendered, and the message without it."""
    to, _, tail = content.partition(_TO)
    return to, Rendered(_MESSAGE, tail)


def messageIn(content: bytes) -> Element:
    """The message in a document, with its C{to}."""
    to, rendered = partsOf(content)
    return rendered.elementTo(to)
