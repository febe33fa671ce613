# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What people send to rooms as messages.
"""

from __future__ import annotations

from typing import Any

from muccore import ns
from muccore.element import Element
from muccore.errors import StanzaError
from muccore.interfaces import RoomChange
from muccore.jid import JID, parse
from muccore.muc import changes, invite, speech, voice
from muccore.muc.entrance import Entrance, affiliatesOf, inRoom
from muccore.muc.occupant import Seat
from muccore.muc.room import Room


class Talk(Entrance):
    """
    The entries for messages.
    """

    @inRoom()
    def onGroupchat(self, message: Element, to: JID, room: Room) -> Any:
        """
        Somebody speaks to everybody, or changes the subject (§7.4, §8.1).
        """
        seat = room.seats.get(message.attributes["from"])
        if seat is None:
            raise StanzaError("not-acceptable", text="You are not in the room.")
        if speech.isSubjectChange(message):
            return self._changeSubject(message, to, room, seat)
        speech.groupchat(room, seat.occupant, message)
        return None

    def _changeSubject(self, message: Element, to: JID, room: Room, seat: Seat) -> Any:
        sender = seat.jid
        if room.gate.closed:
            return room.gate.wait(sender, True, self.onGroupchat, message, to)
        occupant = seat.occupant
        subject = speech.planSubject(room, occupant, message)

        def announce(_: object) -> None:
            speech.applySubject(room, occupant, message, subject)

        return self.storing(room, sender, RoomChange(subject=subject), announce)

    def onGroupchatToOne(self, message: Element, to: JID) -> None:
        """
        A groupchat message cannot go to one occupant (§7.5).
        """
        error = StanzaError("bad-request", text="A message to one occupant is not of type groupchat.")
        error.by = to.bare
        raise error

    @inRoom()
    def onPrivate(self, message: Element, to: JID, room: Room) -> None:
        """
        Somebody writes to one occupant (§7.5).
        """
        occupant = room.occupantOf(message.attributes["from"])
        if occupant is None:
            raise StanzaError("not-acceptable", text="You are not in the room.")
        speech.private(room, occupant, to.resource, message)

    @inRoom()
    def onMessage(self, message: Element, to: JID, room: Room) -> Any:
        """
        An invitation, its refusal, or a form about voice (§7.8, §7.13, §8.6).
        """
        x = message.child("x", ns.MUC_USER)
        if x is not None:
            if x.child("invite") is not None:
                return self._invite(message, to, room, x)
            declined = x.child("decline")
            if declined is not None:
                return invite.decline(room, parse(message.attributes["from"]), message, declined)
        form = message.child("x", ns.DATA)
        if form is not None:
            return self._voice(message, room, form)
        if message.get("type") == "headline":
            return None
        raise StanzaError("bad-request", text="A message to the room is of type groupchat.")

    def _invite(self, message: Element, to: JID, room: Room, x: Element) -> Any:
        sender = parse(message.attributes["from"])
        if room.gate.closed:
            return room.gate.wait(sender.full, True, self.onMessage, message, to)
        invitations = invite.plan(room, sender, message, x)
        occupant = room.occupantOf(sender.full)
        plan = changes.Plan(occupant.nick if occupant is not None else None, invitations.affiliates)
        plan.reasons = dict.fromkeys(invitations.affiliates)

        def announce(_: object) -> None:
            tellEveryone = changes.apply(room, plan)
            for invitation in invitations.messages:
                self.send(invitation)
            tellEveryone()

        return self.storing(room, sender.full, affiliatesOf(plan), announce)

    def _voice(self, message: Element, room: Room, form: Element) -> None:
        sender = parse(message.attributes["from"])
        seat = room.seats.get(sender.full)
        if seat is None:
            raise StanzaError("not-acceptable", text="You are not in the room.")
        if form.get("type") == "cancel":
            # A moderator who does not want to decide (XEP-0045 §8.6).
            return
        values = voice.formValues(form)
        if not voice.isApproval(values):
            voice.request(room, seat, values)
            return
        item = voice.approval(room, seat.occupant, values)
        if item is not None:
            changes.apply(room, changes.plan(room, sender, [item]))()
