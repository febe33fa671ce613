# -*- test-case-name: tests.muc.service.test_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The rooms of one service: which are in memory, which are at rest in the store, and how they come and go.

A room is in the store from the moment when its owner accepts its configuration (or, where new rooms are not locked,
before its creator hears that he is in). A temporary one is forgotten when its last occupant leaves; one that is
found in the store at start was there when the server stopped or was killed, and is kept for a while so that its
people can come back.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from muccore.interfaces import Affiliate, IRoomStore, RoomRecord, StoreError
from muccore.log.logger import Logger
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.service.roomlog import logDestroyed
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse


def storeFailed(failure: Failure) -> None:
    """
    An errback that turns a store's trouble into the answer to a stanza.

    @raise StanzaError: C{internal-server-error}, to be tried again.
    """
    failure.trap(StoreError)
    Rooms.log.error("The room store failed: {error}", error=failure.getErrorMessage())
    raise StanzaError("internal-server-error", "wait", "The room could not be loaded or saved; try again later.")


class Rooms:
    """
    All rooms of one service.

    @ivar live: the rooms in memory, by bare JID.
    @ivar pendingLists: how many lists of rooms somebody waits for, by bare JID.
    """

    log = Logger()

    def __init__(self, domain: str, store: IRoomStore, options: MUCServiceSettings, clock: IReactorTime) -> None:
        """@param domain: the service's host."""
        self.domain = domain
        self.store = IRoomStore(store)
        self.settings = options
        self.clock = clock
        self.live: dict[str, Room] = {}
        self.pendingLists: Counter[str] = Counter()
        self._opening: dict[str, list[Deferred[Room | None]]] = {}
        self._idle: OrderedDict[str, Room] = OrderedDict()
        self._creators: dict[str, str] = {}
        self._created: Counter[str] = Counter()
        self._locks: dict[str, IDelayedCall] = {}
        self._unclaimed: set[str] = set()
        self._unclaimedKnown = False
        self._unclaimedCall: IDelayedCall | None = None
        self._changing: set[Deferred[None]] = set()
        self._stopping = False

    # Start and end

    def start(self) -> Deferred[None]:
        """Look for temporary rooms that an earlier run has left, and give their people time to come back."""

        def found(bares: list[str]) -> None:
            self._unclaimedKnown = True
            self._unclaimed.update(bare for bare in bares if bare not in self.live)
            if self._unclaimed:
                self._unclaimedCall = self.clock.callLater(self.settings.grace, self._endGrace)

        return self.store.temporaryRooms(self.domain).addCallback(found)

    def _endGrace(self) -> None:
        self._unclaimedCall = None
        orphans, self._unclaimed = self._unclaimed, set()
        for bare in orphans:
            room = self.live.get(bare)
            if room is None:
                self._forgetStored(bare)
            else:
                self.evictIfEmpty(room)

    def shutDown(self) -> Deferred[None]:
        """
        When the changes that are on their way are durable and announced, tell everybody that the service shuts down
        (status 332, XEP-0045 §11.2). Rooms stay in the store as they are.
        """
        self._stopping = True

        def empty(_: object) -> Deferred[None] | None:
            if self._changing:
                # One that had waited for another one is on its way now.
                return DeferredList(list(self._changing)).addCallback(empty)
            for call in (*self._locks.values(), self._unclaimedCall):
                if call is not None and call.active():
                    call.cancel()
            for room in self.live.values():
                room.removeAll(codes=(332,))
            return None

        return succeed(None).addCallback(empty)

    # Coming

    def open(self, bare: str) -> Deferred[Room | None]:
        """
        Find a room, in memory or in the store; C{None} if there is none.

        @raise StanzaError: (as failure) if the store cannot be read.
        """
        room = self.live.get(bare)
        if room is not None:
            return succeed(room)
        waiting: Deferred[Room | None] = Deferred()
        if bare in self._opening:
            self._opening[bare].append(waiting)
            return waiting
        self._opening[bare] = [waiting]
        loading = self.store.load(bare).addCallback(self._loaded, bare).addErrback(storeFailed)
        loading.addBoth(self._opened, bare)
        return waiting

    def _loaded(self, record: RoomRecord | None, bare: str) -> Room | None:
        if record is None:
            return None
        if record.temporary and bare not in self._unclaimed:
            if self._unclaimedKnown:
                # It has ended, but the store could not forget it then.
                self._forgetStored(bare)
                return None
            self._unclaimed.add(bare)
        settings = self._withinLimits(RoomSettings.fromMapping(record.settings, self.settings.defaults))
        room = Room(parse(bare), settings, Affiliations(record.affiliates), self.clock.seconds, record.subject)
        self.live[bare] = room
        return room

    def _withinLimits(self, settings: RoomSettings) -> RoomSettings:
        """What holds of a configuration that was made under other limits, or with none."""
        limit, longest = self.settings.maxUsersLimit, self.settings.historyLimit
        if limit and not 0 < settings.maxUsers <= limit:
            settings = replace(settings, maxUsers=limit)
        return settings if settings.historyLength <= longest else replace(settings, historyLength=longest)

    def _opened(self, result: Room | Failure | None, bare: str) -> None:
        for waiting in self._opening[bare]:
            if isinstance(result, Failure):
                waiting.errback(result)
            else:
                # An earlier one of those who waited may have created the room.
                waiting.callback(self.live.get(bare))
        del self._opening[bare]
        room = self.live.get(bare)
        if room is not None:
            self.evictIfEmpty(room)

    def create(self, jid: JID, creator: JID) -> Room:
        """
        Create a room, locked until its owner accepts a configuration (XEP-0045 §10.1).

        @param jid: its bare JID.
        @param creator: its first owner.
        @raise StanzaError: C{not-allowed} if he may not create rooms, C{resource-constraint} if he has too many.
        """
        options, bare, owner = self.settings, jid.bare, creator.bare
        local = creator.domain == options.localDomain
        if options.creation == "nobody" or (options.creation == "local" and not local) or self._stopping:
            raise StanzaError("not-allowed", text="You are not allowed to create rooms here.")
        if options.roomsPerUser and self._created[owner] >= options.roomsPerUser:
            raise StanzaError("resource-constraint", text="You have created too many rooms.")
        affiliations = Affiliations({owner: Affiliate(Affiliation.OWNER.xmlName)})
        room = Room(jid, self._withinLimits(options.defaults), affiliations, self.clock.seconds, locked=True)
        self.live[bare] = room
        self._creators[bare] = owner
        self._created[owner] += 1
        return room

    def awaitConfiguration(self, room: Room, giveUp: Callable[[], None]) -> None:
        """Call when a new room's owner has taken too long."""

        def late() -> None:
            if room.changeQueue.changing:
                # The configuration is being written down; if that fails, he has time to try again.
                self.awaitConfiguration(room, giveUp)
            else:
                giveUp()

        self._locks[room.jid.bare] = self.clock.callLater(self.settings.lockTimeout, late)

    def roomUnlocked(self, room: Room) -> None:
        """A new room has its configuration."""
        call = self._locks.pop(room.jid.bare, None)
        if call is not None and call.active():
            call.cancel()

    def occupantJoined(self, room: Room) -> None:
        """Somebody has entered: the room is neither idle nor left over any more."""
        self._idle.pop(room.jid.bare, None)
        self._unclaimed.discard(room.jid.bare)

    # Changing

    def lockWhile(self, room: Room, sender: str, writing: Deferred[None]) -> Deferred[None]:
        """
        Close a room's gate while something about it is being written.

        @param sender: the full JID of who asked for it.
        @param writing: fires when it is durable and has been announced.
        @return: fires with its result or failure before the gate opens.
        """
        self._changing.add(writing)

        def opened(_: object) -> None:
            self._changing.discard(writing)
            self.evictIfEmpty(room)

        answer = room.changeQueue.beginChange(sender, writing)
        writing.addCallback(opened)
        return answer

    # Going

    def evictIfEmpty(self, room: Room) -> None:
        """
        See what becomes of a room, when somebody may have left it: an empty one is forgotten if it is temporary, and
        else kept for a while.
        """
        bare = room.jid.bare
        if room.occupants or room.changeQueue.changing or self._stopping or self.live.get(bare) is not room:
            return
        if room.locked:
            self.forget(room)
        elif not room.settings.persistent and bare not in self._unclaimed:
            self.forget(room)
            self._forgetStored(bare)
        elif bare not in self._opening:
            self._idle[bare] = room
            self._idle.move_to_end(bare)
            # The last one stays in any case: whoever has opened it is about to look into it.
            while len(self._idle) > max(1, self.settings.idleRooms):
                self.forget(next(iter(self._idle.values())))

    def forget(self, room: Room) -> None:
        """Drop a room from memory."""
        bare = room.jid.bare
        if self.live.get(bare) is room:
            del self.live[bare]
        self._idle.pop(bare, None)
        self.roomUnlocked(room)
        creator = self._creators.pop(bare, None)
        if creator is not None:
            self._created[creator] -= 1
            if not self._created[creator]:
                del self._created[creator]

    def _forgetStored(self, bare: str) -> None:
        logDestroyed(bare, "temporary and empty")

        def failed(failure: Failure) -> None:
            self.log.error("Cannot remove a temporary room from the store: {error}", error=failure.getErrorMessage())

        self.store.destroy(bare).addErrback(failed)
