# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.userdata}."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.im.userdata import Turns
from muccore.xmpp.errors import StanzaError


class TurnsTests(SynchronousTestCase):
    """L{Turns}"""

    def setUp(self) -> None:
        """Nobody has a turn."""
        self.turns = Turns(2)
        self.log: list[str] = []
        self.ends: dict[str, Deferred[None]] = {}
        self.addCleanup(self.endAll)

    def endAll(self) -> None:
        """End what still has a turn, and what follows."""
        while self.ends:
            _, end = self.ends.popitem()
            if not end.called:
                end.callback(None)

    def request(self, text: str, name: str = "a") -> Deferred[None]:
        """Take a turn until L{end}."""

        async def handle() -> None:
            async with self.turns.take(name):
                self.log.append(text)
                self.ends[text] = Deferred()
                await self.ends[text]

        return Deferred.fromCoroutine(handle())

    def test_inOrder(self) -> None:
        """Requests of one name wait for each other, and for no other name; a failure does not matter."""
        requests = {text: self.request(text, text[0]) for text in ("a1", "a2", "b1", "a3")}
        self.assertEqual(self.log, ["a1", "b1"])
        self.ends["a1"].errback(ZeroDivisionError())
        self.failureResultOf(requests["a1"], ZeroDivisionError)
        self.assertEqual(self.log, ["a1", "b1", "a2"])
        for text in ("a2", "b1", "a3"):
            self.ends[text].callback(None)
            self.successResultOf(requests[text])
        self.request("a4")
        self.assertEqual(self.log[-1], "a4")

    def test_bounded(self) -> None:
        """Above the limit, requests are refused."""
        for number in range(3):
            self.request(str(number))
        failure = self.failureResultOf(self.request("3"), StanzaError)
        self.assertEqual(failure.value.condition, "resource-constraint")
        self.request("other", "b")
        self.assertEqual(self.log, ["0", "other"])
        self.ends["0"].callback(None)
        self.request("4")
        self.assertEqual(self.log, ["0", "other", "1"])
