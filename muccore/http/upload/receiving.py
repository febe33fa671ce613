# -*- test-case-name: tests.http.upload.test_resource -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A file that is being put: passed on to the store as it arrives, no faster than that writes it."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.interfaces.http import IBody, IHTTPRequest
from muccore.interfaces.uploads import IUploadStore, IUploadWriter, Upload

WAITING: Final = 128 * 1024
"""Bytes that may wait for the disk before the connection is read no further."""


class UploadEnded(Exception):
    """The connection was lost, or the slot was withdrawn, before the file was whole."""


@implementer(IBody)
class UploadBody:
    """
    The body of a request that puts a file.

    @ivar done: fires when the file can be found, or fails with C{StoreError} or L{UploadEnded} when nothing is left.
    """

    def __init__(
        self, request: IHTTPRequest, store: IUploadStore, upload: Upload, ownerQuota: int, totalQuota: int
    ) -> None:
        """Begin to write; see L{IUploadStore.create} for the quotas."""
        self._request = request
        self._upload = upload
        self._queue: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._complete = False
        self._ended = False
        self._more: Deferred[None] | None = None
        self.done = Deferred.fromCoroutine(self._run(store, ownerQuota, totalQuota))
        self.done.addErrback(self._failed)

    def write(self, data: bytes) -> None:
        """See L{IBody.write}. What comes after a failure is dropped."""
        if self._ended:
            return
        self._queue.append(data)
        self._waiting += len(data)
        if self._waiting > WAITING and not self._paused:
            self._paused = True
            self._request.pauseBody()
        self._wake()

    def lost(self) -> None:
        """See L{IBody.lost}."""
        self.cancel()
        # Nobody is there to be told.
        self.done.addErrback(lambda _: None)

    def cancel(self) -> None:
        """End it, unless the file is whole already."""
        if not self._complete:
            self._ended = True
            self._wake()

    def finish(self) -> Deferred[None]:
        """All of it has arrived. Returns L{done}."""
        self._complete = True
        self._wake()
        return self.done

    def _wake(self) -> None:
        more, self._more = self._more, None
        if more is not None:
            more.callback(None)

    async def _run(self, store: IUploadStore, ownerQuota: int, totalQuota: int) -> None:
        writer: IUploadWriter = await store.create(self._upload, ownerQuota, totalQuota)
        try:
            while self._queue or not self._complete:
                if self._ended:
                    raise UploadEnded
                if self._queue:
                    await self._writeWaiting(writer)
                else:
                    self._more = Deferred()
                    await self._more
            await writer.finish()
        except BaseException:
            await writer.abort()
            raise

    async def _writeWaiting(self, writer: IUploadWriter) -> None:
        data = b"".join(self._queue)
        self._queue.clear()
        await writer.write(data)
        self._waiting -= len(data)
        if self._paused and self._waiting <= WAITING:
            self._paused = False
            self._request.resumeBody()

    def _failed(self, failure: object) -> object:
        """Let the rest arrive, so that the client reads the response."""
        self._ended = True
        self._queue.clear()
        if self._paused:
            self._paused = False
            self._request.resumeBody()
        return failure
