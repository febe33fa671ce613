# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.xmpp.carbons}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.carbons import copyOf, isCopy, isEligible, isPrivateMessage
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import canonical

BODY = "<body>Hi</body>"
INVITE = f"<x xmlns='{ns.MUC_USER}'><invite from='a@b'/></x>"


class RuleTests(SynchronousTestCase):
    """XEP-0280 §6.1, rule by rule."""

    def test_eligible(self) -> None:
        """What is copied, and what is not."""
        for type, inside, expected in (
            ("chat", "", True),
            ("chat", BODY, True),
            ("normal", BODY, True),
            ("", BODY, True),
            ("normal", "", False),
            ("normal", "<subject>a</subject>", False),
            ("normal", f"<received xmlns='{ns.RECEIPTS}' id='1'/>", True),
            ("normal", f"<composing xmlns='{ns.CHAT_STATES}'/>", True),
            ("", f"<displayed xmlns='{ns.CHAT_MARKERS}' id='1'/>", True),
            ("headline", BODY, False),
            ("headline", f"<gone xmlns='{ns.CHAT_STATES}'/>", True),
            ("normal", "<body xmlns='urn:x'/>", False),
            ("groupchat", BODY, False),
            ("groupchat", f"<active xmlns='{ns.CHAT_STATES}'/>", False),
            ("error", BODY, False),
            ("", f"<x xmlns='{ns.CONFERENCE}' jid='a@b'/>", True),
            ("", INVITE, True),
            ("", f"<x xmlns='{ns.MUC_USER}'><decline from='a@b'/></x>", True),
            ("", f"<x xmlns='{ns.MUC_USER}'><status code='104'/></x>", False),
            ("chat", f"{BODY}<private xmlns='{ns.CARBONS}'/>", False),
            ("chat", f"{BODY}<no-copy xmlns='{ns.HINTS}'/>", False),
            ("normal", f"{BODY}<no-store xmlns='{ns.HINTS}'/>", True),
        ):
            ofType = f" type='{type}'" if type else ""
            message = parseStanza(f"<message{ofType} to='a@b'>{inside}</message>")
            self.assertIs(isEligible(message), expected, (type, inside))

    def test_privateMessages(self) -> None:
        """Those of rooms are marked; invitations are none."""
        for inside, expected in ((f"<x xmlns='{ns.MUC_USER}'/>", True), (BODY, False), (INVITE, False)):
            message = parseStanza(f"<message type='chat' to='a@b'>{inside}</message>")
            self.assertIs(isPrivateMessage(message), expected)


class CopyTests(SynchronousTestCase):
    """XEP-0280 §7, §8"""

    def test_copy(self) -> None:
        """A copy is of the same type, from the account, and has the message as it was."""
        message = parseStanza("<message type='chat' from='j@b/c' to='r@m/g' id='1'><body>&lt;'</body></message>")
        copy = copyOf(message, "received", "r@m'")
        found = copy.elementTo(toAttribute("r@m/home"))
        expected = (
            f"<message type='chat' from='r@m&apos;' to='r@m/home'><received xmlns='{ns.CARBONS}'>"
            f"<forwarded xmlns='{ns.FORWARD}'><message xmlns='jabber:client' to='r@m/g' type='chat' from='j@b/c'"
            " id='1'><body>&lt;'</body></message></forwarded></received></message>"
        )
        self.assertEqual(canonical(found), canonical(expected))
        untyped = copyOf(parseStanza("<message to='r@m'/>"), "sent", "r@m")
        self.assertNotIn("type", untyped.element.attributes)

    def test_isCopy(self) -> None:
        """Copies are told from other stanzas, also of those that forward or contain one."""
        message = parseStanza("<message type='chat' from='j@b/c' to='r@m/g'><body>a</body></message>")
        self.assertTrue(isCopy(copyOf(message, "sent", "r@m")))
        self.assertTrue(isCopy(copyOf(message, "received", "r@m")))
        for text in (
            "<message/>",
            f"<message><body>{ns.CARBONS}</body></message>",
            f"<message><private xmlns='{ns.CARBONS}'/></message>",
            f"<message><forwarded xmlns='{ns.FORWARD}'><sent xmlns='{ns.CARBONS}'>a</sent></forwarded></message>",
            f"<iq><enable xmlns='{ns.CARBONS}'>a</enable></iq>",
        ):
            self.assertFalse(isCopy(Rendered.of(parseStanza(text))), text)
