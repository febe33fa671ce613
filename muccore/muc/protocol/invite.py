# -*- test-case-name: tests.muc.protocol.test_invite -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Mediated invitations, and their refusal (XEP-0045 §7.8.2, §9.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from muccore.interfaces import Affiliate
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.element import Element, copyOf, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.stanzas import parseAddress

LIMIT: Final = 100
"""Users that one message may invite, each by a message of their own."""


@dataclass(frozen=True)
class Invitations:
    """The invitations of one message: the messages to the invitees, and the new members, for the store."""

    messages: list[Element]
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
        that is no user's; C{not-allowed} for a banned user; C{policy-violation} for too many.
    """
    occupant = room.occupantByRealJID(sender.full)
    own = room.affiliations.get(sender)
    if occupant is None and own < Affiliation.ADMIN:
        raise StanzaError("not-acceptable", text="You are not in the room.")
    settings = room.settings
    if settings.membersOnly and own < (Affiliation.MEMBER if settings.allowInvites else Affiliation.ADMIN):
        raise StanzaError("forbidden", text="You are not allowed to invite users to this room.")
    # In a semi-anonymous room an invitation reveals an inviting occupant's nick only.
    inviter = occupant.address if occupant is not None and not settings.nonAnonymous else sender.bare
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
        invitations.messages.append(_invitation(room, inviter, invited, message, invite))
    room.affiliations.checkSize(invitations.affiliates)
    return invitations


def _address(text: str | None) -> JID:
    if text is None:
        raise StanzaError("bad-request", text="The address of the other user is missing.")
    return parseAddress(text)


def _copyChildren(parent: Element, *names: str) -> list[Element]:
    return [copyOf(child) for child in parent.childElements() if child.uri == ns.MUC_USER and child.name in names]


def _invitation(room: Room, inviter: str, invited: JID, message: Element, invite: Element) -> Element:
    sent = stanza("message", from_=room.jid.bare, to=invited.full, id=message.get("id"))
    x = sent.add("x", ns.MUC_USER)
    forwarded = x.add("invite")
    forwarded.attributes["from"] = inviter
    forwarded.children += _copyChildren(invite, "reason", "continue")
    if room.settings.password:
        x.add("password", text=room.settings.password)
    return sent


def decline(room: Room, sender: JID, message: Element, declined: Element) -> None:
    """
    Notify the inviter that an invitation was declined.

    The notice goes to occupants only, so that the room cannot be used to message strangers; by real JID only in a
    non-anonymous room, so that it does not reveal who is in the room. Invitations from a semi-anonymous room name the
    inviter by occupant JID. Only members are invited to a members-only room.

    @raise StanzaError: C{forbidden} if the sender may not enter, C{bad-request} or C{jid-malformed} without a valid
        address, C{item-not-found} if the inviter is not in the room.
    """
    affiliation = room.affiliations.get(sender)
    if affiliation is Affiliation.OUTCAST:
        raise StanzaError("forbidden", text="You are banned from this room.")
    if affiliation is Affiliation.NONE and room.settings.membersOnly:
        raise StanzaError("forbidden", text="You have not been invited to this room.")
    to = _address(declined.get("to"))
    notice = stanza("message", from_=room.jid.bare, id=message.get("id"))
    forwarded = notice.add("x", ns.MUC_USER).add("decline")
    forwarded.attributes["from"] = sender.bare
    forwarded.children += _copyChildren(declined, "reason")
    if to.bare == room.jid.bare:
        occupant = room.occupants.get(to.resource)
        found = [occupant] if occupant is not None else []
    else:
        found = room.occupantsAffectedBy(to.bare) if to.local and room.settings.nonAnonymous else []
    if not found:
        raise StanzaError("item-not-found", text="The user who invited you is not in the room.")
    room.broadcastTo(notice, found)
