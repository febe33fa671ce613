# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Multi-User Chat as a handler: all that it handles in two tables.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.interfaces import IRoomStore
from muccore.interfaces.handlers import ANY, Kind
from muccore.muc.protocol import iq, messages, presence
from muccore.muc.protocol.base import Entrance
from muccore.muc.protocol.iqrelay import Relay
from muccore.muc.service.rooms import Rooms
from muccore.muc.service.servicesettings import Options
from muccore.xmpp import ns
from muccore.xmpp.specs import XEP


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
        ("presence", None, Kind.FULL): presence.available,
        ("presence", None, Kind.BARE): presence.nickless,
        ("presence", "unavailable", Kind.FULL): presence.unavailable,
        ("presence", "unavailable", Kind.BARE): presence.unavailable,
        ("presence", "probe", Kind.FULL): presence.probe,
        ("presence", "error", Kind.FULL): presence.bounce,
        ("presence", "error", Kind.BARE): presence.bounce,
        ("message", "groupchat", Kind.BARE): messages.groupchat,
        ("message", "groupchat", Kind.FULL): messages.groupchatToOccupant,
        ("message", "error", Kind.BARE): presence.bounce,
        ("message", "error", Kind.FULL): messages.privateBounce,
        ("message", ANY, Kind.BARE): messages.toRoom,
        ("message", ANY, Kind.FULL): messages.private,
        ("iq", "get", Kind.FULL): iq.toOccupant,
        ("iq", "set", Kind.FULL): iq.toOccupant,
        ("iq", "result", Kind.FULL): iq.fromOccupant,
        ("iq", "error", Kind.FULL): iq.fromOccupant,
    }

    iqs = {
        ("get", Kind.BARE, ns.DISCO_INFO, "query"): iq.roomInfo,
        ("get", Kind.BARE, ns.DISCO_ITEMS, "query"): iq.roomItems,
        ("get", Kind.BARE, ns.MUC_ADMIN, "query"): iq.adminGet,
        ("set", Kind.BARE, ns.MUC_ADMIN, "query"): iq.adminSet,
        ("get", Kind.BARE, ns.MUC_OWNER, "query"): iq.ownerGet,
        ("set", Kind.BARE, ns.MUC_OWNER, "query"): iq.ownerSet,
        ("get", Kind.BARE, ns.REGISTER, "query"): iq.registerGet,
        ("set", Kind.BARE, ns.REGISTER, "query"): iq.registerSet,
        ("get", Kind.HOST, ns.DISCO_ITEMS, "query"): iq.listRooms,
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
