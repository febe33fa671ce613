# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.attendance}: coming, going and being there, through a whole server (XEP-0045 §7.1, §7.2, §7.6,
§7.7, §7.14, §17.1, §17.3, §18.1.2).
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import render
from muccore.interfaces import RoomRecord
from muccore.muc.settings import RoomSettings
from muccore.testing.doubles import DelayedRoomStore
from muccore.testing.stage import Client, Stage
from tests.muc.company import ROOM, Scene, X, codesOf, itemOf, join, told

SUBJECT = "room groupchat subject:"


class CreationTests(SynchronousTestCase):
    """
    The first one to come.
    """

    def setUp(self) -> None:
        """
        There is no room.
        """
        self.stage = Stage(presenceSize=100)
        self.romeo = self.stage.client("romeo@localhost/a")

    def test_created(self) -> None:
        """
        He is the owner of a new room, which he is told by 201 (§10.1.1), with the id of his presence (§7.2.2).
        """
        join(self.romeo, "Romeo", id="n13mt3l")
        self.assertEqual(
            [render(stanza).decode() for stanza in self.romeo.hears()],
            [
                f"<presence to='romeo@localhost/a' id='n13mt3l' from='{ROOM}/Romeo'><x xmlns='{ns.MUC_USER}'>"
                "<status code='201'/><item affiliation='owner' role='moderator' jid='romeo@localhost/a'/>"
                "<status code='110'/></x></presence>",
                f"<message to='romeo@localhost/a' from='{ROOM}' type='groupchat'><subject/></message>",
            ],
        )

    def test_locked(self) -> None:
        """
        Until it is configured nobody else finds it (§7.2.10), but another session of the owner may come; who is told
        of the creation is the first one alone.
        """
        join(self.romeo, "Romeo")
        juliet = self.stage.client("juliet@localhost/b")
        join(juliet, "Juliet")
        self.assertEqual(told(juliet), [f"Juliet presence error item-not-found cancel {ROOM}"])
        self.romeo.hears()
        phone = self.stage.client("romeo@localhost/phone")
        join(phone, "Romeo")
        self.assertEqual(told(phone)[0], "Romeo available owner/moderator jid=romeo@localhost/phone 110")

    def test_notAllowed(self) -> None:
        """
        Who may not create rooms is told so by the room that is not (§10.1.1), and none comes to be.
        """
        stage = Stage(creation="nobody")
        romeo = stage.client("romeo@localhost/a")
        join(romeo, "Romeo", id="1")
        [error] = romeo.hears()
        text = error.child("error").child("text", ns.STANZA_ERRORS).text()  # type: ignore[union-attr]
        self.assertEqual(
            render(error).decode(),
            f"<presence to='romeo@localhost/a' from='{ROOM}/Romeo' id='1' type='error'>{X}"
            f"<error by='{ROOM}' type='cancel'><not-allowed xmlns='{ns.STANZA_ERRORS}'/>"
            f"<text xmlns='{ns.STANZA_ERRORS}' xml:lang='en'>{text}</text></error></presence>",
        )
        self.assertEqual(stage.muc.rooms.live, {})

    def test_refused(self) -> None:
        """
        A presence that is refused creates no room.
        """
        join(self.romeo, "&#x20;")
        self.assertEqual(told(self.romeo), [f"  presence error jid-malformed modify {ROOM}"])
        join(self.romeo, "Romeo", inside=f"<status>{'x' * 100}</status>")
        self.assertEqual(told(self.romeo), [f"Romeo presence error policy-violation modify {ROOM}"])
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_withoutX(self) -> None:
        """
        Presence without C{<x/>} is no join and creates nothing; the sender is told that he is not in, exactly so
        (§7.2.18).
        """
        self.romeo.sends(f"<presence to='{ROOM}/Romeo' id='1'/>")
        [kick] = self.romeo.hears()
        self.assertEqual(
            render(kick).decode(),
            f"<presence to='romeo@localhost/a' from='{ROOM}/Romeo' type='unavailable'><x xmlns='{ns.MUC_USER}'>"
            "<item affiliation='none' role='none'><reason>You are not in the room.</reason></item>"
            "<status code='110'/><status code='307'/><status code='333'/></x></presence>",
        )
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_typed(self) -> None:
        """
        Presence with a type is no join (§17.3), whatever is in it.
        """
        for type in ("unavailable", "probe", "error"):
            self.romeo.sends(f"<presence type='{type}' to='{ROOM}/Romeo'>{X}</presence>")
            self.romeo.sends(f"<presence type='{type}' to='{ROOM}'>{X}</presence>")
            self.assertEqual(told(self.romeo), [], type)
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_left(self) -> None:
        """
        A creator who leaves before he has configured his room takes it with him.
        """
        join(self.romeo, "Romeo")
        self.romeo.hears()
        self.romeo.sends(f"<presence type='unavailable' to='{ROOM}/Romeo'/>")
        [gone] = self.romeo.hears()
        self.assertEqual((gone.get("type"), codesOf(gone), itemOf(gone).get("role")), ("unavailable", [110], "none"))
        self.assertEqual(self.stage.muc.rooms.live, {})


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


