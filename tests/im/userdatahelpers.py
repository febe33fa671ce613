# Copyright (c) The muccore authors. See LICENSE for details.
"""A server whose users store something, for tests of its handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from muccore.im.presence import PresenceHandler
from muccore.im.userstate import UserStates
from muccore.interfaces import StoreUnavailable
from muccore.storage.memoryuserdata import MemoryUserData
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp.element import Element
from muccore.xmpp.errors import conditionOf
from muccore.xmpp.rendering import render


class SlowUserData(MemoryUserData):
    """
    Documents in memory that may take a time.

    @ivar slow: whether requests wait for L{release}.
    @ivar failing: whether they fail.
    @ivar calls: the names of the requests.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slow = self.failing = False
        self.calls: list[str] = []
        self._held: list[Callable[[], object]] = []

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name not in ("get", "keys", "change"):
            return method

        def request(*arguments: Any) -> Deferred[Any]:
            self.calls.append(name)
            if not self.slow:
                return self._carryOut(method, arguments)
            waiting: Deferred[Any] = Deferred()
            self._held.append(lambda: self._carryOut(method, arguments).chainDeferred(waiting))
            return waiting

        return request

    def _carryOut(self, method: Callable[..., Deferred[Any]], arguments: Any) -> Deferred[Any]:
        return fail(StoreUnavailable("test: it fails")) if self.failing else method(*arguments)

    def release(self) -> None:
        """Carry out what waits, and what that requests."""
        while self._held:
            self._held.pop(0)()


def summary(stanza: Element) -> str:
    """The name and id of a stanza, and its type, or the condition of an error."""
    words = [stanza.name, stanza.get("id"), conditionOf(stanza) or stanza.get("type")]
    return " ".join(word for word in words if word)


class UserDataTestCase(SynchronousTestCase):
    """
    Romeo and Juliet, with states.

    @ivar server: the server.
    @ivar store: its store of documents.
    @ivar presence: its presence handler.
    @ivar further: what has come after the last answer.
    """

    further: list[Element]

    def setUp(self) -> None:
        """Make the server."""
        self.server = InMemoryServer()
        self.store = SlowUserData()
        self.presence = next(each for each in self.server.users if isinstance(each, PresenceHandler))
        self.store.open()
        self.states = UserStates(self.store)
        self.server.addHandler(self.states)

    def login(self, *addresses: str) -> list[Client]:
        """Log clients in, with resources by the name of the client: C{romeo} or C{romeo/phone}."""
        full = (f"{name}@localhost/{resource or 'pc'}" for name, _, resource in (a.partition("/") for a in addresses))
        return [self.server.client(address) for address in full]

    def received(self, client: Client) -> list[str]:
        """Summaries of what a client has received."""
        return [summary(stanza) for stanza in client.received()]

    def ask(self, client: Client, type: str, payload: str, to: str = "") -> Element:
        """Send a request; return the answer. What came after it is in C{further}."""
        to = f" to='{to}'" if to else ""
        client.sends(f"<iq type='{type}' id='1'{to}>{payload}</iq>")
        [answer, *self.further] = client.received()
        self.assertEqual((answer.name, answer["id"]), ("iq", "1"))
        return answer

    def outcome(self, client: Client, type: str, payload: str, to: str = "") -> str:
        """Send a request; return C{result} or the condition of the error."""
        answer = self.ask(client, type, payload, to)
        return conditionOf(answer) or answer["type"]


def payloads(stanza: Element) -> list[str]:
    """The payloads of a stanza, rendered."""
    return [render(child, None).decode() for child in stanza.childElements()]
