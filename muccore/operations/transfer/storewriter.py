# -*- test-case-name: tests.operations.transfer.test_storewriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Records into the stores of a server that does not run.

An account is created last, after everything that it keeps, and a room is stored after its archive. So what there is,
is complete; what a killed process has left of others belongs to nobody, and is removed when they come again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.config.schema import Settings
from muccore.operations.transfer.archivemerge import ArchiveMerge
from muccore.operations.transfer.records import ITarget, Messages, Problem, Room, User
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


@implementer(ITarget)
class StoreWriter:
    """
    Writes records into stores that are open.

    @ivar summary: what came so far.
    """

    def __init__(self, stores: ServerStores, settings: Settings, existing: str, dryRun: bool = False) -> None:
        """
        @param existing: L{SKIP} or L{MERGE}; with C{dryRun} also L{REFUSE}, which is the same as L{SKIP} then.
        @param dryRun: whether nothing is to be changed.
        """
        self.summary = Summary()
        self._stores = stores
        self._existing = existing
        self._dryRun = dryRun
        self._users = UserWriter(stores, settings, dryRun)
        self._rooms = RoomWriter(stores, settings, dryRun)
        # What is being written, by its address; None: what comes for it is left out.
        self._address = ""
        self._writer: UserWriter | RoomWriter | None = None
        self._archive: ArchiveMerge | None = None

    def write(self, record: User | Room | Messages) -> Deferred[list[Problem]]:
        """See L{ITarget.write}."""
        return Deferred.fromCoroutine(self._write(record))

    def finish(self) -> Deferred[list[Problem]]:
        """See L{ITarget.finish}."""
        return Deferred.fromCoroutine(self._finish())

    async def _write(self, record: User | Room | Messages) -> list[Problem]:
        if isinstance(record, Messages):
            return await self._append(record)
        address = record.account if isinstance(record, User) else record.room
        if address == self._address:
            return [] if self._writer is None else await self._add(record)
        problems = await self._finish()
        self._address = address
        writer: UserWriter | RoomWriter = self._users if isinstance(record, User) else self._rooms
        refusal = await writer.findProblem(parse(address))
        if refusal is not None:
            return [*problems, Problem(address, "all of it", refusal, True)]
        exists = await writer.exists(address)
        if exists:
            self.summary.existing.append(address)
            if self._existing != MERGE:
                return problems
        elif isinstance(record, User):
            self.summary.users += 1
        else:
            self.summary.rooms += 1
        self._writer = writer
        if self._stores.archive is not None:
            self._archive = ArchiveMerge(self._stores.archive, address, exists, self._dryRun)
        await writer.begin(address, exists)
        return [*problems, *await self._add(record)]

    async def _add(self, record: User | Room) -> list[Problem]:
        if isinstance(record, User):
            return await self._users.add(record)
        return await self._rooms.add(record)

    async def _append(self, messages: Messages) -> list[Problem]:
        if self._writer is None or messages.archive != self._address:
            return []
        if self._archive is None:
            return [Problem(messages.archive, "messages in the archive", "no archive is configured")]
        await self._archive.append(messages.items)
        return []

    async def _finish(self) -> list[Problem]:
        writer, archive = self._writer, self._archive
        self._address, self._writer, self._archive = "", None, None
        if writer is None:
            return []
        problems: list[Problem] = []
        if archive is not None:
            count, problems = await archive.finish()
            self.summary.messages += count
        return [*problems, *await writer.finish()]
