# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.archivecleaning}."""

from __future__ import annotations

from muccore.im import archivecleaning
from muccore.im.archivecleaning import FIRST, INTERVAL, SHARE
from tests.im.archivehelpers import JULIET, ROMEO, AccountArchiveTestCase

DAY = 86400


class CleaningTests(AccountArchiveTestCase):
    """What is deleted."""

    def talk(self, count: int) -> None:
        """Let Romeo write to Juliet."""
        for number in range(count):
            self.say(str(number))

    def test_age(self) -> None:
        """What is older than allowed is deleted, after the start and now and then; from archives of rooms nothing."""
        self.patch(archivecleaning, "_AT_ONCE", 1)
        self.cleaning.retention = DAY
        self.talk(2)
        [item] = self.items(ROMEO)[:1]
        self.archives.append("room@conference.localhost", [item])
        self.server.clock.advance(FIRST)
        self.assertEqual(self.bodies(ROMEO), ["0", "1"])
        self.server.clock.advance(DAY / 2)
        self.say("x")
        self.server.clock.advance(DAY / 2 + INTERVAL)
        self.assertEqual((self.bodies(ROMEO), self.bodies(JULIET)), (["x"], ["x"]))
        self.assertEqual(len(self.items("room@conference.localhost")), 1)
        self.server.clock.advance(DAY)
        self.assertEqual(self.bodies(ROMEO), [])

    def test_number(self) -> None:
        """Of more than allowed the oldest are deleted: now and then, and meanwhile when there are a tenth more."""
        self.cleaning.limit = 10 * SHARE
        most = 0
        for number in range(300):
            self.say(str(number))
            most = max(most, len(self.items(ROMEO)))
        self.assertLess(most, 12 * SHARE)
        self.server.clock.advance(FIRST)
        expected = [str(number) for number in range(300 - 10 * SHARE, 300)]
        self.assertEqual(self.bodies(ROMEO), expected)
        self.assertEqual(self.bodies(JULIET), expected)

    def test_unlimited(self) -> None:
        """Without limits everything stays."""
        self.talk(50)
        self.server.clock.advance(100 * DAY)
        self.assertEqual(len(self.items(ROMEO)), 50)

    def test_failure(self) -> None:
        """If the store fails, it is tried again later."""
        self.cleaning.retention = DAY
        self.talk(1)
        self.successResultOf(self.archives.close())
        self.server.clock.advance(2 * DAY)
        self.archives.open()
        self.server.clock.advance(INTERVAL)
        self.assertEqual(self.bodies(ROMEO), [])

    def test_stopped(self) -> None:
        """After the end nothing is done any more."""
        self.cleaning.retention = DAY
        self.talk(1)
        self.successResultOf(self.server.users.shutDown(True))
        self.server.clock.advance(2 * DAY)
        self.assertEqual(len(self.items(ROMEO)), 1)
