# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.adhoccommands} and L{muccore.muc.model.roomcommands} (XEP-0050)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from muccore.interfaces import RoomChange
from muccore.interfaces.handlers import InvalidHandler
from muccore.muc.extensions import standardExtensions
from muccore.muc.extensions.adhoccommands import AdHocCommands
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomcommands import RoomCommand
from muccore.muc.protocol.base import RoomHandler
from muccore.routing.handler import Handler
from muccore.testing.defaults import defaultOptions
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import jid, ns
from muccore.xmpp.commands import Command, CommandForm, CommandRequest, Completed
from muccore.xmpp.dataforms import Field
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    MUCTestCase,
    affiliation,
    execute,
    form,
    join,
    role,
    sendAdmin,
    sendIQ,
    summaries,
)


class Pin(RoomCommand):
    """Owners and admins, and moderators, keep a text with the room."""

    node, name, stages = "pin", "Pin a text", 1
    affiliation, role = Affiliation.ADMIN, Role.MODERATOR

    def __init__(self, extension: RoomExtension) -> None:
        self.extension = extension

    def form(self, request: CommandRequest[Room], stage: int) -> CommandForm:
        """Ask for the text, the last one being suggested."""
        pinned = request.subject.states.get("pin", {}).get("text")
        return CommandForm("urn:pin", [(Field("text-single", "text", required=True), pinned)])

    def carryOut(self, request: CommandRequest[Room]) -> Completed | Deferred[Completed]:
        """Store it, and then tell all."""
        room, text = request.subject, request.values["text"]

        def announce() -> Completed:
            room.states.setdefault("pin", {})["text"] = text
            message = Element((ns.CLIENT, "message"), None, {"type": "groupchat", "from": room.jid.bare})
            message.add("body", text=text)
            room.publish(None, message)
            return Completed(note="Pinned.")

        service = self.extension.service
        writing = service.storeChange(room, RoomChange(states={("pin", "text"): text}))
        outcome: Completed | Deferred[Completed] = service.commitThenAnnounce(
            room, request.requester.full, writing, announce
        )
        return outcome


class Members(RoomCommand):
    """Shows members who they are."""

    node, name, affiliation = "who", "Who am I", Affiliation.MEMBER

    def carryOut(self, request: CommandRequest[Room]) -> Completed:
        """Tell them."""
        return Completed(note=request.requester.full)


class Count(Command[RoomHandler]):
    """Counts the rooms of a service, for all but Paris."""

    node, name = "count", "Count the rooms"

    def mayUse(self, subject: RoomHandler, requester: jid.JID) -> bool:
        """All but them."""
        return requester.local != "paris"

    def carryOut(self, request: CommandRequest[RoomHandler]) -> Completed:
        """Count them."""
        return Completed(note=str(len(request.subject.rooms.live)))


class Offering(RoomExtension):
    """Offers commands."""

    name = "pin"

    def commands(self) -> Sequence[Command[Room]]:
        """Two in rooms."""
        return [Pin(self), Members()]

    def serviceCommands(self) -> Sequence[Command[RoomHandler]]:
        """One at the service."""
        return [Count()]


