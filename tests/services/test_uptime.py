# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.services.uptime}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.services.uptime import UptimeHandler
from muccore.testing.inmemory import InMemoryServer


class UptimeTests(SynchronousTestCase):
    """L{UptimeHandler}"""

    def test_uptime(self) -> None:
        """The uptime is in whole seconds since the handler was added; a clock that goes back gives none below zero."""
        server = InMemoryServer()
        romeo = server.client("romeo@localhost/orchard")
        server.clock.advance(5)
        server.addHandler(UptimeHandler())
        for advance, expected in ((0, "0"), (59.9, "59"), (100_000.1, "100060"), (-1_000_000, "0")):
            server.clock.rightNow += advance
            romeo.sends("<iq type='get' id='1' to='localhost'><query xmlns='jabber:iq:last'/></iq>")
            [answer] = romeo.received()
            [query] = answer.childElements()
            self.assertEqual((answer["type"], query["seconds"], query.children), ("result", expected, []))
