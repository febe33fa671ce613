# -*- test-case-name: tests.server.test_accounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The management of the accounts of a host (docs/design/0029): whoever creates, changes, disables or removes an account
while the server runs, asks this.

A removal is written down first, which is durable before anybody is told; then the account itself is removed, its
sessions end, and all that is kept of it goes, step by step. What a store fails to remove is tried again, at growing
intervals; what is not finished when the server ends, at its next start, before it accepts clients.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from zope.interface import implementer

from muccore.im.accountrecords import AccountRecords
from muccore.interfaces import (
    AccountBusy,
    AccountStep,
    IAccounts,
    IAccountStore,
    IAuthBackend,
    IUserDataStore,
    IUserDomain,
    NameReserved,
    NoSuchUser,
    NotManageable,
    StoreError,
    StoreUnavailable,
)
from muccore.log.eventlog import (
    ACCOUNT_CREATED,
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    ACCOUNT_REMOVED,
    PASSWORD_CHANGED,
)
from muccore.log.logger import Logger
from muccore.routing.handler import Handler
from muccore.routing.loading import Loader
from muccore.routing.turns import Work
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID

FIRST_RETRY: Final = 60.0
"""Seconds until a removal that a store did not finish is tried again; each time twice as long."""

LAST_RETRY: Final = 3600.0
"""Seconds between tries at most."""

_log: Final = Logger()


class Access(Protocol):
    """What is told which accounts may not log in: L{muccore.stream.accountaccess.AccountAccess}."""

    disabled: set[str]
    unread: set[str]

    def revoke(self, account: str) -> None:
        """Let no stream that is open now log in to an account."""


class NoAccess:
    """An L{Access} for servers without streams."""

    def __init__(self) -> None:
        self.disabled: set[str] = set()
        self.unread: set[str] = set()

    def revoke(self, account: str) -> None:
        """Do nothing."""


