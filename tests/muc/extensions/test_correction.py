# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.correction} (XEP-0308)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from tests.muc.extensions.retractions import RetractionTestCase, child, conditionOf
from tests.muc.muchelpers import configure, leave, say, sendGroupchat, sendIQ, sendPresence, summaries, summary

BODY = "<body>Hello</body>"


class CorrectionTestCase(RetractionTestCase):
    """A room in which people correct."""

    def correct(self, client: Client, id: str, inside: str = BODY, messageId: str | None = "c") -> None:
        """Send a correction."""
        sendGroupchat(client, f"{inside}<replace xmlns='{ns.CORRECT}' id='{id}'/>", messageId)

    def assertCorrected(self, nick: str = "Juliet", body: str = "body:Hello ") -> None:
        """Romeo has received one correction; others are not asked."""
        self.assertEqual(summaries(self.romeo), [f"{nick} groupchat {body}replace"])
        self.discardReceived()

    def assertRefused(self, client: Client, condition: str) -> None:
        """A client has received one error, and nobody anything else."""
        self.assertEqual(self.errorOf(client), condition)


class CorrectionTests(CorrectionTestCase):
    """A room without an archive."""

    def test_discovery(self) -> None:
        """The feature is one of clients, not of the room (Discovering support)."""
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        self.assertNotIn(ns.CORRECT, self.result(self.romeo).toXml())

    def test_corrected(self) -> None:
        """All receive the correction as it was sent, and the history has both."""
        self.said(self.juliet, "Helo", "m")
        self.correct(self.juliet, "m")
        for client in self.clients:
            [message] = client.received()
            self.assertEqual(child(message, ("replace", ns.CORRECT)).attributes, {"id": "m"})
            self.assertEqual(message["id"], "c")
        found = [summary(each) for each in self.history()]
        self.assertEqual(found, ["Juliet groupchat body:Helo delayed", "Juliet groupchat body:Hello replace delayed"])

    def test_severalTimes(self) -> None:
        """A message is corrected several times, by its own id; older clients give that of the last correction."""
        self.said(self.juliet, "Helo", "m")
        self.correct(self.juliet, "m")
        self.assertCorrected()
        for id in ("m", "c"):
            self.correct(self.juliet, id, messageId=f"{id}2")
            self.assertCorrected()

    def test_others(self) -> None:
        """Nobody corrects what another one has said, not even the owner; nor by the room's id."""
        id = self.said(self.juliet, "mine", "m")
        for client in (self.romeo, self.tybalt):
            for own in ("m", id):
                self.correct(client, own)
                self.assertRefused(client, "forbidden")
        self.assertEqual([summary(each) for each in self.history()], ["Juliet groupchat body:mine delayed"])

    def test_takenOver(self) -> None:
        """Who repeats the id of another one's message does not get to correct it."""
        self.said(self.juliet, "mine", "m")
        self.said(self.tybalt, "trap", "m")
        self.correct(self.tybalt, "m")
        self.assertRefused(self.tybalt, "forbidden")
        self.correct(self.juliet, "m")
        self.assertCorrected()

    def test_nickOfAnother(self) -> None:
        """Who has taken over the nick of an author is refused (Security Considerations)."""
        self.said(self.juliet, "mine", "m")
        leave(self.juliet, "Juliet")
        sendPresence(self.tybalt, "Juliet")
        self.discardReceived()
        self.correct(self.tybalt, "m")
        self.assertRefused(self.tybalt, "forbidden")

    def test_otherNickAndSession(self) -> None:
        """The author is the account, whatever its nick is, from wherever it comes, and after it has left."""
        self.said(self.juliet, "Helo", "m")
        sendPresence(self.juliet, "J")
        self.discardReceived()
        self.correct(self.juliet, "m")
        self.assertCorrected("J")
        leave(self.juliet, "J")
        phone = self.enter("juliet/phone", "Capulet")
        self.correct(phone, "m")
        self.assertCorrected("Capulet")

    def test_roomsId(self) -> None:
        """A client may give the id that the room gave its message, of which it is sent on as it is."""
        id = self.said(self.juliet, "Helo", None)
        self.correct(self.juliet, id)
        self.assertCorrected()

    def test_unknown(self) -> None:
        """A message that nobody sent, or that is too old, is not found; the text reaches nobody."""
        self.said(self.juliet, "Helo", "m")
        self.correct(self.juliet, "n")
        self.assertRefused(self.juliet, "item-not-found")
        for _ in range(200):
            say(self.tybalt, "bla")
        self.discardReceived()
        self.correct(self.juliet, "m")
        self.assertRefused(self.juliet, "item-not-found")

    def test_retracted(self) -> None:
        """What was retracted does not come back as a correction."""
        self.retract(self.juliet, self.said(self.juliet, "secret", "m"))
        self.discardReceived()
        self.correct(self.juliet, "m")
        self.assertRefused(self.juliet, "item-not-found")

    def test_notKept(self) -> None:
        """A message that nothing keeps, such as an encrypted one or one with a hint, is known nevertheless."""
        configure(self.romeo, **{"muc#maxhistoryfetch": "0"})
        store, noStore = (f"<{name} xmlns='{ns.HINTS}'/>" for name in ("store", "no-store"))
        for number, inside in enumerate((BODY, BODY + noStore, "<encrypted xmlns='urn:x'/>" + store)):
            sendGroupchat(self.juliet, inside, f"m{number}")
            self.discardReceived()
            self.correct(self.tybalt, f"m{number}")
            self.assertRefused(self.tybalt, "forbidden")
            self.correct(self.juliet, f"m{number}")
            self.assertCorrected()

    def test_invalid(self) -> None:
        """A correction without an id, or of several messages, is refused."""
        self.said(self.juliet, "Helo", "m")
        replace = f"<replace xmlns='{ns.CORRECT}' id='m'/>"
        for inside in (f"<replace xmlns='{ns.CORRECT}'/>", f"<replace xmlns='{ns.CORRECT}' id=''/>", replace * 2):
            sendGroupchat(self.juliet, BODY + inside)
            self.assertRefused(self.juliet, "bad-request")
        sendGroupchat(self.juliet, f"{BODY}<x xmlns='{ns.CORRECT}'/>")
        self.assertEqual(summaries(self.romeo), ["Juliet groupchat body:Hello x"])

    def test_withoutVoice(self) -> None:
        """A correction needs voice, as any message."""
        self.said(self.juliet, "Helo", "m")
        sendIQ(self.romeo, "set", f"<query xmlns='{ns.MUC_ADMIN}'><item nick='Juliet' role='visitor'/></query>")
        self.discardReceived()
        self.correct(self.juliet, "m")
        self.assertRefused(self.juliet, "forbidden")

    def test_retractedWithCorrection(self) -> None:
        """Of a message that corrects and retracts at once, neither must be another one's."""
        id = self.said(self.juliet, "Helo", "m")
        self.said(self.tybalt, "Hi", "t")
        retract = f"<retract xmlns='{ns.RETRACT}' id='{id}'/>"
        self.correct(self.juliet, "t", retract)
        self.assertRefused(self.juliet, "forbidden")
        found = [summary(each) for each in self.history()]
        self.assertEqual(found, ["Juliet groupchat body:Helo delayed", "Tybalt groupchat body:Hi delayed"])


