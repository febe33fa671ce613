# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The sections of the configuration about connections of clients (L{muccore.config.schema})."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.python.filepath import FilePath

from muccore.config.endpoints import Endpoint
from muccore.config.option import option as _option
from muccore.config.types import (
    HTTPSURL,
    Boolean,
    Choice,
    Duration,
    Integer,
    ListOf,
    Network,
    NetworkAddress,
    Origin,
    Path,
    Size,
    URLPath,
)


@dataclass(frozen=True)
class C2SSection:
    """The connections of clients."""

    listen: tuple[str, ...] = _option(
        ListOf(Endpoint("tcp", "tcp6", "systemd")),
        "tcp:5222:interface=127.0.0.1",
        "Where clients connect, as Twisted endpoint strings. Without interface= a tcp endpoint listens on every IPv4 "
        "address of the machine; the colons of an IPv6 address are written \\: (tcp6:5222:interface=\\:\\:1).",
    )
    tls: str = _option(
        Choice("required", "optional", "off"),
        "required",
        'Whether clients on these endpoints must, may or cannot encrypt with STARTTLS. "off" is for tests: it is '
        "refused unless every endpoint is on a loopback address.",
    )
    allowPlaintextAuth: bool = _option(
        Boolean(),
        "no",
        "Whether passwords may be sent in the clear (SASL PLAIN) over a connection that is not encrypted. Refused if "
        '"tls" allows this on an endpoint that is not on a loopback address.',
    )
    directTlsListen: tuple[str, ...] = _option(
        ListOf(Endpoint("tcp", "tcp6")),
        "",
        "Where clients connect with TLS from the first byte. They get the certificate of the domain that they "
        "indicate, or that of [tls]. Use tcp or tcp6 endpoints.",
    )
    loginTimeout: float = _option(
        Duration("1 s", "1 h"), "60 s", "The time that a client has from connecting to being logged in."
    )
    idleTimeout: float = _option(
        Duration("0 s", "365 d"), "24 h", "A client that has sent nothing for this time is disconnected. 0: never."
    )
    keepalive: float = _option(
        Duration("0 s", "24 h"),
        "3 min",
        "A client that has been silent for this time is sent a space, which keeps the connection open in routers and "
        "detects a dead one. 0: never.",
    )
    loginTries: int = _option(
        Integer(1, 100),
        "5",
        "The number of failed log-ins after which the connection is closed: wrong passwords, malformed and cancelled "
        "requests, but not a refused channel binding.",
    )
    channelBinding: bool = _option(
        Boolean(),
        "yes",
        "Whether a log-in can be bound to its TLS connection (the SCRAM mechanisms whose names end in -PLUS), which "
        'detects a man in the middle. Use "no" if a proxy in front of muccore terminates TLS, or if clients offer '
        "it and fail.",
    )
    tokenLifetime: float = _option(
        Duration("0 s", "365 d"),
        "21 d",
        "The time for which a client can log in again without the password, by a token that it was given (XEP-0484). "
        "Each day that it does, it gets a new one. Tokens end with the password or the account, except that of a "
        "backend that checks passwords only: there a changed password does not end them. 0: no tokens.",
    )
    stallTimeout: float = _option(
        Duration("1 s", "24 h"),
        "5 min",
        "A client for which something waits, and that has taken nothing of it for this time, is disconnected. It may "
        "resume its session.",
    )
    closeTimeout: float = _option(
        Duration("1 s", "5 min"),
        "10 s",
        "The time that a closing stream waits for the client's closing tag, and for unsent data to leave.",
    )


@dataclass(frozen=True)
class HTTPSection:
    """The HTTP site: WebSocket and BOSH for browsers, their discovery (XEP-0156), and uploads ([upload])."""

    listen: tuple[str, ...] = _option(
        ListOf(Endpoint("tcp", "tcp6", "systemd")),
        "",
        "Where HTTP and ws: connect, usually from a reverse proxy on this machine, such as "
        'tcp:5280:interface=127.0.0.1. Without TLS, "tls" of [c2s] decides whether clients can log in.',
    )
    tlsListen: tuple[str, ...] = _option(
        ListOf(Endpoint("tcp", "tcp6")), "", "Where HTTPS and wss: connect, with certificates as for direct_tls_listen."
    )
    allowedOrigins: tuple[str, ...] = _option(
        ListOf(Origin()),
        "",
        "The origins of web pages that may connect, besides https://DOMAIN for each domain of accounts. Programs other "
        "than browsers send no origin, and may always connect.",
    )
    trustedProxies: tuple[Network, ...] = _option(
        ListOf(NetworkAddress()),
        "",
        "Networks of the reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed. X-Forwarded-For "
        "gives the client's address, for limits and logs; X-Forwarded-Proto: https makes it count as encrypted.",
    )
    publicUrl: str = _option(
        HTTPSURL(),
        "",
        "The URL under which clients reach the site, announced by its discovery. By default that of the request, "
        "with the port of tls_listen if the request did not come over HTTPS.",
    )
    webChat: bool = _option(
        Boolean(),
        "yes",
        "Show a web chat at / and /join/ROOM, where Converse.js has been fetched (make web): docs/webchat.md.",
    )
    boshPath: str = _option(
        URLPath(), "/http-bind", "The path of XMPP over BOSH. Empty: it is not offered."
    )


@dataclass(frozen=True)
class TLSSection:
    """The certificate of [server] domain, for STARTTLS, direct TLS and HTTPS (1.2 and 1.3)."""

    certificate: FilePath[str] | None = _option(  # noqa: RUF009 (a field, like all others)
        Path(),
        "",
        "The certificate, followed by its chain, in PEM. Required unless [c2s] tls is off and there is nothing in "
        "direct_tls_listen and [http] tls_listen.",
    )
    privateKey: FilePath[str] | None = _option(  # noqa: RUF009 (a field, like all others)
        Path(), "", "The private key of the certificate, in PEM, unencrypted."
    )


@dataclass(frozen=True)
class TransportSection:
    """Writing to sockets."""

    opportunisticWrites: bool = _option(
        Boolean(),
        "yes",
        'Send data in the turn of the reactor in which it is written, without waiting for the poller. "no" is for '
        "measuring the difference.",
    )
    outboxLimit: int = _option(
        Size("16 KiB", "1 GiB"),
        "4 MiB",
        "Unsent data above which a client is disconnected, since it reads more slowly than others send. What it has "
        "asked for itself does not count: occupants and history of a room that it enters, pages of an archive.",
    )
    outboxesLimit: int = _option(
        Size("1 MiB", "1024 GiB"),
        "512 MiB",
        "Unsent data of all clients together, above which the client with the most is disconnected.",
    )