@implementer(IAccounts)
class Accounts(Handler):
    """
    The accounts of one host. It is a handler without tables, added to the domain for its sessions and clock.

    @ivar manageable: see L{IAccounts}.
    @ivar access: which accounts may not log in, of all hosts.
    @ivar removers: what removes the data of an account, by name, in this order; others may join before the start.
    @ivar createdObservers: called after an account was created.
    @ivar tombstoneTime: seconds for which nobody may register the name of a removed account.
    @ivar work: what is in progress.
    """

    parent: IUserDomain

    def __init__(self, backend: IAuthBackend, store: IUserDataStore, host: str, tombstoneTime: float) -> None:
        super().__init__()
        self.manageable: bool = IAccountStore.providedBy(backend)
        self.access: Access = NoAccess()
        self.removers: dict[str, AccountStep] = {}
        self.createdObservers: list[AccountStep] = []
        self.tombstoneTime = tombstoneTime
        self.work = Work()
        self.records = AccountRecords(store, host)
        self._backend = backend
        self._removing: set[str] = set()
        # By account: the next try of a removal that is not finished, and the seconds before it.
        self._retries: dict[str, tuple[IDelayedCall, float]] = {}
        self._stopping = False
        self._loader: Loader | None = None

    # At the start

    async def start(self) -> None:
        """
        Find out who is disabled, and finish the removals that were not. While the records cannot be read, nobody is let
        in, since who is disabled must not be.
        """
        domain = self.parent.name
        self.access.unread.add(domain)
        self._loader = Loader(self.parent.clock)
        await self._loader.load(f"{domain}: the records of accounts", self._readRecords)

    async def _readRecords(self) -> None:
        domain = self.parent.name
        for local in await self.records.disabled():
            account = JID(local, domain, "")
            self.access.disabled.add(account.bare)
            # Sessions that were saved, if it was disabled after that.
            self.endSessions(account, StreamError("not-authorized", "The account is disabled."))
        await self.records.expireTombstones(self.parent.now())
        pending = await self.records.removals()
        self.access.unread.discard(domain)
        for local in pending:
            await self._resume(JID(local, domain, ""))

    async def _resume(self, account: JID) -> None:
        """Finish a removal, if it is not finished."""
        try:
            with self._exclusively(account):
                removal = await self.records.removal(account.local)
                if removal is not None:
                    await self._carryOut(account, removal.credentials, None)
        except Exception as e:
            _log.error("the removal of {account} cannot be finished: {error}", account=account.bare, error=str(e))
            self._resumeLater(account)
        else:
            self._forgetRetry(account)
            if removal is not None:
                ACCOUNT_REMOVED.log(self.parent.name, target=account.bare)

    def _resumeLater(self, account: JID) -> None:
        if not self._stopping:
            delay = min(2 * self._forgetRetry(account) or FIRST_RETRY, LAST_RETRY)

            def resume() -> None:
                Deferred.fromCoroutine(self._resume(account))

            self._retries[account.bare] = self.parent.clock.callLater(delay, resume), delay

    def _forgetRetry(self, account: JID) -> float:
        """Try no more; return the seconds before the last try, 0 if there was none."""
        call, delay = self._retries.pop(account.bare, (None, 0.0))
        if call is not None and call.active():
            call.cancel()
        return delay

    def shutDown(self, final: bool) -> None:
        """Begin no further step of a removal."""
        self._stopping = True
        if self._loader is not None:
            self._loader.stop()
        for call, _ in self._retries.values():
            if call.active():
                call.cancel()

    # IAccounts

    async def has(self, account: JID) -> bool:
        """See L{IAccounts.has}."""
        return await self._backend.hasAccount(account.bare)

    async def create(self, account: JID, password: str, by: str, override: bool = False) -> None:
        """See L{IAccounts.create}."""
        store = self._manageable()
        with self._exclusively(account):
            if await self.records.removal(account.local) is not None:
                raise AccountBusy(f"{account.bare} is being removed")
            if not override and await self.records.isReserved(account.local, self.parent.now()):
                raise NameReserved(f"{account.bare} was removed a short time ago")
            await store.create(account.bare, password)
            ACCOUNT_CREATED.log(by, target=account.bare)
            try:
                await self.records.clearTombstone(account.local)
            except StoreError as e:
                # There is the account: whoever has created it must not be told otherwise. The tombstone expires.
                _log.error("the tombstone of {account} stays: {error}", account=account.bare, error=str(e))
            for observer in self.createdObservers:
                await _done(observer, account)

    async def setPassword(self, account: JID, password: str, by: str) -> None:
        """See L{IAccounts.setPassword}."""
        store = self._manageable()
        with self._exclusively(account):
            await store.setPassword(account.bare, password)
            PASSWORD_CHANGED.log(by, target=account.bare)

    async def remove(self, account: JID, by: str, announce: Callable[[], object] | None = None) -> bool:
        """See L{IAccounts.remove}."""
        self._manageable()
        with self._exclusively(account):
            removal = await self.records.removal(account.local)
            exists = await self._backend.hasAccount(account.bare)
            if not exists and removal is None:
                raise NoSuchUser(f"there is no account {account.bare}")
            if exists or removal is None:
                await self.records.beginRemoval(account.local, self.parent.now() + self.tombstoneTime)
            try:
                await self._carryOut(account, exists, announce)
            except (StoreError, StanzaError) as e:
                reason = e.text or e.condition if isinstance(e, StanzaError) else str(e)
                _log.error("the removal of {account} is finished later: {error}", account=account.bare, error=reason)
                self._resumeLater(account)
                return False
        self._forgetRetry(account)
        ACCOUNT_REMOVED.log(by, target=account.bare)
        return True

    async def removeData(self, account: JID, by: str) -> None:
        """
        Remove all that is kept of an account but the account itself, which is kept elsewhere, and end its sessions.

        @param by: who wants it, for the log.
        @raise AccountBusy: if it is being changed.
        @raise StoreError: if a store fails; what is left can be removed by the same again.
        """
        with self._exclusively(account):
            try:
                await self._removeData(account)
            except StanzaError as e:
                raise StoreUnavailable(f"{account.bare}: {e.text or e.condition}") from None
        ACCOUNT_REMOVED.log(by, target=account.bare)

    async def setDisabled(self, account: JID, disabled: bool, by: str) -> None:
        """See L{IAccounts.setDisabled}."""
        self._manageable()
        with self._exclusively(account):
            if not await self._backend.hasAccount(account.bare):
                raise NoSuchUser(f"there is no account {account.bare}")
            await self.records.setDisabled(account.local, disabled)
            if disabled:
                self.access.disabled.add(account.bare)
                self.access.revoke(account.bare)
                self.endSessions(account, StreamError("not-authorized", "The account is disabled."))
                ACCOUNT_DISABLED.log(by, target=account.bare)
            else:
                self.access.disabled.discard(account.bare)
                ACCOUNT_ENABLED.log(by, target=account.bare)

    def endSessions(self, account: JID, error: StreamError) -> int:
        """See L{IAccounts.endSessions}."""
        sessions = self.parent.sessions
        chosen = [
            each for each in sessions.forAccount(account.bare).values() if account.resource in ("", each.jid.resource)
        ]
        for session in chosen:
            sessions.terminate(session, error)
        return len(chosen)

    # Steps

    def _manageable(self) -> IAccountStore:
        if not self.manageable:
            raise NotManageable("the accounts of this host are not kept by this server")
        return cast(IAccountStore, self._backend)

    @contextmanager
    def _exclusively(self, account: JID) -> Iterator[None]:
        """
        Make one change of an account at a time, and let the server not end before it is made.

        @raise AccountBusy: if another one is being made.
        """
        if account.bare in self._removing:
            raise AccountBusy(f"{account.bare} is being changed")
        self._removing.add(account.bare)
        try:
            with self.work.inProgress():
                yield
        finally:
            self._removing.discard(account.bare)

    async def _carryOut(self, account: JID, credentials: bool, announce: Callable[[], object] | None) -> None:
        """
        Carry out a removal that is written down.

        @param credentials: whether the account itself is left.
        """
        failed: StoreError | None = None
        if credentials:
            # It is certain, even if the account itself cannot be removed now.
            self.access.disabled.add(account.bare)
            try:
                await self._removeCredentials(account)
                # Otherwise a new account of that name is disabled.
                self.access.disabled.discard(account.bare)
            except StoreError as e:
                failed = e
        # From here on no other log-in can begin.
        self.access.revoke(account.bare)
        if announce is not None:
            announce()
        if failed is not None:
            self._endRemovedSessions(account)
            raise failed
        await self._removeData(account)
        await self.records.endRemoval(account.local)

    def _endRemovedSessions(self, account: JID) -> None:
        self.endSessions(account, StreamError("not-authorized", "The account was removed."))

    async def _removeData(self, account: JID) -> None:
        """End the sessions of an account, and remove what is kept of it."""
        self._endRemovedSessions(account)
        sessions = self.parent.sessions
        # What is redelivered must not reach a new account of the name.
        while sessions.isInUse(account.bare) or sessions.isRedelivering(account.bare):
            await self._pause()
        for remove in self.removers.values():
            if self._stopping:
                raise StoreUnavailable("the server ends; the removal is finished at its next start")
            await _done(remove, account)
            await self._pause()

    async def _removeCredentials(self, account: JID) -> None:
        # Perhaps it was, before the server ended.
        with suppress(NoSuchUser):
            await self._manageable().delete(account.bare)
        await self.records.credentialsRemoved(account.local)

    def _pause(self) -> Deferred[None]:
        """Let others have a turn of the reactor."""
        return deferLater(self.parent.clock, 0)


async def _done(step: AccountStep, account: JID) -> None:
    result = step(account)
    if inspect.isawaitable(result):
        await result
