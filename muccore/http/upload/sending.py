# -*- test-case-name: tests.http.upload.test_resource -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A file that is being sent: read from the store as fast as the client takes it."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.web.server import Request
from zope.interface import implementer

from muccore.interfaces import StoreError
from muccore.interfaces.uploads import IUploadStore

STALLED: Final = 60
"""Seconds without anything being read after which the connection is closed."""


@implementer(IPushProducer)
class UploadSender:
    """Sends part of a file as the body of a response."""

    def __init__(self, request: Request, store: IUploadStore, clock: IReactorTime, size: int) -> None:
        """
        @param clock: notices clients that stop reading.
        @param size: bytes to read at a time.
        """
        self._size = size
        self._request = request
        self._store = store
        self._clock = clock
        self._ended = False
        self._paused: Deferred[None] | None = None
        self._stalling: IDelayedCall | None = None

    async def send(self, id: str, start: int, end: int) -> bool:
        """
        Send the bytes from C{start} to before C{end}, as far as the connection lasts.

        @return: whether all were sent. If not, the connection is closed, so that nobody takes a part for the whole.
        """
        self._request.registerProducer(self, True)
        try:
            while start < end and not self._ended:
                data = await self._store.read(id, start, min(self._size, end - start))
                if not data:
                    break
                if not self._ended:
                    self._request.write(data)
                    start += len(data)
                if self._paused is not None:
                    await self._paused
        except StoreError:
            # It was removed, or the disk has failed: too late for an error.
            pass
        self._resume()
        if not self._ended:
            self._request.unregisterProducer()
            if start < end:
                self._request.loseConnection()
        return start >= end and not self._ended

    def pauseProducing(self) -> None:
        """See L{IPushProducer}."""
        if self._paused is None and not self._ended:
            self._paused = Deferred()
            self._stalling = self._clock.callLater(STALLED, self._stalled)

    def resumeProducing(self) -> None:
        """See L{IPushProducer}."""
        self._resume()

    def stopProducing(self) -> None:
        """See L{IPushProducer}: the connection is being closed."""
        self._ended = True
        self._resume()

    def connectionLost(self) -> None:
        """The connection was lost."""
        self.stopProducing()

    def _resume(self) -> None:
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None
        paused, self._paused = self._paused, None
        if paused is not None:
            paused.callback(None)

    def _stalled(self) -> None:
        self._stalling = None
        self._request.loseConnection()
