# -*- test-case-name: tests.muc.model.test_costs -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.costs}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.costs import HIGHEST_PRICE, LOG_INTERVAL, REMEMBERED, CostRates, Costs

NOW = 1_000_000.0
RATES = CostRates(occupantRate=100, occupantBurst=1000, roomRate=0, roomBurst=1000)
WITH_ROOM = RATES._replace(roomRate=200, roomBurst=2000)


class CostsTests(SynchronousTestCase):
    """L{Costs}"""

    def setUp(self) -> None:
        """Create the costs of a room."""
        self.costs = Costs()

    def add(self, account: str, cost: int, now: float = NOW, rates: CostRates = RATES) -> float:
        """Charge an account; return the seconds of its debt."""
        debt = self.costs.add(account, cost, now, rates)
        self.assertAlmostEqual(self.costs.debt(account, now, rates), 0 if debt is None else debt.seconds)
        return 0.0 if debt is None else debt.seconds

    def test_burst(self) -> None:
        """What a burst allows makes no debt; what exceeds it is paid at the rate."""
        self.assertEqual(self.add("a", 600), 0)
        self.assertEqual(self.add("a", 400), 0)
        self.assertAlmostEqual(self.add("a", 50), 0.5)
        self.assertAlmostEqual(self.add("a", 50), 1)
        self.assertAlmostEqual(self.costs.debt("a", NOW + 0.75, RATES), 0.25)
        self.assertEqual(self.costs.debt("a", NOW + 2, RATES), 0)

    def test_refilled(self) -> None:
        """The bucket fills at the rate, up to the burst."""
        self.add("a", 1000)
        self.assertEqual(self.add("a", 500, NOW + 5), 0)
        self.assertAlmostEqual(self.add("a", 1100, NOW + 1000), 1)

    def test_accounts(self) -> None:
        """Each account has its own."""
        self.assertGreater(self.add("a", 5000), 0)
        self.assertEqual(self.add("b", 1000), 0)

    def test_longest(self) -> None:
        """An act makes no longer debt than it may, and shortens none."""
        debt = self.costs.add("a", 1_000_000, NOW, RATES, 20)
        assert debt is not None
        self.assertAlmostEqual(debt.seconds, 20)
        self.assertAlmostEqual(self.add("a", 1000), 30)
        debt = self.costs.add("a", 1_000_000, NOW, RATES, 20)
        assert debt is not None
        self.assertAlmostEqual(debt.seconds, 30)

    def test_off(self) -> None:
        """Without a rate nothing is limited, and debts do not count any more."""
        off = RATES._replace(occupantRate=0)
        self.add("a", 5000)
        self.assertEqual(self.costs.debt("a", NOW, off), 0)
        self.assertEqual(self.add("b", 1_000_000, rates=off), 0)

    def test_indebted(self) -> None:
        """Whether there are debts is noted until the last one is paid."""
        self.assertFalse(self.costs.indebted)
        self.add("a", 1500)
        self.add("b", 1200)
        self.assertTrue(self.costs.indebted)
        self.assertEqual(self.costs.debt("b", NOW + 4, RATES), 0)
        self.assertTrue(self.costs.indebted)
        self.costs.debt("b", NOW + 5, RATES)
        self.assertFalse(self.costs.indebted)

    def test_forgive(self) -> None:
        """A debt can be forgiven."""
        self.add("a", 5000)
        self.costs.forgive("a")
        self.assertEqual(self.costs.debt("a", NOW, RATES), 0)
        Costs().forgive("a")

    def test_isNew(self) -> None:
        """A debt is new after a time without any."""
        found = []
        for now in (0.0, 1.0, 50.0, 50 + LOG_INTERVAL - 1, 49 + 2 * LOG_INTERVAL, 49 + 3 * LOG_INTERVAL):
            debt = self.costs.add("a", 2000, NOW + now * 100, RATES)
            assert debt is not None
            found.append(debt.isNew)
        self.assertEqual(found, [True] * 6)
        debts = [self.costs.add("b", 2000, NOW + now, RATES) for now in (0, 10, 69, 128, 190)]
        self.assertEqual([debt is not None and debt.isNew for debt in debts], [True, False, False, False, True])

    def test_forgotten(self) -> None:
        """Accounts whose bucket is full are forgotten, and of the others no more than a number is kept."""
        for number in range(100):
            self.add(f"a{number}", 100, NOW + number * 10)
        accounts = self.costs._accounts
        assert accounts is not None
        self.assertLessEqual(len(accounts), 3)
        for number in range(REMEMBERED + 100):
            self.add(f"b{number}", 1000, NOW + 5000)
        self.assertLessEqual(len(accounts), REMEMBERED + 1)

    def test_price(self) -> None:
        """While the room's own bucket is overdrawn, acts cost more, up to a limit, until it is paid soon after."""
        for account in "abcdefgh":
            self.assertEqual(self.add(account, 1000, rates=WITH_ROOM), max(0, self.add(account, 0, rates=WITH_ROOM)))
        # 8000 - 2000 of 200 a second would be 30 s.
        self.assertAlmostEqual(self.add("new", 100, rates=WITH_ROOM), 0)
        self.assertAlmostEqual(self.add("new", 100, rates=WITH_ROOM), (200 * HIGHEST_PRICE - 1000) / 100)
        self.assertEqual(self.add("late", 1000, NOW + HIGHEST_PRICE, WITH_ROOM), 0)

    def test_quietOccupant(self) -> None:
        """Whoever acts seldom does not wait for those who act without end, at any time."""
        held = dict.fromkeys("abcdefgh", NOW)
        spent = 0
        for step in range(6000):
            now = NOW + step / 10
            for account, until in held.items():
                if now >= until:
                    held[account] = now + self.add(account, 50, now, WITH_ROOM)
                    spent += 50 if step >= 3000 else 0
            if not step % 600:
                self.assertEqual(self.add("quiet", 50, now, WITH_ROOM), 0)
        # The room sends what it may, and not much more.
        self.assertLess(spent, 1.1 * 300 * 200)
        self.assertGreater(spent, 0.8 * 300 * 200)

    @given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 3000))))
    def test_anything(self, acts: list[tuple[float, int]]) -> None:
        """In the long run nobody who waits for their debts causes more than burst and rate allow."""
        costs, now, total, largest = Costs(), NOW, 0, 0
        for delay, cost in acts:
            now += delay
            debt = costs.add("a", cost, now, WITH_ROOM)
            total, largest = total + cost, max(largest, cost)
            if debt is not None:
                now += debt.seconds
            self.assertLess(costs.debt("a", now, WITH_ROOM), 1e-6)
            self.assertLessEqual(total, 1000 + 100 * (now - NOW) + 0.1)
