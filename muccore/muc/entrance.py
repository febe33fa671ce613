# -*- test-case-name: tests.muc.test_entrance -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How a stanza finds its room, and how what it changes becomes durable.

Methods that are about a room are written for the room, and decorated with L{inRoom}: it opens the room if it is at
rest, and lets the stanza wait at the room's gate where it must. What changes a room goes through
L{Entrance.carryOut}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muccore.element import Element
from muccore.errors import StanzaError
from muccore.handlers.base import Handler
from muccore.interfaces import RoomChange
from muccore.jid import JID
from muccore.muc import changes
from muccore.muc.options import Options
from muccore.muc.relay import Relay
from muccore.muc.room import Room
from muccore.muc.rooms import Rooms, storeFailed
from muccore.tables import ANSWERED

_Inside = Callable[[Any, Element, JID, Room], Any]
_Outside = Callable[[Any, Element, JID], Any]


class Entrance(Handler):
    """
    What the entries of every kind have in common.

    @ivar options: how the service is run.
    @ivar rooms: its rooms.
    @ivar relay: the requests between occupants.
    """

    options: Options
    rooms: Rooms
    relay: Relay

    def carryOut(
        self, iq: Element, room: Room, change: RoomChange | None, apply: Callable[[], Callable[[], None]]
    ) -> Any:
        """
        Make a change durable, carry it out, answer, and tell everyone else, in this order.

        @param change: what to store, or C{None} for nothing.
        @param apply: carries it out; what it returns tells everyone else.
        """
        if change is None or room.locked:
            # A locked room is not in the store yet; it will be written whole.
            self._announce(None, iq, apply)
            self.rooms.settle(room)
            return ANSWERED
        return self.announced(iq, room, self.rooms.store.change(room.jid.bare, change), apply)

    def announced(
        self, iq: Element, room: Room, writing: Deferred[Any], apply: Callable[[], Callable[[], None]]
    ) -> Any:
        """
        Carry out and announce what is being written, as L{carryOut} does, as soon as it is durable.

        @param writing: fires when it is.
        """
        writing.addCallbacks(self._announce, storeFailed, callbackArgs=(iq, apply))
        return self.rooms.durably(room, iq.attributes["from"], writing)

    def _announce(self, _: object, iq: Element, apply: Callable[[], Callable[[], None]]) -> object:
        tellEveryone = apply()
        self.reply(iq)
        tellEveryone()
        return ANSWERED

    def storing(
        self, room: Room, sender: str, change: RoomChange | None, announce: Callable[[object], None]
    ) -> Deferred[None] | None:
        """
        Make durable what a message changes, and then announce it.
        """
        if change is None or room.locked:
            announce(None)
            return None
        writing = self.rooms.store.change(room.jid.bare, change)
        writing.addCallbacks(announce, storeFailed)
        return self.rooms.durably(room, sender, writing)


def affiliatesOf(plan: changes.Plan) -> RoomChange | None:
    """
    What a plan changes in the store; C{None} for nothing.
    """
    return RoomChange(plan.affiliates) if plan.affiliates else None


def noSuchRoom(element: Element) -> StanzaError:
    """
    The refusal of what is for a room that does not exist, or not yet (XEP-0045 §17.2).
    """
    return StanzaError("item-not-found")


def refusedBy(failure: Failure, room: str) -> Failure:
    """
    An errback: it is the room that refuses (RFC 6120 §8.3.2).
    """
    if isinstance(failure.value, StanzaError):
        failure.value.by = room
    return failure


def inRoom(
    changing: bool = False, missing: Callable[[Element], StanzaError] = noSuchRoom
) -> Callable[[_Inside], _Outside]:
    """
    Make an entrance of a method that needs a room.

    @param changing: it may change what is stored of the room, so that it waits for every change before it.
    @param missing: makes the refusal if there is no such room, or it is not for the sender yet.
    @raise StanzaError: C{by} the room: that refusal, or whatever the method raises or fails with.
    """

    def decorate(method: _Inside) -> _Outside:
        @wraps(method)
        def entrance(self: Entrance, element: Element, to: JID) -> Any:
            room = self.rooms.live.get(to.bare)
            if room is None:
                return self.rooms.open(to.bare).addCallback(opened, self, element, to).addErrback(refusedBy, to.bare)
            sender = element.attributes["from"]
            gate = room.gate
            try:
                if gate.closed and (changing or gate.holds(sender)):
                    return gate.wait(sender, True, entrance, self, element, to)
                if room.locked and sender not in room.seats:
                    raise missing(element)
                result = method(self, element, to, room)
            except StanzaError as e:
                e.by = to.bare
                raise
            return result.addErrback(refusedBy, to.bare) if isinstance(result, Deferred) else result

        def opened(room: Room | None, self: Entrance, element: Element, to: JID) -> Any:
            if room is None:
                raise missing(element)
            return entrance(self, element, to)

        return entrance

    return decorate
