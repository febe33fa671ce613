# -*- test-case-name: tests.net.test_dispatch -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Dispatching the events of the poller without a logging context for each.

Twisted's reactors handle each event inside C{callWithLogger}, which tells log observers of the old kind whose event it
is, in five calls. This server's log lines say it themselves.

Private parts of Twisted in use: of L{EPollReactor} C{_poller}, C{_selectables} and C{_doReadOrWrite}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPollReactor

from muccore.log.logger import Logger


class DispatchingPoller:
    """The C{epoll} object of a reactor: handles the events itself, and returns none."""

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._poller = reactor._poller

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, maxevents: int) -> tuple[()]:
        """Poll, and read or write what is ready. An error ends what failed, and nothing else."""
        events = self._poller.poll(timeout, maxevents)
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
    """Dispatch events directly, if a reactor uses C{epoll}; others do as they do."""
    if isinstance(reactor, EPollReactor) and not isinstance(reactor._poller, DispatchingPoller):
        reactor._poller = DispatchingPoller(reactor)
