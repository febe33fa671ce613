# -*- test-case-name: tests.muc.protocol.test_invite -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Invitations that a room passes on, and their refusal (XEP-0045 §7.8.2, §9.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from muccore.interfaces import Affiliate
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.xmpp import ns
from muccore.xmpp.element import Element, copyOf, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, InvalidJID, parse

LIMIT: Final = 100
"""How many people one message may invite: everybody gets a message of his own for it."""


@dataclass(frozen=True)
class Invitations:
    """
    What a message asks for.

    @ivar messages: the invitations, ready to be sent.
    @ivar affiliates: who becomes a member by them, as a store wants it.
    """

    messages: list[Element]
    affiliates: dict[str, Affiliate | None]


def isInvitation(message: Element) -> bool:
    """Whether a message asks the room to invite somebody."""
    x = message.child("x", ns.MUC_USER)
    return x is not None and x.child("invite") is not None


def plan(room: Room, sender: JID, message: Element, x: Element) -> Invitations:
    """
    Check invitations and make the messages for those who are invited.

    @param x: the C{muc#user} element of the message.
    @raise StanzaError: C{not-acceptable} for one who is not in the room; C{forbidden} if he may not invite to a
        members-only room; C{bad-request} or C{jid-malformed} if it is not said who is invited; C{item-not-found} for
        an address that can be nobody's; C{not-allowed} for one who is banned; C{policy-violation} for too many at
        once.
    """
    occupant = room.occupantByRealJID(sender.full)
    rank = room.affiliations.get(sender)
    if occupant is None and rank < Affiliation.ADMIN:
        raise StanzaError("not-acceptable", text="You are not in the room.")
    settings = room.settings
    if settings.membersOnly and rank < (Affiliation.MEMBER if settings.allowInvites else Affiliation.ADMIN):
        raise StanzaError("forbidden", text="You are not allowed to invite users to this room.")
    # In a semi-anonymous room an invitation tells no more of who sends it than his nick, if he has one there.
    inviter = occupant.address if occupant is not None and not settings.nonAnonymous else sender.bare
    made = Invitations([], {})
    for invite in x.childElements():
        if invite.name != "invite" or invite.uri != ns.MUC_USER:
            continue
        if len(made.messages) == LIMIT:
            raise StanzaError("policy-violation", text=f"One message may invite at most {LIMIT} users.")
        invited = _address(invite.get("to"))
        if not invited.local or invited.domain == room.jid.domain:
            # Whoever may invite must not make a whole domain members by it.
            raise StanzaError("item-not-found", text="Only users can be invited, not domains or rooms.")
        affiliation = room.affiliations.get(invited)
        if affiliation is Affiliation.OUTCAST:
            raise StanzaError("not-allowed", text="This user is banned from the room.")
        if settings.membersOnly and affiliation is Affiliation.NONE:
            made.affiliates[invited.bare] = Affiliate(
                Affiliation.MEMBER.xmlName, room.affiliations.reservedNick(invited.bare)
            )
        made.messages.append(_invitation(room, inviter, invited, message, invite))
    room.affiliations.checkSize(made.affiliates)
    return made


def _address(text: str | None) -> JID:
    if text is None:
        raise StanzaError("bad-request", text="The address of the other user is missing.")
    try:
        return parse(text)
    except InvalidJID as e:
        raise StanzaError("jid-malformed", text=str(e)) from None


def _passedOn(parent: Element, *names: str) -> list[Element]:
    return [copyOf(child) for child in parent.childElements() if child.uri == ns.MUC_USER and child.name in names]


def _invitation(room: Room, inviter: str, invited: JID, message: Element, invite: Element) -> Element:
    sent = stanza("message", from_=room.jid.bare, to=invited.full, id=message.get("id"))
    x = sent.add("x", ns.MUC_USER)
    passed = x.add("invite")
    passed.attributes["from"] = inviter
    passed.children += _passedOn(invite, "reason", "continue")
    if room.settings.password:
        x.add("password", text=room.settings.password)
    return sent


def decline(room: Room, sender: JID, message: Element, declined: Element) -> None:
    """
    Tell the one who invited that his invitation was declined.

    It goes to occupants only, so that a room cannot be used to write to just anybody; and by their real JID only
    where that is no secret, so that nobody outside finds out who is in. An invitation from a semi-anonymous room
    says who sent it by his occupant JID.

    Into a members-only room only members are invited: nobody else finds out by it who is in.

    @raise StanzaError: C{forbidden} for one who may not enter, C{bad-request} or C{jid-malformed} if it is not said
        to whom, C{item-not-found} if he is not here any more.
    """
    affiliation = room.affiliations.get(sender)
    if affiliation is Affiliation.OUTCAST:
        raise StanzaError("forbidden", text="You are banned from this room.")
    if affiliation is Affiliation.NONE and room.settings.membersOnly:
        raise StanzaError("forbidden", text="You have not been invited to this room.")
    to = _address(declined.get("to"))
    told = stanza("message", from_=room.jid.bare, id=message.get("id"))
    passed = told.add("x", ns.MUC_USER).add("decline")
    passed.attributes["from"] = sender.bare
    passed.children += _passedOn(declined, "reason")
    if to.bare == room.jid.bare:
        occupant = room.occupants.get(to.resource)
        found = [occupant] if occupant is not None else []
    else:
        found = room.occupantsAffectedBy(to.bare) if to.local and room.settings.nonAnonymous else []
    if not found:
        raise StanzaError("item-not-found", text="The user who invited you is not in the room.")
    room.broadcastTo(told, found)
