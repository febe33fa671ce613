# -*- test-case-name: tests.muc.protocol.test_invite -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Mediated invitations, and their refusal (XEP-0045 §7.8.2, §9.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from muccore.interfaces import Affiliate
from muccore.muc.model.audience import sendTo
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.sanitize import LANG, languageOf
from muccore.muc.protocol.admin import reasonIn
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.stanzas import parseAddress

LIMIT: Final = 100
"""Users that one message may invite, each by a message of their own."""

ID_LIMIT: Final = 256
"""Characters of the id of a thread, and of that of a message, which each invitation repeats."""


@dataclass(frozen=True)
class Invitations:
    """
    The invitations of one message.

    @ivar messages: the invitees, the inviter's address that each may see, and the message to them.
    @ivar affiliates: the new members, for the store.
    """

    messages: list[tuple[JID, str, Element]]
    affiliates: dict[str, Affiliate | None]


def isInvitation(message: Element) -> bool:
    """Whether a message invites somebody."""
    x = message.child("x", ns.MUC_USER)
    return x is not None and x.child("invite") is not None


def plan(room: Room, sender: JID, message: Element, x: Element) -> Invitations:
    """
    Check the invitations of a message, and build the messages to the invitees.

    @param x: the C{muc#user} element of the message.
    @raise StanzaError: C{not-acceptable} if the sender is not in the room; C{forbidden} if they may not invite to a
        members-only room; C{bad-request} or C{jid-malformed} without a valid address; C{item-not-found} for an address
        that is no user's; C{not-allowed} for a banned user; C{not-acceptable} for a reason or thread that is too long;
        C{policy-violation} for too many.
    """
    occupant = room.occupantByRealJID(sender.full)
    own = room.affiliations.get(sender)
    if occupant is None and own < Affiliation.ADMIN:
        raise StanzaError("not-acceptable", text="You are not in the room.")
    settings = room.settings
    if settings.membersOnly and own < (Affiliation.MEMBER if settings.allowInvites else Affiliation.ADMIN):
        raise StanzaError("forbidden", text="You are not allowed to invite users to this room.")
    # An inviter who is not in the room has no occupant JID.
    hidden = occupant.address if occupant is not None else room.jid.bare
    invitations = Invitations([], {})
    for invite in x.childElements():
        if invite.name != "invite" or invite.uri != ns.MUC_USER:
            continue
        if len(invitations.messages) == LIMIT:
            raise StanzaError("policy-violation", text=f"One message may invite at most {LIMIT} users.")
        invited = _address(invite.get("to"))
        if not invited.local or invited.domain == room.jid.domain:
            # An invitation must not make a whole domain members.
            raise StanzaError("item-not-found", text="Only users can be invited, not domains or rooms.")
        affiliation = room.affiliations.get(invited)
        if affiliation is Affiliation.OUTCAST:
            raise StanzaError("not-allowed", text="This user is banned from the room.")
        if settings.membersOnly and affiliation is Affiliation.NONE:
            invitations.affiliates[invited.bare] = Affiliate(
                Affiliation.MEMBER.xmlName, room.affiliations.reservedNick(invited.bare)
            )
        # Those who may enter as moderators may see real JIDs.
        inviter = sender.bare if settings.nonAnonymous or affiliation >= Affiliation.ADMIN else hidden
        invitations.messages.append((invited, inviter, _invitation(room, inviter, invited, message, invite)))
    room.affiliations.checkSize(invitations.affiliates)
    return invitations


def _address(text: str | None) -> JID:
    if text is None:
        raise StanzaError("bad-request", text="The address of the other user is missing.")
    return parseAddress(text)


def _addReason(forwarded: Element, given: Element) -> None:
    """Add the reason of an invitation, or of its refusal, of which nothing but text and language is passed on."""
    text, reason = reasonIn(given), given.child("reason")
    if reason is not None:
        language = languageOf(reason)
        forwarded.add("reason", text=text or "").attributes.update({} if language is None else {LANG: language})


def _addContinue(forwarded: Element, thread: str | None) -> None:
    """Add that a conversation between two goes on in the room (XEP-0045 §7.9)."""
    if thread is not None and len(thread) > ID_LIMIT:
        raise StanzaError("not-acceptable", text=f"The id of a thread may be at most {ID_LIMIT} characters long.")
    forwarded.add("continue", **({} if thread is None else {"thread": thread}))


def _notice(room: Room, message: Element, to: str | None = None) -> Element:
    """A message of the room with the id of the one that causes it, unless that is too long."""
    id = message.get("id")
    return stanza("message", from_=room.jid.bare, to=to, id=id if id is None or len(id) <= ID_LIMIT else None)


def _invitation(room: Room, inviter: str, invited: JID, message: Element, invite: Element) -> Element:
    sent = _notice(room, message, invited.full)
    x = sent.add("x", ns.MUC_USER)
    forwarded = x.add("invite")
    forwarded.attributes["from"] = inviter
    _addReason(forwarded, invite)
    continued = invite.child("continue")
    thread = None if continued is None else continued.get("thread")
    if continued is not None:
        _addContinue(forwarded, thread)
    # For clients that know direct invitations only (XEP-0249), or none.
    direct = sent.add("x", ns.CONFERENCE, jid=room.jid.bare)
    if room.settings.password:
        x.add("password", text=room.settings.password)
        direct.attributes["password"] = room.settings.password
    body = f"{inviter} invites you to {room.jid.bare}"
    reason = invite.childText("reason")
    if reason:
        direct.attributes["reason"] = reason
        body += f": {reason}"
    if continued is not None:
        direct.attributes["continue"] = "true"
        if thread is not None:
            direct.attributes["thread"] = thread
    sent.add("body", text=body)
    return sent


def decline(room: Room, sender: JID, message: Element, declined: Element, send: Callable[[Element], object]) -> None:
    """
    Notify the inviter that an invitation was declined, wherever they are by now.

    There must be an invitation, and each is declined once: the room cannot be used to message strangers, and does not
    reveal who is in it.

    @param send: sends a notice out of the room.
    @raise StanzaError: C{forbidden} for a banned user, C{bad-request} or C{jid-malformed} without a valid address,
        C{not-acceptable} for a reason that is too long, C{item-not-found} if there is no such invitation.
    """
    if room.affiliations.get(sender) is Affiliation.OUTCAST:
        raise StanzaError("forbidden", text="You are banned from this room.")
    to = _address(declined.get("to"))
    notice = _notice(room, message)
    forwarded = notice.add("x", ns.MUC_USER).add("decline")
    forwarded.attributes["from"] = sender.bare
    _addReason(forwarded, declined)
    inviter = room.invitations.decline(sender, to.full if to.bare == room.jid.bare else to.bare)
    if inviter is None:
        raise StanzaError("item-not-found", text="There is no invitation from this user to you.")
    present = room.occupantsAffectedBy(inviter)
    if present:
        sendTo(present, Rendered.of(notice))
    else:
        notice.attributes["to"] = inviter
        send(notice)
