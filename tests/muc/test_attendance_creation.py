# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.attendance}: the first one to come, and those who do not get in (XEP-0045 §7.2, §10.1).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import render
from muccore.testing.doubles import DelayedRoomStore
from muccore.testing.stage import Stage
from tests.muc.company import ROOM, Scene, X, codesOf, itemOf, join, told

INSTANT = (
    f"<iq type='set' id='1' to='{ROOM}'><query xmlns='{ns.MUC_OWNER}'><x xmlns='{ns.DATA}' type='submit'/></query></iq>"
)


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
        self.assertIn("<destroy/>", gone.toXml())
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_oneLeft(self) -> None:
        """
        While another session of his is in, it stays.
        """
        phone = self.stage.client("romeo@localhost/phone")
        for client in (self.romeo, phone):
            join(client, "Romeo")
            client.hears()
        self.romeo.hears()
        self.romeo.sends(f"<presence type='unavailable' to='{ROOM}/Romeo'/>")
        self.assertEqual(told(self.romeo), ["Romeo unavailable owner/none jid=romeo@localhost/a 110"])
        self.assertEqual(list(self.stage.muc.rooms.live[ROOM].seats), ["romeo@localhost/phone"])

    def test_tooLate(self) -> None:
        """
        A room that is not configured in time is no more, and its creator is put out (§14.6).
        """
        join(self.romeo, "Romeo")
        self.romeo.hears()
        self.stage.clock.advance(299)
        self.assertEqual(told(self.romeo), [])
        self.stage.clock.advance(1)
        [gone] = self.romeo.hears()
        self.assertEqual((gone.get("type"), codesOf(gone)), ("unavailable", [110]))
        self.assertIn("not configured in time", gone.toXml())
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_inTime(self) -> None:
        """
        One that is configured stays; so does one whose configuration is being written at that moment.
        """
        scene = Scene()
        scene.clock.advance(1000)
        self.assertIn(ROOM, scene.muc.rooms.live)
        self.assertEqual(told(scene.owner), [])
        store = DelayedRoomStore()
        stage = Stage(store)
        romeo = stage.client("romeo@localhost/a")
        join(romeo, "Romeo")
        romeo.hears()
        romeo.sends(INSTANT)
        stage.clock.advance(1000)
        self.assertEqual(told(romeo), [])
        store.release()
        self.assertEqual(told(romeo), ["room result 1"])
        self.assertIn(ROOM, stage.muc.rooms.live)

    def test_unlocking(self) -> None:
        """
        Who comes while the configuration is being written waits for it, and then gets in.
        """
        store = DelayedRoomStore()
        stage = Stage(store)
        romeo, juliet = stage.client("romeo@localhost/a"), stage.client("juliet@localhost/b")
        join(romeo, "Romeo")
        romeo.sends(INSTANT)
        join(juliet, "Juliet")
        self.assertEqual(told(juliet), [])
        store.release()
        self.assertEqual(told(juliet)[1], "Juliet available none/participant jid=juliet@localhost/b 110")


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
