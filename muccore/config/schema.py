# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Every key of the configuration, once.

Each section is a frozen dataclass, each key one of its fields: the field's name in the file is the attribute's, in
words joined by underscores; its type, its default (as it would stand in the file) and what it means are the field's
metadata. What reads a file, what checks it and what writes the reference all look here, and so does mypy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Final, TypeVar

from twisted.python.filepath import FilePath

from muccore.config.endpoints import Endpoint
from muccore.config.errors import Problem
from muccore.config.plugins import HandlerDescription, HandlerType, StoreType
from muccore.config.types import (
    AnyType,
    Boolean,
    Choice,
    Duration,
    HostName,
    Integer,
    ListOf,
    Network,
    NetworkAddress,
    Path,
    Size,
    Text,
    Type,
)

T = TypeVar("T")

_METADATA: Final = "muccore.key"


@dataclass(frozen=True)
class Option:
    """
    One key of the configuration.

    @ivar section: the section's name.
    @ivar name: the key's name in the file.
    @ivar attribute: its name as an attribute of the section's class.
    @ivar type: what reads its value.
    @ivar default: the default as it would stand in the file, lines parted by line feeds; C{None} where there is
        none and the key has to be given.
    @ivar doc: what it means, in sentences.
    """

    section: str
    name: str
    attribute: str
    type: AnyType
    default: str | None
    doc: str


def _key(type: Type[T], default: str | None, doc: str) -> T:
    """
    Declare a key: the field of a section's class. The claimed return type lets mypy hold the annotation against it.
    """
    found: Any = field(metadata={_METADATA: (type, default, " ".join(doc.split()))})
    value: T = found
    return value


@dataclass(frozen=True)
class ServerSection:
    """The server as a whole."""

    domain: str = _key(
        HostName(),
        None,
        """The domain of the accounts: romeo@example.org logs in where this is example.org.""",
    )
    name: str = _key(Text(), "muccore", """The server's name for people, as clients show it.""")
    extraHandlers: tuple[HandlerDescription, ...] = _key(
        ListOf(HandlerType()), "", """Further protocol handlers for the domain, brought by Twisted plugins."""
    )
    logLevel: str = _key(
        Choice("debug", "info", "warn", "error", "critical"),
        "info",
        """The least important events that are still logged.""",
    )


@dataclass(frozen=True)
class C2SSection:
    """The connections of clients."""

    listen: tuple[str, ...] = _key(
        ListOf(Endpoint("tcp", "tcp6", "systemd")),
        "tcp:5222:interface=127.0.0.1",
        """Where clients connect, as Twisted endpoint strings. Without interface= a tcp endpoint listens on every
        IPv4 address of the machine; the colons of an IPv6 address are written \\: (tcp6:5222:interface=\\:\\:1).""",
    )
    tls: str = _key(
        Choice("required", "optional", "off"),
        "required",
        """Whether clients on these endpoints must, may or cannot encrypt with STARTTLS. "off" is for tests: it is
        refused unless every endpoint is on a loopback address.""",
    )
    allowPlaintextAuth: bool = _key(
        Boolean(),
        "no",
        """Whether a password may be sent as it is (SASL PLAIN) over a connection that is not encrypted. Refused
        where "tls" lets that happen on an endpoint that is not on a loopback address.""",
    )
    directTlsListen: tuple[str, ...] = _key(
        ListOf(Endpoint("tcp", "tcp6")),
        "",
        """Where clients connect with TLS from the first byte on. Give tcp or tcp6 endpoints: muccore brings the TLS,
        with the certificate of [tls].""",
    )
    loginTimeout: float = _key(
        Duration("1 s", "1 h"), "60 s", """How long a client may take from connecting to being logged in."""
    )
    idleTimeout: float = _key(
        Duration("0 s", "365 d"),
        "24 h",
        """A client that is logged in and has sent nothing at all for so long is disconnected. 0: never.""",
    )
    keepalive: float = _key(
        Duration("0 s", "24 h"),
        "3 min",
        """A client that has been silent for so long is sent one space, so that the network keeps the connection and a
        dead one is found out. 0: never.""",
    )
    loginTries: int = _key(
        Integer(1, 100),
        "5",
        """After so many failed attempts to log in, the connection is ended. Everything counts that is answered
        with a failure (a wrong password, a request that is malformed or cancelled), except for a channel binding that
        is refused.""",
    )
    channelBinding: bool = _key(
        Boolean(),
        "yes",
        """Whether a log-in can be bound to its TLS connection (the SCRAM mechanisms whose names end in -PLUS), so
        that nobody can sit in between. "no" is for a proxy in front of muccore that ends TLS itself, and for clients
        that offer it and fail.""",
    )
    closeTimeout: float = _key(
        Duration("1 s", "5 min"),
        "10 s",
        """How long a stream that is being closed waits for the client's own closing tag, and for what is still
        unsent to leave.""",
    )


