# -*- test-case-name: tests.storage.test_sqlite_archive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Message archives in a database (design/0014): a thread that writes, in groups, and one that reads.

L{muccore.storage.rows.archiverows} and L{muccore.storage.rows.archivequeries} are what is done with the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from muccore.interfaces import (
    ArchiveItem,
    ArchiveMetadata,
    ArchivePage,
    ArchiveQuery,
    IArchiveStore,
    StoreError,
    StoreUnavailable,
)
from muccore.log.logger import Logger
from muccore.storage.archivejournal import ArchiveJournal
from muccore.storage.rows.archivequeries import ArchiveQueries
from muccore.storage.rows.archiverows import ArchiveRows
from muccore.storage.rows.batching import BatchingDatabase, C
from muccore.xmpp.rendering import Rendered

GATHER: Final = 0.25
"""Seconds for which appends are gathered to be committed together; meanwhile, the journal has them."""

WAITING_LIMIT: Final = 32 * 1024 * 1024
"""Bytes of stanzas that may wait to be written; more are refused."""

GROUP_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of stanzas that are written by the same statements, if it is more than one call."""

ERASE_DELAY: Final = 60.0
"""Seconds after a removal until its traces are erased, with those of others."""

ERASE_PAUSE: Final = 0.02
"""Seconds between the steps of that."""

_log: Final = Logger()

_T = TypeVar("_T")


class Append:
    """
    A call of L{RowArchive.append} that waits for its group.

    @ivar position: its position in the journal.
    @ivar size: the bytes of its stanzas.
    """

    __slots__ = ("answer", "archive", "items", "position", "size")

    def __init__(self, position: int, archive: str, items: Sequence[ArchiveItem]) -> None:
        self.position = position
        self.archive = archive
        self.items = items
        self.size = sizeOf(items)
        self.answer: Deferred[None] = Deferred()


def sizeOf(items: Sequence[ArchiveItem]) -> int:
    """The bytes of the stanzas of items."""
    return sum([len(item.stanza.tail) for item in items])


@implementer(IArchiveStore)
class RowArchive(Generic[C]):
    """
    Message archives in a database.

    Cancelling a Deferred drops the result, not the request.

    @ivar writer: the database, for writes in the order of the calls.
    @ivar reader: the same, for reads that wait for no writes but earlier ones of their archive.
    @ivar rows: the statements that write.
    @ivar journal: has what is appended until it is committed.
    """

    eraseDelay = ERASE_DELAY
    erasePause = ERASE_PAUSE

    def __init__(
        self, writer: BatchingDatabase[C], reader: BatchingDatabase[C], rows: ArchiveRows[C],
        queries: ArchiveQueries[C], journal: ArchiveJournal, reactor: Any,
    ) -> None:  # fmt: skip
        """
        @param queries: the statements that read.
        @param reactor: for threads and time.
        """
        self.writer = writer
        self.reader = reader
        self.rows = rows
        self.journal = journal
        self._queries = queries
        self._reactor = reactor
        self._accepting = False
        self._reading = False
        # The next group, and the delayed call that writes it.
        self._waiting: list[Append] = []
        self._writing: Any = None
        # Stanzas of this and earlier groups that are not yet written.
        self._bytes = 0
        # The archives that each unanswered write changes.
        self._changing: list[Collection[str]] = []
        self._lost = 0
        self._erasing: Any = None

    def setCallBeforeSending(self, callBeforeSending: Callable[[Callable[[], object]], object]) -> None:
        """See L{IStore<muccore.interfaces.IStore>}."""
        self.journal.callBeforeSending = callBeforeSending

    def probe(self) -> None:
        """See L{BatchingDatabase.probe} and L{ArchiveJournal.probe}."""
        self.writer.probe()
        self.journal.probe()

    def open(self) -> Deferred[None]:
        """See L{IArchiveStore.open}."""
        return Deferred.fromCoroutine(self._open())

    async def _open(self) -> None:
        await self.writer.open()
        try:
            await self.recover()
            await self.reader.open()
        except StoreError:
            await self._close()
            raise
        self._accepting = True
        await self.begin()

    def openReading(self) -> Deferred[None]:
        """See L{IArchiveStore.openReading}. The journal is that of the other process."""

        def opened(_: None) -> None:
            self._reading = True

        return self.reader.open().addCallback(opened)

    async def recover(self) -> None:
        """Write what the journal of a killed process has, and begin a new one."""
        position, count = await self.writer.write(
            lambda connection: self.rows.replayCalls(connection, self.journal.read())
        )
        if count:
            text = "{path}: {count} messages that a killed server had not yet written were written"
            _log.info(text, path=self.writer.path, count=count)
        await self.writer.read(lambda connection: self.journal.open(position))

    async def begin(self) -> None:
        """Begin to work, when everything is open."""
        if await self.reader.read(self.rows.mustErase):
            self.eraseLater()

    def close(self) -> Deferred[None]:
        """See L{IArchiveStore.close}."""
        if self._accepting:
            self.writeGroup()
            self._accepting = False
        if self._erasing is not None:
            self._erasing.cancel()
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        self._reading = False
        # Reads may wait for writes.
        await self.writer.close()
        self.journal.close()
        await self.reader.close()

    # Writes

    def append(self, archive: str, items: Sequence[ArchiveItem]) -> Deferred[None]:
        """See L{IArchiveStore.append}."""
        if not self._accepting:
            return fail(self._notOpen())
        if self._bytes and self._bytes + sizeOf(items) > WAITING_LIMIT:
            refusal = StoreUnavailable(
                f"{self.writer.path}: {self._bytes} bytes of messages are waiting; is the disk too slow?"
            )
            self._reportLost(str(refusal), len(items))
            return fail(refusal)
        given = tuple(items)
        call = Append(self.journal.append(archive, given), archive, given)
        self._bytes += call.size
        self._waiting.append(call)
        self.writeLater(GATHER)
        return call.answer

    def retract(self, archive: str, tombstones: Mapping[str, Rendered]) -> Deferred[int]:
        """See L{IArchiveStore.retract}."""
        given = [(id, (stanza.head + stanza.tail).decode()) for id, stanza in tombstones.items()]
        write = lambda connection: self.rows.retractItems(connection, archive, given)
        return self._removing(self._write([archive], write))

    def remove(self, archive: str, ids: Collection[str]) -> Deferred[int]:
        """See L{IArchiveStore.remove}."""
        given = list(ids)
        write = lambda connection: self.rows.removeItems(connection, archive, given)
        return self._removing(self._write([archive], write))

    def expire(self, archive: str, before: int) -> Deferred[int]:
        """See L{IArchiveStore.expire}."""
        return self._inSteps(archive, lambda connection: self.rows.expireItems(connection, archive, before))

    def trim(self, archive: str, count: int) -> Deferred[int]:
        """See L{IArchiveStore.trim}."""
        return self._inSteps(archive, lambda connection: self.rows.trimItems(connection, archive, count))

    def _inSteps(self, archive: str, step: Callable[[C], tuple[int, bool]]) -> Deferred[int]:
        """Remove items of an archive in steps, which tell how many they have removed and whether there are more."""

        async def remove() -> int:
            removed, more = 0, True
            while more:
                count, more = await self._write([archive], step)
                removed += count
            return removed

        return self._removing(Deferred.fromCoroutine(remove()))

    def delete(self, archive: str) -> Deferred[None]:
        """See L{IArchiveStore.delete}."""
        deleting = self._write([archive], lambda connection: self.rows.deleteArchive(connection, archive))
        return self._removing(deleting).addCallback(lambda _: None)

    def deleteUnopened(self, archive: str) -> Deferred[None]:
        """See L{IArchiveStore.deleteUnopened}. The journal is that of the other process."""
        return Deferred.fromCoroutine(self._deleteUnopened(archive))

    async def _deleteUnopened(self, archive: str) -> None:
        database = self.unopened()
        if database is None:
            return
        await database.open()
        try:
            await database.write(lambda connection: self.rows.deleteArchive(connection, archive))
        finally:
            await database.close()

    def unopened(self) -> BatchingDatabase[C] | None:
        """Make another connection for L{deleteUnopened}, C{None} if there are no archives yet."""
        raise NotImplementedError("an archive's unopened")

    def _notOpen(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self.writer.path}: it is not open")

    def writeLater(self, delay: float) -> None:
        """Write what has been gathered after a time in seconds, or when that is to be done already."""
        if self._writing is None:
            self._writing = self._reactor.callLater(delay, self.writeGroup)

    def writeGroup(self) -> None:
        """Write what has been gathered."""
        if self._writing is not None:
            if self._writing.active():
                self._writing.cancel()
            self._writing = None
        if self._waiting:
            self.journal.beginGroup()
        while self._waiting:
            size = 0
            for count, each in enumerate(self._waiting):
                size += each.size
                if count and size > GROUP_LIMIT:
                    break
            else:
                count = len(self._waiting)
            group, self._waiting = self._waiting[:count], self._waiting[count:]
            archives = {each.archive for each in group}
            self._request(archives, self.groupOperation(group)).addBoth(self.written, group)

    def groupOperation(self, group: Sequence[Append]) -> Callable[[C], list[Exception | None]]:
        """Make the operation that writes a group, and tells for each call why it was refused, or C{None}."""
        calls, position = [(each.archive, each.items) for each in group], group[-1].position

        def write(connection: C) -> list[Exception | None]:
            self.rows.setPosition(connection, position)
            return self.rows.appendItems(connection, calls)

        return write

    def written(self, results: Any, group: list[Append]) -> None:
        """
        Answer the calls of a group.

        @param results: for each why it was refused, or C{None}; or one failure.
        """
        self.journal.committed(group[-1].position)
        self._bytes -= sum([each.size for each in group])
        if isinstance(results, Failure):
            self._reportLost(results.getErrorMessage(), sum([len(each.items) for each in group]))
            results = [results.value] * len(group)
        elif self._lost:
            text = "{path}: it can be written again; {lost} messages are missing in the archives"
            _log.warn(text, path=self.writer.path, lost=self._lost)
            self._lost = 0
        for each, refused in zip(group, results, strict=True):
            if refused is None:
                each.answer.callback(None)
            else:
                each.answer.errback(refused)

    def _reportLost(self, reason: str, count: int) -> None:
        """Log the first of several failures; L{written} logs their end."""
        if not self._lost:
            _log.error("messages are lost for the archives: {reason}", reason=reason)
        self._lost += count

    def _write(self, archives: Collection[str], operation: Callable[[C], _T]) -> Deferred[_T]:
        """Write to archives, after everything that was appended."""
        if not self._accepting:
            return fail(self._notOpen())
        self.writeGroup()
        return self._request(archives, self.inOrder(operation))

    def inOrder(self, operation: Callable[[C], _T]) -> Callable[[C], _T]:
        """Make a write that is not carried out before the groups that were given to the database before it."""
        return operation

    def _request(self, archives: Collection[str], operation: Callable[[C], _T]) -> Deferred[_T]:
        self._changing.append(archives)
        # Not the one that the caller gets and may cancel.
        answer: Deferred[_T] = Deferred()

        def finish(result: Any) -> None:
            self._changing.remove(archives)
            answer.callback(result)

        self.writer.write(operation).addBoth(finish)
        return answer

    # Reads

    def query(self, archive: str, query: ArchiveQuery) -> Deferred[ArchivePage]:
        """See L{IArchiveStore.query}."""
        return self._read(archive, lambda connection: self._queries.findPage(connection, archive, query))

    def get(self, archive: str, id: str) -> Deferred[ArchiveItem | None]:
        """See L{IArchiveStore.get}."""
        return self._read(archive, lambda connection: self._queries.getItem(connection, archive, id))

    def metadata(self, archive: str) -> Deferred[ArchiveMetadata | None]:
        """See L{IArchiveStore.metadata}."""
        return self._read(archive, lambda connection: self._queries.getMetadata(connection, archive))

    def names(self, after: str, limit: int) -> Deferred[list[str]]:
        """See L{IArchiveStore.names}."""
        return self._read(None, lambda connection: self._queries.listArchives(connection, after, limit))

    def _read(self, archive: str | None, operation: Callable[[C], _T]) -> Deferred[_T]:
        """Read, after all earlier writes of an archive, or of any."""
        if not (self._accepting or self._reading):
            return fail(self._notOpen())
        if any(archive in (None, each.archive) for each in self._waiting):
            self.writeGroup()
        if not any(archive is None or archive in archives for archives in self._changing):
            return self.reader.read(operation)
        return Deferred.fromCoroutine(self._readAfterWrites(operation))

    async def _readAfterWrites(self, operation: Callable[[C], _T]) -> _T:
        # Answered in order, whether or not the writes succeed.
        await self.writer.read(lambda connection: None)
        return await self.reader.read(operation)

    # Erasing

    def _removing(self, removal: Deferred[_T]) -> Deferred[_T]:
        """Have the traces of a removal erased."""
        return removal.addCallback(self._removed)

    def _removed(self, result: _T) -> _T:
        self.eraseLater()
        return result

    def eraseLater(self) -> None:
        """Have what was removed erased after a while."""
        if self._accepting and self._erasing is None:
            self._erasing = Deferred.fromCoroutine(self._erase())
            self._erasing.addErrback(self._eraseFailed)

    async def _erase(self) -> None:
        await deferLater(self._reactor, self.eraseDelay)
        erase = self.rows.eraser()
        try:
            while await self._write([], erase):
                await deferLater(self._reactor, self.erasePause)
        finally:
            self._erasing = None

    def _eraseFailed(self, failure: Failure) -> None:
        """It is tried again after the next removal, or after the next start."""
        failure.trap(StoreError, CancelledError)
        if self._accepting:
            _log.warn(
                "what was removed from the archives is not yet erased: {reason}", reason=failure.getErrorMessage()
            )
