# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Every option of the configuration, declared once.

Each section is a frozen dataclass, each option one of its fields. The key in the file is the attribute's name with
underscores; type, default (as written in the file) and description are the field's metadata, from which the file is
read and checked and the reference is generated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from twisted.python.filepath import FilePath

from muccore.config.connections import C2SSection, HTTPSection, TLSSection, TransportSection
from muccore.config.endpoints import Endpoint
from muccore.config.errors import Problem
from muccore.config.externalservices import ExternalServicesSection
from muccore.config.hosts import ACCOUNT_STORES, Host, HostSection, hostsOf
from muccore.config.mucsection import MUCSection
from muccore.config.option import METADATA, Option
from muccore.config.option import option as _option
from muccore.config.plugins import HandlerDescription, HandlerType, StoreType
from muccore.config.pubsubsection import PubSubSection
from muccore.config.registrationsection import RegistrationSection
from muccore.config.s2ssection import S2SSection
from muccore.config.storage import StorageSection
from muccore.config.types import (
    AccountAddress,
    Boolean,
    Choice,
    ContactAddress,
    Duration,
    HostName,
    Integer,
    ListOf,
    Network,
    NetworkAddress,
    Path,
    Secret,
    Size,
    Text,
)
from muccore.config.uploadsection import UploadSection
from muccore.config.userssection import UsersSection

HANDLER_SECTION: Final = "handler:"
"""C{[handler:NAME]} has the options of the handler of this name."""


@dataclass(frozen=True)
class ServerSection:
    """The server as a whole."""

    domain: str = _option(
        HostName(), None, "The domain of the accounts: for romeo@example.org to log in, it is example.org."
    )
    name: str = _option(Text(), "muccore", "The server's name for people, as clients show it.")
    contactAddresses: tuple[tuple[str, str], ...] = _option(
        ListOf(ContactAddress()),
        "",
        "How users reach you, as clients show it: for example admin xmpp:admin@example.org, or abuse "
        "mailto:abuse@example.org.",
    )
    extraHandlers: tuple[HandlerDescription, ...] = _option(
        ListOf(HandlerType()),
        "",
        "Additional protocol handlers for the domain, from Twisted plugins. A handler takes its options from a section "
        "[handler:NAME].",
    )
    admins: tuple[str, ...] = _option(
        ListOf(AccountAddress()),
        "",
        "The accounts that may administer the server by their clients (XEP-0133), all of its domains. They can name "
        "others.",
    )
    controlSocket: FilePath[str] | None = _option(  # noqa: RUF009 (a field, like all others)
        Path(),
        "",
        "The UNIX socket by which muccorectl reaches the running server; only the user of the server and root may. By "
        'default it is beside the database of the rooms, its name followed by "-control"; there is none if they are '
        "not in SQLite.",
    )
    logLevel: str = _option(
        Choice("debug", "info", "warn", "error", "critical"), "info", "The lowest level of events that are logged."
    )


