# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.blocking} (XEP-0191, XEP-0377)."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import LogLevel

from muccore.im import blocking
from muccore.im.blocking import BlockingHandler
from muccore.im.rosters import PlannedChange
from muccore.im.userstate import BLOCKED
from muccore.im.vcards import VCardHandler
from muccore.interfaces import RosterItem
from muccore.log import eventlog
from muccore.log.logger import Logger
from muccore.routing.handler import ANY, BARE, Handler
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from tests.configuration import Logged
from tests.im.userdatahelpers import UserDataTestCase

ROMEO, JULIET, TYBALT = "romeo@localhost", "juliet@localhost", "tybalt@localhost"
GET = "<blocklist xmlns='urn:xmpp:blocking'/>"
REPORT = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:{reason}'>{inside}</report>"


def command(name: str, addresses: Iterable[str], inside: str = "") -> str:
    """A request to block or unblock addresses."""
    items = "".join(f"<item jid='{address}'>{inside}</item>" for address in addresses)
    return f"<{name} xmlns='urn:xmpp:blocking'>{items}</{name}>"


def shown(stanza: Element) -> str:
    """A push: its name and addresses."""
    [payload] = stanza.childElements()
    assert (stanza.name, stanza["type"], payload.uri) == ("iq", "set", ns.BLOCKING)
    assert stanza["from"] == stanza["to"].partition("/")[0]
    return " ".join([payload.name, *(item["jid"] for item in payload.childElements())])


class BlockingTestCase(UserDataTestCase):
    """Juliet, who blocks, has two clients."""

    def setUp(self) -> None:
        """Log in, without presence."""
        super().setUp()
        self.handler = BlockingHandler(self.store, self.states, self.presence, 200)
        self.server.addHandler(self.handler)
        self.juliet, self.phone, self.romeo, self.tybalt = self.login("juliet", "juliet/phone", "romeo", "tybalt")

    def block(self, *addresses: str, client: Client | None = None) -> str:
        """Block addresses; return the outcome."""
        return self.outcome(client or self.juliet, "set", command("block", addresses))

    def unblock(self, *addresses: str) -> str:
        """Unblock addresses; return the outcome."""
        return self.outcome(self.juliet, "set", command("unblock", addresses))

    def list(self, client: Client | None = None) -> list[str]:
        """The list that a client gets."""
        [payload] = self.ask(client or self.juliet, "get", GET).childElements()
        self.assertEqual((payload.uri, payload.name), (ns.BLOCKING, "blocklist"))
        return [item["jid"] for item in payload.childElements()]

    def available(self, *clients: Client) -> None:
        """Let clients become available."""
        for client in clients:
            client.sends("<presence/>")
        for client in clients:
            client.received()


