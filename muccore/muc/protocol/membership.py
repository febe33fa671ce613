# -*- test-case-name: tests.muc.protocol.test_membership -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Answers of admins to registrations that wait for approval (XEP-0045 §9.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from muccore.muc.model import membershiprequests
from muccore.muc.model.nicks import comparisonForm
from muccore.muc.model.privilegechanges import AffiliationItem
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.protocol.nicks import prepareNick
from muccore.xmpp import dataforms, ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse


@dataclass(frozen=True)
class Answer:
    """
    An admin's answer.

    @ivar user: who asked.
    @ivar item: the membership that is granted; C{None} for a refusal.
    """

    user: JID
    item: AffiliationItem | None


def isAnswer(message: Element) -> bool:
    """Whether a message has a form that answers a request; one that is cancelled does not."""
    x = message.child("x", ns.DATA)
    if x is None:
        return False
    fields = (child for child in x.childElements() if child.get("var") == dataforms.FORM_TYPE)
    return any(field.childText("value") == ns.MUC_REGISTER for field in fields)


def parseAnswer(room: Room, sender: JID, x: Element) -> Answer | None:
    """
    Read an answer; C{None} if the admin has cancelled the form. They may have changed the nick.

    @param x: the submitted form.
    @raise StanzaError: C{forbidden} if the sender is no admin, C{bad-request} without a decision, C{not-acceptable} for
        an invalid value, C{item-not-found} if there is no such request, or it has been answered.
    """
    if room.affiliations.get(sender) < Affiliation.ADMIN:
        # Checked first, so that forms reveal nothing about requests.
        raise StanzaError("forbidden")
    values = dataforms.submitted(x, ns.MUC_REGISTER, membershiprequests.FORM)
    if values is None:
        return None
    address, nick, allowed = (values.get(str(field.var)) for field in membershiprequests.FORM)
    if allowed is None:
        raise StanzaError("bad-request", text="The form must say whether the user may register.")
    user = _find(room, cast("JID | None", address), cast("str | None", nick))
    if not allowed:
        return Answer(user, None)
    wanted = prepareNick(cast(str, nick)) if nick else membershiprequests.nickOf(room, user.bare)
    return Answer(user, AffiliationItem(user, Affiliation.MEMBER, wanted))


def _find(room: Room, address: JID | None, nick: str | None) -> JID:
    """The user whose request a form names: by address, or by a nick that only one has asked for."""
    waiting = membershiprequests.waiting(room)
    if address is not None:
        found = [address.bare] if address.bare in waiting else []
    else:
        form = comparisonForm(nick or "")
        found = [user for user, wanted in waiting.items() if comparisonForm(wanted) == form]
    if len(found) != 1:
        raise StanzaError("item-not-found", text="There is no such request, or it has been answered.")
    return parse(found[0])


def notice(room: Room, answer: Answer) -> Element:
    """
    Make the message that tells the user, at the bare JID. New members get status 101 (XEP-0045 §18.1) and an invitation
    (XEP-0249).
    """
    message = stanza("message", from_=room.jid.bare, to=answer.user.bare)
    name = room.settings.name or room.jid.bare
    if answer.item is None:
        message.add("body", text=f"Your request to become a member of {name} was refused.")
        return message
    message.add("body", text=f"You are now a member of {name}.")
    message.add("x", ns.MUC_USER).add("status", code="101")
    invitation = message.add("x", ns.CONFERENCE, jid=room.jid.bare)
    if room.settings.password:
        invitation.attributes["password"] = room.settings.password
    return message
