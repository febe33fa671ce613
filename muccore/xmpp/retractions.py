# -*- test-case-name: tests.xmpp.test_retractions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Retracted messages (XEP-0424): what retracts another, and what an archive keeps of one, in rooms and of accounts."""

from __future__ import annotations

from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element

FEATURES: Final = (ns.RETRACT, f"{ns.RETRACT}#tombstone")
"""The features of a service that archives retractions, and keeps tombstones (§2, §4)."""

_IDENTITY: Final = frozenset({(ns.OCCUPANT_ID, "occupant-id"), (ns.STANZA_ID, "stanza-id")})


def isRetraction(message: Element) -> bool:
    """Whether a message, which was sent already, retracts another; also by version 0.3, or a moderator's (XEP-0425)."""
    return any(
        child.name == "retract" if child.uri == ns.RETRACT else child.uri == ns.FASTEN and _retracts(child)
        for child in message.childElements()
    )


def _retracts(fastening: Element) -> bool:
    inner = {each.uri for each in fastening.childElements()}
    return not inner.isdisjoint({ns.RETRACT, ns.RETRACT_0, ns.MODERATE_0})


def retracted(retractionId: str, when: float) -> Element:
    """
    Make the element of a tombstone (§4).

    @param retractionId: the C{id} attribute of the message that retracts.
    @param when: when that was, in seconds since the epoch.
    """
    return Element((ns.RETRACT, "retracted"), None, {"id": retractionId, "stamp": stamp(when)})


def emptied(original: Element, by: str) -> Element:
    """
    Make what stays of a retracted message besides L{retracted}: its attributes and ids. If it was a retraction with a
    text, that it retracts another stays, too (§5.2).

    @param by: the address of the archive, whose stanza id stays.
    """
    made = Element((original.uri, original.name), None, {})
    for key in ("type", "from", "to", "id"):
        if key in original.attributes:
            made.attributes[key] = original.attributes[key]
    for child in original.childElements():
        if child.uri in (ns.RETRACT, ns.FASTEN) and isRetraction(original):
            made.children.append(_withoutContent(child))
        elif (child.uri, child.name) in _IDENTITY and child.attributes.get("by", by) == by:
            made.children.append(child)
    return made


def _withoutContent(element: Element) -> Element:
    """A copy of what retracts a message, without anything else that its author has put into it."""
    attributes = {"id": element.attributes["id"]} if "id" in element.attributes else {}
    made = Element((element.uri, element.name), None, attributes)
    made.children = [_withoutContent(each) for each in element.childElements() if each.name == "retract"]
    return made
