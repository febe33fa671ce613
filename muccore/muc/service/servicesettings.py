# Copyright (c) The muccore authors. See LICENSE for details.
"""How a chat service is run, as its operator has decided."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.muc.model.roomsettings import RoomSettings


@dataclass(frozen=True)
class MUCServiceSettings:
    """
    The options of one service. Their defaults stand in the configuration's table.

    @ivar name: its natural-language name.
    @ivar localDomain: the host of the users of this server.
    @ivar creation: who may create rooms: C{anyone}, C{local} (users of C{localDomain}) or C{nobody}.
    @ivar lockNewRooms: whether a new room waits for its configuration before anybody but its owner may enter.
    @ivar roomsPerUser: how many rooms that one user has created may be open at a time; 0 for no limit.
    @ivar defaults: the configuration of a new room.
    @ivar historyLimit: the longest history that an owner can set, in messages.
    @ivar maxUsersLimit: the most occupants of any room; 0 for no limit.
    @ivar idleRooms: how many rooms without occupants are kept in memory, with their history; never less than one.
    @ivar grace: how long temporary rooms are kept for their people after a start, in seconds.
    @ivar lockTimeout: how long a new room waits for its configuration before it is given up, in seconds.
    @ivar presenceSize: the largest presence that a room passes on, in bytes.
    """

    name: str
    localDomain: str
    creation: str
    lockNewRooms: bool
    roomsPerUser: int
    defaults: RoomSettings
    historyLimit: int
    maxUsersLimit: int
    idleRooms: int
    grace: float
    lockTimeout: float
    presenceSize: int
