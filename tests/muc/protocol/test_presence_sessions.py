# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.protocol.presence}: several sessions under one nick, and leaving (XEP-0045 §7.2.8, §7.14, §11.1,
§18.1.2).
"""

from __future__ import annotations

from itertools import product

from muccore.xmpp import ns
from muccore.xmpp.errors import STANZA_CONDITIONS
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    codesOf,
    itemOf,
    join,
    leave,
    role,
    say,
    sendError,
    sendPresence,
    summaries,
)


class SessionTests(RoomTestCase):
    """Several sessions under one nick (§7.2.8): Romeo is in with one, and Juliet."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.enter("romeo", children="<show>away</show>")
        self.juliet = self.enter("juliet")

    def test_second(self) -> None:
        """Another session receives all that those who enter receive; the others see its presence from then on."""
        phone = self.client("romeo/b")
        join(phone, "Romeo", "<show>dnd</show>")
        self.assertReceived(
            phone,
            "Owner available owner/moderator",
            "Juliet available none/participant",
            "Romeo available none/participant jid=romeo@localhost/b,a show:dnd 110",
            "room groupchat subject:",
        )
        self.assertReceived(self.romeo, "Romeo available none/participant jid=romeo@localhost/a,b show:dnd 110")
        self.assertReceived(self.juliet, "Romeo available none/participant show:dnd")
        self.assertReceived(self.owner, "Romeo available none/participant jid=romeo@localhost/b,a show:dnd")

    def test_role(self) -> None:
        """It has the occupant's role, not that of somebody who enters."""
        self.change(role("Romeo", "moderator"))
        phone = self.client("romeo/b")
        join(phone, "Romeo")
        self.assertReceived(
            phone,
            "Owner available owner/moderator jid=owner@localhost/a",
            "Juliet available none/participant jid=juliet@localhost/a",
            "Romeo available none/moderator jid=romeo@localhost/b,a 110",
            "room groupchat subject:",
        )

    def test_shownLeaves(self) -> None:
        """When the session that is shown leaves, the others see the last presence of the remaining one."""
        phone = self.enter("romeo/b", children="<show>dnd</show>")
        leave(phone, "Romeo", "<status>bye</status>")
        self.assertReceived(phone, "Romeo unavailable none/none jid=romeo@localhost/b status:bye 110")
        self.assertReceived(self.romeo, "Romeo available none/participant jid=romeo@localhost/a show:away 110")
        self.assertReceived(self.juliet, "Romeo available none/participant show:away")
        self.assertReceived(self.owner, "Romeo available none/participant jid=romeo@localhost/a show:away")

    def test_otherLeaves(self) -> None:
        """
        When another session leaves, that one receives it; those who may see real JIDs, and the sessions left, receive
        presence without its item.
        """
        phone = self.enter("romeo/b")
        leave(self.romeo, "Romeo")
        self.assertReceived(self.romeo, "Romeo unavailable none/none jid=romeo@localhost/a 110")
        self.assertReceived(self.owner, "Romeo available none/participant jid=romeo@localhost/b")
        self.assertReceived(phone, "Romeo available none/participant jid=romeo@localhost/b 110")
        self.assertNothingReceived()
        newcomer = self.client("admin")
        self.change(affiliation("admin@localhost", "admin"))
        join(newcomer, "Admin")
        self.assertIn("Romeo available none/participant jid=romeo@localhost/b", summaries(newcomer))
        self.discardReceived()
        leave(phone, "Romeo")
        self.assertReceived(self.juliet, "Romeo unavailable none/none")

    def test_newcomer(self) -> None:
        """Whoever enters sees the occupant once, as the session that is shown, whose item is the first."""
        self.enter("romeo/b", children="<show>dnd</show>")
        sendPresence(self.romeo, "Romeo", "<show>chat</show>")
        self.change(affiliation("nurse@localhost", "admin"))
        nurse = self.client("nurse")
        join(nurse, "Nurse")
        self.assertEqual(
            [line for line in summaries(nurse) if line.startswith("Romeo")],
            ["Romeo available none/participant jid=romeo@localhost/a,b show:chat"],
        )

    def test_messages(self) -> None:
        """All sessions receive messages, private ones too, and may send them (§7.2.8)."""
        phone = self.enter("romeo/b")
        for speaker in (self.romeo, phone):
            say(speaker, "a")
            for client in (self.romeo, phone, self.juliet):
                self.assertReceived(client, "Romeo groupchat body:a")
        self.juliet.sends(f"<message to='{ROOM}/Romeo' type='chat'><body>a</body></message>")
        for client in (self.romeo, phone):
            self.assertReceived(client, "Juliet chat body:a x")
        self.assertNothingReceived(self.juliet)


class VisitTests(RoomTestCase):
    """Roles belong to a visit (§5.1): Romeo and Juliet have come into a moderated room, and were given voice."""

    fields = {"moderatedroom": True}

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.enter("romeo")
        self.juliet = self.enter("juliet")
        self.change(role("Romeo", "participant"), role("Juliet", "participant"))

    def test_roleEnds(self) -> None:
        """A role ends with the visit: who comes back is a visitor again, but voice by membership is kept (§5.1.2)."""
        leave(self.romeo, "Romeo")
        leave(self.juliet, "Juliet")
        self.change(affiliation("juliet@localhost", "member"))
        join(self.romeo, "Romeo")
        join(self.juliet, "Juliet")
        lines = summaries(self.owner)
        self.assertIn("Romeo available none/visitor jid=romeo@localhost/a", lines)
        self.assertIn("Juliet available member/participant jid=juliet@localhost/a", lines)

    def test_rolePerOccupant(self) -> None:
        """Another occupant of the same user has a role of their own, which other changes do not concern."""
        join(self.client("romeo/b"), "Montague")
        self.assertReceived(self.owner, "Montague available none/visitor jid=romeo@localhost/b")
        self.change(role("Romeo", "moderator"))
        self.assertEqual(self.room().occupants["Montague"].role.xmlName, "visitor")


