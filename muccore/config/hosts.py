# -*- test-case-name: tests.config.test_hosts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The hosts of a configuration: the domain of C{[server]}, and one for each section C{[host NAME]}."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.python.filepath import FilePath

if TYPE_CHECKING:
    from muccore.config.schema import Settings

Place = tuple[str, str]
"""A section and a key."""


@dataclass(frozen=True)
class Host:
    """
    A domain of accounts, and what belongs to it.

    @ivar domain: the domain.
    @ivar certificate: its certificate, or C{None}.
    @ivar privateKey: the key of that.
    @ivar certificateAt: where the certificate is configured.
    @ivar accounts: the description of the store of its accounts.
    @ivar accountsAt: where that is configured.
    @ivar roomServices: the domains of its rooms.
    @ivar roomServicesAt: where they are configured.
    """

    domain: str
    certificate: FilePath[str] | None
    privateKey: FilePath[str] | None
    certificateAt: Place
    accounts: str
    accountsAt: Place
    roomServices: tuple[str, ...]
    roomServicesAt: Place


def hostsOf(settings: Settings) -> tuple[Host, ...]:
    """The hosts of a configuration; the first is that of C{[server]}, from which the others take what they lack."""
    first = Host(
        settings.server.domain,
        settings.tls.certificate,
        settings.tls.privateKey,
        ("tls", "certificate"),
        settings.auth.backend,
        ("auth", "backend"),
        settings.muc.domain,
        ("muc", "domain"),
    )
    found = [first]
    for domain, section in settings.named["host"].items():
        title = f"host {domain}"
        own = section.certificate is not None
        found.append(
            Host(
                domain,
                section.certificate if own else first.certificate,
                section.privateKey if own else first.privateKey,
                (title, "certificate") if own else first.certificateAt,
                section.accounts or first.accounts,
                (title, "accounts") if section.accounts else first.accountsAt,
                section.muc,
                (title, "muc"),
            )
        )
    return tuple(found)
