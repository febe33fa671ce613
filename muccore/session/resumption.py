# -*- test-case-name: tests.session.test_resumption -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Resumption (XEP-0198): the sessions that can be resumed, and those that wait for it without a stream.

Above the limits of what is kept for it, or when its time is over, a session ends like any other.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muccore.interfaces import IStream, ResumptionFailed
from muccore.log.eventlog import SESSION_EXPIRED, Phrase
from muccore.session.streammanagement import ManagementSettings, StreamManagement
from muccore.xmpp.datetimes import timeOfDay
from muccore.xmpp.errors import StreamError
from muccore.xmpp.jid import JID

if TYPE_CHECKING:
    from muccore.session.session import Session

_ID_BYTES: Final = 18

_REMEMBERED: Final = 10_000
"""Expired sessions whose counter is remembered, to tell a client that comes too late what was handled."""


class Resumptions:
    """The sessions with stream management; C{settings} are for those that enable it from now on."""

    def __init__(self, clock: IReactorTime, settings: ManagementSettings) -> None:
        self.settings = settings
        self._clock = clock
        self._now = timeOfDay(clock)
        self._stopping = False
        self._resumable: dict[str, Session] = {}
        self._held: dict[Session, IDelayedCall] = {}
        self._expired: dict[str, tuple[JID, int]] = {}

    def __len__(self) -> int:
        """Count the sessions that wait to be resumed."""
        return len(self._held)

    def enable(self, session: Session, resumable: bool, maximum: int | None) -> StreamManagement:
        """
        Make the stream management of a session, from the arguments of
        L{ISession.enableManagement<muccore.interfaces.ISession.enableManagement>}.
        """
        settings = self.settings
        overflowed = partial(self._overflowed, session)
        assert session.stream is not None
        made = partial(StreamManagement, self._clock, settings, session.account.domain, session.stream, overflowed)
        if not resumable or not settings.resumeTimeout:
            return made()
        holdTime = settings.resumeTimeout if maximum is None else min(settings.resumeTimeout, maximum)
        id = secrets.token_urlsafe(_ID_BYTES)
        self._resumable[id] = session
        return made(id, holdTime)

    def hold(self, session: Session) -> bool:
        """Keep a session whose stream was lost; return whether it can be resumed."""
        management = session.management
        if management is None or management.id is None:
            return False
        if self._stopping:
            return session.suspended
        self._held[session] = self._clock.callLater(management.holdTime, self.expire, session, "not resumed in time")
        return True

    def longestHeld(self, sessions: Collection[Session]) -> Session | None:
        """Which of these sessions has waited longest to be resumed."""
        held = [session for session in sessions if session in self._held]
        return min(held, key=lambda session: session.management.lostAt, default=None)  # type: ignore[union-attr]

    def resume(self, account: JID, id: str, handled: int, stream: IStream) -> Session:
        """See L{ISessionBinder.resume<muccore.interfaces.ISessionBinder.resume>}."""
        if not self.settings.resumeTimeout and not self._resumable:
            raise ResumptionFailed("feature-not-implemented")
        session = self._resumable.get(id)
        if session is None or session.account != account:
            owner, counter = self._expired.get(id, (None, None))
            raise ResumptionFailed("item-not-found", counter if owner == account else None)
        management = session.management
        assert management is not None
        if not management.mayResumeFrom(handled):
            counter = management.handled
            self._end(session, "too much was not acknowledged")
            raise ResumptionFailed("item-not-found", counter)
        management.acknowledge(handled)
        timer = self._held.pop(session, None)
        if timer is not None:
            timer.cancel()
        old, session.stream = session.stream, stream
        if old is not None:
            management.detach()
            # On the next stream a client is active (XEP-0352 §5.2).
            session.setActive(True)
            old.close(StreamError("conflict"))
        return session

    def sessionEnded(self, session: Session, management: StreamManagement) -> None:
        """Forget a session."""
        if management.id is not None:
            self._resumable.pop(management.id, None)
        timer = self._held.pop(session, None)
        if timer is not None and timer.active():
            timer.cancel()

    def endAll(self) -> None:
        """End the sessions that wait to be resumed, and let no other wait: the server stops."""
        self._stopping = True
        for session in list(self._held):
            self._end(session, "the server stops")

    def beginStopping(self) -> None:
        """Let no session wait from now on but those that are suspended."""
        self._stopping = True

    def resumable(self) -> list[tuple[Session, float]]:
        """List the sessions that can be resumed, with the time until which each may be, in seconds since the epoch."""
        found = []
        for session in list(self._resumable.values()):
            management = session.management
            assert management is not None
            timer = self._held.get(session)
            left = management.holdTime if timer is None else timer.getTime() - self._clock.seconds()
            found.append((session, self._now() + left))
        return found

    def restore(self, session: Session, id: str, holdTime: float, state: Mapping[str, Any], until: float) -> None:
        """Let a session that was saved wait to be resumed, for the rest of its time."""
        overflowed = partial(self._overflowed, session)
        domain = session.account.domain
        management = StreamManagement(self._clock, self.settings, domain, None, overflowed, id, holdTime)
        management.restore(state)
        management.delivered = session.tellDelivered
        session.attachManagement(management)
        self._resumable[id] = session
        left = max(0.0, min(until - self._now(), holdTime, self.settings.resumeTimeout))
        self._held[session] = self._clock.callLater(left, self.expire, session, "not resumed in time")

    def _overflowed(self, session: Session) -> None:
        # Later: what overflows may be part of a broadcast.
        self._clock.callLater(0, self._endIfFull, session)

    def _endIfFull(self, session: Session) -> None:
        management = session.management
        if management is None or not management.isFull():
            return
        if session in self._held:
            self._end(session, "too much to keep")
        elif session.stream is not None:
            session.stream.close(StreamError("policy-violation", "Too many stanzas are not acknowledged."))
            session.end()

    def expire(self, session: Session, why: str) -> None:
        """End a session if it waits to be resumed, and log why."""
        if session in self._held:
            self._end(session, why)

    def _end(self, session: Session, why: str) -> None:
        management = session.management
        assert management is not None and management.id is not None
        SESSION_EXPIRED.log(session.account.full, jid=session.jid.full, why=Phrase(why), count=len(management))
        self._expired[management.id] = (session.account, management.handled)
        while len(self._expired) > _REMEMBERED:
            del self._expired[next(iter(self._expired))]
        stream = session.stream
        if stream is not None:
            stream.close(StreamError("conflict"))
        session.end()
