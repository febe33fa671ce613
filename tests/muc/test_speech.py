# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.speech}, without a server.
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.errors import STANZA_CONDITIONS, StanzaError
from muccore.jid import parse
from muccore.muc import speech
from muccore.muc.affiliations import Affiliations
from muccore.muc.history import HistoryRequest
from muccore.muc.occupant import Seat
from muccore.muc.privileges import Role
from muccore.muc.room import Entry, Room
from muccore.testing.defaults import defaultRoom
from muccore.testing.stage import parseStanza
from tests.muc.company import ROOM, Listener, short


class WordTests(SynchronousTestCase):
    """
    What a stanza is.
    """

    def test_subjectChange(self) -> None:
        """
        A message with a subject and neither body nor thread is a change of subject, whatever else is in it (§8.1).
        """
        for inside, expected in (
            ("<subject>a</subject>", True),
            ("<subject/>", True),
            ("<subject/><x xmlns='urn:x'/>", True),
            ("<subject>a</subject><body/>", False),
            ("<subject>a</subject><thread>t</thread>", False),
            ("<body>a</body>", False),
            ("<subject xmlns='urn:x'>a</subject>", False),
            ("<subject>a</subject><body xmlns='http://www.w3.org/1999/xhtml'/>", True),
            ("", False),
        ):
            self.assertEqual(speech.isSubjectChange(parseStanza(f"<message>{inside}</message>")), expected, inside)

    def test_deliveryError(self) -> None:
        """
        Exactly the six conditions of §18.1.2 say that somebody cannot be reached.
        """
        meant = set()
        for condition in STANZA_CONDITIONS:
            stanza = parseStanza(f"<message><error><{condition} xmlns='{ns.STANZA_ERRORS}'/></error></message>")
            if speech.isDeliveryError(stanza):
                meant.add(condition)
        self.assertEqual(
            meant,
            {
                "gone",
                "item-not-found",
                "recipient-unavailable",
                "redirect",
                "remote-server-not-found",
                "remote-server-timeout",
            },
        )
        self.assertFalse(speech.isDeliveryError(parseStanza("<message><error><gone/></error></message>")))
        self.assertFalse(speech.isDeliveryError(parseStanza("<message/>")))


