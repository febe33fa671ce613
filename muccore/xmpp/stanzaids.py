# -*- test-case-name: tests.xmpp.test_stanzaids -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Stable stanza ids (XEP-0359) that accounts give their messages."""

from __future__ import annotations

from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import InvalidJID, parse
from muccore.xmpp.rendering import Rendered, RenderedElement, escapeAttribute


def isStanzaIdBy(child: Element, account: str) -> bool:
    """Whether a child of a message claims to be the stanza id that an account gave it; addresses are prepared (§3)."""
    if child.uri != ns.STANZA_ID or child.name != "stanza-id":
        return False
    by = child.attributes.get("by")
    if by is None or by == account:
        return by is not None
    try:
        return parse(by).full == account
    except InvalidJID:
        return False


def stanzaIdBy(message: Element, account: str) -> str | None:
    """The stanza id that an account gave a message, or C{None}."""
    for child in message.childElements():
        if isStanzaIdBy(child, account):
            return child.attributes.get("id")
    return None


def withoutStanzaId(message: Element, account: str) -> Element:
    """A message, or a copy of it, without stanza ids that claim to be an account's (§3)."""
    for child in message.children:
        if not isinstance(child, str) and child.uri == ns.STANZA_ID and isStanzaIdBy(child, account):
            break
    else:
        return message
    kept = [child for child in message.children if isinstance(child, str) or not isStanzaIdBy(child, account)]
    return _withChildren(message, kept)


def withStanzaId(message: Element, rendered: Rendered, account: str, id: str) -> Element:
    """
    A copy of a message with the stanza id of an account, of which it has none.

    @param rendered: the message.
    """
    stanzaId = Element((ns.STANZA_ID, "stanza-id"), None, {"id": id, "by": account})
    return RenderedElement.extending(message, rendered, stanzaId, renderStanzaId(account, id))


def renderStanzaId(account: str, id: str) -> bytes:
    """The stanza id of an account, rendered. The id needs no escapes."""
    return f"<stanza-id xmlns='{ns.STANZA_ID}' id='{id}' by='{escapeAttribute(account)}'/>".encode()


def _withChildren(message: Element, children: list[Element | str]) -> Element:
    made = Element((message.uri, message.name), None, dict(message.attributes))
    made.children = children
    return made
