# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.accountroster}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.im import accountroster
from muccore.im.accountroster import REMOVED_LIMIT, AccountRoster, Changes
from muccore.interfaces import RosterItem, StoredRoster
from muccore.storage.memoryroster import MemoryRosters

A, B, C = (f"{name}@x" for name in "abc")


class RosterTestCase(SynchronousTestCase):
    """A roster that is stored, too."""

    def setUp(self) -> None:
        self.store = MemoryRosters()
        self.store.open()
        self.roster = AccountRoster(StoredRoster())

    def change(self, changes: Changes) -> bool:
        """Change it; return whether anything was stored."""
        change = self.roster.plan(changes)
        if change is None:
            return False
        self.successResultOf(self.store.change("r@x", change))
        self.roster.apply(change)
        return True

    def reload(self) -> AccountRoster:
        """The roster as it is loaded again."""
        return AccountRoster(self.successResultOf(self.store.load("r@x")))

    def since(self, version: str) -> list[tuple[str, bool]] | None:
        """Who has changed since a version, and whether they are in the roster still."""
        found = self.roster.changesSince(version)
        return None if found is None else [(jid, item is not None) for _, jid, item in found]


class ChangeTests(RosterTestCase):
    """Planning and applying changes."""

    def test_changes(self) -> None:
        """Items come, change and go; nothing changes before the plan is applied."""
        plan = self.roster.plan({A: RosterItem("a")})
        assert plan is not None
        self.assertEqual(self.roster.items, {})
        self.roster.apply(plan)
        self.assertEqual(self.roster.items, {A: RosterItem("a")})
        self.change({A: None, B: RosterItem("b")})
        self.assertEqual(dict(self.roster.listed()), {B: RosterItem("b")})

    def test_unchanged(self) -> None:
        """What changes nothing is not stored."""
        self.change({A: RosterItem("a")})
        self.assertFalse(self.change({A: RosterItem("a"), B: None, C: RosterItem(listed=False)}))

    def test_requests(self) -> None:
        """A request alone is not in the roster, and nothing of it stays when it was answered."""
        self.change({A: RosterItem(request=b"<presence/>", listed=False)})
        self.assertEqual(list(self.roster.listed()), [])
        self.assertEqual(self.roster.requests(), [(A, b"<presence/>")])
        self.change({A: RosterItem(listed=False)})
        self.assertEqual((self.roster.items, self.reload().items), ({}, {}))

    def test_subscribers(self) -> None:
        """Those who get the presence."""
        subscriptions = {"n@x": "none", "t@x": "to", "f@x": "from", "b@x": "both"}
        self.change({jid: RosterItem(subscription=each) for jid, each in subscriptions.items()})
        self.assertEqual(self.roster.subscribers(), ["f@x", "b@x"])


class VersionTests(RosterTestCase):
    """RFC 6121 §2.6"""

    def test_since(self) -> None:
        """What has changed, in the order of the last change of each; removed contacts, too."""
        self.change({A: RosterItem(), B: RosterItem()})
        version = self.roster.version
        self.assertEqual(self.since(version), [])
        self.change({A: RosterItem("1")})
        self.change({C: RosterItem()})
        self.change({A: RosterItem("2")})
        self.change({B: None})
        self.assertEqual(self.since(version), [(C, True), (A, True), (B, False)])
        versions = [version for version, _, _ in self.roster.changesSince(version) or ()]
        self.assertEqual((len(set(versions)), versions[-1]), (3, self.roster.version))

    def test_unknown(self) -> None:
        """Of versions that were never given, whole rosters are sent: C{None}."""
        self.assertEqual(self.since("0"), [])
        self.change({A: RosterItem()})
        epoch = self.roster.version.partition("-")[0]
        numbers = ("2", "-1", "", "9" * 30, "١")
        for version in ("", "0", "1", "x-1", *(f"{epoch}-{number}" for number in numbers)):
            self.assertIsNone(self.since(version), version)
        self.assertEqual(self.since(f"{epoch}-0"), [(A, True)])

    def test_otherRoster(self) -> None:
        """A version of an earlier roster of this account is unknown."""
        self.change({A: RosterItem()})
        version = self.roster.version
        self.successResultOf(self.store.delete("r@x"))
        self.roster = self.reload()
        self.assertIsNone(self.since(version))
        self.change({B: RosterItem()})
        self.assertIsNone(self.since(version))

    def test_removedLimit(self) -> None:
        """The last removed contacts are remembered; who was away for longer gets the whole roster."""
        self.change({A: RosterItem()})
        versions = []
        for n in range(REMOVED_LIMIT + 2):
            self.change({f"{n}@y": RosterItem()})
            versions.append(self.roster.version)
            self.change({f"{n}@y": None})
        for roster in (self.roster, self.reload()):
            self.assertIsNone(roster.changesSince(versions[0]))
            self.assertIsNone(roster.changesSince(versions[1]))
            self.assertEqual(len(roster.changesSince(versions[2]) or ()), REMOVED_LIMIT)

    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from([A, B, C, "d@x"]),
                st.sampled_from([None, *(RosterItem(name) for name in "12"), RosterItem(request=b"x", listed=False)]),
                max_size=3,
            ),
            max_size=12,
        )
    )
    def test_anyChanges(self, changes: list[Changes]) -> None:
        """Who knows any version that is known, and applies what has changed since, has the present roster."""
        self.patch(accountroster, "REMOVED_LIMIT", 2)
        self.setUp()
        known = [(self.roster.version, dict(self.roster.listed()))]
        for each in changes:
            self.change(each)
            known.append((self.roster.version, dict(self.roster.listed())))
        again = self.reload()
        self.assertEqual(again.items, self.roster.items)
        for roster in (self.roster, again):
            self.assertEqual(roster.changesSince(known[-1][0]), [])
            for version, items in known:
                found = roster.changesSince(version)
                for _, jid, item in found or ():
                    if item is None:
                        items.pop(jid, None)
                    else:
                        items[jid] = item
                if found is not None:
                    self.assertEqual(items, dict(roster.listed()))