class RefusalTests(SynchronousTestCase):
    """
    Who does not get in (§7.2.17). Nobody hears of it but himself.
    """

    def refused(self, scene: Scene, condition: str, nick: str = "Juliet", x: str = "", address: str = "juliet") -> None:
        """
        See that somebody does not get in.
        """
        client = scene.clients.get(f"{address}@localhost/r") or scene.person(address)
        scene.forget()
        join(client, nick, x=x, id="7")
        [error] = client.hears()
        self.assertEqual((error.get("from"), error.get("id")), (f"{ROOM}/{nick}", "7"))
        self.assertIsNotNone(error.child("x", ns.MUC))
        refusal = error.child("error")
        assert refusal is not None
        self.assertEqual(f"{refusal.get('type')} {next(refusal.childElements()).name}", condition)
        self.assertEqual(refusal.get("by"), ROOM)
        self.assertNotIn(client.address, scene.room.seats)
        for other in scene.clients.values():
            self.assertEqual(told(other), [])

    def test_banned(self) -> None:
        """
        A banned user: C{forbidden} (§7.2.7), whatever he knows.
        """
        scene = Scene({"passwordprotectedroom": "1", "roomsecret": "x"})
        scene.admin(jid="juliet@localhost", affiliation="outcast")
        self.refused(scene, "auth forbidden", x="<password>x</password>")

    def test_bannedDomain(self) -> None:
        """
        So is one whose whole domain is banned, unless he has an entry of his own.
        """
        scene = Scene()
        scene.admin(jid="localhost", affiliation="outcast")
        self.refused(scene, "auth forbidden")
        scene.admin(jid="juliet@localhost", affiliation="member")
        join(scene.clients["juliet@localhost/r"], "Juliet")
        self.assertIn("juliet@localhost/r", scene.room.seats)

    def test_membersOnly(self) -> None:
        """
        A stranger in a members-only room: C{registration-required} (§7.2.6).
        """
        scene = Scene({"membersonly": "1"})
        self.refused(scene, "auth registration-required")
        scene.admin(jid="juliet@localhost", affiliation="member")
        join(scene.clients["juliet@localhost/r"], "Juliet")
        self.assertIn("juliet@localhost/r", scene.room.seats)

    def test_password(self) -> None:
        """
        Without the password, or with a wrong one: C{not-authorized} (§7.2.5), the owner's other session too.
        """
        scene = Scene({"passwordprotectedroom": "1", "roomsecret": "cauldronburn"})
        self.refused(scene, "auth not-authorized")
        for wrong in ("", "Cauldronburn", "cauldronburn "):
            self.refused(scene, "auth not-authorized", x=f"<password>{wrong}</password>")
        self.refused(scene, "auth not-authorized", address="owner", nick="Owner")
        join(scene.clients["juliet@localhost/r"], "Juliet", x="<password>cauldronburn</password>")
        self.assertIn("juliet@localhost/r", scene.room.seats)

    def test_conflict(self) -> None:
        """
        Under another one's nick: C{conflict} (§7.2.8).
        """
        self.refused(Scene(), "cancel conflict", nick="Owner")

    def test_reserved(self) -> None:
        """
        Under a nick that somebody else has reserved, who is not there: C{conflict} likewise (§7.2.8, §7.12).
        """
        scene = Scene()
        romeo = scene.person("romeo")
        form = "<field var='muc#register_roomnick'><value>Romeo</value></field>"
        scene.asks(
            romeo,
            f"<query xmlns='{ns.REGISTER}'><x xmlns='{ns.DATA}' type='submit'><field var='FORM_TYPE'>"
            f"<value>{ns.MUC_REGISTER}</value></field>{form}</x></query>",
        )
        scene.forget()
        self.refused(scene, "cancel conflict", nick="Romeo")
        join(romeo, "Romeo")
        self.assertIn("romeo@localhost/r", scene.room.seats)

    def test_full(self) -> None:
        """
        In a full room: C{service-unavailable}, to be tried again; but not for another session of somebody who is in,
        nor for an admin or owner (§7.2.9), unless it is overfull.
        """
        scene = Scene({"maxusers": "10"})
        for n in range(9):
            scene.guest(f"u{n}", f"N{n}")
        self.refused(scene, "wait service-unavailable")
        scene.guest("u1/phone", "N1")
        for n in range(11):
            scene.admin(jid=f"admin{n}@localhost", affiliation="admin")
        for n in range(10):
            scene.guest(f"admin{n}", f"A{n}")
        self.refused(scene, "wait service-unavailable", address="admin10")
        scene.clients["u2@localhost/r"].vanishes()
        scene.forget()
        self.refused(scene, "wait service-unavailable")

    def test_tooLarge(self) -> None:
        """
        With more presence than a room passes on to everybody: C{policy-violation}; the limit itself is not too much.
        """
        scene = Scene(presenceSize=100)
        status = f"<status>{'x' * (100 - len('<status></status>'))}</status>"
        juliet = scene.guest("juliet", "Juliet", status)
        for to in ("Juliet", "Other"):
            juliet.sends(f"<presence to='{ROOM}/{to}'>{status}<show>xa</show></presence>")
            self.assertEqual(told(juliet), [f"{to} presence error policy-violation modify {ROOM}"])
        self.assertEqual(told(scene.owner), [])
        romeo = scene.person("romeo")
        join(romeo, "Romeo", f"{status}<show>xa</show>")
        self.assertEqual(told(romeo), [f"Romeo presence error policy-violation modify {ROOM}"])
        # Who leaves is let go, without his long farewell.
        juliet.sends(f"<presence type='unavailable' to='{ROOM}/Juliet'>{status}<show>xa</show></presence>")
        self.assertEqual(told(scene.owner), ["Juliet unavailable none/none jid=juliet@localhost/r"])


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