class LeavingTests(RoomTestCase):
    """Leaving (§7.14): Romeo and Juliet are in."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.enter("romeo", children="<show>xa</show>"), self.enter("juliet")

    def test_leave(self) -> None:
        """
        The one who leaves receives 110 and the id of the request; the others see the affiliation, the role none, and
        the status sent.
        """
        self.romeo.sends(f"<presence type='unavailable' to='{ROOM}/Romeo' id='6'><status>bye</status></presence>")
        [own] = self.romeo.received()
        self.assertEqual((own.get("id"), codesOf(own)), ("6", [110]))
        self.assertEqual(itemOf(own).attributes, {"affiliation": "none", "role": "none", "jid": "romeo@localhost/a"})
        self.assertReceived(self.juliet, "Romeo unavailable none/none status:bye")
        self.assertReceived(self.owner, "Romeo unavailable none/none jid=romeo@localhost/a status:bye")
        say(self.juliet, "a")
        self.assertNothingReceived(self.romeo)

    def test_ways(self) -> None:
        """Unavailable presence to the room, or to everybody, and the end of the session are leaves too."""
        for goes, status in (
            (lambda: self.romeo.sends(f"<presence type='unavailable' to='{ROOM}'/>"), ""),
            (lambda: self.romeo.sends("<presence type='unavailable'><status>bye</status></presence>"), " status:bye"),
            (lambda: self.romeo.dropConnection(), ""),
        ):
            self.setUp()
            sendPresence(self.romeo, "R")
            self.discardReceived()
            goes()
            self.assertReceived(self.juliet, f"R unavailable none/none{status}")

    def test_notInside(self) -> None:
        """Unavailable presence from strangers is ignored (§17.3), with whatever nick."""
        stranger = self.client("stranger")
        for to in (f"{ROOM}/Romeo", f"{ROOM}/Nobody", ROOM, "other@conference.localhost/x"):
            stranger.sends(f"<presence type='unavailable' to='{to}'/>")
        self.assertNothingReceived()

    def test_last(self) -> None:
        """When the last occupant leaves, a temporary room is destroyed, in the store as well (§7.14)."""
        for client in self.clients:
            client.dropConnection()
        self.assertEqual(self.server.muc.rooms.live, {})
        self.assertIsNone(self.record())


DELIVERY_ERRORS = {
    "gone",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "recipient-unavailable",
    "redirect",
    "remote-server-not-found",
    "remote-server-timeout",
    "service-unavailable",
}
"""The conditions that say that a message cannot reach an occupant (§18.1.2)."""


class UnreachableTests(RoomTestCase):
    """Occupants to whom nothing can be delivered (§18.1.2, §11.1): Romeo, who has two sessions, or Juliet."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.phone = self.enter("romeo"), self.enter("romeo/b")
        self.juliet = self.enter("juliet")

    def test_removed(self) -> None:
        """
        Each delivery error of a message, and any of presence, removes the session, with 333, without 307 and with a
        readable reason, for everybody to see.
        """
        for to in (ROOM, f"{ROOM}/Owner"):
            cases = [("message", condition) for condition in DELIVERY_ERRORS]
            for name, condition in cases + [("presence", condition) for condition in STANZA_CONDITIONS]:
                sendError(self.juliet, condition, name, to)
                why = f"status:Removed because of an error: {condition.replace('-', ' ')}"
                self.assertReceived(self.juliet, f"Juliet unavailable none/none jid=juliet@localhost/a {why} 333 110")
                self.assertReceived(self.romeo, f"Juliet unavailable none/none {why} 333")
                self.enter(self.juliet)

    def test_withoutCondition(self) -> None:
        """Presence does so without a condition, too, or with one that does not exist."""
        for inside in ("", "<error/>", "<error><gone/></error>", f"<error><x xmlns='{ns.STANZA_ERRORS}'/></error>"):
            self.juliet.sends(f"<presence type='error' to='{ROOM}/Juliet'>{inside}</presence>")
            self.assertReceived(self.romeo, "Juliet unavailable none/none status:Removed because of an error 333")
            self.enter(self.juliet)

    def test_stays(self) -> None:
        """No other error of a message does, nor one without a condition."""
        for condition in set(STANZA_CONDITIONS) - DELIVERY_ERRORS:
            sendError(self.juliet, condition)
        for inside in ("", "<error><gone/></error>"):
            self.juliet.sends(f"<message type='error' to='{ROOM}'>{inside}</message>")
        self.assertNothingReceived()

    def test_oneSession(self) -> None:
        """The occupant's other sessions stay; the others receive no code."""
        sendError(self.phone, "gone")
        self.assertReceived(
            self.phone,
            "Romeo unavailable none/none jid=romeo@localhost/b status:Removed because of an error: gone 333 110",
        )
        self.assertReceived(self.juliet, "Romeo available none/participant")

    def test_stranger(self) -> None:
        """Errors from strangers are ignored."""
        stranger = self.client("stranger")
        rooms = (ROOM, f"{ROOM}/Romeo", "other@conference.localhost", "other@conference.localhost/x")
        for name, to, condition in product(("message", "presence"), rooms, ("gone", "forbidden")):
            sendError(stranger, condition, name, to)
        self.assertNothingReceived()
