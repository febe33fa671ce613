# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.ghosts}: pings of occupants (XEP-0045 §18.1.2, XEP-0199)."""

from __future__ import annotations

from typing import Any

from muccore.muc.protocol.ghosts import TIMEOUT
from muccore.routing.component import Component
from muccore.routing.handler import FULL, Handler
from muccore.testing.defaults import defaultOptions
from muccore.testing.inmemory import Client, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import ROOM, RoomTestCase, X, sendAdmin

NAME = "bridge.localhost"
A, B = f"a@{NAME}/1", f"b@{NAME}/1"
INTERVAL = 900
GONE = "A unavailable none/none jid=a@bridge.localhost/1 status:Removed because of an error: "


class GhostTestCase(RoomTestCase):
    """A room, its owner, and a component with address A in it."""

    options: dict[str, Any] = {}

    def setUp(self) -> None:
        self.openRoom(options=self.options)
        self.component = Component(NAME, self.server.router, self.server.clock)
        self.server.router.addDomain(self.component)
        self.stream = Client(NAME)
        self.component.connect(self.stream)
        self.join(A, "A")
        self.forget()

    def send(self, sender: str, stanza: str) -> None:
        """Send a stanza from an address of the component."""
        name, _, rest = stanza.partition(" ")
        self.component.stanzaReceived(parseStanza(f"{name} from='{sender}' {rest}"))

    def join(self, sender: str, nick: str) -> None:
        """Let an address of the component enter."""
        self.send(sender, f"<presence to='{ROOM}/{nick}'>{X}</presence>")

    def forget(self) -> None:
        """Discard what everybody has received."""
        self.discardReceived()
        self.stream.received()

    def wait(self, seconds: int) -> None:
        """Let time go by, a second at a time."""
        for _ in range(seconds):
            self.server.clock.advance(1)

    def pings(self) -> list[Element]:
        """The pings that the component has received."""
        found = [stanza for stanza in self.stream.received() if stanza.name == "iq"]
        for ping in found:
            self.assertEqual((ping.get("type"), ping.get("from")), ("get", ROOM))
            self.assertIsNotNone(ping.child("ping", ns.PING))
        return found

    def nextPing(self) -> Element:
        """The one ping that comes within the interval, not before three quarters of it."""
        self.wait(INTERVAL * 3 // 4 - 1)
        self.assertEqual(self.pings(), [])
        for _ in range(INTERVAL // 4 + 1):
            self.wait(1)
            found = self.pings()
            if found:
                break
        [ping] = found
        return ping

    def answer(self, ping: Element, type: str = "result", condition: str = "", sender: str = "") -> None:
        """Answer a ping, with an error if there is a condition."""
        error = f"<error type='cancel'><{condition} xmlns='{ns.STANZA_ERRORS}'/></error>" if condition else ""
        kind = "error" if condition else type
        id = ping.attributes["id"]
        self.send(sender or ping.attributes["to"], f"<iq type='{kind}' id='{id}' to='{ROOM}'>{error}</iq>")


class RestartTests(GhostTestCase):
    """Those who were in the room when the server was killed."""

    def setUp(self) -> None:
        """Kill the server, and start it again."""
        super().setUp()
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=300)
        self.component = Component(NAME, self.server.router, self.server.clock)
        self.server.router.addDomain(self.component)
        self.component.connect(self.stream)

    def test_back(self) -> None:
        """Whoever takes the place back is pinged, however that was."""
        self.send(A, f"<iq type='get' id='p' to='{ROOM}/A'><ping xmlns='{ns.PING}'/></iq>")
        [result] = self.stream.received()
        self.assertEqual((result.get("type"), result.get("id")), ("result", "p"))
        self.assertEqual(self.nextPing().get("to"), A)

    def test_entersAgain(self) -> None:
        """So is whoever enters again."""
        self.join(A, "A")
        self.stream.received()
        self.assertEqual(self.nextPing().get("to"), A)

    def test_away(self) -> None:
        """Whoever is away is not pinged, and leaves when the grace time ends."""
        owner = self.enter("owner")
        self.wait(INTERVAL)
        self.assertEqual(self.stream.received(), [])
        gone = f"A unavailable none/none jid={A} status:Did not return after the server was restarted 333"
        self.assertReceived(owner, gone)


class PingTests(GhostTestCase):
    """Who is pinged, and when."""

    def test_answered(self) -> None:
        """Who answers stays, and is pinged again within the interval, not much earlier; nobody notices."""
        for _ in range(3):
            ping = self.nextPing()
            self.assertEqual(ping.get("to"), A)
            self.answer(ping)
        self.wait(TIMEOUT + 1)
        self.assertIn(A, self.room().sessions)
        self.assertNothingReceived()

    def test_silent(self) -> None:
        """Who does not answer in time is removed with 333, and may return."""
        self.nextPing()
        self.wait(TIMEOUT - 1)
        self.assertNothingReceived()
        self.wait(1)
        self.assertReceived(self.owner, f"{GONE}remote server timeout 333")
        [own] = [stanza for stanza in self.stream.received() if stanza.name == "presence"]
        self.assertEqual((own.get("to"), own.get("type")), (A, "unavailable"))
        self.join(A, "A")
        self.assertReceived(self.owner, f"A available none/participant jid={A}")

    def test_sessions(self) -> None:
        """Users and handlers of this server are not pinged."""

        class Bot(Handler):
            """A handler in the room."""

            def __init__(self) -> None:
                super().__init__()
                self.got: list[str] = []

            def note(self, element: Element, to: Any) -> None:
                """Note what arrives."""
                self.got.append(element.name)

            stanzas = {("presence", None, FULL): note, ("message", "groupchat", FULL): note, ("iq", "get", FULL): note}

        self.send(A, f"<presence to='{ROOM}/A' type='unavailable'/>")
        bot = Bot()
        self.server.addHandler(bot, "bot.localhost")
        bot.parent.send(parseStanza(f"<presence from='b@bot.localhost/x' to='{ROOM}/Bot'>{X}</presence>"))
        self.assertIn("b@bot.localhost/x", self.room().sessions)
        self.forget()
        self.wait(INTERVAL)
        self.assertNotIn("iq", bot.got)
        self.assertNothingReceived()

    def test_many(self) -> None:
        """Many who have entered at once are not pinged at once."""
        for number in range(40):
            self.join(f"p{number}@{NAME}/x", f"P{number}")
        self.forget()
        counts = []
        for _ in range(INTERVAL):
            self.wait(1)
            counts.append(len(self.pings()))
        self.assertEqual(sum(counts), 41)
        self.assertLess(max(counts), 20)

    def test_left(self) -> None:
        """Who has left is not pinged any more, nor who was kicked; an answer that comes too late changes nothing."""
        self.join(B, "B")
        self.send(A, f"<presence to='{ROOM}/A' type='unavailable'/>")
        sendAdmin(self.owner, "<item nick='B' role='none'/>")
        self.forget()
        self.wait(INTERVAL)
        self.assertEqual(self.pings(), [])
        self.join(A, "A")
        ping = self.nextPing()
        self.send(A, f"<presence to='{ROOM}/A' type='unavailable'/>")
        self.join(A, "A")
        self.forget()
        self.answer(ping, condition="gone")
        self.assertNothingReceived()
        self.assertIn(A, self.room().sessions)

    def test_again(self) -> None:
        """Who enters again is pinged once."""
        self.join(A, "A")
        self.forget()
        self.nextPing()

    def test_order(self) -> None:
        """What a session has sent before it is removed comes first, also if it waits behind a change."""
        self.nextPing()
        self.send(A, f"<message to='{ROOM}' type='groupchat'><body>a</body></message>")
        self.wait(TIMEOUT)
        self.assertReceived(self.owner, "A groupchat body:a", f"{GONE}remote server timeout 333")

    def test_stopped(self) -> None:
        """After the end of the service nobody is pinged, and no timer is left."""
        self.server.muc.shutDown(True)
        self.forget()
        self.wait(INTERVAL)
        self.assertEqual(self.pings(), [])
        self.assertEqual(self.server.clock.getDelayedCalls(), [])


class AnswerTests(GhostTestCase):
    """Answers that are errors."""

    def test_gone(self) -> None:
        """For the conditions of §18.1.2 the session is removed, with the condition."""
        for condition in (
            "gone",
            "item-not-found",
            "recipient-unavailable",
            "redirect",
            "remote-server-not-found",
            "remote-server-timeout",
        ):
            self.setUp()
            self.answer(self.nextPing(), condition=condition)
            self.assertReceived(self.owner, f"{GONE}{condition.replace('-', ' ')} 333")

    def test_alive(self) -> None:
        """Any other error is from somebody who is there."""
        for condition in ("service-unavailable", "feature-not-implemented", "forbidden", "internal-server-error"):
            self.answer(self.nextPing(), condition=condition)
            self.wait(TIMEOUT)
            self.stream.received()
            self.assertIn(A, self.room().sessions)
            self.setUp()
        self.assertNothingReceived()

    def test_unavailable(self) -> None:
        """
        C{service-unavailable} is from somebody who knows no pings, or from the server of one who has gone: it means the
        latter from those who have answered a ping before.
        """
        self.answer(self.nextPing())
        self.answer(self.nextPing(), condition="service-unavailable")
        self.assertReceived(self.owner, f"{GONE}service unavailable 333")

    def test_forged(self) -> None:
        """Answers of others, and to other ids, are ignored."""
        ping = self.nextPing()
        self.join(B, "B")
        self.forget()
        self.answer(ping, condition="gone", sender=B)
        other = self.client("other")
        other.sends(f"<iq type='result' id='{ping.attributes['id']}' to='{ROOM}'/>")
        other.sends(f"<iq type='error' to='{ROOM}'/>")
        self.assertNothingReceived()
        self.wait(TIMEOUT)
        self.assertReceived(self.owner, f"{GONE}remote server timeout 333")

    def test_away(self) -> None:
        """When the component goes its occupants leave; they are not pinged."""
        self.component.streamLost(self.stream, False)
        self.assertReceived(self.owner, f"{GONE}remote server timeout 333")
        self.wait(INTERVAL + TIMEOUT)
        self.assertNothingReceived()


class OffTests(GhostTestCase):
    """Without an interval."""

    options = {"pingInterval": 0}

    def test_off(self) -> None:
        """Nobody is pinged."""
        self.wait(INTERVAL)
        self.assertEqual(self.pings(), [])

    def test_switchedOff(self) -> None:
        """After a reload that switches pings off, those who were pinged before are so no more."""
        self.options = {"pingInterval": INTERVAL}
        self.setUp()
        ping = self.nextPing()
        self.server.muc.reconfigure(defaultOptions(pingInterval=0))
        self.answer(ping)
        self.wait(2 * INTERVAL)
        self.assertEqual(self.pings(), [])
        self.assertIn(A, self.room().sessions)
