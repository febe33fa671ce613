# -*- test-case-name: tests.operations.transfer.test_storewriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Records into the stores of a server that does not run.

An account is created last, after everything that it keeps, and a room is stored after its archive. So what there is,
is complete; what a killed process has left of others belongs to nobody, and is removed when they come again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from muccore.config.schema import Settings
from muccore.operations.transfer.archivemerge import ArchiveMerge
from muccore.operations.transfer.records import ITarget, Messages, NodeItems, Problem, Room, User, UserNode, Written
from muccore.operations.transfer.roomwriter import RoomWriter
from muccore.operations.transfer.userwriter import UserWriter
from muccore.server.stores import ServerStores
from muccore.xmpp.jid import parse

REFUSE: Final = "refuse"
SKIP: Final = "skip"
MERGE: Final = "merge"
EXISTING: Final = (REFUSE, SKIP, MERGE)
"""
What is done about accounts and rooms that exist: refuse everything, leave them out, or add what they do not have.
"""

AT_ONCE: Final = 32
"""Accounts and rooms that are being finished at a time."""


@dataclass
class Summary:
    """
    What came.

    @ivar users: the number of new accounts.
    @ivar rooms: that of new rooms.
    @ivar messages: that of messages in archives.
    @ivar existing: the accounts and rooms that existed before.
    @ivar problems: what cannot come, each with the number of times.
    """

    users: int = 0
    rooms: int = 0
    messages: int = 0
    existing: list[str] = field(default_factory=list)
    problems: Counter[Problem] = field(default_factory=Counter)


class _Entity:
    """An account or a room that is being written, one step after the other."""

    def __init__(self, target: StoreWriter, address: str, writer: UserWriter | RoomWriter) -> None:
        self.address = address
        self._target = target
        self._writer = writer
        self._archive: ArchiveMerge | None = None
        self._isWritten = False
        self._step: Deferred[None] = succeed(None)

    async def do(self, step: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Take a step once the one before is done, whose failure this raises. It goes on meanwhile."""
        before, self._step = self._step, succeed(None)
        await before
        self._step = Deferred.fromCoroutine(step(*arguments))

    def giveUp(self) -> None:
        """What is going on may fail now."""
        self._step.addErrback(lambda _: None)

    async def begin(self, record: User | Room) -> None:
        """Find out whether it can come, and begin."""
        target, summary = self._target, self._target.summary
        refusal = await self._writer.findProblem(parse(self.address))
        if refusal is not None:
            summary.problems[Problem(self.address, "all of it", refusal, True)] += 1
            return
        exists = await self._writer.exists(self.address)
        if exists:
            summary.existing.append(self.address)
            if not target.merges:
                return
        elif isinstance(record, User):
            summary.users += 1
        else:
            summary.rooms += 1
        self._isWritten = True
        if target.archive is not None:
            self._archive = ArchiveMerge(target.archive, self.address, exists, target.dryRun)
        await self._writer.begin(self.address, exists)
        await self.add(record)

    async def add(self, record: Any) -> None:
        """Add what a record has."""
        if self._isWritten:
            self._target.summary.problems.update(await self._writer.add(record))

    async def append(self, messages: Messages) -> None:
        """Append messages to its archive."""
        if self._archive is not None:
            await self._archive.append(messages.items)
        elif self._isWritten:
            problem = Problem(messages.archive, "messages in the archive", "no archive is configured")
            self._target.summary.problems[problem] += 1

    async def finish(self) -> None:
        """Finish it, after the last step."""
        await self._step
        summary = self._target.summary
        if self._archive is not None:
            count, problems = await self._archive.finish()
            summary.messages += count
            summary.problems.update(problems)
        if self._isWritten:
            summary.problems.update(await self._writer.finish())


@implementer(ITarget)
class StoreWriter:
    """
    Writes records into stores that are open; some accounts and rooms at a time, since databases commit together what
    comes together.

    @ivar summary: what came so far, with the problems.
    @ivar archive: where archives are, or C{None}.
    @ivar merges: whether something is added to what exists.
    @ivar dryRun: whether nothing is to be changed.
    """

    def __init__(self, stores: ServerStores, settings: Settings, existing: str, dryRun: bool = False) -> None:
        """
        @param existing: L{SKIP} or L{MERGE}; with C{dryRun} also L{REFUSE}, which is the same as L{SKIP} then.
        @param dryRun: whether nothing is to be changed.
        """
        self.summary = Summary()
        self.archive = stores.archive
        self.merges = existing == MERGE
        self.dryRun = dryRun
        self._users = UserWriter(stores, settings, dryRun)
        self._rooms = RoomWriter(stores, settings, dryRun)
        self._entity: _Entity | None = None
        self._finishing: dict[str, Deferred[None]] = {}

    def write(self, record: Written) -> Deferred[None]:
        """See L{ITarget.write}."""
        return Deferred.fromCoroutine(self._orGiveUp(self._write(record)))

    def finish(self) -> Deferred[None]:
        """See L{ITarget.finish}."""
        return Deferred.fromCoroutine(self._orGiveUp(self._finish()))

    async def _orGiveUp(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BaseException:
            for finishing in self._finishing.values():
                finishing.addErrback(lambda _: None)
            if self._entity is not None:
                self._entity.giveUp()
            raise

    async def _write(self, record: Written) -> None:
        entity = self._entity
        if isinstance(record, Messages):
            if entity is not None and entity.address == record.archive:
                await entity.do(entity.append, record)
            return
        if isinstance(record, (UserNode, NodeItems)):
            if entity is not None and entity.address == record.account:
                await entity.do(entity.add, record)
            return
        address = record.account if isinstance(record, User) else record.room
        if entity is not None and entity.address == address:
            await entity.do(entity.add, record)
            return
        await self._close(AT_ONCE - 1)
        if address in self._finishing:
            await self._finishing.pop(address)
        self._entity = entity = _Entity(self, address, copy(self._users if isinstance(record, User) else self._rooms))
        await entity.do(entity.begin, record)

    async def _close(self, left: int) -> None:
        """Let the present account or room be finished; wait until at most some are being finished."""
        entity, self._entity = self._entity, None
        if entity is not None:
            self._finishing[entity.address] = Deferred.fromCoroutine(entity.finish())
        while len(self._finishing) > left:
            await self._finishing.pop(next(iter(self._finishing)))

    async def _finish(self) -> None:
        await self._close(0)
