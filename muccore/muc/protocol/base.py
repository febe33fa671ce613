# -*- test-case-name: tests.muc.protocol.test_base -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Dispatch of stanzas to rooms, and commits of what they change.

The functions in the handler's tables get C{(handler, element, to)}. Those about a room get C{(handler, element, to,
room)} and are decorated with L{dispatchToRoom}, which loads the room if necessary and queues the stanza behind a change
that is being committed. Changes of a room go through L{RoomHandler.commitAndReply} or
L{RoomHandler.commitThenAnnounce}.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from muccore.interfaces import IDomain, ISession, IUserDomain, RoomChange, Tombstone
from muccore.interfaces.handlers import ANSWERED, Outcome
from muccore.log.eventlog import OCCUPANT_THROTTLED
from muccore.muc.model import heldplaces, privilegechanges
from muccore.muc.model.accesslocks import NOTHING, WHOLE_ROOM, Access
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.privilegechanges import Announce, PrivilegeChange
from muccore.muc.model.room import Room
from muccore.muc.protocol.access import isModerator
from muccore.muc.protocol.iqrelay import IQRelay
from muccore.muc.service import tombstones
from muccore.muc.service.invitationpolicy import InvitationPolicy
from muccore.muc.service.rooms import Rooms
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.muc.service.storefailures import storeFailed
from muccore.routing.handler import Handler
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.elementmemory import memoryOf
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse

if TYPE_CHECKING:
    from muccore.muc.protocol.ghosts import OccupantPings

PATIENCE: Final = 10.0
"""Seconds for which a stream is held at most because of a room. Those who owe more are refused."""

NOTABLE: Final = 8 * 1024
"""Bytes sent because of one stanza above which they are counted: what reaches few is paid for as input."""

_T = TypeVar("_T")
_RoomFunction = Callable[[Any, Element, JID, Room], Any]
_Function = Callable[[Any, Element, JID], Any]


