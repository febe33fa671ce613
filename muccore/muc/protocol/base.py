# -*- test-case-name: tests.muc.protocol.test_base -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
How a stanza finds its room, and how what it changes becomes durable.

The functions in the handler's tables get C{(handler, element, to)}. Those that are about a room are written for
C{(handler, element, to, room)} and decorated with L{dispatchToRoom}: it loads the room if it is not in memory, and
queues the stanza behind a change that is being committed where it must wait. What changes a room goes through
L{RoomHandler.commitAndReply} or L{RoomHandler.commitThenAnnounce}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muccore.interfaces import RoomChange
from muccore.interfaces.handlers import ANSWERED
from muccore.muc.model import privilegechanges
from muccore.muc.model.room import Room
from muccore.muc.protocol.iqrelay import IQRelay
from muccore.muc.service.rooms import Rooms, storeFailed
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.routing.handler import Handler
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

_Inside = Callable[[Any, Element, JID, Room], Any]
_Outside = Callable[[Any, Element, JID], Any]


class RoomHandler(Handler):
    """
    What the functions in the handler's tables are given as their C{handler}.

    @ivar options: how the service is run.
    @ivar rooms: its rooms.
    @ivar relay: the requests between occupants.
    """

    options: MUCServiceSettings
    rooms: Rooms
    relay: IQRelay

    def storeChange(self, room: Room, change: RoomChange | None) -> Deferred[Any] | None:
        """
        Begin to write a change. Nothing is written of a locked room, which is not in the store yet: it will be written
        as a whole.

        @param change: what to store, or C{None} for nothing.
        @return: fires when it is durable; C{None} if nothing is written.
        """
        return None if change is None or room.locked else self.rooms.store.change(room.jid.bare, change)

    def commitThenAnnounce(
        self,
        room: Room,
        sender: str,
        writing: Deferred[Any] | None,
        announce: Callable[[], Any],
        failed: Callable[[Failure], Any] = storeFailed,
    ) -> Any:
        """
        Announce a change as soon as it is durable. Until then other changes of the room wait, and so does what else
        comes from the sender.

        @param sender: the full JID of who asked for it.
        @param writing: fires when it is durable; C{None} if it is not stored.
        @param announce: carries the change out and tells everyone.
        @param failed: the errback for a store that has failed.
        @return: what C{announce} returns, or a L{Deferred} that fires with it.
        """
        if writing is None:
            result = announce()
            self.rooms.evictIfEmpty(room)
            return result
        writing.addCallbacks(lambda _: announce(), failed)
        return self.rooms.lockWhile(room, sender, writing)

    def commitAndReply(
        self, iq: Element, room: Room, writing: Deferred[Any] | None, apply: Callable[[], Callable[[], None]]
    ) -> Any:
        """
        As soon as a change is durable, carry it out, send the result, and tell everyone else, in this order.

        @param writing: as in L{commitThenAnnounce}.
        @param apply: carries the change out; what it returns tells everyone else.
        """

        def announce() -> object:
            tellEveryone = apply()
            self.reply(iq)
            tellEveryone()
            return ANSWERED

        return self.commitThenAnnounce(room, iq.attributes["from"], writing, announce)


def affiliatesOf(plan: privilegechanges.PrivilegeChange) -> RoomChange | None:
    """What a plan changes in the store; C{None} for nothing."""
    return RoomChange(plan.affiliates) if plan.affiliates else None


def noSuchRoom(handler: RoomHandler, element: Element, to: JID) -> Any:
    """Refuse what is for a room that does not exist, or not yet (XEP-0045 §17.2)."""
    raise StanzaError("item-not-found")


def refusedBy(failure: Failure, room: str) -> Failure:
    """An errback: it is the room that refuses (RFC 6120 §8.3.2)."""
    if isinstance(failure.value, StanzaError):
        failure.value.by = room
    return failure


def dispatchToRoom(
    changing: bool | Callable[[Element], bool] = False,
    entering: bool = False,
    leaving: bool = False,
    missing: _Outside = noSuchRoom,
) -> Callable[[_Inside], _Outside]:
    """
    Make a function for the handler's tables of one that needs a room.

    While a change of the room is being committed, a stanza waits if something of its sender waits already, so that one
    sender's stanzas stay in order (RFC 6120 §10.1). What else waits is said here:

    @param changing: whether it may change what is stored of the room, or a predicate of the stanza that tells: such
        a stanza waits for every change before it.
    @param entering: it enters: into a room whose first configuration is being committed it waits for that, and a
        locked room is not hidden from it.
    @param leaving: it leaves: it may wait, but is not refused because too many wait.
    @param missing: handles the stanza if there is no such room, or none for the sender yet.
    @raise StanzaError: C{by} the room: whatever the function or C{missing} raises or fails with.
    """

    def admit(room: Room, element: Element, sender: str) -> bool:
        """Whether a stanza may pass while a change is being committed."""
        if room.changeQueue.isQueued(sender) or (entering and room.locked):
            return False
        return not (changing(element) if callable(changing) else changing)

    def decorate(function: _Inside) -> _Outside:
        @wraps(function)
        def entrance(handler: RoomHandler, element: Element, to: JID) -> Any:
            room = handler.rooms.live.get(to.bare)
            if room is None:
                opening = handler.rooms.open(to.bare).addCallback(opened, handler, element, to)
                return opening.addErrback(refusedBy, to.bare)
            sender = element.attributes["from"]
            try:
                if room.changeQueue.changing and not admit(room, element, sender):
                    return room.changeQueue.enqueue(sender, not leaving, entrance, handler, element, to)
                if room.locked and not entering and sender not in room.sessions:
                    return missing(handler, element, to)
                result = function(handler, element, to, room)
            except StanzaError as e:
                e.by = to.bare
                raise
            return result.addErrback(refusedBy, to.bare) if isinstance(result, Deferred) else result

        def opened(room: Room | None, handler: RoomHandler, element: Element, to: JID) -> Any:
            return (missing if room is None else entrance)(handler, element, to)

        return entrance

    return decorate
