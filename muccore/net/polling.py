# -*- test-case-name: tests.net.test_polling -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The events of the poller: a bounded number in each turn of the reactor, without a logging context for each.

Twisted takes all events that there are: when thousands of connections end together, timed calls and whatever comes next
wait until each is handled. With a bound, the kernel keeps the rest, in its order, for the next turns.

It handles each event inside C{callWithLogger}, which tells log observers of the old kind whose event it is, in five
calls. This server's log lines say it themselves.

Private parts of Twisted in use: of L{EPollReactor} C{_poller}, C{_selectables} and C{_doReadOrWrite}.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.epollreactor import EPollReactor

from muccore.log.logger import Logger

EVENTS: Final = 256
"""Connections that the poller reads from or writes to in one turn: 10 ms if all of them end."""


class DispatchingPoller:
    """The C{epoll} object of a reactor: handles up to L{EVENTS} events of a poll itself, and returns none."""

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._poller = reactor._poller

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, maxevents: int) -> tuple[()]:
        """Poll, and read or write what is ready. An error ends what failed, and nothing else."""
        events = self._poller.poll(timeout, min(maxevents, EVENTS))
        selectables, handle = self._reactor._selectables, self._reactor._doReadOrWrite
        for descriptor, event in events:
            # Handling another one may have removed it.
            selectable = selectables.get(descriptor)
            if selectable is not None:
                try:
                    handle(selectable, descriptor, event)
                except Exception:
                    self._log.failure("Handling an event of a connection failed")
        return ()


def dispatchDirectly(reactor: Any) -> None:
    """Handle the events of a reactor so, if it uses C{epoll}; others do as they do."""
    if isinstance(reactor, EPollReactor) and not isinstance(reactor._poller, DispatchingPoller):
        reactor._poller = DispatchingPoller(reactor)
