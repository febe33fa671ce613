# -*- test-case-name: tests.server.test_userdata -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The handlers of what users store, made from the configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred

from muccore.config.userssection import UsersSection
from muccore.im.accounts import Accounts
from muccore.im.blocking import BlockingHandler
from muccore.im.lastactivity import LastActivityHandler
from muccore.im.offline import OfflineHandler
from muccore.im.presence import PresenceHandler
from muccore.im.privatestorage import PrivateStorageHandler
from muccore.im.pushes import PushHandler
from muccore.im.userstate import UserStates
from muccore.im.vcards import VCardHandler
from muccore.interfaces import IAuthBackend, ISession, IUserDataStore


class UserDataHandlers:
    """
    The handlers of one domain of accounts.

    @ivar states: what filters need of accounts.
    @ivar privateStorage: private XML storage.
    @ivar vCards: the vCards of users.
    @ivar blocking: the block lists of users.
    @ivar lastActivity: since when users are away.
    @ivar offline: the messages to users who are offline.
    @ivar pushes: the push services of users.
    @ivar all: all of them, in the order in which they are added.
    """

    def __init__(
        self, store: IUserDataStore, settings: UsersSection, presence: PresenceHandler, accounts: IAuthBackend,
        roomServices: Collection[str] = (),
    ) -> None:  # fmt: skip
        """@param roomServices: the domains that have rooms of this server."""
        self._store = store
        self.privateStorage = PrivateStorageHandler(store, settings.privateElement, settings.privateData)
        self.states = UserStates(store)
        self.vCards = VCardHandler(store, self.states, presence, settings.vcardSize)
        self.blocking = BlockingHandler(store, self.states, presence, settings.blockListSize)
        self.lastActivity = LastActivityHandler(store, presence)
        self.offline = OfflineHandler(store, accounts, presence, settings.offlineSize)
        self.pushes = PushHandler(store, self.states, roomServices, settings.pushContent)
        self.all: list[Any] = [
            self.states, self.blocking, self.privateStorage, self.vCards, self.lastActivity, self.offline, self.pushes,
        ]  # fmt: skip

    def joinAccounts(self, accounts: Accounts) -> None:
        """Let what is stored be removed with an account."""
        for handler in (self.privateStorage, self.vCards, self.blocking, self.offline, self.lastActivity, self.pushes):
            accounts.removers[type(handler).__name__] = handler.forget
        accounts.removers["documents"] = lambda account: self._store.removeAccount(account.bare)
        # After the documents: they are what it is loaded from.
        accounts.removers["state"] = self.states.forget

    def sessionRestored(self, session: ISession) -> Deferred[Any]:
        """Prepare the handlers for a session that was saved. Never fails."""
        self.offline.restored(session)
        self.lastActivity.restored(session)
        return self.states.restored(session).addCallback(lambda _: self.vCards.restored(session))

    async def finished(self, flush: Callable[[], Deferred[None]]) -> None:
        """
        Wait until all messages that have come are stored or delivered.

        @param flush: waits for redelivery.
        """
        await self.states.work.finished()
        await flush()
        await self.offline.work.finished()

    def reconfigure(self, settings: UsersSection) -> None:
        """Apply a new configuration."""
        self.privateStorage.elementLimit = settings.privateElement
        self.privateStorage.accountLimit = settings.privateData
        self.vCards.sizeLimit = settings.vcardSize
        self.blocking.sizeLimit = settings.blockListSize
        self.offline.limit = settings.offlineSize
        self.pushes.content = settings.pushContent
