# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.sanitize}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.sanitize import isRoomOnly, stripErrorBy
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.jid import parse

ROOM = parse("room@conference.localhost")


DELAY = f"<delay xmlns='{ns.DELAY}' from='%s' stamp='2002-09-10T23:08:25Z'/>"


class RoomOnlyTests(SynchronousTestCase):
    """Elements that only a room may send."""

    def assertRoomOnly(self, expected: bool, *elements: str) -> None:
        """Check whether only the room may send these children of a message."""
        for text in elements:
            [child] = parseStanza(f"<message>{text}</message>").childElements()
            self.assertEqual(isRoomOnly(child, ROOM), expected, text)

    def test_mucUser(self) -> None:
        """Only the room may send elements of C{muc#user}; others may send any but a delay."""
        self.assertRoomOnly(True, *(f"<{name} xmlns='{ns.MUC_USER}'/>" for name in ("x", "item", "y")))
        self.assertRoomOnly(
            False, "<body>a</body>", "<x xmlns='jabber:x:oob'/>", f"<x xmlns='{ns.DATA}' type='submit'/>"
        )

    def test_delay(self) -> None:
        """A delay without a sender, or by the room or its service however spelt, is forged (XEP-0203 §5)."""
        self.assertRoomOnly(
            True,
            DELAY % "room@conference.localhost",
            DELAY % "ROOM@Conference.Localhost",
            DELAY % "room@conference.localhost./Romeo",
            DELAY % "room@conference.localhost/Romeo",
            DELAY % "conference.localhost",
            DELAY % "",
            DELAY % "@",
            f"<delay xmlns='{ns.DELAY}' stamp='2002-09-10T23:08:25Z'/>",
        )
        others = ("romeo@localhost/orchard", "localhost", "other@conference.localhost")
        self.assertRoomOnly(False, *(DELAY % sender for sender in others))

    def test_hats(self) -> None:
        """Only the room gives hats (XEP-0317), also by the namespace that older clients know."""
        hats = "<hats xmlns='{}'/>"
        self.assertRoomOnly(True, hats.format(ns.HATS), hats.format("xmpp:prosody.im/protocol/hats:1"))
        self.assertRoomOnly(False, hats.format("urn:xmpp:hats:1"))


class ErrorByTests(SynchronousTestCase):
    """The C{by} of errors."""

    def test_byIsRemoved(self) -> None:
        """C{by} is removed and everything else kept; stanzas without an error stay as they are."""
        text = "<iq type='error' id='1'><error type='auth'{}><forbidden/></error></iq>"
        for before, after in (
            (text.format(" by='romeo@localhost'"), text.format("")),
            ("<iq type='result' id='1'/>", "<iq type='result' id='1'/>"),
        ):
            stanza = parseStanza(before)
            stripErrorBy(stanza)
            self.assertEqual(stanza.toXml(), parseStanza(after).toXml())
