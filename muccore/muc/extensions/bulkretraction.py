# -*- test-case-name: tests.muc.extensions.test_bulkretraction -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The retraction of everything that a user wrote in a room: one user after the other, and of each the messages in their
order. All are replaced by tombstones in one write; then each is announced, a bounded number of them at a time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from muccore.muc.model import pastmessages, retractions
from muccore.muc.model.accesslocks import Access
from muccore.muc.model.retractions import Moderation
from muccore.muc.model.room import Room
from muccore.muc.protocol.access import MESSAGES
from muccore.muc.service.rooms import Rooms
from muccore.muc.service.storefailures import storeFailed
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.uniqueids import newId

LIMIT: Final = 1000
"""Maximum number of messages that one request retracts: the last ones. It can be repeated."""

PREPARED: Final = 50
"""Messages that are replaced in one turn."""

DELIVERED: Final = 5000
"""Stanzas that announcements cause in one turn, unless a single one causes more."""

INTERVAL: Final = 0.05
"""Seconds between two turns with announcements, in which clients read them."""


class Outcome(NamedTuple):
    """
    What was retracted.

    @ivar number: the number of messages.
    @ivar complete: whether these were all that are known.
    """

    number: int
    complete: bool


@dataclass
class _Job:
    sender: str
    account: str
    moderation: Moderation
    done: Deferred[Outcome] = field(default_factory=Deferred)


class BulkRetractions:
    """The retractions of the rooms of one service that wait or are in progress."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._jobs: dict[str, deque[_Job]] = {}
        self._running: dict[str, Deferred[None]] = {}
        self._pauses: dict[Deferred[None], IDelayedCall] = {}
        self._hurrying = False

    def waiting(self, room: Room, own: bool) -> list[str]:
        """
        The users of whom everything is being, or is to be, retracted in a room.

        @param own: those who have requested it themselves, or all others.
        """
        jobs = self._jobs.get(room.jid.bare, ())
        return [job.account for job in jobs if (job.sender.partition("/")[0] == job.account) is own]

    def add(self, room: Room, sender: str, account: str, moderation: Moderation) -> Deferred[Outcome]:
        """
        Retract everything that a user wrote, after what was added before.

        @param sender: the full JID of who requests it.
        @param account: the bare JID of the author.
        @return: fires when everything is announced; fails with L{StanzaError} if the store does. Nothing is retracted
            if the room is destroyed meanwhile.
        """
        bare = room.jid.bare
        job = _Job(sender, account, moderation)
        self._jobs.setdefault(bare, deque()).append(job)
        if bare not in self._running:
            running = self._running[bare] = Deferred[None]()
            Deferred.fromCoroutine(self._run(bare)).addBoth(lambda _: running.callback(None))
        return job.done

    def roomDestroyed(self, room: Room) -> None:
        """Give up what is left to do in a room."""
        _, *others = self._jobs.pop(room.jid.bare, None) or (None,)
        for job in others:
            job.done.callback(Outcome(0, True))

    def finish(self) -> Deferred[Any]:
        """Do all that is left at once; nobody is in the rooms any more."""
        self._hurrying = True
        for pause, call in list(self._pauses.items()):
            call.cancel()
            pause.callback(None)
        return DeferredList(list(self._running.values()))

    def _pause(self, seconds: float) -> Deferred[None]:
        if self._hurrying:
            return succeed(None)
        pause: Deferred[None] = Deferred()
        self._pauses[pause] = self._rooms.clock.callLater(seconds, pause.callback, None)
        return pause.addCallback(lambda _: self._pauses.pop(pause, None)).addCallback(lambda _: None)

    async def _run(self, bare: str) -> None:
        """Do what there is to do in a room."""
        try:
            while jobs := self._jobs.get(bare):
                job = jobs[0]
                try:
                    outcome = await self._retract(bare, job)
                except Exception:
                    job.done.errback(Failure())
                else:
                    job.done.callback(outcome)
                if jobs is self._jobs.get(bare):
                    jobs.popleft()
        finally:
            self._jobs.pop(bare, None)
            del self._running[bare]

    async def _retract(self, bare: str, job: _Job) -> Outcome:
        room = await self._rooms.open(bare)
        if room is None:
            return Outcome(0, True)
        if room.changeQueue.changing:
            replace = partial(self._replace, room, job)
            replacing = room.changeQueue.enqueue(job.sender, replace, Access.to((MESSAGES,)), refusable=False)
        else:
            replacing = self._replace(room, job)
        retracted, complete = await replacing
        await self._announce(bare, job, retracted)
        return Outcome(len(retracted), complete)

    def _replace(self, room: Room, job: _Job) -> Deferred[tuple[list[tuple[str, str]], bool]]:
        """
        Replace the messages by tombstones, while others of past messages wait.

        @return: fires with the id of each, that of its announcement, and whether these are all.
        """
        replacing = Deferred.fromCoroutine(self._makeTombstones(room, job)).addErrback(storeFailed)
        return self._rooms.lockWhile(room, job.sender, replacing, Access.to((MESSAGES,)))

    async def _makeTombstones(self, room: Room, job: _Job) -> tuple[list[tuple[str, str]], bool]:
        found = await pastmessages.findBy(room, job.account, LIMIT + 1)
        tombstones: dict[str, Rendered | None] = {}
        retracted = []
        for index, past in enumerate(found[-LIMIT:]):
            if index % PREPARED == PREPARED - 1:
                await self._pause(0)
            id = newId()
            tombstones[past.id] = retractions.tombstone(past, room.jid.bare, id, room.now(), job.moderation)
            retracted.append((past.id, id))
        await pastmessages.replace(room, tombstones)
        return retracted, len(found) <= LIMIT

    async def _announce(self, bare: str, job: _Job, retracted: list[tuple[str, str]]) -> None:
        """
        Announce what was retracted. The history does not keep it: there are the tombstones, and it would displace what
        others said.
        """
        at = 0
        while at < len(retracted):
            if at:
                await self._pause(INTERVAL)
            room = await self._rooms.open(bare)
            if room is None or job not in self._jobs.get(bare, ()):
                return
            number = max(1, DELIVERED // max(1, len(room.sessions)))
            for id, announcementId in retracted[at : at + number]:
                room.publish(None, retractions.announcement(bare, announcementId, id, job.moderation))
            at += number
