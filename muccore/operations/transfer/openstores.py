# -*- test-case-name: tests.operations.transfer.test_exporting -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The stores of a server, opened by a command."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from muccore.config.schema import Settings
from muccore.interfaces import IAuthBackend, IStore
from muccore.operations.refused import Refused
from muccore.server.stores import ServerStores, permanent


def checkReadable(settings: Settings) -> None:
    """
    Check that what the server keeps outlives it, and is there.

    @raise Refused: if not.
    """
    found = dict.fromkeys(description.partition("\n")[0] for _, description in permanent(settings))
    if not any(each.partition(":")[0] != "memory" for each in found):
        raise Refused("everything is in the memory of the server; nothing can be read from here")
    for description in found:
        scheme, _, argument = description.partition(":")
        path = os.path.join(settings.base.path, argument)
        if scheme == "sqlite" and not os.path.exists(path):
            raise Refused(f"{path}: there is no such database; start the server once, which creates it")


@asynccontextmanager
async def opened(stores: ServerStores, beside: bool, audit: bool = False) -> AsyncIterator[None]:
    """
    Open the stores, but for accounts that are kept elsewhere, places of occupants and uploads; close them at the end.

    @param beside: whether the server has them open; then they are to be read only.
    @param audit: whether audit trails are needed.
    @raise StoreError: if one cannot be opened.
    """
    manageable = set(stores.manageable())
    unwanted = {stores.occupants, stores.uploads, *([] if audit else [stores.audit])}
    wanted = [
        store
        for _, store in stores.all
        if store not in unwanted and (store in manageable or not IAuthBackend.providedBy(store))
    ]
    done: list[IStore] = []
    try:
        for store in wanted:
            done.append(store)
            if beside and store is stores.archive:
                await stores.archive.openReading()
            else:
                await store.open()
        yield
    finally:
        for store in reversed(done):
            await store.close()
