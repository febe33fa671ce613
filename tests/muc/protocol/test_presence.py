# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.presence}: presence of occupants (XEP-0045 §7.2.1, §7.6, §7.7, §17.3)."""

from __future__ import annotations

from muccore.xmpp import ns
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    codesOf,
    configure,
    itemOf,
    join,
    leave,
    role,
    say,
    sendPresence,
    summaries,
)


class ChangeTests(RoomTestCase):
    """Romeo is in with two sessions, and Juliet."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.phone = self.enter("romeo"), self.enter("romeo/b")
        self.juliet = self.enter("juliet")

    def test_status(self) -> None:
        """
        A change of presence goes to everybody, with the real JID for those who may see it; the sender's own copy has
        the id of the request (§7.7).
        """
        sendPresence(self.romeo, "Romeo", "<show>xa</show><status>gone</status>", id="kr7")
        rest = "show:xa status:gone"
        self.assertReceived(self.juliet, f"Romeo available none/participant {rest}")
        self.assertReceived(self.owner, f"Romeo available none/participant jid=romeo@localhost/a,b {rest}")
        [own] = self.romeo.received()
        self.assertEqual((own.get("id"), codesOf(own)), ("kr7", [110]))
        self.assertReceived(self.phone, f"Romeo available none/participant jid=romeo@localhost/b,a {rest} 110")

    def test_notReflected(self) -> None:
        """What only a room may send is not passed on (§17.3)."""
        sendPresence(
            self.romeo,
            "Romeo",
            f"<show>xa</show><x xmlns='{ns.MUC_USER}'><item affiliation='owner' role='moderator' jid='k@localhost/x'/>"
            f"<status code='307'/></x><delay xmlns='{ns.DELAY}' from='{ROOM}' stamp='2002-09-10T23:08:25Z'/>",
        )
        [presence] = self.juliet.received()
        self.assertEqual([child.name for child in presence.childElements()], ["show", "occupant-id", "x"])
        self.assertEqual(itemOf(presence).attributes, {"affiliation": "none", "role": "participant"})
        self.assertEqual(codesOf(presence), [])

    def test_rename(self) -> None:
        """
        A change of nick is unavailable presence with 303 under the old nick, then available presence under the new
        one, for all sessions of the occupant together (§7.6).
        """
        sendPresence(self.romeo, "R", "<show>away</show>", id="5")
        for client, old, new, code in (
            (self.juliet, "", "", ""),
            (self.owner, " jid=romeo@localhost/b,a", " jid=romeo@localhost/a,b", ""),
            (self.phone, " jid=romeo@localhost/b,a", " jid=romeo@localhost/b,a", " 110"),
        ):
            self.assertReceived(
                client,
                f"Romeo unavailable none/participant{old} nick=R 303{code}",
                f"R available none/participant{new} show:away{code}",
            )
        [gone, here] = self.romeo.received()
        self.assertEqual((codesOf(gone), codesOf(here), here.get("id")), ([303, 110], [110], "5"))

    def test_renamedOtherwise(self) -> None:
        """If the nick had to be prepared, its owner alone is told so with 210 (§7.6)."""
        sendPresence(self.juliet, " J")
        self.assertReceived(
            self.juliet,
            "Juliet unavailable none/participant jid=juliet@localhost/a nick=J 303 110",
            "J available none/participant jid=juliet@localhost/a 210 110",
        )
        self.assertNotIn("210", " ".join(summaries(self.phone)))

    def test_renameConflict(self) -> None:
        """A nick that another occupant has is refused, and nothing changes (§7.6)."""
        sendPresence(self.juliet, "Romeo", id="ifd1c35")
        [error] = self.juliet.received()
        self.assertEqual(error.get("id"), "ifd1c35")
        self.assertNothingReceived()
        self.assertEqual(sorted(self.room().occupants), ["Juliet", "Owner", "Romeo"])

    def test_renameReserved(self) -> None:
        """So is one that another user has reserved."""
        self.change(affiliation("nurse@localhost", "member", nick="Nurse"))
        sendPresence(self.juliet, "Nurse")
        self.assertReceived(self.juliet, "Nurse presence error cancel conflict")

    def test_renameToOneself(self) -> None:
        """So is the nick under which the same user is in with another session."""
        tablet = self.enter("romeo/c", "Montague")
        sendPresence(tablet, "Romeo")
        self.assertReceived(tablet, "Romeo presence error cancel conflict")

    def test_freed(self) -> None:
        """A nick that was given up is free."""
        sendPresence(self.romeo, "R")
        self.enter("paris", "Romeo")

    def test_probe(self) -> None:
        """
        An occupant may probe another one's presence, and sees the real JID if permitted; nobody else receives
        anything. Probes of absent occupants, and those of strangers, are ignored.
        """
        sendPresence(self.romeo, "Romeo", "<show>xa</show>")
        self.discardReceived()
        stranger = self.client("stranger")
        for client, nick, *expected in (
            (self.juliet, "Romeo", "Romeo available none/participant show:xa"),
            (self.owner, "Romeo", "Romeo available none/participant jid=romeo@localhost/a,b show:xa"),
            (self.juliet, "Juliet", "Juliet available none/participant jid=juliet@localhost/a 110"),
            (self.juliet, "Nobody"),
            (stranger, "Romeo"),
        ):
            client.sends(f"<presence type='probe' to='{ROOM}/{nick}'/>")
            self.assertReceived(client, *expected)
            self.assertNothingReceived()

    def test_withoutX(self) -> None:
        """A session that is not in is told so, although another one of the same user is (§7.2.18)."""
        tablet = self.client("romeo/c")
        sendPresence(tablet, "Romeo", "<show>xa</show>")
        self.assertReceived(tablet, "Romeo unavailable none/none reason=You are not in the room. 110 307 333")
        self.assertNothingReceived()

    def test_nickless(self) -> None:
        """Presence of an occupant to the room itself is C{jid-malformed}."""
        self.juliet.sends(f"<presence to='{ROOM}'><show>xa</show></presence>")
        self.assertReceived(self.juliet, "room presence error modify jid-malformed")

    def test_newcomers(self) -> None:
        """Whoever enters sees every occupant as they are now, after each kind of change."""
        for change, expected in (
            (lambda: sendPresence(self.phone, "Romeo", "<show>xa</show>"), "Romeo available none/participant show:xa"),
            (lambda: sendPresence(self.phone, "R", "<show>dnd</show>"), "R available none/participant show:dnd"),
            (lambda: self.change(role("R", "visitor")), "R available none/visitor show:dnd"),
            (lambda: self.enter("romeo/c", "R"), "R available none/visitor"),
            (lambda: leave(self.clients[-1], "R"), "R available none/visitor show:dnd"),
        ):
            change()
            for _ in range(2):
                newcomer = self.client(f"n{len(self.clients)}")
                join(newcomer, newcomer.address.partition("@")[0])
                self.assertIn(expected, summaries(newcomer))
                newcomer.dropConnection()
                self.clients.remove(newcomer)


class RepeatedJoinTests(RoomTestCase):
    """Occupants join again (§7.2.1, §17.3): Romeo, who has two sessions, and Juliet, who has spoken."""

    fields = {"whois": "anyone"}

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.enter("romeo", children="<show>away</show>")
        self.phone = self.enter("romeo/b", children="<show>dnd</show>")
        self.juliet = self.enter("juliet")
        say(self.juliet, "a")
        self.discardReceived()

    def everything(self, nick: str = "Juliet", rest: str = "") -> list[str]:
        """What Juliet receives on joining."""
        return [
            "Owner available owner/moderator jid=owner@localhost/a",
            "Romeo available none/participant jid=romeo@localhost/b,a show:dnd",
            f"{nick} available none/participant jid=juliet@localhost/a{rest} 100 110",
            "Juliet groupchat body:a delayed",
            "room groupchat subject:",
        ]

    def test_same(self) -> None:
        """
        The sender receives everything as on entering, with the id of the request and the history limits; nobody else
        receives anything.
        """
        join(self.juliet, "Juliet", id="9")
        self.assertEqual(self.juliet.received()[2].get("id"), "9")
        join(self.juliet, "Juliet")
        self.assertReceived(self.juliet, *self.everything())
        join(self.juliet, "Juliet", x="<history maxstanzas='0'/>")
        self.assertReceived(self.juliet, *[line for line in self.everything() if "body" not in line])
        self.assertNothingReceived()

    def test_otherPresence(self) -> None:
        """Changed presence goes to the others."""
        join(self.juliet, "Juliet", "<show>xa</show>")
        self.assertReceived(self.juliet, *self.everything(rest=" show:xa"))
        self.assertReceived(self.romeo, "Juliet available none/participant jid=juliet@localhost/a show:xa")

    def test_session(self) -> None:
        """Of several sessions the one that joins again is shown from then on, to the other sessions as well."""
        join(self.romeo, "Romeo", "<show>away</show>")
        own = [line for line in summaries(self.romeo) if line.startswith("Romeo available")]
        self.assertEqual(own, ["Romeo available none/participant jid=romeo@localhost/a,b show:away 100 110"])
        self.assertReceived(self.phone, "Romeo available none/participant jid=romeo@localhost/b,a show:away 110")
        self.assertReceived(self.juliet, "Romeo available none/participant jid=romeo@localhost/a,b show:away")

    def test_otherNick(self) -> None:
        """Under another nick it is a change of nick, and then everything, with the own presence once, in its place."""
        join(self.juliet, "J", id="3")
        gone = "Juliet unavailable none/participant jid=juliet@localhost/a nick=J 303"
        self.assertReceived(self.juliet, f"{gone} 110", *self.everything("J"))
        self.assertReceived(self.romeo, gone, "J available none/participant jid=juliet@localhost/a")

    def test_otherNickWithSessions(self) -> None:
        """The other sessions change their nick as well."""
        join(self.romeo, "R")
        self.assertReceived(
            self.phone,
            "Romeo unavailable none/participant jid=romeo@localhost/b,a nick=R 303 110",
            "R available none/participant jid=romeo@localhost/b,a 110",
        )
        self.assertEqual(sum(line.startswith("R available") for line in summaries(self.romeo)), 1)

    def test_takenNick(self) -> None:
        """Under another occupant's nick it is refused; the sender keeps the old one."""
        join(self.juliet, "Romeo")
        self.assertReceived(self.juliet, "Romeo presence error cancel conflict")
        self.assertNothingReceived()
        say(self.juliet, "b")
        self.assertReceived(self.romeo, "Juliet groupchat body:b")

    def test_notAskedAgain(self) -> None:
        """Occupants need no password again."""
        configure(self.owner, passwordprotectedroom=True, roomsecret="x")
        self.discardReceived()
        join(self.juliet, "Juliet")
        self.assertReceived(self.juliet, *self.everything())
