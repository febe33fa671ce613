# Copyright (c) The muccore authors. See LICENSE for details.
"""Helpers for tests of what is retracted."""

from __future__ import annotations

from typing import Any

from muccore.muc.extensions import standardExtensions
from muccore.testing.defaults import defaultOptions
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.extensions.keeper import Keeper
from tests.muc.muchelpers import ROOM, MUCTestCase, join, sendGroupchat, sendIQ, summary


def stanzaId(message: Element) -> str:
    """The id that the room has given a message."""
    element = message.child("stanza-id", ns.STANZA_ID)
    assert element is not None, message.toXml()
    return element.attributes["id"]


def child(element: Element, *path: tuple[str, str]) -> Element:
    """An element inside another, by names and namespaces."""
    for name, uri in path:
        found = element.child(name, uri)
        assert found is not None, element.toXml()
        element = found
    return element


def conditionOf(stanza: Element) -> str:
    """The condition of an error."""
    return child(stanza, ("error", ns.CLIENT)).children[0].name  # type: ignore[no-any-return]


def moderate(client: Client, id: str, reason: str = "", older: bool = False) -> None:
    """Ask for the retraction of a message, in the present or in the older form."""
    why = f"<reason>{reason}</reason>" if reason else ""
    if older:
        inside = f"<moderate xmlns='{ns.MODERATE_0}'><retract xmlns='{ns.RETRACT_0}'/>{why}</moderate>"
        sendIQ(client, "set", f"<apply-to xmlns='{ns.FASTEN}' id='{id}'>{inside}</apply-to>")
    else:
        inside = f"<retract xmlns='{ns.RETRACT}'/>{why}"
        sendIQ(client, "set", f"<moderate xmlns='{ns.MODERATE}' id='{id}'>{inside}</moderate>")


def retractAll(client: Client, attributes: str = "", reason: str = "") -> None:
    """Ask for the retraction of everything that a user wrote."""
    why = f"<reason>{reason}</reason>" if reason else ""
    sendIQ(client, "set", f"<retract-all xmlns='{ns.MODERATION}' {attributes}>{why}</retract-all>")


class RetractionTestCase(MUCTestCase):
    """
    A room of Romeo (the owner), Juliet and Tybalt.

    @ivar keeper: keeps all messages, if C{keeping}.
    """

    keeping = False

    def startServer(self, store: Any = None, **options: Any) -> None:
        """Start the server, perhaps with what keeps messages."""
        super().startServer(store, **options)
        self.keeper = Keeper()
        if self.keeping:
            self.server = InMemoryServer(store, [*standardExtensions(defaultOptions()), self.keeper], **options)

    def setUp(self) -> None:
        super().setUp()
        self.openRoom()

    def openRoom(self, **fields: Any) -> None:
        """Create the room, with a configuration, and let all enter."""
        self.romeo, self.juliet, self.tybalt = self.login("romeo", "juliet", "tybalt")
        self.createRoom(self.romeo, **fields)
        self.enterAll(self.juliet, self.tybalt)

    def said(self, client: Client, text: str = "Hi", id: str | None = "m", inside: str = "") -> str:
        """Let somebody say something; return its id in the room, and discard what clients have received."""
        sendGroupchat(client, f"<body>{text}</body>{inside}", id)
        found = [message for message in client.received() if message.name == "message"]
        self.assertEqual([summary(message) for message in found if message.child("error") is not None], [])
        self.discardReceived()
        return stanzaId(found[-1])

    def retract(self, client: Client, id: str, inside: str = "", messageId: str | None = "r") -> None:
        """Send a retraction."""
        sendGroupchat(client, f"<retract xmlns='{ns.RETRACT}' id='{id}'/>{inside}", messageId)

    def errorOf(self, client: Client) -> str:
        """The condition of the one error that a client has received, and nobody anything else."""
        [error] = client.received()
        self.assertNothingReceived()
        return conditionOf(error)

    def history(self) -> list[Element]:
        """What a newcomer gets of the history."""
        paris = self.client("paris")
        join(paris, "Paris")
        found = [each for each in paris.received() if each.name == "message" and each.child("subject") is None]
        paris.sends(f"<presence type='unavailable' to='{ROOM}/Paris'/>")
        self.discardReceived()
        return found
