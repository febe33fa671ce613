# Copyright (c) The muccore authors. See LICENSE for details.
"""Clients with stream management (XEP-0198), which count what they send and get."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from muccore.xmpp.element import Element
from tests.endtoend.reconnectingclient import SM, ReconnectingClient
from tests.endtoend.serverprocess import TIMEOUT


class ResumingClient(ReconnectingClient):
    """
    A client that has one stream after the other and one session.

    @ivar messages: the bodies of the messages from its room, in the order in which they came.
    @ivar presences: the presences that it has received since stream management was enabled.
    @ivar failed: whether its session could not be resumed.
    """

    def __init__(self, user: str) -> None:
        super().__init__(user)
        self.messages: list[str] = []
        self.presences: list[Element] = []
        self.failed = False
        self._sent: list[str] = []
        self._waiting: list[tuple[int, Deferred[None]]] = []
        self._answered: Deferred[int] | None = None

    def send(self, text: str) -> None:
        """Send a stanza, which is sent again after the session was resumed if the server has not handled it."""
        self._sent.append(text)
        self.write(text)

    def untilMessages(self, count: int) -> Deferred[None]:
        """Wait until this number of messages was received."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((count, waiting))
        self._check()
        return waiting.addTimeout(TIMEOUT, reactor)

    def askCounter(self) -> Deferred[int]:
        """Ask the server for its counter; the difference to what was sent is returned."""
        self._answered = Deferred()
        self.write(f"<r {SM}/>")
        return self._answered.addCallback(lambda h: len(self._sent) - h).addTimeout(TIMEOUT, reactor)

    def stanzaReceived(self, element: Element) -> None:
        """Take a stanza."""
        body = element.child("body")
        if element.name == "presence":
            self.presences.append(element)
        elif body is not None:
            self.messages.append(body.text())
            self._check()

    def counterReceived(self, handled: int) -> None:
        """Take the server's counter."""
        answered, self._answered = self._answered, None
        if answered is not None:
            answered.callback(handled)

    def sessionResumed(self, handled: int) -> None:
        """Send again what the server has not handled."""
        self.write("".join(self._sent[handled:]))

    def resumptionFailed(self) -> None:
        """Remember it."""
        self.failed = True

    def _check(self) -> None:
        for waiting in list(self._waiting):
            if len(self.messages) >= waiting[0]:
                self._waiting.remove(waiting)
                waiting[1].callback(None)
