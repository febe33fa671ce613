# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.protocol.presence}: what those who enter receive, and under which nick they are in (XEP-0045
§7.1, §7.2, §17.1).
"""

from __future__ import annotations

from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    X,
    affiliation,
    codesOf,
    join,
    say,
    sendPresence,
    setSubject,
    summaries,
)


class OrderTests(RoomTestCase):
    """What those who enter receive, in which order (§7.1). There are an owner, a member, a history and a subject."""

    fields = {"changesubject": True}

    def setUp(self) -> None:
        super().setUp()
        self.change(affiliation("member@localhost", "member"))
        self.member = self.enter("member", children="<show>xa</show>")
        say(self.member, "a")
        say(self.member, "b")
        setSubject(self.member, "Fire")
        self.juliet = self.client("juliet")
        self.discardReceived()

    def test_order(self) -> None:
        """
        First come the others, then the own presence, the history, the subject from whoever set it, stamped by the room,
        and then live messages (§7.1, §7.2.15).
        """
        join(self.juliet, "Juliet")
        say(self.member, "live")
        self.assertReceived(
            self.juliet,
            "Owner available owner/moderator",
            "Member available member/participant show:xa",
            "Juliet available none/participant jid=juliet@localhost/a 110",
            "Member groupchat body:a delayed",
            "Member groupchat body:b delayed",
            "Member groupchat subject:Fire delayed",
            "Member groupchat body:live",
        )

    def test_others(self) -> None:
        """The others receive it once, moderators with the real JID and participants without (§7.2.4)."""
        join(self.juliet, "Juliet", "<status>hi</status>")
        self.assertReceived(self.owner, "Juliet available none/participant jid=juliet@localhost/a status:hi")
        self.assertReceived(self.member, "Juliet available none/participant status:hi")

    def test_subjectStamp(self) -> None:
        """The subject is stamped, in UTC, with the time at which it was set (§7.2.15)."""
        self.server.clock.advance(60)
        join(self.juliet, "Juliet")
        delay = self.juliet.received()[-1].child("delay", ns.DELAY)
        assert delay is not None
        self.assertEqual(delay.attributes, {"from": ROOM, "stamp": "2001-09-09T01:46:40Z"})

    def test_subjectLanguage(self) -> None:
        """The subject keeps its language, or that of its message (§13); one longer than any tag is dropped."""
        for outer, inner, expected in (
            ("de", None, "de"),
            ("de", "en", "en"),
            ("de", "", None),
            (None, None, None),
            ("x" * 65, None, None),
        ):
            attributes = ["" if tag is None else f" xml:lang='{tag}'" for tag in (outer, inner)]
            self.member.sends(
                "<message to='{}' type='groupchat'{}><subject{}>s</subject></message>".format(ROOM, *attributes)
            )
            client = self.client("nurse")
            join(client, "Nurse")
            self.assertEqual(client.received()[-1].attributes.get((ns.XML, "lang")), expected)
            client.dropConnection()

    def test_clearedSubject(self) -> None:
        """A cleared subject is empty and stamped; one that was never set is empty and not stamped (§7.2.15)."""
        setSubject(self.member, "")
        join(self.juliet, "Juliet")
        self.assertEqual(summaries(self.juliet)[-1], "Member groupchat subject: delayed")
        self.openRoom()
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.assertEqual(summaries(romeo)[-1], "room groupchat subject:")

    def test_history(self) -> None:
        """A request for less history is honoured (§7.2.14); the subject comes all the same."""
        self.server.clock.advance(100)
        say(self.member, "c")
        for request, expected in (
            ("", "abc"),
            ("maxstanzas='2'", "bc"),
            ("maxchars='0'", ""),
            ("maxstanzas='0'", ""),
            ("seconds='99'", "c"),
            ("seconds='100'", "abc"),
            ("since='2001-09-09T01:46:41Z'", "c"),
            ("maxstanzas='nonsense'", "abc"),
        ):
            join(self.juliet, "Juliet", x=f"<history {request}/>")
            [*received, subject] = summaries(self.juliet)
            bodies = [f"Member groupchat body:{text} delayed" for text in expected]
            self.assertEqual([line for line in received if "body:" in line], bodies, request)
            self.assertEqual(subject, "Member groupchat subject:Fire delayed")

    def test_maxchars(self) -> None:
        """Characters are those of whole stanzas as received: exactly as many suffice, one fewer does not (§7.2.14)."""
        join(self.juliet, "Juliet")
        [_, last] = [stanza for stanza in self.juliet.received() if stanza.child("body") is not None]
        length = len(render(last).decode())
        for limit, expected in ((length, 1), (length - 1, 0)):
            join(self.juliet, "Juliet", x=f"<history maxchars='{limit}'/>")
            self.assertEqual(sum("body:" in line for line in summaries(self.juliet)), expected)

    def test_names(self) -> None:
        """Rooms, nicks and resources may contain characters that are special in formats and in XML."""
        room = "100%s@conference.localhost"
        romeo = self.client("romeo@localhost/b'<")
        join(romeo, "O'Neil", to=room)
        self.assertEqual(summaries(romeo)[0], "O'Neil available owner/moderator jid=romeo@localhost/b'< 201 110")
        say(romeo, "a", to=room)
        self.assertReceived(romeo, "O'Neil groupchat body:a")
        join(romeo, "O'Neil", to=room)
        self.assertIn("O'Neil groupchat body:a delayed", summaries(romeo))


class WarningTests(RoomTestCase):
    """What those who enter are warned of."""

    def codes(self, nick: str = "Juliet", **fields: object) -> list[int]:
        """The codes that Juliet receives on entering such a room."""
        self.openRoom(**fields)
        juliet = self.client("juliet")
        join(juliet, nick)
        return codesOf(juliet.received()[1])

    def test_nonAnonymous(self) -> None:
        """Everybody sees real JIDs: 100 (§7.2.3), for the one who enters alone."""
        self.openRoom(whois="anyone")
        romeo, juliet = self.enter("romeo"), self.client("juliet")
        join(juliet, "Juliet")
        self.assertReceived(
            juliet,
            "Owner available owner/moderator jid=owner@localhost/a",
            "Romeo available none/participant jid=romeo@localhost/a",
            "Juliet available none/participant jid=juliet@localhost/a 100 110",
            "room groupchat subject:",
        )
        self.assertReceived(romeo, "Juliet available none/participant jid=juliet@localhost/a")

    def test_logged(self) -> None:
        """Messages are logged: 170 (§7.2.12)."""
        self.assertEqual(self.codes(enablelogging="1"), [170, 110])
        self.assertEqual(self.codes(enablelogging="1", whois="anyone"), [100, 170, 110])
        self.assertEqual(self.codes(), [110])

    def test_renamed(self) -> None:
        """The nick had to be prepared: 210 (§7.2.2)."""
        self.assertEqual(self.codes(" Juliet "), [210, 110])
        self.assertEqual(self.codes("Juliet\u00ad"), [210, 110])


class NickTests(RoomTestCase):
    """Which nicks are possible (§17.1)."""

    def setUp(self) -> None:
        super().setUp()
        self.juliet = self.client("juliet")

    def test_missing(self) -> None:
        """A join without a nick is C{jid-malformed}, from the room itself (§7.2.1)."""
        self.juliet.sends(f"<presence to='{ROOM}' id='273hs51g'>{X}</presence>")
        self.assertReceived(self.juliet, "room presence error modify jid-malformed")

    def test_refused(self) -> None:
        """
        A nick that is blank, has invisible characters or more than 256 bytes is C{not-acceptable}, on entering and on a
        change of nick.
        """
        for nick in (" ", "  ", "Romeo\u0378", "é" * 129):
            join(self.juliet, nick)
            self.assertReceived(self.juliet, f"{nick} presence error modify not-acceptable")
        self.enter(self.juliet, "é" * 128)
        for nick in (" ", "\u2800", "x" * 257):
            sendPresence(self.juliet, nick)
            self.assertReceived(self.juliet, f"{nick} presence error modify not-acceptable")
        self.assertNothingReceived()

    def test_mimicry(self) -> None:
        """Spaces around a nick do not make another nick of it (§14.6: mimicking another occupant)."""
        join(self.juliet, "Owner ")
        self.assertReceived(self.juliet, "Owner  presence error cancel conflict")

    def test_otherwise(self) -> None:
        """What is no address does not reach the room."""
        for nick in ("", "\x7f", "a" * 1024):
            join(self.juliet, nick)
            [error] = self.juliet.received()
            child = error.child("error")
            assert child is not None
            self.assertIsNotNone(child.child("jid-malformed", ns.STANZA_ERRORS), nick)
        self.assertNothingReceived()


class LockedNickTests(RoomTestCase):
    """A room in which users can use no other nick than their reserved one (§7.2.2, §7.6, §18.1)."""

    fields = {"x-muc#roomconfig_reservednick": True}

    def setUp(self) -> None:
        super().setUp()
        self.change(affiliation("juliet@localhost", "member", nick="Juliet"))
        self.juliet = self.client("juliet")

    def test_enter(self) -> None:
        """They enter under it whatever they ask for, and are told so with 210."""
        join(self.juliet, "Nurse")
        self.assertEqual(
            summaries(self.juliet)[1], "Juliet available member/participant jid=juliet@localhost/a 210 110"
        )
        self.assertReceived(self.owner, "Juliet available member/participant jid=juliet@localhost/a")

    def test_asked(self) -> None:
        """Whoever asks for it gets it without 210."""
        join(self.juliet, "Juliet")
        self.assertEqual(codesOf(self.juliet.received()[1]), [110])

    def test_change(self) -> None:
        """They cannot change it: C{not-acceptable}, cancel (§7.6); others can."""
        self.enter(self.juliet)
        sendPresence(self.juliet, "Nurse")
        self.assertReceived(self.juliet, "Nurse presence error cancel not-acceptable")
        romeo = self.enter("romeo")
        sendPresence(romeo, "R")
        self.assertEqual(len(summaries(romeo)), 2)

    def test_later(self) -> None:
        """Occupants for whom a nick is reserved may change to it."""
        romeo = self.enter("romeo", "R")
        self.change(affiliation("romeo@localhost", "member", nick="Romeo"))
        sendPresence(romeo, "Romeo")
        self.assertReceived(
            romeo,
            "R unavailable member/participant jid=romeo@localhost/a nick=Romeo 303 110",
            "Romeo available member/participant jid=romeo@localhost/a 110",
        )
