# -*- test-case-name: tests.muc.service.test_fanout -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Stanzas of rooms to many accounts, a bounded number in a turn: each is routed, filtered, stored or returned by itself,
and so costs many times as much as a delivery in a room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final

from twisted.internet.interfaces import IDelayedCall

from muccore.interfaces import IDomain
from muccore.log.logger import Logger
from muccore.muc.model.sanitize import withAttributes
from muccore.xmpp.element import Element

SENT: Final = 200
"""Stanzas that are sent in one turn."""

WAITING: Final = 1000
"""Stanzas, each to all its addresses, that wait; further ones are dropped."""

_LOG_INTERVAL: Final = 60.0
_log: Final = Logger()


class FanOut:
    """The stanzas of one service that are being sent."""

    def __init__(self, domain: IDomain) -> None:
        """@param domain: that of the service."""
        self._domain = domain
        self._waiting: deque[tuple[Element, Iterator[str]]] = deque()
        self._call: IDelayedCall | None = None
        self._lastReport: float | None = None

    def send(self, stanza: Element, recipients: Iterable[str], exclude: Collection[str] = ()) -> None:
        """
        Send a stanza to each, at once or after those that wait.

        @param stanza: a stanza of a room without C{to}, which must not be changed from now on.
        @param recipients: their bare JIDs, which must not change either.
        @param exclude: those of them who do not get it.
        """
        if len(self._waiting) >= WAITING:
            self._report()
            return
        chosen = (each for each in recipients if each not in exclude)
        self._waiting.append((stanza, chosen))
        if self._call is None:
            self._work()

    def stop(self) -> None:
        """Drop what waits."""
        self._waiting.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _work(self) -> None:
        self._call = None
        left = SENT
        while self._waiting and left:
            stanza, recipients = self._waiting[0]
            sent = 0
            for to in islice(recipients, left):
                self._domain.send(withAttributes(stanza, {"to": to}))
                sent += 1
            if sent < left:
                self._waiting.popleft()
            left -= sent
        if self._waiting:
            self._call = self._domain.clock.callLater(0, self._work)

    def _report(self) -> None:
        now = self._domain.clock.seconds()
        if self._lastReport is None or now - self._lastReport >= _LOG_INTERVAL:
            self._lastReport = now
            _log.warn("too many messages for absent users of {domain} wait; some are dropped", domain=self._domain.name)
