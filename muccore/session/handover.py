# -*- test-case-name: tests.session.test_handover -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tracked stanzas of sessions without stream management (L{ISession.deliverTracked<muccore.interfaces.ISession>}): they
count as delivered once the kernel has taken everything that waited for the client. Whether the client has got them is
not known: nothing acknowledges them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

if TYPE_CHECKING:
    from muccore.session.session import Session

INTERVAL: Final = 0.1
"""Seconds until a stream that had not sent everything is looked at again."""


class Handover:
    """The tracked stanzas that the kernel may not have taken, of all sessions. Others cost nothing."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._tags: dict[Session, list[str]] = {}
        self._call: IDelayedCall | None = None

    def add(self, session: Session, tag: str) -> None:
        """Note a stanza that was sent on the stream of a session just now."""
        self._tags.setdefault(session, []).append(tag)
        if self._call is None:
            # After the flush of this turn.
            self._call = self._clock.callLater(0, self._check)

    def withdraw(self, session: Session) -> list[str]:
        """Forget the stanzas of a session whose stream has ended; return their tags, in order."""
        tags = self._tags.pop(session, [])
        if not self._tags and self._call is not None:
            self._call.cancel()
            self._call = None
        return tags

    def _check(self) -> None:
        self._call = None
        for session in list(self._tags):
            if session.stream is not None and not session.stream.isWaiting():
                session.tellDelivered(self._tags.pop(session))
        if self._tags and self._call is None:
            self._call = self._clock.callLater(INTERVAL, self._check)
