# Copyright (c) The muccore authors. See LICENSE for details.
"""A server whose users have archives, for tests of its handlers."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed

from muccore.im.archive import ArchiveHandler
from muccore.im.archivecleaning import ArchiveCleaning
from muccore.im.archivesettings import ArchiveSettingsHandler
from muccore.im.blocking import BlockingHandler
from muccore.im.carbons import CarbonsHandler
from muccore.im.offline import OfflineHandler
from muccore.interfaces import ArchiveItem, StoreUnavailable
from muccore.storage.insecure import InsecureAuth
from muccore.storage.memoryarchive import MemoryArchive
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import conditionOf
from muccore.xmpp.stanzaids import stanzaIdBy
from tests.im.userdatahelpers import UserDataTestCase

ROMEO = "romeo@localhost"
JULIET = "juliet@localhost"


class Accounts(InsecureAuth):
    """Accounts, of whom one is not there."""

    def hasAccount(self, account: str) -> Deferred[bool]:
        """See L{IAuthBackend.hasAccount}."""
        return succeed(not account.startswith("nobody@"))


class FailingArchive(MemoryArchive):
    """
    Archives in memory.

    @ivar failing: whether requests fail.
    """

    failing = False

    def append(self, archive: str, items: Sequence[ArchiveItem]) -> Deferred[None]:
        """See L{IArchiveStore.append}."""
        if self.failing:
            return fail(StoreUnavailable("test: it fails"))
        appended: Deferred[None] = super().append(archive, items)
        return appended


class AccountArchiveTestCase(UserDataTestCase):
    """
    Romeo and Juliet, with archives.

    @ivar archives: the store.
    """

    default = "always"

    def setUp(self) -> None:
        """Make the server; log Romeo in."""
        super().setUp()
        self.archives = FailingArchive()
        self.archives.open()
        self.offline = OfflineHandler(self.store, Accounts(), self.presence, 100_000)
        rosters = self.server.rosters
        self.cleaning = ArchiveCleaning(self.archives, 0, 0)
        self.archive = ArchiveHandler(self.archives, rosters, self.default, self.cleaning, self.states)
        self.offline.archive = self.archive
        for handler in (
            BlockingHandler(self.store, self.states, self.presence, 10_000),
            CarbonsHandler(), self.offline, self.archive,
            ArchiveSettingsHandler(self.archive, rosters, self.store, self.states),
        ):  # fmt: skip
            self.server.addHandler(handler)
        [self.romeo] = self.login("romeo")

    def appear(self, name: str, copies: bool = False) -> Client:
        """Log in and become available; C{name} as for L{login}."""
        [client] = self.login(name)
        client.sends("<presence/>")
        if copies:
            client.sends(f"<iq type='set' id='c'><enable xmlns='{ns.CARBONS}'/></iq>")
        client.received()
        return client

    def write(
        self, inside: str, to: str = JULIET, type: str | None = "chat", id: str = "m", sender: Client | None = None
    ) -> list[str]:
        """Send a message; return the conditions of errors that come back."""
        sender = sender or self.romeo
        kind = "" if type is None else f" type='{type}'"
        sender.sends(f"<message{kind} to='{to}' id='{id}'>{inside}</message>")
        return [condition for each in sender.received() if (condition := conditionOf(each))]

    def say(self, body: str, to: str = JULIET, id: str = "m", sender: Client | None = None) -> list[str]:
        """Send a chat message with a body."""
        return self.write(f"<body>{body}</body>", to, id=id, sender=sender)

    def inArchive(self, account: str) -> list[Element]:
        """The messages in an archive."""
        return [item.stanza.withoutElement().element for item in self.items(account)]

    def items(self, account: str) -> list[ArchiveItem]:
        """The items of an archive."""
        archive = self.archives._archives.get(account)
        return [] if archive is None else list(archive.items.values())

    def bodies(self, account: str) -> list[str]:
        """The bodies in an archive."""
        return [each.childText("body") or "" for each in self.inArchive(account)]

    def ids(self, account: str) -> list[str]:
        """The ids in an archive."""
        return [item.id for item in self.items(account)]

    def stanzaIds(self, client: Client, account: str) -> list[str | None]:
        """The stanza ids by an account of the messages that a client has received; of copies, of what is inside."""
        found = []
        for each in client.received():
            if each.name == "message":
                for copy in each.childElements():
                    if copy.uri == ns.CARBONS:
                        [forwarded] = copy.childElements()
                        [each] = forwarded.childElements()
                found.append(stanzaIdBy(each, account))
        return found