class ChangeTests(SynchronousTestCase):
    """
    What somebody does who is in.
    """

    def setUp(self) -> None:
        """
        Romeo is in with two sessions, and Juliet.
        """
        self.scene = Scene()
        self.romeo = self.scene.guest("romeo/a", "Romeo")
        self.phone = self.scene.guest("romeo/b", "Romeo")
        self.juliet = self.scene.guest("juliet", "Juliet")

    def test_status(self) -> None:
        """
        A change of presence goes to everybody in his own face, with the sender's address as the shown one and the id
        for himself (§7.7).
        """
        self.romeo.sends(
            f"<presence to='{ROOM}/Romeo' id='kr7'><show>xa</show><status>gone</status></presence>"
        )
        rest = "show:xa status:gone"
        self.assertEqual(told(self.juliet), [f"Romeo available none/participant {rest}"])
        self.assertEqual(told(self.scene.owner), [f"Romeo available none/participant jid=romeo@localhost/a {rest}"])
        [own] = self.romeo.hears()
        self.assertEqual((own.get("id"), codesOf(own)), ("kr7", [110]))
        self.assertEqual(told(self.phone), [f"Romeo available none/participant jid=romeo@localhost/b {rest} 110"])

    def test_notReflected(self) -> None:
        """
        What only a room may say is not passed on for anybody (§17.3).
        """
        self.romeo.sends(
            f"<presence to='{ROOM}/Romeo'><show>xa</show><x xmlns='{ns.MUC_USER}'><item affiliation='owner' "
            f"role='moderator' jid='king@localhost/x'/><status code='307'/></x><delay xmlns='{ns.DELAY}' "
            f"from='{ROOM}' stamp='2002-09-10T23:08:25Z'/></presence>"
        )
        [heard] = self.juliet.hears()
        self.assertEqual([child.name for child in heard.childElements()], ["show", "x"])
        self.assertEqual(itemOf(heard).attributes, {"affiliation": "none", "role": "participant"})
        self.assertEqual(codesOf(heard), [])

    def test_rename(self) -> None:
        """
        Everybody hears that the old nick is gone, which one comes instead (303), and then the new one (§7.6); all
        sessions change together.
        """
        self.romeo.sends(f"<presence to='{ROOM}/R' id='5'><show>away</show></presence>")
        self.assertEqual(
            told(self.juliet),
            [
                "Romeo unavailable none/participant nick=R 303",
                "R available none/participant show:away",
            ],
        )
        self.assertEqual(
            told(self.scene.owner),
            [
                "Romeo unavailable none/participant jid=romeo@localhost/b nick=R 303",
                "R available none/participant jid=romeo@localhost/a show:away",
            ],
        )
        [gone, here] = self.romeo.hears()
        self.assertEqual((codesOf(gone), codesOf(here), here.get("id")), ([303, 110], [110], "5"))
        self.assertEqual(
            told(self.phone),
            [
                "Romeo unavailable none/participant jid=romeo@localhost/b nick=R 303 110",
                "R available none/participant jid=romeo@localhost/b show:away 110",
            ],
        )

    def test_renamedOtherwise(self) -> None:
        """
        If the new nick is not quite what was asked for, that is told by 210, to him alone (§7.6).
        """
        self.juliet.sends(f"<presence to='{ROOM}/&#x20;J'/>")
        self.assertEqual(
            told(self.juliet),
            [
                "Juliet unavailable none/participant jid=juliet@localhost/r nick=J 303 110",
                "J available none/participant jid=juliet@localhost/r 210 110",
            ],
        )
        self.assertNotIn("210", " ".join(told(self.phone)))

    def test_renameConflict(self) -> None:
        """
        Not to a nick that another one has, and nothing changes for anybody (§7.6).
        """
        self.juliet.sends(f"<presence to='{ROOM}/Romeo' id='ifd1c35'/>")
        [error] = self.juliet.hears()
        self.assertEqual(error.get("id"), "ifd1c35")
        self.assertEqual(told(self.romeo) + told(self.scene.owner), [])
        self.assertEqual(sorted(self.scene.room.occupants), ["Juliet", "Owner", "Romeo"])

    def test_renameReserved(self) -> None:
        """
        Nor to one that another one has reserved.
        """
        self.scene.admin(jid="nurse@localhost", affiliation="member", nick="Nurse")
        self.juliet.sends(f"<presence to='{ROOM}/Nurse'/>")
        self.assertEqual(told(self.juliet), [f"Nurse presence error conflict cancel {ROOM}"])

    def test_renameToOneself(self) -> None:
        """
        Nor to one's own other nick, under which one is in with another session.
        """
        tablet = self.scene.guest("romeo/c", "Montague")
        tablet.sends(f"<presence to='{ROOM}/Romeo'/>")
        self.assertEqual(told(tablet), [f"Romeo presence error conflict cancel {ROOM}"])

    def test_freed(self) -> None:
        """
        A nick that was given up is free.
        """
        self.romeo.sends(f"<presence to='{ROOM}/R'/>")
        self.scene.guest("paris", "Romeo")

    def test_probe(self) -> None:
        """
        An occupant may ask for another one's presence, in the face that he may see; nobody else hears anything.
        """
        self.romeo.sends(f"<presence to='{ROOM}/Romeo'><show>xa</show></presence>")
        self.scene.forget()
        self.juliet.sends(f"<presence type='probe' to='{ROOM}/Romeo'/>")
        self.assertEqual(told(self.juliet), ["Romeo available none/participant show:xa"])
        self.scene.owner.sends(f"<presence type='probe' to='{ROOM}/Romeo'/>")
        self.assertEqual(told(self.scene.owner), ["Romeo available none/participant jid=romeo@localhost/a show:xa"])
        self.juliet.sends(f"<presence type='probe' to='{ROOM}/Juliet'/>")
        self.assertEqual(told(self.juliet), ["Juliet available none/participant jid=juliet@localhost/r 110"])
        stranger = self.scene.person("stranger")
        for client, nick in ((self.juliet, "Nobody"), (stranger, "Romeo")):
            client.sends(f"<presence type='probe' to='{ROOM}/{nick}'/>")
            self.assertEqual(told(client), [])

    def test_withoutX(self) -> None:
        """
        A session that is not in is told so although another one of the same user is (§7.2.18).
        """
        tablet = self.scene.person("romeo/c")
        tablet.sends(f"<presence to='{ROOM}/Romeo'><show>xa</show></presence>")
        self.assertEqual(told(tablet), ["Romeo unavailable none/none 110 307 333"])
        self.assertEqual(told(self.romeo) + told(self.juliet), [])

    def test_nickless(self) -> None:
        """
        Presence to the room itself is C{jid-malformed} for one who is in as well.
        """
        self.juliet.sends(f"<presence to='{ROOM}'><show>xa</show></presence>")
        self.assertEqual(told(self.juliet), [f"room presence error jid-malformed modify {ROOM}"])


