# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.archive} (XEP-0313)."""

from __future__ import annotations

from twisted.logger import formatEvent, globalLogPublisher

from muccore.interfaces import IAccountArchive, Offering
from muccore.testing.inmemory import Client, parseStanza
from muccore.xmpp import archivequeries, ns, retractions
from muccore.xmpp.discovery import wokkelJID
from muccore.xmpp.element import Element
from muccore.xmpp.errors import conditionOf
from muccore.xmpp.guestnames import newGuestName
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import render
from tests.im.archivehelpers import JULIET, ROMEO, AccountArchiveTestCase

STORE = f"<store xmlns='{ns.HINTS}'/>"
NO_STORE = f"<no-store xmlns='{ns.HINTS}'/>"


class KeepingTests(AccountArchiveTestCase):
    """What is archived, once, with which id."""

    def test_both(self) -> None:
        """A message is in the archives of both, as it was sent; its recipient gets the id of their own."""
        juliet, phone = self.appear("juliet"), self.appear("juliet/phone")
        self.say("a")
        received = juliet.received()
        self.assertEqual(self.bodies(ROMEO), ["a"])
        self.assertEqual(self.bodies(JULIET), ["a"])
        [sent], [kept] = self.inArchive(ROMEO), self.inArchive(JULIET)
        expected = f"<message to='{JULIET}' type='chat' id='m' from='romeo@localhost/pc'><body>a</body></message>"
        self.assertEqual(render(sent), render(parseStanza(expected)))
        self.assertEqual(render(kept), render(sent))
        stamped = [
            (child["by"], child["id"]) for each in received for child in each.childElements() if child.name != "body"
        ]
        self.assertEqual(stamped, [(JULIET, self.ids(JULIET)[0])])
        self.assertNotEqual(self.ids(ROMEO), self.ids(JULIET))
        self.assertEqual(self.stanzaIds(phone, JULIET), self.ids(JULIET))
        [item] = self.items(ROMEO)
        self.assertEqual((item.sender, item.author, item.time), (JULIET, ROMEO, 10**15))
        [item] = self.items(JULIET)
        self.assertEqual((item.sender, item.author), ("romeo@localhost/pc", ROMEO))

    def test_copies(self) -> None:
        """Copies have the id, those of the sender's messages too, which the message itself has not (§3.5)."""
        own, hers = self.appear("romeo/phone", True), self.appear("juliet/phone", True)
        juliet = self.appear("juliet/pc")
        self.say("a", f"{JULIET}/pc")
        self.assertEqual(self.stanzaIds(own, ROMEO), self.ids(ROMEO))
        self.assertEqual(self.stanzaIds(hers, JULIET), self.ids(JULIET))
        [message] = juliet.received()
        self.assertEqual([child["by"] for child in message.childElements() if child.name == "stanza-id"], [JULIET])

    def test_guests(self) -> None:
        """Guests have no archives; what they write is in those of others."""
        self.archive.guests = True
        name = newGuestName()
        guest, juliet = self.appear(name), self.appear("juliet")
        self.say("a", sender=guest)
        self.say("b", f"{name}@localhost", sender=juliet)
        self.assertEqual((self.items(f"{name}@localhost"), self.bodies(JULIET)), ([], ["a", "b"]))
        target = wokkelJID(parse(f"{name}@localhost"))
        self.assertNotIn(ns.MAM, str(self.archive.getDiscoInfo(target, target)))

    def test_foreignIds(self) -> None:
        """Ids that claim to be an account's are replaced or removed, in any spelling; others stay (XEP-0359 §3)."""
        juliet = self.appear("juliet")

        def id(by: str) -> str:
            return f"<stanza-id xmlns='{ns.STANZA_ID}' id='x' by='{by}'/>"

        others = id("room@conference.localhost") + id("@@") + f"<origin-id xmlns='{ns.STANZA_ID}' id='o'/>"
        forged = id(ROMEO) + id(JULIET) + id("JULIET@LOCALHOST")
        for inside in ("<body>a</body>", f"<composing xmlns='{ns.CHAT_STATES}'/>"):
            self.write(inside + others + forged)
            [message] = juliet.received()
            found = [(child.get("by"), child["id"]) for child in message.childElements() if child.uri == ns.STANZA_ID]
            expected = [("room@conference.localhost", "x"), ("@@", "x"), (None, "o")]
            self.assertEqual(found, [*expected, (JULIET, self.ids(JULIET)[0])] if "body" in inside else expected)
        self.assertNotIn(ROMEO.encode() + b"'/>", render(self.inArchive(ROMEO)[0]))

    def test_toOneself(self) -> None:
        """What a user sends to themselves is archived once, with the id that all of their clients get."""
        self.romeo.sends("<presence/>")
        phone = self.appear("romeo/phone")
        self.say("note", ROMEO)
        self.assertEqual(self.bodies(ROMEO), ["note"])
        self.assertEqual(self.stanzaIds(phone, ROMEO), self.ids(ROMEO))
        self.write("<body>b</body>", "romeo@localhost/phone")
        self.assertEqual(self.bodies(ROMEO), ["note", "b"])

    def test_refused(self) -> None:
        """What is returned is in the archive of its sender only (§6.1): the session is gone, the sender blocked."""
        self.assertEqual(self.write("<body>a</body>", f"{JULIET}/gone", "normal"), ["service-unavailable"])
        juliet = self.appear("juliet")
        self.outcome(juliet, "set", f"<block xmlns='{ns.BLOCKING}'><item jid='{ROMEO}'/></block>")
        self.assertEqual(self.say("b"), ["service-unavailable"])
        self.assertEqual(self.bodies(ROMEO), ["a", "b"])
        self.assertEqual(self.items(JULIET), [])
        self.assertEqual(self.say("c", ROMEO, sender=juliet), ["not-acceptable"])
        self.assertEqual(self.items(JULIET), [])
        # Errors are not archived.
        self.write("<body>a</body><error type='cancel'/>", type="error")
        self.assertEqual(self.bodies(ROMEO), ["a", "b"])

    def test_headlines(self) -> None:
        """Headlines are archived if their sender wants that and somebody gets them."""
        self.write(f"<body>a</body>{STORE}", type="headline")
        self.assertEqual(self.bodies(JULIET), [])
        self.appear("juliet")
        self.write("<body>b</body>", type="headline")
        self.write(f"<body>c</body>{STORE}", type="headline")
        self.assertEqual(self.bodies(JULIET), ["c"])

    def test_withoutDocuments(self) -> None:
        """Without a store for documents of users everything is archived."""
        self.archive._states = None
        self.appear("juliet")
        self.say("a")
        self.assertEqual(self.bodies(JULIET), ["a"])

    def test_storeFails(self) -> None:
        """Messages pass if they cannot be archived; that is logged once a minute."""
        juliet = self.appear("juliet")
        logged: list[str | None] = []

        def observe(event: object) -> None:
            logged.append(formatEvent(event))  # type: ignore[arg-type]

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.archives.failing = True
        self.say("a")
        self.server.clock.advance(61)
        self.say("b")
        self.assertEqual(len(juliet.received()), 2)
        self.assertEqual(
            [line for line in logged if line and "could not" in line],
            [
                "1 messages of users could not be archived: test: it fails",
                "2 messages of users could not be archived: test: it fails",
            ],
        )


