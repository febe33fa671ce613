# -*- test-case-name: tests.session.test_registry -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The registry of sessions."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, cast

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from muccore.interfaces import IRouter, ISession, ISessions, IStream, IUserDomain
from muccore.session.endings import Endings
from muccore.session.handover import Handover
from muccore.session.redelivery import Redelivery
from muccore.session.resumption import Resumptions
from muccore.session.session import Session
from muccore.session.streammanagement import ManagementSettings
from muccore.xmpp import jid
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID, InvalidJID

_RESOURCE_BYTES: Final = 15
_NO_SESSIONS: Final[Mapping[str, Session]] = MappingProxyType({})


@implementer(ISessions)
class Sessions:
    """
    The sessions of every account.

    @ivar router: where sessions route stanzas; set before the first is bound.
    @ivar limit: sessions an account may have.
    @ivar resumptions: the sessions that can be resumed.
    @ivar redelivery: redelivers what their clients have not acknowledged.
    @ivar endings: tells domains of their ends.
    @ivar handover: tracks stanzas without acknowledgements.
    """

    router: IRouter

    def __init__(self, limit: int, clock: IReactorTime, management: ManagementSettings) -> None:
        self.limit = limit
        self.resumptions = Resumptions(clock, management)
        self.redelivery = Redelivery(clock, self)
        self.endings = Endings(clock)
        self.handover = Handover(clock)
        self._domains: dict[str, IUserDomain] = {}
        self._accounts: dict[str, dict[str, Session]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Session]:
        """See L{ISessions.__iter__}."""
        return iter([session for sessions in self._accounts.values() for session in sessions.values()])

    def forAccount(self, account: str) -> Mapping[str, Session]:
        """See L{ISessions.forAccount}."""
        return self._accounts.get(account, _NO_SESSIONS)

    def isInUse(self, account: str) -> bool:
        """See L{ISessions.isInUse}."""
        return account in self._accounts or self.endings.isWaiting(account)

    def isRedelivering(self, account: str) -> bool:
        """See L{ISessions.isRedelivering}."""
        return self.redelivery.isWaiting(account)

    def byFullJID(self, jid: JID) -> Session | None:
        """See L{ISessions.byFullJID}."""
        return self.forAccount(jid.bare).get(jid.resource)

    def addDomain(self, domain: IUserDomain) -> None:
        """See L{ISessions.addDomain}."""
        self._domains[domain.name] = domain

    def bind(self, account: JID, resource: str | None, stream: IStream, client: str = "") -> Session:
        """
        See L{ISessions.bind}.

        A session that has the resource ends, unavailable presence included, before the new one exists (RFC 6120
        §7.7.2.2): a room sees an occupant leave, then one join.
        """
        bound = self.forAccount(account.bare)
        if resource is None:
            prepared = secrets.token_urlsafe(_RESOURCE_BYTES)
        else:
            try:
                prepared = jid.prepareResource(resource)
            except InvalidJID as e:
                raise StanzaError("bad-request", text=str(e)) from None
        replaced = {each for each in bound.values() if client and each.userAgent and each.userAgent.id == client}
        if prepared in bound:
            replaced.add(bound[prepared])
        for old in replaced:
            if old.stream is not None:
                old.stream.close(StreamError("conflict"))
            old.end()
        if not replaced and len(bound) >= self.limit:
            self._makeRoom(bound)
        return self.add(account.withResource(prepared), stream)

    def add(self, jid: JID, stream: IStream | None) -> Session:
        """Add a session whose full JID no other one has. For sessions only; C{KeyError} for an unknown domain."""
        self.endings.finish(jid.full)
        session = Session(self, self.router, self._domains[jid.domain], jid, stream)
        self._accounts.setdefault(jid.bare, {})[jid.resource] = session
        self._count += 1
        return session

    def _makeRoom(self, bound: Mapping[str, Session]) -> None:
        """End the session that has waited longest to be resumed; L{StanzaError} if none waits."""
        oldest = self.resumptions.longestHeld(bound.values())
        if oldest is None:
            raise StanzaError("resource-constraint", text=f"an account may have {self.limit} sessions")
        self.resumptions.expire(oldest, "another session takes its place")

    def suspendAll(self) -> None:
        """
        Let sessions handle nothing more: the server stops, and those that can be resumed will be saved
        (L{muccore.session.savedsessions}). Clients send it again, or learn from the end of their streams.
        """
        self.resumptions.beginStopping()
        for session in self:
            session.suspended = True

    def resume(self, account: JID, id: str, handled: int, stream: IStream) -> Session:
        """See L{ISessionBinder.resume<muccore.interfaces.ISessionBinder.resume>}."""
        return self.resumptions.resume(account, id, handled, stream)

    def postpone(self, domain: IUserDomain, element: Element, to: JID) -> bool:
        """See L{ISessions.postpone}."""
        return self.redelivery.postpone(domain, element, to)

    def terminate(self, session: ISession, error: StreamError) -> None:
        """See L{ISessions.terminate}."""
        if session.stream is not None:
            session.stream.close(error)
        cast(Session, session).end()

    def remove(self, session: Session) -> None:
        """Remove a session that has ended. For sessions only."""
        sessions = self._accounts.get(session.account.bare)
        if sessions is not None and sessions.get(session.jid.resource) is session:
            del sessions[session.jid.resource]
            self._count -= 1
            if not sessions:
                del self._accounts[session.account.bare]
