# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.attendance}: several sessions under one nick, and those who go (XEP-0045 §7.2.8, §7.14, §11.1,
§18.1.2).
"""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.testing.stage import Client
from tests.muc.company import ROOM, Scene, codesOf, itemOf, join, told

SUBJECT = "room groupchat subject:"


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
