# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Presence to rooms: entering, leaving, and changes of nick and presence."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muccore.interfaces import Tombstone
from muccore.muc.model import configuration, messages, presencebroadcast
from muccore.muc.model.accesslocks import NOTHING
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.heldplaces import HeldRoute
from muccore.muc.model.history import HistoryOptions
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.rendering import extractPresencePayload, notInside
from muccore.muc.model.room import Room
from muccore.muc.protocol.base import RoomHandler, dispatchToRoom
from muccore.muc.protocol.nicks import requestedNick
from muccore.muc.service import roomlog
from muccore.muc.service.storefailures import storeFailed
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError, conditionOf, errorElement
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.rendering import toAttribute


def _create(handler: RoomHandler, presence: Element, to: JID) -> Any:
    """Handle presence to a room that does not exist: a request to enter creates it (§10.1)."""
    sender = parse(presence.attributes["from"])
    if presence.child("x", ns.MUC) is None:
        return _notInside(handler, sender, to)
    room = handler.rooms.create(to.bareJID(), sender)
    if not handler.options.lockNewRooms:
        return _createOpen(handler, room, presence, to, sender)
    try:
        _enter(handler, room, presence, to, sender, created=True)
    except StanzaError:
        handler.rooms.evictIfEmpty(room)
        raise
    roomlog.logCreated(room.jid, sender)
    tell(room.extensions.created, room, sender)

    def giveUp() -> None:
        roomlog.logDestroyed(room.jid.bare, "not configured in time")
        configuration.expire(room)
        tell(room.extensions.destroyed, room, None, None)
        handler.rooms.evictIfEmpty(room)

    handler.rooms.awaitConfiguration(room, giveUp)
    return None


def _createOpen(handler: RoomHandler, room: Room, presence: Element, to: JID, creator: JID) -> Any:
    """Create an unlocked room with the default configuration, durable before its creator is notified."""

    def enter() -> None:
        room.locked = False
        roomlog.logCreated(room.jid, creator)
        _enter(handler, room, presence, to, creator, created=True)
        tell(room.extensions.created, room, creator)

    def failed(failure: Failure) -> None:
        # Waiting joins then find no room, and create it.
        handler.rooms.forget(room)
        storeFailed(failure)

    try:
        # Refuse the creator before anything is stored.
        requestedNick(presence.attributes["to"], to.resource)
        _payload(handler, presence, room)
        writing = handler.rooms.save(room, room.record())
    except StanzaError:
        handler.rooms.evictIfEmpty(room)
        raise
    return handler.commitThenAnnounce(room, creator.full, writing, enter, failed)


@dispatchToRoom(entering=True, costly=True, missing=_create)
def available(handler: RoomHandler, presence: Element, to: JID, room: Room) -> None:
    """Enter, enter again, or change the nick or the presence (§7.2, §7.6, §7.7)."""
    sender = parse(presence.attributes["from"])
    joining = presence.child("x", ns.MUC) is not None
    session = room.sessions.get(sender.full) if joining else handler.sessionOf(room, sender.full)
    if session is None and not joining:
        _notInside(handler, sender, to)
    elif session is None or joining:
        _enter(handler, room, presence, to, sender)
    else:
        nick, renamed = requestedNick(presence.attributes["to"], to.resource)
        payload = _payload(handler, presence, room)
        if nick == session.occupant.nick:
            room.presence(session, payload, presence.get("id"))
        elif room.settings.lockNicks and room.affiliations.reservedNick(sender.bare) not in (None, nick):
            raise StanzaError("not-acceptable", "cancel", "You must use your registered nickname in this room.")
        else:
            room.rename(session, nick, payload, presence.get("id"), (210,) if renamed else ())


def _enter(handler: RoomHandler, room: Room, presence: Element, to: JID, sender: JID, created: bool = False) -> None:
    nick, renamed = requestedNick(presence.attributes["to"], to.resource)
    reserved = room.affiliations.reservedNick(sender.bare)
    if room.settings.lockNicks and reserved is not None and nick != reserved:
        nick, renamed = reserved, True
    x = presence.child("x", ns.MUC)
    assert x is not None
    route = handler.parent.routeTo(sender)
    known = room.sessions.get(sender.full)
    isNew = known is None or known.held is not None
    room.enter(
        JoinRequest(
            sender,
            nick,
            route,
            _payload(handler, presence, room),
            x.childText("password"),
            HistoryOptions.parse(x.child("history"), room.now()),
            presence.get("id"),
            renamed,
            presence,
        ),
        created,
    )
    handler.rooms.occupantJoined(room)
    entering = room.entering.get(sender.full)
    if entering is not None:
        # What they send before they know who is in the room waits until then.
        handler.rooms.lockWhile(room, sender.full, entering, NOTHING)
    session = room.sessions.get(sender.full)
    if isNew and session is not None:
        handler.pings.watch(room.jid, session, route)


