# -*- test-case-name: tests.storage.test_scramaccounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A base class for stores of SCRAM keys: derives and compares keys in threads."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore, fail
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from muccore.interfaces import IAccountStore, StoreError, StoreUnavailable
from muccore.log.logger import Logger
from muccore.xmpp.scramkeys import HASHES, ITERATIONS, SALT_LENGTH, ScramKeys

CONCURRENT: Final = min(4, os.cpu_count() or 1)
"""Concurrent derivations; others wait in order, so that guesses cannot take every processor."""

_CHECKED: Final = ("SHA-256", "SHA-512", "SHA-1")
"""The hashes to check passwords with: the first for which every account has keys, so that it takes as long for all."""

_ALL: Final = frozenset(HASHES)

_T = TypeVar("_T")

_log: Final = Logger()


def _matches(hashName: str, keys: ScramKeys | None, password: str) -> bool:
    matched = (keys or _dummyKeys(hashName)).matches(password)
    return matched and keys is not None


def _dummyKeys(hashName: str) -> ScramKeys:
    """Keys to compare the passwords of unknown accounts with, so that it takes as long."""
    nothing = bytes(hashlib.new(HASHES[hashName]).digest_size)
    return ScramKeys(hashName, bytes(SALT_LENGTH), ITERATIONS, nothing, nothing)


def _derive(password: str, hashNames: Iterable[str] = HASHES) -> tuple[ScramKeys, ...]:
    return tuple(ScramKeys.derive(hashName, password) for hashName in hashNames)


