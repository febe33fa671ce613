# -*- test-case-name: tests.storage.test_scramaccounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What all accounts that are kept as SCRAM keys have in common: deriving and comparing, in threads and in order."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore, fail
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from muccore.interfaces import IAccountStore, StoreUnavailable
from muccore.xmpp.scramkeys import HASHES, ITERATIONS, SALT_LENGTH, ScramKeys

CONCURRENT: Final = min(4, os.cpu_count() or 1)
"""How many derivations run at a time; the others wait in order. So that many guesses cannot take every processor."""

_CHECKED: Final = "SHA-256"

_NOBODY: Final = ScramKeys(_CHECKED, bytes(SALT_LENGTH), ITERATIONS, bytes(32), bytes(32))
"""What passwords of unknown users are compared with, so that they take as long."""

_T = TypeVar("_T")


def _matches(keys: ScramKeys | None, password: str) -> bool:
    matched = (keys or _NOBODY).matches(password)
    return matched and keys is not None


def _derive(password: str) -> tuple[ScramKeys, ...]:
    return tuple(ScramKeys.derive(hashName, password) for hashName in HASHES)


@implementer(IAccountStore)
class ScramAccountStore(ABC):
    """
    Accounts as SCRAM keys. A subclass says where the keys are kept.

    Changes are carried out one after the other, in the order in which they were asked for. Cancelling a Deferred
    forgets the answer; the change is made nevertheless.
    """

    hashes = frozenset(HASHES)
    loopbackOnly = False

    def __init__(self, reactor: Any) -> None:
        """@param reactor: whose thread pool derives keys."""
        self._reactor = reactor
        self._changes = DeferredLock()
        self._derivations = DeferredSemaphore(CONCURRENT)
        self._closed = False

    # What a subclass has to do

    @abstractmethod
    def open(self) -> Deferred[None]:
        """See L{IAccountStore.open}."""

    @abstractmethod
    def scramKeys(self, user: str, hashName: str) -> Deferred[ScramKeys | None]:
        """See L{IAccountStore.scramKeys}."""

    @abstractmethod
    def users(self) -> Deferred[list[str]]:
        """See L{IAccountStore.users}."""

    @abstractmethod
    def _add(self, user: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        """
        Keep a new user's keys.

        @raise UserExists: (as failure)
        """

    @abstractmethod
    def _replace(self, user: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        """
        Keep other keys for a user.

        @raise NoSuchUser: (as failure)
        """

    @abstractmethod
    def _remove(self, user: str) -> Deferred[None]:
        """
        Forget a user.

        @raise NoSuchUser: (as failure)
        """

    @abstractmethod
    def _finish(self) -> Deferred[None]:
        """Close; every change has been made. Called again for every L{close}."""

    # What is the same for all

    def create(self, user: str, password: str) -> Deferred[None]:
        """See L{IAccountStore.create}."""

        async def create() -> None:
            await self._add(user, await self._inThread(_derive, password))

        return self._change(create)

    def setPassword(self, user: str, password: str) -> Deferred[None]:
        """See L{IAccountStore.setPassword}."""

        async def setPassword() -> None:
            await self._replace(user, await self._inThread(_derive, password))

        return self._change(setPassword)

    def delete(self, user: str) -> Deferred[None]:
        """See L{IAccountStore.delete}."""

        async def delete() -> None:
            await self._remove(user)

        return self._change(delete)

    def checkPassword(self, user: str, password: str) -> Deferred[bool]:
        """See L{IAccountStore.checkPassword}."""

        turn = self._derivations.acquire()

        async def checkPassword() -> bool:
            await turn
            try:
                keys = await self.scramKeys(user, _CHECKED)
                return await self._inPool(_matches, keys, password)
            finally:
                self._derivations.release()

        # Whoever hangs up while he waits for his turn has none, so that those who still wait do not do so behind the
        # guesses of people who have gone. Later it is not to be cancelled: the thread would work on, and another one
        # be let in beside it.
        answer: Deferred[bool] = Deferred(lambda _: turn.cancel())

        def checked(result: Any) -> None:
            if not answer.called:
                answer.callback(result)

        Deferred.fromCoroutine(checkPassword()).addBoth(checked)
        return answer

    def close(self) -> Deferred[None]:
        """See L{IAccountStore.close}."""
        self._closed = True

        async def close() -> None:
            await self._finish()

        return self._inTurn(close)

    def _change(self, change: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> Deferred[None]:
        if self._closed:
            return fail(StoreUnavailable("the accounts have been closed"))
        return self._inTurn(change)

    def _inTurn(self, work: Callable[[], Coroutine[Deferred[Any], Any, None]]) -> Deferred[None]:
        answer: Deferred[None] = Deferred()

        async def inTurn() -> None:
            # The answer is given before the next one's turn comes, so that answers too are in order.
            async with self._changes:
                try:
                    await work()
                except Exception:
                    answer.errback()
                else:
                    answer.callback(None)

        Deferred.fromCoroutine(inTurn())
        return answer

    def _inThread(self, work: Callable[..., _T], *arguments: object) -> Deferred[_T]:
        return self._derivations.run(self._inPool, work, *arguments)

    def _inPool(self, work: Callable[..., _T], *arguments: object) -> Deferred[_T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work, *arguments)
