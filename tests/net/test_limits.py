# -*- test-case-name: tests.net.test_limits -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.net.limits}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.net.limits import LOOPBACK, AddressBuckets, AddressLimit, Networks, TokenBucket, addressOf


class TokenBucketTests(SynchronousTestCase):
    """L{TokenBucket}"""

    def setUp(self) -> None:
        """Create a bucket of 100 tokens per second and a capacity of 50."""
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.bucket = TokenBucket(100, 50, self.clock.seconds)

    def test_burst(self) -> None:
        """A full bucket gives its capacity without a wait, and not one token more."""
        self.assertEqual(self.bucket.take(50), 0)
        self.assertAlmostEqual(self.bucket.take(1), 0.01)

    def test_debt(self) -> None:
        """Taking more than the bucket holds means waiting in proportion."""
        self.assertAlmostEqual(self.bucket.take(1050), 10)
        self.clock.advance(9)
        self.assertAlmostEqual(self.bucket.take(0), 1)
        self.clock.advance(1)
        self.assertEqual(self.bucket.take(0), 0)

    def test_overflow(self) -> None:
        """A bucket never holds more than its capacity."""
        self.clock.advance(1000)
        self.assertAlmostEqual(self.bucket.take(60), 0.1)

    def test_clockSetBack(self) -> None:
        """Setting the clock back neither adds nor removes tokens."""
        self.bucket.take(50)
        self.clock.rightNow -= 3600
        self.assertAlmostEqual(self.bucket.take(10), 0.1)
        self.clock.advance(0.1)
        self.assertAlmostEqual(self.bucket.take(0), 0, 5)

    @given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 200)), max_size=30))
    def test_rate(self, events: list[tuple[float, int]]) -> None:
        """A caller that waits as returned never gets more than capacity and rate allow."""
        clock = Clock()
        bucket = TokenBucket(100, 50, clock.seconds)
        taken = 0
        for pause, tokens in events:
            clock.advance(pause)
            clock.advance(bucket.take(tokens))
            taken += tokens
            self.assertLessEqual(taken, 50 + 100 * clock.seconds() + 0.001)


class AddressBucketsTests(SynchronousTestCase):
    """L{AddressBuckets}"""

    def setUp(self) -> None:
        """Create buckets of 100 tokens per second and a capacity of 50."""
        self.buckets = AddressBuckets(100, 50, Clock().seconds)

    def test_shared(self) -> None:
        """An address has one bucket, in every spelling; an IPv6 address has that of its /64."""
        for first, second in (("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::2")):
            self.assertEqual(self.buckets.of(first).take(50), 0)
            self.assertGreater(self.buckets.of(second).take(1), 0)
        self.assertEqual(self.buckets.of("192.0.2.2").take(50), 0)
        self.assertEqual(len(self.buckets), 3)

    def test_bounded(self) -> None:
        """Of many addresses those are forgotten that have connected least recently."""
        self.buckets.of("192.0.2.1").take(50)
        self.buckets.of("192.0.2.2").take(50)
        for number in range(9_999):
            self.buckets.of(f"10.0.{number // 250}.{number % 250}")
            self.buckets.of("192.0.2.1")
        self.assertEqual(len(self.buckets), 10_000)
        self.assertGreater(self.buckets.of("192.0.2.1").take(1), 0)
        self.assertEqual(self.buckets.of("192.0.2.2").take(1), 0)


class NetworksTests(SynchronousTestCase):
    """L{Networks} and L{addressOf}"""

    def test_loopback(self) -> None:
        """All forms of loopback addresses are in it, and no others."""
        for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::1%lo"):
            self.assertIn(host, LOOPBACK)
        for host in ("128.0.0.1", "::2", "::ffff:10.0.0.1", "fe80::1%eth0"):
            for _ in range(2):
                self.assertNotIn(host, LOOPBACK)

    def test_noAddress(self) -> None:
        """A peer without an IP address is in every set."""
        self.assertIsNone(addressOf("/run/muccore.sock"))
        self.assertIn("", LOOPBACK)
        self.assertIn("", Networks([]))

    def test_invalid(self) -> None:
        """An invalid network raises ValueError."""
        for network in ("127.0.0.1/8", "localhost", "1.2.3.4/33", ""):
            self.assertRaises(ValueError, Networks, [network])


class AddressLimitTests(SynchronousTestCase):
    """L{AddressLimit}"""

    def test_perAddress(self) -> None:
        """An address may have a limited number of connections, until one of them ends."""
        limit = AddressLimit(2)
        self.assertEqual(
            [limit.enter(host) for host in ("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1")],
            [None, None, "policy-violation", None, "policy-violation"],
        )
        limit.leave("::ffff:10.0.0.1")
        self.assertIsNone(limit.enter("10.0.0.1"))
        self.assertIsNone(limit.enter("10.0.0.1", True))
        self.assertEqual(limit.count, 4)

    def test_ipv6(self) -> None:
        """A /64 of IPv6 counts as one address."""
        limit = AddressLimit(1)
        self.assertIsNone(limit.enter("2001:db8::1"))
        self.assertEqual(limit.enter("2001:db8::2:3"), "policy-violation")
        self.assertIsNone(limit.enter("2001:db8:0:1::1"))

    def test_exempt(self) -> None:
        """Exempt addresses are limited by the total only."""
        limit = AddressLimit(1, 3)
        self.assertEqual([limit.enter("127.0.0.1") for _ in range(4)], [None, None, None, "resource-constraint"])
        self.assertEqual(limit.enter("10.0.0.1"), "resource-constraint")
        limit.leave("127.0.0.1")
        self.assertIsNone(limit.enter("10.0.0.1"))

    def test_unlimited(self) -> None:
        """0 is no limit."""
        limit = AddressLimit(0)
        self.assertEqual({limit.enter("10.0.0.1") for _ in range(100)}, {None})

    def test_change(self) -> None:
        """A limit can be changed, and applies to new connections."""
        limit = AddressLimit(1)
        limit.enter("10.0.0.1")
        limit.perAddress = 2
        self.assertIsNone(limit.enter("10.0.0.1"))
        limit.perAddress = 1
        self.assertEqual(limit.enter("10.0.0.1"), "policy-violation")

    def test_nothingKept(self) -> None:
        """Addresses without connections are forgotten."""
        limit = AddressLimit(1)
        for n in range(100):
            limit.enter(f"10.0.0.{n}")
            limit.enter(f"10.0.0.{n}")
        for n in range(100):
            limit.leave(f"10.0.0.{n}")
        self.assertEqual((limit.count, limit._counts), (0, {}))
