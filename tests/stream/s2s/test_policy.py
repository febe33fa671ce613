# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.stream.s2s.policy}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.net.peertls import TrustStore
from muccore.stream.s2s.policy import PeerPolicy, isWithin


class PolicyTests(SynchronousTestCase):
    """Lists of domains."""

    def test_within(self) -> None:
        """A domain stands for those below it, and for no other that ends like it."""
        domains = frozenset(["example.org", "test"])
        for domain, expected in (
            ("example.org", True), ("rooms.example.org", True), ("a.b.example.org", True), ("x.test", True),
            ("badexample.org", False), ("org", False), ("example.com", False), ("", False),
        ):  # fmt: skip
            self.assertEqual(isWithin(domain, domains), expected, domain)

    def test_allowed(self) -> None:
        """What is blocked is never allowed; a list of what is allowed excludes everything else."""
        policy = PeerPolicy(TrustStore(), blocked=frozenset(["bad.org"]))
        self.assertTrue(policy.isAllowed("example.org"))
        self.assertFalse(policy.isAllowed("rooms.bad.org"))
        policy = PeerPolicy(TrustStore(), blocked=frozenset(["bad.org"]), allowed=frozenset(["org"]))
        self.assertTrue(policy.isAllowed("example.org"))
        self.assertFalse(policy.isAllowed("example.com"))
        self.assertFalse(policy.isAllowed("bad.org"))

    def test_dialback(self) -> None:
        """Dialback is off; single domains may use it, and others never may."""
        listed = frozenset(["old.org"])
        policy = PeerPolicy(TrustStore(), dialbackDomains=listed)
        self.assertEqual([policy.allowsDialback(each) for each in ("old.org", "new.org")], [True, False])
        policy = PeerPolicy(TrustStore(), dialback=True, certificateDomains=frozenset(["bank.org"]))
        self.assertEqual([policy.allowsDialback(each) for each in ("a.bank.org", "new.org")], [False, True])
        policy = PeerPolicy(TrustStore(), dialbackDomains=listed, certificateDomains=listed)
        self.assertFalse(policy.allowsDialback("old.org"))
