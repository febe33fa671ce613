# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.changes}: domains, reserved nicks, the last owner, and the lists in the configuration form.
"""

from __future__ import annotations

from tests.muc.theatre import Theatre, admin, affiliation, configure, heard, join


class DomainTests(Theatre):
    """
    Affiliations of whole domains (§9.2).
    """

    def setUp(self) -> None:
        """
        A room whose owner stands alone, with people of the same domain.
        """
        super().setUp()
        self.romeo, self.juliet, self.nurse = self.client("romeo"), self.client("juliet"), self.client("nurse")
        self.open(self.romeo)
        admin(self.romeo, affiliation("nurse@localhost", "member"))
        self.admit((self.juliet, "Juliet"), (self.nurse, "Nurse"))
        self.quiet(self.romeo, self.juliet, self.nurse)

    def test_ban(self) -> None:
        """
        Those of the domain without an entry of their own go and cannot come back; the others stay.
        """
        admin(self.romeo, affiliation("localhost", "outcast", "Noise"))
        self.hear(
            self.juliet, 'gone Juliet outcast/none +301 +110 as juliet@localhost/a by Romeo because "Noise"'
        )
        self.hear(self.nurse, 'gone Juliet outcast/none +301 by Romeo because "Noise"')
        join(self.juliet, "Juliet")
        self.hear(self.juliet, "refused Juliet auth forbidden")
        tybalt = self.client("tybalt")
        join(tybalt, "Tybalt")
        self.hear(tybalt, "refused Tybalt auth forbidden")
        self.assertEqual(list(self.room().occupants), ["Romeo", "Nurse"])

    def test_ownEntryFirst(self) -> None:
        """
        A user's own entry is matched before that of his domain (§9.2), also where it is given later.
        """
        admin(self.romeo, affiliation("localhost", "outcast"))
        admin(self.romeo, affiliation("juliet@localhost", "member"))
        self.quiet(self.juliet)
        join(self.juliet, "Juliet")
        self.assertIn("here Juliet member/participant +110 as juliet@localhost/a", heard(self.juliet))

    def test_ownEntryGoes(self) -> None:
        """
        Who loses the entry that has kept him from his domain's ban is out.
        """
        admin(self.romeo, affiliation("localhost", "outcast"))
        self.quiet(self.nurse)
        admin(self.romeo, affiliation("nurse@localhost", "none"))
        self.hear(self.nurse, "gone Nurse outcast/none +301 +110 as nurse@localhost/a by Romeo")

    def test_domainOfMembers(self) -> None:
        """
        A domain can be a member of a members-only room; when it is no more, its users go, and nobody else.
        """
        admin(self.romeo, affiliation("localhost", "member"))
        self.hear(self.juliet, "here Juliet member/participant +110 as juliet@localhost/a by Romeo")
        configure(self.romeo, membersonly=True)
        self.quiet(self.juliet, self.nurse)
        admin(self.romeo, affiliation("localhost", "none"))
        self.hear(self.juliet, "gone Juliet none/none +321 +110 as juliet@localhost/a by Romeo")
        self.hear(self.nurse, "gone Juliet none/none +321 by Romeo")

    def test_notAdmins(self) -> None:
        """
        A whole domain is neither admin nor owner, and no nick is reserved for it.
        """
        for item in (
            affiliation("localhost", "admin"),
            affiliation("localhost", "owner"),
            affiliation("localhost", "member", nick="Anyone"),
        ):
            admin(self.romeo, item)
            self.refused(self.romeo, "modify not-acceptable")
            self.assertNotIn("localhost", self.stored())


class ReservedNickTests(Theatre):
    """
    Nicks that admins reserve (§9.3, §9.5).
    """

    def setUp(self) -> None:
        """
        A room with an owner, and two members of whom one has a nick.
        """
        super().setUp()
        self.romeo = self.client("romeo")
        self.open(self.romeo)
        admin(
            self.romeo,
            affiliation("juliet@localhost", "member", nick="Rose"),
            affiliation("nurse@localhost", "member"),
        )
        self.quiet(self.romeo)

    def test_given(self) -> None:
        """
        The nick in an item becomes reserved: nobody else may take it.
        """
        self.assertEqual(self.nicks(), {"juliet@localhost": "Rose"})
        nurse = self.client("nurse")
        join(nurse, "Rose")
        self.hear(nurse, "refused Rose cancel conflict")

    def test_stays(self) -> None:
        """
        Without a nick in the item the reserved one stays, also as she rises; with an empty one it is free (§9.5).
        """
        admin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.assertEqual(self.nicks(), {"juliet@localhost": "Rose"})
        admin(self.romeo, affiliation("juliet@localhost", "admin", nick=""))
        self.assertEqual(self.nicks(), {})

    def test_goesWithMembership(self) -> None:
        """
        With the membership the nick goes.
        """
        admin(self.romeo, affiliation("juliet@localhost", "none"))
        self.assertEqual(self.nicks(), {})
        self.assertEqual(self.room().affiliations.holderOf("Rose"), None)

    def test_conflicts(self) -> None:
        """
        A nick that is another one's, or that somebody else is using, is not given.
        """
        tybalt = self.client("tybalt")
        self.admit((tybalt, "Tybalt"))
        self.quiet(self.romeo)
        for nick in ("Rose", "Tybalt"):
            admin(self.romeo, affiliation("nurse@localhost", "member", nick=nick))
            self.refused(self.romeo, "cancel conflict")
        admin(self.romeo, affiliation("tybalt@localhost", "member", nick="Tybalt"))
        self.assertIn("result q", heard(self.romeo))
        self.assertEqual(self.nicks(), {"juliet@localhost": "Rose", "tybalt@localhost": "Tybalt"})

    def test_twoWantOne(self) -> None:
        """
        One request cannot give one nick to two.
        """
        admin(
            self.romeo,
            affiliation("x@localhost", "member", nick="Lily"),
            affiliation("y@localhost", "member", nick="Lily"),
        )
        self.refused(self.romeo, "cancel conflict")
        self.assertEqual(self.nicks(), {"juliet@localhost": "Rose"})

    def test_passedOn(self) -> None:
        """
        One request can pass a nick on, in whatever order its items stand.
        """
        items = [
            affiliation("nurse@localhost", "member", nick="Rose"),
            affiliation("juliet@localhost", "member", nick="Lily"),
        ]
        admin(self.romeo, *items)
        self.hear(self.romeo, "result q")
        self.assertEqual(self.nicks(), {"juliet@localhost": "Lily", "nurse@localhost": "Rose"})
        admin(
            self.romeo,
            affiliation("nurse@localhost", "member", nick=""),
            affiliation("juliet@localhost", "member", nick="Rose"),
        )
        self.assertEqual(self.nicks(), {"juliet@localhost": "Rose"})

    def test_givenUpAndTakenBack(self) -> None:
        """
        Who gives a nick up and takes it back in one request keeps it: nobody else gets it in between.
        """
        admin(
            self.romeo,
            affiliation("juliet@localhost", "none"),
            affiliation("nurse@localhost", "member", nick="Rose"),
            affiliation("juliet@localhost", "member"),
        )
        self.refused(self.romeo, "cancel conflict")
        self.assertEqual(self.nicks(), {"juliet@localhost": "Rose"})


class ListTests(Theatre):
    """
    The full lists of owners and admins in the configuration form (§10.2).
    """

    def setUp(self) -> None:
        """
        A room with an owner, another owner and an admin.
        """
        super().setUp()
        self.romeo, self.juliet, self.nurse = self.client("romeo"), self.client("juliet"), self.client("nurse")
        self.open(self.romeo)
        admin(self.romeo, affiliation("juliet@localhost", "owner"), affiliation("nurse@localhost", "admin"))
        self.admit((self.juliet, "Juliet"), (self.nurse, "Nurse"))
        self.quiet(self.romeo, self.juliet, self.nurse)

    def test_dropped(self) -> None:
        """
        An owner who is left out becomes an admin, an admin a member, and everybody hears of it.
        """
        configure(self.romeo, roomowners=["romeo@localhost"])
        self.hear(self.juliet, "here Juliet admin/moderator +110 as juliet@localhost/a by Romeo")
        self.hear(self.nurse, "here Juliet admin/moderator as juliet@localhost/a by Romeo")
        configure(self.romeo, roomadmins=["juliet@localhost"])
        self.hear(self.nurse, "here Nurse member/participant +110 as nurse@localhost/a by Romeo")
        self.assertEqual(
            self.stored(),
            {"romeo@localhost": "owner", "juliet@localhost": "admin", "nurse@localhost": "member"},
        )

    def test_bothLists(self) -> None:
        """
        With both lists given, who stands in neither is a member at the most.
        """
        configure(self.romeo, roomowners=["romeo@localhost"], roomadmins=["nurse@localhost"])
        self.assertEqual(self.stored()["juliet@localhost"], "member")

    def test_swapped(self) -> None:
        """
        Two can change places in one form.
        """
        configure(
            self.romeo,
            roomowners=["romeo@localhost", "nurse@localhost"],
            roomadmins=["juliet@localhost"],
        )
        self.assertEqual(
            self.stored(),
            {"romeo@localhost": "owner", "juliet@localhost": "admin", "nurse@localhost": "owner"},
        )

    def test_inBoth(self) -> None:
        """
        Who stands in both lists is an owner: also who was one before.
        """
        configure(
            self.romeo,
            roomowners=["romeo@localhost", "juliet@localhost", "nurse@localhost"],
            roomadmins=["romeo@localhost", "juliet@localhost", "nurse@localhost"],
        )
        self.assertIn("result q", heard(self.romeo))
        self.assertEqual(set(self.stored().values()), {"owner"})

    def test_noOwner(self) -> None:
        """
        A list without any owner is refused with C{conflict}, and nothing else of the form holds (§10.2).
        """
        for owners in ([], [""]):
            configure(self.romeo, roomowners=owners, roomname="Other")
            self.refused(self.romeo, "cancel conflict")
        self.silent(self.juliet, self.nurse)
        self.assertEqual(self.room().settings.name, "")

    def test_bad(self) -> None:
        """
        What is no address, or no user's, is not acceptable.
        """
        for jids in (["@"], ["localhost"]):
            configure(self.romeo, roomadmins=jids, roomname="Other")
            self.refused(self.romeo, "modify not-acceptable")
        self.assertEqual(self.room().settings.name, "")

    def test_oneselfDown(self) -> None:
        """
        An owner can leave himself out where there is another one.
        """
        configure(self.romeo, roomowners=["juliet@localhost"])
        self.hear(
            self.romeo, "result q", "here Romeo admin/moderator +110 as romeo@localhost/a by Romeo"
        )
        configure(self.romeo, roomname="Mine")
        self.refused(self.romeo, "auth forbidden")

    def test_noChange(self) -> None:
        """
        The lists as they are change nothing and tell nobody.
        """
        configure(
            self.romeo,
            roomowners=["juliet@localhost", "romeo@localhost"],
            roomadmins=["nurse@localhost/a"],
        )
        self.hear(self.romeo, "result q")
        self.silent(self.juliet, self.nurse)


class LastOwnerTests(Theatre):
    """
    A room has an owner at any time (§10, §10.4).
    """

    def test_oneselfDown(self) -> None:
        """
        The only owner cannot become anything else; with C{conflict} nothing changes.
        """
        romeo = self.client("romeo")
        self.open(romeo)
        for word in ("admin", "member", "none", "outcast"):
            admin(romeo, affiliation("romeo@localhost", word))
            self.refused(romeo, "cancel conflict")
            self.assertEqual(self.stored(), {"romeo@localhost": "owner"})

    def test_withSuccessor(self) -> None:
        """
        With a successor in the same request, or another owner, he can (§10.4).
        """
        romeo = self.client("romeo")
        self.open(romeo)
        admin(romeo, affiliation("romeo@localhost", "none"), affiliation("juliet@localhost", "owner"))
        self.hear(
            romeo,
            "result q",
            "here Romeo none/participant +110 as romeo@localhost/a by Romeo",
        )
        self.assertEqual(self.stored(), {"juliet@localhost": "owner"})

    def test_twoDropEachOther(self) -> None:
        """
        Two owners in one request cannot both go.
        """
        romeo = self.client("romeo")
        self.open(romeo)
        admin(romeo, affiliation("juliet@localhost", "owner"))
        self.quiet(romeo)
        admin(romeo, affiliation("romeo@localhost", "admin"), affiliation("juliet@localhost", "none"))
        self.refused(romeo, "cancel conflict")

    def test_selfBan(self) -> None:
        """
        Nobody bans himself, also where there is another owner (§9.1).
        """
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo)
        admin(romeo, affiliation("juliet@localhost", "owner"), affiliation("nurse@localhost", "admin"))
        self.quiet(romeo)
        admin(romeo, affiliation("romeo@localhost", "outcast"))
        self.refused(romeo, "cancel conflict")
        admin(juliet, affiliation("juliet@localhost/elsewhere", "outcast"))
        self.refused(juliet, "cancel conflict")
        nurse = self.client("nurse")
        admin(nurse, affiliation("nurse@localhost", "outcast"))
        self.refused(nurse, "cancel conflict")
