# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.routing.federation.link} and its queue, its failures and its end."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogLevel
from zope.interface import implementer

from muccore.interfaces import IDomainObserver
from muccore.routing.federation.link import LONGEST_WAIT, PING_TIMEOUT
from muccore.routing.handler import Handler
from muccore.stream.s2s.outgoing import NOT_FOUND, TIMEOUT
from muccore.xmpp import jid
from muccore.xmpp.element import stanza
from muccore.xmpp.errors import StreamError
from tests.routing.federation.helpers import LOCAL, REMOTE, ROOMS, FederationCase
from tests.routing.helpers import FakeStream, canonical, conditions

THERE = f"juliet@{REMOTE}/j"


@implementer(IDomainObserver)
class Observer(Handler):
    """Records what is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[str] = []

    def domainLost(self, domain: str) -> None:
        """Record it."""
        self.lost.append(domain)


class LinkCase(FederationCase):
    """Romeo, who writes to Juliet elsewhere."""

    def setUp(self) -> None:
        """Log Romeo in."""
        super().setUp()
        self.romeo = self.server.connect("romeo@localhost/r", "<presence/>")
        self.observers = {host: Observer() for host in (LOCAL, ROOMS)}
        for host, observer in self.observers.items():
            self.server.add(host, observer)
        self.link = self.federation.link(LOCAL, REMOTE)

    def say(self, text: str, to: str = THERE) -> None:
        """Send a message."""
        self.romeo.send(f"<message to='{to}' id='{text}'><body>{text}</body></message>")

    def message(self, text: str) -> list[str]:
        """The message as it arrives."""
        return canonical(f"<message to='{THERE}' from='romeo@localhost/r' id='{text}'><body>{text}</body></message>")

    def open(self) -> Any:
        """Let the stream open."""
        _, owner = self.dialer.take()
        stream: Any = FakeStream()
        self.assertIs(owner.streamOpened(stream, None, False), self.link)
        return stream

    def failToOpen(self, condition: str = TIMEOUT) -> None:
        """Let it fail to open."""
        self.dialer.take()[1].streamFailed(condition, "because", False)
        self.clock.advance(0)

    def returned(self) -> list[str]:
        """The conditions of what comes back to Romeo."""
        self.clock.advance(0)
        return conditions(self.romeo.take())


class QueueTests(LinkCase):
    """While the stream is opened."""

    def test_kept(self) -> None:
        """Stanzas are kept, and sent in order once it is open; then they go at once."""
        self.say("1")
        self.say("2")
        stream = self.open()
        self.say("3")
        self.assertEqual(stream.take(), self.message("1") + self.message("2") + self.message("3"))
        self.assertEqual(self.federation.queued, 0)

    def test_failed(self) -> None:
        """If it cannot be opened, each comes back once, with the condition; so do others for a time."""
        for condition in (NOT_FOUND, TIMEOUT):
            self.say("1")
            self.say("2")
            self.failToOpen(condition)
            self.assertEqual(self.returned(), [condition, condition])
            self.say("3")
            self.assertEqual(self.returned(), [condition])
            self.assertEqual(self.dialer.opened, [])
            self.clock.advance(LONGEST_WAIT)
            self.assertEqual(self.romeo.take(), [])
        self.assertIn(
            "link-failed by localhost: two.example, remote-server-not-found, because, 2 stanzas returned",
            self.logged.lines(LogLevel.info),
        )

    def test_back(self) -> None:
        """When the domain sends something, its server is tried again at once."""
        self.say("1")
        self.failToOpen()
        self.returned()
        self.federation.heard(LOCAL, REMOTE)
        self.say("2")
        self.assertEqual(self.open().take(), self.message("2"))

    def test_notAnswered(self) -> None:
        """Errors, results and unavailable presence do not come back."""
        for start in ("<message type='error'", "<iq type='result' id='1'", "<presence type='unavailable'"):
            self.romeo.send(f"{start} to='{THERE}'/>")
        if self.dialer.opened:
            self.failToOpen()
        self.assertEqual(self.returned(), [])

    def test_described(self) -> None:
        """What a link does is told to operators."""
        self.say("1")
        self.assertEqual(self.link.describe(), "localhost to two.example: being opened, 1 stanzas wait")
        self.failToOpen()
        described = "localhost to two.example: remote-server-timeout: two.example: because."
        self.assertEqual(self.link.describe(), described)
        self.assertEqual(list(self.federation.used()), [self.link])
        self.federation.heard(LOCAL, REMOTE)
        self.assertEqual(list(self.federation.used()), [])
        self.say("2")
        self.open().isEncrypted = False
        self.assertEqual(self.link.describe(), "localhost to two.example: open to 127.0.0.1, not encrypted")

    def test_waits(self) -> None:
        """Each failure makes the next wait longer, within bounds, and by chance."""
        waits = []
        for _ in range(12):
            self.say("1")
            self.failToOpen()
            self.returned()
            waited = 0.0
            while not self.dialer.opened:
                self.clock.advance(0.5)
                waited += 0.5
                self.say("2")
                self.returned()
            waits.append(waited)
            self.link._takeQueue()
        self.assertTrue(2.5 <= waits[0] <= 6, waits)
        self.assertTrue(all(LONGEST_WAIT / 2 <= each <= LONGEST_WAIT + 1 for each in waits[-3:]), waits)
        self.assertGreater(len(set(waits[-5:])), 1)

    def test_limits(self) -> None:
        """Above the number of stanzas, their bytes, or those of all links, what comes is refused (C{wait})."""
        for i in range(4):
            self.say(str(i))
        self.assertEqual(self.returned(), ["resource-constraint"])
        self.open()
        other = self.federation.link(LOCAL, "three.example")
        self.configure({"queueBytes": 200})
        self.say("x" * 300, "a@three.example")
        self.assertEqual(self.returned(), ["resource-constraint"])
        self.configure({"queueBytes": 10_000})
        self.federation.queueLimit = 100
        self.say("y" * 300, "a@three.example")
        self.assertEqual(self.returned(), ["resource-constraint"])
        self.assertEqual(other._takeQueue(), [])

    def test_blocked(self) -> None:
        """Nothing is sent to a blocked domain; a link to one that is blocked later ends."""
        self.say("1")
        stream = self.open()
        self.configure(blocked=frozenset([REMOTE]))
        self.assertEqual([error and error.condition for error in stream.closed], ["policy-violation"])
        self.say("2")
        self.assertEqual(self.returned(), ["not-allowed"])
        self.assertEqual(self.dialer.opened, [])
        self.assertEqual(self.observers[LOCAL].lost, [REMOTE])

    def test_pairs(self) -> None:
        """Each domain of this server has a link of its own; a room's domain is not told of others' links."""
        self.say("1")
        self.failToOpen()
        self.assertEqual(self.observers[LOCAL].lost, [REMOTE])
        self.assertEqual(self.observers[ROOMS].lost, [])
        rooms: Any = self.server.router.domains[ROOMS]
        rooms.send(stanza("message", from_=f"room@{ROOMS}", to=THERE))
        purpose, _ = self.dialer.take()
        self.assertEqual((purpose.local, purpose.remote), (ROOMS, REMOTE))

    def test_route(self) -> None:
        """The route of a domain to an address elsewhere is its link, and stays the same."""
        address = jid.parse(THERE)
        self.assertIs(self.server.users.routeTo(address), self.link)
        self.assertIs(self.server.router.domains[ROOMS].routeTo(address), self.federation.link(ROOMS, REMOTE))

    def test_shutDown(self) -> None:
        """At the end of the server, what waits comes back, and nothing is opened any more."""
        self.say("1")
        self.federation.closeAll()
        self.assertEqual(self.returned(), [TIMEOUT])
        self.assertEqual(self.dialer.cancelled, 1)
        self.dialer.opened.clear()
        self.say("2")
        self.assertEqual(self.returned(), [TIMEOUT])
        self.assertEqual(self.dialer.opened, [])


class LossTests(LinkCase):
    """After the loss of an open stream."""

    def setUp(self) -> None:
        """Open a link."""
        super().setUp()
        self.say("0")
        self.stream = self.open()
        self.stream.take()

    def loseStream(self) -> None:
        """Lose the connection."""
        self.link.streamLost(self.stream, False)

    def test_reopened(self) -> None:
        """It is opened again soon, though there is nothing to send; nobody is told, and what came meanwhile is sent."""
        self.loseStream()
        self.say("1")
        self.clock.advance(1)
        stream = self.open()
        self.assertEqual(stream.take(), self.message("1"))
        self.clock.advance(100)
        self.assertEqual(self.observers[LOCAL].lost, [])

    def test_lost(self) -> None:
        """If that fails for the grace time, the domain is lost, once, and then what waits comes back."""
        self.loseStream()
        self.say("1")
        order: list[str] = []
        self.patch(self.observers[LOCAL], "domainLost", lambda domain: order.append(domain))
        tries, seconds = 0, 0.0
        while not self.link._refusal:
            self.clock.advance(0.25)
            seconds += 0.25
            if self.dialer.opened:
                tries += 1
                self.dialer.take()[1].streamFailed(TIMEOUT, "because", False)
        self.assertTrue(10 <= seconds <= 11, seconds)
        self.assertGreater(tries, 1)
        self.assertEqual(self.romeo.take(), [])
        self.clock.advance(0)
        self.assertEqual(order, [REMOTE])
        self.assertEqual(self.returned(), [TIMEOUT])
        self.clock.advance(1000)
        self.assertEqual(order, [REMOTE])
        self.assertEqual(self.dialer.opened, [])

    def test_tooMuch(self) -> None:
        """If too much waits, the grace time is over."""
        self.loseStream()
        for i in range(4):
            self.say(str(i))
        self.assertEqual(self.returned(), [TIMEOUT] * 4)
        self.assertEqual(self.observers[LOCAL].lost, [REMOTE])

    def test_closed(self) -> None:
        """A stream that the peer closes in order is opened again when it is needed."""
        self.link.streamLost(self.stream, True)
        self.clock.advance(100)
        self.assertEqual(self.dialer.opened, [])
        self.assertEqual(self.observers[LOCAL].lost, [])
        self.say("1")
        self.assertEqual(self.open().take(), self.message("1"))

    def test_unused(self) -> None:
        """A stream that is not used is closed in order."""
        self.configure({"idleTimeout": 300.0, "pingInterval": 0.0})
        for _ in range(700):
            self.clock.advance(1)
        self.assertEqual(self.stream.closed, [None])
        self.assertEqual(self.observers[LOCAL].lost, [])
        self.say("1")
        self.assertEqual(len(self.dialer.opened), 1)

    def test_silent(self) -> None:
        """A peer that is sent something and is silent is pinged; without an answer its stream is lost."""
        interval = int(self.settings.pingInterval)
        for _ in range(interval + 1):
            self.clock.advance(1)
        [ping] = self.stream.take()
        self.assertIn("urn:xmpp:ping", ping)
        self.assertIn(f'from="{LOCAL}"', ping)
        for _ in range(PING_TIMEOUT):
            self.clock.advance(1)
        self.assertEqual([error and error.condition for error in self.stream.closed], ["connection-timeout"])
        self.clock.advance(1)
        self.assertEqual(len(self.dialer.opened), 1)

    def test_answers(self) -> None:
        """Whatever comes from the domain is an answer; then there is a ping only after the next stanza."""
        for _ in range(3):
            self.say("x")
            for _ in range(int(self.settings.pingInterval) + 1):
                self.clock.advance(1)
            self.federation.heard(LOCAL, REMOTE)
            for _ in range(PING_TIMEOUT + 1):
                self.clock.advance(1)
        self.assertEqual(self.stream.closed, [])
        self.stream.take()
        for _ in range(400):
            self.clock.advance(1)
        self.assertEqual(self.stream.take(), [])

    def test_stanza(self) -> None:
        """A stanza on a stream of this server is refused."""
        error = self.assertRaises(StreamError, self.link.stanzaReceived, self.romeo.session)
        self.assertEqual(error.condition, "not-authorized")
