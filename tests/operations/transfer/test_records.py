# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of C{muccore.operations.transfer.records}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.records import Problem, User
from muccore.xmpp.scramkeys import ScramKeys


class RecordsTests(SynchronousTestCase):
    """Records as text."""

    def test_secrets(self) -> None:
        """A password and keys are not in what a failure shows of an account."""
        keys = ScramKeys("SHA-1", b"salt", 4096, b"a stored key", b"a server key")
        shown = repr(User(account="juliet@capulet.lit", password="s3cret", keys=(keys,)))
        self.assertIn("juliet@capulet.lit", shown)
        for secret in ("s3cret", "a stored key", "a server key"):
            self.assertNotIn(secret, shown)

    def test_problem(self) -> None:
        """A problem is a line for the operator, with whom it concerns."""
        problem = Problem("juliet@capulet.lit", "a list", "it is empty")
        self.assertEqual(str(problem), "juliet@capulet.lit: a list: it is empty")
        self.assertEqual(str(Problem("", "an element", "it is not known")), "an element: it is not known")
