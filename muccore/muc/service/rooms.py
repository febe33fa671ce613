# -*- test-case-name: tests.muc.service.test_rooms -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The rooms of one service, in memory and in the store.

A room is stored when its owner accepts its configuration (or, if new rooms are not locked, before its creator is
notified). A temporary room is removed when its last occupant leaves. Temporary rooms found in the store at the start
were in use when the server ended, and are kept for a while so that their occupants can return.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from muccore.interfaces import Affiliate, IRoomStore, RoomChange, RoomRecord, Tombstone
from muccore.log.logger import Logger
from muccore.muc.model.accesslocks import WHOLE_ROOM, Access
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.departures import removeEverybody
from muccore.muc.model.extensionpoints import RoomExtensions, tell
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.ratelimit import RateLimit
from muccore.muc.model.room import NO_EXTENSIONS, Room
from muccore.muc.model.roomsettings import RoomSettings
from muccore.muc.model.roomsize import growthBy
from muccore.muc.service.missingstates import addMissingStates
from muccore.muc.service.roomlog import logDestroyed
from muccore.muc.service.roomusage import RoomUsage
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.muc.service.storefailures import storeFailed
from muccore.net.slices import PAUSE, Slices, after
from muccore.routing.loading import Loader
from muccore.xmpp.datetimes import timeOfDay
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID, parse

MINUTE: Final = 60.0
"""The period of the limit of creations, in seconds."""

BURST: Final = 5
"""How many times as many rooms as in a minute one user may create at once."""

IDLE_SIZE: Final = 16 * 1024 * 1024
"""Bytes that rooms without occupants may take in the store that are kept in memory; the newest is in any case."""


