# -*- test-case-name: tests.config.test_externalservices -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The section C{[external_services]} of the configuration; L{muccore.config.schema} has the others."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from twisted.python.filepath import FilePath

from muccore.config.errors import InvalidValue
from muccore.config.option import option as _option
from muccore.config.types import Boolean, Duration, HostName, ListOf, Secret, Type
from muccore.net.tls import dnsName
from muccore.services.externalservices import ExternalService

_DEFAULTS: Final = {"stun": (3478, "udp"), "stuns": (5349, "tcp"), "turn": (3478, "udp"), "turns": (5349, "tcp")}
"""Ports and transports of types (RFC 7064 §3.2, RFC 7065 §3.1)."""

_URI: Final = re.compile(
    r"(?P<type>[a-z][a-z0-9-]*):(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/?#\[\]@]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?:\?transport=(?P<transport>udp|tcp))?"
)


class ServiceURI(Type[ExternalService]):
    """The URI of a service, as in RFC 7064 and RFC 7065."""

    allowed = "a URI such as stun:stun.example.org, turn:turn.example.org:3478?transport=udp or turns:[2001:db8::1]"

    def parse(self, text: str, base: FilePath[str]) -> ExternalService:
        """See L{Type.parse}."""
        match = _URI.fullmatch(text)
        if match is None:
            raise InvalidValue()
        port, transport = _DEFAULTS.get(match["type"], (None, None))
        if match["port"]:
            port = int(match["port"])
            if not 0 < port < 65536:
                raise InvalidValue("no port")
        try:
            if match["literal"]:
                host = str(ipaddress.IPv6Address(match["literal"]))
            else:
                host = dnsName(HostName().parse(match["host"], base))
        except ipaddress.AddressValueError as e:
            raise InvalidValue(str(e)) from None
        return ExternalService(match["type"], host, port, match["transport"] or transport)


@dataclass(frozen=True)
class ExternalServicesSection:
    """Services outside of XMPP that clients are told of (XEP-0215), such as relays for calls: docs/calls.md."""

    services: tuple[ExternalService, ...] = _option(
        ListOf(ServiceURI()),
        "",
        "The services. Without a port and a transport, a stun:, stuns:, turn: or turns: has the usual ones.",
    )
    secret: str = _option(
        Secret(optional=True),
        "",
        "What the server shares with the TURN relays (coturn's static-auth-secret): from it come user names and "
        "passwords for turn: and turns:. Without it, relays are announced without.",
    )
    credentialLifetime: float = _option(
        Duration("1 min", "30 d"), "24 h", "The time for which the user names and passwords are valid."
    )
    domains: tuple[str, ...] = _option(
        ListOf(HostName()), "", "The domains whose users are told of them; without any, all domains of accounts."
    )
    guests: bool = _option(Boolean(), "no", "Whether guests ([auth] anonymous) are told of them too.")
