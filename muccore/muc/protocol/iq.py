# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""IQs to rooms, and between occupants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast

from twisted.internet.defer import Deferred

from muccore.interfaces import RoomChange
from muccore.interfaces.handlers import ANSWERED, NOT_HANDLED, Outcome, mayDecline
from muccore.muc.model import configuration, membershiprequests, privilegechanges
from muccore.muc.model.accesslocks import NOTHING, Access
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.heldplaces import reachableSession
from muccore.muc.model.moderationact import ModerationAct
from muccore.muc.model.privilegechanges import Announce
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roomrecord import putRows, recordOf
from muccore.muc.protocol import access, admin, disco, owner, register, roomlist
from muccore.muc.protocol.base import RoomHandler, dispatchToRoom, noSuchRoom
from muccore.muc.service import roomlog
from muccore.muc.service.tombstones import tombstoneOf
from muccore.net.slices import after
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse

_OUTSIDE: Final = "You are not in the room."


@dispatchToRoom()
def roomInfo(handler: RoomHandler, iq: Element, to: JID, room: Room) -> Element:
    """Answer C{disco#info} of a room (§6.4)."""
    return disco.info(room, parse(iq.attributes["from"]), next(iq.childElements()), handler.options.webchatURL)


@dispatchToRoom()
def roomItems(handler: RoomHandler, iq: Element, to: JID, room: Room) -> Element:
    """Answer C{disco#items} of a room (§6.5)."""
    return disco.items(room, parse(iq.attributes["from"]), next(iq.childElements()))


@dispatchToRoom()
def adminGet(handler: RoomHandler, iq: Element, to: JID, room: Room) -> Element | Deferred[Any]:
    """Answer a list of roles or affiliations."""
    sender = parse(iq.attributes["from"])
    answer = admin.answerList(room, sender, next(iq.childElements()), handler.options.listLimit)
    # One long list at a time is rendered for a sender.
    return handler.rooms.lockWhile(room, sender.full, answer, NOTHING) if isinstance(answer, Deferred) else answer


@dispatchToRoom(changing=access.ofAdminSet)
def adminSet(handler: RoomHandler, iq: Element, to: JID, room: Room) -> Any:
    """Change roles or affiliations (§8, §9, §10)."""
    sender = parse(iq.attributes["from"])
    if sender.full not in room.sessions and room.affiliations.get(sender) < Affiliation.ADMIN:
        raise StanzaError("forbidden")
    items = admin.parseItems(room, next(iq.childElements()))
    plan = privilegechanges.plan(room, sender, items)
    privilegechanges.check(room, sender, plan)
    return _applyPrivilegeChange(handler, iq, room, plan, access.ofAdminSet(room, iq))


def _applyPrivilegeChange(
    handler: RoomHandler,
    iq: Element,
    room: Room,
    plan: privilegechanges.PrivilegeChange,
    accessed: Access,
    byOwners: bool = True,
) -> Any:
    def apply() -> Announce | Deferred[Announce]:
        roomlog.logChanges(room, iq.attributes["from"], plan)
        return privilegechanges.apply(room, plan)

    writing = handler.storeChange(room, plan.stored(room), byOwners)
    return handler.commitAndReply(iq, room, writing, apply, accessed)


@dispatchToRoom()
def ownerGet(handler: RoomHandler, iq: Element, to: JID, room: Room) -> Element:
    """Answer the configuration form (§10.1.3, §10.2)."""
    owner.check(room, parse(iq.attributes["from"]))
    return owner.form(room, handler.options)


@dispatchToRoom(changing=True)
def ownerSet(handler: RoomHandler, iq: Element, to: JID, room: Room) -> Any:
    """Configure the room, cancel its configuration, or destroy it (§10.1, §10.2, §10.9)."""
    sender = parse(iq.attributes["from"])
    owner.check(room, sender)
    request = owner.parse(room, sender, next(iq.childElements()), handler.options)
    if isinstance(request, owner.DestructionRequest):
        for checkDestruction in room.extensions.beforeDestruction:
            checkDestruction(room, sender)
        return _destroy(handler, iq, room, request)
    if request is None:
        return _destroy(handler, iq, room, owner.DestructionRequest()) if room.locked else None
    return configure(handler, iq, room, request)


def configure(handler: RoomHandler, iq: Element, room: Room, wanted: owner.ConfigureRequest) -> Any:
    """Answer a request of an owner with a configuration."""
    sender = parse(iq.attributes["from"])
    for check in room.extensions.beforeConfiguration:
        check(room, sender, wanted.settings)
    if wanted.plan.affiliates:
        privilegechanges.check(room, sender, wanted.plan)

    def apply() -> Announce | Deferred[Announce]:
        handler.rooms.roomUnlocked(room)
        roomlog.logConfigured(room, iq.attributes["from"], wanted.settings)
        return configuration.apply(room, wanted.settings, wanted.plan)

    wanted.plan.states.update(membershiprequests.endedBy(room, wanted.settings))
    writing: Deferred[Any] | None = None
    if room.locked:
        change = wanted.plan.stored(room)
        record = recordOf(room, wanted.settings, change.affiliates, change.states)
        writing = handler.rooms.save(room, record)
    elif wanted.settings != room.settings or wanted.plan.affiliates:
        change = replace(wanted.plan.stored(room), **wanted.settings.stored())
        writing = handler.storeChange(room, change)
    return handler.commitAndReply(iq, room, writing, apply)


