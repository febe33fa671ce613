# -*- test-case-name: tests.net.test_polling -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
A bound for what one turn of the reactor handles.

Twisted takes all events that there are: when thousands of connections end together, timed calls and whatever comes next
wait until each is handled. With a bound, the kernel keeps the rest, in its order, for the next turns.

Private parts of Twisted in use: C{EPollReactor._poller}.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.epollreactor import EPollReactor

EVENTS: Final = 256
"""Connections that the poller reads from or writes to in one turn: 10 ms if all end, under TLS 70 ms."""


class BoundedPoller:
    """The C{epoll} object of a reactor, with a bound for the events of one poll."""

    def __init__(self, poller: Any) -> None:
        self._poll = poller.poll
        for name in ("register", "modify", "unregister", "close", "fileno"):
            setattr(self, name, getattr(poller, name))

    def poll(self, timeout: float, maxevents: int) -> Any:
        """Poll, for L{EVENTS} events at most."""
        return self._poll(timeout, min(maxevents, EVENTS))


def boundTurns(reactor: Any) -> None:
    """Bound the events of a turn, if a reactor uses C{epoll}; others take what they can handle as it is."""
    if isinstance(reactor, EPollReactor) and not isinstance(reactor._poller, BoundedPoller):
        reactor._poller = BoundedPoller(reactor._poller)
