# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.accountarchive}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.im.presence import PresenceHandler
from muccore.im.rosters import Rosters
from muccore.interfaces import IAccountArchive
from muccore.server.accountarchive import AccountArchive
from muccore.server.handlers import HostHandlers
from muccore.server.stores import ServerStores
from muccore.server.userdata import UserDataHandlers
from muccore.storage.insecure import InsecureAuth
from muccore.storage.memoryarchive import MemoryArchive
from muccore.storage.memoryroster import MemoryRosters
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.doubles import SettableClock
from muccore.testing.server import makeSettings

CHANGED = {"archive_default": "roster", "archive_retention": "3 d", "archive_messages": "17"}


def options(made: AccountArchive) -> list[object]:
    """What it has of the configuration."""
    cleaning = made.archive.cleaning
    return [made.archive.default, cleaning.retention, cleaning.limit]


class AccountArchiveTests(SynchronousTestCase):
    """L{AccountArchive}"""

    def make(self, userData: UserDataHandlers | None = None, **users: str) -> AccountArchive:
        """Make one."""
        rosters = Rosters(MemoryRosters(), lambda account: False)
        documents = None if userData is None else MemoryUserData()
        return AccountArchive(MemoryArchive(), makeSettings(users=users).users, rosters, documents, userData)

    def test_options(self) -> None:
        """They are those of the configuration, at the start and after a reload."""
        made = self.make()
        self.assertEqual(options(made), ["always", 365 * 86400.0, 100_000])
        made.reconfigure(makeSettings(users=CHANGED).users)
        self.assertEqual(options(made), ["roster", 3 * 86400.0, 17])
        self.assertEqual(options(self.make(**CHANGED)), options(made))

    def test_offline(self) -> None:
        """Offline messages are archived."""
        rosters = Rosters(MemoryRosters(), lambda account: False)
        presence = PresenceHandler(1, rosters)
        userData = UserDataHandlers(MemoryUserData(), makeSettings().users, presence, InsecureAuth())
        made = self.make(userData)
        self.assertIs(userData.offline.archive, made.archive)

    def test_switched(self) -> None:
        """There are archives if there is a store for them, unless they are switched off."""
        cases: list[tuple[dict[str, Any], bool]] = [
            ({}, False),
            ({"storage": {"archive": "memory:"}}, True),
            ({"storage": {"archive": "memory:"}, "users": {"archive": "no"}}, False),
        ]
        for overrides, expected in cases:
            settings = makeSettings(**overrides)
            stores = ServerStores(settings, SettableClock())
            [host] = settings.hosts
            handlers = HostHandlers(settings, host, stores, SettableClock())
            found = [each for each in handlers.make(host.domain) if IAccountArchive.providedBy(each)]
            self.assertEqual(len(found), expected)
