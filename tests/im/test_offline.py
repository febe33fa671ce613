# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.offline} (XEP-0160)."""

from __future__ import annotations

from collections import Counter

from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogLevel

from muccore.im import offline
from muccore.im.blocking import BlockingHandler
from muccore.im.carbons import CarbonsHandler
from muccore.im.offline import KIND, OfflineHandler
from muccore.im.rosters import PlannedChange
from muccore.interfaces import RosterItem
from muccore.session import savedsessions
from muccore.session.session import Session
from muccore.session.streammanagement import StreamManagement
from muccore.storage.insecure import InsecureAuth
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import conditionOf
from tests.configuration import Logged
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
        self.counts: Counter[Session] = Counter()
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
        """The bodies of messages that a client has received, whose kernel has taken them by now."""
        return [each.childText("body") or "" for each in self.take(client) if each.name == "message"]

    def take(self, client: Client) -> list[Element]:
        """What a client has received, which is counted; its kernel has taken it by now."""
        self.server.clock.advance(0)
        received = client.received()
        self.counts[client.session] += sum(each.uri == ns.CLIENT for each in received)
        return received

    def setRoster(self, **items: RosterItem) -> None:
        """Store contacts of Juliet."""
        change = self.server.rosters.change(JULIET, lambda _: PlannedChange(items, lambda: None))
        self.successResultOf(change)

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
        self.server.clock.advance(0)
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
            (f"<body>x</body><no-permanent-store xmlns='{ns.HINTS}'/>", 1),
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
        """
        Messages above the limit are returned (§3) to those who may see her presence. For strangers they vanish, as if
        there were no such account. Those before are kept.
        """
        item = RosterItem(subscription="from")
        self.setRoster(**{"friend@localhost": item})
        friend = self.server.client("friend@localhost/a")
        self.handler.limit = 1000
        self.assertEqual(self.write("a"), [])
        for to in (JULIET, "nobody@localhost"):
            self.assertEqual(self.write("b" * 1000, to), [])
        friend.sends(f"<message type='chat' to='{JULIET}'><body>{'b' * 1000}</body></message>")
        [error] = friend.received()
        self.assertEqual(conditionOf(error), "service-unavailable")
        self.assertEqual(self.bodies(self.appear()), ["a"])

    def test_off(self) -> None:
        """A limit of 0 switches it off: messages are returned, and nothing is announced."""
        self.assertEqual(self.handler.features, ("msgoffline",))
        self.handler.limit = 0
        self.assertEqual(self.write("a"), ["service-unavailable"])
        self.assertEqual(self.handler.features, ())

    def test_storeFails(self) -> None:
        """If it cannot be stored, the sender learns it, also if there is no such account."""
        self.store.failing = True
        for to in (JULIET, "nobody@localhost"):
            self.assertEqual(self.write("a", to), ["internal-server-error"])

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
        self.server.clock.advance(0)
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
        """The memory of what waits is bounded."""
        self.patch(offline, "WAITING_LIMIT", 9000)
        self.handler.disownHandlerParent(self.server.users)
        self.server.addHandler(OfflineHandler(self.store, Accounts(), self.presence, 100_000))
        self.write("a")
        self.store.slow = True
        self.appear()
        self.assertEqual([self.write(body) for body in "bcd"], [[], [], ["resource-constraint"]])


class BlockedTests(OfflineTestCase):
    """What waits is bounded tightly."""

    def setUp(self) -> None:
        """Bound it before the handler is made."""
        self.patch(offline, "WAITING_LIMIT", 9000)
        super().setUp()

    def test_blocked(self) -> None:
        """Who is blocked is refused at once, and cannot fill what waits."""
        self.server.addHandler(BlockingHandler(self.store, self.states, self.presence, 10_000))
        self.write("a")
        items = "<item jid='romeo@localhost'/>"
        self.appear("silent", -1).sends(f"<iq type='set' id='1'><block xmlns='{ns.BLOCKING}'>{items}</block></iq>")
        self.store.slow = True
        juliet = self.appear()
        self.assertEqual([self.write(body) for body in "bcde"], [["service-unavailable"]] * 4)
        self.romeo = self.server.client("mercutio@localhost/a")
        self.assertEqual(self.write("f"), [])
        self.store.slow = False
        self.store.release()
        self.assertEqual(self.bodies(juliet), ["a", "f"])


