# -*- test-case-name: tests.server.test_administration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The server as its admins see it: what the commands for them (L{muccore.services.administration}) are made on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from muccore.interfaces import (
    IAccounts,
    IAccountStore,
    IAdministration,
    IAnnouncements,
    IInvitations,
    ISessions,
    IUserDataStore,
    RosterItem,
    StoreError,
    UserStatistics,
)
from muccore.log.logger import Logger
from muccore.routing.loading import Loader
from muccore.server.stores import ServerStores
from muccore.stream.accountaccess import AccountAccess
from muccore.xmpp.jid import JID

KIND: Final = "admin"
"""The kind of the documents of the first host, by the bare JID of each admin who is not in the configuration."""

_log: Final = Logger()

Stop = Callable[[bool], object]
"""Ends the process; called with whether it is to be started again."""


@implementer(IAdministration)
class Administration:
    """
    One server.

    @ivar accounts: see L{IAdministration}.
    @ivar announcements: likewise.
    @ivar invitations: likewise.
    @ivar stopProcess: ends the process; C{None} if nobody may.
    @ivar canRestart: see L{IAdministration}.
    """

    def __init__(
        self, stores: ServerStores, sessions: ISessions, access: AccountAccess, clock: Any, configured: Collection[str]
    ) -> None:
        """@param configured: the admins of the configuration, by bare JID."""
        self.accounts: dict[str, IAccounts] = {}
        self.announcements: dict[str, IAnnouncements] = {}
        self.invitations: dict[str, IInvitations] = {}
        self.lastLogins: dict[str, Any] = {}
        self.backends: dict[str, Any] = {}
        self.configured = frozenset(configured)
        self.stopProcess: Stop | None = None
        self.canRestart = False
        self._stores = stores
        self._sessions = sessions
        self._access = access
        self._clock = clock
        self._loader = Loader(clock)
        self._named: set[str] = set()
        self._records: IUserDataStore | None = None
        self._host = ""
        self._stopping: IDelayedCall | None = None

    async def start(self, records: IUserDataStore | None, host: str) -> None:
        """
        Load the admins who were named by others, later if they cannot be read now. Never fails: that is logged.

        @param records: where they are kept, under the domain of the first host.
        """
        self._records, self._host = records, host
        if records is not None:
            await self._loader.load("the list of admins", lambda: records.keys(host, KIND).addCallback(self._loaded))

    def _loaded(self, named: list[str]) -> None:
        self._named = set(named)

    @property
    def canStop(self) -> bool:
        """See L{IAdministration}."""
        return self.stopProcess is not None

    def isAdmin(self, jid: JID) -> bool:
        """See L{IAdministration.isAdmin}. Nobody is without an account: names can be given away."""
        return jid.bare in self.configured or jid.bare in self._named

    def admins(self) -> Sequence[str]:
        """See L{IAdministration.admins}."""
        return sorted(self.configured | self._named)

    async def setAdmins(self, admins: Sequence[str]) -> Sequence[str]:
        """See L{IAdministration.setAdmins}."""
        if self._records is None:
            raise StoreError("there is no store to keep the admins in; set [storage] userdata")
        named = set(admins) - self.configured
        changes = {
            **{(KIND, each): None for each in self._named - named},
            **{(KIND, each): b"" for each in named - self._named},
        }
        await self._records.change(self._host, changes)
        self._named = named
        return sorted(self.configured - set(admins))

    async def forget(self, account: JID) -> None:
        """Take the rights of an account that is removed; one in the configuration has them still."""
        if self._records is not None:
            # Stored perhaps even if the list could not be read.
            await self._records.change(self._host, {(KIND, account.bare): None})
            self._named.discard(account.bare)

    async def users(self, host: str) -> Sequence[str]:
        """See L{IAdministration.users}: none if the server does not keep them."""
        backend = self.backends.get(host)
        return await backend.users(host) if IAccountStore.providedBy(backend) else []

    def disabled(self, host: str) -> Sequence[str]:
        """See L{IAdministration.disabled}."""
        return sorted(each for each in self._access.disabled if each.partition("@")[2] == host)

    def online(self, host: str) -> Mapping[str, bool]:
        """See L{IAdministration.online}."""
        found: dict[str, bool] = {}
        for session in self._sessions:
            if session.account.domain == host:
                account = session.account.bare
                found[account] = found.get(account, False) or session.active
        return found

    async def roster(self, account: JID) -> Mapping[str, RosterItem]:
        """See L{IAdministration.roster}."""
        rows = (await self._stores.rosters.load(account.bare)).rows
        return {contact: item for contact, (_, item) in rows.items() if item is not None and item.listed}

    async def lastLogin(self, account: JID) -> float | None:
        """See L{IAdministration.lastLogin}."""
        find = self.lastLogins.get(account.domain)
        return None if find is None else await find(account)

    async def statistics(self, account: JID) -> UserStatistics:
        """See L{IAdministration.statistics}."""
        sessions = self._sessions.forAccount(account.bare)
        addresses = {getattr(each.stream, "address", "") for each in sessions.values() if each.stream is not None}
        return UserStatistics(sorted(addresses - {""}), len(await self.roster(account)), sorted(sessions))

    def stop(self, delay: float, restart: bool, by: str) -> None:
        """See L{IAdministration.stop}."""
        if self._stopping is not None and self._stopping.active():
            self._stopping.cancel()
        _log.info(
            "the server ends in {delay} s, as {by} wants, {then}", delay=delay, by=by,
            then="to be started again" if restart else "for good",
        )  # fmt: skip
        self._stopping = self._clock.callLater(delay, self._stopNow, restart)

    def _stopNow(self, restart: bool) -> None:
        if self.stopProcess is not None:
            self.stopProcess(restart)

    def shutDown(self) -> None:
        """Forget a request to end: the server ends."""
        self._loader.stop()
        if self._stopping is not None and self._stopping.active():
            self._stopping.cancel()
