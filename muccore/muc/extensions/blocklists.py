# -*- test-case-name: tests.muc.extensions.test_blocklists -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Real-time block lists: the accounts and domains on them can neither enter rooms nor speak in them, unless the room gives
them an affiliation. A list is a publish-subscribe node whose items have the SHA-256 hash of a bare JID or a domain, in
hexadecimal, as their id; this is the form of the lists that other servers follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Final

from muccore.interfaces.handlers import HOST, NOT_HANDLED, StanzaTable, mayDecline
from muccore.muc.model.departures import removeEach
from muccore.muc.model.extension import ExtensionField, RoomExtension
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.occupant import Occupant
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.protocol.base import RoomHandler
from muccore.muc.service.nodesubscription import NodeSubscription
from muccore.net.slices import after
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse

_ON: Final = ExtensionField(
    "block-lists.on",
    "x-muc#roomconfig_blocklists",
    "boolean",
    "Keep out those on the server's block lists who have no affiliation",
    default=True,
)
_REASON: Final = "This address is on a block list of the server."


class BlockLists(RoomExtension):
    """The extension."""

    name = "block-lists"
    fields = (_ON,)

    def __init__(self, lists: Sequence[JID]) -> None:
        """@param lists: for each list, the address of its service with the node as resource."""
        self._addresses = lists
        self._lists: list[NodeSubscription] = []
        self._new: set[str] = set()

    def start(self) -> None:
        """Follow the lists."""
        for address in self._addresses:
            followed = NodeSubscription(self.service.parent, address.bareJID(), address.resource, self._added)
            self._lists.append(followed)
            followed.start()

    def stop(self, final: bool) -> None:
        """Follow them no more."""
        self._new.clear()
        for followed in self._lists:
            followed.stop()

    def stanzas(self) -> StanzaTable:
        """Take the events of the lists."""
        types = ("headline", "normal")
        return {("message", type, HOST): mayDecline(self._onMessage) for type in types}

    def _onMessage(self, handler: RoomHandler, message: Element, to: JID) -> object:
        sender = parse(message.attributes["from"])
        taken = [each.eventReceived(message) for each in self._lists if each.service == sender]
        return None if any(taken) else NOT_HANDLED

    # Rules

    def _isBlocked(self, room: Room, account: JID) -> bool:
        """Whether an account without affiliation is on a list that is in force in a room."""
        if not _ON.get(room.settings):
            return False
        hashes = {hashOf(account.bare), hashOf(account.domain)}
        return any(not hashes.isdisjoint(each.ids) for each in self._lists)

    def beforeEntering(self, room: Room, request: JoinRequest, affiliation: Affiliation) -> None:
        """Keep out who is on a list."""
        self.beforeReading(room, request.jid, affiliation)

    def beforeReading(self, room: Room, jid: JID, affiliation: Affiliation) -> None:
        """Who may not enter may not read either."""
        if affiliation is Affiliation.NONE and self._isBlocked(room, jid):
            raise StanzaError("forbidden", text=_REASON)

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> None:
        """Keep silent who has come onto a list."""
        if occupant.affiliation is Affiliation.NONE and self._isBlocked(room, occupant.account):
            raise StanzaError("forbidden", text=_REASON)

    def beforePrivateMessage(self, room: Room, occupant: Occupant, target: Occupant, message: Element) -> None:
        """Do so in private as well."""
        self.beforeMessage(room, occupant, message)

    def _added(self, hashes: set[str]) -> None:
        """Remove those who have come onto a list, one room a turn; who comes meanwhile is removed after that."""
        begin = not self._new
        self._new.update(hashes)
        if begin:
            self.service.parent.clock.callLater(0, self._removeNew, [], frozenset())

    def _removeNew(self, rooms: list[str], hashes: frozenset[str]) -> None:
        """
        Go on in the next room.

        @param rooms: the rooms that are left.
        @param hashes: who is looked for.
        """
        if not rooms:
            self._new -= hashes
            rooms, hashes = list(self.service.rooms.live), frozenset(self._new)
        if not self._new:
            return
        if rooms:
            self._removeBlocked(rooms.pop(), hashes)
        self.service.parent.clock.callLater(0, self._removeNew, rooms, hashes)

    def _removeBlocked(self, bare: str, hashes: frozenset[str]) -> None:
        room = self.service.rooms.live.get(bare)
        if room is None or not _ON.get(room.settings):
            return
        strangers = [each for each in room.occupants.values() if each.affiliation is Affiliation.NONE]
        blocked = [
            each
            for each in strangers
            if hashOf(each.account.bare) in hashes or hashOf(each.account.domain) in hashes
        ]
        if blocked:
            removing = room.slices.run(removeEach(room, blocked, 307, _REASON))
            after(removing, partial(self.service.rooms.evictIfEmpty, room))


def hashOf(address: str) -> str:
    """The hash under which an address is on a list."""
    return sha256(address.encode()).hexdigest()