@dataclass(frozen=True)
class TLSSection:
    """The server's certificate, for STARTTLS and direct TLS (1.2 and 1.3)."""

    certificate: FilePath[str] | None = _key(  # noqa: RUF009 (a field, like all others)
        Path(),
        "",
        """The certificate and the chain below it, in PEM. Needed unless [c2s] tls is off and nothing listens with
        direct TLS.""",
    )
    privateKey: FilePath[str] | None = _key(  # noqa: RUF009 (a field, like all others)
        Path(), "", """Its private key, in PEM, not encrypted."""
    )


@dataclass(frozen=True)
class TransportSection:
    """How bytes leave."""

    opportunisticWrites: bool = _key(
        Boolean(),
        "yes",
        """Send in the same turn of the reactor in which something was written, without a round through the poller.
        "no" is for measuring the difference.""",
    )
    outboxLimit: int = _key(
        Size("16 KiB", "1 GiB"),
        "4 MiB",
        """What may wait for a client that does not read; past that its connection is ended.""",
    )


@dataclass(frozen=True)
class LimitsSection:
    """What one client, or one address, may ask of the server."""

    stanzaSize: int = _key(
        Size("10000 B", "64 MiB"), "256 KiB", """The largest stanza of a client that is logged in."""
    )
    stanzaSizeUnauthenticated: int = _key(
        Size("1 KiB", "64 MiB"), "10000 B", """The largest element of a client that is not logged in yet."""
    )
    depth: int = _key(Integer(4, 500), "64", """How deep elements may be nested in a stanza.""")
    attributes: int = _key(Integer(8, 10000), "64", """How many attributes one element may have.""")
    elements: int = _key(Integer(16, 1000000), "8192", """How many elements one stanza may have, itself included.""")
    connections: int = _key(
        Integer(1, 1000000), "50000", """How many clients may be connected at the same time, all together."""
    )
    connectionsPerAddress: int = _key(
        Integer(0, 1000000),
        "50",
        """How many clients may be connected from one IP address at the same time. 0: any number.""",
    )
    rate: int = _key(
        Size("0 B", "1 GiB"),
        "64 KiB",
        """What a client may send, in bytes a second on the average; the server reads no faster. 0: any amount.""",
    )
    burst: int = _key(
        Size("1 KiB", "1 GiB"), "1 MiB", """What a client that was silent before may send at once."""
    )
    exempt: tuple[Network, ...] = _key(
        ListOf(NetworkAddress()),
        "127.0.0.0/8\n::1/128",
        """Networks from which connections_per_address, rate and burst do not count, and from which passwords may be
        guessed as fast as one likes: elsewhere wrong passwords slow down their address, and the account they are
        for.""",
    )
    sessionsPerAccount: int = _key(
        Integer(1, 10000), "50", """How many clients of one account may be logged in at the same time."""
    )
    directedPresences: int = _key(
        Integer(10, 1000000),
        "1000",
        """To how many addresses a client may have sent its presence directly, rooms that it is in included.""",
    )


@dataclass(frozen=True)
class AuthSection:
    """Who may log in."""

    backend: str = _key(
        StoreType("accounts", "sqlite:PATH, memory:, insecure:, or what an installed plugin provides"),
        None,
        """Where the accounts are. "sqlite:PATH" keeps them in a database; "memory:" forgets them at the end;
        "insecure:" accepts any user name with any password: it is for tests, and refused unless every endpoint is on a
        loopback address.""",
    )


@dataclass(frozen=True)
class StorageSection:
    """What is kept."""

    affiliations: str = _key(
        StoreType("rooms", "sqlite:PATH, memory:, or what an installed plugin provides"),
        None,
        """Where rooms, their configuration and their affiliations are. "sqlite:PATH" keeps them in a database, which
        may be that of [auth] backend; "memory:" forgets them at the end.""",
    )


