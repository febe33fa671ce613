# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.attendance}: what one who enters hears, and under which nick he is in (XEP-0045 §7.1, §7.2,
§17.1).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import render
from tests.muc.company import ROOM, Scene, X, codesOf, join, told

SUBJECT = "room groupchat subject:"


class OrderTests(SynchronousTestCase):
    """
    What one who enters hears, and in which order (§7.1).
    """

    def setUp(self) -> None:
        """
        There are an owner, a member and a history.
        """
        self.scene = Scene({"changesubject": "1"})
        self.scene.admin(jid="member@localhost", affiliation="member")
        self.member = self.scene.guest("member", "Member", "<show>xa</show>")
        for text in ("a", "b"):
            self.member.sends(f"<message to='{ROOM}' type='groupchat'><body>{text}</body></message>")
        self.member.sends(f"<message to='{ROOM}' type='groupchat'><subject>Fire</subject></message>")
        self.scene.forget()
        self.juliet = self.scene.person("juliet")

    def test_order(self) -> None:
        """
        First everybody else, then oneself, then the history, then the subject from who set it, stamped by the room,
        then what happens (§7.1, §7.2.15).
        """
        join(self.juliet, "Juliet")
        self.member.sends(f"<message to='{ROOM}' type='groupchat'><body>live</body></message>")
        self.assertEqual(
            told(self.juliet),
            [
                "Owner available owner/moderator",
                "Member available member/participant show:xa",
                "Juliet available none/participant jid=juliet@localhost/r 110",
                f"Member groupchat body:a delay:{ROOM}",
                f"Member groupchat body:b delay:{ROOM}",
                f"Member groupchat subject:Fire delay:{ROOM}",
                "Member groupchat body:live",
            ],
        )

    def test_others(self) -> None:
        """
        The others hear it once, a moderator with the real JID and a participant without (§7.2.4).
        """
        join(self.juliet, "Juliet", "<status>hi</status>")
        self.assertEqual(
            told(self.scene.owner), ["Juliet available none/participant jid=juliet@localhost/r status:hi"]
        )
        self.assertEqual(told(self.member), ["Juliet available none/participant status:hi"])

    def test_subjectStamp(self) -> None:
        """
        The subject says when it was set, in UTC, by the room (§7.2.15).
        """
        self.scene.clock.advance(60)
        join(self.juliet, "Juliet")
        delay = self.juliet.hears()[-1].child("delay", ns.DELAY)
        assert delay is not None
        self.assertEqual(delay.attributes, {"from": ROOM, "stamp": "2001-09-09T01:46:40Z"})

    def test_clearedSubject(self) -> None:
        """
        A subject that was cleared is empty and stamped; one that never was is empty and not stamped (§7.2.15).
        """
        self.member.sends(f"<message to='{ROOM}' type='groupchat'><subject/></message>")
        join(self.juliet, "Juliet")
        self.assertEqual(told(self.juliet)[-1], f"Member groupchat subject: delay:{ROOM}")
        other = Scene()
        romeo = other.person("romeo")
        join(romeo, "Romeo")
        self.assertEqual(told(romeo)[-1], SUBJECT)

    def history(self, request: str) -> list[str]:
        """
        The history that one gets who asks for it so.
        """
        client = self.scene.person(f"h{len(self.scene.clients)}")
        join(client, client.address.partition("@")[0], x=f"<history {request}/>")
        return [line.split()[2] for line in told(client) if "body:" in line]

    def test_history(self) -> None:
        """
        Who wants less history gets less, and no history if he wants none (§7.2.14); the subject comes all the same.
        """
        self.scene.clock.advance(100)
        self.member.sends(f"<message to='{ROOM}' type='groupchat'><body>c</body></message>")
        self.assertEqual(self.history(""), ["body:a", "body:b", "body:c"])
        self.assertEqual(self.history("maxstanzas='2'"), ["body:b", "body:c"])
        self.assertEqual(self.history("maxchars='0'"), [])
        self.assertEqual(self.history("maxstanzas='0'"), [])
        self.assertEqual(self.history("seconds='99'"), ["body:c"])
        self.assertEqual(self.history("seconds='100'"), ["body:a", "body:b", "body:c"])
        self.assertEqual(self.history("since='2001-09-09T01:46:41Z'"), ["body:c"])
        self.assertEqual(self.history("maxstanzas='nonsense'"), ["body:a", "body:b", "body:c"])
        join(self.juliet, "Juliet", x="<history maxchars='0'/>")
        self.assertEqual(told(self.juliet)[-1], f"Member groupchat subject:Fire delay:{ROOM}")

    def test_maxchars(self) -> None:
        """
        Characters are those of whole stanzas as they arrive: exactly as many are enough, one fewer is not (§7.2.14).
        """
        join(self.juliet, "Juliet")
        [_, last] = [stanza for stanza in self.juliet.hears() if stanza.child("body") is not None]
        length = len(render(last).decode())
        for limit, expected in ((length, 1), (length - 1, 0)):
            join(self.juliet, "Juliet", x=f"<history maxchars='{limit}'/>")
            self.assertEqual(sum("body:" in line for line in told(self.juliet)), expected)

    def test_percent(self) -> None:
        """
        A room may be called by anything, and keeps history all the same.
        """
        room = "100%s@conference.localhost"
        romeo = self.scene.person("romeo")
        romeo.sends(f"<presence to='{room}/Romeo'>{X}</presence>")
        romeo.sends(f"<message to='{room}' type='groupchat' id='1'><body>a</body></message>")
        self.assertEqual(romeo.hears()[-1].get("type"), "groupchat")
        romeo.sends(f"<presence to='{room}/Romeo'>{X}</presence>")
        [past] = [stanza for stanza in romeo.hears() if stanza.child("body") is not None]
        self.assertIsNotNone(past.child("delay", ns.DELAY))


