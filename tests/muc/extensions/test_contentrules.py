# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.contentrules}."""

from __future__ import annotations

from typing import Any

from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    configure,
    errorText,
    role,
    sendGroupchat,
    sendIQ,
    setSubject,
    summaries,
    summary,
    values,
)

URL = "https://example.org/a.png"
LINK = f"<body>{URL}</body>"
FILE = f"{LINK}<x xmlns='{ns.OOB}'><url>{URL}</url></x>"
REFUSED = "room message error modify policy-violation"
LATER = "room message error wait policy-violation"
LINKS, MEDIA, NEWCOMERS = (f"x-muc#roomconfig_{name}" for name in ("allowlinks", "allowmedia", "newcomerminutes"))


class ContentTestCase(RoomTestCase):
    """A room with rules, in which Juliet is a stranger and Nurse a member."""

    def setUp(self) -> None:
        super().setUp()
        self.change(affiliation("nurse@localhost", "member"))
        self.nurse, self.juliet = self.enter("nurse"), self.enter("juliet")

    def send(self, client: Client, inside: str) -> str:
        """Send a message; return C{"sent"} or the error."""
        self.discardReceived()
        sendGroupchat(client, inside)
        others = [each for each in self.clients if each is not client]
        [answer] = summaries(client)
        self.assertEqual([summaries(other) for other in others], [[] if "error" in answer else [answer]] * len(others))
        return answer if "error" in answer else "sent"

    def text(self, client: Client, inside: str) -> str:
        """The text of the error to a message."""
        self.discardReceived()
        sendGroupchat(client, inside)
        [answer] = client.received()
        return errorText(answer)


class LinkTests(ContentTestCase):
    """Links."""

    def test_everybody(self) -> None:
        """By default everybody may send links and files."""
        for client in self.clients:
            self.assertEqual([self.send(client, LINK), self.send(client, FILE)], ["sent", "sent"])

    def test_levels(self) -> None:
        """Each value with those whom it lets send links; files are not concerned."""
        paris = self.enter("paris")
        self.change(role("Paris", "moderator"))
        for who, refused in (
            ("anyone", []),
            ("participants", []),
            ("members", [self.juliet]),
            ("moderators", [self.juliet, self.nurse]),
        ):
            self.configureRoom(**{LINKS: who})
            for client in (self.juliet, self.nurse, paris, self.owner):
                expected = REFUSED if client in refused else "sent"
                self.assertEqual((who, self.send(client, LINK)), (who, expected))
                self.assertEqual(self.send(client, FILE), "sent")
                self.assertEqual(self.send(client, "<body>Hi</body>"), "sent")

    def test_subject(self) -> None:
        """The subject may have no link either."""
        self.configureRoom(**{LINKS: "members"}, changesubject=True)
        setSubject(self.juliet, URL)
        self.assertReceived(self.juliet, REFUSED)
        setSubject(self.juliet, "Roses")
        self.assertReceived(self.juliet, "Juliet groupchat subject:Roses")

    def test_privateMessages(self) -> None:
        """Private messages are checked, also those of visitors."""
        self.configureRoom(**{LINKS: "participants"}, moderatedroom=True)
        self.change(role("Juliet", "visitor"))
        for text, answers, forwarded in (
            (URL, ["Owner message error modify policy-violation"], []),
            ("Hi", [], ["Juliet chat body:Hi x"]),
        ):
            self.juliet.sends(f"<message type='chat' to='{ROOM}/Owner'><body>{text}</body></message>")
            self.assertReceived(self.juliet, *answers)
            self.assertReceived(self.owner, *forwarded)

    def test_text(self) -> None:
        """The error says what is not allowed."""
        self.configureRoom(**{LINKS: "members", MEDIA: "members"})
        self.assertEqual(self.text(self.juliet, LINK), "You may not send links to this room.")
        self.assertEqual(self.text(self.juliet, FILE), "You may not send files to this room.")


class MediaTests(ContentTestCase):
    """Files."""

    def test_levels(self) -> None:
        """Who may send links but no files, and the other way round."""
        self.configureRoom(**{MEDIA: "members"})
        self.assertEqual([self.send(self.juliet, FILE), self.send(self.juliet, LINK)], [REFUSED, "sent"])
        self.assertEqual([self.send(self.nurse, FILE), self.send(self.nurse, LINK)], ["sent", "sent"])
        self.configureRoom(**{MEDIA: "anyone", LINKS: "moderators"})
        self.assertEqual([self.send(self.nurse, FILE), self.send(self.nurse, LINK)], ["sent", REFUSED])


class NewcomerTests(ContentTestCase):
    """Users who have entered a short time ago."""

    fields: dict[str, Any] = {NEWCOMERS: 5}

    def test_wait(self) -> None:
        """They may send text, and after the time links and files; members and moderators at once."""
        for client, expected in ((self.juliet, LATER), (self.nurse, "sent"), (self.owner, "sent")):
            self.assertEqual([self.send(client, LINK), self.send(client, FILE)], [expected] * 2)
            self.assertEqual(self.send(client, "<body>Hi</body>"), "sent")
        self.server.clock.advance(299)
        self.assertIn("try again in 1 minute.", self.text(self.juliet, LINK))
        self.server.clock.advance(1)
        self.assertEqual([self.send(self.juliet, LINK), self.send(self.juliet, FILE)], ["sent", "sent"])

    def test_remaining(self) -> None:
        """The error says how long, at most the whole time, also when the clock was set back."""
        self.assertIn("try again in 5 minutes.", self.text(self.juliet, FILE))
        self.room().occupants["Juliet"].since += 100_000
        self.assertIn("try again in 5 minutes.", self.text(self.juliet, FILE))

    def test_nickChange(self) -> None:
        """Another nick begins no new time; entering again does."""
        self.server.clock.advance(300)
        self.juliet.sends(f"<presence to='{ROOM}/J'/>")
        self.assertEqual(self.send(self.juliet, LINK), "sent")
        self.juliet.sends(f"<presence type='unavailable' to='{ROOM}/J'/>")
        self.enter(self.juliet)
        self.assertEqual(self.send(self.juliet, LINK), LATER)

    def test_neverAllowed(self) -> None:
        """Waiting is not suggested where it does not help."""
        self.configureRoom(**{LINKS: "members", MEDIA: "members"})
        self.assertEqual([self.send(self.juliet, LINK), self.send(self.juliet, FILE)], [REFUSED, REFUSED])


class FieldTests(ContentTestCase):
    """The fields."""

    def test_refused(self) -> None:
        """Other values are refused with the name of the field."""
        for field, value in ((LINKS, "nobody"), (MEDIA, ""), (NEWCOMERS, "-1"), (NEWCOMERS, "1441")):
            configure(self.owner, **{field: value})
            [answer] = self.owner.received()
            self.assertIn("not-acceptable", summary(answer))
            self.assertIn(field, errorText(answer))

    def test_discovered(self) -> None:
        """Everybody can find the rules."""
        self.configureRoom(**{LINKS: "members", NEWCOMERS: 7})
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        form = self.result(self.juliet).child("x", ns.DATA)
        assert form is not None
        found = values(form)
        self.assertEqual([found[LINKS], found[MEDIA], found[NEWCOMERS]], [["members"], ["anyone"], ["7"]])
