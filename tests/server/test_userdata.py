# -*- test-case-name: tests.server.test_userdata -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.server.userdata}."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.im.offline import KIND
from muccore.im.presence import PresenceHandler
from muccore.im.rosters import Rosters
from muccore.server.userdata import UserDataHandlers
from muccore.storage.insecure import InsecureAuth
from muccore.storage.memoryroster import MemoryRosters
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.server import makeSettings
from tests.im.userdatahelpers import UserDataTestCase

CHANGED = {
    "private_element": "2 KiB",
    "private_data": "3 KiB",
    "vcard_size": "4 KiB",
    "block_list_size": "5 KiB",
    "offline_size": "6 KiB",
}
"""Options with values that are not the defaults."""


def limits(handlers: UserDataHandlers) -> dict[str, int]:
    """The limits that handlers have, by option."""
    return {
        "private_element": handlers.privateStorage.elementLimit,
        "private_data": handlers.privateStorage.accountLimit,
        "vcard_size": handlers.vCards.sizeLimit,
        "block_list_size": handlers.blocking.sizeLimit,
        "offline_size": handlers.offline.limit,
    }


class UserDataHandlersTests(SynchronousTestCase):
    """L{UserDataHandlers}"""

    def test_limits(self) -> None:
        """The limits are those of the configuration, at the start and after a reload."""
        expected = {name: int(value.partition(" ")[0]) * 1024 for name, value in CHANGED.items()}
        rosters = Rosters(MemoryRosters(), lambda account: False)
        presence = PresenceHandler(1, rosters)
        changed = makeSettings(users=CHANGED).users
        handlers = UserDataHandlers(MemoryUserData(), makeSettings().users, presence, InsecureAuth())
        self.assertEqual(set(limits(handlers).values()) & set(expected.values()), set())
        handlers.reconfigure(changed)
        self.assertEqual(limits(handlers), expected)
        self.assertEqual(limits(UserDataHandlers(MemoryUserData(), changed, presence, InsecureAuth())), expected)


class EndTests(UserDataTestCase):
    """The end of the server (L{UserDataHandlers.finished})."""

    def test_finished(self) -> None:
        """It waits for messages whose sender's block list is being loaded, and for those that are then being stored."""
        handlers = UserDataHandlers(self.store, makeSettings().users, self.presence, InsecureAuth())
        # Those of the handlers, not of the test case.
        self.states.disownHandlerParent(self.server.users)
        for handler in handlers.all:
            self.server.addHandler(handler)
        [romeo] = self.login("romeo")
        self.store.slow = True
        for number in range(2):
            romeo.sends(f"<message to='juliet@localhost' id='{number}'><body>hi</body></message>")
        finished = Deferred.fromCoroutine(handlers.finished(self.server.sessions.redelivery.flush))
        self.assertNoResult(finished)
        self.store.release()
        self.successResultOf(finished)
        self.store.slow = False
        self.assertEqual(len(self.successResultOf(self.store.keys("juliet@localhost", KIND))), 2)
        again = Deferred.fromCoroutine(handlers.finished(self.server.sessions.redelivery.flush))
        self.successResultOf(again)