@dataclass(frozen=True)
class LimitsSection:
    """Limits of what one client, or one address, may demand of the server."""

    stanzaSize: int = _option(Size("10000 B", "64 MiB"), "256 KiB", "The largest stanza of a client that is logged in.")
    stanzaSizeUnauthenticated: int = _option(
        Size("1 KiB", "64 MiB"), "10000 B", "The largest element of a client that is not logged in."
    )
    depth: int = _option(Integer(4, 500), "64", "The maximum depth of nested elements in a stanza.")
    attributes: int = _option(Integer(8, 10000), "64", "The maximum of attributes of an element.")
    elements: int = _option(Integer(16, 1000000), "8192", "The maximum of elements in a stanza, itself included.")
    connections: int = _option(Integer(1, 1000000), "50000", "The maximum of connected clients.")
    connectionsPerAddress: int = _option(
        Integer(0, 1000000), "50", "The maximum of connected clients with the same IP address. 0: no limit."
    )
    rate: int = _option(
        Size("0 B", "1 GiB"), "64 KiB", "Average bytes per second that the server reads from a client. 0: no limit."
    )
    burst: int = _option(Size("1 KiB", "1 GiB"), "1 MiB", "What a client that was silent before may send at once.")
    stanzaCost: int = _option(
        Size("0 B", "64 KiB"),
        "512 B",
        "What a stanza counts for in rate and address_rate, besides its bytes: even the smallest takes time.",
    )
    addressRate: int = _option(
        Size("0 B", "1 GiB"),
        "256 KiB",
        "Average bytes per second that the server reads from all clients with the same IP address together. What it "
        "sends to the occupants of rooms because of them counts, too, at a 32nd. 0: no limit.",
    )
    addressBurst: int = _option(
        Size("1 KiB", "1 GiB"), "4 MiB", "What clients with the same IP address, silent before, may send at once."
    )
    exempt: tuple[Network, ...] = _option(
        ListOf(NetworkAddress()),
        "127.0.0.0/8\n::1/128",
        "Networks without the limits connections_per_address, rate and address_rate, and without delays after wrong "
        "passwords. Elsewhere, wrong passwords delay further log-ins from their address and to their account.",
    )
    sessionsPerAccount: int = _option(
        Integer(1, 10000), "50", "The maximum of clients of one account that are logged in at the same time."
    )
    rosterItems: int = _option(
        Integer(0, 100000),
        "1000",
        "The maximum of contacts of one account. On average each may have 512 bytes of address, name and groups.",
    )
    directedPresences: int = _option(
        Integer(10, 1000000), "1000", "The maximum of addresses with directed presence of one client; rooms count."
    )


@dataclass(frozen=True)
class StreamManagementSection:
    """Stream management (XEP-0198): clients that lose their connection may resume their session."""

    resumeTimeout: float = _option(
        Duration("0 s", "24 h"),
        "5 min",
        "The time for which a session without a connection waits for its client, over a restart too; meanwhile others "
        "see it as online. 0: sessions cannot be resumed.",
    )
    queueStanzas: int = _option(
        Integer(50, 1000000),
        "5000",
        "The maximum of stanzas that are kept for one session until its client acknowledges them. Above it the session "
        "ends, unless it has a connection and enough can be forgotten: presence, and messages of rooms.",
    )
    queueBytes: int = _option(
        Size("16 KiB", "1 GiB"),
        "2 MiB",
        "The maximum of bytes of these stanzas; at most half of [transport] outbox_limit, but enough for one stanza.",
    )


@dataclass(frozen=True)
class AuthSection:
    """Authentication."""

    backend: str = _option(
        StoreType("accounts", ACCOUNT_STORES, optional=True),
        "",
        'Where the accounts are, if not where [storage] default says. "sqlite:PATH" keeps them in a database, '
        '"postgresql:" in one of a PostgreSQL server (docs/operating.md); "program:COMMAND" and others ask elsewhere '
        '(docs/external-accounts.md); "memory:" loses them when the server ends; "insecure:" accepts any user name '
        "with any password: it is for tests, and refused unless every endpoint is on a loopback address.",
    )
    anonymous: bool = _option(
        Boolean(),
        "no",
        "Whether guests may log in at the domain of [server], without an account (SASL ANONYMOUS); [anonymous] limits "
        "them.",
    )


@dataclass(frozen=True)
class AnonymousSection:
    """Guests, who log in without an account, where [auth] or a [host NAME] lets them."""

    sessions: int = _option(Integer(1, 1000000), "1000", "The maximum of guests on the server.")
    sessionsPerAddress: int = _option(
        Integer(0, 1000000),
        "10",
        "The maximum of guests with the same IP address, except in the networks of [limits] exempt. 0: no limit.",
    )
    roomCreation: bool = _option(
        Boolean(), "no", "Whether guests may create rooms, as far as [muc] room_creation allows that."
    )
    otherDomains: bool = _option(
        Boolean(), "no", "Whether guests may send to other domains than their own and those of its rooms."
    )