class OfflineTests(AccountArchiveTestCase):
    """Messages to users who are not there."""

    def test_delivered(self) -> None:
        """A message is archived when it is stored, once, and delivered with its id."""
        self.say("a")
        self.say("b", f"{JULIET}/gone")
        self.assertEqual(self.bodies(JULIET), ["a", "b"])
        [juliet] = self.login("juliet")
        juliet.sends("<presence/>")
        self.assertEqual(self.stanzaIds(juliet, JULIET), self.ids(JULIET))
        self.assertEqual(len(self.items(JULIET)), 2)
        self.assertNotIn(b"<delay", render(self.inArchive(JULIET)[0]))

    def test_noAccount(self) -> None:
        """Nothing is archived for accounts that do not exist, and their senders see no difference."""
        self.assertEqual(self.say("a", "nobody@localhost"), self.say("a"))
        self.assertEqual(self.items("nobody@localhost"), [])
        self.assertEqual(self.successResultOf(self.archives.names("", 9)), [JULIET, ROMEO])

    def test_full(self) -> None:
        """What does not fit any more is not in the archive (§6.1); strangers do not learn of it."""
        self.offline.limit = 1000
        self.assertEqual(self.say("a"), [])
        self.assertEqual(self.say("b" * 800), [])
        self.assertEqual(self.say("c"), [])
        self.assertEqual(self.bodies(JULIET), ["a", "c"])

    def test_off(self) -> None:
        """If offline messages are not kept, they are returned, and not archived."""
        self.offline.limit = 0
        self.assertEqual(self.say("a"), ["service-unavailable"])
        self.assertEqual(self.bodies(JULIET), [])

    def test_unacknowledged(self) -> None:
        """What a client has not acknowledged is stored with its id, and archived no second time."""
        juliet = self.appear("juliet")
        juliet.session.enableManagement(False, None)
        self.say("a")
        juliet.dropConnection()
        self.server.clock.advance(0)
        self.assertEqual(self.bodies(JULIET), ["a"])
        [juliet] = self.login("juliet/phone")
        juliet.sends("<presence/>")
        self.assertEqual(self.stanzaIds(juliet, JULIET), self.ids(JULIET))
        self.assertEqual(len(self.items(JULIET)), 1)

    def test_copies(self) -> None:
        """A client that gets no messages itself gets a copy of what is stored with the same id, archived once."""
        [laptop] = self.login("juliet/laptop")
        laptop.sends("<presence><priority>-1</priority></presence>")
        laptop.sends(f"<iq type='set' id='c'><enable xmlns='{ns.CARBONS}'/></iq>")
        laptop.received()
        self.say("a")
        self.assertEqual(self.bodies(JULIET), ["a"])
        self.assertEqual(self.stanzaIds(laptop, JULIET), self.ids(JULIET))
        laptop.sends("<presence/>")
        self.assertEqual(self.stanzaIds(laptop, JULIET), self.ids(JULIET))
        self.write(f"<body>b</body><private xmlns='{ns.CARBONS}'/>", f"{JULIET}/gone", "normal")
        self.assertEqual(self.bodies(JULIET), ["a"])

    def test_permanent(self) -> None:
        """What is not to be stored permanently is delivered later, and not archived (XEP-0334 §4.1)."""
        self.write(f"<body>a</body><no-permanent-store xmlns='{ns.HINTS}'/>")
        self.assertEqual(self.items(JULIET), [])
        [juliet] = self.login("juliet")
        juliet.sends("<presence/>")
        self.assertEqual(self.stanzaIds(juliet, JULIET), [None])

    def test_hints(self) -> None:
        """What is not to be stored is neither stored nor archived; a retraction is, whatever its sender wants."""
        self.write(f"<body>a</body>{NO_STORE}")
        self.assertEqual(self.items(JULIET), [])
        self.write(f"<retract xmlns='{ns.RETRACT}' id='x'/>{NO_STORE}")
        self.assertEqual(len(self.items(JULIET)), 1)
        [juliet] = self.login("juliet")
        juliet.sends("<presence/>")
        self.assertEqual(self.stanzaIds(juliet, JULIET), self.ids(JULIET))


