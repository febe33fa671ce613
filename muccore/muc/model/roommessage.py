# -*- test-case-name: tests.muc.model.test_history -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A message that has become part of a room."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered


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
