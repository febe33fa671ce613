# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.offline} (XEP-0160)."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from muccore.im import offline
from muccore.im.carbons import CarbonsHandler
from muccore.im.offline import KIND, OfflineHandler
from muccore.storage.insecure import InsecureAuth
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.errors import conditionOf
from tests.im.userdatahelpers import UserDataTestCase

JULIET = "juliet@localhost"


class Accounts(InsecureAuth):
    """Accounts, of whom one is not there."""

    def hasAccount(self, account: str) -> Deferred[bool]:
        """See L{IAuthBackend.hasAccount}."""
        return succeed(not account.startswith("nobody@"))


class OfflineTestCase(UserDataTestCase):
    """Romeo writes; Juliet is offline."""

    def setUp(self) -> None:
        """Log Romeo in."""
        super().setUp()
        self.handler = OfflineHandler(self.store, Accounts(), self.presence, 100_000)
        self.server.addHandler(self.handler)
        self.romeo = self.server.client("romeo@localhost/a")
        # What the server needs to know of her is in memory.
        self.appear("silent", -1)

    def write(self, body: str, to: str = JULIET, type: str = "chat", inside: str = "") -> list[str]:
        """Write; return the conditions of errors."""
        text = f"<body>{body}</body>" if body else ""
        self.romeo.sends(f"<message type='{type}' to='{to}' id='{body}'>{text}{inside}</message>")
        return [conditionOf(each) or each.toXml() for each in self.romeo.received()]

    def appear(self, resource: str = "b", priority: int = 0) -> Client:
        """Let Juliet become available."""
        juliet = self.server.client(f"{JULIET}/{resource}")
        self.prioritise(juliet, priority)
        return juliet

    def prioritise(self, client: Client, priority: int) -> None:
        """Send presence."""
        client.sends(f"<presence><priority>{priority}</priority></presence>")

    def bodies(self, client: Client) -> list[str]:
        """The bodies of messages that a client has received."""
        return [each.childText("body") or "" for each in client.received() if each.name == "message"]

    def kept(self) -> int:
        """How many messages are kept for Juliet."""
        return len(self.successResultOf(self.store.keys(JULIET, KIND)))


class KeepingTests(OfflineTestCase):
    """What is kept."""

    def test_delivered(self) -> None:
        """Messages come in order, with the time, when she is available, once, and leave nothing."""
        for body in "abc":
            self.assertEqual(self.write(body), [])
            self.server.clock.advance(1)
        juliet = self.appear()
        messages = [each for each in juliet.received() if each.name == "message"]
        self.assertEqual([each.childText("body") for each in messages], ["a", "b", "c"])
        stamps = []
        for each in messages:
            delay = each.child("delay", ns.DELAY)
            assert delay is not None
            stamps.append((each["from"], each["to"], delay["from"], delay["stamp"]))
        self.assertEqual(
            stamps,
            [("romeo@localhost/a", JULIET, "localhost", f"2001-09-09T01:46:4{second}Z") for second in range(3)],
        )
        self.assertEqual(self.kept(), 0)
        self.assertEqual(self.bodies(self.appear("c")), [])

    def test_types(self) -> None:
        """Chats and normal messages are kept, also to a resource that is gone; the others go as without it (§3)."""
        for to, type, expected in (
            (JULIET, "chat", 1),
            (JULIET, "normal", 1),
            (f"{JULIET}/gone", "chat", 1),
            (f"{JULIET}/gone", "normal", 0),
            (JULIET, "headline", 0),
            (JULIET, "groupchat", 0),
            (JULIET, "error", 0),
        ):
            self.write("x", to, type)
            self.assertEqual(len(self.bodies(self.appear())), expected, (to, type))
            for session in list(self.server.sessions.forAccount(JULIET).values()):
                session.end()

    def test_content(self) -> None:
        """What says nothing later is dropped, not returned; hints are heeded."""
        for inside, expected in (
            (f"<composing xmlns='{ns.CHAT_STATES}'/><thread>t</thread>", 0),
            (f"<composing xmlns='{ns.CHAT_STATES}'/><store xmlns='{ns.HINTS}'/>", 1),
            (f"<body>x</body><no-store xmlns='{ns.HINTS}'/>", 0),
            (f"<body>x</body><no-permanent-store xmlns='{ns.HINTS}'/>", 0),
            (f"<received xmlns='{ns.RECEIPTS}' id='1'/>", 1),
            ("<subject>x</subject>", 1),
            ("", 0),
        ):
            before = self.kept()
            self.assertEqual(self.write("", inside=inside), [])
            self.assertEqual(self.kept() - before, expected, inside)

    def test_noAccount(self) -> None:
        """Messages to accounts that do not exist vanish alike, and leave nothing."""
        self.assertEqual(self.write("a", "nobody@localhost"), [])
        self.assertEqual(self.successResultOf(self.store.keys("nobody@localhost", KIND)), [])

    def test_full(self) -> None:
        """Messages above the limit are returned (§3); those before are kept."""
        self.handler.limit = 1000
        self.assertEqual(self.write("a"), [])
        self.assertEqual(self.write("b" * 1000), ["service-unavailable"])
        self.assertEqual(self.bodies(self.appear()), ["a"])

    def test_off(self) -> None:
        """A limit of 0 switches it off: messages are returned, and nothing is announced."""
        self.assertEqual(self.handler.features, ("msgoffline",))
        self.handler.limit = 0
        self.assertEqual(self.write("a"), ["service-unavailable"])
        self.assertEqual(self.handler.features, ())

    def test_storeFails(self) -> None:
        """If it cannot be stored, the sender learns it."""
        self.store.failing = True
        self.assertEqual(self.write("a"), ["internal-server-error"])

    def test_durableFirst(self) -> None:
        """Messages of one sender that are being stored keep their order."""
        self.store.slow = True
        for body in "ab":
            self.write(body)
        self.store.release()
        self.store.slow = False
        self.assertEqual(self.bodies(self.appear()), ["a", "b"])


