# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Multi-User Chat as a handler: the whole entrance of the protocol in two tables, and for each entry the way from a
stanza to a room.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore import ns
from muccore.interfaces import IRoomStore
from muccore.muc.attendance import Attendance
from muccore.muc.options import Options
from muccore.muc.relay import Relay
from muccore.muc.requests import Requests
from muccore.muc.rooms import Rooms
from muccore.muc.talk import Talk
from muccore.tables import ANY, Kind
from muccore.xeps import XEP


class MUCHandler(Attendance, Talk, Requests):
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
        ("presence", None, Kind.FULL): "onPresence",
        ("presence", None, Kind.BARE): "onNicklessPresence",
        ("presence", "unavailable", Kind.FULL): "onLeave",
        ("presence", "unavailable", Kind.BARE): "onLeave",
        ("presence", "probe", Kind.FULL): "onProbe",
        ("presence", "error", Kind.FULL): "onBounce",
        ("presence", "error", Kind.BARE): "onBounce",
        ("message", "groupchat", Kind.BARE): "onGroupchat",
        ("message", "groupchat", Kind.FULL): "onGroupchatToOne",
        ("message", "error", Kind.BARE): "onBounce",
        ("message", "error", Kind.FULL): "onPrivateBounce",
        ("message", ANY, Kind.BARE): "onMessage",
        ("message", ANY, Kind.FULL): "onPrivate",
        ("iq", "get", Kind.FULL): "onRequest",
        ("iq", "set", Kind.FULL): "onRequest",
        ("iq", "result", Kind.FULL): "onAnswer",
        ("iq", "error", Kind.FULL): "onAnswer",
    }

    iqs = {
        ("get", Kind.BARE, ns.DISCO_INFO, "query"): "onInfo",
        ("get", Kind.BARE, ns.DISCO_ITEMS, "query"): "onItems",
        ("get", Kind.BARE, ns.MUC_ADMIN, "query"): "onList",
        ("set", Kind.BARE, ns.MUC_ADMIN, "query"): "onAdmin",
        ("get", Kind.BARE, ns.MUC_OWNER, "query"): "onForm",
        ("set", Kind.BARE, ns.MUC_OWNER, "query"): "onOwner",
        ("get", Kind.BARE, ns.REGISTER, "query"): "onRegistrationForm",
        ("set", Kind.BARE, ns.REGISTER, "query"): "onRegister",
        ("get", Kind.HOST, ns.DISCO_ITEMS, "query"): "onRooms",
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
        self.rooms.start().addErrback(lambda failure: self.rooms.log.failure("Looking for rooms left over", failure))

    def shutDown(self) -> Deferred[None]:
        """
        Tell everybody that the service shuts down.
        """
        return self.rooms.shutDown()
