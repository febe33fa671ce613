# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.xmpp.elementmemory}."""

from __future__ import annotations

import tracemalloc

from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.inmemory import parseStanza
from muccore.xmpp.elementmemory import memoryOf


class MemoryTests(SynchronousTestCase):
    """L{memoryOf}"""

    def test_estimate(self) -> None:
        """It is about what Python needs, for long texts, many elements and many attributes."""
        for text in (
            f"<message><body>{'x' * 100_000}</body></message>",
            f"<message><body>{'日' * 80_000}</body></message>",
            f"<message>{'<a/>' * 1000}</message>",
            f"<message>{'<a><b>text</b></a>' * 500}</message>",
            "<message>" + "<a " + " ".join(f"attribute{n}='value{n}'" for n in range(50)) + "/></message>",
        ):
            parseStanza(text)
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            elements = [parseStanza(text) for _ in range(10)]
            size = (tracemalloc.get_traced_memory()[0] - before) / 10
            tracemalloc.stop()
            estimate = memoryOf(elements[0])
            self.assertGreater(estimate, size * 0.5, text[:30])
            self.assertLess(estimate, size * 2.5, text[:30])
