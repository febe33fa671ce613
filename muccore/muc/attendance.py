# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Coming, going and being there: the presence that people send to rooms.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from muccore import ns
from muccore.element import Element, Rendered, stanza, toAttribute
from muccore.errors import StanzaError
from muccore.jid import JID, parse
from muccore.muc import configuring, speech
from muccore.muc.admin import checkLength
from muccore.muc.entrance import Entrance, refusedBy
from muccore.muc.faces import payloadOf
from muccore.muc.history import HistoryRequest
from muccore.muc.occupant import Seat
from muccore.muc.room import Entry, Room
from muccore.muc.rooms import storeFailed


class Attendance(Entrance):
    """
    The entries for presence.
    """

    def onPresence(self, presence: Element, to: JID) -> Any:
        """
        Somebody enters, comes back, changes his nick or his presence (§7.2, §7.6, §7.7).
        """
        sender = presence.attributes["from"]
        room = self.rooms.live.get(to.bare)
        if room is None:
            opening = self.rooms.open(to.bare).addCallback(self._presenceAtRest, presence, to)
            return opening.addErrback(refusedBy, to.bare)
        gate = room.gate
        try:
            if gate.closed and (room.locked or gate.holds(sender)):
                return gate.wait(sender, True, self.onPresence, presence, to)
            return self._presenceIn(room, presence, to, parse(sender))
        except StanzaError as e:
            e.by = to.bare
            raise

    def _presenceAtRest(self, room: Room | None, presence: Element, to: JID) -> Any:
        if room is not None:
            return self.onPresence(presence, to)
        sender = parse(presence.attributes["from"])
        if presence.child("x", ns.MUC) is None:
            return self._notInside(sender, to)
        if self.parent.routeTo(sender) is None:
            return None
        room = self.rooms.create(to.bareJID(), sender)
        if not self.options.lockNewRooms:
            return self._createOpen(room, presence, to, sender)
        try:
            self._enter(room, presence, to, sender, created=True)
        except StanzaError:
            self.rooms.settle(room)
            raise
        self.rooms.awaitConfiguration(room, lambda: self._giveUp(room))
        return None

    def _createOpen(self, room: Room, presence: Element, to: JID, creator: JID) -> Any:
        """
        Create a room that is open from the start, with the default configuration; it is written down before its
        creator hears of it.
        """

        def enter(_: object) -> None:
            room.locked = False
            self._enter(room, presence, to, creator, created=True)

        def failed(failure: Failure) -> None:
            # Who waits finds no room then, and may create it himself.
            self.rooms.forget(room)
            storeFailed(failure)

        try:
            # Whatever would keep him out has to show before anything is written.
            self._nick(presence, to)
            self._payload(presence, room)
        except StanzaError:
            self.rooms.settle(room)
            raise
        writing = self.rooms.store.save(room.jid.bare, room.record())
        writing.addCallbacks(enter, failed)
        return self.rooms.durably(room, creator.full, writing)

    def _giveUp(self, room: Room) -> None:
        configuring.destroy(room, "The room was not configured in time.")
        self.rooms.settle(room)

    def _presenceIn(self, room: Room, presence: Element, to: JID, sender: JID) -> None:
        seat = room.seats.get(sender.full)
        joining = presence.child("x", ns.MUC) is not None
        if seat is None and not joining:
            self._notInside(sender, to)
        elif seat is None or joining:
            self._enter(room, presence, to, sender)
        else:
            nick, renamed = self._nick(presence, to)
            payload = self._payload(presence, room)
            if nick == seat.occupant.nick:
                room.presence(seat, payload, presence.get("id"))
            elif room.settings.lockNicks and room.affiliations.nickOf(sender.bare) not in (None, nick):
                raise StanzaError("not-acceptable", "cancel", "Only your registered nick is allowed here.")
            else:
                room.rename(seat, nick, payload, presence.get("id"), (210,) if renamed else ())

    def _enter(self, room: Room, presence: Element, to: JID, sender: JID, created: bool = False) -> None:
        route = self.parent.routeTo(sender)
        if route is None:
            # The session ended while its presence waited for the room.
            return
        nick, renamed = self._nick(presence, to)
        reserved = room.affiliations.nickOf(sender.bare)
        if room.settings.lockNicks and reserved is not None and nick != reserved:
            nick, renamed = reserved, True
        x = presence.child("x", ns.MUC)
        assert x is not None
        password = x.child("password")
        room.enter(
            Entry(
                sender,
                nick,
                route.deliver,
                self._payload(presence, room),
                password.text() if password is not None else None,
                HistoryRequest.parse(x.child("history"), room.now()),
                presence.get("id"),
                renamed,
            ),
            created,
        )
        self.rooms.entered(room)

    def _nick(self, presence: Element, to: JID) -> tuple[str, bool]:
        """
        The nick that is asked for, prepared and without blanks around it, and whether that changed it (status 210).

        @raise StanzaError: C{jid-malformed} if nothing but blanks is left (§17.1), C{not-acceptable} if it is too long.
        """
        nick = to.resource.strip()
        if not nick:
            raise StanzaError("jid-malformed", text="A nick cannot be blank.")
        checkLength(nick)
        return nick, presence.attributes["to"].partition("/")[2] != nick

    def _payload(self, presence: Element, room: Room) -> bytes:
        """
        @raise StanzaError: C{policy-violation} if it is more than a room passes on to everybody.
        """
        payload = payloadOf(presence, room.jid)
        if len(payload) > self.options.presenceSize:
            raise StanzaError("policy-violation", text="Your presence is too large for a room.")
        return payload

    def _notInside(self, sender: JID, to: JID) -> None:
        """
        Tell somebody whose presence is no join that he is not in the room (§7.2.18).
        """
        route = self.parent.routeTo(sender)
        if route is not None:
            presence = stanza("presence", "unavailable", from_=to.full)
            x = presence.add("x", ns.MUC_USER)
            item = x.add("item", affiliation="none", role="none")
            item.add("reason", text="You are not in the room.")
            for code in ("110", "307", "333"):
                x.add("status", code=code)
            route.deliver(Rendered.of(presence), toAttribute(sender.full))

    def onNicklessPresence(self, presence: Element, to: JID) -> None:
        """
        Somebody wants to enter and names no nick (§7.2.1).
        """
        error = StanzaError("jid-malformed", text="A nick is needed to enter a room.")
        error.by = to.bare
        raise error

    def onLeave(self, presence: Element, to: JID) -> Any:
        """
        Somebody leaves (§7.14). Nobody hears of it if he is not in (§17.3).
        """
        room = self.rooms.live.get(to.bare)
        if room is None:
            # The room may be on its way out of the store because he wants to enter; he leaves after that.
            return self.rooms.open(to.bare).addCallback(self._leaveAtRest, presence, to)
        sender = presence.attributes["from"]
        gate = room.gate
        if gate.closed and gate.holds(sender):
            return gate.wait(sender, False, self.onLeave, presence, to)
        seat = room.seats.get(sender)
        if seat is not None:
            payload = payloadOf(presence, room.jid)
            self._leave(room, seat, payload if len(payload) <= self.options.presenceSize else b"", presence.get("id"))
        return None

    def _leaveAtRest(self, room: Room | None, presence: Element, to: JID) -> Any:
        return self.onLeave(presence, to) if room is not None else None

    def _leave(
        self, room: Room, seat: Seat, payload: bytes = b"", id: str | None = None, codes: tuple[int, ...] = ()
    ) -> None:
        if room.locked and len(room.seats) == 1:
            # The owner goes before he has configured it: it never was (§10.1.3).
            configuring.destroy(room)
        else:
            room.leave(seat, payload, codes, id)
        self.rooms.settle(room)

    def onProbe(self, presence: Element, to: JID) -> None:
        """
        An occupant asks for another one's presence (§17.3).
        """
        room = self.rooms.live.get(to.bare)
        seat = room.seats.get(presence.attributes["from"]) if room is not None else None
        if room is not None and seat is not None:
            room.show(seat, to.resource)

    def onBounce(self, bounced: Element, to: JID) -> Any:
        """
        Something that the room had sent could not be delivered: who cannot be reached is not in any more (§18.1.2,
        status 333).
        """
        room = self.rooms.live.get(to.bare)
        if room is None or not speech.isDeliveryError(bounced):
            return None
        sender = bounced.attributes["from"]
        if room.gate.closed and room.gate.holds(sender):
            return room.gate.wait(sender, False, self.onBounce, bounced, to)
        seat = room.seats.get(sender)
        if seat is not None:
            self._leave(room, seat, codes=(333,))
        return None

    def onPrivateBounce(self, bounced: Element, to: JID) -> Any:
        """
        A private message could not be delivered, or was refused: who wrote it is told.
        """
        if speech.isDeliveryError(bounced):
            return self.onBounce(bounced, to)
        room = self.rooms.live.get(to.bare)
        occupant = room.occupantOf(bounced.attributes["from"]) if room is not None else None
        if room is not None and occupant is not None and to.resource in room.occupants:
            speech.private(room, occupant, to.resource, bounced)
        return None
