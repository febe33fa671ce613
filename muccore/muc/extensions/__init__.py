# Copyright (c) The muccore authors. See LICENSE for details.
"""Extensions of rooms, one module each (L{muccore.muc.model.extension})."""

from typing import Final

from muccore.muc.extensions.occupantids import OccupantIds
from muccore.muc.extensions.stanzaids import StanzaIds
from muccore.muc.model.extension import RoomExtension

EXTENSIONS: Final[tuple[RoomExtension, ...]] = (OccupantIds(), StanzaIds())
"""The extensions of every room, in the order in which they are asked."""
