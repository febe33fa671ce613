# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.changequeue}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import changequeue
from muccore.muc.model.changequeue import ChangeQueue
from muccore.xmpp.errors import StanzaError


class ChangeQueueTests(SynchronousTestCase):
    """What waits for a change, and in which order it is called."""

    def setUp(self) -> None:
        self.queue = ChangeQueue()
        self.log: list[object] = []

    def note(self, what: object) -> object:
        """Log a call, and return its argument."""
        self.log.append(what)
        return what

    def beginChange(self, sender: str = "a") -> tuple[Deferred[Any], Deferred[Any]]:
        """Begin a change; return the Deferred that ends it, and what its sender waits for."""
        until: Deferred[Any] = Deferred()
        return until, self.queue.beginChange(sender, until)

    def enqueue(self, *senders: str) -> list[Deferred[Any]]:
        """Enqueue a call for each of these senders, which logs the sender."""
        return [self.queue.enqueue(sender, True, self.note, sender) for sender in senders]

    def test_callsInOrderAfterChange(self) -> None:
        """Calls that wait are made in order when the change is done; each Deferred has the result of its call."""
        until, _ = self.beginChange()
        self.assertTrue(self.queue.changing)
        waiting = self.enqueue("b", "c", "b")
        self.assertEqual(self.log, [])
        until.callback(None)
        self.assertFalse(self.queue.changing)
        self.assertEqual(self.log, ["b", "c", "b"])
        self.assertEqual([self.successResultOf(each) for each in waiting], ["b", "c", "b"])

    def test_waitingCallBeginsNextChange(self) -> None:
        """
        A call that waited may begin a change: those behind it go on waiting, in order. A sender is queued until their
        change and all their calls are done.
        """
        until, _ = self.beginChange()
        second: Deferred[Any] = Deferred()
        self.queue.enqueue("b", True, self.queue.beginChange, "b", second)
        self.enqueue("c")
        self.assertEqual([self.queue.isQueued(sender) for sender in "abcd"], [True, True, True, False])
        until.callback(None)
        self.assertTrue(self.queue.changing)
        self.assertEqual([self.queue.isQueued(sender) for sender in "abcd"], [False, True, True, False])
        self.enqueue("b")
        self.assertEqual(self.log, [])
        second.callback(None)
        self.assertEqual(self.log, ["c", "b"])
        self.assertFalse(any(self.queue.isQueued(sender) for sender in "abcd"))

    def test_finishedChangeDoesNotBlock(self) -> None:
        """A change that is done already blocks nothing; many of them do not pile up on the stack."""
        until, _ = self.beginChange()
        for number in range(3000):
            self.queue.enqueue("b", True, lambda n: self.queue.beginChange("b", succeed(self.note(n))), number)
        until.callback(None)
        self.assertEqual(self.log, list(range(3000)))
        self.assertFalse(self.queue.changing)
        self.assertEqual(self.successResultOf(self.queue.beginChange("a", succeed("done"))), "done")
        self.assertFalse(self.queue.changing)

    def test_failedChangeDoesNotBlock(self) -> None:
        """A failure goes to the sender of the change alone, and calls that waited are made."""
        until, changed = self.beginChange()
        [waiting] = self.enqueue("b")
        until.errback(StanzaError("conflict"))
        self.failureResultOf(changed, StanzaError)
        self.assertEqual(self.successResultOf(waiting), "b")
        self.failureResultOf(self.queue.beginChange("a", fail(StanzaError("conflict"))), StanzaError)
        self.assertFalse(self.queue.changing)

    def test_answerBeforeWaitingCalls(self) -> None:
        """The sender of the change has the answer, good or bad, before any call that waited (RFC 6120 §10.1)."""
        for result in ("good", StanzaError("conflict")):
            until, changed = self.beginChange()
            self.queue.enqueue("a", True, self.note, "later")
            changed.addBoth(lambda _: self.note("answer") and None)
            self.assertTrue(self.queue.changing)
            until.callback(result) if isinstance(result, str) else until.errback(result)
            self.assertEqual(self.log, ["answer", "later"])
            self.log.clear()

    def test_exceptionGoesToItsCaller(self) -> None:
        """An exception of a call goes to its own Deferred; the other calls are made."""

        def refuse() -> None:
            raise StanzaError("forbidden")

        until, _ = self.beginChange()
        refused = self.queue.enqueue("b", True, refuse)
        self.enqueue("c")
        until.callback(None)
        self.failureResultOf(refused, StanzaError)
        self.assertEqual(self.log, ["c"])

    def test_limit(self) -> None:
        """Beyond the limit a stanza is refused with C{resource-constraint}, unless it must be handled."""
        self.patch(changequeue, "LIMIT", 2)
        until, _ = self.beginChange()
        self.enqueue("b", "c")
        error = self.assertRaises(StanzaError, self.enqueue, "d")
        self.assertEqual((error.condition, error.type), ("resource-constraint", "wait"))
        self.assertFalse(self.queue.isQueued("d"))
        self.queue.enqueue("e", False, self.note, "e")
        until.callback(None)
        self.assertEqual(self.log, ["b", "c", "e"])

    def test_oneChangeAtATime(self) -> None:
        """A change cannot begin during another one."""
        self.beginChange()
        self.assertRaises(AssertionError, self.beginChange, "b")
