# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.uniqueids}."""

from __future__ import annotations

from itertools import islice
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp.uniqueids import newId, randomIds


class RandomIdTests(SynchronousTestCase):
    """Ids of messages."""

    def test_ids(self) -> None:
        """They are random UUIDs, beyond those that are made at once; two sources do not make the same."""
        found = [*islice(randomIds(), 600), *islice(randomIds(), 600)]
        self.assertEqual(len(set(found)), 1200)
        for text in found:
            id = UUID(text)
            self.assertEqual((id.version, id.variant, str(id)), (4, "specified in RFC 4122", text))

    def test_beginning(self) -> None:
        """Those of a tenth of a second begin alike, in 8 digits; the others are random."""
        now = [1000.0]
        ids = randomIds(lambda: now[0])
        found = []
        for now[0] in (1000.0, 1000.05, 1000.099, 1000.1, 1000.15, 1000.3):
            found += [UUID(next(ids)) for _ in range(100)]
        beginnings = [id.time_low for id in found]
        self.assertEqual([len(set(beginnings[at : at + 100])) for at in range(0, 600, 100)], [1] * 6)
        at = [beginnings[at] for at in range(0, 600, 100)]
        self.assertEqual((at[0], at[1], at[3]), (at[1], at[2], at[4]))
        self.assertEqual(len({at[0], at[3], at[5]}), 3)
        self.assertEqual(len({id.int & (1 << 90) - 1 for id in found}), 600)

    def test_newId(self) -> None:
        """One at a time."""
        self.assertEqual(len({UUID(newId()) for _ in range(300)}), 300)
