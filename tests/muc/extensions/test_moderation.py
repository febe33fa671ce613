# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.moderation} (XEP-0425)."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.logger import LogLevel

from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.muc.extensions import bulkretraction
from muccore.muc.extensions.occupantids import occupantId
from muccore.muc.model.history import RECENT
from muccore.testing.inmemory import Client, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.jid import parse
from tests.configuration import Logged
from tests.muc.extensions.retractions import (
    RetractionTestCase,
    child,
    conditionOf,
    moderate,
    retractAll,
    stanzaId,
)
from tests.muc.muchelpers import ROOM, affiliation, configure, role, say, sendAdmin, sendIQ, summaries, summary

ROOT = Path(__file__).resolve().parents[3]
RETRACT = ("retract", ns.RETRACT)
MODERATED = ("moderated", ns.MODERATE)
OLDER = ("moderated", ns.MODERATE_0)
OCCUPANT = ("occupant-id", ns.OCCUPANT_ID)


class OneMessageTests(RetractionTestCase):
    """A moderator retracts one message."""

    def occupantId(self, name: str) -> str:
        """The occupant id of a user."""
        id = occupantId(self.room(), parse(f"{name}@localhost"))
        assert id is not None
        return id

    def test_discovery(self) -> None:
        """The room supports it in both forms (§2)."""
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        features = [each.get("var") for each in self.result(self.romeo).childElements() if each.name == "feature"]
        self.assertIn("urn:xmpp:message-moderate:1", features)
        self.assertIn("urn:xmpp:message-moderate:0", features)

    def test_retracted(self) -> None:
        """All receive the retraction from the room in both forms, then the moderator the result (§3.1)."""
        for older in (False, True):
            id = self.said(self.juliet, "magic potions")
            moderate(self.romeo, id, "Spam", older)
            self.assertEqual(summaries(self.romeo), ["room groupchat apply-to retract", "result q"])
            [message], [other] = self.juliet.received(), self.tybalt.received()
            self.assertEqual(message.toXml(), other.toXml().replace("tybalt", "juliet"))
            self.assertEqual((message["from"], child(message, RETRACT)["id"]), (ROOM, id))
            moderated = child(message, RETRACT, MODERATED)
            self.assertEqual(moderated.attributes, {"by": f"{ROOM}/Romeo"})
            self.assertEqual(child(moderated, OCCUPANT)["id"], self.occupantId("romeo"))
            self.assertEqual(child(message, RETRACT).childText("reason"), "Spam")
            fastened = child(message, ("apply-to", ns.FASTEN))
            self.assertEqual(fastened["id"], id)
            self.assertEqual(child(fastened, OLDER).attributes, {"by": f"{ROOM}/Romeo"})
            self.assertEqual(child(fastened, OLDER).childText("reason"), "Spam")
            child(fastened, OLDER, ("retract", ns.RETRACT_0))

    def test_tombstone(self) -> None:
        """The history has a tombstone, with author and moderator, and the retraction (§4)."""
        id = self.said(self.juliet, "magic potions", "m")
        moderate(self.romeo, id, "Spam")
        tombstone, retraction = self.history()
        self.assertEqual(summary(tombstone), "Juliet groupchat retracted moderated delayed")
        self.assertEqual(summary(retraction), "room groupchat apply-to retract delayed")
        self.assertEqual((tombstone["id"], stanzaId(tombstone)), ("m", id))
        self.assertEqual(child(tombstone, OCCUPANT)["id"], self.occupantId("juliet"))
        retracted = child(tombstone, ("retracted", ns.RETRACT))
        self.assertEqual(retracted.attributes, {"id": retraction["id"], "stamp": "2001-09-09T01:46:40Z"})
        self.assertEqual(child(retracted, MODERATED)["by"], f"{ROOM}/Romeo")
        self.assertEqual(child(retracted, MODERATED, OCCUPANT)["id"], self.occupantId("romeo"))
        self.assertEqual(retracted.childText("reason"), "Spam")
        older = child(tombstone, OLDER)
        self.assertEqual(child(older, ("retracted", ns.RETRACT_0))["stamp"], "2001-09-09T01:46:40Z")
        self.assertEqual(older.childText("reason"), "Spam")
        self.assertNotIn("magic", tombstone.toXml())

    def test_withoutReason(self) -> None:
        """A reason is optional."""
        moderate(self.romeo, self.said(self.juliet))
        self.assertNotIn("reason", self.tybalt.received()[0].toXml())

    def test_corrections(self) -> None:
        """Corrections are retracted with the message, each with its own announcement."""
        ids = [self.said(self.juliet, "first", "a")]
        ids.append(self.said(self.juliet, "second", "b", f"<replace xmlns='{ns.CORRECT}' id='a'/>"))
        moderate(self.romeo, ids[0])
        self.assertEqual([child(each, RETRACT)["id"] for each in self.tybalt.received()], ids)

    def test_whoMay(self) -> None:
        """Moderators may, also of admins and owners of their own rank; others may not (docs/moderation.md)."""
        admin, mentor = self.enter("admin"), self.enter("mentor")
        sendAdmin(self.romeo, affiliation("admin@localhost", "admin"))
        sendAdmin(self.romeo, role("Mentor", "moderator"))
        self.discardReceived()
        people = {"owner": self.romeo, "admin": admin, "mentor": mentor, "none": self.juliet}
        for who, of, expected in (
            ("owner", "owner", ""), ("owner", "admin", ""), ("owner", "mentor", ""), ("owner", "none", ""),
            ("admin", "owner", "not-allowed"), ("admin", "admin", ""), ("admin", "mentor", ""), ("admin", "none", ""),
            ("mentor", "owner", "not-allowed"), ("mentor", "admin", "not-allowed"), ("mentor", "mentor", ""),
            ("mentor", "none", ""),
            ("none", "owner", "forbidden"), ("none", "admin", "forbidden"), ("none", "mentor", "forbidden"),
            ("none", "none", "forbidden"),
        ):  # fmt: skip
            moderate(people[who], self.said(people[of]))
            answer = people[who].received()[-1]
            self.assertEqual(conditionOf(answer) if answer.child("error") else "", expected, (who, of))
            self.assertEqual(len(self.tybalt.received()), not expected)
            self.discardReceived()

    def test_outside(self) -> None:
        """An admin need not be in the room; their nick is told if it is reserved. Others have to be."""
        id = self.said(self.juliet)
        nurse, admin = self.login("nurse", "admin")
        sendAdmin(self.romeo, role("Tybalt", "moderator"))
        sendAdmin(self.romeo, affiliation("admin@localhost", "admin"))
        self.discardReceived()
        elsewhere = self.client("tybalt/elsewhere")
        for client in (nurse, elsewhere):
            moderate(client, id)
            self.assertEqual(self.errorOf(client), "forbidden")
        moderate(admin, id)
        self.assertEqual(summaries(admin), ["result q"])
        moderated = child(self.juliet.received()[0], RETRACT, MODERATED)
        self.assertEqual(moderated.attributes, {})
        self.assertEqual(child(moderated, OCCUPANT)["id"], self.occupantId("admin"))
        sendAdmin(self.romeo, affiliation("admin@localhost", "admin", nick="Boss"))
        moderate(admin, self.said(self.juliet))
        self.assertEqual(child(self.juliet.received()[0], RETRACT, MODERATED)["by"], f"{ROOM}/Boss")

    def test_refused(self) -> None:
        """Messages that are not known or not content, and requests that are not whole."""
        id = self.said(self.juliet)
        retract = f"<retract xmlns='{ns.RETRACT}'/>"
        for payload, condition in (
            (f"<moderate xmlns='{ns.MODERATE}' id='none'>{retract}</moderate>", "item-not-found"),
            (f"<moderate xmlns='{ns.MODERATE}'>{retract}</moderate>", "bad-request"),
            (f"<moderate xmlns='{ns.MODERATE}' id='{id}'/>", "feature-not-implemented"),
            (f"<apply-to xmlns='{ns.FASTEN}' id='{id}'><x xmlns='urn:x'/></apply-to>", "feature-not-implemented"),
            (
                f"<apply-to xmlns='{ns.FASTEN}' id='{id}'><moderate xmlns='{ns.MODERATE_0}'/></apply-to>",
                "feature-not-implemented",
            ),
            (
                f"<moderate xmlns='{ns.MODERATE}' id='{id}'>{retract}<reason>{'x' * 1025}</reason></moderate>",
                "not-acceptable",
            ),
        ):
            sendIQ(self.romeo, "set", payload)
            self.assertEqual(self.errorOf(self.romeo), condition, payload)
        moderate(self.romeo, id)
        [announcement] = self.juliet.received()
        self.discardReceived()
        moderate(self.romeo, id)
        self.assertEqual(self.errorOf(self.romeo), "item-not-found")
        moderate(self.romeo, stanzaId(announcement))
        self.assertEqual(self.errorOf(self.romeo), "not-acceptable")

    def test_authorRetracted(self) -> None:
        """What its author has retracted is not retracted again, and the reverse."""
        id = self.said(self.juliet)
        self.retract(self.juliet, id)
        self.discardReceived()
        moderate(self.romeo, id)
        self.assertEqual(self.errorOf(self.romeo), "item-not-found")
        id = self.said(self.juliet)
        moderate(self.romeo, id)
        self.discardReceived()
        self.retract(self.juliet, id)
        self.assertEqual(self.errorOf(self.juliet), "item-not-found")

    def test_logged(self) -> None:
        """Operators see who has retracted messages of whom, not what they were."""
        id = self.said(self.juliet, "secret")
        self.patch(eventlog, "limit", RateLimit())
        logged = Logged(self)
        setThreshold("info")
        moderate(self.romeo, id, "secret reason")
        line = f"messages-retracted by romeo@localhost: 1 of juliet@localhost in {ROOM}"
        self.assertEqual(logged.lines(LogLevel.info), [line])
        self.assertNotIn("secret", repr(logged.events))


