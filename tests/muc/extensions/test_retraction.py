# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.retraction} (XEP-0424)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from muccore.xmpp import ns
from tests.muc.extensions.retractions import RetractionTestCase, child, conditionOf, stanzaId
from tests.muc.muchelpers import ROOM, configure, leave, say, sendGroupchat, sendIQ, sendPresence, summaries, summary


class AuthorTests(RetractionTestCase):
    """Who retracts their own message."""

    def test_discovery(self) -> None:
        """The room supports retractions and tombstones (§2, §4)."""
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        features = [each.get("var") for each in self.result(self.romeo).childElements() if each.name == "feature"]
        self.assertIn("urn:xmpp:message-retract:1", features)
        self.assertIn("urn:xmpp:message-retract:1#tombstone", features)

    def test_retracted(self) -> None:
        """All receive the retraction once, as it was sent; the history has a tombstone and the retraction (§4, §5)."""
        id = self.said(self.juliet, "secret", "m")
        say(self.tybalt, "Hm")
        self.discardReceived()
        self.retract(self.juliet, id, "<body>/me retracted a message</body>")
        for client in self.clients:
            [message] = client.received()
            self.assertEqual(summary(message), "Juliet groupchat retract body:/me retracted a message")
            self.assertEqual(child(message, ("retract", ns.RETRACT)).attributes, {"id": id})
            self.assertEqual(message["id"], "r")
        tombstone, other, retraction = self.history()
        self.assertEqual(summary(tombstone), "Juliet groupchat retracted delayed")
        self.assertEqual((tombstone["id"], tombstone["from"], stanzaId(tombstone)), ("m", f"{ROOM}/Juliet", id))
        attributes = child(tombstone, ("retracted", ns.RETRACT)).attributes
        self.assertEqual(attributes, {"id": "r", "stamp": "2001-09-09T01:46:40Z"})
        occupant = ("occupant-id", ns.OCCUPANT_ID)
        self.assertEqual(child(tombstone, occupant)["id"], child(retraction, occupant)["id"])
        self.assertNotIn("secret", tombstone.toXml())
        self.assertEqual(summary(other), "Tybalt groupchat body:Hm delayed")
        self.assertEqual(child(retraction, ("retract", ns.RETRACT))["id"], id)

    def test_withoutBody(self) -> None:
        """A retraction without a body is kept as well."""
        self.retract(self.juliet, self.said(self.juliet))
        self.assertEqual(
            [summary(each) for each in self.history()],
            ["Juliet groupchat retracted delayed", "Juliet groupchat retract delayed"],
        )

    def test_otherNickAndSession(self) -> None:
        """The author is the account, whatever its nick is and from wherever it comes."""
        id = self.said(self.juliet)
        sendPresence(self.juliet, "J")
        self.discardReceived()
        self.retract(self.juliet, id)
        self.assertEqual(summaries(self.romeo), ["J groupchat retract"])
        id = self.said(self.juliet)
        leave(self.juliet, "J")
        phone = self.enter("juliet/phone", "Capulet")
        self.retract(phone, id)
        self.assertEqual(summaries(self.romeo), ["Capulet groupchat retract"])
        tombstones = [each["from"] for each in self.history() if each.child("retracted", ns.RETRACT) is not None]
        self.assertEqual(tombstones, [f"{ROOM}/Juliet", f"{ROOM}/J"])

    def test_nickOfAnother(self) -> None:
        """Who has taken over the nick of an author is refused."""
        id = self.said(self.juliet)
        leave(self.juliet, "Juliet")
        sendPresence(self.tybalt, "Juliet")
        self.discardReceived()
        self.retract(self.tybalt, id)
        self.assertEqual(self.errorOf(self.tybalt), "forbidden")

    def test_others(self) -> None:
        """Nobody retracts what another one, or the room, has said; not even the owner."""
        id = self.said(self.juliet, "mine")
        for client in (self.romeo, self.tybalt):
            self.retract(client, id, "<body>x</body>")
            self.assertEqual(self.errorOf(client), "forbidden")
        configure(self.romeo, roomname="Other")
        self.discardReceived()
        self.assertEqual([summary(each) for each in self.history()], ["Juliet groupchat body:mine delayed"])

    def test_byOwnId(self) -> None:
        """
        A client may name its message by the id that it gave it; others get the room's id, by which they find it (§5.1).
        """
        self.said(self.tybalt, "before", "other")
        id = self.said(self.juliet, "mine", "m1")
        self.retract(self.juliet, "m1")
        self.assertEqual(child(self.romeo.received()[0], ("retract", ns.RETRACT))["id"], id)
        self.discardReceived()
        for own in ("other", "m1"):
            self.retract(self.juliet, own)
            self.assertEqual(self.errorOf(self.juliet), "forbidden" if own == "other" else "item-not-found")

    def test_versionThree(self) -> None:
        """A retraction of version 0.3 is checked, and passes as it is."""
        older = f"<apply-to xmlns='{ns.FASTEN}' id='m1'><retract xmlns='{ns.RETRACT_0}'/></apply-to>"
        self.said(self.juliet, "mine", "m1")
        sendGroupchat(self.tybalt, older)
        self.assertEqual(self.errorOf(self.tybalt), "forbidden")
        sendGroupchat(self.juliet, older, "r")
        [message] = self.romeo.received()
        self.assertEqual(child(message, ("apply-to", ns.FASTEN))["id"], "m1")
        self.assertEqual(summary(self.history()[0]), "Juliet groupchat retracted delayed")

    def test_otherFastenings(self) -> None:
        """What else is fastened to a message passes."""
        sendGroupchat(self.tybalt, f"<apply-to xmlns='{ns.FASTEN}' id='m1'><x xmlns='urn:x'/></apply-to>")
        self.assertEqual(summaries(self.romeo), ["Tybalt groupchat apply-to"])

    def test_unknown(self) -> None:
        """A message that is not known, or is retracted, is not found; none is broadcast twice."""
        id = self.said(self.juliet)
        self.retract(self.juliet, "nothing")
        self.assertEqual(self.errorOf(self.juliet), "item-not-found")
        self.retract(self.juliet, id)
        self.discardReceived()
        self.retract(self.juliet, id, messageId="r2")
        self.assertEqual(self.errorOf(self.juliet), "item-not-found")

    def test_tooOld(self) -> None:
        """Nor one that is too old: of which nobody knows any more who wrote it."""
        id = self.said(self.juliet)
        for _ in range(200):
            say(self.tybalt, "bla")
        self.discardReceived()
        self.retract(self.juliet, id)
        self.assertEqual(self.errorOf(self.juliet), "item-not-found")

    def test_notInHistory(self) -> None:
        """One that has left the history can be retracted for a while, and then not again."""
        id = self.said(self.juliet)
        for _ in range(30):
            say(self.tybalt, "bla")
        self.discardReceived()
        self.retract(self.tybalt, id)
        self.assertEqual(self.errorOf(self.tybalt), "forbidden")
        self.retract(self.juliet, id)
        self.assertEqual(summaries(self.romeo), ["Juliet groupchat retract"])
        self.discardReceived()
        self.retract(self.juliet, id)
        self.assertEqual(self.errorOf(self.juliet), "item-not-found")

    def test_withoutHistory(self) -> None:
        """A room without a history works the same."""
        configure(self.romeo, **{"muc#maxhistoryfetch": "0"})
        id = self.said(self.juliet)
        self.retract(self.juliet, id)
        self.assertEqual(summaries(self.romeo), ["Juliet groupchat retract"])
        self.assertEqual(self.history(), [])

    def test_retractionOfRetraction(self) -> None:
        """A retraction is not retracted."""
        self.retract(self.juliet, self.said(self.juliet))
        retraction = stanzaId(self.juliet.received()[-1])
        self.discardReceived()
        self.retract(self.juliet, retraction)
        self.assertEqual(self.errorOf(self.juliet), "not-acceptable")

    def test_invalid(self) -> None:
        """Retractions without an id, of several messages, and forged ones are refused."""
        id = self.said(self.juliet)
        retract = f"<retract xmlns='{ns.RETRACT}' id='{id}'/>"
        moderated = f"<moderated xmlns='{ns.MODERATE}' by='{ROOM}/Romeo'/>"
        older = f"<moderated xmlns='{ns.MODERATE_0}'><retract xmlns='{ns.RETRACT_0}'/></moderated>"
        for inside, condition in (
            (f"<retract xmlns='{ns.RETRACT}'/>", "bad-request"),
            (f"<retract xmlns='{ns.RETRACT}' id=''/>", "bad-request"),
            (retract * 2, "bad-request"),
            (f"<retract xmlns='{ns.RETRACT}' id='{id}'>{moderated}</retract>", "forbidden"),
            (f"<apply-to xmlns='{ns.FASTEN}' id='{id}'>{older}</apply-to>", "forbidden"),
            (moderated, "forbidden"),
            (older, "forbidden"),
            (f"<retracted xmlns='{ns.RETRACT}' id='x'/><body>x</body>", "forbidden"),
        ):
            sendGroupchat(self.juliet, inside)
            self.assertEqual(self.errorOf(self.juliet), condition, inside)
        self.assertEqual([summary(each) for each in self.history()], ["Juliet groupchat body:Hi delayed"])

    def test_withoutVoice(self) -> None:
        """A retraction needs voice, as any message."""
        id = self.said(self.juliet)
        sendIQ(self.romeo, "set", f"<query xmlns='{ns.MUC_ADMIN}'><item nick='Juliet' role='visitor'/></query>")
        self.discardReceived()
        self.retract(self.juliet, id)
        self.assertEqual(self.errorOf(self.juliet), "forbidden")
        self.assertEqual([summary(each) for each in self.history()], ["Juliet groupchat body:Hi delayed"])

    def test_withoutMessageId(self) -> None:
        """A retraction without an id gets one, which the tombstone needs (§4)."""
        self.retract(self.juliet, self.said(self.juliet), messageId=None)
        [retraction] = self.romeo.received()
        tombstone, _ = self.history()
        self.assertTrue(retraction["id"])
        self.assertEqual(child(tombstone, ("retracted", ns.RETRACT))["id"], retraction["id"])

    def test_corrections(self) -> None:
        """With a message, its corrections are gone: to those who read them they are one (XEP-0308)."""
        for target in range(3):
            with self.subTest(target=target):
                ids = [self.said(self.juliet, "first", f"a{target}")]
                for text in ("second", "third"):
                    ids.append(self.said(self.juliet, text, text, f"<replace xmlns='{ns.CORRECT}' id='a{target}'/>"))
                self.said(self.juliet, "other", f"b{target}")
                self.retract(self.juliet, ids[target])
                self.assertEqual(summaries(self.romeo), ["Juliet groupchat retract"])
                found = " ".join(summary(each) for each in self.history())
                self.assertEqual((found.count("retracted"), found.count("other")), (3 * (target + 1), target + 1))
                self.assertNotRegex(found, "first|second|third")


