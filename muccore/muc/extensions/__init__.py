# Copyright (c) The muccore authors. See LICENSE for details.
"""Extensions of rooms, one module each (L{muccore.muc.model.extension})."""

from muccore.muc.extensions.adhoccommands import AdHocCommands
from muccore.muc.extensions.occupantids import OccupantIds
from muccore.muc.extensions.stanzaids import StanzaIds
from muccore.muc.model.extension import RoomExtension


def standardExtensions() -> list[RoomExtension]:
    """Make the extensions of the rooms of one service, in the order in which they are asked."""
    return [OccupantIds(), StanzaIds(), AdHocCommands()]
