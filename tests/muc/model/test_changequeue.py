# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.changequeue}."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import changequeue
from muccore.muc.model.accesslocks import NOTHING, WHOLE_ROOM, Access
from muccore.muc.model.changequeue import ChangeQueue
from muccore.xmpp.errors import StanzaError

X, Y, XY = Access.to("x"), Access.to("y"), Access.to("xy")
READ_X = Access.to("", "x")


class ChangeQueueTests(SynchronousTestCase):
    """What waits for a change, and in which order it is called."""

    def setUp(self) -> None:
        self.queue = ChangeQueue()
        self.log: list[object] = []

    def note(self, what: object) -> object:
        """Log a call, and return its argument."""
        self.log.append(what)
        return what

    def beginChange(self, sender: str = "a", access: Access = WHOLE_ROOM) -> tuple[Deferred[Any], Deferred[Any]]:
        """Begin a change; return the Deferred that ends it, and what its sender waits for."""
        until: Deferred[Any] = Deferred()
        return until, self.queue.beginChange(sender, until, access)

    def enqueue(self, *senders: str, access: Access = WHOLE_ROOM) -> list[Deferred[Any]]:
        """Enqueue a call for each of these senders, which logs the sender."""
        return [self.queue.enqueue(sender, partial(self.note, sender), access) for sender in senders]

    def enqueueChange(self, sender: str, access: Access, urgent: bool = False) -> Deferred[Any]:
        """Enqueue a change, which is logged when it begins; return what ends it."""
        until: Deferred[Any] = Deferred()

        def change() -> Deferred[Any]:
            self.note(sender)
            return self.queue.beginChange(sender, until, access)

        self.assertTrue(self.queue.mustWait(sender, access, urgent))
        self.queue.enqueue(sender, change, access, urgent)
        return until

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
        second = self.enqueueChange("b", WHOLE_ROOM)
        self.enqueue("c")
        self.assertEqual([self.queue.isQueued(sender) for sender in "abcd"], [True, True, True, False])
        self.assertEqual(self.queue.senders(), ["a", "b", "c"])
        until.callback(None)
        self.assertTrue(self.queue.changing)
        self.assertEqual([self.queue.isQueued(sender) for sender in "abcd"], [False, True, True, False])
        self.enqueue("b", access=NOTHING)
        self.assertEqual(self.log, ["b"])
        second.callback(None)
        self.assertEqual(self.log, ["b", "c", "b"])
        self.assertFalse(any(self.queue.isQueued(sender) for sender in "abcd"))

    def test_finishedChangeDoesNotBlock(self) -> None:
        """A change that is done already blocks nothing; many of them do not pile up on the stack."""
        until, _ = self.beginChange()
        for number in range(3000):
            self.queue.enqueue("b", lambda n=number: self.queue.beginChange("b", succeed(self.note(n))))  # type: ignore[misc]
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
            self.queue.enqueue("a", partial(self.note, "later"), NOTHING)
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
        refused = self.queue.enqueue("b", refuse)
        self.enqueue("c")
        until.callback(None)
        self.failureResultOf(refused, StanzaError)
        self.assertEqual(self.log, ["c"])

    def test_limit(self) -> None:
        """Beyond the limit a stanza is refused with C{resource-constraint}, unless it must be handled."""
        self.patch(changequeue, "LIMIT", 3000)
        until, _ = self.beginChange()
        self.enqueue("b", "c")
        error = self.assertRaises(StanzaError, self.enqueue, "d")
        self.assertEqual((error.condition, error.type), ("resource-constraint", "wait"))
        self.assertFalse(self.queue.isQueued("d"))
        self.queue.enqueue("e", partial(self.note, "e"), refusable=False)
        until.callback(None)
        self.assertEqual(self.log, ["b", "c", "e"])

    def test_limitOfSize(self) -> None:
        """What counts is memory. A single stanza is never too large, nor one that waits again; then there is room."""
        self.patch(changequeue, "LIMIT", 10_000)
        for _ in range(2):
            until, _ = self.beginChange("a", X)
            second, _ = self.beginChange("y", Y)

            def again() -> Any:
                error = self.assertRaises(StanzaError, self.queue.enqueue, "c", self.fail, X)
                self.assertEqual(error.condition, "resource-constraint")
                return self.queue.enqueue("b", partial(self.note, "b"), Y, size=20_000)

            self.queue.enqueue("b", again, X, size=20_000)
            self.assertRaises(StanzaError, self.enqueue, "c")
            self.queue.enqueue("e", partial(self.note, "e"), refusable=False, size=20_000)
            until.callback(None)
            self.assertEqual(self.log, [])
            second.callback(None)
            self.assertEqual(self.log, ["b", "e"])
            self.assertFalse(self.queue.changing)
            self.log.clear()

    def test_independentChanges(self) -> None:
        """Changes that do not depend on each other are committed together, and end in any order."""
        first, _ = self.beginChange("a", X)
        requests = (("b", Y), ("a", Y), ("b", READ_X))
        self.assertEqual([self.queue.mustWait(*each) for each in requests], [False, True, True])
        second, _ = self.beginChange("b", Y)
        third = self.enqueueChange("c", READ_X)
        second.callback(None)
        self.assertEqual((self.log, self.queue.changing), ([], True))
        first.callback(None)
        self.assertEqual((self.log, self.queue.changing), (["c"], True))
        third.callback(None)
        self.assertFalse(self.queue.changing)

    def test_conflict(self) -> None:
        """A change that would have to wait cannot begin."""
        self.beginChange("a", X)
        for access in (X, READ_X, WHOLE_ROOM):
            self.assertRaises(AssertionError, self.beginChange, "b", access)
        self.beginChange("b", Y)

    def test_oneChangeOfSender(self) -> None:
        """A sender has one change in flight: what else they send waits, whatever it is; others go on."""
        first, _ = self.beginChange("a", X)
        second = self.enqueueChange("a", Y)
        self.enqueue("a", access=NOTHING)
        self.assertFalse(self.queue.mustWait("b", Y))
        third, _ = self.beginChange("b", Y)
        first.callback(None)
        self.assertEqual(self.log, [])
        third.callback(None)
        self.assertEqual(self.log, ["a"])
        second.callback(None)
        self.assertEqual(self.log, ["a", "a"])

    def test_nobodyStarves(self) -> None:
        """What arrives later does not go before a change that it conflicts with; what is independent does."""
        first, _ = self.beginChange("a", READ_X)
        self.assertFalse(self.queue.mustWait("b", READ_X))
        writing = self.enqueueChange("c", XY)
        reading = self.enqueueChange("d", READ_X)
        self.assertFalse(self.queue.mustWait("e", Access.to("z")))
        room = self.enqueueChange("f", WHOLE_ROOM)
        self.assertTrue(self.queue.mustWait("e", Access.to("z")))
        first.callback(None)
        self.assertEqual(self.log, ["c"])
        writing.callback(None)
        self.assertEqual(self.log, ["c", "d"])
        reading.callback(None)
        self.assertEqual(self.log, ["c", "d", "f"])
        room.callback(None)

    def test_urgent(self) -> None:
        """What is urgent goes before all others that wait, in its order, but not before what its sender has waiting."""
        first, _ = self.beginChange("a", X)
        others = [self.enqueueChange("b", X), self.enqueueChange("c", WHOLE_ROOM)]
        urgent = [self.enqueueChange("m", X, True), self.enqueueChange("n", XY, True), self.enqueueChange("b", X, True)]
        self.assertFalse(self.queue.mustWait("o", Access.to("z"), True))
        for until, log in ((first, "m"), (urgent[0], "mn"), (urgent[1], "mnb"), (others[0], "mnbb")):
            until.callback(None)
            self.assertEqual("".join(map(str, self.log)), log)
        urgent[2].callback(None)
        self.assertEqual(self.log[4:], ["c"])
        others[1].callback(None)

    def test_waitsAgain(self) -> None:
        """A stanza that has to wait for something else when it is its turn keeps its place before all later ones."""
        first, _ = self.beginChange("a", X)
        second, _ = self.beginChange("y", Y)

        def again() -> Any:
            self.assertTrue(self.queue.mustWait("b", Y))
            return self.queue.enqueue("b", partial(self.note, "b"), Y)

        waiting = self.queue.enqueue("b", again, X)
        self.enqueue("b", access=NOTHING)
        later = self.enqueueChange("c", XY)
        first.callback(None)
        self.assertNoResult(waiting)
        second.callback(None)
        self.assertEqual(self.log, ["b", "b", "c"])
        later.callback(None)

    def test_manyWait(self) -> None:
        """The work for each of many that wait for the same does not grow with their number."""
        calls = 0
        mayHold = changequeue.AccessLocks.mayHold

        def counting(locks: Any, access: Access, order: Any) -> bool:
            nonlocal calls
            calls += 1
            return mayHold(locks, access, order)

        self.patch(changequeue.AccessLocks, "mayHold", counting)
        for access in (X, WHOLE_ROOM, READ_X):
            until, _ = self.beginChange("a", X)
            changes = [self.enqueueChange(str(number), access) for number in range(300)]
            calls = 0
            until.callback(None)
            for change in changes:
                change.callback(None)
            self.assertFalse(self.queue.changing)
            self.assertLess(calls, 300 * 6)
