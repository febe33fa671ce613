# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.roommessage}."""

from __future__ import annotations

from itertools import islice
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.roommessage import newId, randomIds


class RandomIdTests(SynchronousTestCase):
    """Ids of messages."""

    def test_ids(self) -> None:
        """They are random UUIDs, beyond those that are made at once; two sources do not make the same."""
        found = [*islice(randomIds(), 600), *islice(randomIds(), 600)]
        self.assertEqual(len(set(found)), 1200)
        for text in found:
            id = UUID(text)
            self.assertEqual((id.version, id.variant, str(id)), (4, "specified in RFC 4122", text))

    def test_newId(self) -> None:
        """One at a time."""
        self.assertEqual(len({UUID(newId()) for _ in range(300)}), 300)
