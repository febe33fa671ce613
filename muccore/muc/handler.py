# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Multi-User Chat as a handler: all that it handles in two tables.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore import ns
from muccore.interfaces import IRoomStore
from muccore.muc import attendance, requests, talk
from muccore.muc.entrance import Entrance
from muccore.muc.options import Options
from muccore.muc.relay import Relay
from muccore.muc.rooms import Rooms
from muccore.tables import ANY, Kind
from muccore.xeps import XEP


class MUCHandler(Entrance):
    """
    A service of chat rooms.
    """

    implements = (
        XEP(45, "Multi-User Chat", "1.35.5", "No approval of registrations (§9.9), no presence broadcast by role."),
        XEP(77, "In-Band Registration", "2.4", "With rooms; accounts are made by the operator."),
        XEP(128, "Service Discovery Extensions", "1.0.1"),
        XEP(203, "Delayed Delivery", "2.0"),
        XEP(249, "Direct MUC Invitations", "1.2", "Passed on between users; nothing is asked of a server."),
        XEP(410, "MUC Self-Ping (Schrödinger's Chat)", "1.1.0"),
    )

    features = (ns.MUC, ns.MUC_STABLE_ID, ns.MUC_SELF_PING, ns.RSM)

    stanzas = {
        ("presence", None, Kind.FULL): attendance.available,
        ("presence", None, Kind.BARE): attendance.nickless,
        ("presence", "unavailable", Kind.FULL): attendance.unavailable,
        ("presence", "unavailable", Kind.BARE): attendance.unavailable,
        ("presence", "probe", Kind.FULL): attendance.probe,
        ("presence", "error", Kind.FULL): attendance.bounce,
        ("presence", "error", Kind.BARE): attendance.bounce,
        ("message", "groupchat", Kind.BARE): talk.groupchat,
        ("message", "groupchat", Kind.FULL): talk.groupchatToOccupant,
        ("message", "error", Kind.BARE): attendance.bounce,
        ("message", "error", Kind.FULL): talk.privateBounce,
        ("message", ANY, Kind.BARE): talk.toRoom,
        ("message", ANY, Kind.FULL): talk.private,
        ("iq", "get", Kind.FULL): requests.toOccupant,
        ("iq", "set", Kind.FULL): requests.toOccupant,
        ("iq", "result", Kind.FULL): requests.fromOccupant,
        ("iq", "error", Kind.FULL): requests.fromOccupant,
    }

    iqs = {
        ("get", Kind.BARE, ns.DISCO_INFO, "query"): requests.roomInfo,
        ("get", Kind.BARE, ns.DISCO_ITEMS, "query"): requests.roomItems,
        ("get", Kind.BARE, ns.MUC_ADMIN, "query"): requests.adminGet,
        ("set", Kind.BARE, ns.MUC_ADMIN, "query"): requests.adminSet,
        ("get", Kind.BARE, ns.MUC_OWNER, "query"): requests.ownerGet,
        ("set", Kind.BARE, ns.MUC_OWNER, "query"): requests.ownerSet,
        ("get", Kind.BARE, ns.REGISTER, "query"): requests.registerGet,
        ("set", Kind.BARE, ns.REGISTER, "query"): requests.registerSet,
        ("get", Kind.HOST, ns.DISCO_ITEMS, "query"): requests.listRooms,
    }

    def __init__(self, store: IRoomStore, options: Options) -> None:
        super().__init__()
        self.identities = (("conference", "text", options.name),)
        self.options = options
        self._store = store
        self.relay = Relay()

    def reconfigure(self, options: Options) -> None:
        """
        Run the service differently from now on; rooms that exist keep their configuration.
        """
        self.identities = (("conference", "text", options.name),)
        self.options = self.rooms.options = options

    def connectionInitialized(self) -> None:
        """
        The service begins.
        """
        domain = self.parent
        self.rooms = Rooms(domain.name, self._store, self.options, domain.clock)
        self.rooms.start().addErrback(lambda failure: self.rooms.log.failure("Cannot list temporary rooms", failure))

    def shutDown(self) -> Deferred[None]:
        """
        Tell everybody that the service shuts down.
        """
        return self.rooms.shutDown()