class AcknowledgedTestCase(OfflineTestCase):
    """Clients with stream management (XEP-0198), and two messages for them."""

    def setUp(self) -> None:
        """Write two messages, of which the second one is a second younger."""
        super().setUp()
        self.write("a")
        self.server.clock.advance(1)
        self.write("b")
        self.server.clock.advance(100)

    def appearManaged(self, resource: str = "phone", resumable: bool = True) -> Client:
        """Let Juliet become available, with stream management."""
        client = self.server.client(f"{JULIET}/{resource}")
        client.session.enableManagement(resumable, None)
        self.prioritise(client, 0)
        return client

    def management(self, client: Client) -> StreamManagement:
        """That of a client."""
        management = client.session.management
        assert management is not None
        return management

    def acknowledge(self, client: Client, but: int = 0) -> None:
        """Acknowledge all that was taken but so many stanzas."""
        self.management(client).acknowledge(self.counts[client.session] - but)

    def lose(self, client: Client) -> None:
        """Lose the connection; the session waits if it can be resumed."""
        client.session.streamLost(client, False)
        self.server.sessions.endings.finishAll()
        self.server.clock.advance(0)

    def resume(self, client: Client, but: int) -> Client:
        """Resume a session on another connection; acknowledge all that was taken but so many stanzas."""
        management = self.management(client)
        assert management.id is not None
        other = Client(client.address)
        other.endings = client.endings
        handled = self.counts[client.session] - but
        other.session = self.server.sessions.resume(client.session.account, management.id, handled, other)
        management.attach(other)
        return other

    def stamps(self, client: Client) -> list[str]:
        """Bodies and seconds of the messages that a client has received, and requests for acknowledgements."""
        self.server.clock.advance(0)
        found = []
        for each in self.take(client):
            if each.name == "message":
                [delay] = [child for child in each.childElements() if child.name == "delay"]
                found.append(f"{each.childText('body')} {delay['stamp'][17:19]}")
            elif each.name == "r":
                found.append("r")
        return found


