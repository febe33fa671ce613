# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Messages to rooms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from muccore.interfaces import RoomChange
from muccore.muc.model import membershiprequests, messages, privilegechanges
from muccore.muc.model.accesslocks import WHOLE_ROOM
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.moderationact import ModerationAct
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.protocol import access, invite, membership, presence, voice
from muccore.muc.protocol.base import RoomHandler, dispatchToRoom
from muccore.muc.service.storefailures import storeFailed
from muccore.net.slices import after
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse


def _session(handler: RoomHandler, room: Room, message: Element) -> OccupantSession:
    """@raise StanzaError: C{not-acceptable} if the sender is not in the room."""
    session = handler.sessionOf(room, message.attributes["from"])
    if session is None:
        raise StanzaError("not-acceptable", text="You are not in the room.")
    return session


@dispatchToRoom(changing=access.ofMessage, costly=True)
def groupchat(handler: RoomHandler, message: Element, to: JID, room: Room) -> Any:
    """Broadcast a message, or change the subject (§7.4, §8.1)."""
    session = _session(handler, room, message)
    occupant = session.occupant
    if messages.isSubjectChange(message):
        planned = messages.planSubject(room, occupant, message)
        prepare = _prepareSubject
    else:
        planned = messages.plan(room, occupant, message)
        if not isinstance(planned, Deferred):
            messages.publish(room, occupant, planned)
            return None
        prepare = _prepareMessage
    if not isinstance(planned, Deferred):
        writing, announce = prepare(handler, room, occupant, planned)
        return handler.commitThenAnnounce(
            room, session.jid, writing, announce, access=access.ofMessage(room, message) or WHOLE_ROOM
        )

    def checked(allowed: Element) -> Any:
        writing, announce = prepare(handler, room, occupant, allowed)
        announceCharged = partial(handler.charging, room, session.jid, announce)
        return announceCharged() if writing is None else writing.addCallback(lambda _: announceCharged())

    publishing = planned.addCallback(checked).addErrback(storeFailed)
    return handler.rooms.lockWhile(room, session.jid, publishing, access.ofMessage(room, message) or WHOLE_ROOM)


_Prepared = tuple["Deferred[Any] | None", Callable[[], None]]


def _prepareMessage(handler: RoomHandler, room: Room, occupant: Occupant, message: Element) -> _Prepared:
    return None, partial(messages.publish, room, occupant, message)


def _prepareSubject(handler: RoomHandler, room: Room, occupant: Occupant, message: Element) -> _Prepared:
    subject = messages.subjectOf(room, occupant, message)
    byOwners = occupant.affiliation >= Affiliation.ADMIN
    writing = handler.storeChange(room, RoomChange(subject=subject), byOwners)
    return writing, partial(messages.applySubject, room, occupant, message, subject)


def groupchatToOccupant(handler: RoomHandler, message: Element, to: JID) -> None:
    """Refuse a groupchat message to one occupant (§7.5)."""
    error = StanzaError("bad-request", text="A message to a single occupant must not be of type groupchat.")
    error.by = to.bare
    raise error


@dispatchToRoom()
def private(handler: RoomHandler, message: Element, to: JID, room: Room) -> None:
    """Send a private message to an occupant (§7.5)."""
    messages.private(room, _session(handler, room, message).occupant, to.resource, message)


def privateBounce(handler: RoomHandler, bounced: Element, to: JID) -> Any:
    """Return a private message that was refused or could not be delivered to the occupant who sent it."""
    if messages.isDeliveryError(bounced):
        return presence.bounce(handler, bounced, to)
    room = handler.rooms.live.get(to.bare)
    occupant = room.occupantByRealJID(bounced.attributes["from"]) if room is not None else None
    if room is not None and occupant is not None and to.resource in room.occupants:
        messages.private(room, occupant, to.resource, bounced)
    return None


