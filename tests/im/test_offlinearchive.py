# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.offlinearchive}."""

from __future__ import annotations

from twisted.internet.defer import fail
from twisted.logger import LogLevel

from muccore.im.offline import KIND
from muccore.im.offlinearchive import OfflineClearing
from muccore.interfaces import StoreUnavailable
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from tests.configuration import Logged
from tests.im.archivehelpers import JULIET, AccountArchiveTestCase


class RefusedTests(AccountArchiveTestCase):
    """Messages that cannot be stored."""

    def test_takenBack(self) -> None:
        """What is returned since it could not be stored is not in the archive (XEP-0313 §6.1)."""
        logged = Logged(self)
        self.patch(self.store, "change", lambda *arguments: fail(StoreUnavailable("full")))
        self.assertEqual(self.say("a"), ["internal-server-error"])
        self.assertEqual(self.bodies(JULIET), [])
        self.assertEqual(len(logged.lines(LogLevel.error)), 1)

    def test_archiveFails(self) -> None:
        """If it cannot be taken back either, the log says so, and it is returned all the same."""
        logged = Logged(self)
        self.patch(self.store, "change", lambda *arguments: fail(StoreUnavailable("full")))
        self.patch(self.archives, "remove", lambda *arguments: fail(StoreUnavailable("full")))
        self.assertEqual(self.say("a"), ["internal-server-error"])
        self.assertEqual(len([line for line in logged.lines(LogLevel.error) if "stays archived" in line]), 1)


class ClearingTests(AccountArchiveTestCase):
    """Juliet is away; then her client binds."""

    def bind(self) -> Client:
        """Let a client bind by Bind 2; it is not yet available."""
        [juliet] = self.login("juliet")
        [feature] = self.offline.streamFeatures
        self.assertIsInstance(feature, OfflineClearing)
        self.assertEqual(self.successResultOf(feature.describe(parse(JULIET))), b"")
        return juliet

    def bodiesOf(self, client: Client) -> list[str]:
        """The bodies that a client gets when it becomes available."""
        client.sends("<presence/>")
        self.server.clock.advance(0)
        return [each.childText("body") or "" for each in client.received() if each.name == "message"]

    def kept(self) -> int:
        """How many messages are kept for her."""
        return len(self.successResultOf(self.store.keys(JULIET, KIND)))

    def test_cleared(self) -> None:
        """What is in the archive is removed, and not sent; the rest is delivered (XEP-0386 §3.2)."""
        self.say("archived")
        self.write(f"<body>secret</body><no-permanent-store xmlns='{ns.HINTS}'/>")
        self.say("archived too")
        juliet = self.bind()
        self.assertEqual(self.kept(), 1)
        self.assertEqual(self.bodiesOf(juliet), ["secret"])
        self.assertEqual(self.bodies(JULIET), ["archived", "archived too"])

    def test_notArchived(self) -> None:
        """What has an id, but is not in the archive, is delivered: it could not be appended, or was deleted."""
        logged = Logged(self)
        self.archives.failing = True
        self.say("lost")
        self.assertEqual(len(logged.lines(LogLevel.error)), 1)
        self.archives.failing = False
        self.say("deleted")
        self.successResultOf(self.archives.delete(JULIET))
        self.assertEqual(self.bodiesOf(self.bind()), ["lost", "deleted"])

    def test_anotherClient(self) -> None:
        """What another client is being given is left to it, and so is what it is to get."""
        self.say("a")
        phone = self.appear("juliet/phone")
        self.bind()
        self.assertEqual(self.kept(), 1)
        phone.session.end()
        self.assertEqual(self.kept(), 1)

    def test_storeFails(self) -> None:
        """If the store fails, that is logged, and nothing is lost."""
        self.say("a")
        [juliet] = self.login("juliet")
        [feature] = self.offline.streamFeatures
        self.store.failing = True
        logged = Logged(self)
        self.assertEqual(self.successResultOf(feature.describe(parse(JULIET))), b"")
        [line] = logged.lines(LogLevel.error)
        self.assertIn("cannot be cleared", line)
        self.store.failing = False
        self.assertEqual(self.bodiesOf(juliet), ["a"])

    def test_withoutArchive(self) -> None:
        """Without an archive, nothing is cleared, and binding waits for nothing."""
        self.offline.archive = None
        self.assertEqual(self.offline.streamFeatures, ())
