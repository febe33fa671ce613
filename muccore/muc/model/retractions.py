# -*- test-case-name: tests.muc.model.test_retractions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The stanzas of retractions (XEP-0424) and of moderated ones (XEP-0425), in their present form and in that of XEP-0425
version 0.2, which many clients know only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from muccore.muc.model.rendering import Actor
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.retractions import emptied, isRetraction, retracted

if TYPE_CHECKING:
    from muccore.muc.model.pastmessages import PastMessage

PAYLOADS: Final = frozenset({ns.RETRACT, ns.FASTEN, ns.MODERATE, ns.MODERATE_0})
"""The namespaces of what retracts a message, or claims that it was retracted."""

_SILENT: Final = frozenset({ns.RETRACT, ns.RETRACT_0, ns.FASTEN, ns.HINTS, ns.STANZA_ID, ns.OCCUPANT_ID, ns.DELAY})
"""The namespaces of what says nothing to those who read a retraction."""

_RETRACT: Final = b"retract"
"""What is in every retraction."""


@dataclass(frozen=True)
class Moderation:
    """
    Who moderates, and why.

    @ivar actor: the moderator.
    @ivar by: their occupant JID, if they have a nick.
    @ivar occupantId: their occupant id (XEP-0421), or C{None}.
    @ivar reason: the reason, or C{None}.
    """

    actor: Actor
    by: str | None = None
    occupantId: str | None = None
    reason: str | None = None


def retractedBy(message: Element) -> Element | None:
    """
    Find the element of an occupant's message that retracts another, by its attribute C{id}: C{<retract/>}, or
    C{<apply-to/>} around one of XEP-0424 version 0.3.

    @return: C{None} if the message retracts nothing.
    @raise StanzaError: C{bad-request} if it retracts several, C{forbidden} if it claims to be a moderator's retraction
        or a tombstone, which come from the room only (XEP-0425 §5).
    """
    found = []
    for child in message.childElements():
        if child.uri == ns.FASTEN:
            inner = {each.uri for each in child.childElements()}
            isRetraction = ns.RETRACT_0 in inner or ns.RETRACT in inner
        elif child.uri in PAYLOADS:
            inner = {each.uri for each in child.childElements()} | {child.uri}
            isRetraction = child.name == "retract" and child.uri == ns.RETRACT
            if not isRetraction:
                raise StanzaError("forbidden", text="Only the room may send this.")
        else:
            continue
        if ns.MODERATE in inner or ns.MODERATE_0 in inner:
            raise StanzaError("forbidden", text="Only the room announces what moderators retract.")
        if isRetraction:
            found.append(child)
    if len(found) > 1:
        raise StanzaError("bad-request", text="A message can retract only one other.")
    return found[0] if found else None


def isMereRetraction(past: PastMessage) -> bool:
    """
    Whether there is nothing to be retracted in a message (XEP-0425 §5: it is no content): it retracts another and says
    nothing else, such as a text for clients that do not know retractions, or it is a moderator's.
    """
    if past.stanza is None or _RETRACT not in past.stanza.tail:
        return False
    element = past.element
    if element is None or not isRetraction(element):
        return False
    return not past.account or all(map(_isSilent, element.childElements()))


def _isSilent(element: Element) -> bool:
    return element.uri in _SILENT and all(not isinstance(each, str) and _isSilent(each) for each in element.children)


def checkRetractable(past: PastMessage | None) -> PastMessage:
    """
    Check that a message can be retracted by whoever may do so, and return it.

    @raise StanzaError: C{item-not-found} if it is not known (any more) or is retracted already, C{not-acceptable} if it
        is a L{mere retraction<isMereRetraction>} itself.
    """
    if past is None:
        raise StanzaError("item-not-found", text="There is no such message, or it is too old.")
    if past.retracted:
        raise StanzaError("item-not-found", text="The message is retracted already.")
    if isMereRetraction(past):
        raise StanzaError("not-acceptable", text="A retraction cannot be retracted.")
    return past


def tombstone(
    past: PastMessage, room: str, retractionId: str, when: float, moderation: Moderation | None = None
) -> Rendered | None:
    """
    Make what stays of a retracted message (XEP-0424 §4, XEP-0425 §4): who wrote it when, and its ids. If it
    was a retraction with a text, that it retracts another stays, too (XEP-0424 §5.2).

    @param room: the bare JID of the room, whose stanza id stays.
    @param retractionId: the C{id} attribute of the message that retracts it.
    @param when: when it was retracted, in seconds since the epoch.
    @param moderation: C{None} if its author has retracted it.
    @return: C{None} if nothing is kept of the message anyway.
    """
    original = past.element
    if original is None:
        return None
    mark = retracted(retractionId, when)
    marks = [mark]
    if moderation is not None:
        _addModerated(mark, ns.MODERATE, moderation)
        older = _moderated(ns.MODERATE_0, moderation)
        older.add("retracted", ns.RETRACT_0, stamp=stamp(when))
        marks.append(older)
        for parent in marks:
            _addReason(parent, moderation)
    made = emptied(original, room)
    made.children[:0] = marks
    return Rendered.of(made)


def announcement(room: str, id: str, retracted: str, moderation: Moderation) -> Element:
    """
    Make the message by which a room announces that a moderator has retracted another (XEP-0425 §3.1). It has no body:
    who does not know what it is sees nothing.

    @param room: the bare JID of the room.
    @param id: the C{id} attribute of the message.
    @param retracted: the id of the retracted one in the room.
    """
    made = stanza("message", "groupchat", from_=room, id=id)
    older = _addModerated(made.add("apply-to", ns.FASTEN, id=retracted), ns.MODERATE_0, moderation)
    older.add("retract", ns.RETRACT_0)
    _addReason(older, moderation)
    retract = made.add("retract", ns.RETRACT, id=retracted)
    _addModerated(retract, ns.MODERATE, moderation)
    _addReason(retract, moderation)
    return made


def _addModerated(parent: Element, uri: str, moderation: Moderation) -> Element:
    moderated = _moderated(uri, moderation)
    parent.children.append(moderated)
    return moderated


def _moderated(uri: str, moderation: Moderation) -> Element:
    moderated = Element((uri, "moderated"))
    if moderation.by is not None:
        moderated.attributes["by"] = moderation.by
    if moderation.occupantId is not None:
        moderated.add("occupant-id", ns.OCCUPANT_ID, id=moderation.occupantId)
    return moderated


def _addReason(parent: Element, moderation: Moderation) -> None:
    if moderation.reason:
        parent.add("reason", text=moderation.reason)
