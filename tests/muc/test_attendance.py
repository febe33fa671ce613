# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.attendance}: what somebody does who is in, through a whole server (XEP-0045 §7.2.1, §7.6, §7.7,
§17.3).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from tests.muc.company import ROOM, Scene, codesOf, itemOf, join, told

SUBJECT = "room groupchat subject:"


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