class Rooms:
    """
    All rooms of one service.

    @ivar extensions: what extends each room.
    @ivar live: the rooms in memory, by bare JID.
    @ivar usage: how many are stored, and what they take.
    @ivar loader: loads what is needed from the start on.
    @ivar slices: runs what affects many in a room.
    @ivar pacedSlices: runs what tells many of many.
    @ivar pendingLists: the number of pending room lists, by bare JID of the requester.
    """

    log = Logger()

    def __init__(
        self, domain: str, store: IRoomStore, options: MUCServiceSettings, clock: IReactorTime,
        extensions: RoomExtensions = NO_EXTENSIONS,
    ) -> None:  # fmt: skip
        """@param domain: the service's host."""
        self.domain = domain
        self.extensions = extensions
        self.store = IRoomStore(store)
        self.settings = options
        self.clock = clock
        self.now = timeOfDay(clock)
        self.live: dict[str, Room] = {}
        self.pendingLists: Counter[str] = Counter()
        self.loader = Loader(clock)
        self.slices = Slices(clock)
        self.pacedSlices = Slices(clock, PAUSE)
        self._opening: dict[str, list[Deferred[Room | Tombstone | None]]] = {}
        self._idle: OrderedDict[str, tuple[Room, int]] = OrderedDict()
        self._idleSize = 0
        self.usage = RoomUsage(domain, lambda: self.settings)
        self._creators: dict[str, str] = {}
        self._created: Counter[str] = Counter()
        self._creations = RateLimit(options.roomsPerMinute * BURST, MINUTE * BURST)
        self._configurationTimers: dict[str, IDelayedCall] = {}
        self._unclaimed: set[str] = set()
        self._unclaimedKnown = False
        self._unclaimedCall: IDelayedCall | None = None
        self._changing: set[Deferred[Any]] = set()
        self._stopping = False

    # Start and end

    def start(self) -> Deferred[None]:
        """Find the temporary rooms of an earlier run, as soon as the store can be read; begin their grace period."""

        def found(bares: list[str]) -> None:
            self._unclaimedKnown = True
            self._unclaimed.update(bare for bare in bares if bare not in self.live)
            if self._unclaimed:
                grace = max(self.settings.grace, self.settings.occupantGrace)
                self._unclaimedCall = self.clock.callLater(grace, self._endGrace)

        self._loadUsage()
        read = lambda: self.store.temporaryRooms(self.domain).addCallback(found)
        return self.loader.load(f"{self.domain}: temporary rooms", read)

    def _loadUsage(self) -> None:
        """Count what is stored. Requests are answered in order, so what is stored later is added to that."""
        read = lambda: self.store.usage(self.domain).addCallback(self.usage.load)
        self.loader.load(f"{self.domain}: the number of rooms", read)

    def _endGrace(self) -> None:
        self._unclaimedCall = None
        unclaimed, self._unclaimed = self._unclaimed, set()
        for bare in unclaimed:
            room = self.live.get(bare)
            if room is None:
                self._forgetStored(bare)
            else:
                self.evictIfEmpty(room)
        self._loadUsage()

    def shutDown(self, final: bool) -> Deferred[None]:
        """
        Once pending changes are durable and announced, remove all occupants. The store keeps the rooms as they are.

        @param final: whether to notify them (status 332, XEP-0045 §11.2): some clients then close their rooms for good.
            After the end of the stream alone they return.
        """
        self._stopping = True
        self.loader.stop()

        def empty(_: object) -> Deferred[Any]:
            if self._changing:
                # A queued change has begun.
                return DeferredList(list(self._changing)).addCallback(empty)
            for call in (*self._configurationTimers.values(), self._unclaimedCall):
                if call is not None and call.active():
                    call.cancel()
            self.slices.finish()
            return after(self.slices.run(removeEverybody(list(self.live.values()))) if final else None, emptied)

        def emptied() -> Deferred[Any]:
            for room in self.live.values():
                room.forgetOccupants()
            # Nobody is left who would be told.
            self.pacedSlices.finish()
            return DeferredList([maybeDeferred(extension.stop, final) for extension in self.extensions])

        return succeed(None).addCallback(empty)

    # Loading and creating

    def open(self, bare: str) -> Deferred[Room | None]:
        """Load a room, from memory or the store; C{None} if there is none. Fails with L{StanzaError} as the store."""
        return self.openOrTombstone(bare).addCallback(lambda found: found if isinstance(found, Room) else None)

    def openOrTombstone(self, bare: str) -> Deferred[Room | Tombstone | None]:
        """Load a room as L{open}; its tombstone if it was destroyed."""
        room = self.live.get(bare)
        if room is not None:
            return succeed(room)
        waiting: Deferred[Room | Tombstone | None] = Deferred()
        if bare in self._opening:
            self._opening[bare].append(waiting)
            return waiting
        self._opening[bare] = [waiting]
        loading = self.store.load(bare).addCallback(self._withStates, bare).addCallback(self._loaded, bare)
        loading.addCallback(self._orTombstone, bare).addErrback(storeFailed)
        loading.addBoth(self._opened, bare)
        return waiting

    def opening(self) -> list[str]:
        """The bare JIDs of the rooms that are being loaded."""
        return list(self._opening)

    def _withStates(self, record: RoomRecord | None, bare: str) -> Any:
        """Add the states of extensions that the room does not have yet, once they are stored."""
        if record is None:
            return None
        added = addMissingStates(record, self.extensions, self.settings.defaults)
        if added is None:
            return record
        changed, change = added

        def stored(_: object) -> RoomRecord:
            self.usage.add(record.creator, 0, change.growth)
            return changed

        return self.store.change(bare, change).addCallback(stored)

    def _loaded(self, record: RoomRecord | None, bare: str) -> Any:
        if record is None:
            return None
        if record.temporary and bare not in self._unclaimed:
            if self._unclaimedKnown:
                # It has ended, but the store failed to remove it then.
                self._forgetStored(bare)
                self._loadUsage()
                return None
            self._unclaimed.add(bare)
        affiliations = Affiliations({})
        # A long list takes too much for one turn.
        filling = self.slices.run(affiliations.fill(record.affiliates))
        return after(filling, lambda: self._prepare(record, affiliations, bare))

    def _prepare(self, record: RoomRecord, affiliations: Affiliations, bare: str) -> Room | Deferred[Room]:
        settings = self.settings.withinLimits(RoomSettings.fromMapping(record.settings, self.settings.defaults))
        room = Room(
            parse(bare), settings, affiliations, self.now, record.subject,
            extensions=self.extensions, seconds=self.clock.seconds, states=record.states, creator=record.creator,
            slices=self.slices, pacedSlices=self.pacedSlices,
        )  # fmt: skip
        room.storedSize = record.size
        preparing = [
            each.addErrback(lambda failure: self.log.failure("an extension failed to load a room", failure))
            for each in self.extensions.loading(room)
        ]
        if not preparing:
            self.live[bare] = room
            return room

        def prepared(_: object) -> Room:
            self.live[bare] = room
            return room

        return DeferredList(preparing).addCallback(prepared)

    def _orTombstone(self, room: Any, bare: str) -> Any:
        """A room, or if there is none the tombstone of one, if there is that."""

        def found(tombstone: Tombstone | None) -> Tombstone | None:
            return tombstone if tombstone is not None and tombstone.expires > self.now() else None

        if room is None and self.settings.tombstoneTime:
            return self.store.tombstone(bare).addCallback(found)
        return room

    def _opened(self, result: Room | Tombstone | Failure | None, bare: str) -> None:
        for waiting in self._opening[bare]:
            if isinstance(result, Failure):
                waiting.errback(result)
            else:
                # An earlier waiting stanza may have created the room.
                tombstone = result if isinstance(result, Tombstone) else None
                waiting.callback(self.live.get(bare) or tombstone)
        del self._opening[bare]
        room = self.live.get(bare)
        if room is not None:
            self.evictIfEmpty(room)

    def checkMayCreate(self, creator: JID) -> None:
        """@raise StanzaError: C{not-allowed} if somebody may not create rooms."""
        creation, local = self.settings.creation, creator.domain == self.settings.localDomain
        isGuest = creator.domain in self.settings.guestDomains and isGuestName(creator.local)
        if isGuest or creation == "nobody" or (creation == "local" and not local) or self._stopping:
            raise StanzaError("not-allowed", text="You are not allowed to create rooms here.")

    def create(self, jid: JID, creator: JID) -> Room:
        """
        Create a room, locked until its owner accepts a configuration (XEP-0045 §10.1).

        @param jid: its bare JID.
        @param creator: its first owner.
        @raise StanzaError: C{not-allowed} if the creator may not create rooms, C{resource-constraint} if there are too
            many, or they create them too fast.
        """
        options, bare, owner = self.settings, jid.bare, creator.bare
        self.checkMayCreate(creator)
        self.usage.checkCreation(owner, self._created[owner], len(self._creators))
        for check in self.extensions.beforeCreation:
            check(jid, creator)
        self._checkRate(owner)
        affiliations = Affiliations({owner: Affiliate(Affiliation.OWNER.xmlName)})
        settings = options.withinLimits(options.defaults)
        settings = replace(settings, extensions={**settings.extensions, **self.extensions.missingStates({})})
        room = Room(
            jid, settings, affiliations, self.now,
            locked=True, extensions=self.extensions, creator=owner, seconds=self.clock.seconds,
            slices=self.slices, pacedSlices=self.pacedSlices,
        )  # fmt: skip
        self.live[bare] = room
        self._creators[bare] = owner
        self._created[owner] += 1
        return room

    def _checkRate(self, creator: str) -> None:
        """Slow down who creates many rooms."""
        count = self.settings.roomsPerMinute * BURST
        if count != self._creations.count:
            self._creations = RateLimit(count, MINUTE * BURST)
        wait = self._creations.take(creator, self.clock.seconds()) if count else 0
        if wait:
            text = f"You are creating rooms too fast; try again in {math.ceil(wait)} s."
            raise StanzaError("resource-constraint", text=text)

    def awaitConfiguration(self, room: Room, giveUp: Callable[[], None]) -> None:
        """Call C{giveUp} if a new room is not configured in time."""

        def late() -> None:
            if room.changeQueue.changing:
                # The configuration is being committed; if that fails, the owner has time to try again.
                self.awaitConfiguration(room, giveUp)
            else:
                giveUp()

        self._configurationTimers[room.jid.bare] = self.clock.callLater(self.settings.lockTimeout, late)

    def roomUnlocked(self, room: Room) -> None:
        """Stop waiting for the configuration of a room."""
        call = self._configurationTimers.pop(room.jid.bare, None)
        if call is not None and call.active():
            call.cancel()

    def occupantJoined(self, room: Room) -> None:
        """Note that a room is in use: neither idle nor unclaimed."""
        self._useRoom(room.jid.bare)
        self._unclaimed.discard(room.jid.bare)

    # Changes

    def save(self, room: Room, record: RoomRecord) -> Deferred[None]:
        """
        Begin to store a new room.

        @raise StanzaError: C{resource-constraint} if it takes too much.
        """
        self.usage.checkGrowth(room, record.size)

        def saved(result: None) -> None:
            self._forgetCreator(room.jid.bare)
            self.usage.stored(room, record.size)

        storing = self.store.save(room.jid.bare, record)
        return self.usage.whileStoring(room, record.size, storing).addCallback(saved)

    def change(self, room: Room, change: RoomChange, byOwners: bool | None = True) -> Deferred[None]:
        """
        Begin to store a change of a stored room.

        @param byOwners: whether those who run the room make it, or one of its users; C{None}: the service does, which
            is not refused.
        @raise StanzaError: C{resource-constraint} if the room then takes too much.
        """
        growth = growthBy(room, change)
        if byOwners is not None:
            self.usage.checkGrowth(room, growth, byOwners)

        def changed(result: None) -> None:
            self.usage.grown(room, growth)

        storing = self.store.change(room.jid.bare, replace(change, growth=growth))
        return self.usage.whileStoring(room, growth, storing).addCallback(changed)

    def remove(self, room: Room) -> None:
        """Drop a room that is not stored any more."""
        if room.storedSize:
            self.usage.removed(room)
        self.forget(room)

    def lockWhile(self, room: Room, sender: str, writing: Deferred[Any], access: Access = WHOLE_ROOM) -> Deferred[Any]:
        """
        Queue further changes of a room that depend on one while it is being committed.

        @param sender: the full JID of the requester.
        @param writing: fires when the change is durable and announced.
        @param access: what of the room it reads and writes.
        @return: fires with its result or failure before the queue is released.
        """
        self._changing.add(writing)

        def committed(_: object) -> None:
            self._changing.discard(writing)
            self.evictIfEmpty(room)

        answer = room.changeQueue.beginChange(sender, writing, access)
        writing.addCallback(committed)
        return answer

    # Eviction

    def evictIfEmpty(self, room: Room) -> None:
        """Remove an empty temporary room; keep another empty one in memory for a while."""
        bare = room.jid.bare
        if room.occupants or room.changeQueue.changing or self._stopping or self.live.get(bare) is not room:
            return
        if room.locked:
            self.forget(room)
        elif not room.settings.persistent and bare not in self._unclaimed:
            self.forget(room)
            self._forgetStored(bare, room)
            tell(self.extensions.destroyed, room, None, None)
        elif bare not in self._opening:
            self._useRoom(bare)
            self._idle[bare] = room, room.storedSize
            self._idleSize += room.storedSize
            # Never evict the newest: its caller is about to use it.
            while len(self._idle) > 1 and (len(self._idle) > self.settings.idleRooms or self._idleSize > IDLE_SIZE):
                self.forget(next(iter(self._idle.values()))[0])

    def _useRoom(self, bare: str) -> None:
        """Note that a room is not idle any more."""
        _, size = self._idle.pop(bare, (None, 0))
        self._idleSize -= size

    def forget(self, room: Room) -> None:
        """Drop a room from memory."""
        bare = room.jid.bare
        if self.live.get(bare) is room:
            del self.live[bare]
        self._useRoom(bare)
        self.roomUnlocked(room)
        self._forgetCreator(bare)

    def _forgetCreator(self, bare: str) -> None:
        """Note that a room is stored, or will never be."""
        creator = self._creators.pop(bare, None)
        if creator is not None:
            self._created[creator] -= 1
            if not self._created[creator]:
                del self._created[creator]

    def _forgetStored(self, bare: str, room: Room | None = None) -> None:
        logDestroyed(bare, "temporary and empty")

        def failed(failure: Failure) -> None:
            self.log.error("cannot remove a temporary room from the store: {error}", error=failure.getErrorMessage())

        removed = lambda _: None if room is None else self.usage.removed(room)
        self.store.destroy(bare).addCallbacks(removed, failed)