class ResynchronisationTests(SynchronousTestCase):
    """
    Somebody who is in asks to enter (§7.2.1, §17.3).
    """

    def setUp(self) -> None:
        """
        Romeo is in with two sessions, and Juliet; something has been said.
        """
        self.scene = Scene({"whois": "anyone"})
        self.romeo = self.scene.guest("romeo/a", "Romeo", "<show>away</show>")
        self.phone = self.scene.guest("romeo/b", "Romeo", "<show>dnd</show>")
        self.juliet = self.scene.guest("juliet", "Juliet")
        self.juliet.sends(f"<message to='{ROOM}' type='groupchat'><body>a</body></message>")
        self.scene.forget()

    def everything(self, nick: str = "Juliet", *codes: int) -> list[str]:
        """
        What Juliet hears when she enters.
        """
        return [
            "Owner available owner/moderator jid=owner@localhost/o",
            "Romeo available none/participant jid=romeo@localhost/b show:dnd",
            " ".join([f"{nick} available none/participant jid=juliet@localhost/r 100", *map(str, codes), "110"]),
            f"Juliet groupchat body:a delay:{ROOM}",
            SUBJECT,
        ]

    def test_same(self) -> None:
        """
        She gets everything as if she entered, with the id of what she sent and her history limits; nobody else hears
        anything.
        """
        join(self.juliet, "Juliet", id="9")
        heard = self.juliet.hears()
        self.assertEqual(heard[2].get("id"), "9")
        join(self.juliet, "Juliet")
        self.assertEqual(told(self.juliet), self.everything())
        join(self.juliet, "Juliet", x="<history maxstanzas='0'/>")
        self.assertEqual(told(self.juliet), [line for line in self.everything() if "body" not in line])
        self.assertEqual([told(client) for client in (self.romeo, self.phone, self.scene.owner)], [[], [], []])

    def test_otherPresence(self) -> None:
        """
        If her presence is another one, the others hear of that.
        """
        join(self.juliet, "Juliet", "<show>xa</show>")
        expected = self.everything()
        expected[2] = "Juliet available none/participant jid=juliet@localhost/r show:xa 100 110"
        self.assertEqual(told(self.juliet), expected)
        self.assertEqual(told(self.romeo), ["Juliet available none/participant jid=juliet@localhost/r show:xa"])

    def test_session(self) -> None:
        """
        If she has more sessions, the one that comes back is shown from now on, which the other ones hear as well.
        """
        join(self.romeo, "Romeo", "<show>away</show>")
        own = [line for line in told(self.romeo) if line.startswith("Romeo available")]
        self.assertEqual(own, ["Romeo available none/participant jid=romeo@localhost/a show:away 100 110"])
        self.assertEqual(told(self.phone), ["Romeo available none/participant jid=romeo@localhost/b show:away 110"])
        self.assertEqual(told(self.juliet), ["Romeo available none/participant jid=romeo@localhost/a show:away"])

    def test_otherNick(self) -> None:
        """
        Under another nick it is a change of nick, and then everything, in the order of an entry: her own new presence
        once, after everybody else's.
        """
        join(self.juliet, "J", id="3")
        gone = "Juliet unavailable none/participant jid=juliet@localhost/r nick=J 303"
        self.assertEqual(told(self.juliet), [f"{gone} 110", *self.everything("J")])
        self.assertEqual(told(self.romeo), [gone, "J available none/participant jid=juliet@localhost/r"])

    def test_otherNickWithSessions(self) -> None:
        """
        With several sessions the others change along.
        """
        join(self.romeo, "R")
        self.assertEqual(
            told(self.phone),
            [
                "Romeo unavailable none/participant jid=romeo@localhost/b nick=R 303 110",
                "R available none/participant jid=romeo@localhost/b 110",
            ],
        )
        self.assertEqual(sum(line.startswith("R available") for line in told(self.romeo)), 1)
        self.assertEqual(self.scene.room.seats["romeo@localhost/b"].occupant.nick, "R")

    def test_takenNick(self) -> None:
        """
        Not under one that is taken; she stays what she was.
        """
        join(self.juliet, "Romeo")
        self.assertEqual(told(self.juliet), [f"Romeo presence error conflict cancel {ROOM}"])
        self.assertEqual(told(self.romeo), [])
        self.assertEqual(self.scene.room.seats["juliet@localhost/r"].occupant.nick, "Juliet")

    def test_notAskedAgain(self) -> None:
        """
        Who is in is not asked for the password again, nor is there too little room for her.
        """
        self.scene.configure(passwordprotectedroom="1", roomsecret="x")
        join(self.juliet, "Juliet")
        self.assertEqual(told(self.juliet), self.everything())


