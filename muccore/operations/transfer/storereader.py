# -*- test-case-name: tests.operations.transfer.test_exporting -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Records from the stores of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from muccore.config.hosts import Host
from muccore.config.schema import Settings
from muccore.im.accountrecords import AccountRecords
from muccore.interfaces import ArchiveQuery, IArchiveStore, IPubSubStore, ItemQuery, IUserDataStore
from muccore.muc.extensions.vcards import VCARD_ROWS, vCardOf
from muccore.operations.transfer.documents import partsOf
from muccore.operations.transfer.records import Messages, NodeItems, Problem, Record, Room, User, UserNode
from muccore.server.stores import ServerStores
from muccore.xmpp.jid import parse
from muccore.xmpp.scramkeys import HASHES, ScramKeys

PAGE: Final = 500
"""Names that are listed at once."""

MESSAGES: Final = 200
"""Messages of an archive, or items of a node, that are read at once."""

ITEMS_SIZE: Final = 1024 * 1024
"""Bytes of payloads, after which no further item is read at once."""


class StoreReader:
    """Reads accounts and rooms from stores that are open."""

    def __init__(self, stores: ServerStores, settings: Settings) -> None:
        self._stores = stores
        self._hosts = {host.domain: host for host in settings.hosts}
        self._services = [service for host in settings.hosts for service in host.roomServices]
        self._disabled: dict[str, frozenset[str]] = {}
        self._preferences: dict[str, dict[str, Any]] | None = None

    async def users(self) -> list[str]:
        """The accounts of all hosts, host by host, sorted; of hosts whose accounts are elsewhere, those known here."""
        found: list[str] = []
        manageable = set(self._stores.manageable())
        for host in self._hosts.values():
            store = self._stores.accountsOf(host)
            if store in manageable:
                found += await store.users(host.domain)  # type: ignore[attr-defined]
            else:
                found += sorted(await self._known(host))
        return found

    async def _known(self, host: Host) -> set[str]:
        """The accounts of a host of which something is stored."""
        known: set[str] = set()
        documents = self._stores.userDataOf(host)
        nodes = self._stores.pubSubOf(host)
        listing = [self._stores.rosters.accounts, *([] if documents is None else [documents.accounts])]
        listing += [] if nodes is None else [nodes.services]
        for accounts in listing:
            async for account in paged(accounts):
                if "@" in account and account.endswith(f"@{host.domain}"):
                    known.add(account)
        return known

    async def rooms(self) -> list[str]:
        """The rooms of all services, service by service, sorted."""
        found = [(self._services.index(domain), room) async for room, domain in self._domains()]
        return [room for _, room in sorted(found)]

    async def _domains(self) -> AsyncIterator[tuple[str, str]]:
        async for room in paged(self._stores.rooms.names):
            domain = room.rpartition("@")[2]
            if domain in self._services:
                yield room, domain

    async def read(self, users: list[str], rooms: list[str], archives: bool = True) -> AsyncIterator[Record]:
        """
        Read accounts, with their nodes, and rooms, each with the messages in its archive.

        @param archives: whether to read these.
        @raise StoreError: if a store cannot be read.
        """
        for account in users:
            user, problems = await self.user(account)
            yield user
            for problem in problems:
                yield problem
            async for part in self.nodes(account):
                yield part
            if archives:
                async for messages in self.messages(account):
                    yield messages
        for name in rooms:
            room = await self.room(name)
            if room is None:
                # It has ended meanwhile.
                continue
            yield room
            if archives:
                async for messages in self.messages(name):
                    yield messages

    async def user(self, account: str) -> tuple[User, list[Problem]]:
        """
        Read an account; what is not there is left out.

        @return: the account, and what is stored of it, but cannot be given on.
        """
        address = parse(account)
        host = self._hosts[address.domain]
        accounts, store = self._stores.accountsOf(host), self._stores.userDataOf(host)
        keys: list[ScramKeys] = []
        if accounts in set(self._stores.manageable()):
            found = [await accounts.scramKeys(account, name) for name in HASHES]
            keys = [each for each in found if each is not None]
        parts: dict[str, Any] = {}
        problems: list[tuple[str, str]] = []
        if store is not None:
            parts, problems = partsOf(await loadDocuments(store, account))
            if address.domain not in self._disabled:
                records = AccountRecords(store, address.domain)
                self._disabled[address.domain] = frozenset(await records.disabled())
            parts["disabled"] = address.local in self._disabled[address.domain]
        rows = (await self._stores.rosters.load(account)).rows
        roster = {contact: item for contact, (_, item) in rows.items() if item is not None}
        chosen = await self._chosen(account)
        user = User(account=account, keys=tuple(keys), roster=roster, preferences=chosen, **parts)
        return user, [Problem(account, *each) for each in problems]

    async def nodes(self, account: str) -> AsyncIterator[UserNode | NodeItems]:
        """Read the nodes of an account, and after all of them the items."""
        store = self._stores.pubSubOf(self._hosts[parse(account).domain])
        if store is None:
            return
        names = [name async for name in nodesOf(store, account)]
        for name in names:
            content = await store.load(account, name)
            if content is not None:
                yield UserNode(account, name, content)
        for name in names:
            async for items in itemsOf(store, account, name):
                yield items

    async def _chosen(self, account: str) -> dict[str, Any]:
        """What an account has chosen for all rooms."""
        if self._preferences is None:
            rooms = self._stores.rooms
            self._preferences = {name: await rooms.preferences(name) for name in await rooms.preferenceNames()}
        return {name: chosen[account] for name, chosen in self._preferences.items() if account in chosen}

    async def room(self, name: str) -> Room | None:
        """Read a room, or C{None} if there is none."""
        record = await self._stores.rooms.load(name)
        if record is None:
            return None
        states = dict(record.states)
        vCard = vCardOf(states.pop(VCARD_ROWS, {}))
        return Room(
            room=name, settings=record.settings, affiliates=record.affiliates, subject=record.subject, states=states,
            vCard=vCard, creator=record.creator,
        )  # fmt: skip

    async def messages(self, name: str) -> AsyncIterator[Messages]:
        """Read the archive of an account or a room."""
        if self._stores.archive is not None:
            async for messages in archived(self._stores.archive, name):
                yield messages


