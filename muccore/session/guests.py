# -*- test-case-name: tests.session.test_guests -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The limits of the sessions of guests, who have no account by which others are limited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from zope.interface import implementer

from muccore.interfaces import ISession, ISessionBinder, ISessions, IStream
from muccore.net.limits import Networks, addressKey
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID

UNLIMITED: Final = 0


@dataclass(frozen=True)
class GuestSettings:
    """
    What guests may do.

    @ivar sessions: the maximum of sessions of all guests.
    @ivar sessionsPerAddress: those of guests from one address; L{UNLIMITED}.
    @ivar exempt: networks without C{sessionsPerAddress}.
    """

    sessions: int
    sessionsPerAddress: int
    exempt: Networks


@implementer(ISessionBinder)
class GuestSessions:
    """
    Binds the sessions of all domains, and limits those of guests.

    @ivar sessions: the registry of sessions.
    @ivar domains: those that have guests, until the server ends.
    @ivar settings: the limits.
    """

    def __init__(self, sessions: ISessions, domains: Collection[str], settings: GuestSettings) -> None:
        """@param domains: see L{domains}."""
        self.settings = settings
        self.sessions = sessions
        self.domains = frozenset(domains)
        # The key of the address of each session.
        self._bound: dict[ISession, str] = {}
        self._counts: Counter[str] = Counter()

    def isGuest(self, account: JID) -> bool:
        """Whether an account is a guest's."""
        return account.domain in self.domains and isGuestName(account.local)

    def hasRoom(self) -> bool:
        """Whether one more guest may log in."""
        return len(self._bound) < self.settings.sessions

    def bind(self, account: JID, resource: str | None, stream: IStream, client: str = "") -> ISession:
        """See L{ISessionBinder.bind}. Guests may get C{resource-constraint} as well."""
        if not self.isGuest(account):
            session: ISession = self.sessions.bind(account, resource, stream, client)
            return session
        if not self.hasRoom():
            raise StanzaError("resource-constraint", text="There are too many guests; try again later.")
        address = stream.address
        key, most = addressKey(address), self.settings.sessionsPerAddress
        if most and self._counts[key] >= most and address not in self.settings.exempt:
            raise StanzaError("resource-constraint", text="There are too many guests from your address.")
        session = self.sessions.bind(account, resource, stream, client)
        self._bound[session] = key
        self._counts[key] += 1
        return session

    def resume(self, account: JID, id: str, handled: int, stream: IStream) -> ISession:
        """See L{ISessionBinder.resume}. A guest's session counts for the address at which it was bound."""
        session: ISession = self.sessions.resume(account, id, handled, stream)
        return session

    def sessionEnded(self, session: ISession) -> None:
        """Note the end of a session, which may be a guest's."""
        key = self._bound.pop(session, None)
        if key is not None:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]
