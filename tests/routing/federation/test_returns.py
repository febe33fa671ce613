# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.federation.returns}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.routing.federation.returns import Returns
from muccore.xmpp.element import stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import Server, conditions

ERROR = StanzaError("remote-server-timeout")


class ReturnsTests(SynchronousTestCase):
    """What comes back to Romeo."""

    def setUp(self) -> None:
        """Log in."""
        self.server = Server()
        self.romeo = self.server.connect("romeo@localhost/r")
        self.returns = Returns(self.server.router, self.server.clock)

    def add(self, name: str = "message", type: str | None = None, from_: str = "romeo@localhost/r") -> None:
        """Return a stanza."""
        self.returns.add(Rendered.of(stanza(name, type, from_=from_, id="1")), toAttribute("a@b"), ERROR)

    def test_later(self) -> None:
        """A stanza comes back in a later turn; what must not be answered does not."""
        for type in (None, "error", "chat"):
            self.add(type=type)
        self.add("presence", "unavailable")
        self.add(from_="@")
        self.assertEqual(self.romeo.take(), [])
        self.server.clock.advance(0)
        self.assertEqual(conditions(self.romeo.take()), ["remote-server-timeout"] * 2)
        self.add()
        self.server.clock.advance(0)
        self.assertEqual(len(self.romeo.take()), 1)

    def test_many(self) -> None:
        """Many come back in order, over several turns."""
        turns: list[object] = []
        clock = self.server.clock
        later = clock.callLater
        self.patch(clock, "callLater", lambda *call: turns.append(call) or later(*call))
        for _ in range(200):
            self.add()
        clock.advance(0)
        self.assertEqual(len(self.romeo.take()), 200)
        self.assertGreater(len(turns), 4)
