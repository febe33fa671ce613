# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.carbons}."""

from __future__ import annotations

from muccore.im.carbons import SENT_LIMIT, CarbonsHandler
from muccore.interfaces import Offering
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.im.imhelpers import IMTestCase, summary
from tests.routing.helpers import Client, xml

ROMEO, JULIET = "romeo@localhost", "juliet@localhost"
ROOM = "room@remote.lit"


class CarbonsTestCase(IMTestCase):
    """Romeo with three clients, two of which want copies; Juliet with two, one of which does."""

    def setUp(self) -> None:
        super().setUp()
        CarbonsHandler().setHandlerParent(self.users)
        self.romeo, self.phone, self.old = (self.connect(f"romeo/{name}") for name in ("a", "phone", "old"))
        self.juliet, self.tablet = (self.connect(f"juliet/{name}") for name in ("a", "tablet"))
        for client in (self.romeo, self.phone, self.tablet):
            self.switch(client, "enable")
        self.forget()

    def switch(self, client: Client, name: str) -> None:
        """Enable or disable copies."""
        client.send(f"<iq type='set' id='1'><{name} xmlns='{ns.CARBONS}'/></iq>")

    def copies(self, client: Client) -> list[str]:
        """What a client has received; copies as C{sent:} or C{received:} and what they are of."""
        return [self.shown(xml(each)) for each in client.take()]

    def shown(self, stanza: Element) -> str:
        """A stanza in a line."""
        for child in stanza.childElements():
            if child.uri == ns.CARBONS and child.name in ("sent", "received"):
                forwarded = child.child("forwarded", ns.FORWARD)
                assert forwarded is not None
                [inside] = forwarded.childElements()
                self.assertEqual(stanza["from"], stanza["to"].partition("/")[0])
                self.assertEqual(stanza.get("type"), inside.get("type"))
                return f"{child.name}: {summary(inside)}"
        return summary(stanza)

    def chat(self, client: Client, to: str, inside: str = "<body>x</body>", type: str = "chat") -> None:
        """Send a message."""
        client.send(f"<message type='{type}' to='{to}' id='m'>{inside}</message>")


class SwitchTests(CarbonsTestCase):
    """XEP-0280 §4, §5, §10.1"""

    def test_inline(self) -> None:
        """XEP-0386 §3.2.2: a client may ask for copies while its resource is bound."""
        handler = next(each for each in self.users.handlers if isinstance(each, CarbonsHandler))
        [feature] = handler.streamFeatures
        self.assertEqual((feature.inline.var, list(feature.offer(Offering(True, None)))), (ns.CARBONS, []))
        enable = feature.inline.elements[ns.CARBONS, "enable"]
        self.assertEqual(enable(self.old.session, Element((ns.CARBONS, "enable"))), b"")
        self.assertIsNotNone(self.old.session.carbonsSince)

    def test_switched(self) -> None:
        """Enabling and disabling are confirmed, however often."""
        for name in ("enable", "enable", "disable", "disable", "enable"):
            self.switch(self.old, name)
            self.assertEqual(self.received(self.old), [f"iq result from {ROMEO} to {ROMEO}/old"])
            self.assertIs(self.old.session.carbonsSince is None, name == "disable")

    def test_since(self) -> None:
        """Enabling it again changes nothing."""
        since = self.phone.session.carbonsSince
        self.clock.advance(10)
        self.switch(self.phone, "enable")
        self.assertEqual(self.phone.session.carbonsSince, since)

    def test_others(self) -> None:
        """Nobody switches them for others."""
        self.old.send(f"<iq type='set' id='1' to='{JULIET}'><enable xmlns='{ns.CARBONS}'/></iq>")
        self.assertEqual(self.received(self.old), ["error service-unavailable"])

    def test_features(self) -> None:
        """It is discovered (§3)."""
        self.assertEqual(CarbonsHandler.features, (ns.CARBONS, ns.CARBONS_RULES))