class DeliveryTests(OfflineTestCase):
    """When and to whom."""

    def test_negative(self) -> None:
        """A resource with a negative priority gets none, until it is not negative any more (§3)."""
        self.write("a")
        juliet = self.appear(priority=-1)
        self.assertEqual(self.bodies(juliet), [])
        self.write("b")
        self.prioritise(juliet, 0)
        self.assertEqual(self.bodies(juliet), ["a", "b"])
        self.prioritise(juliet, 5)
        self.assertEqual(self.bodies(juliet), [])

    def test_order(self) -> None:
        """What arrives while earlier ones are being delivered comes after these."""
        self.write("a")
        self.write("b")
        self.store.slow = True
        juliet = self.appear()
        self.write("c")
        self.write("d", f"{JULIET}/b")
        self.store.release()
        self.assertEqual(self.bodies(juliet), ["a", "b", "c", "d"])

    def test_copies(self) -> None:
        """
        What waits for earlier ones is copied to other clients (XEP-0280) when it is delivered: each gets it once,
        whatever their presence is by then.
        """
        self.server.addHandler(CarbonsHandler())
        self.write("a")
        phone, laptop = self.appear("phone", -1), self.appear("laptop", -1)
        for client in (phone, laptop):
            client.sends(f"<iq type='set' id='1'><enable xmlns='{ns.CARBONS}'/></iq>")
        self.store.slow = True
        juliet = self.appear()
        self.write("b")
        self.prioritise(phone, 0)
        self.store.release()
        self.assertEqual([self.bodies(client) for client in (juliet, phone, laptop)], [["b"], ["a", "b"], [""]])

    def test_brokenOff(self) -> None:
        """If she goes while they are being delivered, the rest stays."""
        for body in "abc":
            self.write(body)
        self.store.slow = True
        juliet = self.appear()
        self.store._held.pop(0)()
        self.store._held.pop(0)()
        juliet.dropConnection()
        self.store.release()
        self.store.slow = False
        self.assertEqual(self.bodies(juliet), ["a"])
        self.assertEqual(self.bodies(self.appear()), ["b", "c"])

    def test_meanwhile(self) -> None:
        """A message that is being stored when she appears is delivered."""
        self.store.slow = True
        self.write("a")
        juliet = self.appear()
        self.store.release()
        self.store.slow = False
        self.assertEqual(self.bodies(juliet), ["a"])
        self.assertEqual(self.kept(), 0)

    def test_deliveryFails(self) -> None:
        """If they cannot be read, they stay; later ones are delivered."""
        self.write("a")
        self.store.failing = True
        juliet = self.appear()
        self.write("b")
        self.assertEqual(self.bodies(juliet), ["b"])
        self.store.failing = False
        self.appear("c")
        self.assertEqual(self.bodies(juliet), ["a"])

    def test_unacknowledged(self) -> None:
        """With stream management, what she has not acknowledged is kept again, with its first time."""
        self.write("a")
        juliet = self.server.client(f"{JULIET}/b")
        juliet.session.enableManagement(False, None)
        self.server.clock.advance(100)
        self.prioritise(juliet, 0)
        self.assertEqual(self.bodies(juliet), ["a"])
        juliet.dropConnection()
        self.server.clock.advance(0)
        [message] = [each for each in self.appear("c").received() if each.name == "message"]
        self.assertIn("2001-09-09T01:46:40Z", message.toXml())

    def test_tooMany(self) -> None:
        """What waits is bounded."""
        self.patch(offline, "WAITING", 2)
        self.write("a")
        self.store.slow = True
        self.appear()
        self.assertEqual([self.write(body) for body in "bcd"], [[], [], ["resource-constraint"]])
