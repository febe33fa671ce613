# -*- test-case-name: tests.muc.protocol.test_ghosts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Pings of occupants whose end this server would not notice (XEP-0045 §18.1.2, XEP-0199), such as those of external
components. Whoever does not answer, or is gone, is removed with status 333.

All are pinged from time to time, whether they are silent or not: to note who is not would cost something for each
message. Sessions and handlers of this server are never pinged.
"""

from __future__ import annotations

import secrets
from random import randrange
from typing import Final

from muccore.interfaces import IDomain, IRoute, ISession
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.protocol.base import RoomHandler
from muccore.net.timingwheel import TimingWheel
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError, conditionOf, errorElement
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

implements = (Spec(199, "XMPP Ping", "2.0.1"),)

_GONE: Final = frozenset(
    {"gone", "item-not-found", "recipient-unavailable", "redirect", "remote-server-not-found", "remote-server-timeout"}
)
"""The conditions of XEP-0045 §18.1.2."""

TIMEOUT: Final = 120
"""Time for an answer, in seconds."""


def isWatched(route: IRoute) -> bool:
    """Whether the end of who is behind a route would go unnoticed."""
    return not (ISession.providedBy(route) or IDomain.providedBy(route))


class _Watched:
    """
    A session that is pinged.

    @ivar due: see L{Timed<muccore.net.timingwheel.Timed>}.
    @ivar room: the room.
    @ivar id: the id of the ping that waits for an answer; C{""} if none does.
    @ivar supportsPing: whether it has answered with a result.
    """

    __slots__ = ("_pings", "due", "id", "room", "session", "supportsPing")

    def __init__(self, pings: OccupantPings, room: JID, session: OccupantSession) -> None:
        self._pings = pings
        self.room = room
        self.session = session
        self.due = 0
        self.id = ""
        self.supportsPing = False

    def timeoutDue(self, tick: int) -> int:
        """See L{Timed<muccore.net.timingwheel.Timed>}: ping the session, or remove it without an answer."""
        return self._pings.timeoutDue(self)


class OccupantPings:
    """The pings of one service."""

    def __init__(self, handler: RoomHandler) -> None:
        self._handler = handler
        self._wheel = TimingWheel(handler.parent.clock)
        self._watched: set[_Watched] = set()
        self._waiting: dict[str, _Watched] = {}

    def watch(self, room: JID, session: OccupantSession, route: IRoute) -> None:
        """Ping a session that has entered a room, or is back in it, from time to time if L{isWatched}."""
        interval = self._interval()
        if interval and isWatched(route):
            watched = _Watched(self, room, session)
            self._watched.add(watched)
            self._wheel.schedule(watched, interval)

    def stop(self) -> None:
        """Ping nobody any more."""
        while self._watched:
            self._forget(self._watched.pop())

    def _interval(self) -> int:
        """
        Seconds until the next ping: between three quarters of the interval and all of it, so that a component that has
        entered with many addresses does not get all pings at once.
        """
        interval = round(self._handler.options.pingInterval)
        return interval - randrange(interval // 4 + 1) if interval else 0

    def _forget(self, watched: _Watched) -> None:
        self._watched.discard(watched)
        self._waiting.pop(watched.id, None)
        self._wheel.remove(watched)

    def timeoutDue(self, watched: _Watched) -> int:
        """Ping a session, or remove it if it has not answered; return the time until the next timeout."""
        if not self._isInside(watched):
            self._forget(watched)
            return 0
        if watched.id:
            self._remove(watched, "remote-server-timeout")
            return 0
        watched.id = secrets.token_urlsafe(12)
        self._waiting[watched.id] = watched
        ping = stanza("iq", "get", from_=watched.room.bare, to=watched.session.jid, id=watched.id)
        ping.add("ping", ns.PING)
        self._handler.send(ping)
        return TIMEOUT

    def _isInside(self, watched: _Watched) -> bool:
        room = self._handler.rooms.live.get(watched.room.bare)
        return room is not None and room.sessions.get(watched.session.jid) is watched.session

    def answered(self, iq: Element) -> None:
        """
        Note the answer of a session. One that does not know pings answers with C{service-unavailable} (XEP-0199 §4.2),
        and so does a server for one that is gone (RFC 6121 §8.5.3.2.1): this means gone only if it has known pings
        before.
        """
        watched = self._waiting.get(iq.get("id") or "")
        if watched is None or watched.session.jid != iq.get("from"):
            return
        del self._waiting[watched.id]
        watched.id = ""
        condition = conditionOf(iq) if iq.get("type") == "error" else None
        if condition in _GONE or (condition == "service-unavailable" and watched.supportsPing):
            self._remove(watched, condition)
            return
        watched.supportsPing = watched.supportsPing or iq.get("type") == "result"
        interval = self._interval()
        if interval:
            self._wheel.schedule(watched, interval)
        else:
            self._forget(watched)

    def _remove(self, watched: _Watched, condition: str) -> None:
        """Remove a session as if presence to it had come back: in order with what it has sent before."""
        self._forget(watched)
        if not self._isInside(watched):
            return
        bounced = stanza("presence", "error", from_=watched.session.jid, to=watched.room.bare)
        bounced.children.append(errorElement(StanzaError(condition)))
        self._handler.parent.dispatch(bounced, watched.room)