class CopyTests(CarbonsTestCase):
    """XEP-0280 §6 to §9"""

    def test_toClient(self) -> None:
        """From one client to another: the other clients of both get copies, if they want them."""
        self.chat(self.old, f"{JULIET}/a")
        message = f"chat from {ROMEO}/old to {JULIET}/a body:x"
        self.assertEqual(self.copies(self.juliet), [message])
        self.assertEqual(self.copies(self.tablet), [f"received: {message}"])
        for client in (self.romeo, self.phone):
            self.assertEqual(self.copies(client), [f"sent: {message}"])
        self.assertEqual(self.copies(self.old), [])

    def test_toAccount(self) -> None:
        """To the account: who gets the message gets no copy."""
        self.tablet.send("<presence><priority>-1</priority></presence>")
        self.forget()
        self.chat(self.romeo, JULIET)
        message = f"chat from {ROMEO}/a to {JULIET} body:x"
        self.assertEqual(self.copies(self.juliet), [message])
        self.assertEqual(self.copies(self.tablet), [f"received: {message}"])
        self.assertEqual(self.copies(self.phone), [f"sent: {message}"])
        self.assertEqual((self.copies(self.romeo), self.copies(self.old)), ([], []))

    def test_toOneself(self) -> None:
        """To oneself: each client gets it once."""
        self.chat(self.romeo, f"{ROMEO}/old")
        message = f"chat from {ROMEO}/a to {ROMEO}/old body:x"
        self.assertEqual(self.copies(self.old), [message])
        self.assertEqual(self.copies(self.phone), [f"received: {message}"])
        self.assertEqual(self.copies(self.romeo), [])

    def test_notEligible(self) -> None:
        """What is not eligible is delivered and not copied."""
        for type, inside in (
            ("chat", f"<body>x</body><private xmlns='{ns.CARBONS}'/>"),
            ("chat", f"<body>x</body><no-copy xmlns='{ns.HINTS}'/>"),
            ("headline", "<body>x</body>"),
            ("normal", "<subject>x</subject>"),
        ):
            self.chat(self.old, f"{JULIET}/a", inside, type)
            self.assertEqual(len(self.copies(self.juliet)), 1)
            for client in (self.tablet, self.romeo, self.phone):
                self.assertEqual(self.copies(client), [], inside)

    def test_unavailable(self) -> None:
        """Clients that are not available get copies as well, if they want them."""
        self.tablet.send("<presence type='unavailable'/>")
        self.forget()
        self.chat(self.old, f"{JULIET}/a")
        self.assertEqual(len(self.copies(self.tablet)), 1)

    def test_errors(self) -> None:
        """An error is copied if what it answers was (§6.1), to those who have got that; errors of copies never are."""
        self.chat(self.romeo, "paris@remote.lit/x")
        self.copies(self.phone)
        self.remote.send(xml(f"<message type='error' id='m' from='paris@remote.lit/x' to='{ROMEO}/a'/>"))
        message = f"error from paris@remote.lit/x to {ROMEO}/a"
        self.assertEqual(self.copies(self.romeo), [message])
        self.assertEqual(self.copies(self.phone), [f"received: {message}"])
        for id, sender in (("n", "paris@remote.lit/x"), ("m", "paris@remote.lit/y")):
            self.remote.send(xml(f"<message type='error' id='{id}' from='{sender}' to='{ROMEO}/a'/>"))
            self.assertEqual(self.copies(self.phone), [])

    def test_rememberedErrors(self) -> None:
        """The last messages of a client are remembered."""
        for n in range(SENT_LIMIT + 1):
            self.romeo.send(f"<message type='chat' id='{n}' to='paris@remote.lit'/>")
        self.forget()
        for n in (0, 1):
            self.remote.send(xml(f"<message type='error' id='{n}' from='paris@remote.lit' to='{ROMEO}/a'/>"))
            self.assertEqual(len(self.copies(self.phone)), n)

    def test_toRoom(self) -> None:
        """
        Messages to all in a room are not copied. Private ones are, to clients that are in the room under the same nick,
        with a mark; those of others are not.
        """
        for client, nick in ((self.romeo, "Romeo"), (self.phone, "Romeo"), (self.old, "Other")):
            client.send(f"<presence to='{ROOM}/{nick}'/>")
        self.switch(self.old, "enable")
        self.forget()
        self.chat(self.romeo, ROOM, type="groupchat")
        self.assertEqual(self.copies(self.phone), [])
        self.chat(self.romeo, f"{ROOM}/Juliet")
        [copied] = self.phone.take()
        self.assertIn(f"<x xmlns=\"{ns.MUC_USER}\">", copied)
        self.assertEqual(self.copies(self.old), [])
        self.chat(self.old, f"{ROOM}/Juliet")
        self.assertEqual((self.copies(self.phone), self.copies(self.romeo)), ([], []))
        self.remote.send(
            xml(
                f"<message type='chat' from='{ROOM}/Juliet' to='{ROMEO}/a'><body>x</body>"
                f"<x xmlns='{ns.MUC_USER}'/></message>"
            )
        )
        self.assertEqual((len(self.copies(self.romeo)), self.copies(self.phone)), (1, []))

    def test_invitations(self) -> None:
        """Invitations are copied, those of rooms as those of users."""
        for inside in (
            f"<x xmlns='{ns.MUC_USER}'><invite from='{JULIET}'/></x>",
            f"<x xmlns='{ns.CONFERENCE}' jid='{ROOM}'/>",
        ):
            self.remote.send(xml(f"<message from='{ROOM}' to='{ROMEO}/old'>{inside}</message>"))
            self.assertEqual(len(self.copies(self.phone)), 1)

    def test_refused(self) -> None:
        """What is returned to its sender is not copied."""
        self.chat(self.old, f"{JULIET}/gone", type="normal")
        self.assertEqual(len(self.copies(self.old)), 1)
        self.assertEqual(self.copies(self.tablet), [])
        self.chat(self.old, f"{JULIET}/gone")
        self.assertEqual(len(self.copies(self.tablet)), 1)

    def test_nobody(self) -> None:
        """Without anybody who wants copies nothing is made or remembered."""
        for client in (self.romeo, self.phone, self.tablet):
            self.switch(client, "disable")
        self.forget()
        self.chat(self.old, f"{JULIET}/a")
        self.assertEqual((len(self.copies(self.juliet)), self.copies(self.tablet)), (1, []))
