# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.archiveretractions} (XEP-0424)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from muccore.im import archiveretractions
from muccore.testing.inmemory import parseStanza
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import render
from tests.im.archivehelpers import JULIET, ROMEO, AccountArchiveTestCase

PM = f"<x xmlns='{ns.MUC_USER}'/>"


class RetractionTests(AccountArchiveTestCase):
    """Romeo writes, and thinks better of it."""

    def retract(self, target: str, to: str = JULIET, id: str = "r", **options: object) -> None:
        """Retract a message."""
        retract = f"<retract xmlns='{ns.RETRACT}' id='{target}'/><body>/me has retracted</body>"
        self.write(retract, to, id=id, **options)  # type: ignore[arg-type]

    def correct(self, target: str, body: str, id: str) -> None:
        """Correct a message."""
        self.write(f"<body>{body}</body><replace xmlns='{ns.CORRECT}' id='{target}'/>", id=id)

    def retracted(self, account: str) -> list[str]:
        """The ids of the messages of which tombstones are in an archive."""
        return [each["id"] for each in self.inArchive(account) if each.child("retracted", ns.RETRACT) is not None]

    def test_tombstones(self) -> None:
        """In both archives a tombstone and the retraction stay; the message cannot be found by its words (§4, §5)."""
        juliet = self.appear("juliet")
        self.say("secret", id="a")
        self.say("b", id="b")
        self.server.clock.advance(1)
        self.retract("a")
        self.assertEqual(len(juliet.received()), 3)
        for account in (ROMEO, JULIET):
            first, second, third = self.inArchive(account)
            expected = (
                f"<message to='{JULIET}' type='chat' from='{ROMEO}/pc' id='a'>"
                f"<retracted xmlns='{ns.RETRACT}' id='r' stamp='2001-09-09T01:46:41Z'/></message>"
            )
            self.assertEqual(render(first), render(parseStanza(expected)).replace(b"id='a' from", b"from"))
            self.assertEqual((second["id"], third["id"]), ("b", "r"))
            self.assertEqual([item.retracted for item in self.items(account)], [True, False, False])

    def test_corrections(self) -> None:
        """The corrections of a message are retracted with it, and theirs; not those of others."""
        self.say("secret", id="a")
        self.say("other", id="b")
        self.correct("a", "secrets", "c")
        self.correct("b", "others", "d")
        self.correct("c", "more secrets", "e")
        self.retract("a")
        for account in (ROMEO, JULIET):
            self.assertEqual(self.retracted(account), ["a", "c", "e"])

    def test_offline(self) -> None:
        """It works while the other one is away."""
        self.say("secret", id="a")
        self.retract("a")
        self.assertEqual(self.retracted(JULIET), ["a"])

    def test_author(self) -> None:
        """Only what the same account has written in the same conversation is retracted (§5)."""
        juliet, nurse = self.appear("juliet"), self.appear("nurse")
        self.romeo.sends("<presence/>")
        self.say("a", id="a")
        self.say("b", ROMEO, "b", juliet)
        self.retract("a", ROMEO, sender=juliet)
        self.retract("a", ROMEO, sender=nurse)
        self.retract("a", JULIET, sender=nurse)
        self.retract("b")
        self.retract("a", "nurse@localhost")
        for account in (ROMEO, JULIET, "nurse@localhost"):
            self.assertEqual(self.retracted(account), [])
        # Another client of the author may.
        self.retract("a", sender=self.login("romeo/phone")[0])
        self.assertEqual((self.retracted(ROMEO), self.retracted(JULIET)), (["a"], ["a"]))

    def test_last(self) -> None:
        """Of several with an id, the last is meant; one that is retracted is no longer looked at."""
        self.say("first", id="a")
        self.say("second", id="a")
        self.retract("a", id="r1")
        self.assertEqual(self.bodies(ROMEO)[:2], ["first", ""])
        self.retract("a", id="r2")
        self.assertEqual(self.bodies(ROMEO)[:2], ["", ""])

    def test_nothing(self) -> None:
        """What names nothing, has no id, or is about a retraction, is archived and changes nothing."""
        self.say("a", id="a")
        self.retract("x", id="r1")
        self.retract("", id="r2")
        self.retract("a", id="")
        self.retract("r1", id="r3")
        self.assertEqual(self.retracted(ROMEO), [])
        self.assertEqual(len(self.items(ROMEO)), 5)

    def test_far(self) -> None:
        """Pages are searched, up to a limit."""
        self.patch(archiveretractions, "PAGE", 3)
        self.patch(archiveretractions, "PAGES", 3)
        self.say("near", id="near")
        for number in range(8):
            self.say("x", id=str(number))
        self.retract("near")
        self.assertEqual(self.retracted(ROMEO), ["near"])
        self.say("far", id="far")
        for number in range(9):
            self.say("x", id=f"y{number}")
        self.retract("far")
        self.assertEqual(self.retracted(ROMEO), ["near"])

    def test_bounded(self) -> None:
        """Of those that wait while the archive is read there are few; of others only the retraction is archived."""
        self.patch(archiveretractions, "WAITING_LIMIT", 2)
        for id in "abc":
            self.say(id, id=id)
        query, reading, held = self.archives.query, [], []

        def slow(*arguments: Any) -> Deferred[Any]:
            waiting: Deferred[Any] = Deferred()
            held.append(lambda: query(*arguments).chainDeferred(waiting))
            reading.append(arguments[0])
            return waiting

        self.patch(self.archives, "query", slow)
        for id in "abc":
            self.retract(id, id=f"r{id}")
        while held:
            held.pop(0)()
        self.assertEqual((reading.count(ROMEO), self.retracted(ROMEO)), (2, ["a", "b"]))
        self.assertEqual(len(self.items(ROMEO)), 6)
        self.retract("c", id="again")
        while held:
            held.pop(0)()
        self.assertEqual(self.retracted(ROMEO), ["a", "b", "c"])

    def test_rooms(self) -> None:
        """Of private messages in rooms, the nick and the occupant id have to be the same."""
        archive = self.archive
        self.appear("juliet")

        def receive(nick: str, id: str, inside: str, occupant: str) -> None:
            message = parseStanza(
                f"<message type='chat' from='room@conference.localhost/{nick}' id='{id}'>{inside}{PM}</message>"
            )
            stamps = f"<occupant-id xmlns='{ns.OCCUPANT_ID}' id='{occupant}'/>".encode()
            archive.receive(message, stamps, parse(JULIET))

        retract = f"<retract xmlns='{ns.RETRACT}' id='a'/>"
        receive("Witch", "a", "<body>secret</body>", "1")
        receive("Hag", "r1", retract, "1")
        receive("Witch", "r2", retract, "2")
        self.assertEqual(self.retracted(JULIET), [])
        receive("Witch", "r3", retract, "1")
        self.assertEqual(self.retracted(JULIET), ["a"])
        self.assertEqual(self.inArchive(JULIET)[0]["to"], JULIET)

    def test_preferences(self) -> None:
        """Who does not want the conversation archived gets no tombstones either."""
        self.say("a", id="a")
        prefs = f"<prefs xmlns='{ns.MAM}' default='never'/>"
        self.assertEqual(self.outcome(self.romeo, "set", prefs), "result")
        self.retract("a")
        self.assertEqual((self.retracted(ROMEO), self.retracted(JULIET)), ([], ["a"]))

    def test_storeFails(self) -> None:
        """If the store fails, the retraction passes."""
        juliet = self.appear("juliet")
        self.say("a", id="a")
        self.archives.failing = True
        self.retract("a")
        self.assertEqual(len(juliet.received()), 2)
        self.assertEqual(self.retracted(ROMEO), [])
