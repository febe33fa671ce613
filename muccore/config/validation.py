# -*- test-case-name: tests.config.test_validation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What the values of one configuration must be to each other.

A check is a generator over the settings and yields C{(section, key, text)} for what is wrong. It may be given
settings of which some values could not be read; touching one of those ends it, and what it has yielded counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from muccore.config.endpoints import isEphemeral, isLocal
from muccore.config.errors import quoted
from muccore.config.plugins import globalReactor
from muccore.config.schema import Settings
from muccore.storage.registry import makeStore

Finding = tuple[str, str, str]
"""Section, key and text of a problem."""

_LOOPBACK: Final = "end the endpoint with :interface=127.0.0.1"


def _exposed(endpoints: tuple[str, ...]) -> list[str]:
    return [endpoint for endpoint in endpoints if not isLocal(endpoint)]


def _listening(settings: Settings) -> Iterator[Finding]:
    """There is something to connect to, and nothing twice."""
    everything = settings.c2s.listen + settings.c2s.directTlsListen
    if not everything:
        yield "c2s", "listen", "found no endpoint here nor in direct_tls_listen; allowed: at least one"
    for key, own in (("listen", settings.c2s.listen), ("direct_tls_listen", settings.c2s.directTlsListen)):
        for endpoint in sorted(set(own)):
            if everything.count(endpoint) > 1 and not isEphemeral(endpoint):
                yield (
                    "c2s",
                    key,
                    f"found {quoted(endpoint)} more than once in listen and direct_tls_listen; allowed: once",
                )


def _encrypting(settings: Settings) -> Iterator[Finding]:
    """Whatever can be reached from outside is encrypted, and no password crosses a network unencrypted."""
    exposed = _exposed(settings.c2s.listen)
    if not exposed:
        return
    where = f"where listen has {quoted(exposed[0])}, which is not on a loopback address"
    if settings.c2s.tls == "off":
        yield (
            "c2s",
            "tls",
            f"found 'off' {where}; allowed there: required, optional (or {_LOOPBACK})",
        )
    elif settings.c2s.tls == "optional" and settings.c2s.allowPlaintextAuth:
        yield (
            "c2s",
            "allow_plaintext_auth",
            f"found 'yes' with tls = optional {where}; allowed there: no (or set tls = required, or {_LOOPBACK})",
        )


def _certified(settings: Settings) -> Iterator[Finding]:
    """Where TLS is offered there is a certificate, and a certificate has its key."""
    if settings.c2s.tls != "off":
        need = f"needed for [c2s] tls = {settings.c2s.tls}"
    elif settings.c2s.directTlsListen:
        need = "needed for [c2s] direct_tls_listen"
    else:
        need = ""
    certificate, privateKey = settings.tls.certificate, settings.tls.privateKey
    if certificate is None and (need or privateKey is not None):
        yield "tls", "certificate", f"found nothing; allowed: the path of a file, {need or 'needed with private_key'}"
    if privateKey is None and (need or certificate is not None):
        yield "tls", "private_key", f"found nothing; allowed: the path of a file, {need or 'needed with certificate'}"


def _checkInsecureAuth(settings: Settings) -> Iterator[Finding]:
    """Accounts that let everybody in are reached from this machine only."""
    backend = settings.auth.backend
    accounts = makeStore("accounts", backend, settings.base, globalReactor())
    exposed = _exposed(settings.c2s.listen) + _exposed(settings.c2s.directTlsListen)
    if getattr(accounts, "loopbackOnly", False) and exposed:
        yield (
            "auth",
            "backend",
            f"found {quoted(backend)}, which accepts any password, where [c2s] listens on {quoted(exposed[0])}, which "
            f"is not on a loopback address; allowed there: sqlite:PATH, memory: (or {_LOOPBACK})",
        )


def _sized(settings: Settings) -> Iterator[Finding]:
    """Limits that belong together fit together."""
    limits = settings.limits
    if limits.stanzaSizeUnauthenticated > limits.stanzaSize:
        yield (
            "limits",
            "stanza_size_unauthenticated",
            f"found {limits.stanzaSizeUnauthenticated} bytes; allowed: at most stanza_size, {limits.stanzaSize} bytes",
        )
    if settings.transport.outboxLimit < limits.stanzaSize:
        yield (
            "transport",
            "outbox_limit",
            f"found {settings.transport.outboxLimit} bytes; allowed: at least [limits] stanza_size, "
            f"{limits.stanzaSize} bytes",
        )


def _named(settings: Settings) -> Iterator[Finding]:
    """Accounts and rooms have a domain each."""
    if settings.muc.domain == settings.server.domain:
        yield (
            "muc",
            "domain",
            f"found {quoted(settings.muc.domain)}; allowed: another domain than that of [server], "
            f"such as conference.{settings.server.domain}",
        )


def _remembering(settings: Settings) -> Iterator[Finding]:
    """A new room does not keep more than an owner could set."""
    if settings.muc.history > settings.muc.historyLimit:
        yield (
            "muc",
            "history",
            f"found {settings.muc.history}; allowed: at most history_limit, {settings.muc.historyLimit}",
        )


CHECKS: Final[tuple[Callable[[Settings], Iterator[Finding]], ...]] = (
    _listening,
    _encrypting,
    _certified,
    _checkInsecureAuth,
    _sized,
    _named,
    _remembering,
)
"""Every check."""
