# -*- test-case-name: tests.storage.test_fileuploads -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{files:PATH}, the files of users in a folder, with an index (docs/design/0039).

When a file is durable in its place (L{muccore.storage.uploadfolder}), its row is committed, and only what has a row is
found. It is removed in the other order. So what a crash leaves is files without rows, which are looked for at the next
start.

All that waits for the disk is done in a few threads of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, fail
from twisted.internet.threads import deferToThreadPool
from twisted.python.filepath import FilePath
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from muccore.interfaces import BadDescription, IStore, StoreError, StoreUnavailable
from muccore.interfaces.uploads import (
    UPLOAD_ID,
    IUploadStore,
    IUploadWriter,
    NoSuchUpload,
    QuotaExceeded,
    Upload,
    UploadUsage,
)
from muccore.log.logger import Logger
from muccore.storage.files import writeAll
from muccore.storage.sqlite.database import Database
from muccore.storage.uploadfolder import UploadFolder
from muccore.storage.uploadindex import SCHEMA, Removed, UploadIndex

THREADS: Final = 4
"""The most threads that wait for the disk."""

_SLICE: Final = 200
"""Rows that are removed in one commit."""

_INDEX: Final = "index.db"

_log: Final = Logger()

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _whileOpen(
    method: Callable[Concatenate[FileUploads, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate[FileUploads, _P], Deferred[_T]]:
    """Refuse a request unless the store is open, which it stays until the request is done."""

    @wraps(method)
    def request(self: FileUploads, /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        if not self.isOpen:
            return fail(StoreUnavailable(f"{self.path}: the store is not open"))
        return self.track(Deferred.fromCoroutine(method(self, *args, **kwargs)))

    return request


@implementer(IUploadStore)
class FileUploads:
    """
    Files in a folder.

    @ivar path: the path of the folder.
    @ivar folder: the files in it.
    @ivar isOpen: whether requests are accepted.
    @ivar location: see L{IStore}.
    """

    def __init__(self, folder: FilePath[str], reactor: Any) -> None:
        """@param reactor: for threads."""
        self.path = folder.path
        self.folder = UploadFolder(folder.path)
        self.isOpen = False
        self.location = folder.realpath().path
        self._reactor = reactor
        self._index = UploadIndex(Database(folder.child(_INDEX), SCHEMA, reactor))
        self._pool: ThreadPool | None = None
        self._total = 0
        self._writing: dict[str, Upload] = {}
        self._writers: set[FileWriter] = set()
        self._requests: set[Deferred[Any]] = set()
        self._closed: Deferred[None] | None = None
        self._closers: list[Deferred[None]] = []

    # Opening and closing

    def probe(self) -> None:
        """Check that the folder can be written, and the index read."""
        self.folder.prepare()
        self._index.probe()

    def open(self) -> Deferred[None]:
        """See L{IUploadStore.open}."""
        return Deferred.fromCoroutine(self._open())

    async def _open(self) -> None:
        pool = ThreadPool(0, THREADS, "muccore-uploads")
        pool.start()
        self._pool = pool
        try:
            await self.inThread(self.folder.take)
            await self._index.open()
            self._total = await self._index.total()
        except BaseException:
            self._pool = None
            pool.stop()
            self.folder.release()
            raise
        self.isOpen = True
        self.track(Deferred.fromCoroutine(self._sweep()))

    def close(self) -> Deferred[None]:
        """See L{IUploadStore.close}."""
        self.isOpen = False
        for writer in list(self._writers):
            writer.abort()
        closing: Deferred[None] = Deferred()
        self._closers.append(closing)
        if len(self._closers) == 1:
            Deferred.fromCoroutine(self._close())
        return closing

    async def _close(self) -> None:
        while self._requests:
            waiting: Deferred[None] = Deferred()
            self._closed = waiting
            await waiting
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
        await self._index.close()
        self.folder.release()
        closers, self._closers = self._closers, []
        for closing in closers:
            closing.callback(None)

    def track(self, request: Deferred[_T]) -> Deferred[_T]:
        """Stay open until a request is done."""

        def done(result: Any) -> Any:
            self._requests.discard(request)
            if self._closed is not None and not self._requests:
                closed, self._closed = self._closed, None
                closed.callback(None)
            return result

        self._requests.add(request)
        return request.addBoth(done)

    def inThread(self, work: Callable[..., _T], *arguments: Any) -> Deferred[_T]:
        """Do what waits for the disk."""
        if self._pool is None:
            return fail(StoreUnavailable(f"{self.path}: the store is not open"))
        return deferToThreadPool(self._reactor, self._pool, work, *arguments)

    # Requests

    @_whileOpen
    async def create(self, upload: Upload, ownerQuota: int, totalQuota: int) -> IUploadWriter:
        """See L{IUploadStore.create}."""
        if UPLOAD_ID.fullmatch(upload.id) is None or upload.id in self._writing:
            raise StoreError(f"{self.path}: this cannot be the id of a file")
        # From now on it counts for others.
        self._writing[upload.id] = upload
        try:
            usage = await self._usage(upload.owner, upload.id)
            if await self._index.known([upload.id]):
                raise StoreError(f"{self.path}: there is a file of this id")
            if usage.owner > ownerQuota or usage.total > totalQuota:
                raise QuotaExceeded(f"{self.path}: the quota of {'an account' if usage.total <= totalQuota else 'all'}")
            file = await self.inThread(self.folder.begin, upload.id)
        except OSError as e:
            self._writing.pop(upload.id)
            raise self.unavailable(e) from None
        except BaseException:
            self._writing.pop(upload.id)
            raise
        writer = FileWriter(self, upload, file)
        self._writers.add(writer)
        if not self.isOpen:
            writer.abort()
        return writer

    @_whileOpen
    async def find(self, id: str) -> Upload | None:
        """See L{IUploadStore.find}."""
        return await self._index.find(id) if UPLOAD_ID.fullmatch(id) else None

    @_whileOpen
    async def read(self, id: str, offset: int, size: int) -> bytes:
        """See L{IUploadStore.read}."""
        try:
            if UPLOAD_ID.fullmatch(id) is None:
                raise FileNotFoundError
            return await self.inThread(self.folder.read, id, offset, size)
        except FileNotFoundError:
            raise NoSuchUpload(f"{self.path}: no file {id[:4]}...") from None
        except OSError as e:
            raise self.unavailable(e) from None

    @_whileOpen
    async def usage(self, owner: str) -> UploadUsage:
        """See L{IUploadStore.usage}."""
        return await self._usage(owner)

    async def _usage(self, owner: str, last: str | None = None) -> UploadUsage:
        """
        How much is stored.

        @param last: of the files that are being written, the last one that counts.
        """
        size, _, earliest = await self._index.usage(owner)
        # Its row is committed by the time a file leaves these, and the results of the database come in order.
        ids = list(self._writing)
        writing = [self._writing[id] for id in (ids if last is None else ids[: ids.index(last) + 1])]
        size += sum(each.size for each in writing if each.owner == owner)
        return UploadUsage(size, self._total + sum(each.size for each in writing), earliest)

    @_whileOpen
    async def removeExpired(self, now: int, most: int) -> int:
        """See L{IUploadStore.removeExpired}."""
        return await self._removed(await self._index.removeExpired(now, most))

    @_whileOpen
    async def removeAccount(self, owner: str) -> None:
        """See L{IUploadStore.removeAccount}."""
        while await self._removed(await self._index.removeOwned(owner, _SLICE)):
            pass

    async def _removed(self, rows: Removed) -> int:
        """Remove the files of rows that were removed."""
        self._total -= sum(size for _, size in rows)
        await self.inThread(self.folder.remove, [self.folder.pathOf(id) for id, _ in rows])
        return len(rows)

    def unavailable(self, error: OSError) -> StoreUnavailable:
        """What is raised for an error of the disk."""
        return StoreUnavailable(f"{self.path}: {error.strerror}")

    # What writers do

    def written(self, writer: FileWriter, whole: bool) -> None:
        """A file is not being written any more: it has its row, or is gone."""
        self._writers.discard(writer)
        upload = self._writing.pop(writer.upload.id)
        self._total += upload.size if whole else 0

    async def commit(self, upload: Upload, file: int) -> None:
        """
        Make a file durable and let it be found.

        @raise OSError: if its disk fails.
        @raise StoreError: if its row cannot be written.
        """
        await self.inThread(self.folder.keep, upload.id, file)
        await self._index.add(upload)

    async def discard(self, id: str, file: int) -> None:
        """Close and remove a file that is not whole. Never fails."""
        await self.inThread(self.folder.discard, id, file)

    # What a crash has left

    async def _sweep(self) -> None:
        """Remove files without rows, folder by folder."""
        began, count = time.time(), 0
        try:
            for folder in await self.inThread(self.folder.folders):
                ids = await self.inThread(self.folder.ids, folder)
                known = await self._index.known(ids) if ids else set()
                left = [self.folder.pathOf(id) for id in ids if id not in known and id not in self._writing]
                if left:
                    await self.inThread(self.folder.remove, left)
                    count += len(left)
                if not self.isOpen:
                    break
        except (OSError, StoreError) as e:
            _log.error("{path}: cannot be searched for remains: {error}", path=self.path, error=str(e))
        if count:
            seconds = time.time() - began
            _log.info(
                "{path}: removed {count} files that a crash has left, in {seconds:.1f} s",
                path=self.path, count=count, seconds=seconds,
            )  # fmt: skip


@implementer(IUploadWriter)
class FileWriter:
    """Writes one file, C{upload}."""

    def __init__(self, store: FileUploads, upload: Upload, file: int) -> None:
        """@param file: its descriptor."""
        self._store = store
        self.upload = upload
        self._file = file
        self._size = 0
        self._ended = False
        self._lock = DeferredLock()

    def _inOrder(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Deferred[None]:
        return self._store.track(self._lock.run(lambda: Deferred.fromCoroutine(work())))

    def write(self, data: bytes) -> Deferred[None]:
        """See L{IUploadWriter.write}."""

        async def write() -> None:
            self._check()
            self._size += len(data)
            if self._size > self.upload.size:
                raise StoreError(f"{self._store.path}: a file is larger than was said")
            try:
                await self._store.inThread(writeAll, self._file, data)
            except OSError as e:
                raise self._store.unavailable(e) from None

        return self._inOrder(write)

    def finish(self) -> Deferred[None]:
        """See L{IUploadWriter.finish}."""

        async def finish() -> None:
            self._check()
            whole = False
            try:
                if self._size != self.upload.size:
                    raise StoreError(f"{self._store.path}: a file has another size than was said")
                await self._store.commit(self.upload, self._file)
                whole = True
            except OSError as e:
                raise self._store.unavailable(e) from None
            finally:
                self._ended = True
                if whole:
                    self._store.written(self, True)
                    await self._store.inThread(os.close, self._file)
                else:
                    await self._remove()

        return self._inOrder(finish)

    def abort(self) -> Deferred[None]:
        """See L{IUploadWriter.abort}."""

        async def abort() -> None:
            if not self._ended:
                self._ended = True
                await self._remove()

        return self._inOrder(abort)

    def _check(self) -> None:
        if self._ended:
            raise StoreError(f"{self._store.path}: the file is closed")

    async def _remove(self) -> None:
        await self._store.discard(self.upload.id, self._file)
        self._store.written(self, False)


def makeFileUploads(argument: str, base: FilePath[str], reactor: Any) -> IStore:
    """
    Make the store for C{files:PATH}.

    @raise BadDescription: if there is no path.
    """
    if not argument.strip() or "\0" in argument:
        raise BadDescription("files: needs the path of a folder, as in files:var/uploads")
    store: IStore = FileUploads(FilePath(os.path.join(base.path, argument)), reactor)
    return store
