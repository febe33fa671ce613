# -*- test-case-name: tests.im.test_rosters -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The rosters of accounts: loaded when they are needed, kept while the account has sessions, changed one change after the
other.

A change is planned, committed by the store, applied, and only then announced (docs/design/0003).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.words.xish import domish
from zope.interface import implementer

from muccore.im.accountroster import AccountRoster, Changes
from muccore.interfaces import IContacts, IRosterStore, RosterItem, StoreError
from muccore.log.eventlog import logStoreFailure
from muccore.log.logger import Logger
from muccore.routing.turns import WAITING_LIMIT as WAITING_SIZE
from muccore.routing.turns import WaitingMemory
from muccore.xmpp.errors import StanzaError

WAITING_LIMIT: Final = 200
"""Changes of one roster, and what waits for it, beyond which requests are refused; their memory is bounded as well."""

_log: Final = Logger()


@dataclass(frozen=True)
class PlannedChange:
    """
    A change of a roster that was checked.

    @ivar changes: what changes; it may be nothing.
    @ivar announce: called when it is durable and applied; its result is that of the change.
    """

    changes: Changes
    announce: Callable[[], Any]


Plan = Callable[[AccountRoster], PlannedChange | Awaitable[PlannedChange]]
"""Plans a change of a roster, or refuses it with L{StanzaError}."""


@dataclass
class _Entry:
    lock: DeferredLock = field(default_factory=DeferredLock)
    roster: AccountRoster | None = None


@implementer(IContacts)
class Rosters:
    """
    The rosters of all accounts.

    @ivar observers: see L{IContacts}.
    """

    def __init__(self, store: IRosterStore, isOnline: Callable[[str], bool]) -> None:
        """
        @param isOnline: whether an account has sessions, or some of whose end its contacts are still to be told; then
            its roster stays in memory.
        """
        self._store = store
        self._isOnline = isOnline
        self.observers: list[Callable[[str, str, RosterItem, RosterItem], None]] = []
        self._entries: dict[str, _Entry] = {}
        self._memory = WaitingMemory(WAITING_SIZE)

    def loaded(self, account: str) -> AccountRoster | None:
        """
        The roster of an account, a bare JID, if it is in memory and nothing waits for it: what is done with it at once
        overtakes nothing.
        """
        entry = self._entries.get(account)
        return None if entry is None or entry.lock.locked else entry.roster

    def isChanging(self, account: str) -> bool:
        """Whether the roster of an account, a bare JID, is being changed, or something waits for it."""
        entry = self._entries.get(account)
        return entry is not None and entry.lock.locked

    def isContact(self, account: str, other: str) -> bool:
        """
        Whether the roster of an account has somebody, by bare JIDs, as far as it is in memory: that of who is available
        is.
        """
        entry = self._entries.get(account)
        return entry is not None and entry.roster is not None and entry.roster.item(other).listed

    def hasContact(self, account: str, other: str) -> Deferred[bool]:
        """
        Find out whether the roster of an account has somebody, by bare JIDs. The roster of an account that has sessions
        is in memory from then on.

        @raise StanzaError: (as failure) as for L{change}.
        """
        return self.change(account, lambda roster: PlannedChange({}, lambda: roster.item(other).listed))

    def contacts(self, account: str) -> Deferred[Mapping[str, RosterItem]]:
        """See L{IContacts.contacts}."""
        roster = self.loaded(account)
        if roster is not None:
            return succeed(roster.items)
        return self.change(account, lambda roster: PlannedChange({}, lambda: roster.items))

    def change(self, account: str, plan: Plan, element: domish.Element | None = None) -> Deferred[Any]:
        """
        Change a roster, or only look at it, after all that was requested before.

        @param plan: plans the change, or refuses it with L{StanzaError}.
        @param element: the stanza that waits meanwhile; C{None}: what waits takes little memory.
        @return: fires with the result of L{PlannedChange.announce}. It fails with what C{plan} raises, or with
            L{StanzaError}: C{internal-server-error} if the store fails, C{resource-constraint} if too much waits.
        """
        return Deferred.fromCoroutine(self._change(account, plan, element))

    async def _change(self, account: str, plan: Plan, element: domish.Element | None) -> Any:
        entry = self._entries.setdefault(account, _Entry())
        if len(entry.lock.waiting) >= WAITING_LIMIT:
            raise StanzaError("resource-constraint", text="Too many changes of this roster are waiting.")
        size = self._memory.add(account, element) if entry.lock.locked and element is not None else 0
        await entry.lock.acquire()
        if size:
            self._memory.remove(account, size)
        try:
            if entry.roster is None:
                entry.roster = AccountRoster(await self._store.load(account))
            result = plan(entry.roster)
            planned = await result if inspect.isawaitable(result) else result
            change = entry.roster.plan(planned.changes)
            if change is None:
                return planned.announce()
            await self._store.change(account, change)
            old = {contact: entry.roster.item(contact) for contact in change.rows}
            entry.roster.apply(change)
            announced = planned.announce()
            for contact, item in old.items():
                for observer in self.observers:
                    observer(account, contact, item, entry.roster.item(contact))
            return announced
        except StoreError as e:
            text = "the roster of {account} cannot be read or changed: {error}"
            logStoreFailure(_log, text, "rosters", account=account, error=str(e))
            raise StanzaError("internal-server-error", "wait") from None
        finally:
            entry.lock.release()
            self.released(account)

    async def delete(self, account: str) -> None:
        """Delete a roster, after all that was requested before; nobody is told. Fails with L{StoreError}."""
        entry = self._entries.setdefault(account, _Entry())
        await entry.lock.acquire()
        try:
            await self._store.delete(account)
            entry.roster = None
        finally:
            entry.lock.release()
            self.released(account)

    async def finished(self) -> None:
        """Wait until nothing is being changed: what one user has been told of, the other one should be."""
        while True:
            busy = [entry.lock for entry in self._entries.values() if entry.lock.locked]
            if not busy:
                return
            for lock in busy:
                await lock.acquire()
                lock.release()

    def released(self, account: str) -> None:
        """Drop the roster of an account that has no sessions any more, unless something waits for it."""
        entry = self._entries.get(account)
        if entry is not None and not entry.lock.locked and not self._isOnline(account):
            del self._entries[account]
