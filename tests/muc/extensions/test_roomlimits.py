# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.roomlimits}."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import LogLevel

from muccore.log import eventlog
from muccore.log.eventlog import RateLimit
from muccore.log.logger import setThreshold
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from tests.configuration import Logged
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    configure,
    errorText,
    join,
    leave,
    role,
    say,
    sendGroupchat,
    sendOwner,
    sendPresence,
    setSubject,
    summaries,
)

MESSAGES, PRESENCE, JOINS = (f"x-muc#roomconfig_{name}perminute" for name in ("messages", "presence", "joins"))
TOO_MANY = "room message error wait policy-violation"
COMPOSING = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"


class LimitTestCase(RoomTestCase):
    """A room with limits."""

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.server.clock.advance(seconds)

    def sent(self, client: Client, count: int, text: str = "a") -> int:
        """Send some messages; return how many were sent to all, and check that the others were refused."""
        self.discardReceived()
        for _ in range(count):
            say(client, text)
        answers = summaries(client)
        refused = answers.count(TOO_MANY)
        self.assertEqual(len(answers), count)
        self.assertEqual(len(summaries(self.owner)), count - refused)
        return count - refused


class MessageTests(LimitTestCase):
    """Messages of an occupant."""

    def setUp(self) -> None:
        super().setUp()
        self.configureRoom(**{MESSAGES: 6})
        self.juliet = self.enter("juliet")

    def test_refused(self) -> None:
        """So many at once, then evenly; nothing that was refused counts, and the error says how long to wait."""
        self.assertEqual(self.sent(self.juliet, 9), 6)
        say(self.juliet, "a")
        text = errorText(self.juliet.received()[-1])
        self.assertEqual(text, "You are sending too many messages to this room; try again in 10 seconds.")
        self.later(9.9)
        self.assertEqual(self.sent(self.juliet, 2), 0)
        self.later(0.1)
        self.assertEqual(self.sent(self.juliet, 2), 1)
        self.later(60)
        self.assertEqual(self.sent(self.juliet, 9), 6)

    def test_accounts(self) -> None:
        """Each user has their own, with all nicks and sessions together."""
        phone, paris = self.enter("juliet/phone", "J"), self.enter("paris")
        self.assertEqual([self.sent(self.juliet, 4), self.sent(phone, 4), self.sent(paris, 6)], [4, 2, 6])
        leave(phone, "J")
        self.enter("juliet/other", "Other")
        self.assertEqual(self.sent(self.clients[-1], 1), 0)

    def test_withoutText(self) -> None:
        """What has no text has an allowance of its own, four times as large."""
        setSubject(self.owner, "a")
        for _ in range(24):
            sendGroupchat(self.juliet, COMPOSING)
        self.assertEqual(self.sent(self.juliet, 7), 6)
        sendGroupchat(self.juliet, COMPOSING)
        self.assertReceived(self.juliet, TOO_MANY)

    def test_private(self) -> None:
        """Private messages count."""
        self.assertEqual(self.sent(self.juliet, 5), 5)
        for _ in range(2):
            self.juliet.sends(f"<message type='chat' to='{ROOM}/Owner'><body>a</body></message>")
        self.assertReceived(self.owner, "Juliet chat body:a x")
        self.assertReceived(self.juliet, "Owner message error wait policy-violation")

    def test_moderators(self) -> None:
        """Moderators have no limit."""
        for _ in range(20):
            say(self.owner, "a")
        self.assertEqual(summaries(self.juliet), ["Owner groupchat body:a"] * 20)
        self.change(role("Juliet", "moderator"))
        self.assertEqual(self.sent(self.juliet, 20), 20)

    def test_changed(self) -> None:
        """Another limit begins anew; any other change of the configuration lets nobody send more."""
        self.sent(self.juliet, 6)
        self.configureRoom(roomname="R")
        self.assertEqual(self.sent(self.juliet, 1), 0)
        self.configureRoom(**{MESSAGES: 2})
        self.assertEqual(self.sent(self.juliet, 4), 2)
        self.configureRoom(**{MESSAGES: 0})
        self.assertEqual(self.sent(self.juliet, 20), 20)


