# -*- test-case-name: tests.server.test_federation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""With which servers to speak, by the configuration."""

from __future__ import annotations

from muccore.config.errors import ConfigError
from muccore.config.schema import Settings
from muccore.net.peertls import TrustStore
from muccore.net.tls import TLSConfigError
from muccore.stream.s2s.policy import PeerPolicy


def makePolicy(settings: Settings) -> PeerPolicy:
    """
    Make the policy from the configuration.

    @raise ConfigError: if the certificates of authorities cannot be read.
    """
    section = settings.s2s
    path = section.trustedCertificates
    try:
        if not section.isEnabled:
            trust = TrustStore()
        else:
            trust = TrustStore.ofSystem() if path is None else TrustStore(path.path)
    except TLSConfigError as e:
        raise ConfigError([settings.problem("s2s", "trusted_certificates", str(e))]) from None
    return PeerPolicy(
        trust, section.tls == "required", section.bidirectional, section.dialback, frozenset(section.dialbackDomains),
        frozenset(section.certificateDomains), frozenset(section.blockedDomains), frozenset(section.allowedDomains),
    )  # fmt: skip