class EverythingTests(RetractionTestCase):
    """Everything that a user wrote is retracted."""

    def announced(self, client: Client) -> list[str]:
        """The ids of the messages whose retraction a client has received."""
        return [child(each, RETRACT)["id"] for each in client.received() if each.child(*RETRACT) is not None]

    def answer(self, client: Client) -> tuple[str | None, str | None]:
        """What the request has answered."""
        [answer] = [each for each in client.received() if each.name == "iq"]
        payload = child(answer, ("retract-all", ns.MODERATION))
        return payload.get("count"), payload.get("complete")

    def test_whom(self) -> None:
        """The user is named by address, nick, or one of their messages."""
        for attributes in ("jid='juliet@localhost'", "jid='juliet@localhost/b'", "nick='Juliet'", "id='{}'"):
            ids = [self.said(self.juliet, text) for text in ("a", "b", "c")]
            self.said(self.tybalt, "other")
            retractAll(self.romeo, attributes.format(ids[1]), "Spam")
            self.assertEqual(self.answer(self.romeo), ("3", "true"))
            messages = self.tybalt.received()
            self.assertEqual([child(each, RETRACT)["id"] for each in messages], ids)
            self.assertEqual({child(each, RETRACT).childText("reason") for each in messages}, {"Spam"})
            self.discardReceived()
        texts = [summary(each) for each in self.history()]
        self.assertEqual(
            texts, (["Juliet groupchat retracted moderated delayed"] * 3 + ["Tybalt groupchat body:other delayed"]) * 4
        )

    def test_own(self) -> None:
        """Users may retract everything of their own, and nothing else."""
        ids = [self.said(self.juliet, text) for text in ("a", "b")]
        retractAll(self.juliet)
        self.assertEqual(self.answer(self.juliet), ("2", "true"))
        self.assertEqual(self.announced(self.tybalt), ids)
        self.discardReceived()
        retractAll(self.juliet, "jid='tybalt@localhost'")
        self.assertEqual(self.errorOf(self.juliet), "forbidden")
        retractAll(self.juliet, "jid='juliet@localhost'")
        self.assertEqual(self.answer(self.juliet), ("0", "true"))

    def test_refused(self) -> None:
        """Who may not, whom there is not, and what is not whole."""
        mentor, guest = self.enter("mentor"), self.client("guest")
        sendAdmin(self.romeo, role("Mentor", "moderator"))
        sendAdmin(self.romeo, affiliation("guest@localhost", "outcast"))
        self.discardReceived()
        own = self.said(self.romeo)
        configure(self.romeo, roomname="x")
        self.discardReceived()
        for client, attributes, condition in (
            (self.juliet, f"id='{own}'", "forbidden"), (self.juliet, "nick='Romeo'", "forbidden"),
            (guest, "", "forbidden"), (mentor, "nick='Romeo'", "not-allowed"), (mentor, f"id='{own}'", "not-allowed"),
            (mentor, "id='none'", "item-not-found"), (mentor, "nick='Nobody'", "item-not-found"),
            (mentor, "jid='@'", "jid-malformed"), (mentor, "nick='Juliet' jid='juliet@localhost'", "bad-request"),
        ):  # fmt: skip
            retractAll(client, attributes)
            self.assertEqual(self.errorOf(client), condition, attributes)
        retractAll(self.romeo, "nick='Juliet'", "x" * 1025)
        self.assertEqual(self.errorOf(self.romeo), "not-acceptable")

    def test_ofTheRoom(self) -> None:
        """What the room has said has no author."""
        moderate(self.romeo, self.said(self.juliet))
        announcement = stanzaId(self.tybalt.received()[0])
        self.discardReceived()
        retractAll(self.romeo, f"id='{announcement}'")
        self.assertEqual(self.errorOf(self.romeo), "not-acceptable")

    def test_retractionsStay(self) -> None:
        """Retractions, which are messages of the author too, are kept."""
        self.retract(self.juliet, self.said(self.juliet))
        id = self.said(self.juliet, "more")
        retractAll(self.romeo, "nick='Juliet'")
        self.assertEqual(self.announced(self.tybalt), [id])
        self.assertIn("Juliet groupchat retract delayed", [summary(each) for each in self.history()])

    def test_withBan(self) -> None:
        """With a ban: the result and the presence of the ban first."""
        ids = [self.said(self.juliet, text) for text in ("a", "b")]
        self.ban(f"<retract-all xmlns='{ns.MODERATION}'/>")
        messages = self.tybalt.received()
        self.assertIn("301", summary(messages[0]))
        self.assertEqual([child(each, RETRACT)["id"] for each in messages[1:]], ids)
        self.assertEqual(child(messages[1], RETRACT).childText("reason"), "Spam")
        self.assertEqual(child(messages[1], RETRACT, MODERATED)["by"], f"{ROOM}/Romeo")
        self.assertEqual(summaries(self.romeo)[0], "result q")

    def ban(self, inside: str = "", jid: str = "juliet@localhost") -> None:
        """Ban somebody."""
        sendAdmin(self.romeo, f"<item jid='{jid}' affiliation='outcast'><reason>Spam</reason>{inside}</item>")

    def test_withoutIt(self) -> None:
        """A ban alone retracts nothing."""
        self.said(self.juliet)
        self.ban()
        self.assertEqual(self.announced(self.tybalt), [])

    def test_bannedBefore(self) -> None:
        """Of somebody who is an outcast already, everything is retracted as well."""
        id = self.said(self.juliet)
        self.ban()
        self.discardReceived()
        self.ban(f"<retract-all xmlns='{ns.MODERATION}'/>")
        self.assertEqual(self.announced(self.tybalt), [id])

    def test_withKick(self) -> None:
        """With a kick."""
        id = self.said(self.juliet)
        sendAdmin(self.romeo, f"<item nick='Juliet' role='none'><retract-all xmlns='{ns.MODERATION}'/></item>")
        self.assertEqual(self.announced(self.tybalt), [id])

    def test_refusedChanges(self) -> None:
        """With nothing else, and of no domain; then nothing is changed at all."""
        inside = f"<retract-all xmlns='{ns.MODERATION}'/>"
        self.said(self.juliet)
        for item in (
            f"<item jid='juliet@localhost' affiliation='member'>{inside}</item>",
            f"<item jid='localhost' affiliation='outcast'>{inside}</item>",
            f"<item nick='Juliet' role='visitor'>{inside}</item>",
        ):
            sendAdmin(self.romeo, affiliation("nurse@localhost", "member"), item)
            self.assertEqual(self.errorOf(self.romeo), "not-acceptable")
        self.assertNotIn("nurse@localhost", self.room().affiliations.entries())


