# -*- test-case-name: tests.config.test_s2ssection -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The section of the configuration about other servers (L{muccore.config.schema})."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.python.filepath import FilePath

from muccore.config.endpoints import Endpoint
from muccore.config.option import option as _option
from muccore.config.types import (
    Boolean,
    Choice,
    Duration,
    HostName,
    Integer,
    ListOf,
    Path,
    ServerRoute,
    Size,
    SocketAddress,
)
from muccore.net.serverdns import Target


@dataclass(frozen=True)
class S2SSection:
    """Other servers (docs/federation.md): off unless there is an endpoint. The limits of stanzas in [limits] apply."""

    listen: tuple[str, ...] = _option(
        ListOf(Endpoint("tcp", "tcp6", "systemd")),
        "",
        "Where other servers connect, as in [c2s]; usually tcp:5269. With nothing here and in direct_tls_listen, this "
        "server speaks with no other one.",
    )
    directTlsListen: tuple[str, ...] = _option(
        ListOf(Endpoint("tcp", "tcp6")), "", "Where other servers connect with TLS from the first byte (XEP-0368)."
    )
    tls: str = _option(
        Choice("required", "optional"), "required", "Whether streams with other servers must be encrypted, or may be."
    )
    bidirectional: bool = _option(
        Boolean(),
        "yes",
        "Whether one stream is used in both directions if the other server can do so, too (XEP-0288).",
    )
    dialback: bool = _option(
        Boolean(),
        "no",
        "Whether other servers may prove who they are by dialback (XEP-0220), which trusts DNS, if their certificate "
        "does not. Without it, they need a certificate that is valid for their domain.",
    )
    dialbackDomains: tuple[str, ...] = _option(
        ListOf(HostName()), "", "Domains, with those below them, for which dialback is enough in any case."
    )
    certificateDomains: tuple[str, ...] = _option(
        ListOf(HostName()), "", "Domains, with those below them, for which dialback is never enough."
    )
    trustedCertificates: FilePath[str] | None = _option(  # noqa: RUF009 (a field, like all others)
        Path(),
        "",
        "The certificates of the authorities that vouch for other servers, in PEM. By default those that this machine "
        "trusts.",
    )
    blockedDomains: tuple[str, ...] = _option(
        ListOf(HostName()), "", "Domains, with those below them, that this server does not speak with."
    )
    allowedDomains: tuple[str, ...] = _option(
        ListOf(HostName()), "", "If there are any: the only domains, with those below them, that it speaks with."
    )
    routes: tuple[tuple[str, Target], ...] = _option(
        ListOf(ServerRoute()),
        "",
        "Where the servers of domains are that are not looked up in DNS, for private networks. Several lines for one "
        "domain are tried in order.",
    )
    nameServers: tuple[tuple[str, int], ...] = _option(
        ListOf(SocketAddress(53)), "", "The name servers that are asked. By default those in /etc/resolv.conf."
    )
    connectTimeout: float = _option(
        Duration("1 s", "5 min"),
        "60 s",
        "The time for opening a stream to another server, and for another server to open one and to prove who it is.",
    )
    idleTimeout: float = _option(
        Duration("0 s", "24 h"),
        "10 min",
        "A stream that this server has opened is closed when unused for this time. 0: never.",
    )
    pingInterval: float = _option(
        Duration("0 s", "24 h"),
        "2 min",
        "A server that was sent something and has sent nothing for this time is pinged; if it does not answer within "
        "this time, at most a minute, its stream is lost. 0: never.",
    )
    grace: float = _option(
        Duration("0 s", "1 h"),
        "1 min",
        "The time for which a lost stream is tried to be opened again. Then the users of that domain leave the rooms.",
    )
    queueStanzas: int = _option(
        Integer(1, 1000000), "5000", "The maximum of stanzas that wait for a stream to a domain to be opened."
    )
    queueBytes: int = _option(
        Size("16 KiB", "1 GiB"), "1 MiB", "The maximum of bytes of these; at most half of [transport] outbox_limit."
    )
    rate: int = _option(
        Size("0 B", "1 GiB"),
        "1 MiB",
        "Average bytes per second that the server reads from another domain, over all of its streams; a stanza counts "
        "as in [limits]. Before it is known, [limits] rate and address_rate apply. 0: no limit.",
    )
    burst: int = _option(Size("1 KiB", "1 GiB"), "8 MiB", "What a domain that was silent before may send at once.")
    connections: int = _option(
        Integer(1, 1000000), "5000", "The maximum of streams that other servers have opened, and of those to them."
    )
    connectionsPerAddress: int = _option(
        Integer(0, 1000000), "50", "The maximum of streams that are opened from one IP address. 0: no limit."
    )

    @property
    def isEnabled(self) -> bool:
        """Whether this server speaks with others."""
        return bool(self.listen or self.directTlsListen)
