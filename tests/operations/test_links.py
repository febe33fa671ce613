# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.operations.links}. C{tests.endtoend.test_federation} has a running server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.links import listLinks
from muccore.operations.refused import Refused
from muccore.testing.server import makeSettings


class LinksTests(SynchronousTestCase):
    """Without a server."""

    def test_notRunning(self) -> None:
        """There is nothing to list."""
        self.assertRaises(Refused, listLinks, makeSettings())