class ListTests(BlockingTestCase):
    """The list (§3.2 to §3.5)."""

    def test_empty(self) -> None:
        """At first it is empty."""
        self.assertEqual(self.list(), [])

    def test_changed(self) -> None:
        """Addresses of every form are blocked and unblocked, prepared; it is the account's, and outlives sessions."""
        addresses = ["romeo@localhost", "a@x/R r", "x", "x/r", "ä@x"]
        self.assertEqual(self.block("Romeo@LOCALHOST", *addresses[1:]), "result")
        self.assertEqual(self.block("romeo@localhost"), "result")
        self.assertEqual(self.list(self.phone), sorted(addresses))
        self.assertEqual(self.list(self.romeo), [])
        for client in (self.juliet, self.phone):
            client.dropConnection()
        [self.juliet] = self.login("juliet")
        self.assertEqual(self.list(), sorted(addresses))
        self.assertEqual(self.unblock("x", "X/r", "never@x"), "result")
        self.assertEqual(self.list(), ["a@x/R r", "romeo@localhost", "ä@x"])
        self.assertEqual(self.unblock(), "result")
        self.assertEqual(self.list(), [])
        self.assertEqual(self.successResultOf(self.store.keys(JULIET, BLOCKED)), [])
        self.assertEqual(self.unblock(), "result")

    def test_pushes(self) -> None:
        """Clients that have requested the list get every change, in order, and no others."""
        tablet, other = self.login("juliet/tablet", "romeo/other")
        for client in (self.phone, tablet, other):
            self.list(client)
        for outcome in (self.block("a@x", "b@x"), self.block("a@x"), self.unblock("a@x"), self.unblock()):
            self.assertEqual(outcome, "result")
        expected = ["block a@x b@x", "block a@x", "unblock a@x", "unblock"]
        for client in (self.phone, tablet):
            self.assertEqual([shown(stanza) for stanza in client.received()], expected)
        self.assertEqual((other.received(), self.juliet.received()), ([], []))
        tablet.sends("<iq type='result' id='push'/>")
        self.list()
        self.block("c@x")
        self.assertEqual([shown(stanza) for stanza in self.further], ["block c@x"])

    def test_badRequests(self) -> None:
        """Bad requests change nothing."""
        for payload, condition in (
            (command("block", []), "bad-request"),
            ("<block xmlns='urn:xmpp:blocking'><item jid='a@x'/><item/></block>", "bad-request"),
            ("<block xmlns='urn:xmpp:blocking'><item jid='a@x'/><x/></block>", "bad-request"),
            ("<unblock xmlns='urn:xmpp:blocking'><x xmlns='urn:x'/></unblock>", "bad-request"),
            (command("block", ["a@x", "@"]), "jid-malformed"),
            (command("block", [""]), "jid-malformed"),
            (command("unblock", ["a@x", "a b@x"]), "jid-malformed"),
        ):
            self.assertEqual(self.outcome(self.juliet, "set", payload), condition, payload)
        self.assertEqual(self.list(), [])

    def test_others(self) -> None:
        """Others have no access, and do not learn whether the account exists."""
        for to in (JULIET, "nobody@localhost"):
            self.assertEqual(self.outcome(self.romeo, "get", GET, to), "service-unavailable")
            for name in ("block", "unblock"):
                answer = self.outcome(self.romeo, "set", command(name, ["a@x"]), to)
                self.assertEqual(answer, "service-unavailable")

    def test_bounded(self) -> None:
        """The bytes of the addresses are bounded, and so are the changes that wait; both refuse as a whole."""
        large = "a" * 98 + "@x"
        self.assertEqual(self.block(large), "result")
        self.assertEqual(self.block("b" + large, "c@x"), "resource-constraint")
        self.assertEqual(self.list(), [large])
        self.patch(blocking, "WAITING_LIMIT", 12_000)
        self.handler.disownHandlerParent(self.server.users)
        self.server.addHandler(BlockingHandler(self.store, self.states, self.presence, 200))
        self.store.slow = True
        for number in range(4):
            self.juliet.sends(f"<iq type='set' id='{number}'>{command('block', [f'{number}@x'])}</iq>")
        self.assertEqual(self.received(self.juliet), ["iq 3 resource-constraint"])
        self.store.release()
        results = [each for each in self.received(self.juliet) if not each.endswith("set")]
        self.assertEqual(results, [f"iq {number} result" for number in range(3)])

    def test_durable(self) -> None:
        """A change applies, and is answered and pushed, when it is stored; not at all if that fails."""
        self.available(self.juliet)
        self.list(self.phone)
        self.romeo.sends("<presence/>")
        self.store.slow = True
        for failing, expected in ((True, "internal-server-error"), (False, "result")):
            self.store.failing = failing
            self.juliet.sends(f"<iq type='set' id='1'>{command('block', [ROMEO])}</iq>")
            self.romeo.sends(f"<message to='{self.juliet.address}'/>")
            self.assertEqual(self.received(self.juliet), ["message"])
            self.store.release()
            self.assertEqual(self.received(self.juliet), [f"iq 1 {expected}"])
            self.assertEqual(len(self.phone.received()), not failing)
        self.romeo.sends(f"<message to='{self.juliet.address}'/>")
        self.assertEqual(self.juliet.received(), [])

    def test_inOrder(self) -> None:
        """Changes of several clients are made in order: to unblock all unblocks what was being blocked."""
        self.list()
        self.list(self.phone)
        self.store.slow = True
        for client, payload in (
            (self.juliet, command("block", ["a@x", "b@x"])), (self.phone, command("unblock", [])),
            (self.juliet, command("block", ["c@x"])), (self.phone, command("unblock", ["c@x"])),
            (self.juliet, command("block", ["d@x"])),
        ):  # fmt: skip
            client.sends(f"<iq type='set' id='1'>{payload}</iq>")
        self.store.release()
        self.store.slow = False
        self.juliet.received()
        self.assertEqual(self.list(), ["d@x"])
        self.assertEqual(self.successResultOf(self.store.keys(JULIET, BLOCKED)), ["d@x"])


