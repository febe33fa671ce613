# -*- test-case-name: tests.config.test_types -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Types of configuration values: each parses text, and describes what it allows."""

from __future__ import annotations

import ipaddress
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from configparser import ConfigParser
from decimal import Decimal
from typing import Any, ClassVar, Final, Generic, TypeVar

from twisted.python.filepath import FilePath

from muccore.config.errors import InvalidValue, suggestion
from muccore.config.ini import Line
from muccore.net.serverdns import PORT, Target
from muccore.net.tls import dnsName
from muccore.xmpp import jid
from muccore.xmpp.jid import JID, InvalidJID, prepareDomain

T = TypeVar("T")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Reject = Callable[[int, str, InvalidValue], None]
"""Called with the line, the text found there and its error."""

_NUMBER: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z/]*)\Z")
_WEB_ADDRESS: Final = re.compile(r"https?://[^\s/?#]\S*")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


class Type(ABC, Generic[T]):
    """
    A type of values.

    @ivar allowed: what it allows, in words that follow "allowed: ".
    @ivar unit: the unit of its values, for the reference, or C{""}.
    """

    allowed: str
    unit = ""

    @abstractmethod
    def parse(self, text: str, base: FilePath[str]) -> T:
        """
        Parse a value of one line.

        @param text: stripped; C{""} if nothing is given.
        @param base: the base of relative paths.
        @raise InvalidValue: if it is not allowed.
        """

    def read(self, lines: Sequence[Line], number: int, base: FilePath[str], reject: Reject) -> T | None:
        """
        Parse the whole value of an option.

        @param lines: the lines of the value, none of them empty.
        @param number: the line of the key.
        @param reject: called for every error.
        @return: the value; C{None} may also mean an error.
        """
        if len(lines) > 1:
            why = "a line that begins with white space continues the value above; this key takes one line"
            reject(lines[1].number, lines[1].text, InvalidValue(why))
            return None
        text = lines[0].text if lines else ""
        try:
            return self.parse(text, base)
        except InvalidValue as e:
            reject(lines[0].number if lines else number, text, e)
            return None


class ListOf(Type[tuple[T, ...]]):
    """Values, one on each line."""

    def __init__(self, item: Type[T], least: int = 0) -> None:
        """@param least: how many there must be: any number, or one."""
        self.item = item
        self.least = least
        self.allowed = f"one on each line: {item.allowed}"
        self.unit = item.unit

    def parse(self, text: str, base: FilePath[str]) -> tuple[T, ...]:
        """See L{Type.parse}."""
        return tuple(self.item.parse(line.strip(), base) for line in text.split("\n") if line.strip())

    def read(self, lines: Sequence[Line], number: int, base: FilePath[str], reject: Reject) -> tuple[T, ...] | None:
        """See L{Type.read}."""
        if len(lines) < self.least:
            reject(number, "", InvalidValue())
        values = []
        for line in lines:
            try:
                values.append(self.item.parse(line.text, base))
            except InvalidValue as e:
                reject(line.number, line.text, e)
        return tuple(values)


class OptionalListOf(ListOf[T]):
    """A list that may be missing: C{None}, which is not the same as an empty one."""

    def parse(self, text: str, base: FilePath[str]) -> Any:
        """See L{Type.parse}."""
        return super().parse(text, base) if text else None


class Boolean(Type[bool]):
    """Yes or no."""

    allowed = "yes, no"

    def parse(self, text: str, base: FilePath[str]) -> bool:
        """See L{Type.parse}. Accepts the same words as C{configparser}."""
        try:
            return ConfigParser.BOOLEAN_STATES[text.lower()]
        except KeyError:
            raise InvalidValue() from None