def _destroy(handler: RoomHandler, iq: Element, room: Room, wanted: owner.DestructionRequest) -> Any:
    def apply() -> Announce | Deferred[Announce]:
        roomlog.logDestroyed(room.jid.bare, "on request", iq.attributes["from"])
        return after(configuration.destroy(room, wanted.reason, wanted.venue, wanted.password), emptied)

    def emptied() -> Announce:
        handler.rooms.remove(room)
        if not room.locked:
            details = {} if wanted.venue is None else {"venue": wanted.venue.full}
            by = parse(iq.attributes["from"]).bare
            tell(room.extensions.moderated, room, ModerationAct("destruction", by, "", wanted.reason, details))
        tell(room.extensions.destroyed, room, wanted.venue, wanted.reason)
        return lambda: None

    writing = None
    if not room.locked:
        tombstone = tombstoneOf(room, handler.options.tombstoneTime, wanted.venue, wanted.reason)
        writing = handler.rooms.store.destroy(room.jid.bare, tombstone)
    return handler.commitAndReply(iq, room, writing, apply)


def _checkMayRegister(handler: RoomHandler, room: Room, sender: JID) -> None:
    """@raise StanzaError: C{not-allowed} if the service lets local users only register; members may reserve nicks."""
    options = handler.options
    if not options.isFor(options.registration, sender) and room.affiliations.get(sender) <= Affiliation.NONE:
        raise StanzaError("not-allowed", text="Only users of this server may register with rooms here.")


@dispatchToRoom()
def registerGet(handler: RoomHandler, iq: Element, to: JID, room: Room) -> Element:
    """Answer the registration form (§7.10)."""
    sender = parse(iq.attributes["from"])
    _checkMayRegister(handler, room, sender)
    return register.form(room, sender)


@dispatchToRoom(changing=access.ofRegistration)
def registerSet(handler: RoomHandler, iq: Element, to: JID, room: Room) -> Any:
    """Register with a room, or unregister (§7.10, XEP-0077 §3.2)."""
    sender = parse(iq.attributes["from"])
    query = next(iq.childElements())
    if query.child("remove") is None:
        _checkMayRegister(handler, room, sender)
    plan = register.plan(room, sender, query)
    if isinstance(plan, register.MembershipRequest):
        return _requestMembership(handler, iq, room, plan.rows)
    privilegechanges.check(room, sender, plan)
    return _applyPrivilegeChange(handler, iq, room, plan, access.ofRegistration(room, iq), byOwners=False)


def _requestMembership(handler: RoomHandler, iq: Element, room: Room, rows: membershiprequests.Rows) -> Any:
    def apply() -> Callable[[], None]:
        putRows(room, rows)

        def announce() -> None:
            for _, user in rows:
                membershiprequests.announce(room, user)

        return announce

    writing = handler.storeChange(room, RoomChange(states=rows), False)
    return handler.commitAndReply(iq, room, writing, apply, access.ofRegistration(room, iq))


def _notInside(handler: RoomHandler, iq: Element, to: JID) -> Any:
    """
    Refuse a request to an occupant of a room that does not exist. To a self-ping, C{item-not-found} would mean that
    only the nick is wrong (XEP-0410 §3.2, §3.3).
    """
    if iq.child("ping", ns.PING) is None:
        return noSuchRoom(handler, iq, to)
    raise StanzaError("not-acceptable", "cancel", _OUTSIDE)


@dispatchToRoom(missing=_notInside)
def toOccupant(handler: RoomHandler, iq: Element, to: JID, room: Room) -> Any:
    """Forward a request to another occupant, or answer a self-ping (§17.4, XEP-0410)."""
    session = handler.sessionOf(room, iq.attributes["from"])
    payload = next(iq.childElements(), None)
    if session is None:
        if payload is not None and payload.uri in (ns.DISCO_INFO, ns.DISCO_ITEMS):
            raise StanzaError("bad-request", text=_OUTSIDE)
        raise StanzaError("not-acceptable", "cancel", _OUTSIDE)
    target = room.occupants.get(to.resource)
    if target is None:
        raise StanzaError("item-not-found")
    if target is session.occupant and payload is not None and payload.uri == ns.PING:
        handler.reply(iq)
    else:
        reachable = reachableSession(target)
        if reachable is None and (payload is None or payload.uri != ns.VCARD_TEMP):
            raise StanzaError("recipient-unavailable")
        handler.send(handler.relay.request(iq, session, reachable or target.primary))
    return ANSWERED


def fromOccupant(handler: RoomHandler, iq: Element, to: JID) -> None:
    """Forward an occupant's answer to the requester."""
    answer = handler.relay.answer(iq)
    if answer is not None:
        handler.send(answer)


def toPing(handler: RoomHandler, iq: Element, to: JID) -> None:
    """Note the answer to a ping of the room (§18.1.2)."""
    handler.pings.answered(iq)


@mayDecline
def serviceInfo(handler: RoomHandler, iq: Element, to: JID) -> Element | Outcome:
    """Answer C{disco#info} of a node that an extension has at the service."""
    sender, node = parse(iq.attributes["from"]), next(iq.childElements()).get("node")
    for extension in handler.rooms.extensions if node else ():
        answer = extension.serviceInfo(sender, node)
        if answer is not None:
            return cast(Element, answer)
    return NOT_HANDLED


def serviceItems(handler: RoomHandler, iq: Element, to: JID) -> Element | Deferred[Any]:
    """List the public rooms (§6.3), or the items of a node that an extension has at the service."""
    sender, query = parse(iq.attributes["from"]), next(iq.childElements())
    node = query.get("node")
    if node:
        return disco.firstAnswer(extension.serviceItems(sender, node) for extension in handler.rooms.extensions)
    return roomlist.listRooms(handler.rooms, sender.bare, query)
