# -*- test-case-name: tests.routing.federation.test_returns -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stanzas that could not be sent, on their way back to their senders."""

from __future__ import annotations

from collections import deque
from typing import Final

from twisted.internet.interfaces import IReactorTime

from muccore.interfaces import IRouter
from muccore.net.slices import RENDERING, Slices, Steps
from muccore.routing.outside import sendBack
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import Rendered

_RETURN: Final = 4 * RENDERING
"""The cost of parsing a stanza and routing its error, in a slice."""


class Returns:
    """Returns stanzas with errors, in order, in later turns of the reactor, and not too many in one."""

    def __init__(self, router: IRouter, clock: IReactorTime) -> None:
        self._router = router
        self._clock = clock
        self._slices = Slices(clock)
        self._pending: deque[tuple[Rendered, bytes, StanzaError]] = deque()
        self._running = False

    def add(self, stanza: Rendered, to: bytes, error: StanzaError) -> None:
        """Return a stanza, unless it must not be answered (RFC 6120 §8.3.1)."""
        self._pending.append((stanza, to, error))
        if not self._running:
            self._running = True
            self._clock.callLater(0, self._begin)

    def _begin(self) -> None:
        self._slices.run(self._steps())

    def _steps(self) -> Steps:
        pending = self._pending
        try:
            while pending:
                yield _RETURN
                stanza, to, error = pending.popleft()
                sendBack(self._router, stanza.elementTo(to), error)
        finally:
            # Whatever a handler does with an error: the next one is returned.
            self._running = False
