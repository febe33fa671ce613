# -*- test-case-name: tests.xmpp.test_uris -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Addresses as URIs (RFC 5122)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from muccore.xmpp.jid import JID, InvalidJID, make

_LOCAL: Final = "!$()*+,;="
_DOMAIN: Final = "[:]" + _LOCAL
_RESOURCE: Final = ":&'" + _LOCAL

_XMPP_URI: Final = re.compile(r"xmpp:(?://[^\s/?#]+/)?([^\s?#]+)(?:\?[^\s#]*)?(?:#\S*)?", re.IGNORECASE)
"""An XMPP URI or IRI (§2.2); the group is the address, percent-encoded."""


def xmppURI(jid: JID, query: str = "") -> str:
    """
    Make the URI of an address.

    @param query: what the URI is for, such as C{join} (XEP-0147); C{""} for nothing in particular.
    """
    local = f"{quote(jid.local, _LOCAL)}@" if jid.local else ""
    resource = f"/{quote(jid.resource, _RESOURCE)}" if jid.resource else ""
    return f"xmpp:{local}{quote(jid.domain, _DOMAIN)}{resource}{f'?{query}' if query else ''}"


def addressIn(uri: str) -> JID | None:
    """The address in an XMPP URI or IRI; C{None} if a text is none."""
    match = _XMPP_URI.fullmatch(uri)
    if match is None:
        return None
    # What is encoded separates nothing (RFC 3986 §2.2).
    bare, slash, resource = match[1].partition("/")
    local, at, domain = bare.rpartition("@")
    if (slash and not resource) or (at and not local):
        return None
    try:
        return make(*(unquote(part, errors="strict") for part in (local, domain, resource)))
    except (InvalidJID, UnicodeDecodeError):
        return None