class KeptTests(RetractionTestCase):
    """A room whose messages are kept elsewhere, too."""

    keeping = True

    def test_durableFirst(self) -> None:
        """The tombstone is durable before the retraction is announced; other changes wait, messages do not."""
        id = self.said(self.juliet, "secret")
        self.keeper.held = []
        moderate(self.romeo, id)
        moderate(self.romeo, id)
        say(self.tybalt, "meanwhile")
        self.assertEqual(summaries(self.juliet), ["Tybalt groupchat body:meanwhile"])
        self.keeper.held.pop().callback(None)
        self.assertEqual(
            summaries(self.romeo),
            [
                "Tybalt groupchat body:meanwhile", "room groupchat apply-to retract", "result q",
                "error q cancel item-not-found",
            ],
        )  # fmt: skip
        self.assertNotIn("secret", "".join(self.keeper.texts(ROOM)))

    def test_failure(self) -> None:
        """If the store fails, nothing is retracted."""
        id = self.said(self.juliet, "secret")
        self.keeper.failing = True
        moderate(self.romeo, id)
        self.assertEqual(self.errorOf(self.romeo), "internal-server-error")
        for attributes in (f"id='{id}'", "nick='Juliet'"):
            retractAll(self.romeo, attributes)
            self.assertEqual(self.errorOf(self.romeo), "internal-server-error")
        self.assertEqual([summary(each) for each in self.history()], ["Juliet groupchat body:secret delayed"])

    def test_banFailure(self) -> None:
        """If it fails after a ban, the ban holds, and the failure is logged."""
        self.said(self.juliet, "secret")
        self.keeper.failing = True
        item = f"<item jid='juliet@localhost' affiliation='outcast'><retract-all xmlns='{ns.MODERATION}'/></item>"
        sendAdmin(self.romeo, item)
        self.assertEqual(summaries(self.romeo)[0], "result q")
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_old(self) -> None:
        """What is too old for the history is found there."""
        ids = [self.said(self.juliet, "secret") for _ in range(3)]
        for _ in range(201):
            say(self.tybalt, "bla")
        self.discardReceived()
        moderate(self.romeo, ids[1])
        self.assertEqual(summaries(self.tybalt), ["room groupchat apply-to retract"])
        self.discardReceived()
        retractAll(self.romeo, "jid='juliet@localhost'")
        found = [child(each, RETRACT)["id"] for each in self.tybalt.received()]
        self.assertEqual(found, [ids[0], ids[2]])
        self.assertNotIn("secret", "".join(self.keeper.texts(ROOM)))



