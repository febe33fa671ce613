# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.turns}."""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from muccore.routing.turns import Turns, WaitingMemory
from muccore.xmpp.element import Element
from muccore.xmpp.elementmemory import memoryOf
from muccore.xmpp.errors import StanzaError

OVERHEAD = 1200
"""Bytes of what waits besides the stanza."""


def stanzaOf(size: int) -> Element:
    """A stanza that takes this much when it waits."""
    element = Element(("jabber:client", "message"))
    element.children.append("x" * (size - OVERHEAD - memoryOf(element) - sys.getsizeof("")))
    return element


class WaitingMemoryTests(SynchronousTestCase):
    """L{WaitingMemory}"""

    def refused(self, memory: WaitingMemory, name: str, size: int) -> bool:
        """Whether a stanza is refused."""
        try:
            memory.add(name, stanzaOf(size))
        except StanzaError as e:
            self.assertEqual(e.condition, "resource-constraint")
            return True
        return False

    def test_ofOne(self) -> None:
        """The memory of one name is bounded to the byte; one stanza is never too large, however large it is."""
        memory = WaitingMemory(10_000)
        self.assertFalse(self.refused(memory, "a", 6000))
        self.assertTrue(self.refused(memory, "a", 4001))
        self.assertFalse(self.refused(memory, "a", 4000))
        self.assertFalse(self.refused(memory, "b", 20_000))
        memory.remove("b", 20_000)
        memory.remove("a", 6000)
        self.assertFalse(self.refused(memory, "a", 6000))

    def test_ofAll(self) -> None:
        """So is the memory of all."""
        memory = WaitingMemory(10_000, 15_000)
        self.assertFalse(self.refused(memory, "a", 10_000))
        self.assertTrue(self.refused(memory, "b", 5001))
        self.assertFalse(self.refused(memory, "b", 5000))
        memory.remove("a", 10_000)
        self.assertFalse(self.refused(memory, "c", 10_000))


class TurnsTests(SynchronousTestCase):
    """L{Turns}"""

    def setUp(self) -> None:
        """Nobody has a turn."""
        self.turns = Turns(10_000)
        self.log: list[str] = []
        self.ends: dict[str, Deferred[None]] = {}
        self.addCleanup(self.endAll)

    def endAll(self) -> None:
        """End what still has a turn, and what follows."""
        while self.ends:
            _, end = self.ends.popitem()
            if not end.called:
                end.callback(None)

    def request(self, text: str, name: str = "a", size: int | None = 5000) -> Deferred[None]:
        """Take a turn until it is ended; C{None}: without a stanza."""

        async def handle() -> None:
            async with self.turns.take(name, None if size is None else stanzaOf(size)):
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
        """Requests above the limit are refused, not those that take no memory."""
        for number in range(3):
            self.request(str(number))
        failure = self.failureResultOf(self.request("3"), StanzaError)
        self.assertEqual(failure.value.condition, "resource-constraint")
        self.request("other", "b")
        self.request("light", size=None)
        self.assertEqual(self.log, ["0", "other"])
        self.ends["0"].callback(None)
        self.request("4")
        for text in ("1", "2", "light"):
            self.ends[text].callback(None)
        self.assertEqual(self.log, ["0", "other", "1", "2", "light", "4"])