class StanzaTests(BlockingTestCase):
    """Stanzas from and to blocked addresses (§3.3)."""

    def setUp(self) -> None:
        """Let all be available, and Juliet block Romeo."""
        super().setUp()
        self.available(self.juliet, self.phone, self.romeo, self.tybalt)
        self.assertEqual(self.block(ROMEO), "result")

    def send(self, text: str, sender: Client | None = None) -> tuple[list[str], int]:
        """Send a stanza; return what comes back, and how many Juliet's client gets."""
        (sender or self.romeo).sends(text)
        return self.received(sender or self.romeo), len(self.juliet.received())

    def test_inbound(self) -> None:
        """Presence is dropped, messages and requests are refused as if Juliet were not there, answers are dropped."""
        request = "<x xmlns='urn:x'/>"
        for to in (JULIET, self.juliet.address):
            for text, expected in (
                ("<message id='1' to='{}'/>", ["message 1 service-unavailable"]),
                ("<message id='1' type='chat' to='{}'/>", ["message 1 service-unavailable"]),
                ("<message id='1' type='headline' to='{}'/>", []),
                ("<message id='1' type='groupchat' to='{}'/>", []),
                ("<message id='1' type='error' to='{}'/>", []),
                ("<message id='1' to='{}'><x xmlns='http://jabber.org/protocol/muc#user'/></message>", []),
                *((f"<presence type='{type}' to='{{}}'/>", []) for type in ("unavailable", "probe", "error")),
                ("<presence to='{}'/>", []),
                (f"<iq id='1' type='get' to='{{}}'>{request}</iq>", ["iq 1 service-unavailable"]),
                (f"<iq id='1' type='set' to='{{}}'>{request}</iq>", ["iq 1 service-unavailable"]),
                ("<iq id='1' type='result' to='{}'/>", []),
                ("<iq id='1' type='error' to='{}'/>", []),
            ):
                self.assertEqual(self.send(text.format(to)), (expected, 0), text)
                # Of somebody else, most arrive.
                _, arrived = self.send(text.format(to), self.tybalt)
                self.assertTrue(arrived or to == JULIET or "probe" in text)

    def test_away(self) -> None:
        """So it is while Juliet is away."""
        for client in (self.juliet, self.phone):
            client.dropConnection()
        self.romeo.sends(f"<message type='chat' id='1' to='{JULIET}'/>")
        self.romeo.sends(f"<presence id='2' to='{JULIET}'/>")
        self.assertEqual(self.received(self.romeo), ["message 1 service-unavailable"])

    def test_newSession(self) -> None:
        """So it is with a client that has not sent anything yet."""
        for client in (self.juliet, self.phone):
            client.dropConnection()
        [new] = self.login("juliet/new")
        self.romeo.sends(f"<message type='chat' id='1' to='{new.address}'/>")
        self.romeo.sends(f"<iq type='get' id='2' to='{new.address}'><x xmlns='urn:x'/></iq>")
        self.assertEqual(self.received(self.romeo), ["message 1 service-unavailable", "iq 2 service-unavailable"])
        self.assertEqual(self.received(new), [])

    def test_requestsToAccount(self) -> None:
        """Requests that a handler answers for Juliet are refused as well."""
        self.server.addHandler(VCardHandler(self.store, self.states, self.presence, 1000))
        self.assertEqual(self.outcome(self.juliet, "set", "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>"), "result")
        get = "<vCard xmlns='vcard-temp'/>"
        self.assertEqual(self.outcome(self.tybalt, "get", get, JULIET), "result")
        self.assertEqual(self.outcome(self.romeo, "get", get, JULIET), "service-unavailable")
        self.assertEqual(self.outcome(self.romeo, "set", get, JULIET), "service-unavailable")

    def test_outbound(self) -> None:
        """Whatever Juliet sends there is refused with C{blocked}, if it may be answered, and does not arrive."""
        for to in (ROMEO, self.romeo.address):
            for text, refused in (
                ("<message id='1' to='{}'/>", True),
                ("<message id='1' type='error' to='{}'/>", False),
                ("<presence id='1' to='{}'/>", True),
                ("<presence id='1' type='subscribe' to='{}'/>", True),
                ("<presence id='1' type='unavailable' to='{}'/>", False),
                ("<iq id='1' type='get' to='{}'><x xmlns='urn:x'/></iq>", True),
                ("<iq id='1' type='result' to='{}'/>", False),
            ):
                self.juliet.sends(text.format(to))
                answers = self.juliet.received()
                self.assertEqual(len(answers), refused)
                for answer in answers:
                    error = answer.child("error")
                    assert error is not None
                    condition, _, blocked = error.childElements()
                    self.assertEqual((answer["from"], answer["type"], error["type"]), (to, "error", "cancel"))
                    self.assertEqual((condition.name, blocked.name, blocked.uri),
                                     ("not-acceptable", "blocked", ns.BLOCKING_ERRORS))  # fmt: skip
                self.assertEqual(self.romeo.received(), [])
        self.juliet.sends(f"<message id='1' to='{self.tybalt.address}'/>")
        self.assertEqual(self.received(self.tybalt), ["message 1"])

    def test_forms(self) -> None:
        """Resources, accounts and domains match (§5); when unblocked, all arrives again."""
        for blocked, refused in (
            (f"{ROMEO}/pc", True), (f"{ROMEO}/other", False), ("localhost", True), ("localhost/pc", False),
            ("romeo@x", False),
        ):  # fmt: skip
            self.assertEqual(self.unblock(), "result")
            self.assertEqual(self.send(f"<message id='1' to='{self.juliet.address}'/>"), ([], 1))
            self.assertEqual(self.block(blocked), "result")
            back, arrived = self.send(f"<message id='1' to='{self.juliet.address}'/>")
            self.assertEqual((bool(back), arrived), (refused, not refused), blocked)

    def test_own(self) -> None:
        """Neither the account itself nor the server is ever blocked."""
        self.block("localhost", JULIET, self.phone.address)
        self.phone.received()
        self.juliet.sends(f"<message id='1' to='{self.phone.address}'/>")
        self.assertEqual(self.received(self.phone), ["message 1"])
        self.assertEqual(self.outcome(self.juliet, "get", "<x xmlns='urn:x'/>", "localhost"), "service-unavailable")
        self.juliet.sends("<presence/>")
        self.assertEqual((len(self.juliet.received()), len(self.phone.received())), (1, 1))