class AcknowledgedTests(AcknowledgedTestCase):
    """What is acknowledged, or not."""

    def test_removed(self) -> None:
        """Messages are removed when they are acknowledged, which is asked for at once; others stay."""
        phone = self.appearManaged()
        self.assertEqual(self.stamps(phone), ["a 40", "r", "b 41"])
        self.assertEqual(self.kept(), 2)
        self.acknowledge(phone, 1)
        self.assertEqual((self.kept(), self.stamps(phone)), (1, ["r"]))
        self.acknowledge(phone)
        self.assertEqual((self.kept(), self.stamps(phone)), (0, []))

    def test_notAgain(self) -> None:
        """While they are not acknowledged, nobody else is given them, not even while the client is away."""
        phone = self.appearManaged()
        self.bodies(phone)
        self.assertEqual(self.stamps(self.appearManaged("desktop")), [])
        self.lose(phone)
        self.assertEqual(self.stamps(self.appear("tablet")), [])
        again = self.resume(phone, 1)
        self.assertEqual(self.stamps(again), ["b 41", "r"])
        self.counts[phone.session] -= 1
        self.acknowledge(phone)
        self.assertEqual(self.kept(), 0)

    def test_notResumed(self) -> None:
        """If the session ends, they have never left: another client gets them once, with their times, in order."""
        self.stamps(phone := self.appearManaged())
        self.write("c")
        self.lose(phone)
        self.write("d")
        self.assertEqual(self.kept(), 2)
        phone.session.end()
        self.server.clock.advance(0)
        self.assertEqual(self.kept(), 4)
        tablet = self.appearManaged("tablet")
        self.assertEqual([each[0] for each in self.stamps(tablet) if each != "r"], ["a", "b", "c", "d"])
        self.acknowledge(tablet)
        self.assertEqual(self.kept(), 0)

    def test_toAnother(self) -> None:
        """If another client is there by then, it gets them before what is redelivered, however slow the store is."""
        self.stamps(phone := self.appearManaged())
        self.write("c")
        self.lose(phone)
        self.server.clock.advance(1)
        tablet = self.appearManaged("tablet", False)
        self.store.slow = True
        phone.session.end()
        self.write("d")
        self.server.clock.advance(0)
        self.assertEqual(self.bodies(tablet), [])
        self.store.release()
        self.server.clock.advance(0)
        self.assertEqual(self.bodies(tablet), ["a", "b", "c", "d"])

    def test_whileDelivering(self) -> None:
        """If the session ends in the middle, another client gets all from the start."""
        self.store.slow = True
        phone = self.appearManaged()
        for _ in range(2):
            self.store._held.pop(0)()
        self.assertEqual(self.bodies(phone), ["a"])
        tablet = self.appearManaged("tablet", False)
        phone.session.end()
        self.store.release()
        self.assertEqual(self.bodies(tablet), ["a", "b"])

    def test_inactive(self) -> None:
        """An inactive client (XEP-0352) is given all at once: nothing that is held replaces one of them."""
        self.write("", inside=f"<active xmlns='{ns.CHAT_STATES}'/><store xmlns='{ns.HINTS}'/>")
        phone = self.server.client(f"{JULIET}/phone")
        phone.session.enableManagement(True, None)
        phone.session.setActive(False)
        self.prioritise(phone, 0)
        self.write("", inside=f"<composing xmlns='{ns.CHAT_STATES}'/>")
        self.assertEqual(self.bodies(phone), ["a", "b", ""])
        self.acknowledge(phone)
        self.assertEqual(self.kept(), 0)

    def test_restart(self) -> None:
        """Over an orderly restart, the session keeps them, and nobody else is given them; nor is any lost."""
        for resumed in (False, True):
            self.setUp()
            self.take(self.appearManaged())
            self.server.sessions.suspendAll()
            [(_, data)] = [each for each in savedsessions.save(self.server.sessions) if each[0].jid.resource == "phone"]
            self.handler.disownHandlerParent(self.server.users)
            self.presence.readyObservers.clear()
            self.handler = OfflineHandler(self.store, Accounts(), self.presence, 100_000)
            self.server.addHandler(self.handler)
            [session] = savedsessions.restore(self.server.sessions, [data])
            self.handler.restored(session)
            tablet = self.appear("tablet")
            self.assertEqual(self.stamps(tablet), [])
            phone = Client(session.jid.full)
            phone.session, phone.endings = session, self.server.sessions.endings
            if resumed:
                self.assertEqual(self.stamps(self.resume(phone, 0)), ["a 40", "b 41", "r"])
                session.management.acknowledge(4)
            else:
                session.end()
                self.assertEqual(self.stamps(tablet), ["a 40", "b 41"])
                self.server.clock.advance(0)
            self.assertEqual(self.kept(), 0)

    def test_storedMeanwhile(self) -> None:
        """What is stored while the server ends, after the session was saved, is delivered after the start."""
        phone = self.appearManaged()
        self.take(phone)
        self.acknowledge(phone)
        self.server.sessions.suspendAll()
        [(_, data)] = [each for each in savedsessions.save(self.server.sessions) if each[0].jid.resource == "phone"]
        # What others had not acknowledged, say.
        self.romeo.session.suspended = False
        self.write("late")
        self.assertEqual(self.kept(), 1)
        [session] = savedsessions.restore(self.server.sessions, [data])
        self.handler.restored(session)
        self.server.clock.advance(0)
        again = Client(session.jid.full)
        again.session, again.endings = session, self.server.sessions.endings
        self.counts[session] = self.counts[phone.session]
        other = self.resume(again, 0)
        self.assertEqual(self.bodies(other), ["late"])
        self.acknowledge(again)
        self.assertEqual(self.kept(), 0)

    def test_removalFails(self) -> None:
        """What cannot be removed is given to nobody else, and removed with the next ones."""
        phone = self.appearManaged()
        self.store.failing = True
        logged = Logged(self)
        self.bodies(phone)
        self.acknowledge(phone, 1)
        self.assertEqual(len(logged.lines(LogLevel.error)), 1)
        self.store.failing = False
        self.assertEqual(self.stamps(self.appear("tablet")), [])
        self.bodies(phone)
        self.acknowledge(phone)
        self.assertEqual(self.kept(), 0)


