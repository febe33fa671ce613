# Copyright (c) The muccore authors. See LICENSE for details.
"""Occupants that come back after a restart of the server, and know what their room must look like by what they got."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.endtoend.reconnectingclient import ReconnectingClient
from tests.endtoend.serverprocess import TIMEOUT

Seen = tuple[str, str, int]
"""Affiliation, role, and the number in the status of an occupant."""


class ViewingClient(ReconnectingClient):
    """
    A client in one room, which it enters under its name.

    @ivar view: who is in the room, by nick; empty while it is outside.
    @ivar inside: whether it has received that it is in, and the subject after that.
    @ivar joins: how often it has been told since that somebody enters who was not there.
    @ivar leaves: how often it has been told since that somebody leaves, and whether with 333.
    @ivar messages: the bodies of messages that it has received.
    @ivar sent: the number in its latest status.
    @ivar pings: the conditions of the errors that its pings were answered with; C{""} for a result.
    @ivar believing: whether it goes on with a new session as if it were still in the room.
    @ivar resumed: whether the latest connection has resumed its session.
    """

    def __init__(self, user: str, room: str, resumable: bool = False) -> None:
        super().__init__(user, resumable)
        self.room = room
        self.view: dict[str, Seen] = {}
        self.inside = False
        self.joins: Counter[str] = Counter()
        self.leaves: Counter[tuple[str, bool]] = Counter()
        self.messages: list[str] = []
        self.pings: list[str] = []
        self.sent = 0
        self.resumed = self.believing = False
        self._waiting: list[tuple[Any, Deferred[None]]] = []

    def sessionBegan(self) -> None:
        """A new session is outside, or believes otherwise."""
        self.resumed = False
        if not self.believing:
            self.view.clear()
            self.inside = False

    def sessionResumed(self, handled: int) -> None:
        """Remember it."""
        self.resumed = True

    def enter(self) -> Deferred[None]:
        """Enter the room, and wait until everything was received."""
        self.write(f"<presence to='{self.room}/{self.user}'><x xmlns='{ns.MUC}'/>{self.status()}</presence>")
        return self.until(lambda: self.inside)

    def status(self) -> str:
        """The payload of its presence."""
        return f"<status>{self.sent}</status>"

    def changeStatus(self) -> None:
        """Change the presence."""
        self.sent += 1
        self.write(f"<presence to='{self.room}/{self.user}'>{self.status()}</presence>")

    def leave(self) -> None:
        """Leave the room."""
        self.write(f"<presence type='unavailable' to='{self.room}/{self.user}'/>")

    def say(self, text: str) -> None:
        """Send a message to the room."""
        self.write(f"<message to='{self.room}' type='groupchat'><body>{text}</body></message>")

    def ping(self) -> None:
        """Send a self-ping (XEP-0410)."""
        self.write(f"<iq type='get' id='ping' to='{self.room}/{self.user}'><ping xmlns='{ns.PING}'/></iq>")

    def until(self, condition: Any, more: float = 0) -> Deferred[None]:
        """Wait for a condition, for some more seconds than usual."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append((condition, waiting))
        self._check()
        return waiting.addTimeout(TIMEOUT + more, reactor)

    def _check(self) -> None:
        for each in list(self._waiting):
            if each[0]():
                self._waiting.remove(each)
                each[1].callback(None)

    def stanzaReceived(self, element: Element) -> None:
        """Update the view."""
        if element.name == "presence" and element.get("type") != "error":
            self._presenceReceived(element)
        elif element.name == "message":
            body = element.child("body")
            if body is not None:
                self.messages.append(body.text())
            elif element.child("subject") is not None:
                self.inside = True
        elif element.name == "iq" and element.get("id") == "ping":
            error = element.child("error")
            self.pings.append("" if error is None else next(error.childElements()).name)
        self._check()

    def _presenceReceived(self, presence: Element) -> None:
        nick = presence.attributes["from"].partition("/")[2]
        x = presence.child("x", ns.MUC_USER)
        assert x is not None
        item = x.child("item")
        assert item is not None
        codes = {each.get("code") for each in x.childElements() if each.name == "status"}
        if presence.get("type") == "unavailable":
            assert nick in self.view, f"{nick} leaves, who is not there for {self.user}"
            del self.view[nick]
            if "110" in codes:
                self.view.clear()
                self.inside = False
            elif self.inside:
                self.leaves[nick, "333" in codes] += 1
            return
        status = presence.child("status")
        if self.inside and nick not in self.view:
            self.joins[nick] += 1
        number = int(status.text()) if status is not None else 0
        self.view[nick] = (item.attributes["affiliation"], item.attributes["role"], number)