@dataclass(frozen=True)
class ComponentsSection:
    """The connections of external components (XEP-0114), if there is a section for one."""

    listen: tuple[str, ...] = _option(
        ListOf(Endpoint("tcp", "tcp6", "systemd")),
        "tcp:5347:interface=127.0.0.1",
        "Where components connect, as in [c2s]. Their connections are not encrypted.",
    )


@dataclass(frozen=True)
class ComponentSection:
    """An external component that may connect and then serves this domain; there may be several of these sections."""

    secret: str = _option(Secret(), None, "The secret that the component must know. It can send from its whole domain.")


@dataclass(frozen=True)
class Settings:
    """
    A configuration. Equal if all values are, wherever they are in the file.

    @ivar named: the sections of L{NAMED_SECTIONS}, by kind and name.
    @ivar handlers: the options of handlers, by the handler's name.
    @ivar base: the folder of the configuration file, the base of relative paths.
    @ivar path: the file, as given.
    @ivar lines: the line of each key in the file, by section and key; for named sections also of the header, by C{""}.
    """

    server: ServerSection
    c2s: C2SSection
    s2s: S2SSection
    http: HTTPSection
    tls: TLSSection
    transport: TransportSection
    limits: LimitsSection
    stream_management: StreamManagementSection
    auth: AuthSection
    anonymous: AnonymousSection
    storage: StorageSection
    users: UsersSection
    registration: RegistrationSection
    muc: MUCSection
    upload: UploadSection
    external_services: ExternalServicesSection
    pubsub: PubSubSection
    components: ComponentsSection
    named: Mapping[str, Mapping[str, Any]]
    handlers: Mapping[str, Mapping[str, str]]
    base: FilePath[str]
    path: str = field(compare=False)
    lines: Mapping[tuple[str, str], int] = field(compare=False, repr=False)

    @property
    def hosts(self) -> tuple[Host, ...]:
        """See L{hostsOf}."""
        return hostsOf(self)

    def problem(self, section: str, key: str, text: str) -> Problem:
        """Make the problem of a key that was noticed only when its value was used, such as a port in use."""
        return Problem(self.path, text, self.lines.get((section, key)), section, key)


SECTIONS: Final[Mapping[str, type[Any]]] = {
    "server": ServerSection,
    "c2s": C2SSection,
    "s2s": S2SSection,
    "http": HTTPSection,
    "tls": TLSSection,
    "transport": TransportSection,
    "limits": LimitsSection,
    "stream_management": StreamManagementSection,
    "auth": AuthSection,
    "anonymous": AnonymousSection,
    "storage": StorageSection,
    "users": UsersSection,
    "registration": RegistrationSection,
    "muc": MUCSection,
    "upload": UploadSection,
    "external_services": ExternalServicesSection,
    "pubsub": PubSubSection,
    "components": ComponentsSection,
}
"""Section names, which are attributes of L{Settings}, to their classes, in the order of the reference."""


NAMED_SECTIONS: Final[Mapping[str, type[Any]]] = {"host": HostSection, "component": ComponentSection}
"""Kinds of sections C{[KIND NAME]}, where the name is a domain, to their classes."""


def _options(sections: Mapping[str, type[Any]]) -> Mapping[tuple[str, str], Option]:
    found = {}
    for section, cls in sections.items():
        for declared in fields(cls):
            name = re.sub("([A-Z])", lambda match: "_" + match[1].lower(), declared.name)
            found[section, name] = Option(section, name, declared.name, *declared.metadata[METADATA])
    return found


OPTIONS: Final = _options(SECTIONS)
"""Every option by section and key, in the order of the reference."""

NAMED_OPTIONS: Final = _options(NAMED_SECTIONS)
"""Every option of L{NAMED_SECTIONS} by kind and key."""