class AdHocCommandTests(MUCTestCase):
    """A room whose extensions offer commands."""

    def setUp(self) -> None:
        self.openRoom()

    def openRoom(self, store: Any = None) -> None:
        """Start the server with a room of romeo, in which juliet is a moderator and paris a participant."""
        super().startServer()
        self.server = InMemoryServer(store, extensions=[AdHocCommands(), Offering()])
        self.romeo, self.juliet, self.paris = self.login("romeo", "juliet", "paris")
        self.createRoom(self.romeo, persistentroom=True)
        self.enterAll(self.juliet, self.paris)
        sendAdmin(self.romeo, role("Juliet", "moderator"))
        self.discardReceived()

    def openSlowly(self) -> DelayedRoomStore:
        """Start the server as C{openRoom} does; from then on, its store waits and may fail."""
        self.failing = FailingRoomStore()
        store = DelayedRoomStore(self.failing)
        store.holding = frozenset()
        self.openRoom(store)
        store.holding = frozenset(["change"])
        return store

    def nodes(self, client: Client, to: str = ROOM) -> list[str | None]:
        """The commands that a client finds."""
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>", to=to)
        items = list(self.result(client).childElements())
        self.assertEqual({each.get("jid") for each in items} - {to}, set())
        return [each.get("node") for each in items]

    def features(self, client: Client, to: str, node: str = "") -> list[str | None]:
        """The features of an address."""
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_INFO}'{f' node={node!r}' if node else ''}/>", to=to)
        return [each.get("var") for each in self.result(client).childElements() if each.name == "feature"]

    def note(self, client: Client) -> tuple[str | None, str]:
        """The note of the outcome of a command."""
        answer = self.result(client)
        self.assertEqual(answer["status"], "completed")
        note = answer.child("note")
        assert note is not None
        return note.get("type"), note.text()

    def test_who(self) -> None:
        """Commands are for an affiliation or a role, inside or outside; it changes with them."""
        nurse = self.client("nurse")
        for client, nodes in (
            (self.romeo, ["pin", "who"]), (self.juliet, ["pin"]), (self.paris, []), (nurse, []),
            (self.client("romeo/b"), ["pin", "who"]), (self.client("juliet/b"), []),
        ):  # fmt: skip
            self.assertEqual(self.nodes(client), nodes)
        sendAdmin(self.romeo, affiliation("nurse@localhost", "member"), role("Juliet", "participant"))
        self.discardReceived()
        self.assertEqual([self.nodes(self.juliet), self.nodes(nurse)], [[], ["who"]])
        execute(nurse, "who")
        self.assertEqual(self.note(nurse), ("info", "nurse@localhost/a"))
        execute(nurse, "pin")
        self.assertReceived(nurse, "error q cancel forbidden")

    def test_discovery(self) -> None:
        """The features of the room, the list and a command."""
        self.assertIn(ns.COMMANDS, self.features(self.paris, ROOM))
        self.assertIn(ns.COMMANDS, self.features(self.paris, HOST))
        for to, node in ((ROOM, "pin"), (HOST, "count")):
            self.assertEqual(self.features(self.romeo, to, node), [ns.COMMANDS, ns.DATA])
            self.assertEqual(self.features(self.romeo, to, ns.COMMANDS), [ns.DISCO_INFO, ns.DISCO_ITEMS])
            for kind in (ns.DISCO_INFO, ns.DISCO_ITEMS):
                sendIQ(self.romeo, "get", f"<query xmlns='{kind}' node='other'/>", to=to)
                self.assertReceived(self.romeo, "error q cancel item-not-found")
        sendIQ(self.paris, "get", f"<query xmlns='{ns.DISCO_INFO}' node='pin'/>", to=ROOM)
        self.assertReceived(self.paris, "error q auth forbidden")

    def test_without(self) -> None:
        """If no extension offers any, nothing is announced, and the feature is not implemented."""
        super().startServer()
        self.server = InMemoryServer(extensions=[AdHocCommands()])
        [romeo] = self.login("romeo")
        self.createRoom(romeo)
        for to in (ROOM, HOST):
            self.assertNotIn(ns.COMMANDS, self.features(romeo, to))
            execute(romeo, "pin", to=to)
            self.assertReceived(romeo, "error q cancel feature-not-implemented")
            sendIQ(romeo, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>", to=to)
            self.assertReceived(romeo, "error q cancel item-not-found")

    def test_service(self) -> None:
        """A command of the service."""
        self.assertEqual(self.nodes(self.juliet, HOST), ["count"])
        execute(self.juliet, "count", to=HOST)
        self.assertEqual(self.note(self.juliet), ("info", "1"))
        self.assertEqual(self.nodes(self.paris, HOST), [])
        execute(self.paris, "count", to=HOST)
        self.assertReceived(self.paris, "error q cancel forbidden")

    def test_missingRoom(self) -> None:
        """There are no commands in a room that does not exist, or not yet."""
        join(self.juliet, "Juliet", to=f"new@{HOST}")
        self.discardReceived()
        for to in (f"none@{HOST}", f"new@{HOST}"):
            execute(self.romeo, "pin", to=to)
            self.assertReceived(self.romeo, "error q cancel item-not-found")
        self.assertEqual(self.nodes(self.juliet, f"new@{HOST}"), ["pin", "who"])

    def test_change(self) -> None:
        """A command that changes the room is announced and completed once it is durable; other changes wait."""
        store = self.openSlowly()
        execute(self.juliet, "pin")
        answer = self.result(self.juliet)
        self.assertEqual(answer["status"], "executing")
        execute(self.juliet, "pin", form("urn:pin", {"text": "Hi"}), sessionid=answer["sessionid"])
        execute(self.romeo, "pin", form("urn:pin", {"text": "Ho"}))
        execute(self.juliet, "pin", id="r")
        self.assertNothingReceived()
        store.release(1)
        self.assertEqual(summaries(self.paris), ["room groupchat body:Hi"])
        self.assertEqual(self.storedRecord().states, {"pin": {"text": "Hi"}})
        self.assertEqual(summaries(self.juliet), ["room groupchat body:Hi", "result q"])
        store.release(1)
        self.assertEqual(summaries(self.romeo), ["room groupchat body:Hi", "room groupchat body:Ho", "result q"])
        [_, iq] = self.juliet.received()
        self.assertIn("<value>Ho</value>", iq.toXml())

    def test_storeFails(self) -> None:
        """If the store fails, nothing is announced, and the form may be submitted again."""
        store = self.openSlowly()
        execute(self.juliet, "pin")
        id = self.result(self.juliet)["sessionid"]
        self.failing.failing = frozenset(["change"])
        execute(self.juliet, "pin", form("urn:pin", {"text": "Hi"}), sessionid=id)
        store.release()
        self.assertReceived(self.juliet, "error q wait internal-server-error")
        self.assertNothingReceived()
        self.failing.failing = frozenset()
        execute(self.juliet, "pin", form("urn:pin", {"text": "Hi"}), sessionid=id)
        store.release()
        self.assertReceived(self.juliet, "room groupchat body:Hi", "result q")

    def test_oneNodeEach(self) -> None:
        """Two extensions cannot have one command; that is found before the start."""
        muc = self.server.muc
        handler = Handler()
        handler.roomExtensions = [Offering()]
        error = self.assertRaises(InvalidHandler, muc.extendRooms, [handler])
        self.assertIn("'pin'", str(error))

    def test_standard(self) -> None:
        """It is one of the standard extensions."""
        self.assertIn("commands", [each.name for each in standardExtensions(defaultOptions())])
