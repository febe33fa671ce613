# Copyright (c) The muccore authors. See LICENSE for details.
"""The settings of a chat service."""

from __future__ import annotations

from dataclasses import dataclass, replace

from muccore.muc.model.costs import CostRates
from muccore.muc.model.roomsettings import RoomSettings
from muccore.xmpp.jid import JID


@dataclass(frozen=True)
class MUCServiceSettings:
    """
    The settings of one service. Their defaults are in the configuration's table.

    @ivar name: its natural-language name.
    @ivar localDomain: the host that the service belongs to.
    @ivar creation: who may create rooms: C{anyone}, C{local} (users of C{localDomain}) or C{nobody}.
    @ivar listing: who may list the public rooms: C{anyone} or C{local}.
    @ivar registration: who may register with rooms, likewise.
    @ivar guestDomains: the domains whose guests may not create any.
    @ivar anonymousDomains: the domains that have guests: after a restart they are others.
    @ivar lockNewRooms: whether only the owner may enter a new room until it is configured.
    @ivar roomsPerUser: rooms created by one user that may exist at a time; 0 for no limit.
    @ivar roomsPerMinute: rooms that one user may create in a minute in the long run; 0 for no limit.
    @ivar roomsLimit: rooms that may exist at a time; 0 for no limit.
    @ivar roomSizeLimit: what one room may take in the store (L{muccore.muc.model.roomsize}), in bytes.
    @ivar userSizeLimit: what those may take together that one user has created, in bytes.
    @ivar totalSizeLimit: what all may take together, in bytes.
    @ivar defaults: the configuration of a new room.
    @ivar lockedFields: the names of fields of the configuration form that owners cannot change.
    @ivar historyLimit: maximum history length that an owner can set, in messages.
    @ivar maxUsersLimit: maximum number of occupants of any room; 0 for no limit.
    @ivar idleRooms: rooms without occupants kept in memory, with their history; at least one.
    @ivar grace: grace period of temporary rooms after a start, in seconds.
    @ivar occupantGrace: time after a start for which places of occupants are held, in seconds; 0 if none are.
    @ivar lockTimeout: time to configure a new room, in seconds.
    @ivar tombstoneTime: time for which a persistent room that was destroyed is remembered, in seconds; 0 for none.
    @ivar webchatURL: the address of a web chat for rooms that are open to everybody, with C{{jid}} for the room's
        address; C{""} for none.
    @ivar pingInterval: the time between two pings of an occupant whose end would go unnoticed, in seconds; 0: none.
    @ivar presenceSize: largest presence payload that a room broadcasts, in bytes.
    @ivar archiving: whether rooms can have archives.
    @ivar archiveRetention: maximum time for which messages are archived, in seconds; 0 for no limit.
    @ivar auditRetention: time for which entries of audit trails are kept, in seconds; 0 for no limit.
    @ivar blockLists: the block lists to follow: for each, the address of its service with the node as resource.
    @ivar costRates: how much the occupants of a room may cause to be sent.
    @ivar listLimit: entries of a list of affiliations that is answered as a whole; longer ones are requested in pages.
    @ivar messagesPerMinute: messages of one occupant that any room admits in a minute; 0 for no limit.
    @ivar presencePerMinute: changes of presence and nick of one occupant, likewise.
    @ivar joinsPerMinute: occupants without affiliation who may enter any room in a minute; 0 for no limit.
    """

    name: str
    localDomain: str
    creation: str
    listing: str
    registration: str
    lockNewRooms: bool
    roomsPerUser: int
    roomsPerMinute: int
    roomsLimit: int
    roomSizeLimit: int
    userSizeLimit: int
    totalSizeLimit: int
    defaults: RoomSettings
    lockedFields: frozenset[str]
    historyLimit: int
    maxUsersLimit: int
    idleRooms: int
    grace: float
    occupantGrace: float
    lockTimeout: float
    tombstoneTime: float
    pingInterval: float
    presenceSize: int
    archiving: bool
    archiveRetention: float
    auditRetention: float
    blockLists: tuple[JID, ...]
    costRates: CostRates
    listLimit: int
    messagesPerMinute: int
    presencePerMinute: int
    joinsPerMinute: int
    webchatURL: str
    guestDomains: frozenset[str] = frozenset()
    anonymousDomains: frozenset[str] = frozenset()

    def isFor(self, whom: str, user: JID) -> bool:
        """Whether what is for C{anyone}, or for C{local} users only, is for a user."""
        return whom != "local" or user.domain == self.localDomain

    def withinLimits(self, settings: RoomSettings) -> RoomSettings:
        """The configuration of a room within the limits for all."""
        if self.maxUsersLimit and not 0 < settings.maxUsers <= self.maxUsersLimit:
            settings = replace(settings, maxUsers=self.maxUsersLimit)
        longest = self.historyLimit
        return settings if settings.historyLength <= longest else replace(settings, historyLength=longest)
