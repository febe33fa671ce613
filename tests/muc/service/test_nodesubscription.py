# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.service.nodesubscription} (XEP-0060)."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

import muccore.muc.service.nodesubscription as module
from muccore.muc.service.nodesubscription import REFRESH, RETRY, NodeSubscription
from muccore.testing.inmemory import InMemoryServer, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from tests.configuration import Logged
from tests.muc.service.nodeservice import DOMAIN, NODE, NodeService

SELF = "conference.localhost"


class NodeSubscriptionTests(SynchronousTestCase):
    """The room service follows a node."""

    def setUp(self) -> None:
        self.server = InMemoryServer()
        self.pubsub = NodeService("a", "b", "c")
        self.server.addHandler(self.pubsub, DOMAIN)
        self.added: list[set[str]] = []
        self.subscription = NodeSubscription(self.server.rooms, parse(DOMAIN), NODE, self.added.append)
        self.subscription.start()

    def advance(self, seconds: float = 0) -> None:
        """Let time pass."""
        self.server.clock.advance(seconds)

    def event(self, inside: str, attributes: str = f"node='{NODE}'") -> bool:
        """Pass an event on."""
        name, _, rest = inside.partition(" ")
        return self.subscription.eventReceived(
            parseStanza(
                f"<message><event xmlns='{ns.PUBSUB_EVENT}'><{name} {attributes}>{rest}</{name}></event></message>"
            )
        )

    def test_items(self) -> None:
        """It subscribes, and requests all items, page by page."""
        self.pubsub.pageSize = 2
        self.advance()
        self.assertEqual(self.pubsub.subscribers, [SELF])
        self.assertEqual((self.subscription.ids, self.added), ({"a", "b", "c"}, [{"a", "b", "c"}]))
        self.assertEqual(self.pubsub.requests, 3)

    def test_withoutPages(self) -> None:
        """A service without pages sends all at once."""
        self.pubsub.paged = False
        self.advance()
        self.assertEqual((self.subscription.ids, self.pubsub.requests), ({"a", "b", "c"}, 1))

    def test_ignoredPages(self) -> None:
        """One that repeats the same page is not asked for ever."""
        self.pubsub.repeats = True
        self.advance()
        self.assertEqual((self.subscription.ids, self.pubsub.requests), ({"a", "b", "c"}, 2))

    def test_refreshed(self) -> None:
        """All items are requested again after a while: what events have missed is made up for."""
        self.advance()
        self.pubsub.items = ["b", "d"]
        self.advance(REFRESH)
        self.assertEqual((self.subscription.ids, self.added[1:]), ({"b", "d"}, [{"d"}]))

    def test_events(self) -> None:
        """Events add and remove items; the same item is not new again (§7.1, §7.2, §8.5)."""
        self.advance()
        self.added.clear()
        self.assertTrue(self.event("items <item id='d'/><item id='a'/><retract id='b'/><item/><item id=''/>"))
        self.assertEqual((self.subscription.ids, self.added), ({"a", "c", "d"}, [{"d"}]))
        self.assertTrue(self.event("purge"))
        self.assertEqual((self.subscription.ids, len(self.added)), (set(), 1))

    def test_eventsBetweenPages(self) -> None:
        """What events say while further pages are requested holds: pages that came before do not undo it."""
        self.advance()
        self.added.clear()
        self.pubsub.items = ["a", "b", "c", "g"]
        self.pubsub.pageSize = 2
        first, second = Deferred[None](), Deferred[None]()
        self.pubsub.waiting = first
        self.advance(REFRESH)
        self.pubsub.waiting = second
        first.callback(None)
        self.assertTrue(self.event("items <retract id='a'/><item id='d'/><item id='e'/><retract id='e'/>"))
        self.assertEqual(self.added, [{"d"}])
        second.callback(None)
        self.assertEqual((self.subscription.ids, self.added), ({"b", "c", "d", "g"}, [{"d"}, {"g"}]))
        self.event("items <retract id='b'/>")
        self.assertEqual(self.subscription.ids, {"c", "d", "g"})

    def test_otherEvents(self) -> None:
        """Those of other nodes, and other messages, are not its own."""
        self.advance()
        self.assertFalse(self.event("items <item id='d'/>", "node='other'"))
        self.assertFalse(self.subscription.eventReceived(parseStanza("<message><body>a</body></message>")))
        self.assertEqual(self.subscription.ids, {"a", "b", "c"})

    def test_bounds(self) -> None:
        """The number of items and the length of their ids are bounded, in pages and events."""
        self.patch(module, "LIMIT", 4)
        self.pubsub.items = ["a", "x" * 257, "b"]
        self.advance()
        self.assertEqual(self.subscription.ids, {"a", "b"})
        self.event("items " + "".join(f"<item id='{number}'/>" for number in range(9)))
        self.assertEqual(len(self.subscription.ids), 4)
        self.pubsub.items = [str(number) for number in range(9)]
        logged = Logged(self)
        self.advance(REFRESH)
        self.assertEqual(len(self.subscription.ids), 4)
        line = f"{NODE} of {DOMAIN} has too many items: 4 are kept, and the others have no effect"
        self.assertEqual(logged.lines(LogLevel.warn), [line])

    def test_failure(self) -> None:
        """After a failure it is tried again, ever more seldom; what is known stays in force."""
        self.advance()
        self.pubsub.broken = True
        self.advance(REFRESH)
        self.assertEqual(self.subscription.ids, {"a", "b", "c"})
        self.pubsub.subscribers.clear()
        self.advance(RETRY)
        self.pubsub.broken = False
        self.advance(RETRY)
        self.assertEqual(self.pubsub.subscribers, [])
        self.advance(RETRY)
        self.assertEqual(self.pubsub.subscribers, [SELF])

    def test_noService(self) -> None:
        """A service that does not exist is a failure, too."""
        subscription = NodeSubscription(self.server.rooms, parse("nowhere.example"), NODE, self.added.append)
        subscription.start()
        self.advance()
        self.advance()
        self.assertEqual(subscription.ids, set())
        subscription.stop()

    def test_stopped(self) -> None:
        """After the end nothing is requested, nor is an answer taken."""
        self.pubsub.waiting = Deferred()
        self.advance()
        self.subscription.stop()
        self.pubsub.waiting.callback(None)
        self.advance(2 * REFRESH)
        self.assertEqual((self.subscription.ids, self.added, self.pubsub.requests), (set(), [], 1))