class WarningTests(SynchronousTestCase):
    """
    What one who enters is warned of.
    """

    def codes(self, nick: str = "Juliet", **settings: str) -> list[int]:
        """
        The codes that one gets who enters such a room.
        """
        scene = Scene(dict(settings))
        juliet = scene.person("juliet")
        join(juliet, nick)
        return codesOf(juliet.hears()[1])

    def test_nonAnonymous(self) -> None:
        """
        That everybody sees his JID: 100 (§7.2.3), for him alone, and then everybody does see it.
        """
        scene = Scene({"whois": "anyone"})
        romeo = scene.guest("romeo", "Romeo")
        juliet = scene.person("juliet")
        join(juliet, "Juliet")
        self.assertEqual(
            told(juliet)[:3],
            [
                "Owner available owner/moderator jid=owner@localhost/o",
                "Romeo available none/participant jid=romeo@localhost/r",
                "Juliet available none/participant jid=juliet@localhost/r 100 110",
            ],
        )
        self.assertEqual(told(romeo), ["Juliet available none/participant jid=juliet@localhost/r"])

    def test_logged(self) -> None:
        """
        That what is said is logged: 170 (§7.2.12).
        """
        self.assertEqual(self.codes(enablelogging="1"), [170, 110])
        self.assertEqual(self.codes(enablelogging="1", whois="anyone"), [100, 170, 110])
        self.assertEqual(self.codes(), [110])

    def test_renamed(self) -> None:
        """
        That his nick is another one than he asked for: 210 (§7.2.2).
        """
        self.assertEqual(self.codes(" Juliet "), [210, 110])
        self.assertEqual(self.codes("Juliet\u00ad"), [210, 110])


