# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.model.privilegechanges}: domains, reserved nicks, the last owner, and the lists in the
configuration form.
"""

from __future__ import annotations

from muccore.interfaces import Affiliate
from tests.muc.muchelpers import MUCTestCase, affiliation, configure, join, sendAdmin, summaries


class DomainTests(MUCTestCase):
    """Affiliations of whole domains (§9.2)."""

    def setUp(self) -> None:
        """An owner, a member with an entry of their own, and a user of the same domain without one are in."""
        super().setUp()
        self.romeo, self.juliet, self.nurse = self.login("romeo", "juliet", "nurse")
        self.createRoom(self.romeo)
        sendAdmin(self.romeo, affiliation("nurse@localhost", "member"))
        self.enterAll(self.juliet, self.nurse)

    def test_banOfDomain(self) -> None:
        """Users of a banned domain without an entry of their own are removed and cannot come back; others stay."""
        sendAdmin(self.romeo, affiliation("localhost", "outcast", "Noise"))
        self.assertReceived(
            self.juliet, "Juliet unavailable outcast/none jid=juliet@localhost/a by=Romeo reason=Noise 301 110"
        )
        self.assertReceived(self.nurse, "Juliet unavailable outcast/none by=Romeo reason=Noise 301")
        join(self.juliet, "Juliet")
        self.assertReceived(self.juliet, "Juliet presence error auth forbidden")
        tybalt = self.client("tybalt")
        join(tybalt, "Tybalt")
        self.assertReceived(tybalt, "Tybalt presence error auth forbidden")
        self.assertEqual(list(self.room().occupants), ["Romeo", "Nurse"])

    def test_ownEntryComesFirst(self) -> None:
        """A user's own entry is matched before that of the domain (§9.2), even if it is newer."""
        sendAdmin(self.romeo, affiliation("localhost", "outcast"))
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member"))
        self.discardReceived()
        join(self.juliet, "Juliet")
        self.assertIn("Juliet available member/participant jid=juliet@localhost/a 110", summaries(self.juliet))

    def test_removedEntryExposesBan(self) -> None:
        """A user who loses the entry that overrode a ban of the domain is removed."""
        sendAdmin(self.romeo, affiliation("localhost", "outcast"))
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("nurse@localhost", "none"))
        self.assertReceived(self.nurse, "Nurse unavailable outcast/none jid=nurse@localhost/a by=Romeo 301 110")

    def test_memberDomain(self) -> None:
        """A domain can be a member of a members-only room; when it loses membership its users are removed."""
        sendAdmin(self.romeo, affiliation("localhost", "member"))
        self.assertReceived(self.juliet, "Juliet available member/participant jid=juliet@localhost/a by=Romeo 110")
        configure(self.romeo, membersonly=True)
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("localhost", "none"))
        self.assertReceived(self.juliet, "Juliet unavailable none/none jid=juliet@localhost/a by=Romeo 321 110")
        self.assertReceived(self.nurse, "Juliet unavailable none/none by=Romeo 321")

    def test_domainIsNeitherAdminNorOwner(self) -> None:
        """A domain cannot be admin or owner, nor have a reserved nick."""
        for item in (
            affiliation("localhost", "admin"),
            affiliation("localhost", "owner"),
            affiliation("localhost", "member", nick="Anyone"),
        ):
            sendAdmin(self.romeo, item)
            self.assertReceived(self.romeo, "error q modify not-acceptable")
            self.assertNotIn("localhost", self.storedAffiliations())


