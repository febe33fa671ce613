# -*- test-case-name: tests.muc.extensions.test_contentrules -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Rules about who may send links and media to a room and in private messages, and how long newcomers may send neither.
"""

from __future__ import annotations

import math
from typing import Final

from muccore.muc.model.content import linksAndMedia
from muccore.muc.model.extension import ExtensionField, RoomExtension
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError

LONGEST: Final = 1440
"""The longest time for which newcomers may be restricted, in minutes."""

_WHO: Final = (
    ("anyone", "Anyone"),
    ("participants", "Participants and moderators"),
    ("members", "Members and moderators"),
    ("moderators", "Moderators only"),
)


_ALLOW_LINKS: Final = "content-rules.links"
_ALLOW_MEDIA: Final = "content-rules.media"
_NEWCOMER_MINUTES: Final = "content-rules.newcomers"


def _whoField(setting: str, var: str, label: str) -> ExtensionField:
    return ExtensionField(setting, var, "list-single", label, _WHO, infoVar=var, default="anyone")


class ContentRules(RoomExtension):
    """The extension."""

    name = "content-rules"
    fields = (
        _whoField(_ALLOW_LINKS, "x-muc#roomconfig_allowlinks", "Who may send links"),
        _whoField(_ALLOW_MEDIA, "x-muc#roomconfig_allowmedia", "Who may send images and other files"),
        ExtensionField(
            _NEWCOMER_MINUTES,
            "x-muc#roomconfig_newcomerminutes",
            "text-single",
            "Minutes for which newcomers may send neither links nor files",
            infoVar="x-muc#roomconfig_newcomerminutes",
            desc="Since they entered, unless they are members. 0: from the start.",
            bounds=(0, LONGEST),
            default=0,
            parse=int,
        ),
    )

    def isConcernedWith(self, room: Room) -> bool:
        """Whether a room restricts anybody."""
        stored = room.settings.extensions.get
        return any(stored(each, "anyone") != "anyone" for each in (_ALLOW_LINKS, _ALLOW_MEDIA)) or bool(
            stored(_NEWCOMER_MINUTES, 0)
        )

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> None:
        """Refuse links and media of those who may not send them."""
        if occupant.role is Role.MODERATOR:
            return
        stored = room.settings.extensions.get
        minutes: int = stored(_NEWCOMER_MINUTES, 0)
        links, media = _isAllowed(stored(_ALLOW_LINKS), occupant), _isAllowed(stored(_ALLOW_MEDIA), occupant)
        wait = 0.0
        if minutes and occupant.affiliation < Affiliation.MEMBER:
            wait = occupant.since + 60 * minutes - room.now()
        if links and media and wait <= 0:
            return
        hasLinks, hasMedia = linksAndMedia(message)
        if hasMedia and not media:
            raise StanzaError("policy-violation", text="You may not send files to this room.")
        if hasLinks and not links:
            raise StanzaError("policy-violation", text="You may not send links to this room.")
        if (hasLinks or hasMedia) and wait > 0:
            # The clock may have been set back.
            left = min(math.ceil(wait / 60), minutes)
            raise StanzaError(
                "policy-violation",
                "wait",
                "Newcomers may send neither links nor files to this room; "
                f"try again in {left} minute{'s' if left > 1 else ''}.",
            )

    def beforePrivateMessage(self, room: Room, occupant: Occupant, target: Occupant, message: Element) -> None:
        """Refuse them in private messages likewise."""
        self.beforeMessage(room, occupant, message)


def _isAllowed(who: str | None, occupant: Occupant) -> bool:
    """Whether an occupant who is no moderator is among those whom a field names."""
    if who is None or who == "anyone":
        return True
    if who == "participants":
        return occupant.role >= Role.PARTICIPANT
    return who == "members" and occupant.affiliation >= Affiliation.MEMBER
