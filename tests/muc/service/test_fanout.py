# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.service.fanout}."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.service.fanout import SENT, WAITING, FanOut
from muccore.xmpp.element import Element, stanza


class _Turns(Clock):
    """A clock for which a turn takes a second."""

    def callLater(self, when: float, *args: Any, **kw: Any) -> Any:
        """Call something in a later turn."""
        return super().callLater(when + 1, *args, **kw)


class _Domain:
    """A domain that notes what is sent."""

    name = "conference.localhost"

    def __init__(self) -> None:
        self.clock = _Turns()
        self.sent: list[tuple[str, str]] = []

    def send(self, element: Element) -> None:
        """Note a stanza."""
        self.sent.append((element.attributes["id"], element.attributes["to"]))


class FanOutTests(SynchronousTestCase):
    """Stanzas to many."""

    def setUp(self) -> None:
        domain: Any = _Domain()
        self.domain = domain
        self.fanOut = FanOut(domain)

    def send(self, id: str, count: int, exclude: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        """Send a stanza; return what is expected."""
        addresses = [f"u{number}@localhost" for number in range(count)]
        self.fanOut.send(stanza("message", id=id, from_="room@conference.localhost"), tuple(addresses), exclude)
        return [(id, each) for each in addresses if each not in exclude]

    def test_few(self) -> None:
        """A few are sent at once."""
        expected = self.send("a", 3) + self.send("b", 0) + self.send("c", 2, ("u0@localhost",))
        self.assertEqual(self.domain.sent, expected)
        self.assertEqual(self.domain.clock.getDelayedCalls(), [])

    def test_many(self) -> None:
        """Of many, a part is sent in each turn; what comes meanwhile waits for its turn."""
        expected = self.send("a", 2 * SENT + 1) + self.send("b", 3)
        turns = [len(self.domain.sent)]
        while self.domain.clock.getDelayedCalls():
            self.domain.clock.advance(1)
            turns.append(len(self.domain.sent))
        self.assertEqual(self.domain.sent, expected)
        self.assertEqual(turns, [SENT, 2 * SENT, 2 * SENT + 4])

    def test_exactly(self) -> None:
        """Exactly as many as fit into turns are sent, too."""
        expected = self.send("a", SENT) + self.send("b", SENT)
        while self.domain.clock.getDelayedCalls():
            self.domain.clock.advance(1)
        self.assertEqual(self.domain.sent, expected)

    def test_stop(self) -> None:
        """After the end nothing is sent."""
        self.send("a", SENT + 1)
        self.fanOut.stop()
        self.domain.clock.advance(1)
        self.assertEqual(len(self.domain.sent), SENT)

    def test_tooMany(self) -> None:
        """If too many wait, further ones are dropped, which is logged once a minute."""
        expected = self.send("a", SENT + 1)
        for _ in range(WAITING - 1):
            expected += self.send("b", 1)
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        for _ in range(3):
            self.send("c", 1)
        self.assertEqual(len(events), 1)
        while self.domain.clock.getDelayedCalls():
            self.domain.clock.advance(1)
        self.assertEqual(self.domain.sent, expected)
        expected += self.send("d", 1)
        self.assertEqual(self.domain.sent, expected)
