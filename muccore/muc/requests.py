# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What people ask of rooms, and of each other in a room: the IQs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from muccore import ns
from muccore.element import Element
from muccore.errors import StanzaError
from muccore.interfaces import RoomChange
from muccore.jid import JID, parse
from muccore.muc import admin, changes, configuring, information, owner, register
from muccore.muc.entrance import Entrance, affiliatesOf, inRoom, noSuchRoom
from muccore.muc.privileges import Affiliation
from muccore.muc.room import Room
from muccore.muc.service import answerRooms
from muccore.tables import ANSWERED

_OUTSIDE = "You are not in the room."


def _notInside(iq: Element) -> StanzaError:
    """
    The refusal of a request to somebody in a room that is not there. To one who asks whether he is in, it must not
    look as if only the nick were wrong (XEP-0410 §3.2, §3.3).
    """
    if iq.child("ping", ns.PING) is None:
        return noSuchRoom(iq)
    return StanzaError("not-acceptable", "cancel", _OUTSIDE)


class Requests(Entrance):
    """
    The entries for IQs.
    """

    @inRoom()
    def onInfo(self, iq: Element, to: JID, room: Room) -> Element:
        """
        C{disco#info} of a room (§6.4).
        """
        return information.info(room, parse(iq.attributes["from"]), _query(iq, ns.DISCO_INFO))

    @inRoom()
    def onItems(self, iq: Element, to: JID, room: Room) -> Element:
        """
        C{disco#items} of a room (§6.5).
        """
        return information.items(room, parse(iq.attributes["from"]), _query(iq, ns.DISCO_ITEMS))

    @inRoom()
    def onList(self, iq: Element, to: JID, room: Room) -> Element:
        """
        A list of roles or affiliations.
        """
        return admin.answerList(room, parse(iq.attributes["from"]), _query(iq, ns.MUC_ADMIN))

    @inRoom(changing=True)
    def onAdmin(self, iq: Element, to: JID, room: Room) -> Any:
        """
        Changes of roles and affiliations (§8, §9, §10).
        """
        sender = parse(iq.attributes["from"])
        if sender.full not in room.seats and room.affiliations.of(sender) < Affiliation.ADMIN:
            raise StanzaError("forbidden")
        plan = changes.plan(room, sender, admin.parseItems(room, _query(iq, ns.MUC_ADMIN)))
        return self.carryOut(iq, room, affiliatesOf(plan), lambda: changes.apply(room, plan))

    @inRoom()
    def onForm(self, iq: Element, to: JID, room: Room) -> Element:
        """
        The configuration form (§10.1.3, §10.2).
        """
        owner.check(room, parse(iq.attributes["from"]))
        return owner.form(room, self.options)

    @inRoom(changing=True)
    def onOwner(self, iq: Element, to: JID, room: Room) -> Any:
        """
        A configuration, the refusal to give one, or the end of the room (§10.1, §10.2, §10.9).
        """
        sender = parse(iq.attributes["from"])
        owner.check(room, sender)
        request = owner.parse(room, sender, _query(iq, ns.MUC_OWNER), self.options)
        if isinstance(request, owner.Destruction):
            return self._destroy(iq, room, request)
        if isinstance(request, owner.Cancellation):
            if room.locked:
                return self._destroy(iq, room, owner.Destruction())
            return None
        return self._configure(iq, room, request)

    def _configure(self, iq: Element, room: Room, wanted: owner.Configuration) -> Any:
        def apply() -> Callable[[], None]:
            self.rooms.configured(room)
            return configuring.apply(room, wanted.settings, wanted.plan)

        settings = wanted.settings
        if room.locked:
            writing = self.rooms.store.save(room.jid.bare, owner.recordOf(room, wanted))
            return self.announced(iq, room, writing, apply)
        change = None
        if settings != room.settings or wanted.plan.affiliates:
            change = RoomChange(
                wanted.plan.affiliates, settings.toMapping(), settings.name, settings.public, not settings.persistent
            )
        return self.carryOut(iq, room, change, apply)

    def _destroy(self, iq: Element, room: Room, wanted: owner.Destruction) -> Any:
        def apply() -> Callable[[], None]:
            configuring.destroy(room, wanted.reason, wanted.venue, wanted.password)
            self.rooms.forget(room)
            return _nothingMore

        if room.locked:
            return self.carryOut(iq, room, None, apply)
        return self.announced(iq, room, self.rooms.store.destroy(room.jid.bare), apply)

    @inRoom()
    def onRegistrationForm(self, iq: Element, to: JID, room: Room) -> Element:
        """
        What is needed to register with a room (§7.10).
        """
        return register.form(room, parse(iq.attributes["from"]))

    @inRoom(changing=True)
    def onRegister(self, iq: Element, to: JID, room: Room) -> Any:
        """
        Somebody registers with a room, or takes that back (§7.10, XEP-0077 §3.2).
        """
        sender = parse(iq.attributes["from"])
        plan = register.plan(room, sender, _query(iq, ns.REGISTER))
        return self.carryOut(iq, room, affiliatesOf(plan), lambda: changes.apply(room, plan))

    @inRoom(missing=_notInside)
    def onRequest(self, iq: Element, to: JID, room: Room) -> Any:
        """
        An occupant asks another one something, or himself whether he is still in (§17.4, XEP-0410).
        """
        seat = room.seats.get(iq.attributes["from"])
        payload = next(iq.childElements(), None)
        if seat is None:
            if payload is not None and payload.uri in (ns.DISCO_INFO, ns.DISCO_ITEMS):
                raise StanzaError("bad-request", text=_OUTSIDE)
            raise StanzaError("not-acceptable", "cancel", _OUTSIDE)
        target = room.occupants.get(to.resource)
        if target is None:
            raise StanzaError("item-not-found")
        if target is seat.occupant and payload is not None and payload.uri == ns.PING:
            self.reply(iq)
        else:
            self.send(self.relay.request(iq, seat, target))
        return ANSWERED

    def onAnswer(self, iq: Element, to: JID) -> None:
        """
        An occupant answers another one.
        """
        answer = self.relay.answer(iq)
        if answer is not None:
            self.send(answer)

    def onRooms(self, iq: Element, to: JID) -> Deferred[Any]:
        """
        The public rooms (§6.3).
        """
        return answerRooms(self.rooms, parse(iq.attributes["from"]).bare, _query(iq, ns.DISCO_ITEMS))


def _query(iq: Element, uri: str) -> Element:
    query = iq.child("query", uri)
    assert query is not None, "the table says so"
    return query


def _nothingMore() -> None:
    """
    Nobody else is to be told.
    """