class ReservedNickTests(MUCTestCase):
    """Nicks that admins reserve (§9.3, §9.5)."""

    def setUp(self) -> None:
        """The room has a member with a reserved nick, and one without."""
        super().setUp()
        self.romeo = self.client("romeo")
        self.createRoom(self.romeo)
        sendAdmin(
            self.romeo, affiliation("juliet@localhost", "member", nick="Rose"), affiliation("nurse@localhost", "member")
        )
        self.discardReceived()

    def test_othersCannotUseNick(self) -> None:
        """The nick in an item becomes reserved: nobody else may use it."""
        self.assertEqual(self.storedNicks(), {"juliet@localhost": "Rose"})
        nurse = self.client("nurse")
        join(nurse, "Rose")
        self.assertReceived(nurse, "Rose presence error cancel conflict")

    def test_itemWithoutNickKeepsIt(self) -> None:
        """An item without a nick keeps the reserved one, even on promotion; an empty nick frees it (§9.5)."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.assertEqual(self.storedNicks(), {"juliet@localhost": "Rose"})
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin", nick=""))
        self.assertEqual(self.storedNicks(), {})

    def test_freedWithMembership(self) -> None:
        """The nick is freed when membership ends."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "none"))
        self.assertEqual(self.storedNicks(), {})
        self.enter("nurse", "Rose")

    def test_conflict(self) -> None:
        """A nick that another user has reserved or is using is refused."""
        tybalt = self.client("tybalt")
        self.enter(tybalt)
        for nick in ("Rose", "Tybalt", "rose", "TYBALT"):
            sendAdmin(self.romeo, affiliation("nurse@localhost", "member", nick=nick))
            self.assertReceived(self.romeo, "error q cancel conflict")
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "member", nick="Tybalt"))
        self.assertIn("result q", summaries(self.romeo))
        self.assertEqual(self.storedNicks(), {"juliet@localhost": "Rose", "tybalt@localhost": "Tybalt"})

    def test_oneNickForTwoUsers(self) -> None:
        """One request cannot reserve one nick for two users."""
        sendAdmin(
            self.romeo,
            affiliation("x@localhost", "member", nick="Lily"),
            affiliation("y@localhost", "member", nick="LILY"),
        )
        self.assertReceived(self.romeo, "error q cancel conflict")
        self.assertEqual(self.storedNicks(), {"juliet@localhost": "Rose"})

    def test_nickPassedOn(self) -> None:
        """One request can pass a nick on, whatever the order of its items."""
        items = [
            affiliation("nurse@localhost", "member", nick="Rose"),
            affiliation("juliet@localhost", "member", nick="Lily"),
        ]
        sendAdmin(self.romeo, *items)
        self.assertReceived(self.romeo, "result q")
        self.assertEqual(self.storedNicks(), {"juliet@localhost": "Lily", "nurse@localhost": "Rose"})
        sendAdmin(
            self.romeo,
            affiliation("nurse@localhost", "member", nick=""),
            affiliation("juliet@localhost", "member", nick="Rose"),
        )
        self.assertEqual(self.storedNicks(), {"juliet@localhost": "Rose"})

    def test_nickFreedWithinRequest(self) -> None:
        """A nick freed and reserved again in one request cannot go to another user in between."""
        sendAdmin(
            self.romeo,
            affiliation("juliet@localhost", "none"),
            affiliation("nurse@localhost", "member", nick="Rose"),
            affiliation("juliet@localhost", "member"),
        )
        self.assertReceived(self.romeo, "error q cancel conflict")
        self.assertEqual(self.storedNicks(), {"juliet@localhost": "Rose"})


