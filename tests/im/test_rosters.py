# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.rosters}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muccore.im import rosters
from muccore.im.accountroster import AccountRoster
from muccore.im.rosters import PlannedChange, Rosters
from muccore.interfaces import IContacts, RosterItem
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from tests.im.slowrosters import SlowRosters

ROMEO, JULIET = "romeo@x", "juliet@y"


class RostersTests(SynchronousTestCase):
    """Loading and changing."""

    def setUp(self) -> None:
        self.online = {ROMEO}
        self.store = SlowRosters()
        self.store.open()
        self.rosters = Rosters(self.store, self.online.__contains__)
        self.announced: list[str] = []

    def change(self, name: str, account: str = ROMEO) -> Deferred[Any]:
        """Add a contact, or give them another name."""
        return self.rosters.change(account, lambda roster: self.plan(roster, name))

    def plan(self, roster: AccountRoster, name: str) -> PlannedChange:
        """Plan that: the names follow each other."""
        named = roster.item(JULIET).name + name
        return PlannedChange({JULIET: RosterItem(named)}, lambda: self.announced.append(named))

    def test_durableFirst(self) -> None:
        """A change is announced when it is stored, and not seen before."""
        done = self.change("a")
        self.assertEqual(self.announced, [])
        self.store.release("load")
        self.assertEqual(self.announced, [])
        self.assertIsNone(self.rosters.loaded(ROMEO))
        self.store.release("change")
        self.assertEqual(self.announced, ["a"])
        self.successResultOf(done)
        roster = self.rosters.loaded(ROMEO)
        assert roster is not None
        self.assertEqual(roster.item(JULIET).name, "a")

    def test_observed(self) -> None:
        """Observers learn what has changed when it is announced, with the item before and after."""
        seen: list[tuple[str, str, str, str, list[str]]] = []
        self.rosters.observers.append(
            lambda account, contact, old, new: seen.append((account, contact, old.name, new.name, list(self.announced)))
        )
        done = self.change("a")
        self.store.release("load")
        self.assertEqual(seen, [])
        self.store.release("change")
        self.successResultOf(done)
        self.successResultOf(self.rosters.change(ROMEO, lambda roster: PlannedChange({}, lambda: None)))
        self.rosters.change(ROMEO, lambda roster: PlannedChange({JULIET: None}, lambda: None))
        self.store.release("change")
        self.assertEqual(seen, [(ROMEO, JULIET, "", "a", ["a"]), (ROMEO, JULIET, "a", "", ["a"])])

    def test_contacts(self) -> None:
        """The contacts of an account are loaded, if need be, and then they are at hand; failures are told."""
        verifyObject(IContacts, self.rosters)
        waiting = self.rosters.contacts(ROMEO)
        self.assertNoResult(waiting)
        self.store.release("load")
        self.assertEqual(self.successResultOf(waiting), {})
        done = self.change("a")
        late = self.rosters.contacts(ROMEO)
        self.assertNoResult(late)
        self.store.release("change")
        self.successResultOf(done)
        self.assertEqual(self.successResultOf(late)[JULIET].name, "a")
        self.assertEqual(list(self.successResultOf(self.rosters.contacts(ROMEO))), [JULIET])

    def test_inOrder(self) -> None:
        """Changes of a roster follow each other; those of another one do not wait."""
        self.change("a")
        self.change("b")
        self.change("x", "other@x")
        self.store.releaseAll()
        self.assertEqual(self.announced, ["a", "x", "ab"])

    def test_failed(self) -> None:
        """If the store fails, nothing has changed; the next one is tried."""
        done = self.change("a")
        self.store.release("load")
        self.store.fail("change")
        self.assertEqual(self.failureResultOf(done, StanzaError).value.condition, "internal-server-error")
        done = self.change("b")
        self.store.releaseAll()
        self.successResultOf(done)
        self.assertEqual(self.announced, ["b"])

    def test_notLoaded(self) -> None:
        """A roster that cannot be loaded is tried again next time."""
        done = self.change("a")
        self.store.fail("load")
        self.failureResultOf(done, StanzaError)
        self.assertIsNone(self.rosters.loaded(ROMEO))
        self.change("b")
        self.store.releaseAll()
        self.assertEqual(self.announced, ["b"])

    def test_refused(self) -> None:
        """What a plan refuses, or fails with, is the result; the next one is tried."""

        def refuse(roster: AccountRoster) -> PlannedChange:
            raise StanzaError("not-allowed")

        done = self.rosters.change(ROMEO, refuse)
        self.store.releaseAll()
        self.assertEqual(self.failureResultOf(done, StanzaError).value.condition, "not-allowed")
        self.change("b")
        self.store.releaseAll()
        self.assertEqual(self.announced, ["b"])

    def test_waiting(self) -> None:
        """Too many changes that wait are refused, those of this roster only."""
        self.patch(rosters, "WAITING_LIMIT", 2)
        waiting = [self.change(name) for name in "abcd"]
        self.assertEqual(self.failureResultOf(waiting.pop(), StanzaError).value.condition, "resource-constraint")
        other = self.change("x", "other@x")
        self.store.releaseAll()
        for done in (*waiting, other):
            self.successResultOf(done)
        self.assertEqual(self.announced, ["a", "x", "ab", "abc"])

    def test_waitingSize(self) -> None:
        """The memory of stanzas that wait is bounded, for each roster; the first one does not wait."""
        large = Element((ns.CLIENT, "presence"))
        large.add("status", text="x" * 1_500_000)

        def ask(account: str = ROMEO) -> Deferred[Any]:
            return self.rosters.change(account, lambda roster: PlannedChange({}, lambda: "asked"), large)

        waiting = [ask() for _ in range(4)]
        self.assertEqual(self.failureResultOf(waiting.pop(), StanzaError).value.condition, "resource-constraint")
        waiting += [ask(JULIET), self.change("a")]
        self.store.releaseAll()
        self.assertEqual([self.successResultOf(done) for done in waiting], ["asked"] * 4 + [None])
        waiting = [ask() for _ in range(4)]
        self.assertEqual([self.successResultOf(done) for done in waiting], ["asked"] * 4)

    def test_nothing(self) -> None:
        """Who only looks writes nothing; later ones need not load."""
        self.rosters.change(ROMEO, lambda roster: PlannedChange({}, lambda: None))
        self.store.releaseAll()
        self.rosters.change(ROMEO, lambda roster: PlannedChange({}, lambda: None))
        self.assertEqual(self.store.calls, ["load"])

    def test_finished(self) -> None:
        """The end waits for all changes, and for those that follow from them."""
        self.successResultOf(Deferred.fromCoroutine(self.rosters.finished()))
        self.change("a").addCallback(lambda _: self.change("x", "other@x") and None)
        self.change("b")
        done = Deferred.fromCoroutine(self.rosters.finished())
        while len(self.store.calls) < 5:
            self.assertNoResult(done)
            self.store.releaseOne()
        self.store.releaseAll()
        self.successResultOf(done)
        self.assertEqual(sorted(self.announced), ["a", "ab", "x"])

    def test_released(self) -> None:
        """Rosters of accounts without sessions are dropped, unless something waits for them: others may change them."""
        self.change("a", "other@x")
        self.store.releaseAll()
        self.assertIsNone(self.rosters.loaded("other@x"))
        self.change("a")
        self.store.releaseAll()
        self.change("b")
        self.online.clear()
        self.rosters.released(ROMEO)
        self.change("c")
        self.store.releaseAll()
        self.assertEqual(self.announced, ["a", "a", "ab", "abc"])
        self.assertIsNone(self.rosters.loaded(ROMEO))