class WindowTests(AcknowledgedTestCase):
    """Many messages, of which a session is given two at a time."""

    def setUp(self) -> None:
        """Write five."""
        super().setUp()
        self.patch(offline, "WINDOW", 2000)
        for body in "cde":
            self.write(body)

    def test_window(self) -> None:
        """The next ones follow when half of those before are acknowledged; what has arrived meanwhile comes last."""
        phone = self.appearManaged()
        self.write("f")
        found = []
        for but in (1, 0, 0, 0):
            found.append(self.bodies(phone))
            self.acknowledge(phone, but)
        self.assertEqual(found, [["a", "b"], [], ["c", "d"], ["e", "f"]])
        self.assertEqual(self.kept(), 0)

    def test_away(self) -> None:
        """While the client is away, others do not wait: what arrives overtakes the rest, which follows."""
        self.server.addHandler(CarbonsHandler())
        desktop = self.server.client(f"{JULIET}/desktop")
        self.prioritise(desktop, -1)
        desktop.sends(f"<iq type='set' id='1'><enable xmlns='{ns.CARBONS}'/></iq>")
        self.server.clock.advance(1)
        phone = self.appearManaged()
        self.lose(phone)
        desktop.received()
        self.write("f")
        self.assertEqual(len(self.bodies(desktop)), 1)
        again = self.resume(phone, 0)
        self.assertEqual(self.bodies(again), ["a", "b", "f"])
        self.acknowledge(phone)
        self.assertEqual(self.bodies(again), ["c", "d"])
        self.acknowledge(phone)
        self.assertEqual(self.bodies(again), ["e"])

    def test_another(self) -> None:
        """Another client that comes meanwhile is given what the first one was not; then all, if that ends."""
        phone = self.appearManaged()
        self.lose(phone)
        tablet = self.appearManaged("tablet")
        self.assertEqual(self.bodies(tablet), ["c", "d"])
        phone.session.end()
        self.assertEqual(self.bodies(tablet), [])
        self.acknowledge(tablet)
        self.assertEqual(self.bodies(tablet), ["a", "b"])
        self.acknowledge(tablet)
        self.assertEqual(self.bodies(tablet), ["e"])

    def test_restart(self) -> None:
        """After an orderly restart, those that a session was not given yet follow those that it was."""
        self.take(self.appearManaged())
        self.successResultOf(self.handler.shutDown(False))
        self.server.sessions.suspendAll()
        [(_, data)] = [each for each in savedsessions.save(self.server.sessions) if each[0].jid.resource == "phone"]
        self.handler.disownHandlerParent(self.server.users)
        self.presence.readyObservers.clear()
        self.handler = OfflineHandler(self.store, Accounts(), self.presence, 100_000)
        self.server.addHandler(self.handler)
        [session] = savedsessions.restore(self.server.sessions, [data])
        self.handler.restored(session)
        phone = Client(session.jid.full)
        phone.session, phone.endings = session, self.server.sessions.endings
        again = self.resume(phone, 0)
        found = []
        for _ in range(3):
            found.append(self.bodies(again))
            self.acknowledge(phone)
        self.assertEqual(found, [["a", "b"], ["c", "d"], ["e"]])
        self.assertEqual(self.kept(), 0)

    def test_stop(self) -> None:
        """The end of the server does not wait for acknowledgements, and lets through what waits behind."""
        phone = self.appearManaged()
        self.write("f")
        self.assertIsNone(self.successResultOf(self.handler.shutDown(False)))
        self.assertEqual(self.bodies(phone), ["a", "b", "f"])
        self.assertEqual(self.kept(), 5)


class NotManagedTests(OfflineTestCase):
    """Without stream management."""

    def setUp(self) -> None:
        """Write one message, and let Juliet read slowly."""
        super().setUp()
        self.write("a")
        self.juliet = self.server.client(f"{JULIET}/b")
        self.juliet.waiting = True
        self.prioritise(self.juliet, 0)
        self.server.clock.advance(10)

    def test_taken(self) -> None:
        """A message is removed when the kernel has taken it."""
        self.assertEqual(self.kept(), 1)
        self.juliet.waiting = False
        self.server.clock.advance(1)
        self.assertEqual(self.kept(), 0)
        self.juliet.dropConnection()
        self.assertEqual(self.bodies(self.appear("c")), [])

    def test_notTaken(self) -> None:
        """If the connection ends before, it is given to the next client."""
        self.juliet.dropConnection()
        self.assertEqual(self.kept(), 1)
        self.assertEqual(self.bodies(self.appear("c")), ["a"])

    def test_managedLater(self) -> None:
        """If it comes before stream management is enabled, and is not taken, it follows in the resumed session."""
        management = self.juliet.session.enableManagement(True, None)
        self.juliet.session.streamLost(self.juliet, False)
        other = Client(self.juliet.address)
        assert management.id is not None
        other.session = self.server.sessions.resume(self.juliet.session.account, management.id, 0, other)
        management.attach(other)
        self.assertEqual(self.bodies(other), ["a"])
        management.acknowledge(1)
        self.assertEqual(self.kept(), 0)
