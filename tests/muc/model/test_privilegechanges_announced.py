# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.privilegechanges}: who is informed of a change, in which order."""

from __future__ import annotations

from muccore.interfaces import Affiliate
from tests.muc.muchelpers import (
    MUCTestCase,
    affiliation,
    configure,
    deliveryOrder,
    join,
    register,
    role,
    sendAdmin,
    summaries,
)


class AnnouncementTests(MUCTestCase):
    """What the owner Romeo, and Juliet and Tybalt, receive of changes."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet, self.tybalt = self.login("romeo", "juliet", "tybalt")

    def openRoom(self, **fields: object) -> None:
        """Open a room and let everybody enter; as members if it is members-only."""
        self.createRoom(self.romeo, **fields)
        if fields.get("membersonly"):
            sendAdmin(self.romeo, affiliation("juliet@localhost", "member"), affiliation("tybalt@localhost", "member"))
        self.enter(self.juliet)
        self.enter(self.tybalt)

    def assertAnnounced(self, announcement: str, codes: str = "") -> None:
        """
        Check that Romeo has the result, and everybody one presence of Juliet.

        @param announcement: its summary with C{{jid}}, which Tybalt does not see, and without codes.
        """
        jid = " jid=juliet@localhost/a"
        self.assertReceived(self.romeo, "result q", announcement.format(jid=jid) + codes)
        self.assertReceived(self.juliet, announcement.format(jid=jid) + codes + " 110")
        self.assertReceived(self.tybalt, announcement.format(jid="") + codes)

    def test_removal(self) -> None:
        """
        The user who is removed is informed first, then the moderator has the result, then the others are informed: 307
        for a kick (§8.2), 301 for a ban (§9.1), 321 for membership lost in a members-only room (§9.4).
        """
        kick = role("Juliet", "none", "Enough")
        ban, removal = (affiliation("juliet@localhost", word, "Enough") for word in ("outcast", "none"))
        for membersOnly, item, affiliated, code, rejoined in (
            (False, kick, "none", 307, None),
            (False, ban, "outcast", 301, "auth forbidden"),
            (True, removal, "none", 321, "auth registration-required"),
        ):
            self.setUp()
            self.openRoom(membersonly=membersOnly)
            order = deliveryOrder(self.romeo, self.juliet, self.tybalt)
            sendAdmin(self.romeo, item)
            received = ("juliet presence", "romeo iq", "romeo presence", "tybalt presence")
            self.assertEqual(order, [line.replace(" ", "@localhost/a ") for line in received])
            self.assertAnnounced(f"Juliet unavailable {affiliated}/none{{jid}} by=Romeo reason=Enough", f" {code}")
            join(self.juliet, "Juliet")
            if rejoined is None:
                self.assertIn("Juliet available none/participant jid=juliet@localhost/a 110", summaries(self.juliet))
            else:
                self.assertReceived(self.juliet, f"Juliet presence error {rejoined}")

    def test_kickRemovesAllSessions(self) -> None:
        """A kick removes all sessions of the occupant."""
        self.openRoom()
        second = self.enter("juliet/b", "Juliet")
        sendAdmin(self.romeo, role("Juliet", "none"))
        for client, other in ((self.juliet, "b"), (second, "a")):
            self.assertReceived(client, f"Juliet unavailable none/none jid={client.address},{other} by=Romeo 307 110")
        self.assertReceived(self.tybalt, "Juliet unavailable none/none by=Romeo 307")

    def test_kickOfOneself(self) -> None:
        """Moderators may kick themselves; the result comes after they are removed (§8.2)."""
        self.openRoom()
        sendAdmin(self.romeo, role("Romeo", "none"))
        self.assertReceived(
            self.romeo, "Romeo unavailable owner/none jid=romeo@localhost/a by=Romeo 307 110", "result q"
        )
        self.assertReceived(self.tybalt, "Romeo unavailable owner/none by=Romeo 307")

    def test_banIsStored(self) -> None:
        """A ban is stored with its reason and frees the reserved nick, whatever nick its item names (§9.1)."""
        self.openRoom()
        register(self.juliet, "Capulet")
        sendAdmin(self.romeo, affiliation("juliet@localhost", "outcast", "Treason", nick="Montague"))
        self.assertEqual(self.storedRecord().affiliates["juliet@localhost"], Affiliate("outcast", None, "Treason"))
        self.discardReceived()
        register(self.tybalt, "Capulet")
        self.assertIn("result q", summaries(self.tybalt))

    def test_fullJIDMeansBareJID(self) -> None:
        """A full JID in an item stands for its bare JID (§10.3)."""
        self.openRoom()
        sendAdmin(self.romeo, affiliation("juliet@localhost/elsewhere", "outcast"))
        self.assertAnnounced("Juliet unavailable outcast/none{jid} by=Romeo", " 301")
        self.assertIn("juliet@localhost", self.storedAffiliations())

    def test_membershipAndVoice(self) -> None:
        """Membership and voice are announced after the result; in a moderated room membership brings voice (§5.1.3)."""
        member, none = (affiliation("juliet@localhost", word, "Worthy") for word in ("member", "none"))
        voice, visitor = (role("Juliet", word, "Worthy") for word in ("participant", "visitor"))
        for moderated, *steps in (
            (False, (member, "member/participant"), (none, "none/participant")),
            (True, (member, "member/participant"), (none, "none/visitor")),
            (True, (voice, "none/participant"), (visitor, "none/visitor")),
        ):
            self.setUp()
            self.openRoom(moderatedroom=moderated)
            for item, privileges in steps:
                sendAdmin(self.romeo, item)
                self.assertAnnounced(f"Juliet available {privileges}{{jid}} by=Romeo reason=Worthy")

    def test_promotion(self) -> None:
        """Admins and owners become moderators at once, and see real JIDs from then on (§10.3, §10.6)."""
        self.openRoom()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.assertReceived(
            self.juliet,
            "Juliet available admin/moderator jid=juliet@localhost/a by=Romeo 110",
            "Romeo available owner/moderator jid=romeo@localhost/a",
            "Tybalt available none/participant jid=tybalt@localhost/a",
        )
        self.assertReceived(self.tybalt, "Juliet available admin/moderator by=Romeo")
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "owner"))
        self.assertReceived(self.juliet, "Tybalt available owner/moderator jid=tybalt@localhost/a by=Romeo")
        self.assertReceived(
            self.tybalt,
            "Tybalt available owner/moderator jid=tybalt@localhost/a by=Romeo 110",
            "Romeo available owner/moderator jid=romeo@localhost/a",
            "Juliet available admin/moderator jid=juliet@localhost/a",
        )

    def test_demotion(self) -> None:
        """A former admin or owner no longer sees real JIDs (§10.4, §10.7)."""
        self.openRoom()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "owner"))
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.assertReceived(self.tybalt, "Juliet available admin/moderator by=Romeo")
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member"))
        self.assertReceived(self.tybalt, "Juliet available member/participant by=Romeo")
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "member"))
        self.assertReceived(self.juliet, "Tybalt available member/participant by=Romeo")

    def test_adminLosesMembership(self) -> None:
        """An admin who loses every affiliation is removed from a members-only room."""
        self.openRoom(membersonly=True)
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "none"))
        self.assertAnnounced("Juliet unavailable none/none{jid} by=Romeo", " 321")

    def test_moderatorSeesJIDs(self) -> None:
        """Moderators see real JIDs while they are moderators; the role is not stored (§9.6, §9.7)."""
        self.openRoom()
        before = self.record()
        sendAdmin(self.romeo, role("Juliet", "moderator"))
        self.assertReceived(
            self.juliet,
            "Juliet available none/moderator jid=juliet@localhost/a by=Romeo 110",
            "Romeo available owner/moderator jid=romeo@localhost/a",
            "Tybalt available none/participant jid=tybalt@localhost/a",
        )
        sendAdmin(self.juliet, role("Tybalt", "visitor"))
        self.assertReceived(self.juliet, "result q", "Tybalt available none/visitor jid=tybalt@localhost/a by=Juliet")
        sendAdmin(self.romeo, role("Juliet", "participant"))
        self.assertReceived(self.juliet, "Juliet available none/participant jid=juliet@localhost/a by=Romeo 110")
        sendAdmin(self.romeo, role("Tybalt", "participant"))
        self.assertReceived(self.juliet, "Tybalt available none/participant by=Romeo")
        self.assertEqual(self.record(), before)

    def test_newModeratorReceivesPresence(self) -> None:
        """A new moderator receives everybody's presence with real JIDs on every session, once (§8)."""
        self.openRoom()
        second = self.enter("juliet/b", "Juliet")
        sendAdmin(self.romeo, role("Juliet", "moderator"), role("Tybalt", "visitor"))
        for client, other in ((self.juliet, "b"), (second, "a")):
            self.assertReceived(
                client,
                f"Juliet available none/moderator jid={client.address},{other} by=Romeo 110",
                "Tybalt available none/visitor jid=tybalt@localhost/a by=Romeo",
                "Romeo available owner/moderator jid=romeo@localhost/a",
                "Tybalt available none/visitor jid=tybalt@localhost/a",
            )
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.assertReceived(self.juliet, "Juliet available admin/moderator jid=juliet@localhost/a,b by=Romeo 110")

    def test_newModeratorInNonAnonymousRoom(self) -> None:
        """In a non-anonymous room a new moderator receives no presence again."""
        self.openRoom(whois="anyone")
        sendAdmin(self.romeo, role("Juliet", "moderator"))
        self.assertReceived(self.juliet, "Juliet available none/moderator jid=juliet@localhost/a by=Romeo 110")

    def test_moderatorWithinRequest(self) -> None:
        """A user who is a moderator only in the middle of a request sees no real JIDs."""
        self.openRoom()
        sendAdmin(self.romeo, role("Juliet", "moderator"), role("Juliet", "none"))
        self.assertReceived(self.juliet, "Juliet unavailable none/none jid=juliet@localhost/a by=Romeo 307 110")
        sendAdmin(self.romeo, role("Tybalt", "moderator"), role("Tybalt", "participant"))
        self.assertReceived(
            self.tybalt,
            "Juliet unavailable none/none by=Romeo 307",
            "Tybalt available none/participant jid=tybalt@localhost/a by=Romeo 110",
        )

    def test_absentUser(self) -> None:
        """An absent user's affiliation is announced first: to moderators, or to all if non-anonymous (§10.3)."""
        self.openRoom()
        sendAdmin(self.romeo, affiliation("nurse@localhost", "member", "Kin"))
        self.assertReceived(self.romeo, "room normal item nurse@localhost member reason=Kin", "result q")
        self.assertNothingReceived()
        configure(self.romeo, whois="anyone")
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("nurse@localhost", "none", "Gossip"))
        self.assertReceived(self.romeo, "room normal item nurse@localhost none reason=Gossip", "result q")
        self.assertReceived(self.juliet, "room normal item nurse@localhost none reason=Gossip")

    def test_removedUserReceivesNothingElse(self) -> None:
        """A user removed by a request receives nothing of the rest of it, whatever the order of its items."""
        self.openRoom(whois="anyone")
        sendAdmin(self.romeo, affiliation("nurse@localhost", "member"), affiliation("juliet@localhost", "outcast"))
        self.assertReceived(self.juliet, "Juliet unavailable outcast/none jid=juliet@localhost/a by=Romeo 301 110")
        self.assertReceived(
            self.tybalt,
            "room normal item nurse@localhost member",
            "Juliet unavailable outcast/none jid=juliet@localhost/a by=Romeo 301",
        )

    def test_actorOutsideIsNotNamed(self) -> None:
        """An owner who is not in the room is not named as the actor."""
        self.openRoom()
        second = self.client("romeo/b")
        sendAdmin(second, affiliation("juliet@localhost", "outcast"))
        self.assertReceived(self.juliet, "Juliet unavailable outcast/none jid=juliet@localhost/a 301 110")
        self.assertReceived(second, "result q")
