# -*- test-case-name: tests.server.test_assembly -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Assembly of a server's components from its configuration; nothing runs yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from muccore.config.errors import ConfigError
from muccore.config.schema import Settings
from muccore.log.logger import Logger
from muccore.net.flush import FlushScheduler
from muccore.net.limits import Networks
from muccore.net.outbox import Outboxes
from muccore.net.tls import ServerTLS
from muccore.routing.router import Router
from muccore.server import preflight, website
from muccore.server.administration import Administration
from muccore.server.externalcomponents import ExternalComponents
from muccore.server.federation import ServerFederation
from muccore.server.hosts import HostComponents
from muccore.server.stores import ServerStores
from muccore.server.uploads import makeUploads, uploadResource, uploadSettings
from muccore.session import savedsessions
from muccore.session.guests import GuestSessions, GuestSettings
from muccore.session.registry import Sessions
from muccore.session.streammanagement import ManagementSettings
from muccore.stream.accountaccess import AccountAccess
from muccore.stream.bosh.sessions import BOSHSessions
from muccore.stream.c2s import StreamSettings
from muccore.stream.factory import C2SFactory
from muccore.stream.features import StreamFeatures
from muccore.stream.starttls import OFF, REQUIRED
from muccore.stream.websocket import WebSocketFactory


