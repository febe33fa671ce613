# -*- test-case-name: tests.muc.model.test_extension -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Extensions of rooms: what they add to a room, at named points.

An extension is one object for all rooms of a service. It overrides the methods of the points that it needs; a point
costs nothing for extensions that do not. What it keeps for a room is stored with the room's settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from muccore.xmpp.jid import JID

if TYPE_CHECKING:
    from muccore.muc.model.room import Room


class RoomExtension:
    """
    An extension.

    @cvar name: the key of its state in L{RoomSettings.extensions<muccore.muc.model.roomsettings.RoomSettings>}.
    @cvar features: disco features of a room.
    @cvar serviceFeatures: disco features of the service.
    """

    name: str
    features: tuple[str, ...] = ()
    serviceFeatures: tuple[str, ...] = ()

    def newState(self) -> Any:
        """Make the state of a room: text, a number or a list of text. It is durable before it is used."""

    def stampOccupant(self, room: Room, account: JID) -> bytes:
        """
        Make the elements that everything from an occupant carries (presence, messages and private messages), rendered.

        @param account: the bare JID. The result must depend on nothing else.
        """
        return b""

    def stampMessage(self, room: Room) -> bytes:
        """Make the elements that one message to all occupants carries, rendered."""
        return b""


class RoomExtensions:
    """
    The extensions of a service, in the order in which they are asked.

    @ivar features: see L{RoomExtension.features}.
    @ivar serviceFeatures: see L{RoomExtension.serviceFeatures}.
    """

    def __init__(self, extensions: Sequence[RoomExtension] = ()) -> None:
        self._extensions = extensions
        self._stampOccupant = [each for each in extensions if _overrides(each, "stampOccupant")]
        self._stampMessage = [each for each in extensions if _overrides(each, "stampMessage")]
        self._withState = [each for each in extensions if _overrides(each, "newState")]
        self.features = tuple(feature for each in extensions for feature in each.features)
        self.serviceFeatures = tuple(feature for each in extensions for feature in each.serviceFeatures)

    def missingStates(self, states: Mapping[str, Any]) -> dict[str, Any]:
        """Make the states that a room does not have yet."""
        return {each.name: each.newState() for each in self._withState if each.name not in states}

    def stampOccupant(self, room: Room, account: JID) -> bytes:
        """See L{RoomExtension.stampOccupant}."""
        return b"".join([each.stampOccupant(room, account) for each in self._stampOccupant])

    def stampMessage(self, room: Room) -> bytes:
        """See L{RoomExtension.stampMessage}."""
        return b"".join([each.stampMessage(room) for each in self._stampMessage])


def _overrides(extension: RoomExtension, name: str) -> bool:
    return getattr(type(extension), name) is not getattr(RoomExtension, name)
