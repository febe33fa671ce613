# -*- test-case-name: tests.muc.model.test_mentions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Who is mentioned in a message: by references (XEP-0372) and by explicit mentions (XEP-0513 §3.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, InvalidJID, parse
from muccore.xmpp.uris import addressIn

LIMIT: Final = 20
"""Mentions of one message that are looked at."""

_PAYLOADS: Final = {ns.REFERENCE: "reference", ns.MENTIONS: "mention"}
_SILENT: Final = ("noping", "active")
"""Modifiers of mentions that are not meant for somebody who is not there (XEP-0513 §3.5)."""


def mentionedAccounts(room: Room, message: Element, accountOf: Callable[[str], str | None]) -> list[str]:
    """
    Find out who is mentioned: bare JIDs, each once, in the order of the message. Groups are left out: they consist of
    occupants.

    @param accountOf: finds the user with an occupant id (XEP-0421).
    """
    # This is for every message.
    elements = [child for child in message.children if not isinstance(child, str) and child.uri in _PAYLOADS]
    if not elements:
        return []
    elements = [element for element in elements if element.name == _PAYLOADS[element.uri]][:LIMIT]
    found = (_mentioned(room, element, accountOf) for element in elements)
    return list(dict.fromkeys(account for account in found if account))


def _mentioned(room: Room, element: Element, accountOf: Callable[[str], str | None]) -> str | None:
    if element.name == "reference":
        address = addressIn(element.get("uri") or "") if element.get("type") == "mention" else None
        return None if address is None else _accountAt(room, address)
    if "mentions" in element.attributes or any(element.child(name) is not None for name in _SILENT):
        return None
    id = element.get("occupantid")
    if id is not None:
        return accountOf(id)
    address = _parsed(element.get("jid") or "")
    return None if address is None else _accountAt(room, address)


def _accountAt(room: Room, address: JID) -> str | None:
    """The user at an address: their own, or that of their reserved nick in the room."""
    if address.bare == room.jid.bare:
        return room.affiliations.reservedBy(address.resource) if address.resource else None
    return address.bare


def _parsed(address: str) -> JID | None:
    try:
        return parse(address)
    except InvalidJID:
        return None
