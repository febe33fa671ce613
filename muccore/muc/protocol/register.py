# -*- test-case-name: tests.muc.protocol.test_register -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Registration with a room: membership with a reserved nick (XEP-0045 §7.10, XEP-0077 §3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, cast

from muccore.interfaces import Affiliate
from muccore.muc.model import membershiprequests
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.privilegechanges import PrivilegeChange, checkReservable
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import ALWAYS, OPEN, needsApproval
from muccore.muc.protocol.nicks import prepareNick
from muccore.xmpp import dataforms, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

_NICK: Final = dataforms.Field("text-single", "muc#register_roomnick", "Nickname", required=True)


@dataclass(frozen=True)
class MembershipRequest:
    """
    A stranger asks to become a member, or withdraws that.

    @ivar rows: the change of the room's requests; empty if there is none.
    """

    rows: membershiprequests.Rows


def form(room: Room, sender: JID) -> Element:
    """
    The registration form, or the present registration, or the request that waits; C{not-allowed} if the sender may not
    register.
    """
    _check(room, sender)
    query = Element((ns.REGISTER, "query"))
    nick = room.affiliations.reservedNick(sender.bare)
    if nick is not None:
        query.add("registered")
        query.add("username", text=nick)
    else:
        nick = membershiprequests.nickOf(room, sender.bare)
        instructions = "Choose the nickname to reserve for you in this room."
        if nick is not None:
            instructions = "Your request waits for an admin of this room."
        elif _needsApproval(room, sender):
            instructions += " An admin will decide whether you become a member."
        query.add("instructions", text=instructions)
    fields = [(_NICK, nick), *_furtherFields(room, sender)]
    query.children.append(dataforms.form("form", ns.MUC_REGISTER, fields, "Room registration"))
    return query


def _check(room: Room, sender: JID) -> None:
    """
    Outcasts may not register, nor may strangers if admins choose the members. Membership lets them read what is said in
    a room with a password, so they have to show that they know it: by being in the room.
    """
    affiliation = room.affiliations.get(sender)
    if affiliation is Affiliation.OUTCAST:
        raise StanzaError("not-allowed", text="You are banned from this room.")
    if affiliation is not Affiliation.NONE or _needsApproval(room, sender):
        return
    if room.settings.membersOnly or room.settings.registration not in (OPEN, ALWAYS):
        raise StanzaError("not-allowed", text="Only an admin of this room can make you a member.")
    if room.settings.password and sender.full not in room.sessions:
        raise StanzaError("not-allowed", text="Enter the room with its password before you register.")


def _needsApproval(room: Room, sender: JID) -> bool:
    return needsApproval(room.settings) and room.affiliations.get(sender) is Affiliation.NONE


def _furtherFields(room: Room, sender: JID) -> list[tuple[dataforms.Field, dataforms.Value]]:
    """What extensions ask those who can register at once."""
    return [] if _needsApproval(room, sender) else room.extensions.registrationFields(room, sender)


def plan(room: Room, sender: JID, query: Element) -> PrivilegeChange | MembershipRequest:
    """
    Parse a registration, or its removal.

    @raise StanzaError: C{not-allowed} if the sender may not register, C{registration-required} to remove a registration
        that does not exist, C{bad-request} or C{not-acceptable} without a valid nick, C{conflict} if it belongs to
        another user, C{resource-constraint} for too many requests.
    """
    if query.child("remove") is not None:
        if sum(1 for _ in query.childElements()) > 1:
            raise StanzaError("bad-request", text="A request to unregister must contain nothing but <remove/>.")
        if membershiprequests.nickOf(room, sender.bare) is not None:
            return MembershipRequest(membershiprequests.remove(sender.bare))
        return _planRemoval(room, sender)
    _check(room, sender)
    x = dataforms.find(query)
    if x is None:
        raise StanzaError("bad-request", text="The request must contain a registration form.")
    further = [field for field, _ in _furtherFields(room, sender)]
    values = dataforms.submitted(x, ns.MUC_REGISTER, [_NICK, *further])
    if values is None:
        return PrivilegeChange()
    if not values:
        raise StanzaError("bad-request", text="The form must contain a nickname.")
    nick = prepareNick(cast(str, values[cast(str, _NICK.var)]))
    key = sender.bare
    checkReservable(room, {}, key, nick)
    if _needsApproval(room, sender):
        asked = membershiprequests.nickOf(room, key) == nick
        return MembershipRequest({} if asked else membershiprequests.add(room, key, nick))
    old = room.affiliations.entry(key)
    change = PrivilegeChange()
    if old is None or affiliationOf(old) is Affiliation.NONE:
        change.reasons[key] = None
        entry = Affiliate(Affiliation.MEMBER.xmlName, nick)
    else:
        entry = replace(old, nick=nick)
    if entry != old:
        change.affiliates[key] = entry
    room.affiliations.checkSize(change.affiliates)
    change.states.update(room.extensions.registrationRows(room, sender, values))
    return change


def _planRemoval(room: Room, sender: JID) -> PrivilegeChange:
    """A member loses the affiliation; admins and owners only release their nick."""
    key = sender.bare
    old = room.affiliations.entry(key)
    current = affiliationOf(old)
    change = PrivilegeChange()
    if old is None or current <= Affiliation.NONE or (current >= Affiliation.ADMIN and old.nick is None):
        raise StanzaError("registration-required", text="You are not registered with this room.")
    if current is Affiliation.MEMBER:
        change.affiliates[key] = None
        change.reasons[key] = None
    else:
        change.affiliates[key] = replace(old, nick=None)
    return change
