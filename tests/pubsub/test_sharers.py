# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.pubsub.sharers}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.pubsub import sharers
from muccore.pubsub.sharers import Sharers

A, B = frozenset(["a"]), frozenset(["b"])


class SharersTests(SynchronousTestCase):
    """Presence from elsewhere."""

    def setUp(self) -> None:
        """Nobody is there."""
        self.sharers = Sharers()

    def of(self, account: str) -> list[str]:
        """Who is there."""
        return [full for full, _ in self.sharers.of(account)]

    def test_known(self) -> None:
        """Who has presence at an account is found until they go."""
        self.sharers.put("x", "a@b/1", A, True)
        self.sharers.put("x", "a@b/2", A, False)
        self.sharers.put("y", "a@b/1", A, True)
        self.sharers.put("x", "a@b/2", B, True)
        self.assertEqual(list(self.sharers.of("x")), [("a@b/1", A), ("a@b/2", B)])
        self.assertEqual((self.sharers.get("x", "a@b/2"), self.sharers.get("y", "a@b/2")), (B, None))
        self.assertEqual(self.sharers.ofBare("x", "a@b"), [("a@b/1", A), ("a@b/2", B)])
        self.sharers.remove("x", "a@b/1")
        self.sharers.remove("x", "a@b/3")
        self.sharers.remove("z", "a@b/1")
        self.assertEqual((self.of("x"), self.of("y")), (["a@b/2"], ["a@b/1"]))
        self.sharers.removeAccount("x")
        self.assertEqual((self.of("x"), self.of("y")), ([], ["a@b/1"]))

    def test_domain(self) -> None:
        """Nobody is there any more of a domain that is lost."""
        for full in ("a@b/1", "b/1", "c@x.b/1"):
            self.sharers.put("x", full, A, True)
        self.sharers.removeDomain("b")
        self.assertEqual(self.of("x"), ["c@x.b/1"])

    def test_bounded(self) -> None:
        """Of one address the last resources are remembered, and of those who are no contacts the last ones."""
        for number in range(sharers.RESOURCES_LIMIT + 2):
            self.sharers.put("x", f"a@b/{number}", A, True)
        self.assertEqual(self.of("x")[0], "a@b/2")
        self.sharers.removeAccount("x")
        self.patch(sharers, "STRANGERS_LIMIT", 2)
        for number in range(4):
            self.sharers.put(f"x{number}", f"a{number}@b/1", A, False)
            self.sharers.put("contact", f"a{number}@b/1", A, True)
        self.assertEqual([self.of(f"x{number}") for number in range(4)], [[], [], ["a2@b/1"], ["a3@b/1"]])
        self.assertEqual(len(self.of("contact")), 4)
