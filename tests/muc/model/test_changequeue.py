# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.changequeue}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import changequeue
from muccore.muc.model.changequeue import ChangeQueue
from muccore.xmpp.errors import StanzaError


class GateTests(SynchronousTestCase):
    """What waits, and in which order it is called."""

    def setUp(self) -> None:
        """An open queue and a log."""
        self.queue = ChangeQueue()
        self.log: list[object] = []

    def note(self, what: object) -> object:
        """Log a call, and return what it was called with."""
        self.log.append(what)
        return what

    def test_waiting(self) -> None:
        """What waits is called in order when the change is done; each Deferred fires with the result of its call."""
        until: Deferred[Any] = Deferred()
        self.queue.beginChange("a", until)
        self.assertTrue(self.queue.changing)
        waiting = [self.queue.enqueue(sender, True, self.note, sender) for sender in ("b", "c", "b")]
        self.assertEqual(self.log, [])
        until.callback(None)
        self.assertFalse(self.queue.changing)
        self.assertEqual(self.log, ["b", "c", "b"])
        self.assertEqual([self.successResultOf(each) for each in waiting], ["b", "c", "b"])

    def test_holds(self) -> None:
        """Whoever closed the queue or waits at it is held until all that they wait for is done."""
        first: Deferred[Any] = Deferred()
        second: Deferred[Any] = Deferred()
        self.queue.beginChange("a", first)
        self.queue.enqueue("b", True, self.queue.beginChange, "b", second)
        self.queue.enqueue("c", True, self.note, "c")
        self.assertEqual([self.queue.isQueued(sender) for sender in "abcd"], [True, True, True, False])
        first.callback(None)
        self.assertEqual([self.queue.isQueued(sender) for sender in "abcd"], [False, True, True, False])
        second.callback(None)
        self.assertEqual([self.queue.isQueued(sender) for sender in "abcd"], [False, False, False, False])

    def test_closedAgain(self) -> None:
        """A call that waited may close the queue: the rest goes on waiting, in order."""
        first: Deferred[Any] = Deferred()
        second: Deferred[Any] = Deferred()
        self.queue.beginChange("a", first)
        self.queue.enqueue("b", True, self.queue.beginChange, "b", second)
        self.queue.enqueue("c", True, self.note, "c")
        first.callback(None)
        self.assertTrue(self.queue.changing)
        self.queue.enqueue("b", True, self.note, "b")
        self.assertEqual(self.log, [])
        second.callback(None)
        self.assertEqual(self.log, ["c", "b"])

    def test_closedForNothing(self) -> None:
        """For a change that is done already the queue opens at once; many of these do not pile up on the stack."""
        until: Deferred[Any] = Deferred()
        self.queue.beginChange("a", until)
        for number in range(3000):
            self.queue.enqueue("b", True, lambda n: self.queue.beginChange("b", succeed(self.note(n))), number)
        until.callback(None)
        self.assertEqual(self.log, list(range(3000)))
        self.assertFalse(self.queue.changing)
        self.assertEqual(self.successResultOf(self.queue.beginChange("a", succeed("done"))), "done")
        self.assertFalse(self.queue.changing)

    def test_failure(self) -> None:
        """The queue opens also after a failure, which is the closer's alone."""
        until: Deferred[Any] = Deferred()
        closing = self.queue.beginChange("a", until)
        waiting = self.queue.enqueue("b", True, self.note, "b")
        until.errback(StanzaError("conflict"))
        self.failureResultOf(closing, StanzaError)
        self.assertEqual(self.successResultOf(waiting), "b")
        self.failureResultOf(self.queue.beginChange("a", fail(StanzaError("conflict"))), StanzaError)
        self.assertFalse(self.queue.changing)

    def test_answerFirst(self) -> None:
        """The closer has the answer, good or bad, before anything that waited is called (RFC 6120 §10.1)."""
        for result in ("good", StanzaError("conflict")):
            until: Deferred[Any] = Deferred()
            closing = self.queue.beginChange("a", until)
            self.queue.enqueue("a", True, self.note, "later")
            closing.addBoth(lambda _: self.note("answer") and None)
            self.assertTrue(self.queue.changing)
            until.callback(result) if isinstance(result, str) else until.errback(result)
            self.assertEqual(self.log, ["answer", "later"])
            self.log.clear()

    def test_raises(self) -> None:
        """An exception of a call goes to its own Deferred; the others are called."""

        def refuse() -> None:
            raise StanzaError("forbidden")

        until: Deferred[Any] = Deferred()
        self.queue.beginChange("a", until)
        refused = self.queue.enqueue("b", True, refuse)
        self.queue.enqueue("c", True, self.note, "c")
        until.callback(None)
        self.failureResultOf(refused, StanzaError)
        self.assertEqual(self.log, ["c"])

    def test_limit(self) -> None:
        """Beyond the limit a stanza is refused with C{resource-constraint}, unless it must be handled."""
        self.patch(changequeue, "LIMIT", 2)
        until: Deferred[Any] = Deferred()
        self.queue.beginChange("a", until)
        for sender in "bc":
            self.queue.enqueue(sender, True, self.note, sender)
        error = self.assertRaises(StanzaError, self.queue.enqueue, "d", True, self.note, "d")
        self.assertEqual((error.condition, error.type), ("resource-constraint", "wait"))
        self.assertFalse(self.queue.isQueued("d"))
        self.queue.enqueue("e", False, self.note, "e")
        until.callback(None)
        self.assertEqual(self.log, ["b", "c", "e"])

    def test_oneAtATime(self) -> None:
        """A closed queue cannot be closed again."""
        self.queue.beginChange("a", Deferred())
        self.assertRaises(AssertionError, self.queue.beginChange, "b", Deferred())
