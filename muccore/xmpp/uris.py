# -*- test-case-name: tests.xmpp.test_uris -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Addresses as URIs (RFC 5122)."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from muccore.xmpp.jid import JID

_LOCAL: Final = "!$()*+,;="
_DOMAIN: Final = "[:]" + _LOCAL
_RESOURCE: Final = ":&'" + _LOCAL


def xmppURI(jid: JID, query: str = "") -> str:
    """
    Make the URI of an address.

    @param query: what the URI is for, such as C{join} (XEP-0147); C{""} for nothing in particular.
    """
    local = f"{quote(jid.local, _LOCAL)}@" if jid.local else ""
    resource = f"/{quote(jid.resource, _RESOURCE)}" if jid.resource else ""
    return f"xmpp:{local}{quote(jid.domain, _DOMAIN)}{resource}{f'?{query}' if query else ''}"