class NickTests(SynchronousTestCase):
    """
    Which nicks may be (§17.1).
    """

    def setUp(self) -> None:
        """
        There is a room.
        """
        self.scene = Scene()
        self.juliet = self.scene.person("juliet")

    def test_missing(self) -> None:
        """
        Without a nick nobody enters; the room says so itself (§7.2.1).
        """
        self.juliet.sends(f"<presence to='{ROOM}' id='273hs51g'>{X}</presence>")
        [error] = self.juliet.hears()
        self.assertEqual(error.attributes["from"], ROOM)
        self.assertEqual(error.attributes["id"], "273hs51g")
        refusal = error.child("error")
        assert refusal is not None
        self.assertEqual(refusal.attributes, {"by": ROOM, "type": "modify"})
        self.assertIsNotNone(refusal.child("jid-malformed", ns.STANZA_ERRORS))

    def test_blank(self) -> None:
        """
        A nick of blanks alone is none, on entering and on changing it.
        """
        for nick in ("&#x20;", "&#x20;&#x20;"):
            join(self.juliet, nick)
            [line] = told(self.juliet)
            self.assertIn(f"presence error jid-malformed modify {ROOM}", line)
        join(self.juliet, "Juliet")
        self.scene.forget()
        self.juliet.sends(f"<presence to='{ROOM}/&#x20;'/>")
        self.assertIn("jid-malformed", told(self.juliet)[0])
        self.assertEqual(told(self.scene.owner), [])

    def test_long(self) -> None:
        """
        Nobody's name is longer than 256 bytes, on entering and on changing it: it is sent to everybody again and again.
        """
        join(self.juliet, "é" * 129)
        self.assertEqual(told(self.juliet), [f"{'é' * 129} presence error not-acceptable modify {ROOM}"])
        join(self.juliet, "é" * 128)
        self.scene.forget()
        self.juliet.sends(f"<presence to='{ROOM}/{'x' * 257}'/>")
        self.assertIn("not-acceptable", told(self.juliet)[0])
        self.assertEqual(told(self.scene.owner), [])

    def test_mimicry(self) -> None:
        """
        Blanks around a nick make no other nick of it (§14.6: mimicking another occupant).
        """
        join(self.juliet, "Owner&#x20;")
        self.assertEqual(told(self.juliet), [f"Owner  presence error conflict cancel {ROOM}"])

    def test_otherwise(self) -> None:
        """
        What is no address at all never gets to a room.
        """
        for nick in ("", "&#x7f;", "a" * 1024):
            join(self.juliet, nick)
            [error] = self.juliet.hears()
            refusal = error.child("error")
            assert refusal is not None
            self.assertIsNotNone(refusal.child("jid-malformed", ns.STANZA_ERRORS), nick)
        self.assertEqual(told(self.scene.owner), [])


class LockedNickTests(SynchronousTestCase):
    """
    A room where who has reserved a nick can use no other one (§7.2.2, §7.6, §18.1).
    """

    def setUp(self) -> None:
        """
        Juliet has reserved a nick.
        """
        self.scene = Scene({"x-muc#roomconfig_reservednick": "1"})
        self.scene.admin(jid="juliet@localhost", affiliation="member", nick="Juliet")
        self.juliet = self.scene.person("juliet")

    def test_enter(self) -> None:
        """
        She enters under it whatever she asks for, and is told by 210.
        """
        join(self.juliet, "Nurse")
        self.assertEqual(told(self.juliet)[1], "Juliet available member/participant jid=juliet@localhost/r 210 110")
        self.assertEqual(list(self.scene.room.occupants), ["Owner", "Juliet"])

    def test_asked(self) -> None:
        """
        Who asks for it gets it without 210.
        """
        join(self.juliet, "Juliet")
        self.assertEqual(codesOf(self.juliet.hears()[1]), [110])

    def test_change(self) -> None:
        """
        She cannot change it (§7.6: C{not-acceptable}, cancel); the others can.
        """
        join(self.juliet, "Juliet")
        self.scene.forget()
        self.juliet.sends(f"<presence to='{ROOM}/Nurse'/>")
        self.assertEqual(told(self.juliet), [f"Nurse presence error not-acceptable cancel {ROOM}"])
        romeo = self.scene.guest("romeo", "Romeo")
        romeo.sends(f"<presence to='{ROOM}/R'/>")
        self.assertEqual(len(told(romeo)), 2)

    def test_later(self) -> None:
        """
        Who is in when a nick is reserved for him may change to that one.
        """
        romeo = self.scene.guest("romeo", "R")
        self.scene.admin(jid="romeo@localhost", affiliation="member", nick="Romeo")
        romeo.sends(f"<presence to='{ROOM}/Romeo'/>")
        self.assertEqual(
            told(romeo),
            [
                "R unavailable member/participant jid=romeo@localhost/r nick=Romeo 303 110",
                "Romeo available member/participant jid=romeo@localhost/r 110",
            ],
        )