class PresenceTests(BlockingTestCase):
    """Effects on presence (§3.3, §3.4)."""

    def test_withdrawn(self) -> None:
        """
        Who is blocked gets unavailable presence of all resources that have directed presence there, once, and does not
        get it again at the end.
        """
        self.available(self.juliet, self.phone, self.romeo, self.tybalt)
        for client in (self.juliet, self.phone):
            for to in (self.romeo.address, self.tybalt.address):
                client.sends(f"<presence to='{to}'/>")
        for client in (self.romeo, self.tybalt):
            client.received()
        self.block(ROMEO)
        gone = [(stanza["from"], stanza["type"]) for stanza in self.romeo.received()]
        self.assertEqual(gone, [(client.address, "unavailable") for client in (self.juliet, self.phone)])
        self.assertEqual(self.tybalt.received(), [])
        self.unblock()
        self.juliet.dropConnection()
        self.assertEqual((self.received(self.romeo), self.received(self.tybalt)), ([], ["presence unavailable"]))

    def test_room(self) -> None:
        """Who blocks a room leaves it, and cannot enter again."""
        room = "room@conference.localhost"
        join = f"<presence id='1' to='{room}/Juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        self.juliet.sends(join)
        self.juliet.received()
        self.juliet.sends(f"<iq type='set' id='1'>{command('block', [room])}</iq>")
        self.assertEqual(self.received(self.juliet), ["iq 1 result", "presence unavailable"])
        self.romeo.sends(join.replace("Juliet", "Romeo"))
        self.assertEqual(self.romeo.received()[0]["from"], f"{room}/Romeo")
        self.juliet.sends(join)
        self.assertEqual(self.received(self.juliet), ["presence 1 not-acceptable"])


