# -*- test-case-name: tests.session.test_redelivery -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Redelivery of what the client of an ended session has not acknowledged (XEP-0198, Acks): by RFC 6121 §8.5, as if it came
now, to other sessions, to the offline filters, or back.

Not redelivered are

  - presence, which is out of date,
  - messages of type C{groupchat}: the occupant has left the room, which has them in its history,
  - messages to the bare JID that another session of the account was sent as well.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muccore.interfaces import ISessions, IUserDomain
from muccore.log.logger import Logger
from muccore.session.management import StreamManagement
from muccore.xmpp import jid
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered

if TYPE_CHECKING:
    pass

BATCH: Final = 50
"""Stanzas redelivered in one turn of the reactor."""

_log = Logger()


class Redelivery:
    """Redelivers stanzas, a batch in each turn of the reactor."""

    def __init__(self, clock: IReactorTime, sessions: ISessions) -> None:
        self._clock = clock
        self._sessions = sessions
        self._waiting: deque[tuple[IUserDomain, int | None, Rendered, bytes, float]] = deque()
        self._call: IDelayedCall | None = None

    def add(self, domain: IUserDomain, priority: int | None, management: StreamManagement) -> None:
        """
        Redeliver what is unacknowledged, from the next turn on.

        @param domain: the domain of the session.
        @param priority: the last priority of the session.
        """
        for stanza, to, earliest in management.unacknowledged():
            if stanza.name != "presence" and to:
                self._waiting.append((domain, priority, stanza, to, earliest))
        self._schedule()

    def flush(self) -> None:
        """Redeliver everything now."""
        while self._waiting:
            self._redeliver(*self._waiting.popleft())

    def _schedule(self) -> None:
        if self._waiting and self._call is None:
            self._call = self._clock.callLater(0, self._run)

    def _run(self) -> None:
        self._call = None
        for _ in range(min(BATCH, len(self._waiting))):
            self._redeliver(*self._waiting.popleft())
        self._schedule()

    def _redeliver(
        self, domain: IUserDomain, priority: int | None, stanza: Rendered, to: bytes, earliest: float
    ) -> None:
        try:
            element = stanza.elementTo(to)
            address = jid.parse(element.attributes["to"])
            if element.attributes.get("type") == "groupchat" or self._hasOtherRecipient(address, priority, earliest):
                return
            domain.redeliver(element, address)
        except Exception:
            _log.failure("An unacknowledged stanza could not be redelivered")

    def _hasOtherRecipient(self, to: JID, priority: int | None, earliest: float) -> bool:
        """
        Whether a message to a bare JID was certainly sent to another session too (RFC 6121 §8.5.2.1.1).

        @param earliest: when it was sent at the earliest.
        """
        if to.resource or priority is None:
            return False
        others = self._sessions.forAccount(to.bare).values()
        return any(
            other.priority is not None and other.priority >= priority and other.prioritySince <= earliest
            for other in others
        )


__all__ = ["BATCH", "Redelivery"]
