# -*- test-case-name: tests.storage.test_registry -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Makes the store for a description such as C{sqlite:var/muccore.db}, with the installed plugins."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Final

from twisted.plugin import getPlugins
from twisted.python.filepath import FilePath
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from muccore.interfaces import (
    BadDescription,
    IAccountStore,
    IArchiveStore,
    IAuditStore,
    IAuthBackend,
    IOccupantStore,
    IPubSubStore,
    IRoomStore,
    IRosterStore,
    IStore,
    IStoreFactory,
    IUserDataStore,
)
from muccore.interfaces.uploads import IUploadStore

KINDS: Final = {
    "accounts": IAuthBackend,
    "rooms": IRoomStore,
    "occupants": IOccupantStore,
    "archive": IArchiveStore,
    "audit": IAuditStore,
    "rosters": IRosterStore,
    "userdata": IUserDataStore,
    "pubsub": IPubSubStore,
    "uploads": IUploadStore,
}
"""The kinds of stores, and the interface of each."""


def factories(kind: str) -> Sequence[IStoreFactory]:
    """List the installed factories of a kind, sorted by scheme."""
    found = [factory for factory in getPlugins(IStoreFactory) if factory.kind == kind]
    return sorted(found, key=lambda factory: str(factory.scheme))


def _findFactory(kind: str, description: str) -> IStoreFactory:
    scheme, colon, _ = description.partition(":")
    available = factories(kind)
    chosen = [factory for factory in available if factory.scheme == scheme]
    if colon and len(chosen) == 1:
        return chosen[0]
    if len(chosen) > 1:
        raise BadDescription(f"{scheme}: is provided by {len(chosen)} plugins for {kind}; uninstall all but one")
    schemes = [str(factory.scheme) for factory in available]
    problem = f"unknown store {scheme!r} for {kind}" if colon else f"{description!r} has no colon"
    close = difflib.get_close_matches(scheme.strip().lower(), schemes, 1)
    hint = f" (did you mean {close[0]}:?)" if close else ""
    installed = ", ".join(f"{factory.scheme}: ({factory.help})" for factory in available)
    raise BadDescription(f"{problem}{hint}; installed: {installed}")


def hasScheme(kind: str, description: str) -> bool:
    """Whether a store of a kind can have the scheme of a description, perhaps of another kind."""
    return description.partition(":")[0] in [factory.scheme for factory in factories(kind)]


def takesLines(kind: str, description: str) -> bool:
    """Whether a description may have several lines."""
    scheme = description.partition(":")[0]
    return any(factory.scheme == scheme and getattr(factory, "takesLines", False) for factory in factories(kind))


def isManageable(store: IStore, description: str) -> bool:
    """
    Whether another process can manage the accounts of a store: it keeps them, and not in memory.

    @param description: the description that the store was made from.
    """
    return IAccountStore.providedBy(store) and description.partition(":")[0] != "memory"


def makeStore(kind: str, description: str, base: FilePath[str], reactor: Any, host: str | None = None) -> IStore:
    """
    Make the store for a description, without opening it.

    @param kind: a key of L{KINDS}.
    @param description: C{scheme:argument}.
    @param base: the base of relative paths.
    @param reactor: for threads and time.
    @param host: the domain for C{setHost}, see L{IStore}; C{None}: it is not called.
    @raise BadDescription: if the scheme is unknown, its argument is invalid, or the plugin's store lacks the interface.
    """
    factory = _findFactory(kind, description)
    argument = description.partition(":")[2]
    store = factory.makeStore(argument, base, reactor)
    try:
        verifyObject(KINDS[kind], store)
    except Invalid as e:
        raise BadDescription(f"{factory.scheme}: is not a store for {kind}: {' '.join(str(e).split())}") from None
    setHost = getattr(store, "setHost", None)
    if host is not None and setHost is not None:
        setHost(host)
    return store
