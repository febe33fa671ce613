# -*- test-case-name: tests.xmpp.test_jid -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
XMPP addresses (RFC 7622, prepared with the stringprep profiles of RFC 6122 as XEP-0045 §17.1 asks).

L{parse} is on the way of every stanza. Preparing by stringprep costs some 70 µs, so pure ASCII takes a short way,
and results are kept in a cache that is bounded in entries and in the length of what it keeps: nobody can grow it
from outside.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final
from unicodedata import ucd_3_2_0

from twisted.words.protocols.jabber import xmpp_stringprep

PART_LIMIT: Final = 1023
"""Longest localpart, domainpart or resourcepart, in bytes of UTF-8 (RFC 7622 §3.1)."""

_CACHED_LENGTH: Final = 256
_CACHE_SIZE: Final = 16384

_BAD_LOCAL: Final = re.compile("[\x00-\x20\x7f\"&'/:<>@]")
_BAD_RESOURCE: Final = re.compile("[\x00-\x1f\x7f]")

# What shows nothing (Default_Ignorable_Code_Point): fillers, and what Unicode has added since 3.2. It goes the way of
# what stringprep knew of that kind (RFC 3454, table B.1); otherwise "Romeo" and "Romeo" would be two people.
_INVISIBLE: Final = re.compile(
    "[\u061c\u115f\u1160\u17b4\u17b5\u180f\u2064-\u2069\u3164\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U000e0080-\U000e0fff]+"
)


def _lenient(strict: xmpp_stringprep.Profile) -> xmpp_stringprep.Profile:
    """
    A profile that lets code points pass that Unicode 3.2 had not assigned: RFC 3454 §7 has servers do so, and
    nobody's nick is refused for a face that was drawn after 2002.
    """
    return xmpp_stringprep.Profile(
        mappings=strict.mappings, prohibiteds=strict.prohibiteds, check_unassigneds=False
    )


_NODEPREP: Final = _lenient(xmpp_stringprep.nodeprep)
_RESOURCEPREP: Final = _lenient(xmpp_stringprep.resourceprep)

_ASCII_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")


class InvalidJID(ValueError):
    """The text is no JID; C{str()} of it says why."""


class JID:
    """
    One prepared address. Immutable by agreement; equal when the prepared text is equal.

    @ivar local: the localpart, or C{""} for none.
    @ivar domain: the domainpart, never empty.
    @ivar resource: the resourcepart, or C{""} for none.
    @ivar bare: C{local@domain}, or C{domain} alone.
    @ivar full: C{bare}, and C{/resource} where there is one.
    """

    __slots__ = ("bare", "domain", "full", "local", "resource")

    def __init__(self, local: str, domain: str, resource: str) -> None:
        """Take parts that are prepared already; use L{parse} or L{make} for any others."""
        self.local = local
        self.domain = domain
        self.resource = resource
        self.bare = f"{local}@{domain}" if local else domain
        self.full = f"{self.bare}/{resource}" if resource else self.bare

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JID) and other.full == self.full

    def __hash__(self) -> int:
        return hash(self.full)

    def __str__(self) -> str:
        return self.full

    def __repr__(self) -> str:
        return f"<JID {self.full!r}>"

    def withResource(self, resource: str) -> JID:
        """The same account or room with another, already prepared resource (C{""}: none)."""
        return JID(self.local, self.domain, resource)

    def bareJID(self) -> JID:
        """This address without its resource."""
        return JID(self.local, self.domain, "") if self.resource else self


def _checkLength(what: str, text: str) -> str:
    if not text:
        raise InvalidJID(f"empty {what}")
    try:
        length = len(text) if text.isascii() or len(text) > PART_LIMIT else len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidJID(f"{what} is no Unicode text") from None
    if length > PART_LIMIT:
        raise InvalidJID(f"{what} longer than {PART_LIMIT} bytes")
    return text


def _prepare(what: str, profile: xmpp_stringprep.Profile, text: str) -> str:
    """Prepare what is not ASCII."""
    visible = _INVISIBLE.sub("", text)
    # There are characters of three bytes that become 18: to look at each of those costs milliseconds. What is mapped
    # to nothing counts here as well, and is never longer than the text.
    if len(ucd_3_2_0.normalize("NFKC", visible)) > 2 * PART_LIMIT:
        raise InvalidJID(f"{what} longer than {PART_LIMIT} bytes")
    try:
        return _checkLength(what, profile.prepare(visible))
    except UnicodeError as e:
        raise InvalidJID(f"prohibited character in {what}: {e}") from None


def prepareLocal(text: str) -> str:
    """
    Prepare a localpart (nodeprep).

    @raise InvalidJID: if it is empty, too long or has a character that may not be in it.
    """
    _checkLength("localpart", text)
    if text.isascii():
        if _BAD_LOCAL.search(text):
            raise InvalidJID("prohibited character in localpart")
        return text.lower()
    return _prepare("localpart", _NODEPREP, text)


def prepareDomain(text: str) -> str:
    """
    Prepare a domainpart: a host name (nameprep), an IPv4 address or an IPv6 address in brackets.

    @raise InvalidJID: if it is none of these.
    """
    text = _checkLength("domainpart", text.removesuffix("."))
    if text.startswith("[") and text.endswith("]"):
        try:
            address = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            raise InvalidJID("domainpart is no IPv6 address") from None
        if address.scope_id is not None:
            # It may be any text, and means something on one machine only.
            raise InvalidJID("domainpart is an IPv6 address with a zone")
        return f"[{address}]"
    if text.isascii():
        text = text.lower()
        if all(_ASCII_LABEL.match(label) for label in text.split(".")):
            return text
        raise InvalidJID("domainpart is no host name")
    try:
        prepared: str = xmpp_stringprep.nameprep.prepare(text)
    except (UnicodeError, IndexError) as e:
        # An IndexError is what Twisted has for an empty label.
        raise InvalidJID(f"domainpart is no host name: {e}") from None
    _checkLength("domainpart", prepared)
    if not all(prepared.split(".")):
        raise InvalidJID("empty label in domainpart")
    return prepared


def prepareResource(text: str) -> str:
    """
    Prepare a resourcepart (resourceprep).

    @raise InvalidJID: if it is empty, too long or has a character that may not be in it.
    """
    _checkLength("resourcepart", text)
    if text.isascii():
        if _BAD_RESOURCE.search(text):
            raise InvalidJID("prohibited character in resourcepart")
        return text
    return _prepare("resourcepart", _RESOURCEPREP, text)


def make(local: str, domain: str, resource: str = "") -> JID:
    """
    Prepare three parts into a L{JID}; C{""} leaves the localpart or the resource out.

    @raise InvalidJID: if a part may not be as it is.
    """
    return JID(
        prepareLocal(local) if local else "",
        prepareDomain(domain),
        prepareResource(resource) if resource else "",
    )


def _parse(text: str) -> JID:
    bare, slash, resource = text.partition("/")
    local, at, domain = bare.partition("@")
    if not at:
        local, domain = "", bare
    elif not local:
        raise InvalidJID("empty localpart")
    if slash and not resource:
        raise InvalidJID("empty resourcepart")
    return make(local, domain, resource)


_cached = lru_cache(maxsize=_CACHE_SIZE)(_parse)


def parse(text: str) -> JID:
    """
    Parse and prepare an address.

    @raise InvalidJID: if the text is no JID.
    """
    if len(text) > _CACHED_LENGTH:
        return _parse(text)
    return _cached(text)
