# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.session.clientstate}."""

from __future__ import annotations

from muccore.session import clientstate
from muccore.session.streammanagement import ManagementSettings
from muccore.xmpp import carbons, ns
from muccore.xmpp.rendering import Rendered, toAttribute
from tests.routing.helpers import FakeStream, xml
from tests.session.helpers import ROMEO, SessionTestCase

COMPOSING = f"<composing xmlns='{ns.CHAT_STATES}'/>"
ROOM = "room@conf"


class InactiveTests(SessionTestCase):
    """A client that is inactive (XEP-0352)."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo.session.setActive(False)

    def deliver(self, text: str) -> None:
        """Send the client a stanza."""
        self.romeo.session.deliver(Rendered.of(xml(text)), toAttribute(ROMEO))

    def received(self) -> list[str]:
        """What it has received: senders and statuses, bodies, states or names."""
        found = []
        for each in map(xml, self.romeo.take()):
            inside = [child.text() or child.name for child in each.childElements()]
            found.append(" ".join([each.get("from") or "-", each.get("type") or "-", *inside]))
        return found

    def presence(self, sender: str, status: str = "", type: str = "") -> None:
        """Send it presence."""
        ofType = f" type='{type}'" if type else ""
        self.deliver(f"<presence from='{sender}'{ofType}><status>{status}</status></presence>")

    def test_presence(self) -> None:
        """Presence is held, the latest of each sender, in the order of these."""
        self.presence("j@x/a", "1")
        self.presence("n@x/a", "2")
        self.presence("j@x/b", "3")
        self.presence("j@x/a", "4", "unavailable")
        self.assertEqual(self.received(), [])
        self.romeo.session.setActive(True)
        self.assertEqual(self.received(), ["n@x/a - 2", "j@x/b - 3", "j@x/a unavailable 4"])
        self.presence("j@x/a", "5")
        self.assertEqual(self.received(), ["j@x/a - 5"])

    def test_important(self) -> None:
        """Anything else is sent at once, after what was held: nothing is overtaken."""
        own = f"<x xmlns='{ns.MUC_USER}'><status code='307'/><status code='110'/></x>"
        for stanza in (
            "<message from='j@x/a' type='chat'><body>Hi</body></message>",
            f"<message from='j@x/a' type='chat'><body>Hi</body>{COMPOSING}</message>",
            f"<message from='j@x/a' type='error'>{COMPOSING}</message>",
            f"<message from='j@x/a'><request xmlns='{ns.RECEIPTS}'/>{COMPOSING}</message>",
            f"<message from='{ROOM}' type='groupchat'><subject>s</subject></message>",
            "<iq from='x' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
            f"<presence from='{ROOM}/me' type='unavailable'>{own}</presence>",
            "<presence from='n@x' type='subscribe'/>",
            "<presence from='n@x' type='error'><error/></presence>",
            "<presence/>",
        ):
            self.presence("j@x/a", "held")
            self.deliver(stanza)
            found = self.received()
            self.assertEqual((len(found), found[0]), (2, "j@x/a - held"), stanza)

    def test_several(self) -> None:
        """What was asked for is sent at once, after what was held."""
        self.presence("j@x/a", "held")
        asked = [Rendered.of(xml(f"<presence from='{ROOM}/{n}'/>")) for n in range(2)]
        self.romeo.session.deliverAll(asked, toAttribute(ROMEO))
        self.assertEqual(self.received(), ["j@x/a - held", f"{ROOM}/0 -", f"{ROOM}/1 -"])

    def test_chatStates(self) -> None:
        """Mere chat states are held, the latest of each sender, and so are copies of them."""
        for state in ("composing", "paused"):
            thread = "<thread>t</thread><no-store xmlns='urn:xmpp:hints'/>"
            self.deliver(f"<message from='j@x/a' type='chat'><{state} xmlns='{ns.CHAT_STATES}'/>{thread}</message>")
        self.deliver(f"<message from='{ROOM}/n' type='groupchat'>{COMPOSING}</message>")
        inside = xml(f"<message from='r@localhost/b' to='j@x' type='chat'>{COMPOSING}</message>")
        self.romeo.session.deliver(carbons.copyOf(inside, "sent", "r@localhost"), toAttribute(ROMEO))
        self.assertEqual(self.received(), [])
        self.romeo.session.setActive(True)
        expected = ["j@x/a chat paused t no-store", f"{ROOM}/n groupchat composing", "r@localhost chat sent"]
        self.assertEqual(self.received(), expected)

    def test_conversations(self) -> None:
        """A chat state replaces none of another conversation: copies of other directions and contacts, or of rooms."""
        account, full = "r@localhost", "r@localhost/b"
        for direction, sender, to in (
            ("sent", full, "j@x"), ("sent", full, "n@x"), ("received", "j@x/a", full), ("received", "n@x/a", full),
            ("sent", full, "j@x"),
        ):  # fmt: skip
            inside = xml(f"<message from='{sender}' to='{to}' type='chat'>{COMPOSING}</message>")
            self.romeo.session.deliver(carbons.copyOf(inside, direction, account), toAttribute(ROMEO))
        for type in ("groupchat", "chat"):
            self.deliver(f"<message from='{ROOM}/n' type='{type}'>{COMPOSING}</message>")
        self.assertEqual(self.received(), [])
        self.romeo.session.setActive(True)
        copies = [f"{account} chat {direction}" for direction in ("sent", "received", "received", "sent")]
        self.assertEqual(self.received(), [*copies, f"{ROOM}/n groupchat composing", f"{ROOM}/n chat composing"])

    def test_copies(self) -> None:
        """Copies of anything else are sent at once."""
        inside = xml("<message from='r@localhost/b' to='j@x' type='chat'><body>Hi</body></message>")
        self.romeo.session.deliver(carbons.copyOf(inside, "sent", "r@localhost"), toAttribute(ROMEO))
        self.assertEqual(len(self.received()), 1)

    def test_bounded(self) -> None:
        """What is held is bounded in number and size; more is sent."""
        self.patch(clientstate, "COUNT_LIMIT", 3)
        for n in range(3):
            self.presence(f"{n}@x")
        self.assertEqual(self.received(), [])
        self.presence("3@x")
        self.assertEqual(len(self.received()), 4)
        self.patch(clientstate, "SIZE_LIMIT", 1000)
        for n in range(30):
            self.presence("j@x", str(n) + "x" * 300)
        self.assertEqual(self.received(), [])
        for n in range(4):
            self.presence(f"{n}@x", "x" * 300)
        self.assertEqual(len(self.received()), 3)

    def test_again(self) -> None:
        """To say it twice changes nothing."""
        self.presence("j@x/a")
        self.romeo.session.setActive(False)
        self.assertEqual(self.received(), [])
        self.romeo.session.setActive(True)
        self.romeo.session.setActive(True)
        self.assertEqual(len(self.received()), 1)

    def test_ended(self) -> None:
        """The end of the session ends it."""
        self.presence("j@x/a")
        self.romeo.vanish()
        self.romeo.session.setActive(True)
        self.romeo.session.setActive(False)
        self.presence("j@x/a")
        self.assertTrue(self.romeo.session.ended)

    def test_management(self) -> None:
        """
        With stream management (XEP-0198), enabled before or after, what is held is not counted as sent. When the stream
        is lost it is kept for the next one, on which the client is active.
        """
        management = self.romeo.session.enableManagement(True, None)
        self.presence("j@x/a")
        self.assertEqual(len(management), 0)
        self.romeo.vanish()
        self.assertEqual(len(management), 1)
        self.presence("j@x/a")
        self.assertEqual(len(management), 2)

    def test_resumed(self) -> None:
        """So it is if the client resumes the session before the loss of the old stream is noticed."""
        self.sessions.resumptions.settings = ManagementSettings(100, 50, 5000)
        management = self.romeo.session.enableManagement(True, None)
        assert management.id is not None
        self.presence("j@x/a")
        stream = FakeStream(self.routed)
        self.sessions.resume(self.romeo.session.account, management.id, 0, stream)
        management.attach(stream)
        self.presence("j@x/b")
        self.assertEqual([xml(each).get("from") for each in stream.take()], ["j@x/a", None, "j@x/b"])
