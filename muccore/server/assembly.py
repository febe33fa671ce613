# -*- test-case-name: tests.server.test_assembly -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Assembly of a server's components from its configuration; nothing runs yet."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, gatherResults

from muccore.config.schema import Settings
from muccore.im.userdomain import UserDomain
from muccore.interfaces import IAuthBackend, IRoomStore, IStore
from muccore.net.flush import FlushScheduler
from muccore.net.limits import Networks
from muccore.net.tls import ServerTLS
from muccore.routing.domain import Domain
from muccore.routing.router import Router
from muccore.server import preflight
from muccore.server.handlers import ServerHandlers, mucOptions, streamFeaturesOf
from muccore.session.management import ManagementSettings
from muccore.session.registry import Sessions
from muccore.storage.registry import makeStore
from muccore.stream.c2s import StreamSettings
from muccore.stream.factory import C2SFactory
from muccore.stream.features import StreamFeatures
from muccore.stream.sasl.mechanisms import SASL

STORES: Final = (("auth", "backend"), ("storage", "affiliations"))
"""Section and option of each store, in the order of L{ServerComponents.stores}."""


class ServerComponents:
    """
    The components of one server.

    @ivar flusher: the clock of everything, and the flush at the end of a reactor turn.
    @ivar accounts: the auth backend.
    @ivar rooms: the store of rooms.
    @ivar tls: the certificate, or C{None} if none is needed.
    @ivar sasl: the mechanisms of log-in.
    @ivar sessions: the registry of sessions.
    @ivar router: finds the domain of an address.
    @ivar userDomain: the domain of the accounts.
    @ivar mucDomain: the domain of the rooms.
    @ivar muc: the handler of the rooms.
    @ivar disco: service discovery of the accounts' domain.
    @ivar streams: the factory of clients' streams.
    """

    def __init__(self, settings: Settings, reactor: Any) -> None:
        """@raise TLSConfigError: if a certificate is needed and missing or invalid."""
        self.flusher = FlushScheduler(reactor)
        domain = settings.server.domain
        self.accounts = cast(IAuthBackend, makeStore("accounts", settings.auth.backend, settings.base, reactor, domain))
        self.rooms = cast(IRoomStore, makeStore("rooms", settings.storage.affiliations, settings.base, reactor))
        self.tls = preflight.tlsFromSettings(settings) if preflight.usesTLS(settings) else None
        self.sasl = SASL(self.accounts, domain, settings.c2s.allowPlaintextAuth, dummySaltSecret(settings))
        self.sessions = Sessions(settings.limits.sessionsPerAccount, self.flusher, managementSettings(settings))
        self.router = self.sessions.router = Router(self.flusher)
        self.userDomain = UserDomain(domain, self.router, self.flusher, self.sessions)
        self.mucDomain = Domain(settings.muc.domain, self.router, self.flusher)
        self._streamFeatures: list[Any] = []
        self._handlers = ServerHandlers(settings, {"accounts": self.accounts, "rooms": self.rooms}, reactor)
        self.muc, self.disco = self._handlers.muc, self._handlers.disco
        for made in (self.userDomain, self.mucDomain):
            self.router.addDomain(made)
        self._settings = settings
        self.streams = C2SFactory(self.flusher, self._offer(settings), streamSettings(settings))

    def _offer(self, settings: Settings) -> StreamFeatures:
        c2s = settings.c2s
        return StreamFeatures(
            self.userDomain.name, self.sasl, self.sessions, self.tls, c2s.tls, c2s.loginTries, c2s.channelBinding,
            self._streamFeatures,
        )  # fmt: skip

    @property
    def stores(self) -> tuple[IStore, IStore]:
        """The stores, opened at the start and closed at the end."""
        return (self.accounts, self.rooms)

    def open(self) -> Deferred[Any]:
        """
        Open the stores, and then let the handlers in.

        @raise FirstError: (as failure) if a store cannot be opened: which of L{stores}, and why (L{StoreError}).
        @raise ConfigError: (as failure) if a handler cannot be made.
        """
        opening = gatherResults([store.open() for store in self.stores], consumeErrors=True)
        return opening.addCallback(lambda _: self._addHandlers())

    def _addHandlers(self) -> None:
        for domain, section in ((self.userDomain, "server"), (self.mucDomain, "muc")):
            for handler in self._handlers.make(section):
                handler.setHandlerParent(domain)
                if domain is self.userDomain:
                    self._streamFeatures.extend(streamFeaturesOf(handler))
            domain.warnOfShadowed()
        self.streams.configure(self._offer(self._settings), streamSettings(self._settings))

    def reconfigure(self, settings: Settings, tls: ServerTLS | None) -> None:
        """
        Apply a new configuration as far as the running server can. The domains stay.

        @param tls: its certificate.
        """
        self._settings, self.tls = settings, tls
        self.sasl.plainWithoutTLS = settings.c2s.allowPlaintextAuth
        self.sessions.limit = settings.limits.sessionsPerAccount
        self.sessions.resumptions.settings = managementSettings(settings)
        self._handlers.presence.directedLimit = settings.limits.directedPresences
        self.disco.rename(settings.server.name)
        self.muc.reconfigure(replace(mucOptions(settings), localDomain=self.userDomain.name))
        self.streams.configure(self._offer(settings), streamSettings(settings))


def dummySaltSecret(settings: Settings) -> bytes | None:
    """
    A secret for the salts of users that do not exist, derived from the certificate's private key and so the same after
    a restart. C{None} without a key.
    """
    key = settings.tls.privateKey
    if key is None or not preflight.usesTLS(settings):
        return None
    with open(key.path, "rb") as file:
        return hmac.digest(hashlib.sha256(file.read()).digest(), b"muccore: salts of unknown users", "sha256")


def managementSettings(settings: Settings) -> ManagementSettings:
    """The settings of stream management from the configuration."""
    section = settings.stream_management
    # What was kept for a client is sent at once when it resumes its session.
    queueBytes = min(section.queueBytes, settings.transport.outboxLimit)
    return ManagementSettings(section.resumeTimeout, section.queueStanzas, queueBytes)


def streamSettings(settings: Settings) -> StreamSettings:
    """The settings of streams from the configuration."""
    c2s, limits = settings.c2s, settings.limits
    return StreamSettings(
        stanzaSize=limits.stanzaSize,
        stanzaSizeUnauthenticated=limits.stanzaSizeUnauthenticated,
        depth=limits.depth,
        attributes=limits.attributes,
        elements=limits.elements,
        loginTimeout=c2s.loginTimeout,
        idleTimeout=c2s.idleTimeout,
        keepalive=c2s.keepalive,
        rate=limits.rate,
        burst=limits.burst,
        connections=limits.connections,
        connectionsPerAddress=limits.connectionsPerAddress,
        exempt=Networks(str(network) for network in limits.exempt),
    )
