# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.forwarding} (XEP-0297, XEP-0428, XEP-0452)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.forwarding import TEXT_LIMIT, forwardedCopy, mentionNotification
from muccore.muc.model.room import Room
from muccore.muc.model.roommessage import RoomMessage
from muccore.testing.defaults import defaultRoom
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered

ROOM = "o-neill@conference.localhost"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufffe\uffff"), min_size=1)


class ForwardingTests(SynchronousTestCase):
    """Any message."""

    def made(self, body: str | None) -> tuple[RoomMessage, Element, Element]:
        """A message, its copy and its notification."""
        room = Room(parse(ROOM), defaultRoom(), Affiliations({}), lambda: 0.0)
        message = stanza("message", "groupchat", from_=f"{room.jid.bare}/<Romeo>")
        if body is not None:
            message.add("body", text=body)
        rendered = Rendered.of(message)
        published = RoomMessage("1", 1.5, f"{room.jid.bare}/<Romeo>", "romeo@localhost", message, rendered, True)
        return published, forwardedCopy(room, published), mentionNotification(room, published)

    @given(TEXT)
    def test_anything(self, body: str) -> None:
        """Whatever is said arrives as it is; the fallback has its beginning."""
        message, copy, notification = self.made(body)
        room = message.sender.partition("/")[0]
        for made, prefix in ((copy, "<Romeo>: "), (notification, "<Romeo> mentioned you: ")):
            self.assertEqual((made.uri, made.name, made.get("from")), (ns.CLIENT, "message", room))
            self.assertNotIn("to", made.attributes)
            outer = made.child("mentions", ns.MENTION_NOTIFICATIONS) if made is notification else made
            assert outer is not None
            forwarded = outer.child("forwarded", ns.FORWARD)
            assert forwarded is not None
            delay, inside = forwarded.childElements()
            self.assertEqual((delay.uri, delay.get("stamp")), (ns.DELAY, "1970-01-01T00:00:01Z"))
            self.assertEqual(inside.attributes, {"to": room, "type": "groupchat", "from": message.sender})
            self.assertEqual(inside.childText("body"), body)
            text = made.childText("body") or ""
            self.assertTrue(text.startswith(prefix))
            shown = text.removeprefix(prefix)
            self.assertLessEqual(len(shown), TEXT_LIMIT)
            self.assertEqual(shown, body if len(body) <= TEXT_LIMIT else body[: TEXT_LIMIT - 1] + "…")

    def test_withoutBody(self) -> None:
        """Where there is no text, there is no fallback."""
        _, copy, _ = self.made(None)
        self.assertEqual([each.name for each in copy.childElements()], ["forwarded", "store"])

    def test_ids(self) -> None:
        """Each has an id of its own."""
        _, copy, notification = self.made("x")
        self.assertNotEqual(copy.attributes["id"], notification.attributes["id"])