class KeptTests(CorrectionTestCase):
    """A room whose messages are kept elsewhere, too, such as in an archive."""

    keeping = True

    def test_old(self) -> None:
        """An old message is found there, by the author's id or the room's; what is sent meanwhile is in order."""
        id = self.said(self.juliet, "Helo", "m")
        for _ in range(201):
            say(self.tybalt, "bla")
        self.discardReceived()
        self.correct(self.tybalt, "m")
        self.assertRefused(self.tybalt, "item-not-found")
        self.correct(self.tybalt, id)
        self.assertRefused(self.tybalt, "forbidden")
        for own in ("m", id):
            self.correct(self.juliet, own)
            say(self.juliet, "later")
            found = summaries(self.romeo)
            self.assertEqual(found, ["Juliet groupchat body:Hello replace", "Juliet groupchat body:later"])
            self.discardReceived()

    def test_retracted(self) -> None:
        """Nor does an old message come back that was retracted."""
        id = self.said(self.juliet, "secret", "m")
        for _ in range(201):
            say(self.tybalt, "bla")
        self.retract(self.juliet, id)
        self.discardReceived()
        for own in ("m", id):
            self.correct(self.juliet, own)
            self.assertRefused(self.juliet, "item-not-found")

    def test_failure(self) -> None:
        """If what keeps messages fails, the correction is not sent; one of a recent message is not concerned."""
        self.said(self.juliet, "Helo", "m")
        self.keeper.failing = True
        self.correct(self.juliet, "n")
        [error] = self.juliet.received()
        self.assertEqual(conditionOf(error), "internal-server-error")
        self.assertNothingReceived()
        self.correct(self.juliet, "m")
        self.assertCorrected()


_people = st.sampled_from(["romeo", "juliet", "tybalt"])
_steps = st.lists(st.tuples(_people, st.booleans(), st.integers(0, 6)), max_size=30)


class NobodyElseTests(CorrectionTestCase):
    """Nobody corrects what is not theirs."""

    def test_random(self) -> None:
        """Whatever people say under whatever ids: of each id, who used it first corrects, and nobody else."""

        @settings(max_examples=60)
        @given(_steps)
        def check(steps: list[tuple[str, bool, int]]) -> None:
            self.setUp()
            authors: dict[str, str] = {}
            for name, saying, number in steps:
                client: Any = getattr(self, name)
                id = f"id{number}"
                if saying:
                    authors.setdefault(id, name)
                    self.said(client, "text", id)
                    continue
                self.correct(client, id, messageId=None)
                [answer] = client.received()
                expected = None if authors.get(id) == name else "forbidden" if id in authors else "item-not-found"
                self.assertEqual(conditionOf(answer) if answer.child("error") is not None else None, expected)
                self.discardReceived()

        check()