class KeptTests(RetractionTestCase):
    """A room whose messages are kept elsewhere, too, such as in an archive."""

    keeping = True

    def test_durableFirst(self) -> None:
        """The tombstone is durable before the retraction is announced and the history changes."""
        id = self.said(self.juliet, "secret")
        self.keeper.held = []
        self.retract(self.juliet, id)
        say(self.juliet, "later")
        say(self.tybalt, "at once")
        self.assertEqual(summaries(self.romeo), ["Tybalt groupchat body:at once"])
        [item, _] = self.room().history
        self.assertFalse(item.retracted)
        self.keeper.held.pop().callback(None)
        self.assertEqual(summaries(self.romeo), ["Juliet groupchat retract", "Juliet groupchat body:later"])
        self.assertTrue(item.retracted)
        self.assertNotIn("secret", "".join(self.keeper.texts(ROOM)))

    def test_old(self) -> None:
        """An old message is found there, by the room's id and by the author's."""
        for own in (False, True):
            id = self.said(self.juliet, "secret", "mine")
            for _ in range(201):
                say(self.tybalt, "bla")
            self.discardReceived()
            self.retract(self.tybalt, id)
            self.assertEqual(self.errorOf(self.tybalt), "forbidden")
            self.retract(self.juliet, "mine" if own else id)
            [message] = self.romeo.received()
            self.assertEqual(child(message, ("retract", ns.RETRACT))["id"], id)
            self.discardReceived()
            self.assertNotIn("secret", "".join(self.keeper.texts(ROOM)))
            self.retract(self.juliet, id)
            self.assertEqual(self.errorOf(self.juliet), "item-not-found")

    def test_failure(self) -> None:
        """If the store fails, nothing is retracted or announced."""
        id = self.said(self.juliet, "secret")
        self.keeper.failing = True
        self.retract(self.juliet, id)
        [error] = self.juliet.received()
        self.assertEqual(conditionOf(error), "internal-server-error")
        self.assertNothingReceived()
        self.assertEqual([summary(each) for each in self.history()], ["Juliet groupchat body:secret delayed"])


