# -*- test-case-name: tests.operations.transfer.test_storewriter -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Accounts into the stores of a server that does not run."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final, cast

from muccore.config.schema import Settings
from muccore.im.accountrecords import DISABLED, AccountRecords
from muccore.im.accountroster import AccountRoster
from muccore.im.subscriptionstates import inAnyState
from muccore.interfaces import IAccountStore, IAuthBackend, IUserDataStore
from muccore.operations.transfer.documents import documentsOf, offlineDocuments
from muccore.operations.transfer.nodewriter import NodeWriter
from muccore.operations.transfer.records import NodeItems, Problem, User, UserNode
from muccore.operations.transfer.storereader import loadDocuments
from muccore.server.pubsub import pubSubLimits
from muccore.server.stores import ServerStores
from muccore.stream.sasl.tokens import KIND as TOKENS
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.scramkeys import ScramKeys, saslprep

_ENTROPY: Final = 32
"""Bytes of a password that nobody knows."""


@dataclass
class _Pending:
    """
    An account that is being written.

    @ivar exists: whether it was there before.
    @ivar accounts: the store of its host.
    @ivar documents: likewise; C{None} without one.
    @ivar nodes: writes what it publishes.
    """

    address: JID
    exists: bool
    accounts: IAuthBackend
    documents: IUserDataStore | None
    nodes: NodeWriter
    password: str | None = field(default=None, repr=False)
    keys: dict[str, ScramKeys] = field(default_factory=dict, repr=False)
    disabled: bool = False


class UserWriter:
    """Writes accounts, one after the other."""

    def __init__(self, stores: ServerStores, settings: Settings, dryRun: bool) -> None:
        """@param dryRun: whether nothing is to be changed."""
        self._stores = stores
        self._dryRun = dryRun
        self._hosts = {host.domain: host for host in settings.hosts}
        self._limits = pubSubLimits(settings)
        self._manageable = set(stores.manageable())
        self._chosen: dict[str, dict[str, Any]] = {}
        self._pending: _Pending | None = None

    async def findProblem(self, address: JID) -> str | None:
        """Why an account cannot come at all; C{None} if it can."""
        host = self._hosts.get(address.domain)
        if host is None:
            return f"the accounts of this server are at {', '.join(self._hosts)}"
        documents = self._stores.userDataOf(host)
        if documents is not None and await AccountRecords(documents, host.domain).removal(address.local) is not None:
            return "an account of this name is being removed; start the server once, which finishes that"
        return None

    async def exists(self, account: str) -> bool:
        """Whether there is an account. Of one that is kept elsewhere, whether something is stored here."""
        host = self._hosts[parse(account).domain]
        accounts = self._stores.accountsOf(host)
        if accounts in self._manageable:
            return await accounts.hasAccount(account)
        documents = self._stores.userDataOf(host)
        hasRoster = bool((await self._stores.rosters.load(account)).epoch)
        return hasRoster or (documents is not None and bool(await documents.kinds(account)))

    async def begin(self, account: str, exists: bool) -> None:
        """Begin with an account. What an earlier one of this name has left is removed."""
        address = parse(account)
        host = self._hosts[address.domain]
        documents = self._stores.userDataOf(host)
        nodes = NodeWriter(self._stores.pubSubOf(host), account, self._limits, self._dryRun)
        self._pending = _Pending(address, exists, self._stores.accountsOf(host), documents, nodes)
        if not exists and not self._dryRun:
            # Where nothing is, nothing has to be committed.
            if documents is not None and await documents.kinds(account):
                await documents.removeAccount(account)
            await nodes.removeAll()
            if (await self._stores.rosters.load(account)).epoch:
                await self._stores.rosters.delete(account)
            archive = self._stores.archive
            if archive is not None and await archive.metadata(account) is not None:
                await archive.delete(account)

    async def add(self, user: User | UserNode | NodeItems) -> list[Problem]:
        """
        Add what a record has: what is there already stays.

        @return: what cannot come.
        @raise StoreError: if it cannot be written.
        """
        pending = self._pending
        assert pending is not None, "it has begun"
        if not isinstance(user, User):
            return await pending.nodes.add(user)
        if user.password is not None:
            pending.password = user.password
        pending.keys.update({each.hashName: each for each in user.keys})
        pending.disabled |= user.disabled
        problems = []
        if pending.documents is not None:
            await self._addDocuments(pending.documents, user)
        elif user.offline or user.disabled or documentsOf(user):
            text = "there is no store for them; set [storage] userdata"
            problems.append(Problem(user.account, "what the user has stored", text))
        if not self._dryRun:
            await self._addRoster(user)
            await self._addPreferences(user)
        return problems

    async def _addDocuments(self, store: IUserDataStore, user: User) -> None:
        if self._dryRun:
            return
        present = await loadDocuments(store, user.account)
        new = {place: content for place, content in documentsOf(user).items() if place not in present}
        if self._pending is not None and self._pending.exists:
            # Whoever has made the file must not be able to log in to an account that was here before.
            new = {place: content for place, content in new.items() if place[0] != TOKENS}
        new.update(offlineDocuments(user.offline, present))
        if new:
            await store.change(user.account, cast(Any, new))

    async def _addRoster(self, user: User) -> None:
        roster = AccountRoster(await self._stores.rosters.load(user.account))
        new = {jid: inAnyState(item) for jid, item in user.roster.items() if jid not in roster.items}
        change = roster.plan(new)
        if change is not None:
            await self._stores.rosters.change(user.account, change)

    async def _addPreferences(self, user: User) -> None:
        for name, value in user.preferences.items():
            if name not in self._chosen:
                self._chosen[name] = await self._stores.rooms.preferences(name)
            if user.account not in self._chosen[name]:
                await self._stores.rooms.setPreference(name, user.account, value)

    async def finish(self) -> list[Problem]:
        """
        Create the account, unless it exists.

        @return: what of it cannot come.
        @raise StoreError: if it cannot be written.
        """
        pending, self._pending = self._pending, None
        assert pending is not None, "it has begun"
        if pending.exists:
            return []
        account = pending.address.bare
        if pending.accounts not in self._manageable:
            given = pending.password is not None or pending.keys
            text = "the accounts of this host are kept elsewhere"
            return [Problem(account, "the password", text)] if given else []
        problems = []
        if pending.password is not None and not _isUsable(pending.password):
            problems.append(Problem(account, "the password", "it is empty or has characters that are not allowed"))
            pending.password = None
        elif pending.password is None and not pending.keys:
            text = "it is not known, so that nobody can log in; muccorectl passwd sets another one"
            problems.append(Problem(account, "the password", text))
        if not self._dryRun:
            await self._create(pending, cast(IAccountStore, pending.accounts))
        return problems

    async def _create(self, pending: _Pending, accounts: IAccountStore) -> None:
        address, records = pending.address, None
        if pending.documents is not None:
            records = AccountRecords(pending.documents, address.domain)
            isDisabled = await pending.documents.get(address.domain, DISABLED, address.local) is not None
            if pending.disabled != isDisabled:
                await records.setDisabled(address.local, pending.disabled)
        if pending.password is None and pending.keys:
            await accounts.createWithKeys(address.bare, list(pending.keys.values()))
        else:
            await accounts.create(address.bare, pending.password or secrets.token_urlsafe(_ENTROPY))
        if records is not None and await records.isReserved(address.local, 0):
            await records.clearTombstone(address.local)


def _isUsable(password: str) -> bool:
    try:
        return bool(saslprep(password))
    except ValueError:
        return False
