# -*- test-case-name: tests.server.test_assembly -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The stores of a server, made from the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from muccore.config.hosts import Host, Place
from muccore.config.schema import Settings
from muccore.interfaces import (
    IArchiveStore,
    IAuditStore,
    IAuthBackend,
    IOccupantStore,
    IPubSubStore,
    IRoomStore,
    IRosterStore,
    IStore,
    IUserDataStore,
)
from muccore.interfaces.uploads import IUploadStore
from muccore.storage.registry import hasScheme, isManageable, makeStore


class ServerStores:
    """
    The stores of a server. Hosts whose accounts have the same description, or are in the same place, share a store.

    @ivar rooms: the store of the rooms of all hosts.
    @ivar occupants: the store of the places of their occupants.
    @ivar archive: the store of their messages, or C{None}.
    @ivar audit: the store of audit trails, C{None} if they would be where there is no such store.
    @ivar rosters: the store of the rosters of all accounts.
    @ivar rostersAreLost: whether these are in memory only, since the place of the rooms has no such store.
    @ivar uploads: the store of uploaded files, or C{None}.
    @ivar all: every store, with section and key of its description.
    """

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self._accounts: dict[str, IAuthBackend] = {}
        byLocation: dict[str, IAuthBackend] = {}
        self.all: list[tuple[Place, IStore]] = []
        for host in settings.hosts:
            if host.accounts not in self._accounts:
                made = cast(IAuthBackend, makeStore("accounts", host.accounts, settings.base, reactor, host.domain))
                self._accounts[host.accounts] = shared = byLocation.setdefault(
                    getattr(made, "location", host.accounts), made
                )
                if shared is made:
                    self.all.append((host.accountsAt, made))
        self.rooms = cast(IRoomStore, self._make("rooms", settings, reactor))
        self.occupants = cast(IOccupantStore, makeStore("occupants", occupantsPlace(settings), settings.base, reactor))
        self.all.append((("storage", "occupants"), self.occupants))
        self.archive = cast(IArchiveStore | None, self._make("archive", settings, reactor))
        self.audit = cast(IAuditStore | None, self._make("audit", settings, reactor))
        rosters = self._make("rosters", settings, reactor)
        self.rostersAreLost = rosters is None
        if rosters is None:
            rosters = makeStore("rosters", "memory:", settings.base, reactor)
            self.all.append((("storage", "rosters"), rosters))
        self.rosters = cast(IRosterStore, rosters)
        self.uploads: IUploadStore | None = None
        if settings.upload.store:
            self.uploads = cast(IUploadStore, makeStore("uploads", settings.upload.store, settings.base, reactor))
            self.all.append((("upload", "store"), self.uploads))
        self._userData = self._ofUsers("userdata", settings, reactor)
        self._pubSub = self._ofUsers("pubsub", settings, reactor)

    def _make(self, kind: str, settings: Settings, reactor: Any) -> IStore | None:
        """Make the store of a kind; C{None} if there is to be none."""
        place, description = settings.storage.placeOf(kind)
        if not description:
            return None
        made = makeStore(kind, description, settings.base, reactor)
        self.all.append((place, made))
        return made

    def _ofUsers(self, kind: str, settings: Settings, reactor: Any) -> dict[str, Any]:
        """Make the stores of a kind for the users of all hosts, by domain."""
        made: dict[str, Any] = {}
        byLocation: dict[str, IStore] = {}
        for host in settings.hosts:
            place, description = placeOfUsers(kind, settings, host)
            if description is not None:
                store = makeStore(kind, description, settings.base, reactor)
                shared = byLocation.setdefault(getattr(store, "location", description), store)
                made[host.domain] = shared
                if shared is store:
                    self.all.append((place, store))
        return made

    def setCallBeforeSending(self, callBeforeSending: Callable[[Callable[[], object]], object]) -> None:
        """See L{IStore}."""
        for _, store in self.all:
            if (take := getattr(store, "setCallBeforeSending", None)) is not None:
                take(callBeforeSending)

    def userDataOf(self, host: Host) -> IUserDataStore | None:
        """The documents of the users of a host; C{None} if there is nowhere to keep them."""
        return self._userData.get(host.domain)

    def pubSubOf(self, host: Host) -> IPubSubStore | None:
        """What the users of a host publish; C{None} if there is nowhere to keep it."""
        return self._pubSub.get(host.domain)

    def accountsOf(self, host: Host) -> IAuthBackend:
        """The accounts of a host."""
        return self._accounts[host.accounts]

    def manageable(self) -> Iterator[Any]:
        """The stores of accounts that C{muccorectl} can change."""
        return (store for description, store in self._accounts.items() if isManageable(store, description))


def placeOfUsers(kind: str, settings: Settings, host: Host) -> tuple[Place, str | None]:
    """
    The description of a store of what a host's users keep, and where it is configured: without a key for it, or for all
    stores, where its accounts are, or where the rooms are if there is no such store; C{None} if there is none either.

    @param kind: C{"userdata"} or C{"pubsub"}.
    """
    place, description = settings.storage.placeOf(kind)
    if place not in (("storage", kind), ("storage", "default")) and hasScheme(kind, host.accounts):
        return host.accountsAt, host.accounts
    return place, description or None


def permanent(settings: Settings) -> Iterator[tuple[str, str]]:
    """
    What a server keeps for ever, each with the description of its store: all but the places of occupants. Rosters,
    trails, documents and nodes for which there is no store are left out.
    """
    for host in settings.hosts:
        yield f"accounts of {host.domain}", host.accounts
        for kind in ("userdata", "pubsub"):
            description = placeOfUsers(kind, settings, host)[1]
            if description is not None:
                yield f"{kind} of {host.domain}", description
    for kind in ("rooms", "archive", "audit", "rosters"):
        description = settings.storage.placeOf(kind)[1]
        if description:
            yield kind, description
    if settings.upload.store:
        yield "uploads", settings.upload.store


def occupantsPlace(settings: Settings) -> str:
    """The description of the store of places; by default beside the database of the rooms."""
    scheme, _, path = settings.storage.placeOf("rooms")[1].partition(":")
    return settings.storage.placeOf("occupants")[1] or (f"file:{path}-occupants" if scheme == "sqlite" else "memory:")
