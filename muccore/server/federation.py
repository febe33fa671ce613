# -*- test-case-name: tests.server.test_federation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The federation of a server, by its configuration."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, gatherResults

from muccore.config.schema import Settings
from muccore.net.flush import FlushScheduler
from muccore.net.outbox import Outboxes
from muccore.net.peertls import PeerTLS, PeerTLSByName
from muccore.net.serverdns import ServerDNS, Target
from muccore.net.transport import transportClass
from muccore.routing.federation.dialer import Dialer
from muccore.routing.federation.federation import Federation
from muccore.routing.federation.settings import FederationSettings
from muccore.routing.router import Router
from muccore.server.hosts import HostComponents
from muccore.server.peerpolicy import makePolicy
from muccore.stream.c2s import StreamSettings
from muccore.stream.features import StreamFeatures
from muccore.stream.s2s import incoming, outgoing
from muccore.stream.s2s.policy import PeerPolicy
from muccore.stream.s2s.stream import PeerFeatures
from muccore.xmpp.errors import StreamError

_SECRET_BYTES: Final = 32


class ServerFederation:
    """
    What a server needs to speak with others.

    @ivar federation: the destination of their domains.
    @ivar incoming: the factory of the streams that they open.
    @ivar outgoing: the factory of those to them.
    """

    def __init__(
        self, settings: Settings, router: Router, flusher: FlushScheduler, reactor: Any,
        hosts: Sequence[HostComponents], outboxes: Outboxes, streams: StreamSettings,
    ) -> None:  # fmt: skip
        """
        @param streams: the settings of clients' streams.
        @raise ConfigError: if the certificates of authorities cannot be read.
        """
        self._router = router
        self._unreachable = router.elsewhere
        self._reactor = reactor
        self._hosts = hosts
        secret = secrets.token_bytes(_SECRET_BYTES)
        policy, certificates = makePolicy(settings), self._certificates()
        self.federation = Federation(router, flusher, federationSettings(settings), policy, secret, certificates)
        limits = peerStreamSettings(settings, streams)
        self.incoming = incoming.IncomingFactory(flusher, self._incomingFeatures(policy), limits)
        self.outgoing = outgoing.OutgoingFactory(flusher, self._outgoingFeatures(policy), limits, secret)
        section = settings.transport
        transport = transportClass(
            flusher, section.opportunisticWrites, section.outboxLimit, settings.c2s.closeTimeout, outboxes
        )
        self.federation.dialer = Dialer(reactor, self.outgoing, transport, cast(Any, None), {}, 0)
        self._configureDialer(settings)

    def reconfigure(self, settings: Settings, streams: StreamSettings) -> None:
        """
        Apply a new configuration, with the present certificates of the hosts.

        @raise ConfigError: if the certificates of authorities cannot be read; then nothing changes.
        """
        policy, certificates = makePolicy(settings), self._certificates()
        self.federation.configure(federationSettings(settings), policy, certificates)
        limits = peerStreamSettings(settings, streams)
        self.incoming.configure(self._incomingFeatures(policy), limits)
        self.outgoing.configure(self._outgoingFeatures(policy), limits)
        self._configureDialer(settings)

    def _configureDialer(self, settings: Settings) -> None:
        section, dialer = settings.s2s, self.federation.dialer
        if section.isEnabled:
            dialer.resolver = ServerDNS(self._reactor, section.nameServers)
        dialer.routes = routesOf(section.routes)
        dialer.timeout = section.connectTimeout
        self._router.elsewhere = self.federation if section.isEnabled else self._unreachable
        if not section.isEnabled:
            self._disconnect()

    def _disconnect(self) -> None:
        """End what there is: federation is switched off. Who is in a room from elsewhere leaves it."""
        error = StreamError("policy-violation", "This server does not speak with others any more.")
        remote = {(link.local, link.remote) for link in self.federation.links()}
        self.federation.closeLinks(error)
        for factory in (self.incoming, self.outgoing):
            for stream in list(factory.streams):
                stream.close(error)
        for pair in remote:
            self.federation.domainLost(*pair)

    def _certificates(self) -> dict[str, PeerTLS]:
        found: dict[str, PeerTLS] = {}
        for host in self._hosts:
            if host.tls is not None:
                found.update(dict.fromkeys((domain.name for domain in host.domains), PeerTLS(host.tls)))
        return found

    def _incomingFeatures(self, policy: PeerPolicy) -> StreamFeatures:
        certificates = self.federation.certificates
        default = next(iter(certificates.values()), None)
        direct = None if default is None else PeerTLSByName(default, certificates)
        return cast(StreamFeatures, PeerFeatures(self.federation, policy, incoming.NONZAS, direct))

    def _outgoingFeatures(self, policy: PeerPolicy) -> Any:
        return PeerFeatures(self.federation, policy, outgoing.NONZAS)

    def closeAll(self) -> Deferred[Any]:
        """Close all streams; fires when none is left."""
        self.federation.closeAll()
        error = StreamError("system-shutdown")
        return gatherResults([factory.closeAll(error) for factory in (self.incoming, self.outgoing)])


def routesOf(routes: Iterable[tuple[str, Target]]) -> Mapping[str, Sequence[Target]]:
    """The servers of each domain, in order."""
    found: dict[str, list[Target]] = defaultdict(list)
    for domain, target in routes:
        found[domain].append(target)
    return dict(found)


def federationSettings(settings: Settings) -> FederationSettings:
    """The limits and times of links from the configuration."""
    section = settings.s2s
    return FederationSettings(
        queueStanzas=section.queueStanzas,
        # What was kept is sent at once.
        queueBytes=min(section.queueBytes, settings.transport.outboxLimit // 2),
        connectTimeout=section.connectTimeout,
        idleTimeout=section.idleTimeout,
        pingInterval=section.pingInterval,
        grace=section.grace,
        rate=section.rate,
        burst=section.burst,
        routes=routesOf(section.routes),
    )


def peerStreamSettings(settings: Settings, streams: StreamSettings) -> StreamSettings:
    """
    The settings of streams between servers.

    @param streams: those of clients' streams.
    """
    section = settings.s2s
    return replace(
        streams, loginTimeout=section.connectTimeout, idleTimeout=0, connections=section.connections,
        connectionsPerAddress=section.connectionsPerAddress,
    )  # fmt: skip
