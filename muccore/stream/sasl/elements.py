# -*- test-case-name: tests.stream.test_negotiation -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The XML elements of SASL (RFC 6120 §6.4): base64 inside C{urn:ietf:params:xml:ns:xmpp-sasl}."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode

from muccore.stream.sasl.exchange import SASLFailure
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import escapeText


def decodeData(element: Element) -> bytes | None:
    """
    Decode the data of an element.

    @return: C{None} if there is none. Data of no length is C{=} (RFC 6120 §6.4.2).
    @raise SASLFailure: C{malformed-request} for child elements, C{incorrect-encoding} if it is not base64.
    """
    for child in element.children:
        if not isinstance(child, str):
            raise SASLFailure("malformed-request", "Unexpected child element.")
    text = element.text()
    if not text:
        return None
    if text == "=":
        return b""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SASLFailure("incorrect-encoding") from None


def renderData(name: str, data: bytes | None) -> bytes:
    """
    Render an element with data.

    @param data: C{None} for none, which in a success is not the same as data of no length (RFC 6120 §6.4.6).
    """
    if data is None:
        return f"<{name} xmlns='{ns.SASL}'/>".encode()
    encoded = b64encode(data).decode("ascii") if data or name == "challenge" else "="
    return f"<{name} xmlns='{ns.SASL}'>{encoded}</{name}>".encode()


def renderFailure(error: SASLFailure) -> bytes:
    """Render a failure (RFC 6120 §6.4.5)."""
    text = "" if error.text is None else f"<text xml:lang='en'>{escapeText(error.text)}</text>"
    return f"<failure xmlns='{ns.SASL}'><{error.condition}/>{text}</failure>".encode()
