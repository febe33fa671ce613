# -*- test-case-name: tests.im.test_userdata -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the handlers have in common that keep documents of users (L{muccore.interfaces.IUserDataStore})."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from twisted.internet.defer import Deferred, DeferredLock

from muccore.interfaces import StoreError
from muccore.log.logger import Logger
from muccore.xmpp.errors import StanzaError

_log: Final = Logger()


@contextmanager
def storing() -> Iterator[None]:
    """
    Answer with C{internal-server-error}, of type C{wait}, if the store fails inside, and log it.

    @raise StanzaError: for L{StoreError}.
    """
    try:
        yield
    except StoreError as e:
        _log.error("the store of documents of users failed: {error}", error=str(e))
        raise StanzaError(
            "internal-server-error", "wait", "The data could not be loaded or saved; try again later."
        ) from None


class Work:
    """What is in progress, so that the server does not end before it."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: list[Deferred[None]] = []

    @contextmanager
    def inProgress(self) -> Iterator[None]:
        """Something is in progress inside."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                waiting, self._waiting = self._waiting, []
                for each in waiting:
                    each.callback(None)

    async def finished(self) -> None:
        """Wait until nothing is in progress."""
        while self._count:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting


class Turns:
    """
    Lets the requests of one client, or about one account, be handled one after the other: only one of them has a
    document in memory, however many a client sends at once.
    """

    def __init__(self, limit: int) -> None:
        """@param limit: how many may wait, of one client or account."""
        self._limit = limit
        self._locks: dict[str, DeferredLock] = {}

    @asynccontextmanager
    async def take(self, name: str) -> AsyncIterator[None]:
        """
        Wait for the turn.

        @param name: the address of the client or the account.
        @raise StanzaError: C{resource-constraint} if too many wait.
        """
        lock = self._locks.setdefault(name, DeferredLock())
        if len(lock.waiting) >= self._limit:
            raise StanzaError("resource-constraint", text="Too many of your requests wait; try again later.")
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()
            if not lock.locked:
                self._locks.pop(name, None)

    async def settle(self, account: str) -> None:
        """Wait for the requests of an account and its clients that are being handled: it is being removed."""
        for name, lock in list(self._locks.items()):
            if name.partition("/")[0] == account:
                await lock.acquire()
                lock.release()
                if not lock.locked and self._locks.get(name) is lock:
                    del self._locks[name]
