# -*- test-case-name: tests.stream.bosh.test_keys -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.bosh.keys}."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.stream.bosh.body import Body
from muccore.stream.bosh.errors import BindingError
from muccore.stream.bosh.keys import KeySequence, isSameKey
from tests.stream.bosh import request


def keys(seed: str, count: int) -> list[str]:
    """The keys K(1) to K(count) (XEP-0124 §15.3)."""
    found = [seed]
    for _ in range(count):
        found.append(sha1(found[-1].encode()).hexdigest())
    return found[1:]


def body(**attributes: Any) -> Body:
    """A request."""
    return Body(request(1, **attributes))


class KeyTests(SynchronousTestCase):
    """XEP-0124 §15."""

    def test_sequence(self) -> None:
        """Each key is the preimage of the one before, without regard to case; a sequence may be replaced."""
        *rest, first = keys("seed", 4)
        other = keys("other", 2)
        sequence = KeySequence(body(newkey=first.upper()))
        sequence.check(body(key=rest[2]))
        sequence.check(body(key=rest[1]))
        self.assertRaises(BindingError, KeySequence(body(newkey=first)).check, body(key=rest[1]))
        sequence = KeySequence(body(newkey=first))
        sequence.check(body(key=rest[2], newkey=other[1]))
        sequence.check(body(key=other[0]))

    def test_wrong(self) -> None:
        """A wrong or missing key is an error, as if the session did not exist."""
        first = keys("seed", 3)[-1]
        for wrong in (body(), body(key=""), body(key=first), body(key="x"), body(newkey=first), body(key="\u00e9")):
            with self.assertRaises(BindingError) as caught:
                KeySequence(body(newkey=first)).check(wrong)
            self.assertEqual(caught.exception.binding, "item-not-found")

    def test_none(self) -> None:
        """Without a first key nothing is checked, until there is one."""
        sequence = KeySequence(body())
        sequence.check(body())
        sequence.check(body(key="x"))
        before, first = keys("seed", 2)
        sequence.check(body(newkey=first))
        self.assertRaises(BindingError, sequence.check, body())
        sequence.check(body(key=before))

    def test_same(self) -> None:
        """A request that is sent again has the same key."""
        for first, again, same in (
            (None, None, True), ("a", "A", True), ("a", "b", False), (None, "a", False), ("a", None, False),
        ):  # fmt: skip
            self.assertEqual(isSameKey(first, again), same)
