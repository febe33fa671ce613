# -*- test-case-name: tests.storage.test_scramaccounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A base class for stores of SCRAM keys: derives and compares keys in threads."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore, fail
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from muccore.interfaces import IAccountStore, StoreUnavailable
from muccore.xmpp.scramkeys import HASHES, ITERATIONS, SALT_LENGTH, ScramKeys

CONCURRENT: Final = min(4, os.cpu_count() or 1)
"""Concurrent derivations; others wait in order, so that guesses cannot take every processor."""

_CHECKED: Final = "SHA-256"

_DUMMY_KEYS: Final = ScramKeys(_CHECKED, bytes(SALT_LENGTH), ITERATIONS, bytes(32), bytes(32))
"""Keys to compare the passwords of unknown accounts with, so that it takes as long."""

_T = TypeVar("_T")


def _matches(keys: ScramKeys | None, password: str) -> bool:
    matched = (keys or _DUMMY_KEYS).matches(password)
    return matched and keys is not None


def _derive(password: str) -> tuple[ScramKeys, ...]:
    return tuple(ScramKeys.derive(hashName, password) for hashName in HASHES)


@implementer(IAccountStore)
class ScramAccountStore(ABC):
    """
    Accounts as SCRAM keys, which a subclass stores.

    Changes are made one at a time, in the order of the calls. Cancelling a Deferred drops the result, not the change.
    """

    hashes = frozenset(HASHES)
    loopbackOnly = False

    def __init__(self, reactor: Any) -> None:
        """@param reactor: its thread pool derives keys."""
        self._reactor = reactor
        self._changes = DeferredLock()
        self._derivations = DeferredSemaphore(CONCURRENT)
        self._closed = False

    # For subclasses to implement

    @abstractmethod
    def open(self) -> Deferred[None]:
        """See L{IAccountStore.open}."""

    @abstractmethod
    def scramKeys(self, account: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{IAccountStore.scramKeys}."""

    @abstractmethod
    def users(self, host: str | None = None) -> Deferred[list[str]]:
        """See L{IAccountStore.users}."""

    @abstractmethod
    def _add(self, account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        """Store the keys of a new account; fails with L{UserExists}."""

    @abstractmethod
    def _replace(self, account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        """Replace the keys of an account; fails with L{NoSuchUser}."""

    @abstractmethod
    def _remove(self, account: str) -> Deferred[None]:
        """Delete an account; fails with L{NoSuchUser}."""

    @abstractmethod
    def _finish(self) -> Deferred[None]:
        """Close, after all changes. Called for every L{close}."""

    # Common to all

    def hasAccount(self, account: str) -> Deferred[bool]:
        """See L{IAccountStore.hasAccount}."""
        return self.scramKeys(account, next(iter(HASHES))).addCallback(lambda keys: keys is not None)

    def create(self, account: str, password: str) -> Deferred[None]:
        """See L{IAccountStore.create}."""
        return self._changeKeys(self._add, account, password)

    def setPassword(self, account: str, password: str) -> Deferred[None]:
        """See L{IAccountStore.setPassword}."""
        return self._changeKeys(self._replace, account, password)

    def delete(self, account: str) -> Deferred[None]:
        """See L{IAccountStore.delete}."""
        return self._change(lambda: self._remove(account))

    def checkPassword(self, account: str, password: str) -> Deferred[bool]:
        """See L{IAccountStore.checkPassword}."""
        turn = self._derivations.acquire()

        async def checkPassword() -> bool:
            await turn
            try:
                keys = await self.scramKeys(account, _CHECKED)
                return await self._inPool(_matches, keys, password)
            finally:
                self._derivations.release()

        # Cancelling leaves the queue, so that nobody waits for guesses of clients that have disconnected. A derivation
        # that has begun is not cancelled: its thread would go on, beside the next one's.
        answer: Deferred[bool] = Deferred(lambda _: turn.cancel())

        def checked(result: Any) -> None:
            if not answer.called:
                answer.callback(result)

        Deferred.fromCoroutine(checkPassword()).addBoth(checked)
        return answer

    def close(self) -> Deferred[None]:
        """See L{IAccountStore.close}."""
        self._closed = True
        return self._inOrder(self._finish)

    def _changeKeys(
        self, change: Callable[[str, Sequence[ScramKeys]], Deferred[None]], account: str, password: str
    ) -> Deferred[None]:
        async def work() -> None:
            await change(account, await self._derivations.run(self._inPool, _derive, password))

        return self._change(work)

    def _change(self, work: Callable[[], Awaitable[None]]) -> Deferred[None]:
        if self._closed:
            return fail(StoreUnavailable("the accounts have been closed"))
        return self._inOrder(work)

    def _inOrder(self, work: Callable[[], Awaitable[None]]) -> Deferred[None]:
        answer: Deferred[None] = Deferred()

        async def run() -> None:
            # Answer before the next one begins, so that answers are in order too.
            async with self._changes:
                try:
                    await work()
                except Exception:
                    answer.errback()
                else:
                    answer.callback(None)

        Deferred.fromCoroutine(run())
        return answer

    def _inPool(self, work: Callable[..., _T], *arguments: object) -> Deferred[_T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work, *arguments)
