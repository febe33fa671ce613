# -*- test-case-name: tests.muc.test_handler -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The Multi-User Chat handler, with everything that it handles in two tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.interfaces import IArchiveStore, IAuditStore, IDomainObserver, IOccupantStore, IRoomStore
from muccore.interfaces.handlers import ANY, AddressType, InvalidHandler, shownKey
from muccore.muc.extensions import standardExtensions
from muccore.muc.extensions.places import Places
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.extensionpoints import RoomExtensions
from muccore.muc.protocol import accountremoval, iq, messages, presence
from muccore.muc.protocol.base import RoomHandler
from muccore.muc.protocol.ghosts import OccupantPings
from muccore.muc.protocol.iqrelay import IQRelay
from muccore.muc.service.invitationpolicy import InvitationPolicy
from muccore.muc.service.rooms import Rooms
from muccore.muc.service.servicesettings import MUCServiceSettings
from muccore.xmpp import ns
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec


@implementer(IDomainObserver)
class MUCHandler(RoomHandler):
    """A service of chat rooms (XEP-0045)."""

    implements = (
        Spec(45, "Multi-User Chat", "1.35.5"),
        Spec(77, "In-Band Registration", "2.4", "With rooms."),
        Spec(128, "Service Discovery Extensions", "1.0.1"),
        Spec(203, "Delayed Delivery", "2.0"),
        Spec(249, "Direct MUC Invitations", "1.2", "Part of mediated invitations; others are limited."),
        Spec(410, "MUC Self-Ping (Schrödinger's Chat)", "1.1.0"),
        Spec(8266, "Nicknames (PRECIS)", note="Nicks of rooms are compared by it (§2.4).", series="RFC"),
    )

    features: tuple[str, ...] = (ns.MUC, ns.MUC_STABLE_ID, ns.MUC_SELF_PING, ns.RSM)

    stanzas = {
        ("presence", None, AddressType.FULL): presence.available,
        ("presence", None, AddressType.BARE): presence.nickless,
        ("presence", "unavailable", AddressType.FULL): presence.unavailable,
        ("presence", "unavailable", AddressType.BARE): presence.unavailable,
        ("presence", "probe", AddressType.FULL): presence.probe,
        ("presence", "error", AddressType.FULL): presence.bounce,
        ("presence", "error", AddressType.BARE): presence.bounce,
        ("message", "groupchat", AddressType.BARE): messages.groupchat,
        ("message", "groupchat", AddressType.FULL): messages.groupchatToOccupant,
        ("message", "error", AddressType.BARE): presence.bounce,
        ("message", "error", AddressType.FULL): messages.privateBounce,
        ("message", ANY, AddressType.BARE): messages.toRoom,
        ("message", ANY, AddressType.FULL): messages.private,
        ("iq", "get", AddressType.FULL): iq.toOccupant,
        ("iq", "set", AddressType.FULL): iq.toOccupant,
        ("iq", "result", AddressType.FULL): iq.fromOccupant,
        ("iq", "error", AddressType.FULL): iq.fromOccupant,
        ("iq", "result", AddressType.BARE): iq.toPing,
        ("iq", "error", AddressType.BARE): iq.toPing,
    }

    iqs = {
        ("get", AddressType.BARE, ns.DISCO_INFO, "query"): iq.roomInfo,
        ("get", AddressType.BARE, ns.DISCO_ITEMS, "query"): iq.roomItems,
        ("get", AddressType.BARE, ns.MUC_ADMIN, "query"): iq.adminGet,
        ("set", AddressType.BARE, ns.MUC_ADMIN, "query"): iq.adminSet,
        ("get", AddressType.BARE, ns.MUC_OWNER, "query"): iq.ownerGet,
        ("set", AddressType.BARE, ns.MUC_OWNER, "query"): iq.ownerSet,
        ("get", AddressType.BARE, ns.REGISTER, "query"): iq.registerGet,
        ("set", AddressType.BARE, ns.REGISTER, "query"): iq.registerSet,
        ("get", AddressType.HOST, ns.DISCO_INFO, "query"): iq.serviceInfo,
        ("get", AddressType.HOST, ns.DISCO_ITEMS, "query"): iq.serviceItems,
    }

    def __init__(
        self,
        store: IRoomStore,
        options: MUCServiceSettings,
        extensions: Sequence[RoomExtension] | None = None,
        archive: IArchiveStore | None = None,
        audit: IAuditStore | None = None,
        occupants: IOccupantStore | None = None,
        invitations: InvitationPolicy | None = None,
    ) -> None:
        """
        @param extensions: what extends each room, in this order; C{None} for the standard ones.
        @param archive: where those archive messages; C{None}: nowhere.
        @param audit: where those keep audit trails; C{None}: nowhere.
        @param occupants: where places of occupants are kept; C{None}: nowhere.
        @param invitations: how many invitations are sent, here and by other services of the host; C{None}: with
            default limits, by the domain's clock.
        """
        super().__init__()
        if extensions is None:
            extensions = standardExtensions(options, archive, audit)
        # First, so that the other ones find those who are held when they load a room.
        self._standard = [*([] if occupants is None else [Places(occupants)]), *extensions]
        self.extendRooms(())
        self.identities = (("conference", "text", options.name),)
        self.options = options
        self._store = store
        self.relay = IQRelay(self.send)
        self.invitations = InvitationPolicy(lambda: self.parent.clock.seconds()) if invitations is None else invitations

    def extendRooms(self, handlers: Iterable[Any]) -> None:
        """
        Set from which other handlers of the domain rooms get extensions, before this one is added to it. They are asked
        before the standard ones, which so see messages as they are sent.

        @param handlers: with L{Handler.roomExtensions<muccore.routing.handler.Handler>}, or wokkel's without.
        @raise InvalidHandler: if two answer the same requests, or have commands of one node.
        """
        others = [extension for handler in handlers for extension in getattr(handler, "roomExtensions", ())]
        self._extensions = RoomExtensions([*others, *self._standard])
        self.features = (*type(self).features, *self._extensions.serviceFeatures)
        iqs: dict[Any, Any] = dict(type(self).iqs)
        stanzas: dict[Any, Any] = dict(type(self).stanzas)
        for extension in self._extensions:
            for table, added in ((iqs, extension.iqs()), (stanzas, extension.stanzas())):
                for key, function in added.items():
                    if key in table:
                        text = f"an extension of rooms has {shownKey(key)}, which another one has as well"
                        raise InvalidHandler(text)
                    table[key] = function
        for offered in ("commands", "serviceCommands"):
            nodes = [command.node for each in self._extensions for command in getattr(each, offered)()]
            for node in nodes:
                if nodes.count(node) > 1:
                    raise InvalidHandler(f"two extensions of rooms have the command {node!r}")
        self.iqs, self.stanzas = iqs, stanzas

    def reconfigure(self, options: MUCServiceSettings) -> None:
        """Apply new settings of the service; existing rooms keep their configuration."""
        self.identities = (("conference", "text", options.name),)
        self.options = self.rooms.settings = options
        self._extensions.reconfigured()

    def connectionInitialized(self) -> None:
        """Start the service."""
        domain = self.parent
        self.rooms = Rooms(domain.name, self._store, self.options, domain.clock, self._extensions)
        self.pings = OccupantPings(self)
        self.invitations.services[domain.name] = self.rooms.live
        for extension in self._extensions:
            extension.service = self
            extension.start()
        self.rooms.start()

    def sessionRestored(self, session: JID, to: JID) -> Deferred[None]:
        """
        Give a session that was saved at the end of the server its place back, or tell it that it has none.

        @param to: its occupant JID.
        """
        return presence.sessionRestored(self, session, to)

    def accountRemoved(self, account: JID) -> Deferred[None]:
        """Remove an account of this server from the rooms; see L{accountremoval.removeAccount}."""
        return Deferred.fromCoroutine(accountremoval.removeAccount(self, account))

    def domainLost(self, domain: str) -> None:
        """See L{IDomainObserver<muccore.interfaces.IDomainObserver>}: the occupants there leave."""
        presence.domainLost(self, domain)

    def shutDown(self, final: bool) -> Deferred[None]:
        """See L{Rooms.shutDown}."""
        self.pings.stop()
        return self.rooms.shutDown(final)
