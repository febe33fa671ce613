# -*- test-case-name: tests.muc.extensions.test_adhoccommands -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Ad-hoc commands (XEP-0050) of rooms and of the service: those that the other extensions offer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from muccore.interfaces.handlers import BARE, HOST, IQTable
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.room import Room
from muccore.muc.protocol.base import RoomHandler, dispatchToRoom
from muccore.xmpp import ns
from muccore.xmpp.commands import Commands
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID, parse


class AdHocCommands(RoomExtension):
    """The extension. What supports commands by its features has some."""

    name = "commands"

    def start(self) -> None:
        """Collect the commands."""
        extensions, now = self.service.rooms.extensions, self.service.parent.clock.seconds
        self._ofRooms = Commands([command for each in extensions for command in each.commands()], now)
        self._ofService = Commands([command for each in extensions for command in each.serviceCommands()], now)
        if self._ofService:
            self.service.features = (*self.service.features, ns.COMMANDS)

    def iqs(self) -> IQTable:
        """Answer the requests to execute commands."""
        return {
            ("set", BARE, ns.COMMANDS, "command"): dispatchToRoom(changing=True)(self._execute),
            ("set", HOST, ns.COMMANDS, "command"): self._executeAtService,
        }

    def _execute(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Any:
        return self._ofRooms.execute(room, iq, parse(iq.attributes["from"]), room.jid)

    def _executeAtService(self, handler: RoomHandler, iq: Element, to: JID) -> Any:
        return self._ofService.execute(handler, iq, parse(iq.attributes["from"]), to)

    def roomFeatures(self, room: Room) -> Iterable[str]:
        """See L{RoomExtension.roomFeatures}."""
        return (ns.COMMANDS,) if self._ofRooms else ()

    def discoInfo(self, room: Room, sender: JID, node: str) -> Element | None:
        """See L{RoomExtension.discoInfo}."""
        return self._ofRooms.info(room, sender, node)

    def discoItems(self, room: Room, sender: JID, node: str, query: Element) -> Element | None:
        """See L{RoomExtension.discoItems}."""
        return self._ofRooms.items(room, sender, room.jid, node)

    def serviceInfo(self, sender: JID, node: str) -> Element | None:
        """See L{RoomExtension.serviceInfo}."""
        return self._ofService.info(self.service, sender, node)

    def serviceItems(self, sender: JID, node: str) -> Element | None:
        """See L{RoomExtension.serviceItems}."""
        return self._ofService.items(self.service, sender, parse(self.service.rooms.domain), node)