async def archived(store: IArchiveStore, name: str, after: str | None = None, **query: Any) -> AsyncIterator[Messages]:
    """
    Read an archive.

    @param after: the id of the item that precedes the first; C{None}: from the beginning.
    @param query: further fields of L{ArchiveQuery}.
    """
    while True:
        page = await store.query(name, ArchiveQuery(after=after, limit=MESSAGES, **query))
        if page.items:
            yield Messages(name, tuple(page.items))
            after = page.items[-1].id
        if page.complete or not page.items:
            return


async def nodesOf(store: IPubSubStore, service: str) -> AsyncIterator[str]:
    """The names of the nodes of a service, sorted."""
    last = ""
    while names := await store.nodes(service, PAGE, last):
        for last in names:
            yield last


async def itemsOf(store: IPubSubStore, service: str, node: str) -> AsyncIterator[NodeItems]:
    """Read the items of a node, piece by piece, the oldest first."""
    after, count = None, 0
    while True:
        page = await store.items(service, node, ItemQuery(limit=MESSAGES, size=ITEMS_SIZE, after=after))
        if page is None:
            # It was removed meanwhile, or published again, so that those behind it have moved by one.
            count -= 1
            page = await store.items(service, node, ItemQuery(limit=MESSAGES, size=ITEMS_SIZE, index=count))
        if page is None or not page.items:
            return
        count += len(page.items)
        yield NodeItems(service, node, tuple(page.items))
        after = page.items[-1].id


async def loadDocuments(store: IUserDataStore, account: str) -> dict[tuple[str, str], bytes]:
    """Load all documents of an account."""
    found: dict[tuple[str, str], bytes] = {}
    for kind in await store.kinds(account):
        for key in await store.keys(account, kind):
            content = await store.get(account, kind, key)
            if content is not None:
                found[kind, key] = content
    return found


async def paged(list: Callable[[str, int], Awaitable[list[str]]]) -> AsyncIterator[str]:
    """All names that a store lists in pages."""
    last = ""
    while names := await list(last, PAGE):
        for last in names:
            yield last