class RoomHandler(Handler):
    """
    The C{handler} of the functions in the handler's tables.

    @ivar options: the settings of the service.
    @ivar relay: the requests between occupants.
    @ivar pings: the pings of occupants.
    @ivar invitations: how many invitations are sent.
    """

    options: MUCServiceSettings
    rooms: Rooms
    relay: IQRelay
    pings: OccupantPings
    invitations: InvitationPolicy

    def sessionOf(self, room: Room, sender: str) -> OccupantSession | None:
        """
        The session of a sender who acts as an occupant, or C{None} for anybody else.

        A held place is taken back if its client has missed nothing. Otherwise it is answered like anybody outside: it
        then enters again, and gets everything (XEP-0045 §7.2.18, XEP-0410 §3.3).

        @param sender: the full JID.
        """
        session = room.sessions.get(sender)
        if session is None or session.held is None:
            return session
        if session.held.missed:
            return None
        self.takeBack(room, session)
        return session

    def takeBack(self, room: Room, session: OccupantSession) -> None:
        """Let a held session have its place back, and send its unavailable presence when it ends."""
        route = self.parent.routeTo(parse(session.jid))
        if ISession.providedBy(route):
            address = session.occupant.address
            route.directed.setdefault(address, parse(address))
        heldplaces.takeBack(session, route)
        self.pings.watch(room.jid, session, route)
        tell(room.extensions.returned, room, session)
        self.rooms.occupantJoined(room)

    # Costs

    def charging(self, room: Room, sender: str, act: Callable[[], _T]) -> _T:
        """Do what somebody's stanza has caused, and charge them for what the room sends meanwhile."""
        before, room.audience.sent = room.audience.sent, 0
        result = act()
        if room.audience.sent > NOTABLE:
            self.charge(room, sender, 2 * PATIENCE)
        room.audience.sent += before
        return result

    def charge(self, room: Room, sender: str, longest: float) -> None:
        """
        Charge somebody for what a room has sent because of them: the next stanza on their stream is not handled before
        that is paid (docs/design/0020).

        @param sender: their JID; that of the room for the service itself, which pays nothing.
        @param longest: see L{Costs.add<muccore.muc.model.costs.Costs.add>}.
        """
        sent, room.audience.sent = room.audience.sent, 0
        if sender == room.jid.bare:
            return
        account, rates = sender.partition("/")[0], self.options.costRates
        debt = room.costs.add(account, sent, self.parent.clock.seconds(), rates, longest)
        route = self.parent.routeTo(parse(sender))
        if ISession.providedBy(route):
            route.charge(sent, 0.0 if debt is None else min(debt.seconds, PATIENCE))
        elif IDomain.providedBy(route) and not IUserDomain.providedBy(route):
            # A handler of this server.
            room.costs.forgive(account)
            return
        if debt is not None and debt.isNew:
            OCCUPANT_THROTTLED.log(account, rate=rates.occupantRate, room=room.jid.bare)

    def checkDebt(self, room: Room, sender: str) -> None:
        """@raise StanzaError: C{policy-violation} if somebody owes more than a stream is held for."""
        debt = room.costs.debt(sender.partition("/")[0], self.parent.clock.seconds(), self.options.costRates)
        if debt > PATIENCE:
            seconds = math.ceil(debt - PATIENCE)
            plural = "s" if seconds > 1 else ""
            text = f"You are causing too much traffic in this room; try again in {seconds} second{plural}."
            raise StanzaError("policy-violation", "wait", text)

    # Changes

    def storeChange(self, room: Room, change: RoomChange, byOwners: bool | None = True) -> Deferred[Any] | None:
        """
        Begin to store a change. Nothing is stored of a locked room, which is stored as a whole later.

        @param byOwners: see L{Rooms.change}.
        @raise StanzaError: C{resource-constraint} if the room then takes too much; nothing is stored.
        @return: fires when it is durable; C{None} if nothing is stored, or changed.
        """
        if room.locked or change == RoomChange():
            return None
        return self.rooms.change(room, change, byOwners)

    def commitThenAnnounce(
        self,
        room: Room,
        sender: str,
        writing: Deferred[Any] | None,
        announce: Callable[[], Any],
        failed: Callable[[Failure], Any] = storeFailed,
        access: Access = WHOLE_ROOM,
    ) -> Any:
        """
        Announce a change once it is durable. Until then, changes of the room that depend on it and further stanzas of
        the sender wait.

        @param sender: the full JID of the requester.
        @param writing: fires when the change is durable; C{None} if it is not stored.
        @param announce: applies and announces the change; a L{Deferred} that it returns ends the change.
        @param failed: the errback for a failed store.
        @param access: what of the room the change reads and writes, as for L{dispatchToRoom}.
        @return: the result of C{announce}, or a L{Deferred} of it.
        """
        if writing is None:
            result = announce()
            if isinstance(result, Deferred) and not result.called:
                return self.rooms.lockWhile(room, sender, result, access)
            self.rooms.evictIfEmpty(room)
            return result
        writing.addCallbacks(lambda _: self.charging(room, sender, announce), failed)
        return self.rooms.lockWhile(room, sender, writing, access)

    def commitAndReply(
        self,
        iq: Element,
        room: Room,
        writing: Deferred[Any] | None,
        apply: Callable[[], Announce | Deferred[Announce]],
        access: Access = WHOLE_ROOM,
    ) -> Any:
        """
        Once a change is durable, apply it, send the result, and announce it, in this order.

        @param writing: as in L{commitThenAnnounce}.
        @param apply: applies the change, and announces what precedes the result; returns a function that announces the
            rest, or a Deferred of that.
        @param access: as in L{commitThenAnnounce}.
        """

        def applied(announceRest: Announce) -> Outcome:
            self.reply(iq)
            # This may be in a later turn.
            self.charging(room, iq.attributes["from"], announceRest)
            return ANSWERED

        def announce() -> Outcome | Deferred[Outcome]:
            result = apply()
            return result.addCallback(applied) if isinstance(result, Deferred) else applied(result)

        return self.commitThenAnnounce(room, iq.attributes["from"], writing, announce, access=access)

    def carryOut(
        self, room: Room, sender: str, change: PrivilegeChange, applied: Callable[[], object] = lambda: None
    ) -> Deferred[None] | None:
        """
        Carry out a committed change of privileges and announce it; for L{commitThenAnnounce}. What that sends in later
        turns is charged to the requester, too.

        @param sender: the JID of the requester, as for L{charge}.
        @param applied: called between these.
        @return: fires when it is carried out; C{None} if it is.
        """

        def announce(announceRest: Announce) -> None:
            applied()
            announceRest()

        result = privilegechanges.apply(room, change)
        if isinstance(result, Deferred):
            return result.addCallback(lambda rest: self.charging(room, sender, lambda: announce(rest)))
        announce(result)
        return None

    def changeByService(self, room: Room, plan: Callable[[], PrivilegeChange]) -> Deferred[Any]:
        """
        Change privileges for the service itself: like any other change, after those before it, and durable before it
        is announced. Nothing happens if the room has ended by then.

        @param plan: makes the change when it is its turn.
        @return: fires when the change is announced; fails with L{StanzaError} if the store does.
        """

        def change() -> Any:
            if self.rooms.live.get(room.jid.bare) is not room:
                return None
            planned = plan()
            writing = self.storeChange(room, planned.stored(room), None)
            service = room.jid.bare
            return self.commitThenAnnounce(room, service, writing, lambda: self.carryOut(room, service, planned))

        if room.changeQueue.changing:
            return room.changeQueue.enqueue(room.jid.bare, change, urgent=True, refusable=False)
        return maybeDeferred(change)