class ReadingTests(AccountArchiveTestCase):
    """Queries."""

    def setUp(self) -> None:
        """Let them talk."""
        super().setUp()
        self.juliet = self.appear("juliet/balcony")
        self.romeo.sends("<presence/>")
        for number, (body, to) in enumerate(
            [("a", JULIET), ("b", f"{JULIET}/balcony"), ("c", "nurse@elsewhere.example"), ("d", ROMEO)]
        ):
            self.say(body, to, str(number))
            self.server.clock.advance(1)
        self.say("e answer", f"{ROMEO}/pc", sender=self.juliet)
        self.romeo.received()
        self.juliet.received()

    def query(self, fields: str = "", rest: str = "", client: Client | None = None, to: str = "") -> list[str]:
        """Query; return the bodies that come, and C{complete} at the end, or the condition of the error."""
        form = "".join(
            f"<field var='{name}'><value>{value}</value></field>"
            for name, value in [("FORM_TYPE", ns.MAM), *(each.split("=", 1) for each in fields.split())]
        )
        x = f"<x xmlns='{ns.DATA}' type='submit'>{form}</x>" if fields else ""
        client = client or self.romeo
        address = f" to='{to}'" if to else ""
        client.sends(f"<iq type='set' id='q'{address}><query xmlns='{ns.MAM}' queryid='f'>{x}{rest}</query></iq>")
        *results, answer = client.received()
        condition = conditionOf(answer)
        if condition is not None:
            return [condition]
        found = [self.bodyIn(each) for each in results]
        [fin] = answer.childElements()
        return [*found, "complete"] if fin.get("complete") == "true" else found

    def bodyIn(self, message: Element) -> str:
        """The body in a result."""
        [result] = message.childElements()
        self.assertEqual((result.uri, result.name, result["queryid"]), (ns.MAM, "result", "f"))
        self.assertEqual((message["from"], message["to"]), (ROMEO, f"{ROMEO}/pc"))
        [forwarded] = result.childElements()
        delay, stanza = forwarded.childElements()
        self.assertEqual(delay.uri, ns.DELAY)
        self.assertIn("to", stanza.attributes)
        return stanza.childText("body") or ""

    def test_described(self) -> None:
        """XEP-0386 §3.2: a client is told of the ends when it binds a resource; streams are offered nothing."""
        [feature] = self.archive.streamFeatures
        self.assertEqual(list(feature.offer(Offering(True, None))), [])
        empty = f"<metadata xmlns='{ns.MAM}'/>".encode()
        self.assertEqual(self.successResultOf(feature.describe(parse("nurse@localhost"))), empty)
        described = parseStanza(self.successResultOf(feature.describe(parse(ROMEO))).decode())
        ids = self.ids(ROMEO)
        self.assertEqual([child["id"] for child in described.childElements()], [ids[0], ids[-1]])
        self.archive.guests = True
        guest = parse(f"{newGuestName()}@localhost")
        self.assertEqual(self.successResultOf(feature.describe(guest)), b"")

    def test_all(self) -> None:
        """All that was sent and received comes in order; with pages, limits, flipped, and by time."""
        everything = ["a", "b", "c", "d", "e answer"]
        self.assertEqual(self.query(), [*everything, "complete"])
        self.assertEqual(self.query(to=ROMEO), [*everything, "complete"])
        self.assertEqual(self.query(rest="<flip-page/>"), [*everything[::-1], "complete"])

        def rsm(inside: str) -> str:
            return f"<set xmlns='{ns.RSM}'>{inside}</set>"

        ids = self.ids(ROMEO)
        self.assertEqual(self.query(rest=rsm("<max>2</max>")), ["a", "b"])
        self.assertEqual(self.query(rest=rsm(f"<max>2</max><after>{ids[1]}</after>")), ["c", "d"])
        self.assertEqual(self.query(rest=rsm("<max>2</max><before/>")), ["d", "e answer"])
        self.assertEqual(self.query(f"after-id={ids[0]} before-id={ids[3]}"), ["b", "c", "complete"])
        self.assertEqual(self.query(f"ids={ids[3]}"), ["d", "complete"])
        self.assertEqual(self.query("start=2001-09-09T01:46:41Z end=2001-09-09T01:46:42Z"), ["b", "c", "complete"])
        for wrong in ("ids=x", "after-id=x", "before-id=x"):
            self.assertEqual(self.query(wrong), ["item-not-found"])
        self.assertEqual(self.query(rest=rsm("<after>x</after>")), ["item-not-found"])

    def test_with(self) -> None:
        """By the other end, bare or full (§4.1.1); their own address finds what they have sent to themselves."""
        for address, expected in (
            (JULIET, ["a", "b", "e answer"]),
            (f"{JULIET}/balcony", ["b", "e answer"]),
            (f"{JULIET}/other", []),
            ("nurse@elsewhere.example", ["c"]),
            (ROMEO, ["d"]),
            (f"{ROMEO}/phone", ["d"]),
            ("elsewhere.example", []),
        ):
            self.assertEqual(self.query(f"with={address}"), [*expected, "complete"], address)

    def test_text(self) -> None:
        """By words (XEP-0431); whether messages of rooms are wanted makes no difference (§4.1.4)."""
        self.assertEqual(self.query(f"{{{ns.FULL_TEXT}}}fulltext=ANSWER"), ["e answer", "complete"])
        self.assertEqual(self.query("include-groupchat=true with=nurse@elsewhere.example"), ["c", "complete"])
        self.assertEqual(self.query("colour=red"), ["feature-not-implemented"])

    def test_forbidden(self) -> None:
        """Nobody else reads an archive, of an account that exists or not (§8.1)."""
        for payload in ("<query/>", "<metadata/>", "<prefs/>"):
            made = payload.replace("/>", f" xmlns='{ns.MAM}'/>")
            for account in (JULIET, "nobody@localhost"):
                self.assertEqual(self.outcome(self.romeo, "get", made, account), "forbidden")
        for account in (JULIET, "nobody@localhost"):
            self.assertEqual(self.query(to=account), ["forbidden"])
            prefs = f"<prefs xmlns='{ns.MAM}' default='never'/>"
            self.assertEqual(self.outcome(self.romeo, "set", prefs, account), "forbidden")

    def test_form(self) -> None:
        """The fields can be asked for (§4.1.5)."""
        answer = self.ask(self.romeo, "get", f"<query xmlns='{ns.MAM}'/>")
        [query] = answer.childElements()
        self.assertEqual(render(query), render(archivequeries.form(True)))

    def test_metadata(self) -> None:
        """The ends of the archive (§5), to the client and to those who ask for the account."""
        answer = self.ask(self.romeo, "get", f"<metadata xmlns='{ns.MAM}'/>")
        [metadata] = answer.childElements()
        self.assertEqual(
            [(each.name, each["id"], each["timestamp"]) for each in metadata.childElements()],
            [
                ("start", self.ids(ROMEO)[0], "2001-09-09T01:46:40Z"),
                ("end", self.ids(ROMEO)[-1], "2001-09-09T01:46:44Z"),
            ],
        )
        archive = self.romeo.session.accountArchive
        self.assertTrue(IAccountArchive.providedBy(archive))
        assert archive is not None
        ends = self.successResultOf(archive.metadata(parse(ROMEO)))
        self.assertEqual((ends.firstId, ends.lastId), (self.ids(ROMEO)[0], self.ids(ROMEO)[-1]))
        self.assertIsNone(self.successResultOf(archive.metadata(parse("nurse@localhost"))))
        [empty] = self.ask(self.login("nurse")[0], "get", f"<metadata xmlns='{ns.MAM}'/>").childElements()
        self.assertEqual(render(empty), f"<metadata xmlns='{ns.MAM}'/>".encode())

    def test_removed(self) -> None:
        """The archive of an account that ends is removed; others stay."""
        self.successResultOf(self.archive.remove(ROMEO))
        self.assertEqual(self.query(), ["complete"])
        self.assertEqual(self.bodies(JULIET), ["a", "b", "e answer"])

    def test_storeFails(self) -> None:
        """If the store fails, the client learns it."""
        self.successResultOf(self.archives.close())
        self.assertEqual(self.query(), ["internal-server-error"])
        self.assertEqual(
            self.outcome(self.romeo, "get", f"<metadata xmlns='{ns.MAM}'/>"), "internal-server-error"
        )

    def test_discovery(self) -> None:
        """The account announces it, not the domain (§7); but for what a server knows of retractions."""
        found = set(map(str, self.archive.getDiscoInfo(None, wokkelJID(parse(ROMEO)))))
        self.assertEqual(
            found,
            {
                ns.MAM, f"{ns.MAM}#extended", f"{ns.MAM}#groupchat-field", ns.FULL_TEXT, ns.STANZA_ID,
                *retractions.FEATURES,
            },
        )  # fmt: skip
        domain = self.archive.getDiscoInfo(None, wokkelJID(parse("localhost")))
        self.assertEqual(tuple(map(str, domain)), retractions.FEATURES)
        self.assertEqual(list(self.archive.getDiscoInfo(None, wokkelJID(parse(f"{ROMEO}/pc")))), [])
        self.assertEqual(list(self.archive.getDiscoInfo(None, wokkelJID(parse(ROMEO)), "node")), [])
