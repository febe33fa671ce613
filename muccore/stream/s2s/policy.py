# -*- test-case-name: tests.stream.s2s.test_policy -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Which domains may be spoken to, and how they have to prove themselves."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.net.peertls import TrustStore


def isWithin(domain: str, domains: frozenset[str]) -> bool:
    """Whether a domain is one of several, or below one."""
    while domain not in domains:
        _, dot, domain = domain.partition(".")
        if not dot:
            return False
    return True


@dataclass(frozen=True)
class PeerPolicy:
    """
    The policy. Each domain in its lists stands for those below it, too.

    @ivar trust: who vouches for certificates.
    @ivar tlsRequired: whether streams must be encrypted.
    @ivar bidirectional: whether one stream may be used in both directions (XEP-0288).
    @ivar dialback: whether dialback is enough (XEP-0220).
    @ivar dialbackDomains: for which domains it is in any case.
    @ivar certificateDomains: for which it never is.
    @ivar blocked: what is refused.
    @ivar allowed: if there are any, everything else is refused.
    """

    trust: TrustStore
    tlsRequired: bool = True
    bidirectional: bool = True
    dialback: bool = False
    dialbackDomains: frozenset[str] = frozenset()
    certificateDomains: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()

    def isAllowed(self, domain: str) -> bool:
        """Whether there may be streams to and from a domain."""
        return not isWithin(domain, self.blocked) and (not self.allowed or isWithin(domain, self.allowed))

    def allowsDialback(self, domain: str) -> bool:
        """Whether dialback is enough for a domain."""
        if isWithin(domain, self.certificateDomains):
            return False
        return self.dialback or isWithin(domain, self.dialbackDomains)
