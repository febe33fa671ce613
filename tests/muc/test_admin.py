# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.admin}: reading requests, and the lists.
"""

from __future__ import annotations

from muccore import ns
from muccore.element import Element
from muccore.muc import affiliations
from muccore.testing.stage import Client
from tests.muc.theatre import Theatre, admin, affiliation, ask, attributes, configure, heard, register, role

LISTS = ["outcast", "member", "admin", "owner"]


class Company(Theatre):
    """
    A room with everybody in it that a list could show.
    """

    def setUp(self) -> None:
        """
        An owner, an admin, a member, a moderator and a stranger are in; an outcast, a member and an admin are not.
        """
        super().setUp()
        self.romeo, self.lawrence = self.client("romeo"), self.client("lawrence")
        self.juliet, self.prince = self.client("juliet"), self.client("prince")
        self.nurse = self.client("nurse")
        self.open(self.romeo)
        admin(
            self.romeo,
            affiliation("lawrence@localhost", "admin"),
            affiliation("montague@localhost", "admin"),
            affiliation("juliet@localhost", "member", nick="Capulet"),
            affiliation("paris@localhost", "member", "County"),
            affiliation("tybalt@localhost", "outcast", "Brawls"),
            affiliation("verona.example", "outcast"),
        )
        self.admit(
            (self.lawrence, "Lawrence"), (self.juliet, "Juliet"), (self.prince, "Prince"), (self.nurse, "Nurse")
        )
        admin(self.romeo, role("Prince", "moderator"), role("Nurse", "visitor"))
        self.quiet(self.romeo, self.lawrence, self.juliet, self.prince, self.nurse)

    def list(self, client: Client, **wanted: str) -> list[Element]:
        """
        The items of a list.
        """
        words = " ".join(f"{name}='{value}'" for name, value in wanted.items())
        admin(client, f"<item {words}/>", type="get")
        return list(self.answer(client).childElements())


class BoundTests(Company):
    """
    What one request may bring.
    """

    def test_reason(self) -> None:
        """
        A reason is kept and told to everybody, so it is bounded; one that is too long changes nothing.
        """
        admin(self.romeo, affiliation("abraham@localhost", "outcast", "x" * 1025))
        self.hear(self.romeo, "error q modify not-acceptable")
        admin(self.romeo, affiliation("abraham@localhost", "outcast", "x" * 1024))
        self.assertEqual(heard(self.romeo)[-1], "result q")

    def test_full(self) -> None:
        """
        However somebody would get onto a list that is full: C{resource-constraint}.
        """
        self.patch(affiliations, "LIMIT", 7)
        admin(self.romeo, affiliation("abraham@localhost", "outcast"))
        self.hear(self.romeo, "error q wait resource-constraint")
        register(self.nurse, "Nurse")
        self.hear(self.nurse, "error q wait resource-constraint")


class AffiliationListTests(Company):
    """
    Lists of affiliations (§9.2, §9.5, §10.5, §10.8).
    """

    def test_owner(self) -> None:
        """
        §17.4: each item has affiliation and bare JID, the nick where one is reserved, never a role; and the reason.
        """
        for word, expected in (
            ("owner", [{"jid": "romeo@localhost"}]),
            ("admin", [{"jid": "lawrence@localhost"}, {"jid": "montague@localhost"}]),
            ("member", [{"jid": "juliet@localhost", "nick": "Capulet"}, {"jid": "paris@localhost"}]),
            ("outcast", [{"jid": "tybalt@localhost"}, {"jid": "verona.example"}]),
        ):
            items = self.list(self.romeo, affiliation=word)
            self.assertEqual(attributes(items), [{"affiliation": word, **item} for item in expected])
        [tybalt, verona] = self.list(self.romeo, affiliation="outcast")
        reason = tybalt.child("reason")
        assert reason is not None
        self.assertEqual((reason.text(), list(verona.childElements())), ("Brawls", []))

    def may(self, client: Client) -> list[str]:
        """
        Which lists somebody gets; the others are C{forbidden}.
        """
        got = []
        for word in LISTS:
            admin(client, f"<item affiliation='{word}'/>", type="get")
            [line] = heard(client)
            self.assertIn(line, ("result q", "error q auth forbidden"))
            if line == "result q":
                got.append(word)
        return got

    def test_semiAnonymous(self) -> None:
        """
        Where JIDs are hidden only owners see the lists of owners and admins, and only admins those of members and
        outcasts.
        """
        outside = self.client("montague")
        for client, lists in (
            (self.romeo, LISTS),
            (self.lawrence, ["outcast", "member"]),
            (outside, ["outcast", "member"]),
            (self.juliet, []),
            (self.prince, []),
            (self.nurse, []),
            (self.client("paris"), []),
            (self.client("tybalt"), []),
            (self.client("stranger"), []),
        ):
            self.assertEqual(self.may(client), lists, client.address)

    def test_nonAnonymous(self) -> None:
        """
        §9.5: where they are not, members and occupants see all lists but that of outcasts; outcasts and strangers
        outside none.
        """
        configure(self.romeo, whois="anyone")
        self.quiet(self.romeo, self.lawrence, self.juliet, self.prince, self.nurse)
        three = ["member", "admin", "owner"]
        for client, lists in (
            (self.romeo, LISTS),
            (self.lawrence, LISTS),
            (self.juliet, three),
            (self.nurse, three),
            (self.client("paris"), three),
            (self.client("tybalt"), []),
            (self.client("stranger"), []),
        ):
            self.assertEqual(self.may(client), lists, client.address)

    def test_empty(self) -> None:
        """
        A list with nobody in it is empty.
        """
        admin(self.romeo, affiliation("tybalt@localhost", "none"), affiliation("verona.example", "none"))
        self.quiet(self.romeo)
        self.assertEqual(self.list(self.romeo, affiliation="outcast"), [])


class RoleListTests(Company):
    """
    Lists of roles (§8.5, §9.8).
    """

    def test_items(self) -> None:
        """
        §17.4: each item has nick, role, affiliation and full JID.
        """
        self.assertEqual(
            attributes(self.list(self.romeo, role="participant")),
            [{"nick": "Juliet", "role": "participant", "affiliation": "member", "jid": "juliet@localhost/a"}],
        )
        self.assertEqual(
            attributes(self.list(self.prince, role="visitor")),
            [{"nick": "Nurse", "role": "visitor", "affiliation": "none", "jid": "nurse@localhost/a"}],
        )
        self.assertEqual(
            [item["nick"] for item in attributes(self.list(self.lawrence, role="moderator"))],
            ["Romeo", "Lawrence", "Prince"],
        )

    def test_who(self) -> None:
        """
        Moderators see who has voice and who has not; who is a moderator admins and owners only. Others see nothing.
        """
        for client, roles in (
            (self.romeo, {"visitor", "participant", "moderator"}),
            (self.lawrence, {"visitor", "participant", "moderator"}),
            (self.client("montague"), {"visitor", "participant", "moderator"}),
            (self.prince, {"visitor", "participant"}),
            (self.juliet, set()),
            (self.nurse, set()),
            (self.client("prince@localhost/b"), set()),
            (self.client("stranger"), set()),
        ):
            for word in ("visitor", "participant", "moderator"):
                admin(client, f"<item role='{word}'/>", type="get")
                expected = "result q" if word in roles else "error q auth forbidden"
                self.assertEqual(heard(client), [expected], (client.address, word))


class MalformedTests(Company):
    """
    Requests that are none.
    """

    def test_lists(self) -> None:
        """
        A request for a list names one list, by a word that there is.
        """
        for inside in (
            "",
            "<item/>",
            "<item role='participant' affiliation='member'/>",
            "<item role='none'/>",
            "<item affiliation='none'/>",
            "<item role='member'/>",
            "<item affiliation='moderator'/>",
            "<item affiliation=''/>",
            "<item affiliation='member'/><item affiliation='outcast'/>",
            "<other affiliation='member'/>",
            "<item xmlns='other' affiliation='member'/>",
        ):
            admin(self.romeo, inside, type="get")
            self.assertEqual(heard(self.romeo), ["error q modify bad-request"], inside)

    def test_changes(self) -> None:
        """
        A request for changes names at least one, in items of its own namespace.
        """
        for inside in ("", "<other/>", "<item xmlns='other' affiliation='member' jid='x@localhost'/>"):
            admin(self.romeo, inside)
            self.assertEqual(heard(self.romeo), ["error q modify bad-request"], inside)

    def test_forbiddenFirst(self) -> None:
        """
        One who has no say from outside the room learns nothing of what is wrong with his request.
        """
        stranger = self.client("stranger")
        for inside in ("", "<item affiliation='king' jid='x@localhost'/>", role("Juliet", "none")):
            admin(stranger, inside)
            self.refused(stranger, "auth forbidden")

    def test_outsideKicks(self) -> None:
        """
        Roles are given by occupants who are moderators: an owner who is not in cannot.
        """
        second = self.client("romeo@localhost/b")
        admin(second, role("Juliet", "none"))
        self.refused(second, "auth forbidden")
        self.assertIn("Juliet", self.room().occupants)

    def test_nickAlone(self) -> None:
        """
        An affiliation may be given to the nick of somebody who is in: some clients do so.
        """
        admin(self.romeo, "<item affiliation='outcast' nick=' Nurse '><reason>Gossip</reason></item>")
        self.hear(
            self.nurse, 'gone Nurse outcast/none +301 +110 as nurse@localhost/a by Romeo because "Gossip"'
        )
        self.assertIn("nurse@localhost", self.stored())

    def test_nicks(self) -> None:
        """
        Nicks are prepared as in addresses; one that nobody could have is not acceptable.
        """
        admin(self.romeo, role(" Nurse ", "participant"))
        self.hear(self.romeo, "result q", "here Nurse none/participant as nurse@localhost/a by Romeo")
        for nick in (" ", "x" * 1024, "\ue000"):
            admin(self.romeo, role(nick, "participant"))
            self.assertEqual(heard(self.romeo), ["error q modify not-acceptable"], nick)
        admin(self.romeo, "<item nick='' role='none'/>")
        self.refused(self.romeo, "modify bad-request")

    def test_emptyReason(self) -> None:
        """
        An empty reason is none.
        """
        admin(self.romeo, role("Nurse", "none", ""))
        self.hear(self.nurse, "gone Nurse none/none +307 +110 as nurse@localhost/a by Romeo")

    def test_otherPayload(self) -> None:
        """
        What a room does not know it does not answer with silence.
        """
        ask(self.romeo, "get", "<query xmlns='other'/>")
        self.refused(self.romeo, "cancel service-unavailable")
        ask(self.romeo, "set", f"<other xmlns='{ns.MUC_ADMIN}'/>")
        self.refused(self.romeo, "cancel service-unavailable")
