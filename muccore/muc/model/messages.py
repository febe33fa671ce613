# -*- test-case-name: tests.muc.protocol.test_messages -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Messages in a room: to all occupants, to one occupant, and the subject (XEP-0045 §7.4, §7.5, §8.1)."""

from __future__ import annotations

from typing import Final, cast

from twisted.internet.defer import Deferred

from muccore.interfaces import Subject
from muccore.muc.model.audience import sendTo
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.heldplaces import reachableSession
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.sanitize import fromOccupant, languageOf
from muccore.muc.model.storing import isKept
from muccore.xmpp import ns
from muccore.xmpp.datetimes import parseStamp
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError, conditionOf, errorElement
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.stanzaids import withoutStanzaId

_MAY_PM: Final = {"anyone": Role.VISITOR, "participants": Role.PARTICIPANT, "moderators": Role.MODERATOR}

_DELIVERY_ERRORS: Final = frozenset(
    {
        "gone", "internal-server-error", "item-not-found", "jid-malformed", "recipient-unavailable", "redirect",
        "remote-server-not-found", "remote-server-timeout", "service-unavailable",
    }
)  # fmt: skip
"""
The conditions of XEP-0045 §18.1.2, and three that Prosody and ejabberd add: C{service-unavailable} is what a server
returns for a session that has ended (RFC 6121 §8.5.3.2.1).
"""

_ERROR_TYPES: Final = frozenset({"auth", "cancel", "continue", "modify", "wait"})


def isSubjectChange(message: Element) -> bool:
    """Whether a message has a C{<subject/>}, and neither C{<body/>} nor C{<thread/>} (XEP-0045 §8.1)."""
    return message.child("subject") is not None and message.child("body") is None and message.child("thread") is None


def isDeliveryError(message: Element) -> bool:
    """Whether an error message says that its sender cannot be reached any more (XEP-0045 §18.1.2, ghost users)."""
    return conditionOf(message) in _DELIVERY_ERRORS


def isWaiting(room: Room, message: Element) -> bool:
    """Whether a message to all waits for changes of the room: it changes the subject, or an extension may keep it."""
    waiting = room.extensions.waitingPayloads
    return isSubjectChange(message) or any(child.uri in waiting for child in message.childElements())


def plan(room: Room, occupant: Occupant, message: Element) -> Element | Deferred[Element]:
    """
    Check a message of an occupant to all.

    @return: what L{publish} sends.
    @raise StanzaError: C{forbidden} without voice.
    """
    if occupant.role < Role.PARTICIPANT:
        raise StanzaError("forbidden", text="You need voice to speak in this room.")
    return room.extensions.beforeMessage(room, occupant, fromOccupant(message, occupant.address, room.jid))


def publish(room: Room, occupant: Occupant, message: Element) -> None:
    """Broadcast what L{plan} has returned."""
    imported = occupant.affiliation is Affiliation.OWNER and _isDelayed(message)
    room.publish(occupant, message, isKept(message), imported)


def planSubject(room: Room, occupant: Occupant, message: Element) -> Element | Deferred[Element]:
    """
    Check a change of the subject (XEP-0045 §8.1).

    @return: the message that announces it.
    @raise StanzaError: C{forbidden} for an occupant who may not change it.
    """
    needed = Role.PARTICIPANT if room.settings.changeSubject else Role.MODERATOR
    if occupant.role < needed:
        raise StanzaError("forbidden", text="You are not allowed to change the subject.")
    return room.extensions.beforeMessage(room, occupant, fromOccupant(message, occupant.address, room.jid))


def subjectOf(room: Room, occupant: Occupant, message: Element) -> Subject:
    """The subject in a message from L{planSubject}."""
    subject = cast(Element, message.child("subject"))
    language = languageOf(message if languageOf(subject) is None else subject)
    return Subject(subject.text(), occupant.nick, room.now(), language or None, occupant.account.bare)


def applySubject(room: Room, occupant: Occupant, message: Element, subject: Subject) -> None:
    """Apply a committed change of the subject, and broadcast it."""
    room.subject = subject
    room.publish(occupant, message)
    tell(room.extensions.subjectChanged, room, subject)


def _isDelayed(message: Element) -> bool:
    """Whether a message without forged delays has a valid delay stamp, for the history to use (XEP-0045 §7.9)."""
    delay = message.child("delay", ns.DELAY)
    if delay is None:
        return False
    try:
        parseStamp(delay.attributes["stamp"])
    except (KeyError, ValueError):
        return False
    return True


def _bounce(occupant: Occupant, message: Element) -> Element:
    """
    A private message that came back, with id and condition and nothing else: no text, with which those could write who
    may not, and no real JID in C{by} (XEP-0045 §17.4).
    """
    error = message.child("error")
    type = error.get("type") if error is not None else None
    condition = StanzaError(conditionOf(message) or "undefined-condition", type if type in _ERROR_TYPES else None)
    outgoing = stanza("message", "error", from_=occupant.address, id=message.get("id"))
    outgoing.children.append(errorElement(condition))
    return outgoing


def private(room: Room, occupant: Occupant, nick: str, message: Element) -> None:
    """
    Send a private message to all sessions of one occupant (XEP-0045 §7.5).

    @raise StanzaError: C{forbidden} if the room does not allow it, C{item-not-found} if nobody has the nick,
        C{recipient-unavailable} if the occupant has not returned yet.
    """
    target = room.occupants.get(nick)
    if target is None:
        raise StanzaError("item-not-found")
    allowed = _MAY_PM.get(room.settings.allowPM)
    bounced = message.get("type") == "error"
    if not bounced and (allowed is None or occupant.role < allowed):
        raise StanzaError("forbidden", text="Private messages are restricted in this room.")
    if reachableSession(target) is None:
        raise StanzaError("recipient-unavailable")
    outgoing = _bounce(occupant, message) if bounced else fromOccupant(message, occupant.address, room.jid)
    # Not by their own archive, which may give it one (XEP-0359 §3).
    outgoing = withoutStanzaId(outgoing, target.account.bare)
    outgoing.add("x", ns.MUC_USER)
    stamps = occupant.stamps
    if not bounced:
        for check in room.extensions.beforePrivateMessage:
            check(room, occupant, target, outgoing)
        stamps = room.extensions.stampPrivateMessage(room, target, outgoing, stamps)
    sendTo((target,), Rendered.of(outgoing).extended(stamps))
