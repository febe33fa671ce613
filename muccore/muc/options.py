# Copyright (c) The muccore authors. See LICENSE for details.
"""
How a chat service is run, as its operator has decided.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from muccore.muc.settings import RoomSettings


@dataclass(frozen=True)
class Options:
    """
    The options of one service.

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

    name: str = "Chat rooms"
    localDomain: str = "localhost"
    creation: str = "anyone"
    lockNewRooms: bool = True
    roomsPerUser: int = 100
    defaults: RoomSettings = field(default_factory=RoomSettings)
    historyLimit: int = 100
    maxUsersLimit: int = 0
    idleRooms: int = 1000
    grace: float = 600.0
    lockTimeout: float = 300.0
    presenceSize: int = 8192
