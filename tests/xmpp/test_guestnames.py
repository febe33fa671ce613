# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.guestnames}."""

from __future__ import annotations

import uuid

from twisted.trial.unittest import SynchronousTestCase

from muccore.xmpp.guestnames import isGuestName, newGuestName
from muccore.xmpp.jid import prepareLocal


class GuestNameTests(SynchronousTestCase):
    """L{newGuestName}, L{isGuestName}"""

    def test_new(self) -> None:
        """Names are random, prepared, and recognized."""
        names = {newGuestName() for _ in range(100)}
        self.assertEqual(len(names), 100)
        self.assertTrue(all(isGuestName(name) and prepareLocal(name) == name for name in names))

    def test_others(self) -> None:
        """Other names are not a guest's, nor other UUIDs."""
        name = newGuestName()
        for other in ("", "romeo", name[:-1], f"{name}a", f"{name[:-1]}\n", name.replace("-", "_"), str(uuid.uuid1()),
                      "0" * 36, name[:-1] + "\u0661"):  # fmt: skip
            self.assertFalse(isGuestName(other), other)