class Choice(Type[str]):
    """One of several words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.allowed = ", ".join(words)

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        if text not in self.words:
            raise InvalidValue(hint=suggestion(text, self.words))
        return text


class Integer(Type[int]):
    """A whole number."""

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most
        self.allowed = f"a whole number from {least} to {most}"

    def parse(self, text: str, base: FilePath[str]) -> int:
        """See L{Type.parse}."""
        if not (text.isascii() and text.isdigit()) or len(text) > 20 or not self.least <= int(text) <= self.most:
            raise InvalidValue()
        return int(text)


class _Quantity(Type[T]):
    """A number with a unit."""

    factors: ClassVar[dict[str, int]]
    default: ClassVar[str]

    def __init__(self, least: str, most: str) -> None:
        self.least = self._toBase(least)
        self.most = self._toBase(most)
        units = ", ".join(self.factors)
        self.allowed = f"from {least} to {most}; a number and one of {units} (default: {self.default})"

    def _toBase(self, text: str) -> Decimal:
        match = _NUMBER.match(text)
        if match is None or len(match[1]) > 20:
            raise InvalidValue()
        unit = match[2] or self.default
        if unit not in self.factors:
            raise InvalidValue(f"unknown unit {unit!r}", suggestion(unit, self.factors))
        return Decimal(match[1]) * self.factors[unit]

    def _checked(self, text: str) -> Decimal:
        value = self._toBase(text)
        if not self.least <= value <= self.most:
            raise InvalidValue()
        return value


class Size(_Quantity[int]):
    """A number of bytes."""

    unit = "bytes"
    factors = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
    default = "B"

    def parse(self, text: str, base: FilePath[str]) -> int:
        """See L{Type.parse}."""
        value = self._checked(text)
        if value != int(value):
            raise InvalidValue("not a whole number of bytes")
        return int(value)


class Duration(_Quantity[float]):
    """A number of seconds."""

    unit = "seconds"
    factors = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    default = "s"

    def parse(self, text: str, base: FilePath[str]) -> float:
        """See L{Type.parse}."""
        return float(self._checked(text))


class HostName(Type[str]):
    """The domainpart of a JID, prepared."""

    allowed = "a host name such as example.org"

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        try:
            return prepareDomain(text)
        except (InvalidJID, UnicodeError) as e:
            raise InvalidValue(str(e)) from None


class NodeAddress(Type[JID]):
    """A node of a publish-subscribe service: the service's address with the node as resource."""

    allowed = "a service and a node, such as rtbl.example.org/muc_bans_sha256"

    def parse(self, text: str, base: FilePath[str]) -> JID:
        """See L{Type.parse}."""
        _, slash, node = text.partition("/")
        try:
            address = jid.parse(text)
        except InvalidJID as e:
            raise InvalidValue(str(e)) from None
        if not slash or address.resource != node:
            raise InvalidValue("no node" if not node else "not a node as it is written")
        return address


class AccountAddress(Type[str]):
    """The address of an account, a bare JID, prepared."""

    allowed = "an account such as admin@example.org"

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        try:
            address = jid.parse(text)
        except InvalidJID as e:
            raise InvalidValue(str(e)) from None
        if not address.local or address.resource:
            raise InvalidValue()
        return address.bare


class Text(Type[str]):
    """One line of text without control characters, which XML does not allow."""

    allowed = "one line of text, without control characters"

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        if _CONTROL.search(text):
            raise InvalidValue()
        return text