class SessionTests(SynchronousTestCase):
    """
    Several sessions under one nick (§7.2.8).
    """

    def setUp(self) -> None:
        """
        Romeo is in with one, and Juliet.
        """
        self.scene = Scene()
        self.romeo = self.scene.guest("romeo/a", "Romeo", "<show>away</show>")
        self.juliet = self.scene.guest("juliet", "Juliet")

    def test_second(self) -> None:
        """
        Another session gets everything that one who enters gets; the first one and the others hear what is shown now.
        """
        phone = self.scene.person("romeo/b")
        join(phone, "Romeo", "<show>dnd</show>")
        self.assertEqual(
            told(phone),
            [
                "Owner available owner/moderator",
                "Juliet available none/participant",
                "Romeo available none/participant jid=romeo@localhost/b show:dnd 110",
                SUBJECT,
            ],
        )
        self.assertEqual(told(self.romeo), ["Romeo available none/participant jid=romeo@localhost/a show:dnd 110"])
        self.assertEqual(told(self.juliet), ["Romeo available none/participant show:dnd"])
        self.assertEqual(told(self.scene.owner), ["Romeo available none/participant jid=romeo@localhost/b show:dnd"])

    def test_role(self) -> None:
        """
        It has the role that the first one has, not that with which one enters.
        """
        self.scene.admin(nick="Romeo", role="moderator")
        phone = self.scene.person("romeo/b")
        join(phone, "Romeo")
        self.assertEqual(
            told(phone)[:3],
            [
                "Owner available owner/moderator jid=owner@localhost/o",
                "Juliet available none/participant jid=juliet@localhost/r",
                "Romeo available none/moderator jid=romeo@localhost/b 110",
            ],
        )

    def test_shownLeaves(self) -> None:
        """
        When the session that is shown leaves, it hears so, and everybody sees what the other one last said.
        """
        phone = self.scene.guest("romeo/b", "Romeo", "<show>dnd</show>")
        phone.sends(f"<presence type='unavailable' to='{ROOM}/Romeo'><status>bye</status></presence>")
        self.assertEqual(
            told(phone), ["Romeo unavailable none/none jid=romeo@localhost/b status:bye 110"]
        )
        self.assertEqual(told(self.romeo), ["Romeo available none/participant jid=romeo@localhost/a show:away 110"])
        self.assertEqual(told(self.juliet), ["Romeo available none/participant show:away"])
        self.assertEqual(
            told(self.scene.owner), ["Romeo available none/participant jid=romeo@localhost/a show:away"]
        )

    def test_otherLeaves(self) -> None:
        """
        When another one leaves, only it hears so.
        """
        phone = self.scene.guest("romeo/b", "Romeo")
        self.romeo.sends(f"<presence type='unavailable' to='{ROOM}/Romeo'/>")
        self.assertEqual(told(self.romeo), ["Romeo unavailable none/none jid=romeo@localhost/a 110"])
        self.assertEqual([told(client) for client in (phone, self.juliet, self.scene.owner)], [[], [], []])
        phone.sends(f"<presence type='unavailable' to='{ROOM}/Romeo'/>")
        self.assertEqual(told(self.juliet), ["Romeo unavailable none/none"])

    def test_newcomer(self) -> None:
        """
        One who enters sees somebody with several sessions once, as the one that is shown.
        """
        self.scene.guest("romeo/b", "Romeo", "<show>dnd</show>")
        self.romeo.sends(f"<presence to='{ROOM}/Romeo'><show>chat</show></presence>")
        self.scene.admin(jid="nurse@localhost", affiliation="admin")
        nurse = self.scene.person("nurse")
        join(nurse, "Nurse")
        self.assertEqual(
            [line for line in told(nurse) if line.startswith("Romeo")],
            ["Romeo available none/participant jid=romeo@localhost/a show:chat"],
        )

    def test_messages(self) -> None:
        """
        All of them hear what is said, and all of them may say something (§7.2.8: MUST).
        """
        phone = self.scene.guest("romeo/b", "Romeo")
        for speaker in (self.romeo, phone):
            speaker.sends(f"<message to='{ROOM}' type='groupchat'><body>a</body></message>")
            for client in (self.romeo, phone, self.juliet):
                self.assertEqual(told(client), ["Romeo groupchat body:a"])

    def test_privately(self) -> None:
        """
        A private message goes to all of them (§7.2.8: RECOMMENDED).
        """
        phone = self.scene.guest("romeo/b", "Romeo")
        self.juliet.sends(f"<message to='{ROOM}/Romeo' type='chat'><body>a</body></message>")
        for client in (self.romeo, phone):
            self.assertEqual(told(client), ["Juliet chat body:a x"])
        self.assertEqual(told(self.juliet), [])


