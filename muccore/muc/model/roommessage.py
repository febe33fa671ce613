# -*- test-case-name: tests.muc.model.test_roommessage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A message that has become part of a room, and the ids of such messages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered

_POOL: Final = 256
"""Ids for which random numbers are read at once: a system call for each would cost more than all the rest."""


@dataclass(slots=True)
class RoomMessage:
    """
    A message of an occupant, or of the room itself, to all.

    @ivar id: its id in the room, which is its stanza id (XEP-0359).
    @ivar when: the time, in seconds since the epoch.
    @ivar sender: the address that it comes from.
    @ivar account: the bare JID of its author; C{""} for the room itself.
    @ivar message: the message without stamps.
    @ivar rendered: the message as it was sent, with stamps.
    @ivar kept: whether the history keeps it.
    @ivar delayed: whether it has its own delay stamp (an owner's import, XEP-0045 §7.9).
    """

    id: str
    when: float
    sender: str
    account: str
    message: Element
    rendered: Rendered
    kept: bool
    delayed: bool = False


def randomIds() -> Iterator[str]:
    """Make random UUIDs (RFC 4122 §4.4), in a fifth of the time of the class C{UUID}."""
    while True:
        pool = os.urandom(16 * _POOL).hex()
        for at in range(0, len(pool), 32):
            digits = pool[at : at + 32]
            variant = "89ab"[int(digits[16], 16) & 3]
            yield f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


newId: Final[Callable[[], str]] = randomIds().__next__
"""Makes a random UUID."""