class ContactAddress(Type[tuple[str, str]]):
    """What an address of the operator is for, and the address as a URI (XEP-0157)."""

    purposes: Final = ("abuse", "admin", "feedback", "sales", "security", "status", "support")
    allowed = f"{', '.join(purposes)}, followed by a URI such as mailto:abuse@example.org, xmpp: or https:"
    _uri: Final = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`]+""")

    def parse(self, text: str, base: FilePath[str]) -> tuple[str, str]:
        """See L{Type.parse}."""
        purpose, _, uri = text.partition(" ")
        uri = uri.strip()
        if purpose not in self.purposes:
            raise InvalidValue(hint=suggestion(purpose, self.purposes))
        if not self._uri.fullmatch(uri) or _CONTROL.search(uri):
            raise InvalidValue("no URI")
        return purpose, uri


class URLTemplate(Text):
    """The address of a web page with a placeholder, or nothing."""

    def __init__(self, placeholder: str) -> None:
        self._placeholder = placeholder
        self.allowed = f"nothing, or an address that begins with https:// or http:// and contains {placeholder}"

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        if text and not (_WEB_ADDRESS.fullmatch(text) and self._placeholder in text):
            raise InvalidValue()
        return super().parse(text, base)


class Secret(Text):
    """A line of text that is never shown."""

    def __init__(self, optional: bool = False) -> None:
        """@param optional: whether nothing may be given."""
        self._optional = optional
        self.allowed = f"one line of text, without control characters{'' if optional else ' and not empty'}"

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        if not text and not self._optional:
            raise InvalidValue()
        return super().parse(text, base)

    def read(self, lines: Sequence[Line], number: int, base: FilePath[str], reject: Reject) -> str | None:
        """See L{Type.read}. Errors do not quote what was found."""
        return super().read(lines, number, base, lambda line, found, error: reject(line, found and "***", error))


class Path(Type[FilePath[str] | None]):
    """The path of a file, relative to the folder of the configuration file; C{None} if nothing is given."""

    allowed = "the path of a file"

    def parse(self, text: str, base: FilePath[str]) -> FilePath[str] | None:
        """See L{Type.parse}."""
        if "\x00" in text:
            raise InvalidValue()
        return FilePath(os.path.join(base.path, text)) if text else None


class NetworkAddress(Type[Network]):
    """An IP network."""

    allowed = "an IP network such as 192.0.2.0/24 or 2001:db8::/32, or an address"

    def parse(self, text: str, base: FilePath[str]) -> Network:
        """See L{Type.parse}."""
        try:
            return ipaddress.ip_network(text)
        except ValueError as e:
            raise InvalidValue(str(e)) from None


def _portIn(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 0 < int(text) < 65536:
        raise InvalidValue(f"the port {text!r} is not a whole number from 1 to 65535")
    return int(text)


class SocketAddress(Type[tuple[str, int]]):
    """An IP address with a port; the port may have a default."""

    def __init__(self, port: int) -> None:
        """@param port: the default."""
        self._port = port
        self.allowed = f"an IP address such as 192.0.2.53 or 192.0.2.53:{port}, or [2001:db8::1]:{port}"

    def parse(self, text: str, base: FilePath[str]) -> tuple[str, int]:
        """See L{Type.parse}."""
        host, port = _splitPort(text)
        try:
            address = ipaddress.ip_address(host)
        except ValueError as e:
            raise InvalidValue(str(e)) from None
        return str(address), self._port if port is None else _portIn(port)


def _splitPort(text: str) -> tuple[str, str | None]:
    """Split into host and port; an IPv6 address may be in brackets, and has to be before a port."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidValue("the bracket is not closed")
        return host, rest[1:] if rest else None
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None


class ServerRoute(Type[tuple[str, Target]]):
    """Where the server of a domain is."""

    allowed = "a domain and an address, such as example.net 192.0.2.1:5269; direct after it: TLS from the first byte"

    def parse(self, text: str, base: FilePath[str]) -> tuple[str, Target]:
        """See L{Type.parse}."""
        words = text.split()
        if len(words) < 2 or words[2:] not in ([], ["direct"]):
            raise InvalidValue()
        host, port = _splitPort(words[1])
        if not host:
            raise InvalidValue("no address")
        domain = HostName().parse(words[0], base)
        return domain, Target(host.lower(), PORT if port is None else _portIn(port), len(words) == 3)


class Origin(Type[str]):
    """A web origin as browsers send it (RFC 6454 §6.2), or C{*}."""

    allowed = 'an origin such as https://chat.example.org or http://localhost:8080, or "*" for any'
    _origin: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@:*\[\]\s]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
    _defaultPorts: Final = {"http": "80", "https": "443"}

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        if text == "*":
            return text
        match = self._origin.fullmatch(text.lower())
        if match is None:
            raise InvalidValue()
        scheme, host, port = match.groups()
        suffix = "" if port in (None, self._defaultPorts.get(scheme)) else f":{port}"
        return f"{scheme}://{dnsName(host)}{suffix}"


class HTTPSURL(Type[str]):
    """An HTTPS URL without a path, or C{""}."""

    allowed = "a URL such as https://chat.example.org, without a path"
    _url: Final = re.compile(r"https://[a-z0-9._-]+(?::[0-9]{1,5})?")

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        url = text.lower().removesuffix("/")
        if url and self._url.fullmatch(url) is None:
            raise InvalidValue()
        return url


class URLPath(Type[str]):
    """The path of a URL, or C{""}."""

    allowed = "a path such as /chat, or nothing"
    _path: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")

    def parse(self, text: str, base: FilePath[str]) -> str:
        """See L{Type.parse}."""
        if text and self._path.fullmatch(text) is None:
            raise InvalidValue()
        return text


AnyType = Type[Any]
"""A type of any values."""
