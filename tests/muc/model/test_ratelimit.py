# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.ratelimit}."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.ratelimit import REMEMBERED, RateLimit

PERIOD = 60


class RateLimitTests(SynchronousTestCase):
    """L{RateLimit}"""

    def test_single(self) -> None:
        """Once a period; what is refused does not count."""
        limit = RateLimit(1, PERIOD)
        found = [limit.take("a", now) for now in (1000, 1000, 1010, 1059, 1060, 1119.5, 1120)]
        self.assertEqual(found, [0, 60, 50, 1, 0, 0.5, 0])

    def test_several(self) -> None:
        """All at once, then one whenever a part of the period is over; each has their own."""
        limit = RateLimit(3, PERIOD)
        self.assertEqual([limit.take("a", 1000) for _ in range(5)], [0, 0, 0, 20, 20])
        self.assertEqual(limit.take("b", 1000), 0)
        self.assertEqual([limit.take("a", now) for now in (1019, 1020, 1020, 1080, 1080)], [1, 0, 20, 0, 0])

    def test_times(self) -> None:
        """Several at once are taken together or not at all."""
        limit = RateLimit(3, PERIOD)
        found = [limit.take("a", now, times) for now, times in ((1000, 2), (1000, 2), (1000, 1), (1000, 3), (1060, 3))]
        self.assertEqual(found, [0, 20, 0, 60, 0])
        self.assertGreater(limit.take("b", 1000, 4), 0)

    def test_clockSetBack(self) -> None:
        """Nobody waits longer than a period."""
        limit = RateLimit(1, PERIOD)
        limit.take("a", 10_000)
        self.assertEqual(limit.take("a", 1000), PERIOD)
        self.assertEqual(limit.take("a", 9_999), PERIOD)
        self.assertEqual(limit.take("a", 10_060), 0)

    def test_forgotten(self) -> None:
        """Those with their whole allowance are forgotten when others use theirs."""
        limit = RateLimit(2, PERIOD)
        for index in range(100):
            limit.take(str(index), 1000)
        for index in range(100):
            limit.take(f"new {index}", 1000 + PERIOD)
        self.assertEqual(len(limit), 100)

    def test_bounded(self) -> None:
        """Of too many the earliest are forgotten."""
        limit = RateLimit(1, PERIOD)
        for index in range(REMEMBERED + 10):
            limit.take(str(index), 1000)
        self.assertEqual(len(limit), REMEMBERED)
        self.assertEqual((limit.take(str(REMEMBERED), 1001) > 0, limit.take("0", 1001)), (True, 0))

    @settings(max_examples=100)
    @given(
        st.integers(1, 5),
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), max_size=60),
    )
    def test_anything(self, count: int, uses: list[tuple[int, str]]) -> None:
        """Fewer than the allowance within a period are never refused; never more than it at once; the wait suffices."""
        limit, now = RateLimit(count, PERIOD), 1000.0
        admitted: list[tuple[float, str]] = []
        for after, key in uses:
            now += after
            recent = [when for when, who in admitted if who == key and when > now - PERIOD]
            found = limit.wait(key, now)
            wait = limit.take(key, now)
            self.assertEqual(found, wait)
            if wait:
                self.assertGreaterEqual(len(recent), count)
                self.assertLessEqual(wait, PERIOD / count + 1e-6)
                now += wait
                self.assertEqual(limit.take(key, now), 0)
            admitted.append((now, key))
            # At once the allowance, and in any time what was refilled.
            for start, who in admitted:
                if who == key:
                    used = sum(1 for when, other in admitted if other == key and start <= when)
                    self.assertLessEqual(used, count + (now - start) * count / PERIOD + 1e-6)
            self.assertLessEqual(len(limit), 3)