class LeavingTests(SynchronousTestCase):
    """
    Who goes (§7.14).
    """

    def setUp(self) -> None:
        """
        Romeo and Juliet are in.
        """
        self.scene = Scene()
        self.romeo = self.scene.guest("romeo", "Romeo", "<show>xa</show>")
        self.juliet = self.scene.guest("juliet", "Juliet")

    def test_leave(self) -> None:
        """
        He hears it first, with 110; the others see his affiliation and the role none, and what he says as he goes.
        """
        self.romeo.sends(f"<presence type='unavailable' to='{ROOM}/Romeo' id='6'><status>bye</status></presence>")
        [own] = self.romeo.hears()
        self.assertEqual(own.get("id"), "6")
        self.assertEqual(codesOf(own), [110])
        self.assertEqual(itemOf(own).attributes, {"affiliation": "none", "role": "none", "jid": "romeo@localhost/r"})
        self.assertEqual(told(self.juliet), ["Romeo unavailable none/none status:bye"])
        self.assertEqual(told(self.scene.owner), ["Romeo unavailable none/none jid=romeo@localhost/r status:bye"])
        self.juliet.sends(f"<message to='{ROOM}' type='groupchat'><body>a</body></message>")
        self.assertEqual(told(self.romeo), [])

    def test_fromTheRoom(self) -> None:
        """
        He may say it to the room itself too.
        """
        self.romeo.sends(f"<presence type='unavailable' to='{ROOM}'/>")
        self.assertEqual(told(self.juliet), ["Romeo unavailable none/none"])

    def test_vanished(self) -> None:
        """
        Whose session ends leaves, once, even if he has used several nicks.
        """
        self.romeo.sends(f"<presence to='{ROOM}/R'/>")
        self.scene.forget()
        self.romeo.vanishes()
        self.assertEqual(told(self.juliet), ["R unavailable none/none"])

    def test_offline(self) -> None:
        """
        Who becomes unavailable to all leaves too.
        """
        self.romeo.sends("<presence type='unavailable'><status>night</status></presence>")
        self.assertEqual(told(self.juliet), ["Romeo unavailable none/none status:night"])

    def test_notInside(self) -> None:
        """
        Unavailable presence from one who is not in is ignored in silence (§17.3), with whatever nick.
        """
        stranger = self.scene.person("stranger")
        for to in (f"{ROOM}/Romeo", f"{ROOM}/Nobody", ROOM, "other@conference.localhost/x"):
            stranger.sends(f"<presence type='unavailable' to='{to}'/>")
        self.assertEqual(told(stranger) + told(self.romeo) + told(self.juliet), [])

    def test_last(self) -> None:
        """
        With the last one a temporary room is gone, also from the store (§7.14).
        """
        for client in (self.romeo, self.juliet, self.scene.owner):
            client.vanishes()
        self.assertEqual(self.scene.muc.rooms.live, {})
        self.assertIsNone(self.successResultOf(self.scene.store.load(ROOM)))