@dataclass(frozen=True)
class MUCSection:
    """The rooms."""

    domain: str = _key(
        HostName(), None, """The domain of the rooms; another one than that of the accounts."""
    )
    name: str = _key(Text(), "Chat rooms", """The name of the room service for people, as clients show it.""")
    roomCreation: str = _key(
        Choice("anyone", "local", "nobody"),
        "anyone",
        """Who may create rooms: anyone who can reach the server, accounts of this server only, or nobody.""",
    )
    lockNewRooms: bool = _key(
        Boolean(),
        "yes",
        """Whether a new room waits for its owner to accept a configuration before anybody else may enter (XEP-0045
        §10.1). "no" is for clients that do not know of this, such as Dino: the room is open from the start.""",
    )
    roomsPerUser: int = _key(
        Integer(0, 1000000),
        "100",
        """How many rooms that one account has created may be in use at the same time. 0: any number.""",
    )
    idleRooms: int = _key(
        Integer(0, 1000000),
        "1000",
        """How many rooms in which nobody is stay in memory, with the last messages.""",
    )
    presenceSize: int = _key(
        Size("512 B", "256 KiB"), "8 KiB", """The largest presence that a room passes on to everybody."""
    )
    history: int = _key(
        Integer(0, 10000), "20", """How many of its last messages a new room sends to those who enter."""
    )
    historyLimit: int = _key(
        Integer(0, 10000), "200", """The most messages that an owner can set for that."""
    )
    maxUsersLimit: int = _key(
        Integer(1, 1000000), "10000", """The most occupants of a room; its owner can set less."""
    )
    temporaryRoomGrace: float = _key(
        Duration("0 s", "30 d"),
        "600 s",
        """How long, after a start of the server, a temporary room that is empty waits for its people to come
        back.""",
    )
    roomLockTimeout: float = _key(
        Duration("1 s", "24 h"),
        "300 s",
        """A new room whose owner has not accepted a configuration for so long is closed again.""",
    )
    defaultPublic: bool = _key(Boolean(), "yes", """Whether a new room is listed.""")
    defaultPersistent: bool = _key(
        Boolean(), "no", """Whether a new room stays when its last occupant has left."""
    )
    defaultMembersOnly: bool = _key(Boolean(), "no", """Whether only members may enter a new room.""")
    defaultModerated: bool = _key(
        Boolean(), "no", """Whether only those who have voice may speak in a new room."""
    )
    defaultWhois: str = _key(
        Choice("moderators", "anyone"), "moderators", """Who sees the real addresses of the occupants of a new room."""
    )
    extraHandlers: tuple[HandlerDescription, ...] = _key(
        ListOf(HandlerType()), "", """Further protocol handlers for the domain of the rooms, brought by Twisted
    plugins.""" )


@dataclass(frozen=True)
class Settings:
    """
    A whole configuration. Two are equal when they say the same, wherever in the file.

    @ivar base: the folder of the configuration file, from which relative paths start.
    @ivar path: the file, as it was given.
    @ivar lines: in which line each key stands that was given, by section and name.
    """

    server: ServerSection
    c2s: C2SSection
    tls: TLSSection
    transport: TransportSection
    limits: LimitsSection
    auth: AuthSection
    storage: StorageSection
    muc: MUCSection
    base: FilePath[str]
    path: str = field(compare=False)
    lines: Mapping[tuple[str, str], int] = field(compare=False, repr=False)

    def problem(self, section: str, key: str, text: str) -> Problem:
        """
        A problem with a key's value that showed only when it was used, such as a port that is taken.

        @param key: its name in the file.
        """
        return Problem(self.path, text, self.lines.get((section, key)), section, key)


SECTIONS: Final[Mapping[str, type[Any]]] = {
    "server": ServerSection,
    "c2s": C2SSection,
    "tls": TLSSection,
    "transport": TransportSection,
    "limits": LimitsSection,
    "auth": AuthSection,
    "storage": StorageSection,
    "muc": MUCSection,
}
"""Section names to their classes, in the order of the reference; the names are the attributes of L{Settings}."""


def _toKey(section: str, declared: Field[Any]) -> Option:
    type, default, doc = declared.metadata[_METADATA]
    name = re.sub("([A-Z])", lambda match: "_" + match[1].lower(), declared.name)
    return Option(section, name, declared.name, type, default, doc)


def _keys() -> Iterator[Option]:
    for section, cls in SECTIONS.items():
        for declared in fields(cls):
            yield _toKey(section, declared)


OPTIONS: Final[Mapping[tuple[str, str], Option]] = {(key.section, key.name): key for key in _keys()}
"""Every key by section and name, in the order of the reference."""
