# -*- test-case-name: tests.http.upload.test_ranges -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.upload.ranges}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.http.upload.ranges import NotSatisfiable, parseRange


class RangeTests(SynchronousTestCase):
    """RFC 9110 §14.1.2 and §14.2."""

    def test_examples(self) -> None:
        """One range is cut to the file; what is no range, or several, is the whole."""
        for text, expected in (
            ("bytes=0-499", (0, 500)), ("bytes=500-999", (500, 1000)), ("bytes=-500", (500, 1000)),
            ("bytes=999-", (999, 1000)), ("Bytes=0-0", (0, 1)), ("bytes=-2000", (0, 1000)),
            ("bytes=900-5000", (900, 1000)), ("bytes=0-0,-1", None), ("bytes=5-4", None), ("bytes=", None),
            ("bytes=-", None), ("lines=0-1", None), ("bytes=a-b", None), ("bytes=--1", None), ("", None),
            ("bytes=" + "9" * 5000 + "-", None),
        ):  # fmt: skip
            self.assertEqual(parseRange(text, 1000), expected, text)
        for text in ("bytes=1000-", "bytes=1000-2000", "bytes=-0"):
            self.assertRaises(NotSatisfiable, parseRange, text, 1000)

    @given(st.integers(1, 50), st.integers(0, 60), st.none() | st.integers(0, 60))
    def test_like_slices(self, size: int, first: int, last: int | None) -> None:
        """What is sent is what a slice of the file is."""
        text = f"bytes={first}-{'' if last is None else last}"
        data = bytes(range(size))
        expected = data[first:] if last is None else data[first : last + 1]
        try:
            found = parseRange(text, size)
        except NotSatisfiable:
            self.assertEqual(expected, b"")
        else:
            if found is None:
                self.assertLess(last or 0, first)
            else:
                self.assertEqual(data[found[0] : found[1]], expected)