class PresenceTests(LimitTestCase):
    """Presence and nicks."""

    def setUp(self) -> None:
        super().setUp()
        self.configureRoom(**{PRESENCE: 4})
        self.juliet = self.enter("juliet")

    def test_refused(self) -> None:
        """Status, nick, and entering again with another status count together; nothing is refused but them."""
        sendPresence(self.juliet, "Juliet", "<show>xa</show>")
        sendPresence(self.juliet, "J")
        join(self.juliet, "J", "<show>dnd</show>")
        self.discardReceived()
        for send, nick in (
            (lambda: sendPresence(self.juliet, "J", "<show>away</show>"), "J"),
            (lambda: sendPresence(self.juliet, "Juliet"), "Juliet"),
            (lambda: join(self.juliet, "J", "<show>away</show>"), "J"),
            (lambda: join(self.juliet, "Juliet"), "Juliet"),
        ):
            send()
            self.assertReceived(self.juliet, f"{nick} presence error wait policy-violation")
            self.assertNothingReceived(self.owner)
        sendPresence(self.juliet, "J", "<show>away</show>")
        text = errorText(self.juliet.received()[-1])
        self.assertEqual(text, "You are changing your presence in this room too often; try again in 15 seconds.")
        join(self.juliet, "J", "<show>dnd</show>")
        self.assertEqual(len(summaries(self.juliet)), 3)  # nothing has changed, but everything is sent again
        self.later(15)
        sendPresence(self.juliet, "Juliet")
        self.assertEqual(len(summaries(self.owner)), 2)

    def test_leaving(self) -> None:
        """Leaving is never refused; entering counts."""
        for _ in range(3):
            leave(self.juliet, "Juliet")
            join(self.juliet, "Juliet")
        self.discardReceived()
        leave(self.juliet, "Juliet")
        self.assertReceived(self.owner, "Juliet unavailable none/none jid=juliet@localhost/a")
        self.discardReceived()
        join(self.juliet, "Juliet")
        self.assertReceived(self.juliet, "Juliet presence error wait policy-violation")
        self.assertNothingReceived(self.owner)

    def test_exempt(self) -> None:
        """Moderators and admins are exempt; members are not."""
        self.change(affiliation("juliet@localhost", "member"))
        for nick in ("a", "b", "c", "d"):
            sendPresence(self.juliet, nick)
        self.assertIn("policy-violation", summaries(self.juliet)[-1])
        for nick in "abcdefgh":
            sendPresence(self.owner, f"Owner {nick}")
            leave(self.owner, f"Owner {nick}")
            join(self.owner, "Owner")
        self.assertEqual([line for line in summaries(self.owner) if "error" in line], [])


