# -*- test-case-name: tests.storage.test_registry -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""From a description such as C{sqlite:var/muccore.db} to a store, by way of the plugins that are installed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Final

from twisted.plugin import getPlugins
from twisted.python.filepath import FilePath
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from muccore.interfaces import BadDescription, IAccountStore, IAuthBackend, IRoomStore, IStore, IStoreFactory

KINDS: Final = {"accounts": IAuthBackend, "rooms": IRoomStore}
"""What stores are for, and what a store for it provides."""


def factories(purpose: str) -> Sequence[IStoreFactory]:
    """The installed factories for a purpose, sorted by scheme."""
    found = [factory for factory in getPlugins(IStoreFactory) if factory.kind == purpose]
    return sorted(found, key=lambda factory: str(factory.scheme))


def _findFactory(purpose: str, description: str) -> IStoreFactory:
    scheme, colon, _ = description.partition(":")
    available = factories(purpose)
    chosen = [factory for factory in available if factory.scheme == scheme]
    if colon and len(chosen) == 1:
        return chosen[0]
    if len(chosen) > 1:
        raise BadDescription(f"{scheme}: is claimed by {len(chosen)} plugins for {purpose}; uninstall all but one")
    schemes = [str(factory.scheme) for factory in available]
    trouble = f"unknown store {scheme!r} for {purpose}" if colon else f"{description!r} has no colon"
    close = difflib.get_close_matches(scheme.strip().lower(), schemes, 1)
    hint = f" (did you mean {close[0]}:?)" if close else ""
    there = ", ".join(f"{factory.scheme}: ({factory.help})" for factory in available)
    raise BadDescription(f"{trouble}{hint}; there are: {there}")


def isManageable(store: IStore, description: str) -> bool:
    """
    Whether the accounts of a store can be managed from another process: it keeps them, and not in memory only.

    @param description: what the store was made from.
    """
    return IAccountStore.providedBy(store) and description.partition(":")[0] != "memory"


def makeStore(purpose: str, description: str, base: FilePath[str], reactor: Any) -> IStore:
    """
    Make the store that a description names. It is not open yet.

    @param purpose: a key of L{KINDS}.
    @param description: C{scheme:argument}.
    @param base: the folder that relative paths start from.
    @param reactor: for threads and time.
    @raise BadDescription: if there is no such scheme, its argument is not understood, or what the plugin made is not
        what the purpose asks for.
    """
    factory = _findFactory(purpose, description)
    argument = description.partition(":")[2]
    store = factory.makeStore(argument, base, reactor)
    try:
        verifyObject(KINDS[purpose], store)
    except Invalid as e:
        raise BadDescription(f"{factory.scheme}: is no store for {purpose}: {' '.join(str(e).split())}") from None
    return store