class SpeechTests(SynchronousTestCase):
    """
    Who speaks in a room.
    """

    def setUp(self) -> None:
        """
        Romeo and Juliet are in.
        """
        self.now = 1_000_000_000.0
        self.room = Room(parse(ROOM), defaultRoom(), Affiliations({}), lambda: self.now)
        self.ears: dict[str, Listener] = {}
        self.romeo, self.juliet = self.enter("romeo@localhost/a", "Romeo"), self.enter("juliet@localhost/b", "Juliet")

    def enter(self, full: str, nick: str) -> Seat:
        """
        Let somebody in.
        """
        listener = self.ears[full] = Listener()
        self.room.enter(Entry(parse(full), nick, listener.deliver, b""))
        for other in self.ears.values():
            other.heard.clear()
        return self.room.seats[full]

    def told(self, seat: Seat) -> list[str]:
        """
        What a session has heard.
        """
        heard, self.ears[seat.jid].heard = self.ears[seat.jid].heard, []
        return [short(parseStanza(data.decode())) for data in heard]

    def speak(self, inside: str, attributes: str = "") -> None:
        """
        Let Romeo say something.
        """
        message = parseStanza(f"<message type='groupchat' id='1' to='{ROOM}'{attributes}>{inside}</message>")
        speech.groupchat(self.room, self.romeo.occupant, message)

    def past(self) -> list[str]:
        """
        The history.
        """
        chosen = self.room.history.select(HistoryRequest(), b" to='x@y/z'")
        return [short(parseStanza(rendered.addressed(b" to='x@y/z'").decode())) for rendered in chosen]

    def test_reflected(self) -> None:
        """
        Everybody, the speaker too, gets it under his occupant JID with its id and everything in it (§7.4, §17.2).
        """
        inside = "<body xml:lang='en'>a &lt; b</body><html xmlns='http://jabber.org/protocol/xhtml-im'/><thread>t</thread>"
        self.speak(inside, " xml:lang='de'")
        for seat in (self.romeo, self.juliet):
            self.assertEqual(
                self.ears[seat.jid].heard,
                [
                    f"<message to='{seat.jid}' type='groupchat' id='1' xml:lang='de' from='{ROOM}/Romeo'>"
                    f"{inside}</message>".encode()
                ],
            )

    def test_voice(self) -> None:
        """
        A visitor is refused, nobody hears him and history does not know him (§7.4).
        """
        for moderated in (True, False):
            self.room.settings = defaultRoom(moderated=moderated)
            self.romeo.occupant.role = Role.VISITOR
            error = self.assertRaises(StanzaError, self.speak, "<body>a</body>")
            self.assertEqual(error.condition, "forbidden")
            self.assertEqual(self.told(self.juliet) + self.past(), [])

    def test_history(self) -> None:
        """
        What has a body is history; a chat state or a marker is not, nor is a change of subject.
        """
        self.speak("<body>a</body><active xmlns='http://jabber.org/protocol/chatstates'/>")
        self.speak("<composing xmlns='http://jabber.org/protocol/chatstates'/>")
        self.speak("<subject>s</subject><body>b</body>")
        message = parseStanza("<message type='groupchat'><subject>s</subject></message>")
        subject = speech.planSubject(self.room, self._moderator().occupant, message)
        speech.applySubject(self.room, self.romeo.occupant, message, subject)
        self.assertEqual(
            self.past(),
            [f"Romeo groupchat body:a active delay:{ROOM}", f"Romeo groupchat subject:s body:b delay:{ROOM}"],
        )

    def _moderator(self) -> Seat:
        self.romeo.occupant.role = Role.MODERATOR
        return self.romeo

    def test_reserved(self) -> None:
        """
        What only the room may say does not pass, even if there is nothing else in the message (§17.3, XEP-0203 §5).
        """
        for text in (
            f"<x xmlns='{ns.MUC_USER}'><status code='104'/></x>",
            f"<x xmlns='{ns.MUC_USER}'><invite from='king@localhost'/></x>",
            f"<delay xmlns='{ns.DELAY}' from='{ROOM}' stamp='2002-09-10T23:08:25Z'/>",
            f"<delay xmlns='{ns.DELAY}' from='{ROOM.upper()}' stamp='2002-09-10T23:08:25Z'/>",
            f"<delay xmlns='{ns.DELAY}' from='{ROOM}/Romeo' stamp='2002-09-10T23:08:25Z'/>",
            f"<delay xmlns='{ns.DELAY}' stamp='2002-09-10T23:08:25Z'/>",
        ):
            for inside, expected in ((text, ""), (f"{text}<body>a</body>{text}", " body:a")):
                self.speak(inside)
                self.assertEqual(self.told(self.juliet), [f"Romeo groupchat{expected}"], inside)

    def test_foreignDelay(self) -> None:
        """
        Somebody else's delay passes, and in the history there is the room's besides; only an owner may say himself
        when something was said (§7.9), and only if he does say so.
        """
        delay = f"<delay xmlns='{ns.DELAY}' from='juliet@localhost/b' stamp='%s'/>"
        good, bad = delay % "2002-09-10T23:08:25Z", delay % "yesterday"
        self.speak(f"<body>a</body>{good}")
        self.assertEqual(self.told(self.juliet), ["Romeo groupchat body:a delay:juliet@localhost/b"])
        self.room.affiliations = Affiliations({})
        owner = self.romeo.occupant
        owner.affiliation = type(owner.affiliation).OWNER
        self.speak(f"<body>b</body>{good}")
        self.speak(f"<body>c</body>{bad}")
        self.speak("<body>d</body>")
        self.assertEqual(
            self.past(),
            [
                f"Romeo groupchat body:a delay:juliet@localhost/b delay:{ROOM}",
                "Romeo groupchat body:b delay:juliet@localhost/b",
                f"Romeo groupchat body:c delay:juliet@localhost/b delay:{ROOM}",
                f"Romeo groupchat body:d delay:{ROOM}",
            ],
        )

    def test_whoMayChangeTheSubject(self) -> None:
        """
        Moderators; participants too, where the room says so; visitors never (§8.1).
        """
        message = parseStanza("<message type='groupchat'><subject>Fire</subject></message>")
        for change, role in product((False, True), (Role.VISITOR, Role.PARTICIPANT, Role.MODERATOR)):
            self.room.settings = defaultRoom(changeSubject=change)
            self.romeo.occupant.role = role
            if role is Role.MODERATOR or (change and role is Role.PARTICIPANT):
                subject = speech.planSubject(self.room, self.romeo.occupant, message)
                self.assertEqual((subject.text, subject.nick, subject.stamp), ("Fire", "Romeo", self.now))
            else:
                error = self.assertRaises(
                    StanzaError, speech.planSubject, self.room, self.romeo.occupant, message
                )
                self.assertEqual(error.condition, "forbidden")
        self.assertIsNone(self.room.subject)

    def test_privately(self) -> None:
        """
        Who may send private messages is the room's to say (§7.5).
        """
        allowed = {
            "anyone": (Role.VISITOR, Role.PARTICIPANT, Role.MODERATOR),
            "participants": (Role.PARTICIPANT, Role.MODERATOR),
            "moderators": (Role.MODERATOR,),
            "none": (),
        }
        for rule, role in product(allowed, (Role.VISITOR, Role.PARTICIPANT, Role.MODERATOR)):
            self.room.settings = defaultRoom(allowPM=rule)
            self.romeo.occupant.role = role
            message = parseStanza("<message type='chat'><body>a</body></message>")
            if role in allowed[rule]:
                speech.private(self.room, self.romeo.occupant, "Juliet", message)
                self.assertEqual(self.told(self.juliet), ["Romeo chat body:a x"])
            else:
                error = self.assertRaises(
                    StanzaError, speech.private, self.room, self.romeo.occupant, "Juliet", message
                )
                self.assertEqual(error.condition, "forbidden")
                self.assertEqual(self.told(self.juliet), [])
        self.assertEqual(self.told(self.romeo), [])
