# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.datetimes}."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.doubles import SettableClock
from muccore.xmpp.datetimes import parseStamp, stamp, timeOfDay


class TimeOfDayTests(SynchronousTestCase):
    """L{timeOfDay}"""

    def test_set(self) -> None:
        """It is the clock's own, and follows when that is set; without one it is its seconds."""
        clock, other = SettableClock(), Clock()
        now = timeOfDay(clock)
        clock.advance(5)
        clock.setBy = -3600
        self.assertEqual((now(), clock.seconds()), (-3595, 5))
        other.advance(7)
        self.assertEqual(timeOfDay(other)(), 7)


class StampTests(SynchronousTestCase):
    """L{stamp}"""

    def test_utc(self) -> None:
        """Times are formatted in UTC (XEP-0082, example of §3.2)."""
        self.assertEqual(stamp(-14158740), "1969-07-21T03:01:00Z")

    def test_roundedDown(self) -> None:
        """Fractions of a second are rounded down, so that no stamp is in the future."""
        self.assertEqual(stamp(0.999), "1970-01-01T00:00:00Z")
        self.assertEqual(stamp(-0.5), "1969-12-31T23:59:59Z")

    def test_farYears(self) -> None:
        """Years are from 0001 to 9999."""
        self.assertEqual(stamp(-62135596800), "0001-01-01T00:00:00Z")
        self.assertEqual(stamp(253402300799.5), "9999-12-31T23:59:59Z")
        for moment in (-62135596801, 253402300800, float("nan"), float("inf")):
            self.assertRaises(ValueError, stamp, moment)

    @given(st.integers(-62135596800, 253402300799))
    def test_roundTrip(self, seconds: int) -> None:
        """A formatted time is parsed to the same time."""
        self.assertEqual(parseStamp(stamp(seconds)), seconds)


class ParseTests(SynchronousTestCase):
    """L{parseStamp}"""

    def test_offsets(self) -> None:
        """Offsets from UTC are parsed (XEP-0082 §3.2)."""
        self.assertEqual(parseStamp("1969-07-20T21:56:15-05:00"), parseStamp("1969-07-21T02:56:15Z"))
        self.assertEqual(parseStamp("1970-01-01T05:30:00+05:30"), 0)

    def test_fractions(self) -> None:
        """Fractions of a second are parsed."""
        self.assertEqual(parseStamp("1970-01-01T00:00:01.25Z"), 1.25)
        self.assertEqual(parseStamp("1970-01-01T01:00:00.5+01:00"), 0.5)

    def test_refused(self) -> None:
        """Other formats and times that do not exist are refused."""
        for text in (
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00z",
            "1970-01-01 00:00:00Z",
            "19700101T00:00:00",
            "1970-13-01T00:00:00Z",
            "1970-02-30T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:60Z",
            "0000-01-01T00:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+15:00",
            "1970-01-01T00:00:00+01:60",
            "1970-01-01T00:00:00Z ",
            "1970-01-01T00:00:00Z\n",
            "١٩٧٠-01-01T00:00:00Z",
            "1970-01-01T00:00:00." + "1" * 5000 + "Z",
        ):
            self.assertRaises(ValueError, parseStamp, text)

    @given(st.text(max_size=40))
    def test_anyText(self, text: str) -> None:
        """Any text is a number or C{ValueError}."""
        try:
            self.assertIsInstance(parseStamp(text), float)
        except ValueError as e:
            self.assertTrue(str(e))