_people = st.sampled_from(["romeo", "juliet", "tybalt"])
_actions = st.sampled_from(["say", "say", "retract", "own id"])
_steps = st.lists(st.tuples(_people, _actions, st.integers(0, 12)), max_size=30)


class NobodyElseTests(RetractionTestCase):
    """Nobody retracts what is not theirs."""

    def test_random(self) -> None:
        """Whatever people say and retract, each message is retracted by its author only, and at most once."""
        for keeping in (False, True):
            self.keeping = keeping
            self.tryRandomly()

    def tryRandomly(self) -> None:
        """Take random steps."""

        @settings(max_examples=60)
        @given(_steps)
        def check(steps: list[tuple[str, str, int]]) -> None:
            self.setUp()
            authors: list[tuple[str, str]] = []
            retracted: set[str] = set()
            for name, action, number in steps:
                client = getattr(self, name)
                if action == "say":
                    authors.append((self.said(client, "text", f"id{number}"), name))
                    continue
                id, author = authors[number % len(authors)] if authors else ("none", "")
                self.retract(client, id if action == "retract" else f"id{number}")
                [answer] = client.received()
                reference: Any = answer.child("retract", ns.RETRACT)
                if answer.child("error") is None:
                    # The room's id, in either case.
                    self.assertEqual(dict(authors)[reference["id"]], name)
                    self.assertNotIn(reference["id"], retracted)
                    retracted.add(reference["id"])
                elif action == "retract" and author == name:
                    self.assertIn(id, retracted)
                self.discardReceived()
            for item in self.room().history:
                if item.id in dict(authors):
                    self.assertEqual(item.retracted, item.id in retracted)
                    self.assertEqual(b"text" in item.rendered.tail, item.id not in retracted)

        check()
