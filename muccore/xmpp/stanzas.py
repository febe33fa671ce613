# -*- test-case-name: tests.session.test_session -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Checks of stanzas from outside (RFC 6120 §8)."""

from __future__ import annotations

from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, StreamError
from muccore.xmpp.jid import JID, InvalidJID, parse

STANZAS: Final = frozenset(["message", "presence", "iq"])
"""The names of stanzas."""

ID_LIMIT: Final = 1023
"""Characters of a stanza's id, which every answer repeats and what the stanza causes may carry on."""


def checkIsStanza(element: Element) -> None:
    """@raise StreamError: C{unsupported-stanza-type} or C{invalid-namespace} if an element is no stanza."""
    if element.uri != ns.CLIENT or element.name not in STANZAS:
        raise StreamError("invalid-namespace" if element.name in STANZAS else "unsupported-stanza-type")


def parseAddress(text: str) -> JID:
    """@raise StanzaError: C{jid-malformed} if an address inside a stanza is none."""
    try:
        return parse(text)
    except InvalidJID as e:
        raise StanzaError("jid-malformed", text=str(e)) from None


def iqProblem(element: Element) -> str | None:
    """What is wrong with an IQ by RFC 6120 §8.2.3; C{None} if nothing is."""
    attributes = element.attributes
    type = attributes.get("type")
    if "id" not in attributes:
        return "an IQ needs an id"
    if type in ("get", "set"):
        if sum(1 for child in element.children if not isinstance(child, str)) != 1:
            return f"an IQ of type {type} needs exactly one child element"
    elif type not in ("result", "error"):
        return "the type of an IQ must be get, set, result or error"
    return None