class JoinTests(LimitTestCase):
    """Users who enter."""

    def setUp(self) -> None:
        super().setUp()
        self.configureRoom(**{JOINS: 3})

    def enterMany(self, names: str, start: str = "user") -> list[str]:
        """Let users enter; return what each receives, an error or C{"in"}."""
        found = []
        for name in names:
            client = self.client(f"{start}{name}")
            join(client, name.upper())
            answers = summaries(client)
            found.append(answers[0] if "error" in answers[0] else "in")
        return found

    def test_refused(self) -> None:
        """Too many strangers are refused, and may enter later."""
        refused = [f"{nick} presence error wait resource-constraint" for nick in "DE"]
        self.assertEqual(self.enterMany("abcde"), ["in", "in", "in", *refused])
        join(self.clients[-1], "E")
        text = errorText(self.clients[-1].received()[-1])
        self.assertEqual(text, "Too many users are entering this room; try again in 20 seconds.")
        self.later(20)
        self.assertEqual(self.enterMany("fg"), ["in", "G presence error wait resource-constraint"])
        self.assertEqual(len(self.room().occupants), 5)

    def test_known(self) -> None:
        """Members, admins and owners may always enter."""
        self.change(affiliation("friendx@localhost", "member"), affiliation("friendy@localhost", "admin"))
        self.enterMany("abcd")
        self.assertEqual(self.enterMany("xy", "friend"), ["in", "in"])

    def test_inside(self) -> None:
        """Those who are inside may add sessions, which do not count; another nick does."""
        self.enterMany("ab")
        for number in range(5):
            phone = self.client(f"usera/{number}")
            join(phone, "A")
            self.assertIn(phone.address, self.room().sessions)
        self.assertEqual(self.enterMany("c"), ["in"])
        other = self.client("usera/other")
        join(other, "Other")
        self.assertReceived(other, "Other presence error wait resource-constraint")

    def test_restart(self) -> None:
        """Nor do those count who take back their places after a restart, with another session, too."""
        self.configureRoom(**{JOINS: 3}, persistentroom=True)
        for name in "abcde":
            self.enterMany(name)
            self.later(20)
        self.startServer(self.server.store, occupants=self.server.occupants)
        for name in "abcde":
            phone = self.client(f"user{name}/phone")
            join(phone, name.upper())
            self.assertIn(phone.address, self.room().sessions)

    def test_oneUser(self) -> None:
        """With a limit of presence, one user who enters again and again keeps nobody out."""
        self.configureRoom(**{JOINS: 5, PRESENCE: 2})
        paris = self.client("paris")
        for _ in range(10):
            join(paris, "Paris")
            leave(paris, "Paris")
        self.assertEqual(self.enterMany("abc"), ["in"] * 3)

    def test_logged(self) -> None:
        """Operators learn of a flood once, and of the next one."""
        self.patch(eventlog, "limit", RateLimit())
        logged = Logged(self)
        setThreshold("info")

        def floods() -> list[str]:
            lines = [line for line in logged.lines(LogLevel.info) if line.startswith("room-flooded")]
            logged.events.clear()
            return lines

        line = f"room-flooded by conference.localhost: more than 3 joins a minute, {ROOM}"
        self.enterMany("abc")
        self.assertEqual(floods(), [])
        self.enterMany("defghij")
        self.assertEqual(floods(), [line])
        for names in ("klmn", "opqr"):
            self.later(59)
            self.enterMany(names)
        self.assertEqual(floods(), [])
        self.later(61)
        self.enterMany("stuv")
        self.assertEqual(floods(), [line])


class ServiceTests(LimitTestCase):
    """The maxima of the service."""

    def test_withoutOwn(self) -> None:
        """They hold in rooms whose owner has set nothing."""
        self.openRoom(options={"messagesPerMinute": 3, "joinsPerMinute": 1, "presencePerMinute": 2})
        juliet, paris = self.enter("juliet"), self.client("paris")
        self.assertEqual(self.sent(juliet, 5), 3)
        join(paris, "Paris")
        self.assertReceived(paris, "Paris presence error wait resource-constraint")
        sendPresence(juliet, "J")
        sendPresence(juliet, "Juliet")
        self.assertIn("Juliet presence error wait policy-violation", summaries(juliet))

    def test_ownerSetsLess(self) -> None:
        """Owners can set less, not more; the form has the range, and the error the field."""
        self.openRoom(options={"messagesPerMinute": 5})
        self.configureRoom(**{MESSAGES: 2})
        self.assertEqual(self.sent(self.enter("juliet"), 5), 2)
        configure(self.owner, **{MESSAGES: 6})
        self.assertIn(f"{MESSAGES}: not from 0 to 5", errorText(self.owner.received()[-1]))

    def test_reload(self) -> None:
        """A reload applies at once: to those who are counted, and to what the form shows."""
        self.configureRoom(**{MESSAGES: 9})
        juliet = self.enter("juliet")
        muc = self.server.muc
        muc.reconfigure(replace(muc.options, messagesPerMinute=4))
        self.assertEqual(self.sent(juliet, 9), 4)
        sendOwner(self.owner, type="get")
        form = self.result(self.owner).child("x", ns.DATA)
        assert form is not None
        [field] = [each for each in form.childElements() if each.get("var") == MESSAGES]
        validate = field.child("validate", ns.DATA_VALIDATE)
        assert validate is not None
        self.assertEqual(next(validate.childElements()).attributes, {"min": "0", "max": "4"})
        self.assertEqual(field.childText("value"), "4")
        muc.reconfigure(replace(muc.options, messagesPerMinute=0))
        self.assertEqual(self.sent(juliet, 12), 9)