class GhostTests(SynchronousTestCase):
    """
    Who cannot be reached any more (§18.1.2, §11.1).
    """

    def setUp(self) -> None:
        """
        Romeo is in with two sessions, and Juliet.
        """
        self.scene = Scene()
        self.romeo = self.scene.guest("romeo/a", "Romeo")
        self.phone = self.scene.guest("romeo/b", "Romeo")
        self.juliet = self.scene.guest("juliet", "Juliet")

    def bounce(self, client: Client, condition: str, name: str = "message", to: str = f"{ROOM}/Owner") -> None:
        """
        Let something come back from somebody.
        """
        client.sends(
            f"<{name} type='error' to='{to}'><error type='cancel'><{condition} xmlns='{ns.STANZA_ERRORS}'/>"
            f"</error></{name}>"
        )

    def test_gone(self) -> None:
        """
        Each error that says so puts the session out, with 333 and without 307, which everybody hears.
        """
        for condition in (
            "gone",
            "item-not-found",
            "recipient-unavailable",
            "redirect",
            "remote-server-not-found",
            "remote-server-timeout",
        ):
            for name, to in product(("message", "presence"), (ROOM, f"{ROOM}/Owner")):
                self.bounce(self.juliet, condition, name, to)
                self.assertEqual(
                    told(self.juliet), ["Juliet unavailable none/none jid=juliet@localhost/r 333 110"], condition
                )
                self.assertEqual(told(self.romeo), ["Juliet unavailable none/none 333"])
                join(self.juliet, "Juliet")
                self.scene.forget()

    def test_stays(self) -> None:
        """
        No other error does.
        """
        for condition in ("service-unavailable", "forbidden", "feature-not-implemented", "policy-violation"):
            for name, to in (("message", ROOM), ("presence", ROOM), ("presence", f"{ROOM}/Owner")):
                self.bounce(self.juliet, condition, name, to)
        self.juliet.sends(f"<message type='error' to='{ROOM}'/>")
        self.assertEqual(told(self.juliet) + told(self.romeo), [])

    def test_oneSession(self) -> None:
        """
        The other sessions stay, and nobody else hears of a code.
        """
        self.bounce(self.phone, "gone")
        self.assertEqual(told(self.phone), ["Romeo unavailable none/none jid=romeo@localhost/b 333 110"])
        self.assertEqual(told(self.juliet), ["Romeo available none/participant"])

    def test_stranger(self) -> None:
        """
        What comes back from one who is not in is nothing.
        """
        stranger = self.scene.person("stranger")
        for name in ("message", "presence"):
            for to in (ROOM, f"{ROOM}/Romeo", "other@conference.localhost", "other@conference.localhost/x"):
                self.bounce(stranger, "gone", name, to)
                self.bounce(stranger, "forbidden", name, to)
        self.assertEqual(told(stranger) + told(self.romeo), [])


