# -*- test-case-name: tests.server.test_hosts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A host of a server: its domains, with the log-in and the handlers of its own."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from muccore.config.hosts import Host
from muccore.config.schema import Settings
from muccore.http.upload.service import Uploads
from muccore.im.userdomain import UserDomain
from muccore.interfaces import IRouter, ISessionBinder, Stage
from muccore.interfaces.http import HTTPResource
from muccore.net.flush import FlushScheduler
from muccore.net.tls import ServerTLS
from muccore.routing.domain import Domain
from muccore.server import preflight
from muccore.server.administration import Administration
from muccore.server.handlers import HostHandlers, httpResourcesOf, mucOptions, streamFeaturesOf
from muccore.server.stores import ServerStores
from muccore.session.guests import GuestSessions
from muccore.stream.accountaccess import AccountAccess
from muccore.stream.advertisedlimits import AdvertisedLimits
from muccore.stream.features import StreamFeatures
from muccore.stream.registration import InBandRegistration
from muccore.stream.sasl.anonymous import anonymous
from muccore.stream.sasl.mechanisms import MECHANISMS, SASL
from muccore.stream.sasl.tokens import Tokens
from muccore.stream.starttls import OPTIONAL, REQUIRED
from muccore.xmpp.datetimes import timeOfDay


class HostComponents:
    """
    The components of one host.

    @ivar domain: its name.
    @ivar accounts: the auth backend.
    @ivar tokens: the tokens that clients log in with; C{None} without a store for them.
    @ivar tls: its certificate, or C{None} if none is needed.
    @ivar handlers: the handlers of its domains.
    @ivar userDomain: the domain of the accounts.
    @ivar mucDomains: the domains of the rooms.
    @ivar httpResources: what its handlers add to the HTTP site.
    @ivar pubSubDomains: the domains of publish-subscribe services.
    """

    def __init__(
        self, settings: Settings, host: Host, stores: ServerStores, router: IRouter, guests: GuestSessions,
        flusher: FlushScheduler, reactor: Any, access: AccountAccess, administration: Administration,
        uploads: Uploads | None = None,
    ) -> None:  # fmt: skip
        self.domain = host.domain
        self.accounts = stores.accountsOf(host)
        self._mechanisms = [*MECHANISMS, anonymous(guests.hasRoom)] if host.anonymous else None
        self._saltSecret = dummySaltSecret(settings, host) or secrets.token_bytes(32)
        store = stores.userDataOf(host)
        self.tokens = None if store is None else Tokens(store, self.accounts, timeOfDay(flusher))
        if self.tokens is not None:
            self.tokens.guests = host.anonymous
        self.tls: ServerTLS | None = None
        self.handlers = HostHandlers(settings, host, stores, reactor, administration, uploads)
        administration.backends[host.domain] = self.accounts
        self.handlers.joinAdministration(administration)
        if self.handlers.accounts is not None:
            self.handlers.accounts.access = access
        self._access = access
        if self.handlers.guests is not None:
            self.handlers.guests.endObserver = guests.sessionEnded
        self.userDomain = UserDomain(host.domain, router, flusher, guests.sessions)
        self.mucDomains = [Domain(service, router, flusher) for service in host.roomServices]
        self.pubSubDomains = [Domain(service, router, flusher) for service in self.handlers.pubSub]
        self._guests = guests
        self._binder: ISessionBinder = guests if host.anonymous else guests.sessions
        self._streamFeatures: list[Any] = []
        self.httpResources: list[HTTPResource] = []

    @property
    def domains(self) -> list[Domain]:
        """All its domains, that of the accounts first."""
        return [self.userDomain, *self.mucDomains, *self.pubSubDomains]

    def addHandlers(self) -> None:
        """
        Make the handlers, and add them to the domains.

        @raise ConfigError: if a handler cannot be made.
        """
        for domain in self.domains:
            for handler in self.handlers.make(domain.name):
                handler.setHandlerParent(domain)
                self.httpResources.extend(httpResourcesOf(handler))
                if domain is self.userDomain:
                    self._streamFeatures.extend(streamFeaturesOf(handler))
            domain.warnOfShadowed()

    def makeFeatures(self, settings: Settings, tlsMode: str, hosts: Mapping[str, StreamFeatures]) -> StreamFeatures:
        """
        Make the features of streams to this host.

        @param hosts: those of all hosts, by domain.
        """
        c2s, registrar = settings.c2s, self.handlers.registrar
        if tlsMode == OPTIONAL and not self.accounts.hashes and not c2s.allowPlaintextAuth:
            # Whoever cannot but send a password must learn that they need TLS (RFC 6120 §5.3.1).
            tlsMode = REQUIRED
        tokens = self.tokens if c2s.tokenLifetime else None
        if tokens is not None:
            tokens.lifetime = c2s.tokenLifetime
        sasl = SASL(
            self.accounts, self.domain, c2s.allowPlaintextAuth, self._saltSecret, self._mechanisms, tokens=tokens
        )
        offered = registrar is not None and registrar.offersRegistration
        registration = [InBandRegistration(registrar, self.domain)] if registrar is not None and offered else []
        return StreamFeatures(
            self.domain, sasl, self._binder, self.tls, tlsMode, c2s.loginTries, c2s.channelBinding,
            [*self._streamFeatures, *advertisedLimits(settings), *registration], hosts, self._access,
        )  # fmt: skip

    def reconfigure(self, settings: Settings, tls: ServerTLS | None) -> None:
        """Apply a new configuration, with this certificate."""
        self.tls = tls
        self.handlers.reconfigure(settings)
        # Those that were configured at the start: until its end, others have none, and these do.
        domains = self._guests.domains
        options = replace(mucOptions(settings, self.domain), anonymousDomains=domains)
        if not settings.anonymous.roomCreation:
            options = replace(options, guestDomains=domains)
        for service in self.handlers.muc.values():
            service.reconfigure(options)


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
