# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.handover}, and of tracked stanzas in general."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from muccore.interfaces import IDeliveryObserver, ISession
from muccore.routing.handler import Handler
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import Client, xml
from tests.session.helpers import ROMEO, SessionTestCase

TO = toAttribute(ROMEO)


@implementer(IDeliveryObserver)
class Observer(Handler):
    """Records what has become of stanzas."""

    def __init__(self) -> None:
        super().__init__()
        self.settled: list[tuple[list[str], bool]] = []

    def deliverySettled(self, session: ISession, tags: Sequence[str], delivered: bool) -> None:
        """See L{IDeliveryObserver}."""
        self.settled.append((list(tags), delivered))

    def take(self) -> list[tuple[list[str], bool]]:
        """What was told since the last call."""
        settled, self.settled = self.settled, []
        return settled


class TrackedTestCase(SessionTestCase):
    """Somebody tracks what is delivered to Romeo."""

    def setUp(self) -> None:
        """Observe."""
        super().setUp()
        self.observer = Observer()
        self.observer.setHandlerParent(self.users)

    def deliver(self, *tags: str, client: Client | None = None) -> None:
        """Deliver messages that are tracked, with their tags as ids."""
        for tag in tags:
            message = Rendered.of(xml(f"<message id='{tag}' from='juliet@localhost/b'><body/></message>"))
            (client or self.romeo).session.deliverTracked(message, TO, tag)

    def settled(self, seconds: float = 0) -> list[tuple[list[str], bool]]:
        """What is settled after a time."""
        self.clock.advance(seconds)
        return self.observer.take()


class HandoverTests(TrackedTestCase):
    """Without stream management."""

    def test_taken(self) -> None:
        """Stanzas are delivered when nothing waits any more, not in the turn in which they are sent."""
        self.deliver("a", "b")
        self.assertEqual(self.observer.take(), [])
        self.assertEqual(self.settled(), [(["a", "b"], True)])
        self.assertEqual(self.settled(100), [])

    def test_waiting(self) -> None:
        """While something waits, they are looked at again and again; another session does not wait for them."""
        other = self.connect("romeo@localhost/balcony")
        self.romeo.stream.waiting = True
        self.deliver("a")
        self.deliver("b", client=other)
        self.assertEqual(self.settled(), [(["b"], True)])
        self.assertEqual(self.settled(10), [])
        self.romeo.stream.waiting = False
        self.assertEqual(self.settled(1), [(["a"], True)])

    def test_timer(self) -> None:
        """Nothing is looked at when the last session with something on its way has ended."""
        other = self.connect("romeo@localhost/balcony")
        calls = len(self.clock.getDelayedCalls())
        for client in (self.romeo, other):
            client.stream.waiting = True
            self.deliver("a", client=client)
        self.clock.advance(1)
        self.assertEqual(len(self.clock.getDelayedCalls()), calls + 1)
        other.session.streamLost(other.stream, True)
        self.clock.advance(1)
        self.assertEqual(len(self.clock.getDelayedCalls()), calls + 1)
        self.romeo.session.streamLost(self.romeo.stream, True)
        self.clock.advance(1)
        self.assertEqual(len(self.clock.getDelayedCalls()), calls)

    def test_ended(self) -> None:
        """If the session ends before, they are lost, once; what comes after it is lost at once."""
        self.romeo.stream.waiting = True
        self.deliver("a", "b")
        self.romeo.vanish()
        self.assertEqual(self.settled(), [(["a", "b"], False)])
        self.deliver("c")
        self.assertEqual(self.settled(10), [(["c"], False)])

    def test_held(self) -> None:
        """So are they if the stream ends, and the session goes on without having kept them."""
        self.romeo.stream.waiting = True
        self.deliver("a")
        self.romeo.session.enableManagement(True, None)
        self.romeo.vanish()
        self.assertEqual(self.settled(), [(["a"], False)])
        self.assertFalse(self.romeo.session.ended)

    def test_observerFails(self) -> None:
        """An observer that fails is logged."""
        self.patch(self.observer, "deliverySettled", lambda *_: 1 // 0)
        self.deliver("a")
        self.settled()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ManagedTests(TrackedTestCase):
    """With stream management."""

    def setUp(self) -> None:
        """Enable it."""
        super().setUp()
        self.management = self.romeo.session.enableManagement(True, None)

    def deliverOther(self) -> None:
        """Deliver a message that nobody tracks."""
        self.romeo.session.deliver(Rendered.of(xml("<message id='other' from='juliet@localhost/b'/>")), TO)

    def test_acknowledged(self) -> None:
        """Stanzas are delivered when they are acknowledged, which is requested; others do not matter."""
        self.deliverOther()
        self.deliver("a")
        self.deliverOther()
        self.deliver("b")
        self.assertEqual(self.romeo.stream.data.count(b"<r "), 1)
        self.assertEqual(self.management.tracked, ["a", "b"])
        found = []
        for handled in range(1, 5):
            self.management.acknowledge(handled)
            found.append(self.settled())
        self.assertEqual(found, [[], [(["a"], True)], [], [(["b"], True)]])
        # Each acknowledgement that left some was followed by a request.
        self.assertEqual(self.romeo.stream.data.count(b"<r "), 4)
        self.assertEqual(self.settled(1000), [])

    def test_ended(self) -> None:
        """If the session ends before, they are lost, and not redelivered."""
        self.deliver("a", "b")
        self.deliverOther()
        self.management.acknowledge(1)
        self.assertEqual(self.settled(), [(["a"], True)])
        self.romeo.vanish()
        self.assertEqual(self.settled(), [])
        self.romeo.session.end()
        self.assertEqual(self.observer.take(), [(["b"], False)])
        # The other one is returned to its sender.
        self.clock.advance(0)
        [(to, error)] = [each for each in self.take() if isinstance(each, tuple)]
        self.assertEqual(to, "juliet@localhost/b")
        self.assertIn('id="other"', error)