class SlowStoreTests(SynchronousTestCase):
    """
    A room that takes its time to come out of the store.
    """

    def setUp(self) -> None:
        """
        A room is stored.
        """
        self.store = DelayedRoomStore()
        self.store.holding = frozenset(["load"])
        self.store.inner.save(ROOM, RoomRecord(RoomSettings(persistent=True).toMapping(), {}, name="Orchard"))
        self.stage = Stage(self.store)
        self.romeo = self.stage.client("romeo@localhost/a")

    def test_enters(self) -> None:
        """
        Who wants in waits, and gets in.
        """
        join(self.romeo, "Romeo")
        self.assertEqual(told(self.romeo), [])
        self.store.release()
        self.assertEqual(told(self.romeo)[0], "Romeo available none/participant jid=romeo@localhost/a 110")

    def test_leavesMeanwhile(self) -> None:
        """
        What he sent is handled in the order in which he sent it (RFC 6120 §10.1): who leaves while he waits is not in
        afterwards.
        """
        join(self.romeo, "Romeo")
        self.romeo.sends(f"<presence type='unavailable' to='{ROOM}/Romeo'/>")
        self.store.release()
        self.assertEqual(self.stage.muc.rooms.live[ROOM].occupants, {})
        self.assertEqual(told(self.romeo)[-1], "Romeo unavailable none/none jid=romeo@localhost/a 110")

    def test_vanishesMeanwhile(self) -> None:
        """
        Who is gone when the room is there does not enter it.
        """
        join(self.romeo, "Romeo")
        self.romeo.vanishes()
        self.store.release()
        self.assertEqual(self.stage.muc.rooms.live[ROOM].occupants, {})

    def test_twoCome(self) -> None:
        """
        Two who wait for a room that is not there find one: the first creates it, the second comes to a locked one.
        """
        juliet = self.stage.client("juliet@localhost/b")
        for client, nick in ((self.romeo, "Romeo"), (juliet, "Juliet")):
            client.sends(f"<presence to='new@conference.localhost/{nick}'>{X}</presence>")
        self.store.release()
        self.assertEqual(codesOf(self.romeo.hears()[0]), [201, 110])
        self.assertIn("item-not-found", told(juliet)[0])
