# -*- test-case-name: tests.im.test_pushrules -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.pushrules}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.im.pushrules import isMention, isWorthPushing
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.routing.helpers import xml

ACCOUNT, ROOM = "romeo@localhost", "orchard@conference.localhost"


def message(inside: str, type: str = "") -> Element:
    """A message."""
    return xml(f"<message xmlns='jabber:client'{f' type={type!r}' if type else ''}>{inside}</message>")


class RulesTests(SynchronousTestCase):
    """What wakes a client up."""

    def test_worth(self) -> None:
        """Text, what is encrypted, invitations and calls do; what only programs read does not."""
        for inside, expected in (
            ("<body>hi</body>", True), ("<body/>", False), ("", False), ("<subject>hi</subject>", False),
            (f"<composing xmlns='{ns.CHAT_STATES}'/>", False), (f"<received xmlns='{ns.RECEIPTS}' id='1'/>", False),
            (f"<displayed xmlns='{ns.CHAT_MARKERS}' id='1'/>", False),
            (f"<encryption xmlns='{ns.ENCRYPTION}' namespace='x'/>", True),
            (f"<x xmlns='{ns.CONFERENCE}' jid='{ROOM}'/>", True),
            (f"<x xmlns='{ns.MUC_USER}'><invite from='{ACCOUNT}'/></x>", True), (f"<x xmlns='{ns.MUC_USER}'/>", False),
            (f"<propose xmlns='{ns.JINGLE_MESSAGE_0}' id='1'/>", True),
            (f"<ringing xmlns='{ns.JINGLE_MESSAGE_0}' id='1'/>", False),
        ):  # fmt: skip
            self.assertEqual(isWorthPushing(message(inside)), expected, inside)
            self.assertEqual(isWorthPushing(message(inside, "chat")), expected, inside)
        for type in ("error", "groupchat", "headline"):
            self.assertFalse(isWorthPushing(message("<body>hi</body>", type)))

    def test_nick(self) -> None:
        """A nick is mentioned as a word, in any case."""
        for nick, text, expected in (
            ("Romeo", "romeo: hi", True), ("Romeo", "hi ROMEO", True), ("Romeo", "(romeo)", True),
            ("Romeo", "Romeos", False), ("Romeo", "xromeo", False), ("Romeo", "romeos, romeo", True),
            ("Romeo", "Juliet", False),
            ("Straße", "STRASSE?", True), ("a.b*", "a.b* c", True), ("a.b*", "aab c", False), ("é", "été é", True),
        ):  # fmt: skip
            found = isMention(message(f"<body>{text}</body>", "groupchat"), ACCOUNT, ROOM, nick)
            self.assertEqual(found, expected, (nick, text))
        self.assertFalse(isMention(message("<subject>romeo</subject>", "groupchat"), ACCOUNT, ROOM, "romeo"))

    def test_references(self) -> None:
        """A reference mentions an account or an occupant (XEP-0372 §3.1)."""
        for uri, type, expected in (
            (f"xmpp:{ACCOUNT}", "mention", True), (f"xmpp:{ROOM}/The%20Count", "mention", True),
            ("xmpp:juliet@localhost", "mention", False), (f"xmpp:{ACCOUNT}", "data", False), ("", "mention", False),
        ):  # fmt: skip
            inside = f"<body>hey</body><reference xmlns='{ns.REFERENCE}' type='{type}' uri='{uri}'/>"
            self.assertEqual(isMention(message(inside, "groupchat"), ACCOUNT, ROOM, "The Count"), expected)
