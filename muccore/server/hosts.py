# -*- test-case-name: tests.server.test_hosts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A host of a server: its domains, with the log-in and the handlers of its own."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from muccore.config.hosts import Host
from muccore.config.schema import Settings
from muccore.im.userdomain import UserDomain
from muccore.interfaces import IRouter, ISessions, Stage
from muccore.net.flush import FlushScheduler
from muccore.net.tls import ServerTLS
from muccore.routing.domain import Domain
from muccore.server import preflight
from muccore.server.administration import Administration
from muccore.server.handlers import HostHandlers, mucOptions, streamFeaturesOf
from muccore.server.stores import ServerStores
from muccore.stream.accountaccess import AccountAccess
from muccore.stream.advertisedlimits import AdvertisedLimits
from muccore.stream.features import StreamFeatures
from muccore.stream.registration import InBandRegistration
from muccore.stream.sasl.mechanisms import SASL


class HostComponents:
    """
    The components of one host.

    @ivar domain: its name.
    @ivar accounts: the auth backend.
    @ivar sasl: the mechanisms of log-in.
    @ivar tls: its certificate, or C{None} if none is needed.
    @ivar handlers: the handlers of its domains.
    @ivar userDomain: the domain of the accounts.
    @ivar mucDomains: the domains of the rooms.
    """

    def __init__(
        self, settings: Settings, host: Host, stores: ServerStores, router: IRouter, sessions: ISessions,
        flusher: FlushScheduler, reactor: Any, access: AccountAccess,
        administration: Administration,
    ) -> None:  # fmt: skip
        self.domain = host.domain
        self.accounts = stores.accountsOf(host)
        self.sasl = SASL(self.accounts, host.domain, settings.c2s.allowPlaintextAuth, dummySaltSecret(settings, host))
        self.tls: ServerTLS | None = None
        self.handlers = HostHandlers(settings, host, stores, reactor, administration)
        administration.backends[host.domain] = self.accounts
        self.handlers.joinAdministration(administration)
        if self.handlers.accounts is not None:
            self.handlers.accounts.access = access
        self._access = access
        self.userDomain = UserDomain(host.domain, router, flusher, sessions)
        self.mucDomains = [Domain(service, router, flusher) for service in host.roomServices]
        self._sessions = sessions
        self._streamFeatures: list[Any] = []

    @property
    def domains(self) -> list[Domain]:
        """All its domains, that of the accounts first."""
        return [self.userDomain, *self.mucDomains]

    def addHandlers(self) -> None:
        """
        Make the handlers, and add them to the domains.

        @raise ConfigError: if a handler cannot be made.
        """
        for domain in self.domains:
            for handler in self.handlers.make(domain.name):
                handler.setHandlerParent(domain)
                if domain is self.userDomain:
                    self._streamFeatures.extend(streamFeaturesOf(handler))
            domain.warnOfShadowed()

    def makeFeatures(self, settings: Settings, tlsMode: str, hosts: Mapping[str, StreamFeatures]) -> StreamFeatures:
        """
        Make the features of streams to this host.

        @param hosts: those of all hosts, by domain.
        """
        c2s, registrar = settings.c2s, self.handlers.registrar
        offered = registrar is not None and registrar.offersRegistration
        registration = [InBandRegistration(registrar, self.domain)] if registrar is not None and offered else []
        return StreamFeatures(
            self.domain, self.sasl, self._sessions, self.tls, tlsMode, c2s.loginTries, c2s.channelBinding,
            [*self._streamFeatures, *advertisedLimits(settings), *registration], hosts, self._access,
        )  # fmt: skip

    def reconfigure(self, settings: Settings, tls: ServerTLS | None) -> None:
        """Apply a new configuration, with this certificate."""
        self.tls = tls
        self.sasl.plainWithoutTLS = settings.c2s.allowPlaintextAuth
        self.handlers.reconfigure(settings)
        for service in self.handlers.muc.values():
            service.reconfigure(mucOptions(settings, self.domain))


def advertisedLimits(settings: Settings) -> list[AdvertisedLimits]:
    """The limits that clients are told. Before the log-in, all of it has a time limit, but silence has none."""
    c2s, limits = settings.c2s, settings.limits
    silences = [max(1, int(seconds)) for seconds in (c2s.keepalive, c2s.idleTimeout) if seconds]
    return [
        AdvertisedLimits(Stage.LOGIN, limits.stanzaSizeUnauthenticated, None),
        AdvertisedLimits(Stage.BINDING, limits.stanzaSize, min(silences, default=None)),
    ]


def dummySaltSecret(settings: Settings, host: Host) -> bytes | None:
    """
    A secret for the salts of users that do not exist, derived from the private key of the certificate and so the same
    after a restart. C{None} without a key. Hosts with the same key have different secrets: otherwise, equal salts of
    one name at two hosts would show that it exists at neither.
    """
    if host.privateKey is None or not preflight.usesTLS(settings):
        return None
    with open(host.privateKey.path, "rb") as file:
        key = hashlib.sha256(file.read()).digest()
    label = "muccore: salts of unknown users"
    if host.domain != settings.server.domain:
        label += f" of {host.domain}"
    return hmac.digest(key, label.encode(), "sha256")