class DocumentTests(RetractionTestCase):
    """C{docs/moderation.md}."""

    def test_examples(self) -> None:
        """Its requests have the answers that it shows, and retract something."""
        text = ROOT.joinpath("docs", "moderation.md").read_text("utf-8")
        examples = [re.sub(r">\s+<", "><", block).strip() for block in re.findall("```xml\n(.*?)```", text, re.S)]
        self.assertEqual(len(examples), 4)
        for request, answer in zip(examples[::2], examples[1::2], strict=True):
            for word in ("a", "b"):
                self.said(self.tybalt, word)
            self.romeo.sends(request)
            [found] = [each for each in self.romeo.received() if each.name == "iq"]
            expected = parseStanza(answer)
            self.assertEqual(found.attributes, expected.attributes)
            for own, shown in zip(found.childElements(), expected.childElements(), strict=True):
                self.assertEqual(own.toXml(), shown.toXml())
            self.assertEqual("".join(summaries(self.juliet)).count("apply-to retract"), 2)
            self.discardReceived()

    def test_figures(self) -> None:
        """The figures are those of the program."""
        text = ROOT.joinpath("docs", "moderation.md").read_text("utf-8")
        for phrase in (
            f"its last {RECENT} messages",
            f"the last {bulkretraction.LIMIT} messages",
            f"at most {bulkretraction.DELIVERED} stanzas in {bulkretraction.INTERVAL} s",
        ):
            self.assertIn(phrase, text)
