# -*- test-case-name: tests.server.test_accountarchive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The archives of the users of a host, made from the configuration."""

from __future__ import annotations

from typing import Any

from muccore.config.userssection import UsersSection
from muccore.im.archive import ArchiveHandler
from muccore.im.archivecleaning import ArchiveCleaning
from muccore.im.archivesettings import ArchiveSettingsHandler
from muccore.im.rosters import Rosters
from muccore.interfaces import IArchiveStore, IUserDataStore
from muccore.server.userdata import UserDataHandlers


class AccountArchive:
    """
    The handlers of one domain of accounts.

    @ivar archive: the archives; it provides L{IAccountArchive<muccore.interfaces.IAccountArchive>}.
    @ivar settings: what users want to have archived.
    @ivar all: all of them, in the order in which they are added.
    """

    def __init__(
        self, store: IArchiveStore, settings: UsersSection, rosters: Rosters, documents: IUserDataStore | None,
        userData: UserDataHandlers | None,
    ) -> None:  # fmt: skip
        """
        @param documents: keep what users want to have archived; C{None}: it is always the default.
        @param userData: the handlers of these; C{None} without.
        """
        states = None if userData is None else userData.states
        cleaning = ArchiveCleaning(store, settings.archiveRetention, settings.archiveMessages)
        self.archive = ArchiveHandler(store, rosters, settings.archiveDefault, cleaning, states)
        if userData is not None:
            userData.offline.archive = self.archive
        self.settings = ArchiveSettingsHandler(self.archive, rosters, documents, states)
        self.all: list[Any] = [self.archive, self.settings]

    def reconfigure(self, settings: UsersSection) -> None:
        """Apply a new configuration."""
        self.archive.default = settings.archiveDefault
        self.archive.cleaning.retention = settings.archiveRetention
        self.archive.cleaning.limit = settings.archiveMessages
