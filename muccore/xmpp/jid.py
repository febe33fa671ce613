# -*- test-case-name: tests.xmpp.test_jid -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
XMPP addresses (RFC 7622, prepared with the stringprep profiles of RFC 6122 as XEP-0045 §17.1 asks).

L{parse} runs for every stanza. Stringprep costs some 70 µs, so pure ASCII bypasses it, and results are cached; the
cache is bounded in entries and in the length of each.
"""

from __future__ import annotations

import ipaddress
import re
from encodings import idna
from functools import lru_cache
from typing import Final
from unicodedata import ucd_3_2_0

from twisted.words.protocols.jabber import xmpp_stringprep

PART_LIMIT: Final = 1023
"""Bytes of UTF-8 in a localpart, domainpart or resourcepart (RFC 7622 §3.1)."""

_CACHED_LENGTH: Final = 256
_CACHE_SIZE: Final = 16384

_BAD_LOCAL: Final = re.compile("[\x00-\x20\x7f\"&'/:<>@]")
_BAD_RESOURCE: Final = re.compile("[\x00-\x1f\x7f]")

# Invisible characters (Default_Ignorable_Code_Point): fillers, and those added since Unicode 3.2. They are removed like
# the ones that stringprep knows (RFC 3454, table B.1); otherwise two JIDs could look the same.
_INVISIBLE: Final = re.compile(
    "[\u061c\u115f\u1160\u17b4\u17b5\u180f\u2064-\u2069\u3164\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U000e0080-\U000e0fff]+"
)


def _lenient(strict: xmpp_stringprep.Profile) -> xmpp_stringprep.Profile:
    """Allow code points that Unicode 3.2 had not assigned, such as newer emoji (RFC 3454 §7)."""
    return xmpp_stringprep.Profile(mappings=strict.mappings, prohibiteds=strict.prohibiteds, check_unassigneds=False)


_NODEPREP: Final = _lenient(xmpp_stringprep.nodeprep)
_RESOURCEPREP: Final = _lenient(xmpp_stringprep.resourceprep)

_ASCII_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")

_ACE: Final = "xn--"
_HOST_NAME_LIMIT: Final = 253


class InvalidJID(ValueError):
    """The text is not a JID; C{str()} gives the reason."""


class JID:
    """
    A prepared address. Immutable by convention; equal if the prepared text is equal.

    @ivar local: the localpart, or C{""} for none.
    @ivar domain: the domainpart, never empty.
    @ivar resource: the resourcepart, or C{""} for none.
    @ivar bare: C{local@domain}, or C{domain} alone.
    @ivar full: C{bare}, and C{/resource} if there is one.
    """

    __slots__ = ("bare", "domain", "full", "local", "resource")

    def __init__(self, local: str, domain: str, resource: str) -> None:
        """Take prepared parts; use L{parse} or L{make} for others."""
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
        """This address with another, prepared resource (C{""}: none)."""
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
        raise InvalidJID(f"{what} is not Unicode text") from None
    if length > PART_LIMIT:
        raise InvalidJID(f"{what} longer than {PART_LIMIT} bytes")
    return text


def _prepare(what: str, profile: xmpp_stringprep.Profile, bad: re.Pattern[str], text: str) -> str:
    """Prepare a localpart or resourcepart; the case of ASCII is kept."""
    _checkLength(what, text)
    if text.isascii():
        if bad.search(text):
            raise InvalidJID(f"prohibited character in {what}")
        return text
    visible = _INVISIBLE.sub("", text)
    # Some characters of three bytes become 18, which takes milliseconds to check. Characters that are mapped to nothing
    # count as well, but are never longer than the text.
    if len(ucd_3_2_0.normalize("NFKC", visible)) > 2 * PART_LIMIT:
        raise InvalidJID(f"{what} longer than {PART_LIMIT} bytes")
    try:
        return _checkLength(what, profile.prepare(visible))
    except UnicodeError as e:
        raise InvalidJID(f"prohibited character in {what}: {e}") from None


def prepareLocal(text: str) -> str:
    """Prepare a localpart (nodeprep); L{InvalidJID} if it is empty, too long or has a prohibited character."""
    prepared = _prepare("localpart", _NODEPREP, _BAD_LOCAL, text)
    return prepared.lower() if text.isascii() else prepared


def prepareDomain(text: str) -> str:
    """
    Prepare a domainpart: a host name (nameprep), an IPv4 address or an IPv6 address in brackets. A-labels (C{xn--...})
    become U-labels (RFC 7622 §3.2.1).

    @raise InvalidJID: if it is none of these.
    """
    text = _checkLength("domainpart", text.removesuffix("."))
    if text.startswith("[") and text.endswith("]"):
        try:
            address = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            raise InvalidJID("domainpart is not an IPv6 address") from None
        if address.scope_id is not None:
            # A zone may be any text, and has a meaning on one machine only.
            raise InvalidJID("domainpart is an IPv6 address with a zone")
        return f"[{address}]"
    if text.isascii():
        text = text.lower()
        if all(_ASCII_LABEL.match(label) for label in text.split(".")):
            return _decodeLabels(text)
        raise InvalidJID("domainpart is not a host name")
    try:
        prepared: str = xmpp_stringprep.nameprep.prepare(text)
    except (UnicodeError, IndexError) as e:
        # Twisted raises IndexError for an empty label.
        raise InvalidJID(f"domainpart is not a host name: {e}") from None
    _checkLength("domainpart", prepared)
    if not all(prepared.split(".")):
        raise InvalidJID("empty label in domainpart")
    return _decodeLabels(prepared)


def _decodeLabels(domain: str) -> str:
    """Convert the A-labels of a prepared host name. Each takes 90 µs, so only in names that DNS could have."""
    if _ACE not in domain or len(domain) > _HOST_NAME_LIMIT:
        return domain
    return ".".join(map(_decodeLabel, domain.split(".")))


def _decodeLabel(label: str) -> str:
    """Convert an A-label; return what encodes no prepared label (RFC 3490 §4.2) as it is."""
    if not label.startswith(_ACE):
        return label
    try:
        decoded = idna.ToUnicode(label)
        return decoded if xmpp_stringprep.nameprep.prepare(decoded) == decoded else label
    except UnicodeError:
        return label


def prepareResource(text: str) -> str:
    """Prepare a resourcepart (resourceprep); L{InvalidJID} if it is empty, too long or has a prohibited character."""
    return _prepare("resourcepart", _RESOURCEPREP, _BAD_RESOURCE, text)


def make(local: str, domain: str, resource: str = "") -> JID:
    """Prepare three parts; C{""} means no localpart or no resource. L{InvalidJID} if a part is invalid."""
    return JID(local and prepareLocal(local), prepareDomain(domain), resource and prepareResource(resource))


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
    """Parse and prepare an address; L{InvalidJID} if the text is none."""
    return _parse(text) if len(text) > _CACHED_LENGTH else _cached(text)
