# -*- test-case-name: tests.muc.extensions.test_audit -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What is done in a room by those who run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModerationAct:
    """
    Something that a moderator, admin or owner has done, or the room itself. It has no secrets and no content of
    messages.

    @ivar kind: what, in a word such as C{ban}.
    @ivar actor: the bare JID of who has done it; C{""} for the room itself.
    @ivar target: whom it concerns, a bare JID or a domain; C{""} for the room, or if they are not known.
    @ivar reason: the reason, or C{None}.
    @ivar details: what else there is to know, by name.
    """

    kind: str
    actor: str
    target: str = ""
    reason: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