class ServerComponents:
    """
    The components of one server.

    @ivar flusher: the clock of everything, and the flush at the end of a reactor turn.
    @ivar stores: the stores, opened at the start and closed at the end.
    @ivar sessions: the registry of sessions.
    @ivar guests: binds sessions of domains that have guests.
    @ivar router: finds the domain of an address.
    @ivar administration: the server as its admins see it.
    @ivar access: which accounts may not log in.
    @ivar hosts: the hosts, the default one first.
    @ivar streams: the factory of clients' streams.
    @ivar webSocket: makes those over WebSocket.
    @ivar bosh: makes those over BOSH.
    @ivar site: the HTTP site.
    @ivar uploads: the files of users, or C{None}.
    @ivar external: the external components.
    @ivar federation: the other servers.
    @ivar outboxes: the bound for the outboxes of all connections.
    @ivar factories: the protocol factories by section and option of their endpoints.
    """

    _log = Logger()

    def __init__(self, settings: Settings, reactor: Any) -> None:
        """@raise ConfigError: if a certificate is needed and missing or invalid."""
        certificates = preflight.loadCertificates(settings)
        self.flusher = FlushScheduler(reactor)
        self.stores = ServerStores(settings, reactor)
        self.stores.setCallBeforeSending(self.flusher.callBeforeSending)
        self.sessions = Sessions(settings.limits.sessionsPerAccount, self.flusher, managementSettings(settings))
        self.router = self.sessions.router = Router(self.flusher)
        domains = [host.domain for host in settings.hosts if host.anonymous]
        self.guests = GuestSessions(self.sessions, domains, guestSettings(settings))
        self.access = AccountAccess(reactor.seconds)
        self.administration = Administration(
            self.stores, self.sessions, self.access, self.flusher, settings.server.admins
        )
        self.uploads = makeUploads(settings, self.stores, self.flusher)
        self.hosts = [
            HostComponents(
                settings, host, self.stores, self.router, self.guests, self.flusher, reactor, self.access,
                self.administration, self.uploads,
            )
            for host in settings.hosts
        ]  # fmt: skip
        for host in self.hosts:
            host.tls = certificates.get(host.domain)
            for domain in host.domains:
                self.router.addDomain(domain)
        self._settings = settings
        self.outboxes = Outboxes(settings.transport.outboxesLimit)
        features = self._makeFeatures(settings.c2s.tls)
        self.streams = C2SFactory(self.flusher, features, streamSettings(settings))
        self.webSocket = WebSocketFactory(self.streams, features, True)
        self.bosh = BOSHSessions(self.streams, self.flusher, features, True, self.outboxes)
        self.bosh.outboxLimit = settings.transport.outboxLimit
        self.site = website.makeSite(self.flusher, self.streams, self.webSocket, settings)
        if self.uploads is not None:
            self.uploads.site = self.site
            self.site.addResource(uploadResource(self.uploads))
        website.addBOSH(self.site, self.bosh, settings)
        self.external = ExternalComponents(settings, self.router, self.flusher, streamSettings(settings))
        self.federation = ServerFederation(
            settings, self.router, self.flusher, reactor, self.hosts, self.outboxes, streamSettings(settings)
        )
        for host in self.hosts:
            host.handlers.components = self.external.connected
        self.factories: dict[tuple[str, str], Any] = {
            ("c2s", "listen"): self.streams, ("c2s", "direct_tls_listen"): self.streams.directTLS,
            ("http", "listen"): self.site, ("http", "tls_listen"): self.site.directTLS,
            ("s2s", "listen"): self.federation.incoming,
            ("s2s", "direct_tls_listen"): self.federation.incoming.directTLS,
            ("components", "listen"): self.external.streams,
        }  # fmt: skip

    def _makeFeatures(self, tlsMode: str) -> StreamFeatures:
        """Make the features of streams to all hosts; return those of the default host, which has the others."""
        features: dict[str, StreamFeatures] = {}
        for host in self.hosts:
            features[host.domain] = host.makeFeatures(self._settings, tlsMode, features)
        return features[self.hosts[0].domain]

    def open(self) -> Deferred[Any]:
        """
        Open the stores, and then let the handlers in.

        @raise FirstError: (as failure) if a store cannot be opened: which of L{stores}, and why (L{StoreError}).
        @raise ConfigError: (as failure) if a handler cannot be made.
        """
        opening = gatherResults([store.open() for _, store in self.stores.all], consumeErrors=True)
        opening.addCallback(lambda _: self._addHandlers()).addCallback(lambda _: self._restoreSessions())
        return opening.addCallback(lambda _: Deferred.fromCoroutine(self._startAccounts()))

    def _addHandlers(self) -> None:
        if self.stores.audit is None:
            rooms = self._settings.storage.placeOf("rooms")[1]
            self._log.warn("there is no audit trail of rooms, since {rooms} has none; set [storage] audit", rooms=rooms)
        if self.stores.rostersAreLost:
            rooms = self._settings.storage.placeOf("rooms")[1]
            self._log.warn(
                "the contacts of users are lost when the server ends, since {rooms} keeps none; set [storage] rosters",
                rooms=rooms,
            )
        for configured in self._settings.hosts:
            if self.stores.userDataOf(configured) is None:
                self._log.warn(
                    "users of {domain} cannot store bookmarks, vCards and block lists; set [storage] userdata",
                    domain=configured.domain,
                )
            if self.stores.pubSubOf(configured) is None:
                self._log.warn(
                    "users of {domain} cannot publish avatars, bookmarks and keys; set [storage] pubsub",
                    domain=configured.domain,
                )
        for host in self.hosts:
            host.addHandlers()
            if hasattr(host.accounts, "whenHashesKnown"):
                host.accounts.whenHashesKnown = self._configureStreams
            self._addResources(host)
        self._configureStreams()

    def _addResources(self, host: HostComponents) -> None:
        for added in host.httpResources:
            try:
                self.site.addResource(added)
            except ValueError as e:
                section = "server" if host is self.hosts[0] else f"host {host.domain}"
                raise ConfigError([self._settings.problem(section, "extra_handlers", str(e))]) from None

    def _restoreSessions(self) -> Deferred[Any]:
        """Restore the sessions of the last end, and their places in rooms. A failure is logged."""

        def restored(saved: list[bytes]) -> Deferred[Any]:
            rooms = {domain: muc for host in self.hosts for domain, muc in host.handlers.muc.items()}
            handlers = {host.domain: host.handlers for host in self.hosts}
            waiting: list[Deferred[Any]] = []
            for session in savedsessions.restore(self.sessions, saved):
                waiting.append(handlers[session.jid.domain].sessionRestored(session))
                # The latest nick in each room.
                addresses = {address.bare: address for address in session.directed.values() if address.domain in rooms}
                waiting += [rooms[each.domain].sessionRestored(session.jid, each) for each in addresses.values()]
            return gatherResults(waiting, consumeErrors=True)

        restoring = self.stores.occupants.takeSessions().addCallback(restored)
        return restoring.addErrback(lambda failure: self._log.failure("sessions cannot be restored", failure))

    async def _startAccounts(self) -> None:
        """Finish the removals of accounts that were begun, rooms and contacts of all hosts included."""
        if self.uploads is not None:
            self.uploads.start()
        # First: who is removed is no admin any more.
        await self.administration.start(self.stores.userDataOf(self._settings.hosts[0]), self.hosts[0].domain)
        subscriptions = {host.domain: host.handlers.subscriptions for host in self.hosts}
        services = [muc for host in self.hosts for muc in host.handlers.muc.values()]
        registrars = {host.domain: host.handlers.registrar for host in self.hosts}
        publishing = {host.domain: host.handlers.pep for host in self.hosts if host.handlers.pep is not None}
        for host in self.hosts:
            host.handlers.subscriptions.peers = subscriptions
            if host.handlers.pep is not None:
                host.handlers.pep.peers = publishing
            accounts = host.handlers.accounts
            if accounts is not None:
                for muc in services:
                    accounts.removers[f"rooms of {muc.parent.name}"] = muc.accountRemoved
                for domain, service in [*publishing.items(), *self.hosts[0].handlers.pubSub.items()]:
                    if domain != host.domain:
                        accounts.removers[f"subscriptions to {domain}"] = service.forgetEntity
                for domain, registrar in registrars.items():
                    if registrar is not None:
                        # They are in the store of the host that they are for, which may be another one.
                        accounts.removers[f"invitations to {domain}"] = registrar.forgetInviter
                await accounts.start()
            if host.handlers.registrar is not None:
                await host.handlers.registrar.start()
            if host.handlers.announcements is not None:
                await host.handlers.announcements.start()

    def saveSessions(self) -> Deferred[None]:
        """Save the sessions that were suspended. If that fails, which is logged, they end."""
        saved = savedsessions.save(self.sessions, lambda session: not self.guests.isGuest(session.account))

        def failed(failure: Failure) -> None:
            self._log.error("sessions cannot be saved: {error}", error=failure.getErrorMessage())
            for session, _ in saved:
                session.thaw()

        return self.stores.occupants.saveSessions([data for _, data in saved]).addErrback(failed)

    def _configureStreams(self) -> None:
        settings = self._settings
        self.streams.configure(self._makeFeatures(settings.c2s.tls), streamSettings(settings))
        # There is no STARTTLS over HTTP (RFC 7395 §3.9, XEP-0206 §4).
        self.webSocket.features = self.bosh.features = self._makeFeatures(OFF)
        self.webSocket.tlsRequired = self.bosh.tlsRequired = settings.c2s.tls == REQUIRED
        self.site.settings = website.siteSettings(settings, self.webSocket.features)
        self.external.reconfigure(settings, streamSettings(settings))
        self.federation.reconfigure(settings, streamSettings(settings))

    def reconfigure(self, settings: Settings, certificates: Mapping[str, ServerTLS]) -> None:
        """
        Apply a new configuration as far as the running server can. The domains stay.

        @param certificates: those of its hosts, by domain; none if clients cannot use TLS.
        """
        self._settings = settings
        self.administration.configured = frozenset(settings.server.admins)
        if self.uploads is not None:
            self.uploads.settings = uploadSettings(settings)
        self.sessions.limit = settings.limits.sessionsPerAccount
        self.guests.settings = guestSettings(settings)
        self.sessions.resumptions.settings = managementSettings(settings)
        default = certificates.get(settings.server.domain)
        for host in self.hosts:
            # One that has been removed stays until the next start, with its certificate.
            host.reconfigure(settings, certificates.get(host.domain) or (default and (host.tls or default)))
        self._configureStreams()


def guestSettings(settings: Settings) -> GuestSettings:
    """The limits of guests from the configuration."""
    section = settings.anonymous
    return GuestSettings(section.sessions, section.sessionsPerAddress, _exempt(settings))


def _exempt(settings: Settings) -> Networks:
    return Networks(str(network) for network in settings.limits.exempt)


def managementSettings(settings: Settings) -> ManagementSettings:
    """The settings of stream management from the configuration."""
    section = settings.stream_management
    # What was kept for a client is sent at once when it resumes its session, with delay stamps.
    most = min(section.queueBytes, settings.transport.outboxLimit // 2)
    queueBytes = max(most, settings.limits.stanzaSize)
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
        stanzaCost=limits.stanzaCost,
        addressRate=limits.addressRate,
        addressBurst=limits.addressBurst,
        connections=limits.connections,
        connectionsPerAddress=limits.connectionsPerAddress,
        exempt=_exempt(settings),
        stallTimeout=c2s.stallTimeout,
    )