class ListTests(MUCTestCase):
    """Complete lists of owners and admins in the configuration form (§10.2)."""

    def setUp(self) -> None:
        """Two owners and an admin are in."""
        super().setUp()
        self.romeo, self.juliet, self.nurse = self.login("romeo", "juliet", "nurse")
        self.createRoom(self.romeo)
        sendAdmin(self.romeo, affiliation("juliet@localhost", "owner"), affiliation("nurse@localhost", "admin"))
        self.enterAll(self.juliet, self.nurse)

    def test_omittedUsersAreDemoted(self) -> None:
        """An owner left out becomes an admin, an admin a member, and all occupants are informed."""
        configure(self.romeo, roomowners=["romeo@localhost"])
        self.assertReceived(self.juliet, "Juliet available admin/moderator jid=juliet@localhost/a by=Romeo 110")
        self.assertReceived(self.nurse, "Juliet available admin/moderator jid=juliet@localhost/a by=Romeo")
        configure(self.romeo, roomadmins=["juliet@localhost"])
        self.assertReceived(self.nurse, "Nurse available member/participant jid=nurse@localhost/a by=Romeo 110")
        self.assertEqual(
            self.storedAffiliations(),
            {"romeo@localhost": "owner", "juliet@localhost": "admin", "nurse@localhost": "member"},
        )

    def test_omittedFromBothLists(self) -> None:
        """With both lists given, a user in neither becomes a member."""
        configure(self.romeo, roomowners=["romeo@localhost"], roomadmins=["nurse@localhost"])
        self.assertEqual(self.storedAffiliations()["juliet@localhost"], "member")

    def test_omittedComponentIsDemoted(self) -> None:
        """An owner whose address is a domain, such as a component, is demoted like others."""
        self.room().affiliations.update({"bot.example.org": Affiliate("owner")})
        configure(self.romeo, roomowners=["romeo@localhost"], roomadmins=["nurse@localhost"])
        self.assertEqual(self.storedAffiliations()["bot.example.org"], "member")

    def test_swap(self) -> None:
        """Two users can swap affiliations in one form."""
        configure(self.romeo, roomowners=["romeo@localhost", "nurse@localhost"], roomadmins=["juliet@localhost"])
        self.assertEqual(
            self.storedAffiliations(),
            {"romeo@localhost": "owner", "juliet@localhost": "admin", "nurse@localhost": "owner"},
        )

    def test_userInBothListsIsOwner(self) -> None:
        """A user in both lists is an owner."""
        configure(
            self.romeo,
            roomowners=["romeo@localhost", "juliet@localhost", "nurse@localhost"],
            roomadmins=["romeo@localhost", "juliet@localhost", "nurse@localhost"],
        )
        self.assertIn("result q", summaries(self.romeo))
        self.assertEqual(set(self.storedAffiliations().values()), {"owner"})

    def test_listWithoutOwnerIsConflict(self) -> None:
        """A list without an owner is refused with C{conflict}, and nothing else in the form applies (§10.2)."""
        for owners in ([], [""]):
            configure(self.romeo, roomowners=owners, roomname="Other")
            self.assertReceived(self.romeo, "error q cancel conflict")
        self.assertNothingReceived(self.juliet, self.nurse)
        self.assertEqual(self.room().settings.name, "")

    def test_badAddress(self) -> None:
        """Malformed addresses, and those that are not of users, are C{not-acceptable}."""
        for jids in (["@"], ["localhost"]):
            configure(self.romeo, roomadmins=jids, roomname="Other")
            self.assertReceived(self.romeo, "error q modify not-acceptable")
        self.assertEqual(self.room().settings.name, "")

    def test_ownerLeavesThemselvesOut(self) -> None:
        """An owner can leave themselves out if there is another owner."""
        configure(self.romeo, roomowners=["juliet@localhost"])
        self.assertReceived(
            self.romeo, "result q", "Romeo available admin/moderator jid=romeo@localhost/a by=Romeo 110"
        )
        configure(self.romeo, roomname="Mine")
        self.assertReceived(self.romeo, "error q auth forbidden")

    def test_unchangedListsAreNotAnnounced(self) -> None:
        """Unchanged lists are not announced."""
        configure(self.romeo, roomowners=["juliet@localhost", "romeo@localhost"], roomadmins=["nurse@localhost/a"])
        self.assertReceived(self.romeo, "result q")
        self.assertNothingReceived(self.juliet, self.nurse)


class LastOwnerTests(MUCTestCase):
    """A room always has an owner (§10, §10.4)."""

    def test_onlyOwnerCannotResign(self) -> None:
        """The only owner cannot give up ownership: C{conflict}, and nothing changes."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        for word in ("admin", "member", "none", "outcast"):
            sendAdmin(romeo, affiliation("romeo@localhost", word))
            self.assertReceived(romeo, "error q cancel conflict")
            self.assertEqual(self.storedAffiliations(), {"romeo@localhost": "owner"})

    def test_resignWithSuccessor(self) -> None:
        """An owner who appoints a successor in the same request can resign (§10.4)."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        sendAdmin(romeo, affiliation("romeo@localhost", "none"), affiliation("juliet@localhost", "owner"))
        self.assertReceived(romeo, "result q", "Romeo available none/participant jid=romeo@localhost/a by=Romeo 110")
        self.assertEqual(self.storedAffiliations(), {"juliet@localhost": "owner"})

    def test_bothOwnersRemoved(self) -> None:
        """One request cannot remove all of two owners."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        sendAdmin(romeo, affiliation("juliet@localhost", "owner"))
        self.discardReceived()
        sendAdmin(romeo, affiliation("romeo@localhost", "admin"), affiliation("juliet@localhost", "none"))
        self.assertReceived(romeo, "error q cancel conflict")

    def test_selfBanIsConflict(self) -> None:
        """Nobody can ban themselves, even if there is another owner (§9.1)."""
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo)
        sendAdmin(romeo, affiliation("juliet@localhost", "owner"), affiliation("nurse@localhost", "admin"))
        self.discardReceived()
        sendAdmin(romeo, affiliation("romeo@localhost", "outcast"))
        self.assertReceived(romeo, "error q cancel conflict")
        sendAdmin(juliet, affiliation("juliet@localhost/elsewhere", "outcast"))
        self.assertReceived(juliet, "error q cancel conflict")
        nurse = self.client("nurse")
        sendAdmin(nurse, affiliation("nurse@localhost", "outcast"))
        self.assertReceived(nurse, "error q cancel conflict")
