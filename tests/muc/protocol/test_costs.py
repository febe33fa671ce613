# -*- test-case-name: tests.muc.protocol.test_costs -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for what acts in rooms cost those who cause them (L{muccore.muc.protocol.base})."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces.handlers import AddressType
from muccore.muc.model import privilegechanges
from muccore.muc.model.costs import CostRates
from muccore.muc.model.privilegechanges import AffiliationItem
from muccore.muc.model.privileges import Affiliation
from muccore.muc.protocol.base import PATIENCE
from muccore.net import slices
from muccore.routing.component import Component
from muccore.routing.handler import Handler
from muccore.testing.doubles import WRITES, DelayedRoomStore
from muccore.testing.inmemory import Client, InMemoryServer, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from tests.muc.muchelpers import ROOM, X, configure
from tests.turns import turn

SIZE = 2000
MESSAGE = f"<message type='groupchat' to='{ROOM}'><body>{'x' * SIZE}</body></message>"
RATES = CostRates(occupantRate=20_000, occupantBurst=200_000, roomRate=0, roomBurst=1024)


class CostTests(SynchronousTestCase):
    """A room of 20, where a message costs 20 times its size."""

    occupants = 20

    def setUp(self) -> None:
        """Fill the room."""
        self.fill()

    def fill(self, rates: CostRates = RATES, **server: Any) -> None:
        """Fill a room, and let everybody's debts be paid."""
        self.server = InMemoryServer(costRates=rates, lockNewRooms=False, **server)
        self.clients = [self.server.client(f"user{n}@localhost/r") for n in range(self.occupants)]
        for number, client in enumerate(self.clients):
            client.sends(f"<presence to='{ROOM}/user{number}'>{X}</presence>")
        self.server.clock.advance(1000)
        self.forget()

    def forget(self) -> None:
        """Forget what clients have received, and what they were charged."""
        for client in self.clients:
            client.received()
            client.charged.clear()

    def delay(self, client: Client) -> float:
        """For how long a client was held by what it has done last; nobody else was held."""
        delays = [delay for each in self.clients for _, delay in each.charged]
        own = [delay for _, delay in client.charged]
        self.assertEqual(sorted(own), sorted(delays))
        self.forget()
        return max(own, default=0.0)

    def conditions(self, client: Client) -> list[tuple[str, str | None, str]]:
        """The type, the condition and C{by} of errors that a client was sent."""
        found = []
        for each in client.received():
            error = each.child("error")
            if error is not None:
                conditions = [child.name for child in error.childElements() if child.name != "text"]
                found.append((conditions[0], error.get("type"), error.get("by") or each.attributes["from"]))
        return found

    def test_message(self) -> None:
        """A message costs its size times the number of those who get it; only its sender pays."""
        sender = self.clients[3]
        delays = []
        for _ in range(7):
            sender.sends(MESSAGE)
            [(sent, _)] = sender.charged
            self.assertGreater(sent, 20 * SIZE)
            self.assertLess(sent, 20 * (SIZE + 500))
            delays.append(self.delay(sender))
        self.assertEqual(delays[:4], [0] * 4)
        self.assertEqual(delays, sorted(delays))
        self.assertLess(delays[5], PATIENCE)
        self.clients[4].sends(MESSAGE)
        self.assertEqual(self.delay(self.clients[4]), 0)

    def test_acts(self) -> None:
        """Presence, nicks, entering, leaving, subjects and other changes cost as much."""
        owner = self.clients[0]
        for act in (
            f"<presence to='{ROOM}/user0'><status>{'x' * SIZE}</status></presence>",
            f"<presence to='{ROOM}/Other'><status>{'x' * SIZE}</status></presence>",
            f"<presence to='{ROOM}/Other'><status>{'y' * SIZE}</status>{X}</presence>",
            f"<message type='groupchat' to='{ROOM}'><subject>{'x' * SIZE}</subject></message>",
            f"<presence to='{ROOM}/Other' type='unavailable'><status>{'x' * SIZE}</status></presence>",
            f"<presence to='{ROOM}/Other'><status>{'x' * SIZE}</status>{X}</presence>",
            f"<iq type='set' id='k' to='{ROOM}'><query xmlns='{ns.MUC_ADMIN}'><item nick='user5' role='none'>"
            f"<reason>{'x' * 1000}</reason></item></query></iq>",
        ):
            owner.sends(act)
            self.assertEqual(len(owner.charged), 1, act[:100])
            [(sent, _)] = owner.charged
            self.assertGreater(sent, 18 * 1000, act[:100])
            self.delay(owner)
            self.server.clock.advance(1000)

    def test_list(self) -> None:
        """Who enters pays for the presence of the others, and the history, as well."""
        before = self.server.client("romeo@localhost/a")
        self.clients.append(before)
        before.sends(f"<presence to='{ROOM}/romeo'>{X}</presence>")
        [(sent, _)] = before.charged
        received = len(b"".join(each.toXml().encode() for each in before.received()))
        self.assertGreater(sent, received * 1.5)
        self.assertLess(sent, received * 3)

    def test_committed(self) -> None:
        """A change is paid for when it is announced, by who has requested it."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.fill(store=store)
        store.holding = WRITES
        changer = self.clients[0]
        changer.sends(f"<message type='groupchat' to='{ROOM}'><subject>{'x' * SIZE}</subject></message>")
        self.clients[1].sends(MESSAGE)
        self.assertEqual((len(changer.charged), len(self.clients[1].charged)), (0, 1))
        store.release()
        self.assertEqual((len(changer.charged), len(self.clients[1].charged)), (1, 1))

    def test_smallRoom(self) -> None:
        """What reaches few is not counted here."""
        sender = self.clients[0]
        for _ in range(1000):
            sender.sends(f"<message type='groupchat' to='{ROOM}'><body>x</body></message>")
        self.assertEqual(sender.charged, [])

    def test_tooFar(self) -> None:
        """
        An account that goes on by other sessions is refused at last, in this room only; what it does not send to all
        is not, and leaving never is. When the debt is paid it may act again.
        """
        phone = self.server.client("user3@localhost/phone")
        phone.sends(f"<presence to='{ROOM}/user3'>{X}</presence>")
        self.server.clock.advance(1000)
        phone.received()
        for _ in range(20):
            self.clients[3].sends(MESSAGE)
        self.assertEqual(max(delay for _, delay in self.clients[3].charged), PATIENCE)
        self.forget()
        refused = ("policy-violation", "wait", ROOM)
        for act in (
            MESSAGE,
            f"<presence to='{ROOM}/user3'><show>away</show></presence>",
            f"<presence to='{ROOM}/user3'>{X}</presence>",
        ):
            phone.sends(act)
            conditions = [each[:2] for each in self.conditions(phone)]
            self.assertEqual(conditions, [refused[:2]], act)
        self.assertEqual(sum(len(client.received()) for client in self.clients if client is not self.clients[3]), 0)
        phone.sends(f"<iq type='get' id='i' to='{ROOM}'><query xmlns='{ns.DISCO_INFO}'/></iq>")
        phone.sends(MESSAGE.replace(ROOM, "other@conference.localhost"))
        self.assertEqual([each.get("type") for each in phone.received()], ["result", "error"])
        self.clients[4].sends(MESSAGE)
        self.assertEqual(self.conditions(self.clients[4]), [])
        self.server.clock.advance(100)
        phone.sends(MESSAGE)
        self.assertEqual(self.conditions(phone), [])
        for _ in range(20):
            self.clients[3].sends(MESSAGE)
        phone.sends(f"<presence to='{ROOM}/user3' type='unavailable'/>")
        self.assertIn("unavailable", [each.get("type") for each in phone.received()])

    def test_largeChange(self) -> None:
        """Whoever changes much in a room, or enters a large one, is not refused for long, however much it is."""
        reason = f"<reason>{'x' * 1000}</reason>"
        items = "".join(f"<item nick='user{n}' role='visitor'>{reason}</item>" for n in range(1, 20))
        self.clients[0].sends(f"<iq type='set' id='a' to='{ROOM}'><query xmlns='{ns.MUC_ADMIN}'>{items}</query></iq>")
        [(sent, delay)] = self.clients[0].charged
        self.assertGreater(sent, 19 * 19 * 1000)
        self.server.clock.advance(delay + PATIENCE)
        self.forget()
        self.clients[0].sends(MESSAGE)
        self.assertEqual(self.conditions(self.clients[0]), [])

    def test_later(self) -> None:
        """What a change announces in later turns is paid for with it, however much waits already."""
        self.patch(slices, "SLICE", 50)
        owner = self.clients[0]
        field = "<field var='muc#roomconfig_moderatedroom'><value>%d</value></field>"
        form = f"<x xmlns='{ns.DATA}' type='submit'>{field}</x>"
        admin = f"<query xmlns='{ns.MUC_ADMIN}'><item jid='localhost' affiliation='%s'/></query>"
        for payload in (
            admin % "member",
            admin % "none",
            f"<query xmlns='{ns.MUC_OWNER}'>{form}</query>" % 1,
            admin % "member",
            admin % "none",
            f"<query xmlns='{ns.MUC_OWNER}'>{form}</query>" % 0,
        ):
            owner.sends(f"<iq type='set' id='a' to='{ROOM}'>{payload}</iq>")
            rooms = self.server.muc.rooms
            while rooms.slices.isBusy:
                turn(self.server.clock)
            if "moderatedroom'><value>1" not in payload:
                self.assertTrue(rooms.pacedSlices.isBusy)
                self.assertGreater(sum(sent for sent, _ in owner.charged), 19 * 20 * 250, payload)
            owner.charged.clear()
        for client in self.clients[1:]:
            self.assertEqual(client.charged, [])

    def test_carriedOutLater(self) -> None:
        """What a change sends while it is carried out in later turns is paid for as well, by who has asked for it."""
        self.patch(slices, "SLICE", 50)
        configure(self.clients[0], whois="anyone")
        self.forget()
        requester, room = "user0@localhost/r", self.server.muc.rooms.live[ROOM]
        absent = [AffiliationItem(parse(f"absent{n}@localhost"), Affiliation.MEMBER) for n in range(10)]
        for items in (absent, [AffiliationItem(parse("localhost"), Affiliation.MEMBER)]):
            # Not in a request with a result: such as an invitation, or a command.
            change = privilegechanges.plan(room, parse(requester), items)
            done = self.server.muc.carryOut(room, requester, change)
            self.assertIsNotNone(done)
            self.assertEqual(self.clients[0].charged, [])
            while self.server.muc.rooms.slices.isBusy:
                turn(self.server.clock)
            self.assertGreater(sum(sent for sent, _ in self.clients[0].charged), 9 * 20 * 100)
            self.forget()

    def test_absent(self) -> None:
        """What shows absent users to all is paid for."""
        owner = self.clients[0]
        configure(owner, presencebroadcast=["moderator", "participant", "visitor", "none"])
        self.forget()
        items = "".join(f"<item jid='away{n}@localhost' nick='away{n}' affiliation='member'/>" for n in range(5))
        owner.sends(f"<iq type='set' id='a' to='{ROOM}'><query xmlns='{ns.MUC_ADMIN}'>{items}</query></iq>")
        [(sent, _)] = owner.charged
        shown = [each for each in owner.received() if each.name == "presence"]
        self.assertEqual(len(shown), 5)
        self.assertGreater(sent, 5 * 20 * len(shown[0].toXml()) * 0.7)

    def test_returning(self) -> None:
        """A debt is that of the account: a new session has it, too."""
        for _ in range(20):
            self.clients[3].sends(MESSAGE)
        self.clients[3].dropConnection()
        again = self.server.client("user3@localhost/again")
        again.sends(f"<presence to='{ROOM}/user3'>{X}</presence>")
        self.assertEqual([each[:2] for each in self.conditions(again)], [("policy-violation", "wait")])

    def test_room(self) -> None:
        """Several who act without end in one room get less than they would alone, and others are not held."""
        self.fill(RATES._replace(roomRate=20_000, roomBurst=400_000))
        alone = self.delayOf(1)
        self.fill(RATES._replace(roomRate=20_000, roomBurst=400_000))
        together = self.delayOf(5)
        self.assertGreater(together, alone * 1.5)
        self.clients[9].sends(f"<message type='groupchat' to='{ROOM}'><body>{'x' * 500}</body></message>")
        self.assertEqual(max(delay for _, delay in self.clients[9].charged), 0)

    def delayOf(self, count: int) -> float:
        """The delay of the first of C{count} clients after five messages each."""
        for _ in range(5):
            for client in self.clients[:count]:
                client.sends(MESSAGE)
        return max(delay for _, delay in self.clients[0].charged)

    def test_off(self) -> None:
        """Without a rate nobody is held or refused."""
        self.fill(RATES._replace(occupantRate=0))
        for _ in range(100):
            self.clients[0].sends(MESSAGE)
        self.assertEqual(max(delay for _, delay in self.clients[0].charged), 0)
        self.assertEqual(self.conditions(self.clients[0]), [])

    def test_handler(self) -> None:
        """A handler of a domain without accounts pays nothing."""

        class Bot(Handler):
            """Gets everything, and ignores it."""

            stanzas = {
                ("presence", None, AddressType.FULL): lambda handler, element, to: None,
                ("message", "groupchat", AddressType.FULL): lambda handler, element, to: None,
            }

        bot = Bot()
        self.server.addHandler(bot, "bots.localhost")
        def say(text: str) -> None:
            bot.send(parseStanza(text.replace(" to=", " from='bot@bots.localhost/b' to=", 1)))

        say(f"<presence to='{ROOM}/bot'>{X}</presence>")
        for _ in range(100):
            say(MESSAGE)
        bodies = [each.child("body") for each in self.clients[0].received()]
        self.assertEqual(sum(body is not None for body in bodies), 100)

    def test_component(self) -> None:
        """A user of a component, whose stream is many users', is not held, but refused who owes too much."""
        class Stream:
            """Records what the component is sent."""

            def __init__(self) -> None:
                self.sent: list[bytes] = []

            def send(self, stanza: Any, to: bytes) -> None:
                """Record it."""
                self.sent.append(stanza.addressed(to))

            def sendAll(self, stanzas: Any, to: bytes) -> None:
                """Record them."""
                for stanza in stanzas:
                    self.send(stanza, to)

        component = Component("irc.localhost", self.server.router, self.server.clock)
        self.server.router.addDomain(component)
        stream: Any = Stream()
        component.connect(stream)

        def say(text: str) -> None:
            component.stanzaReceived(parseStanza(text.replace(" to=", " from='a@irc.localhost/b' to=", 1)))

        say(f"<presence to='{ROOM}/irc'>{X}</presence>")
        self.server.clock.advance(1000)
        for _ in range(20):
            say(MESSAGE)
        refused = [each for each in stream.sent if b"policy-violation" in each]
        self.assertGreater(len(refused), 3)
        self.assertLess(len(refused), 15)
        self.server.clock.advance(1000)
        stream.sent.clear()
        say(MESSAGE)
        self.assertEqual([each for each in stream.sent if b"policy-violation" in each], [])
