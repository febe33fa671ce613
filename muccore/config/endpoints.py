# -*- test-case-name: tests.config.test_endpoints -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Twisted's endpoint strings as configuration values, checked before anything listens.

Twisted's parser is run too, but its errors name Python functions, and it accepts any number as a port. Only TCP
endpoints are allowed, since their connections have the transport that muccore replaces.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from twisted.internet.endpoints import serverFromString
from twisted.python.filepath import FilePath

from muccore.config.errors import InvalidValue, suggestion
from muccore.config.types import Type

if TYPE_CHECKING:
    from muccore.config.schema import Settings

ListenKey = tuple[str, str, str]
"""An endpoint, with the section and the option that it comes from."""

_ARGUMENTS: Final = {
    "tcp": ("port", "interface", "backlog"),
    "tcp6": ("port", "interface", "backlog"),
    "systemd": ("domain", "index", "name"),
}
"""The arguments of each kind of endpoint, in the order of unnamed ones."""

_FAMILIES: Final = ("INET", "INET6")


class Endpoint(Type[str]):
    """An endpoint string."""

    def __init__(self, *schemes: str) -> None:
        """@param schemes: the kinds allowed: C{tcp}, C{tcp6}, C{systemd}."""
        self.schemes = schemes
        self.allowed = f"an endpoint such as tcp:5222:interface=127.0.0.1 (kinds: {', '.join(schemes)})"

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        scheme = text.partition(":")[0]
        if scheme in ("ssl", "tls"):
            raise InvalidValue("for TLS, use a tcp endpoint in [c2s] direct_tls_listen or [http] tls_listen")
        if scheme not in self.schemes:
            raise InvalidValue(f"no kind {scheme!r} here", suggestion(scheme, self.schemes))
        arguments = _arguments(text)
        if "port" in arguments:
            _checkNumber("port", arguments["port"], 65535)
        if "backlog" in arguments:
            _checkNumber("backlog", arguments["backlog"], 2**31 - 1)
        if scheme == "systemd":
            # Not for Twisted's parser: it looks for the socket, which only the server inherits.
            _checkInherited(arguments)
            return text
        interface = arguments.get("interface", "")
        if interface and scheme == "tcp6" and not _isAddress(interface, 6):
            raise InvalidValue(f"{interface!r} is not an IPv6 address")
        try:
            serverFromString(None, text)
        except (ValueError, TypeError) as e:
            raise InvalidValue(str(e)) from None
        return text


def endpointsOf(settings: Settings) -> list[ListenKey]:
    """Where the server listens: for components only if there are any."""
    c2s, s2s, http = settings.c2s, settings.s2s, settings.http
    options = (
        ("c2s", "listen", c2s.listen), ("c2s", "direct_tls_listen", c2s.directTlsListen),
        ("http", "listen", http.listen), ("http", "tls_listen", http.tlsListen),
        ("s2s", "listen", s2s.listen), ("s2s", "direct_tls_listen", s2s.directTlsListen),
        ("components", "listen", settings.components.listen if settings.named["component"] else ()),
    )  # fmt: skip
    return [(section, option, endpoint) for section, option, found in options for endpoint in found]


def isLocal(endpoint: str) -> bool:
    """Whether an endpoint (from L{Endpoint.parse}) is on a loopback address: only this machine can connect to it."""
    interface = _arguments(endpoint).get("interface", "")
    if interface.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(interface).is_loopback
    except ValueError:
        return False


def isEphemeral(endpoint: str) -> bool:
    """Whether an endpoint (from L{Endpoint.parse}) listens on port 0, which means any free port."""
    port = _arguments(endpoint).get("port")
    return port is not None and int(port) == 0


def socketAddress(endpoint: str) -> tuple[socket.AddressFamily, str, int] | None:
    """
    Get the address family, interface (C{""} for all) and port of an endpoint; C{None} for an inherited socket.

    @param endpoint: from L{Endpoint.parse}.
    """
    scheme = endpoint.partition(":")[0]
    if scheme == "systemd":
        return None
    arguments = _arguments(endpoint)
    interface = arguments.get("interface", "")
    six = scheme == "tcp6" or _isAddress(interface, 6)
    return socket.AF_INET6 if six else socket.AF_INET, interface, int(arguments["port"])


def _isAddress(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).version == version
    except ValueError:
        return False


def _split(text: str) -> list[tuple[str | None, str]]:
    """Split at colons into names (C{None} without) and values, and remove escapes."""
    parts: list[tuple[str | None, str]] = []
    name: str | None = None
    current = ""
    characters = iter(text)
    for c in characters:
        if c == "\\":
            following = next(characters, None)
            if following is None:
                raise InvalidValue("a backslash at the end escapes nothing")
            current += following
        elif c == ":":
            parts.append((name, current))
            name, current = None, ""
        elif c == "=" and name is None:
            name, current = current, ""
        else:
            current += c
    parts.append((name, current))
    return parts


def _arguments(text: str) -> dict[str, str]:
    """Parse the arguments of an endpoint string, by name."""
    (_, scheme), *parts = _split(text)
    names = _ARGUMENTS[scheme]
    arguments: dict[str, str] = {}
    unnamed = iter(names)
    for given, value in parts:
        name = next(unnamed, None) if given is None else given
        if name is None:
            raise InvalidValue(f"too many arguments: {value!r}")
        if name not in names:
            raise InvalidValue(f"{scheme} has no argument {name!r}", suggestion(name, names))
        if name in arguments:
            raise InvalidValue(f"the argument {name!r} is given twice (write \\: for a colon inside an address)")
        arguments[name] = value
    if scheme != "systemd" and not arguments.get(names[0]):
        raise InvalidValue(f"{scheme} needs the argument {names[0]!r}")
    return arguments


def _checkNumber(name: str, text: str, most: int) -> None:
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) > most:
        raise InvalidValue(f"the {name} {text!r} is not a whole number from 0 to {most}")


def _checkInherited(arguments: dict[str, str]) -> None:
    if arguments.get("domain") not in _FAMILIES:
        raise InvalidValue(f"systemd needs the argument 'domain', one of {', '.join(_FAMILIES)}")
    if ("index" in arguments) == ("name" in arguments):
        raise InvalidValue("systemd needs one of the arguments 'index' and 'name'")
    if "index" in arguments:
        _checkNumber("index", arguments["index"], 2**31 - 1)
