# -*- test-case-name: tests.server.test_userdata -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The handlers of what users store, made from the configuration."""

from __future__ import annotations

from typing import Any

from muccore.config.userssection import UsersSection
from muccore.im.privatestorage import PrivateStorageHandler
from muccore.interfaces import IUserDataStore


class UserDataHandlers:
    """
    The handlers of one domain of accounts.

    @ivar privateStorage: private XML storage.
    @ivar all: all of them, in the order in which they are added.
    """

    def __init__(self, store: IUserDataStore, settings: UsersSection) -> None:
        self.privateStorage = PrivateStorageHandler(store, settings.privateElement, settings.privateData)
        self.all: list[Any] = [self.privateStorage]

    def reconfigure(self, settings: UsersSection) -> None:
        """Apply a new configuration."""
        self.privateStorage.elementLimit = settings.privateElement
        self.privateStorage.accountLimit = settings.privateData