@dispatchToRoom(changing=access.ofMessageToRoom)
def toRoom(handler: RoomHandler, message: Element, to: JID, room: Room) -> Any:
    """Handle an invitation, its refusal, or a form (§7.8, §7.13, §8.6, §9.9)."""
    x = message.child("x", ns.MUC_USER)
    if x is not None:
        if x.child("invite") is not None:
            return _invite(handler, message, room, x)
        declined = x.child("decline")
        if declined is not None:
            return invite.decline(room, parse(message.attributes["from"]), message, declined, handler.send)
    form = message.child("x", ns.DATA)
    if form is not None:
        if membership.isAnswer(message):
            return _answerRequest(handler, message, room, form)
        return _voice(handler, message, room, form)
    if message.get("type") == "headline":
        return None
    raise StanzaError("bad-request", text="A message to the room must be of type groupchat.")


def _invite(handler: RoomHandler, message: Element, room: Room, x: Element) -> Any:
    sender = parse(message.attributes["from"])
    invitations = invite.plan(room, sender, message, x)
    plan = privilegechanges.PrivilegeChange(privilegechanges.actorOf(room, sender), invitations.affiliates)
    plan.reasons = dict.fromkeys(invitations.affiliates)
    if invitations.affiliates:
        privilegechanges.check(room, sender, plan)
    invited = [user.bare for user, _, _ in invitations.messages]
    handler.invitations.admit(sender.bare, room.jid.bare, invited)
    refusing = handler.invitations.refusedBy(sender.bare, invited, room)

    def announce() -> Deferred[None] | None:
        return handler.carryOut(room, sender.full, plan, sendInvitations)

    def sendInvitations() -> None:
        for user, address, invitation in invitations.messages:
            if user.bare not in refusing:
                room.invitations.add(user, address, sender.bare)
                handler.send(invitation)

    writing = handler.storeChange(room, plan.stored(room), room.affiliations.get(sender) >= Affiliation.ADMIN)
    return handler.commitThenAnnounce(
        room, sender.full, writing, announce, access=access.ofMessageToRoom(room, message) or WHOLE_ROOM
    )


def _answerRequest(handler: RoomHandler, message: Element, room: Room, form: Element) -> Any:
    admin = parse(message.attributes["from"])
    answer = membership.parseAnswer(room, admin, form)
    if answer is None:
        return None
    plan = privilegechanges.PrivilegeChange()
    if answer.item is not None:
        plan = privilegechanges.plan(room, admin, [answer.item])
        privilegechanges.check(room, admin, plan)
    plan.states.update(membershiprequests.remove(answer.user.bare))

    def announce() -> Deferred[None] | None:
        return after(handler.carryOut(room, admin.full, plan, notify), announced)

    def notify() -> None:
        if answer.item is None or not room.occupantsAffectedBy(answer.user.bare):
            handler.send(membership.notice(room, answer))

    def announced() -> None:
        if answer.item is None:
            act = ModerationAct("registration", admin.bare, answer.user.bare, details={"decision": "refused"})
            tell(room.extensions.moderated, room, act)

    writing = handler.storeChange(room, plan.stored(room))
    return handler.commitThenAnnounce(room, admin.full, writing, announce)


def _voice(handler: RoomHandler, message: Element, room: Room, form: Element) -> Any:
    session = _session(handler, room, message)
    if form.get("type") == "cancel":
        # A moderator declines to decide (§8.6).
        return None
    values = voice.formValues(form)
    if not voice.isApproval(values):
        voice.request(room, session, values)
        return None
    item = voice.approval(room, session.occupant, values)
    if item is None:
        return None
    moderator = parse(session.jid)
    plan = privilegechanges.plan(room, moderator, [item])
    privilegechanges.check(room, moderator, plan)
    writing = handler.storeChange(room, plan.stored(room))
    return handler.commitThenAnnounce(room, session.jid, writing, lambda: handler.carryOut(room, session.jid, plan))
