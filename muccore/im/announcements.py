# -*- test-case-name: tests.server.test_administration -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Announcements of the server (XEP-0133 §4.23 to §4.28): to all who are online, a message of the day that everybody gets
once, and a welcome to new users.

They come from the domain, as headlines: nobody answers them, and they are not stored for who is away.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.im.presence import PresenceHandler
from muccore.interfaces import IAnnouncements, ISession, IUserDataStore, IUserDomain, StoreError
from muccore.log.logger import Logger
from muccore.net.slices import RENDERING, Slices, Steps
from muccore.routing.handler import Handler
from muccore.routing.loading import Loader
from muccore.routing.turns import Work
from muccore.xmpp.element import stanza
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, toAttribute

KIND: Final = "announcement"
"""The kind of the documents: of the host its messages, of an account what it was told, or is to be."""

MOTD: Final = "motd"
"""Of the host, the message of the day after its number and a line feed; of an account, the number of the last one."""

WELCOME: Final = "welcome"
"""Of the host, the welcome; of an account, that it is to be welcomed."""

_ID_BYTES: Final = 9

_log: Final = Logger()


@implementer(IAnnouncements)
class Announcements(Handler):
    """
    The announcements of one host.

    @ivar guests: whether the domain has guests, of whom nothing is stored: each session of theirs is told anew.
    @ivar work: what is being delivered.
    """

    parent: IUserDomain

    guests = False

    def __init__(self, store: IUserDataStore, host: str, presence: PresenceHandler) -> None:
        super().__init__()
        self.motd = self.welcome = ""
        self.work = Work()
        self._number = ""
        self._telling: set[str] = set()
        self._store = store
        self._host = host
        self._slices: Slices | None = None
        self._loader: Loader | None = None
        presence.readyObservers.append(self._ready)

    async def start(self) -> None:
        """Load the messages, later if they cannot be read now. Never fails: that is logged."""
        self._loader = Loader(self.parent.clock)
        await self._loader.load(f"{self._host}: announcements", self._load)

    async def _load(self) -> None:
        motd = (await self._store.get(self._host, KIND, MOTD) or b"").decode()
        self._number, _, self.motd = motd.partition("\n")
        self.welcome = (await self._store.get(self._host, KIND, WELCOME) or b"").decode()

    def shutDown(self, final: bool) -> None:
        """Load no more."""
        if self._loader is not None:
            self._loader.stop()

    # IAnnouncements

    def announce(self, text: str) -> int:
        """See L{IAnnouncements.announce}."""
        here = (each for each in self.parent.sessions if each.jid.domain == self._host)
        sessions = [each for each in here if each.priority is not None]
        if self._slices is None:
            self._slices = Slices(self.parent.clock)
        self._slices.run(self._deliverAll(sessions, self._message(text)))
        return len(sessions)

    async def setMessageOfTheDay(self, text: str) -> None:
        """See L{IAnnouncements.setMessageOfTheDay}."""
        number = secrets.token_urlsafe(_ID_BYTES)
        await self._save(MOTD, f"{number}\n{text}" if text else "")
        self.motd, self._number = text, number
        if text:
            for account in {each.account for each in self.parent.sessions if each.jid.domain == self._host}:
                self._tell(account)

    async def editMessageOfTheDay(self, text: str) -> None:
        """See L{IAnnouncements.editMessageOfTheDay}."""
        if not self.motd:
            await self.setMessageOfTheDay(text)
            return
        await self._save(MOTD, f"{self._number}\n{text}")
        self.motd = text

    async def setWelcome(self, text: str) -> None:
        """See L{IAnnouncements.setWelcome}."""
        await self._save(WELCOME, text)
        self.welcome = text

    async def created(self, account: JID) -> None:
        """Note that a new account is to be welcomed. Never fails: that is logged."""
        if self.welcome:
            try:
                await self._store.change(account.bare, {(KIND, WELCOME): b""})
            except StoreError as e:
                _log.error("{account} will not be welcomed: {error}", account=account.bare, error=str(e))

    # Delivery

    def _message(self, text: str) -> Rendered:
        element = stanza("message", "headline", from_=self._host)
        element.add("body", text=text)
        return Rendered.of(element)

    def _deliverAll(self, sessions: Sequence[ISession], message: Rendered) -> Steps:
        for session in sessions:
            yield RENDERING
            session.deliver(message, toAttribute(session.fullText))

    def _ready(self, session: ISession) -> None:
        if self._isGuest(session.account):
            if self.motd:
                self._deliver([session], self.motd)
        elif self.motd or self.welcome:
            self._tell(session.account)

    def _isGuest(self, account: JID) -> bool:
        return self.guests and isGuestName(account.local)

    def _tell(self, user: JID) -> None:
        """Tell a user what they have not been told yet, on all clients that are available."""
        account = user.bare
        if self._isGuest(user):
            self._deliver(self._readySessions(account), self.motd)
            return
        telling = Deferred.fromCoroutine(self._tellNow(account))
        telling.addErrback(
            lambda failure: _log.error(
                "{account} cannot be told announcements: {error}", account=account, error=failure.getErrorMessage()
            )
        )

    async def _tellNow(self, account: str) -> None:
        if account in self._telling:
            # It will be told on all clients that are there by then.
            return
        self._telling.add(account)
        try:
            await self._tellAll(account)
        finally:
            self._telling.discard(account)

    async def _tellAll(self, account: str) -> None:
        with self.work.inProgress():
            keys = await self._store.keys(account, KIND)
            told = await self._store.get(account, KIND, MOTD) if MOTD in keys else None
            for key, text, due in (
                (WELCOME, self.welcome, WELCOME in keys),
                (MOTD, self.motd, (told or b"").decode() != self._number),
            ):
                ready = self._readySessions(account)
                if text and due and ready:
                    number = self._number
                    # First: it is lost rather than told twice.
                    await self._store.change(account, {(KIND, key): number.encode() if key == MOTD else None})
                    self._deliver(ready, text)

    def _readySessions(self, account: str) -> list[ISession]:
        sessions = self.parent.sessions.forAccount(account).values()
        return [each for each in sessions if each.priority is not None and each.priority >= 0]

    def _deliver(self, sessions: Sequence[ISession], text: str) -> None:
        message = self._message(text)
        for session in sessions:
            session.deliver(message, toAttribute(session.fullText))

    async def _save(self, key: str, text: str) -> None:
        await self._store.change(self._host, {(KIND, key): text.encode() or None})