class Contacts(Handler):
    """Contacts at another domain, who record what presence they get."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def onPresence(self, element: Element, to: JID) -> None:
        """Record presence."""
        self.seen.append(f"{element.get('type') or 'available'} {element['from'].partition('@')[2]} {to.local}")

    stanzas = {("presence", ANY, BARE): onPresence}

    def take(self) -> list[str]:
        """What has come since the last call: type, sender without name, and the contact."""
        seen, self.seen = sorted(self.seen), []
        return seen


class ContactTests(BlockingTestCase):
    """Effects on contacts in the roster, of whom each has a subscription that is their name."""

    def setUp(self) -> None:
        """Fill Juliet's roster."""
        super().setUp()
        self.contacts = Contacts()
        self.server.addHandler(self.contacts, "remote.lit")
        items: dict[str, RosterItem | None] = {
            f"{name}@remote.lit": RosterItem(subscription=name) for name in ("none", "to", "from", "both")
        }
        items["asked@remote.lit"] = RosterItem(request=b"<presence type='subscribe' from='asked@remote.lit'/>")
        self.successResultOf(self.server.rosters.change(JULIET, lambda _: PlannedChange(items, lambda: None)))

    def test_withdrawn(self) -> None:
        """Those who have the presence of the account get an unavailable one, of each available resource."""
        self.available(self.juliet)
        self.contacts.take()
        self.block("remote.lit")
        self.assertEqual(self.contacts.take(), ["unavailable localhost/pc both", "unavailable localhost/pc from"])
        self.block("from@remote.lit")
        self.assertEqual(self.contacts.take(), ["unavailable localhost/pc from"])

    def test_restored(self) -> None:
        """
        They get the present one when they are unblocked, unless they are blocked otherwise, and those whose presence
        the account has had are asked for it.
        """
        self.available(self.juliet)
        self.block("remote.lit", "from@remote.lit")
        self.contacts.take()
        self.unblock("remote.lit")
        expected = ["available localhost/pc both", "probe localhost both", "probe localhost to"]
        self.assertEqual(self.contacts.take(), expected)
        self.unblock()
        self.assertEqual(self.contacts.take(), ["available localhost/pc from"])
        self.juliet.sends("<presence type='unavailable'/>")
        self.juliet.received()
        self.block("remote.lit")
        self.contacts.take()
        self.unblock()
        self.assertEqual(self.contacts.take(), [])

    def test_whileBlocked(self) -> None:
        """
        Meanwhile those who are blocked get no presence and no probes, and their requests are not shown; others do.
        """
        self.block("both@remote.lit", "asked@remote.lit")
        self.juliet.sends("<presence/>")
        self.assertEqual(self.received(self.juliet), ["presence"])
        self.assertEqual(self.contacts.take(), ["available localhost/pc from", "probe localhost to"])
        self.juliet.dropConnection()
        self.assertEqual(self.contacts.take(), ["unavailable localhost/pc from"])


class ReportTests(BlockingTestCase):
    """Reports (XEP-0377 §4)."""

    def setUp(self) -> None:
        """Capture the log."""
        super().setUp()
        self.patch(eventlog, "limit", eventlog.RateLimit())
        self.logged = Logged(self)
        Logger.threshold = LogLevel.info

    def lines(self) -> list[str]:
        """The lines since the last call."""
        lines = self.logged.lines(LogLevel.info)
        self.logged.events.clear()
        return lines

    def report(self, inside: str, *addresses: str) -> str:
        """Block addresses with what is in each item."""
        return self.outcome(self.juliet, "set", command("block", addresses or (ROMEO,), inside))

    def test_logged(self) -> None:
        """A report is logged in one line, with its reason, the number of messages and the text."""
        messages = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{JULIET}' id='1'/>" * 2
        text = "<text xml:lang='en'>Never came\ntrouble</text>"
        self.assertEqual(self.report(REPORT.format(reason="spam", inside=messages + text)), "result")
        self.assertEqual(
            self.lines(),
            [f'abuse-reported by {JULIET}: {ROMEO}, urn:xmpp:reporting:spam, 2 messages, "Never came\\ntrouble"'],
        )
        self.assertEqual(self.list(), [ROMEO])

    def test_pushed(self) -> None:
        """Other clients get the addresses only."""
        self.list(self.phone)
        self.report(REPORT.format(reason="abuse", inside=""))
        [push] = self.phone.received()
        self.assertEqual(shown(push), f"block {ROMEO}")
        [item] = next(push.childElements()).childElements()
        self.assertEqual(item.children, [])

    def test_malformed(self) -> None:
        """What is in a report does not keep an address from being blocked, and cannot forge a line."""
        for inside in ("<report xmlns='urn:xmpp:reporting:1'/>", "<report xmlns='urn:x' reason='x'/>"):
            self.assertEqual(self.report(inside), "result")
        self.assertEqual(self.lines(), [f'abuse-reported by {JULIET}: {ROMEO}, -, 0 messages, ""'])
        reason = "x, 0 messages&#10;login from 127.0.0.1"
        self.report(f"<report xmlns='urn:xmpp:reporting:1' reason='{reason}'><text>{'x' * 1000}</text></report>")
        [line] = self.lines()
        self.assertLess(len(line), 400)
        self.assertNotIn("\n", line)

    def test_refused(self) -> None:
        """A report of an address that is not blocked is not logged, and of many in one request only some are."""
        report = REPORT.format(reason="spam", inside="")
        self.assertEqual(self.report(report, "a" * 300 + "@x"), "resource-constraint")
        self.assertEqual(self.lines(), [])
        self.assertEqual(self.report(report, *(f"{number}@x" for number in range(20))), "result")
        self.assertEqual(len(self.lines()), 10)