@implementer(IAccountStore)
class ScramAccountStore(ABC):
    """
    Accounts as SCRAM keys, which a subclass stores.

    Changes are made one at a time, in the order of the calls. Cancelling a Deferred drops the result, not the change.

    @ivar missingHashes: see L{IAccountStore}. A subclass calls L{_updateHashes} when it is opened.
    @ivar hashesAreKnown: whether L{missingHashes} could be read. A subclass that opens without its database calls
        L{_requireHashes} before it returns keys.
    @ivar whenHashesKnown: see L{IStore<muccore.interfaces.stores.IStore>}.
    """

    loopbackOnly = False

    def __init__(self, reactor: Any) -> None:
        """@param reactor: its thread pool derives keys."""
        self._reactor = reactor
        self._changes = DeferredLock()
        self._derivations = DeferredSemaphore(CONCURRENT)
        self._closed = False
        self.missingHashes: frozenset[str] = frozenset()
        self.hashesAreKnown = True
        self.whenHashesKnown: Callable[[], object] | None = None

    @property
    def hashes(self) -> frozenset[str]:
        """See L{IAccountStore.hashes<muccore.interfaces.IAuthBackend>}."""
        return _ALL - self.missingHashes

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
    def _addMissing(self, account: str, keys: Sequence[ScramKeys], known: ScramKeys) -> Deferred[bool]:
        """Store keys that an account does not have yet; see L{IAccountStore.addKeys}."""

    @abstractmethod
    def _findMissing(self) -> Deferred[frozenset[str]]:
        """Find the hashes for which some account has no keys."""

    @abstractmethod
    def _remove(self, account: str) -> Deferred[None]:
        """Delete an account; fails with L{NoSuchUser}."""

    @abstractmethod
    def _finish(self) -> Deferred[None]:
        """Close, after all changes. Called for every L{close}."""

    # Common to all

    def hasAccount(self, account: str) -> Deferred[bool]:
        """See L{IAccountStore.hasAccount}."""

        async def hasAccount() -> bool:
            found = [await self.scramKeys(account, name) for name in self._commonHashes()]
            return any(keys is not None for keys in found)

        return Deferred.fromCoroutine(hasAccount())

    def _commonHashes(self) -> Sequence[str]:
        """A hash for which every account has keys; all of them if there is none, as after an import from elsewhere."""
        common = [name for name in _CHECKED if name not in self.missingHashes]
        return common[:1] or _CHECKED

    def create(self, account: str, password: str) -> Deferred[None]:
        """See L{IAccountStore.create}."""
        return self._changeKeys(self._add, account, password)

    def createWithKeys(self, account: str, keys: Sequence[ScramKeys]) -> Deferred[None]:
        """See L{IAccountStore.createWithKeys}."""
        if not keys or len({key.hashName for key in keys}) < len(keys):
            return fail(ValueError("an account needs keys, at most one for each hash"))

        async def work() -> None:
            await self._add(account, keys)
            self.missingHashes |= _ALL - {key.hashName for key in keys}

        return self._change(work)

    def setPassword(self, account: str, password: str) -> Deferred[None]:
        """See L{IAccountStore.setPassword}."""
        return self._changeKeys(self._replace, account, password)

    def addKeys(self, account: str, keys: Sequence[ScramKeys], known: ScramKeys) -> Deferred[bool]:
        """See L{IAccountStore.addKeys}."""

        async def work() -> bool:
            added = await self._addMissing(account, keys, known)
            await self._updateHashes()
            return added

        return self._change(work)

    def delete(self, account: str) -> Deferred[None]:
        """See L{IAccountStore.delete}."""

        async def work() -> None:
            await self._remove(account)
            if self.missingHashes:
                await self._updateHashes()

        return self._change(work)

    async def _updateHashes(self) -> None:
        """Read L{missingHashes}. They stay as they are while the store cannot be read."""
        try:
            self.missingHashes = await self._findMissing()
            self.hashesAreKnown = True
        except StoreUnavailable:
            self.hashesAreKnown = False

    async def _requireHashes(self) -> None:
        """
        Read L{missingHashes} if that has failed before.

        @raise StoreUnavailable: if it still cannot be.
        """
        if not self.hashesAreKnown:
            self.missingHashes = await self._findMissing()
            # Others may have waited, too.
            known, self.hashesAreKnown = self.hashesAreKnown, True
            if not known and self.whenHashesKnown is not None:
                self.whenHashesKnown()

    def checkPassword(self, account: str, password: str) -> Deferred[bool]:
        """See L{IAccountStore.checkPassword}."""
        turn = self._derivations.acquire()

        async def checkPassword() -> bool:
            await turn
            try:
                await self._requireHashes()
                matching: ScramKeys | None = None
                # All of them, whatever is found: it has to take as long for every account.
                for hashName in self._commonHashes():
                    keys = await self.scramKeys(account, hashName)
                    if await self._inPool(_matches, hashName, keys, password):
                        matching = keys
                if matching is not None and self.missingHashes:
                    await self._complete(account, password, matching)
                return matching is not None
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

    async def _complete(self, account: str, password: str, known: ScramKeys) -> None:
        """Add the keys that an account does not have yet, of a password that was right."""
        try:
            missing = [name for name in self.missingHashes if await self.scramKeys(account, name) is None]
            if missing:
                await self.addKeys(account, await self._inPool(_derive, password, missing), known)
        except StoreError as e:
            # Next time, then.
            _log.error("{account} gets no keys for new mechanisms: {error}", account=account, error=str(e))

    def close(self) -> Deferred[None]:
        """See L{IAccountStore.close}."""
        self._closed = True
        return self._inOrder(self._finish)

    def _changeKeys(
        self, change: Callable[[str, Sequence[ScramKeys]], Deferred[None]], account: str, password: str
    ) -> Deferred[None]:
        async def work() -> None:
            await change(account, await self._derivations.run(self._inPool, _derive, password))
            if self.missingHashes:
                await self._updateHashes()

        return self._change(work)

    def _change(self, work: Callable[[], Awaitable[_T]]) -> Deferred[_T]:
        if self._closed:
            return fail(StoreUnavailable("the accounts have been closed"))
        return self._inOrder(work)

    def _inOrder(self, work: Callable[[], Awaitable[_T]]) -> Deferred[_T]:
        answer: Deferred[_T] = Deferred()

        async def run() -> None:
            # Answer before the next one begins, so that answers are in order too.
            async with self._changes:
                try:
                    result = await work()
                except Exception:
                    answer.errback()
                else:
                    answer.callback(result)

        Deferred.fromCoroutine(run())
        return answer

    def _inPool(self, work: Callable[..., _T], *arguments: object) -> Deferred[_T]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work, *arguments)
