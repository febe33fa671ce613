# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.sanitize}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.sanitize import isRoomOnly, stripErrorBy
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import parse

ROOM = parse("room@conference.localhost")


def child(text: str) -> Element:
    """One child of a message."""
    return next(parseStanza(f"<message>{text}</message>").childElements())


class ReservedTests(SynchronousTestCase):
    """What only a room may send."""

    def delay(self, sender: str) -> bool:
        """Whether a delay with this C{from} is reserved."""
        return isRoomOnly(child(f"<delay xmlns='{ns.DELAY}' from='{sender}' stamp='2002-09-10T23:08:25Z'/>"), ROOM)

    def test_user(self) -> None:
        """Everything in C{muc#user} is reserved."""
        for name in ("x", "item", "y"):
            self.assertTrue(isRoomOnly(child(f"<{name} xmlns='{ns.MUC_USER}'/>"), ROOM))

    def test_others(self) -> None:
        """Nothing else is."""
        for text in ("<body>a</body>", "<x xmlns='jabber:x:oob'/>", f"<x xmlns='{ns.DATA}' type='submit'/>"):
            self.assertFalse(isRoomOnly(child(text), ROOM), text)

    def test_forged(self) -> None:
        """
        A delay that reads as that of the room or its service is forged, however the address is spelt (XEP-0203 §5).
        """
        for sender in (
            "room@conference.localhost",
            "ROOM@Conference.Localhost",
            "room@conference.localhost./Romeo",
            "room@conference.localhost/Romeo",
            "conference.localhost",
            "",
            "@",
        ):
            self.assertTrue(self.delay(sender), sender)
        self.assertTrue(isRoomOnly(child(f"<delay xmlns='{ns.DELAY}' stamp='2002-09-10T23:08:25Z'/>"), ROOM))

    def test_foreign(self) -> None:
        """Delays by others are not reserved."""
        for sender in ("romeo@localhost/orchard", "localhost", "other@conference.localhost"):
            self.assertFalse(self.delay(sender), sender)


class HideRefuserTests(SynchronousTestCase):
    """The C{by} of errors."""

    def test_hidden(self) -> None:
        """C{by} is removed and everything else kept; stanzas without an error stay as they are."""
        text = "<iq type='error' id='1'><error type='auth'{}><forbidden/></error></iq>"
        stanza = parseStanza(text.format(" by='romeo@localhost'"))
        stripErrorBy(stanza)
        self.assertEqual(stanza.toXml(), parseStanza(text.format("")).toXml())
        plain = parseStanza("<iq type='result' id='1'/>")
        stripErrorBy(plain)
        self.assertEqual(plain.children, [])