def _payload(handler: RoomHandler, presence: Element, room: Room) -> bytes:
    """@raise StanzaError: C{policy-violation} if it is too large to broadcast."""
    payload = extractPresencePayload(presence, room.jid)
    if len(payload) > handler.options.presenceSize:
        raise StanzaError("policy-violation", text="Your presence is too large to be sent to a room.")
    return payload


def _notInside(handler: RoomHandler, sender: JID, to: JID) -> None:
    """Answer presence that is no join and comes from outside the room (§7.2.18)."""
    handler.parent.routeTo(sender).deliver(notInside(to.full), toAttribute(sender.full))


def nickless(handler: RoomHandler, presence: Element, to: JID) -> None:
    """Refuse a request to enter without a nick (§7.2.1)."""
    error = StanzaError("jid-malformed", text="A nickname is required to enter a room.")
    error.by = to.bare
    raise error


def _ignore(handler: RoomHandler, element: Element, to: JID) -> None:
    """Ignore the stanza."""


@dispatchToRoom(leaving=True, missing=_ignore)
def unavailable(handler: RoomHandler, presence: Element, to: JID, room: Room) -> None:
    """
    Leave (§7.14); ignored if the sender is not in the room (§17.3). A room that is not in memory is loaded: the
    sender's join may be waiting for the same.
    """
    session = room.sessions.get(presence.attributes["from"])
    if session is not None:
        if session.held is not None:
            # It is told that it has left.
            handler.takeBack(room, session)
        payload = extractPresencePayload(presence, room.jid)
        if len(payload) > handler.options.presenceSize:
            payload = b""
        _leave(handler, room, session, payload, presence.get("id"))


def _leave(
    handler: RoomHandler,
    room: Room,
    session: OccupantSession,
    payload: bytes = b"",
    id: str | None = None,
    codes: tuple[int, ...] = (),
) -> None:
    room.leave(session, payload, codes, id)
    if room.locked and not room.sessions:
        # It is forgotten below, with no <destroy/>: nobody is left, and libraries wait for an ordinary leave.
        roomlog.logDestroyed(room.jid.bare, "left before it was configured", session.jid)
    handler.rooms.evictIfEmpty(room)


def probe(handler: RoomHandler, presence: Element, to: JID) -> None:
    """Send an occupant the presence of another (§17.3)."""
    room = handler.rooms.live.get(to.bare)
    session = handler.sessionOf(room, presence.attributes["from"]) if room is not None else None
    if room is not None and session is not None:
        presencebroadcast.sendPresenceOf(room, session, to.resource)


def bounce(handler: RoomHandler, bounced: Element, to: JID) -> Any:
    """
    Remove an occupant to whom a stanza could not be delivered (§18.1.2, status 333). For presence that is any error:
    whoever refuses it does not know who is in the room.
    """
    if to.bare in handler.rooms.live and (bounced.name == "presence" or messages.isDeliveryError(bounced)):
        return _unreachable(handler, bounced, to)
    return None


def domainLost(handler: RoomHandler, domain: str) -> None:
    """
    Remove the occupants at a domain, and those who are about to enter, as if a stanza to each had come back now: in
    order with what they have sent before, and will send if they return.
    """

    def opened(room: Room | Tombstone | None) -> None:
        if isinstance(room, Room):
            _removeLost(handler, room, domain)

    for room in list(handler.rooms.live.values()):
        _removeLost(handler, room, domain)
    for bare in handler.rooms.opening():
        # Whoever waits for a room that cannot be loaded is told that, but not this.
        handler.rooms.open(bare).addCallbacks(opened, lambda _: None)


def sessionRestored(handler: RoomHandler, session: JID, to: JID) -> Deferred[None]:
    """See L{MUCHandler.sessionRestored<muccore.muc.handler.MUCHandler.sessionRestored>}."""

    def opened(room: Room | None) -> None:
        if room is None or handler.sessionOf(room, session.full) is None:
            _notInside(handler, session, to)

    return handler.rooms.open(to.bare).addErrback(lambda _: None).addCallback(opened)


def _removeLost(handler: RoomHandler, room: Room, domain: str) -> None:
    lost = [session for session in room.sessions.values() if session.occupant.account.domain == domain]
    for session in lost:
        # They are not sent that the others go: for 1000 occupants that would be 500 000 stanzas to nobody.
        session.setRoute(HeldRoute(True))
    waiting = [sender for sender in room.changeQueue.senders() if parse(sender).domain == domain]
    for address in dict.fromkeys([*(session.jid for session in lost), *waiting]):
        bounced = stanza("presence", "error", from_=address, to=room.jid.bare)
        bounced.children.append(errorElement(StanzaError("remote-server-timeout")))
        handler.parent.dispatch(bounced, room.jid)


@dispatchToRoom(leaving=True, missing=_ignore)
def _unreachable(handler: RoomHandler, bounced: Element, to: JID, room: Room) -> None:
    session = room.sessions.get(bounced.attributes["from"])
    if session is not None:
        condition = conditionOf(bounced)
        text = "Removed because of an error" + (f": {condition.replace('-', ' ')}" if condition is not None else "")
        _leave(handler, room, session, f"<status>{text}</status>".encode(), codes=(333,))
