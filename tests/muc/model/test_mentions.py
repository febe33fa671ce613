# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.mentions} (XEP-0372, XEP-0513)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Affiliate
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.mentions import LIMIT, mentionedAccounts
from muccore.muc.model.room import Room
from muccore.testing.defaults import defaultRoom
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import escapeAttribute

IDS = {"id-of-juliet": "juliet@localhost"}


def reference(uri: str, type: str = "mention") -> str:
    """A reference."""
    return f"<reference xmlns='{ns.REFERENCE}' type='{type}' uri='{escapeAttribute(uri)}'/>"


def mention(attributes: str, inside: str = "") -> str:
    """An explicit mention."""
    return f"<mention xmlns='{ns.MENTIONS}' {attributes}>{inside}</mention>"


class MentionsTests(SynchronousTestCase):
    """A room with which Juliet has registered."""

    def setUp(self) -> None:
        entries = {"juliet@localhost": Affiliate("member", "Juliet Capulet")}
        self.room = Room(parse("room@conference.localhost"), defaultRoom(), Affiliations(entries), lambda: 0.0)

    def found(self, inside: str) -> list[str]:
        """Who is mentioned."""
        return mentionedAccounts(self.room, parseStanza(f"<message>{inside}</message>"), IDS.get)

    def test_references(self) -> None:
        """RFC 5122: an address in a URI, with or without an account to use, a query or a fragment, perhaps encoded."""
        for uri in (
            "xmpp:juliet@localhost",
            "XMPP:juliet@localhost/balcony",
            "xmpp:juliet@localhost?message;body=x",
            "xmpp:juliet@localhost#f",
            "xmpp://romeo@localhost/juliet@localhost?message",
            "xmpp:juli%65t@localhost",
            "xmpp:room@conference.localhost/Juliet%20Capulet",
            "xmpp:room@conference.localhost/juliet%20CAPULET?join",
        ):
            self.assertEqual(self.found(reference(uri)), ["juliet@localhost"], uri)
        self.assertEqual(self.found(reference("xmpp:n%C3%BCrse@localhost")), ["nürse@localhost"])

    def test_notReferences(self) -> None:
        """Other schemes and types, invalid addresses, other nicks, and the room itself mention nobody."""
        for uri in (
            "",
            "xmpp:",
            "xmpp://",
            "mailto:juliet@localhost",
            "juliet@localhost",
            "xmpp:juliet@@localhost",
            "xmpp:%FF@localhost",
            "xmpp:room@conference.localhost",
            "xmpp:room@conference.localhost/Romeo",
        ):
            self.assertEqual(self.found(reference(uri)), [], uri)
        self.assertEqual(self.found(reference("xmpp:juliet@localhost", "data")), [])
        self.assertEqual(self.found(f"<reference xmlns='{ns.REFERENCE}' type='mention'/>"), [])
        self.assertEqual(self.found("<reference xmlns='urn:x' type='mention' uri='xmpp:juliet@localhost'/>"), [])

    def test_explicit(self) -> None:
        """XEP-0513 §3.1: by occupant id or address."""
        self.assertEqual(self.found(mention("occupantid='id-of-juliet'")), ["juliet@localhost"])
        self.assertEqual(self.found(mention("jid='juliet@localhost'")), ["juliet@localhost"])
        for attributes in ("", "occupantid='x'", "jid=''", "jid='@'", "begin='1' end='2'"):
            self.assertEqual(self.found(mention(attributes)), [], attributes)

    def test_silent(self) -> None:
        """XEP-0513 §3.5: modifiers for those who are not to be notified, or only if they are active."""
        for modifier in ("noping", "active"):
            self.assertEqual(self.found(mention("jid='juliet@localhost'", f"<{modifier}/>")), [])
        self.assertEqual(self.found(mention("jid='juliet@localhost'", "<noping xmlns='urn:x'/>")), ["juliet@localhost"])

    def test_groups(self) -> None:
        """XEP-0513 §3.2: groups consist of occupants."""
        self.assertEqual(self.found(mention(f"mentions='{ns.MENTIONS}#channel' jid='juliet@localhost'")), [])

    def test_order(self) -> None:
        """Each once, in the order of the message; no more than the limit are looked at."""
        several = [reference(f"xmpp:{name}@localhost") for name in ("b", "a", "b", "c")]
        self.assertEqual(self.found("".join(several)), ["b@localhost", "a@localhost", "c@localhost"])
        many = "".join(reference(f"xmpp:u{number}@localhost") for number in range(LIMIT + 5))
        self.assertEqual(len(self.found(many)), LIMIT)

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=40))
    def test_anything(self, text: str) -> None:
        """Whatever a URI contains, it mentions at most one."""
        self.assertLessEqual(len(self.found(reference(f"xmpp:{text}"))), 1)