def noSuchRoom(handler: RoomHandler, element: Element, to: JID) -> Any:
    """Refuse a stanza to a room that does not exist, or not yet (XEP-0045 §17.2)."""
    raise StanzaError("item-not-found")


def _checkNotGone(tombstone: Tombstone, element: Element, entering: bool) -> None:
    """
    Refuse a stanza to a room that was destroyed, unless it is a request of a former owner to enter, who may create it
    anew, or presence that is no request.

    @raise StanzaError: C{gone}, with the room to go to instead.
    """
    sender = parse(element.attributes["from"])
    if not entering or (element.child("x", ns.MUC) is not None and not tombstones.mayReplace(tombstone, sender)):
        raise tombstones.gone(tombstone, sender)


def refusedBy(failure: Failure, room: str) -> Failure:
    """An errback that names the room as the refusing entity (RFC 6120 §8.3.2)."""
    if isinstance(failure.value, StanzaError):
        failure.value.by = room
    return failure


def dispatchToRoom(
    changing: bool | Callable[[Room, Element], Access | None] = False,
    entering: bool = False,
    leaving: bool = False,
    costly: bool = False,
    missing: _Function = noSuchRoom,
) -> Callable[[_RoomFunction], _Function]:
    """
    Decorate a function for the handler's tables that needs a room.

    While changes of the room are being committed, a stanza waits if earlier ones of its sender do, which keeps their
    order (RFC 6120 §10.1). Further stanzas that wait:

    @param changing: whether the stanza may change what is stored, or what of the room it then reads and writes; C{None}
        if it changes nothing. It waits for the changes that it depends on (docs/design/0018), but if it is from a
        moderator, not for what others have waiting.
    @param entering: whether it enters: it waits for the first configuration of a room, and may see a locked room.
    @param leaving: whether it leaves: it is never refused because too much waits.
    @param costly: whether it reaches all occupants, and is refused to those who owe too much for what they have
        caused.
    @param missing: handles the stanza if there is no such room, or none for the sender yet.
    @raise StanzaError: C{gone} if the room was destroyed; whatever the function or C{missing} raises or fails with. All
        C{by} the room.
    """

    def accessOf(room: Room, element: Element) -> Access | None:
        """What a stanza has to wait for; C{None} if that is nothing but earlier ones of its sender."""
        if callable(changing):
            return changing(room, element)
        return WHOLE_ROOM if changing or (entering and (room.locked or room.closing)) else None

    def waitWith(room: Room, element: Element, sender: str, call: Callable[[], Any]) -> Deferred[Any] | None:
        """Let a stanza wait for changes that are being committed, and then be handled; C{None} if it need not."""
        queue = room.changeQueue
        access = accessOf(room, element)
        urgent = access is not None and isModerator(room, sender)
        if not (queue.isQueued(sender) if access is None else queue.mustWait(sender, access, urgent)):
            return None
        return queue.enqueue(sender, call, access or NOTHING, urgent, not leaving, memoryOf(element))

    def decorate(function: _RoomFunction) -> _Function:
        @wraps(function)
        def dispatch(handler: RoomHandler, element: Element, to: JID) -> Any:
            room = handler.rooms.live.get(to.bare)
            if room is None:
                opening = handler.rooms.openOrTombstone(to.bare).addCallback(opened, handler, element, to)
                return opening.addErrback(refusedBy, to.bare)
            sender = element.attributes["from"]
            try:
                if room.changeQueue.changing:
                    waiting = waitWith(room, element, sender, partial(dispatch, handler, element, to))
                    if waiting is not None:
                        return waiting
                if room.locked and not entering and sender not in room.sessions:
                    return missing(handler, element, to)
                if costly and room.costs.indebted:
                    handler.checkDebt(room, sender)
                room.audience.sent = 0
                result = function(handler, element, to, room)
            except StanzaError as e:
                e.by = to.bare
                raise
            if room.audience.sent > NOTABLE:
                # Whoever enters a large room, or changes much in it, is not refused for long.
                handler.charge(room, sender, math.inf if costly and not entering else 2 * PATIENCE)
            return result.addErrback(refusedBy, to.bare) if isinstance(result, Deferred) else result

        def opened(found: Room | Tombstone | None, handler: RoomHandler, element: Element, to: JID) -> Any:
            if isinstance(found, Room):
                return dispatch(handler, element, to)
            if found is not None and not leaving:
                _checkNotGone(found, element, entering)
            return missing(handler, element, to)

        return dispatch

    return decorate
