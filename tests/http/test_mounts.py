# -*- test-case-name: tests.http.test_mounts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.http.mounts}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from muccore.http.mounts import Mounts
from muccore.interfaces.http import HTTPResource


class MountsTests(SynchronousTestCase):
    """Paths of resources."""

    def test_find(self) -> None:
        """A resource covers what is below it; C{/} does not."""
        mounts = Mounts()
        for path in ("/", "/a", "/b/c"):
            mounts.add(HTTPResource(path, Resource()))
        for asked, expected in (
            (b"/", "/"), (b"/?x", "/"), (b"/a", "/a"), (b"/a/", "/a"), (b"/a/b/../c", "/a"), (b"/a?/b/c", "/a"),
            (b"/ab", None), (b"/b", None), (b"/b/c/d", "/b/c"), (b"", None), (b"*", None), (b"//a", None),
        ):  # fmt: skip
            found = mounts.find(asked)
            self.assertEqual(None if found is None else found.path, expected, asked)

    def test_refused(self) -> None:
        """A path that is none, or is taken, or would be covered, is refused."""
        mounts = Mounts()
        mounts.add(HTTPResource("/a/b", Resource()))
        for path in ("", "a", "/a b", "/a/", "//a", "/../a", "/a/.", "/\xe9", "/a?b", "/%41"):
            self.assertIn("no path", str(self.assertRaises(ValueError, mounts.add, HTTPResource(path, Resource()))))
        for path in ("/a", "/a/b", "/a/b/c"):
            self.assertIn("taken", str(self.assertRaises(ValueError, mounts.add, HTTPResource(path, Resource()))))
        self.assertIn("no resource", str(self.assertRaises(ValueError, mounts.add, HTTPResource("/c", object()))))
