# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.admin}: parsing requests, and lists of affiliations and roles."""

from __future__ import annotations

from muccore.interfaces import Affiliate
from muccore.muc.model import affiliations
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.protocol import admin
from muccore.net import slices
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    MUCTestCase,
    RoomTestCase,
    affiliation,
    attributes,
    configure,
    errorText,
    register,
    role,
    say,
    sendAdmin,
    summaries,
    summary,
)
from tests.turns import turn

LISTS = ["outcast", "member", "admin", "owner"]


class AdminTestCase(MUCTestCase):
    """A room with somebody for every list."""

    def setUp(self) -> None:
        """An owner, an admin, a member, a moderator and a visitor are in; an outcast, a member and an admin are not."""
        super().setUp()
        self.romeo, self.lawrence = self.login("romeo", "lawrence")
        self.juliet, self.prince = self.login("juliet", "prince")
        self.nurse = self.client("nurse")
        self.createRoom(self.romeo)
        sendAdmin(
            self.romeo,
            affiliation("lawrence@localhost", "admin"),
            affiliation("montague@localhost", "admin"),
            affiliation("juliet@localhost", "member", nick="Capulet"),
            affiliation("paris@localhost", "member", "County"),
            affiliation("tybalt@localhost", "outcast", "Brawls"),
            affiliation("verona.example", "outcast"),
        )
        self.enterAll(self.lawrence, self.juliet, self.prince, self.nurse)
        sendAdmin(self.romeo, role("Prince", "moderator"), role("Nurse", "visitor"))
        self.discardReceived()

    def list(self, client: Client, **wanted: str) -> list[Element]:
        """The items of a list."""
        words = " ".join(f"{name}='{value}'" for name, value in wanted.items())
        sendAdmin(client, f"<item {words}/>", type="get")
        return list(self.result(client).childElements())


class BoundTests(AdminTestCase):
    """Limits of one request."""

    def test_reason(self) -> None:
        """A reason that is too long is refused and changes nothing."""
        sendAdmin(self.romeo, affiliation("abraham@localhost", "outcast", "x" * 1025))
        self.assertReceived(self.romeo, "error q modify not-acceptable")
        sendAdmin(self.romeo, affiliation("abraham@localhost", "outcast", "x" * 1024))
        self.assertEqual(summaries(self.romeo)[-1], "result q")

    def test_full(self) -> None:
        """Whatever would add an entry to a full list of affiliations is refused with C{resource-constraint}."""
        self.patch(affiliations, "LIMIT", 7)
        sendAdmin(self.romeo, affiliation("abraham@localhost", "outcast"))
        self.assertReceived(self.romeo, "error q wait resource-constraint")
        register(self.nurse, "Nurse")
        self.assertReceived(self.nurse, "error q wait resource-constraint")


class AffiliationListTests(AdminTestCase):
    """Lists of affiliations (§9.2, §9.5, §10.5, §10.8)."""

    def test_owner(self) -> None:
        """Each item has affiliation, bare JID, reserved nick and reason, but no role (§17.4)."""
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
        """The lists that a client gets; the others are C{forbidden}."""
        got = []
        for word in LISTS:
            sendAdmin(client, f"<item affiliation='{word}'/>", type="get")
            [line] = summaries(client)
            self.assertIn(line, ("result q", "error q auth forbidden"))
            if line == "result q":
                got.append(word)
        return got

    def test_semiAnonymous(self) -> None:
        """
        In a semi-anonymous room only owners see the lists of owners and admins, and only admins and owners those of
        members and outcasts.
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
        In a non-anonymous room members and occupants see all lists but that of outcasts; outcasts and strangers outside
        see none (§9.5).
        """
        configure(self.romeo, whois="anyone")
        self.discardReceived()
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

    def test_roles(self) -> None:
        """
        Of a non-anonymous room only occupants of the configured roles get the list of members, besides admins and
        owners; members outside it if they would have such a role (§7.11, §9.5).
        """
        for roles, allowed in (
            (["participant"], [self.juliet, self.client("paris")]),
            (["moderator"], [self.prince]),
            (["visitor", "moderator"], [self.prince, self.nurse]),
            ([], []),
        ):
            configure(self.romeo, whois="anyone", getmemberlist=roles)
            self.discardReceived()
            for client in (self.juliet, self.prince, self.nurse, self.client("paris")):
                lists = ["admin", "owner"]
                if client.address in [each.address for each in allowed]:
                    lists = ["member", *lists]
                self.assertEqual(self.may(client), lists, (roles, client.address))
            for client in (self.romeo, self.lawrence, self.client("montague")):
                self.assertIn("member", self.may(client))

    def test_empty(self) -> None:
        """A list without entries is empty."""
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "none"), affiliation("verona.example", "none"))
        self.discardReceived()
        self.assertEqual(self.list(self.romeo, affiliation="outcast"), [])


class LongListTests(RoomTestCase):
    """Long lists, in pages (XEP-0059) or whole."""

    def fill(self, count: int) -> list[str]:
        """Have so many members, and others; return the addresses of the members, sorted."""
        members = sorted(f"m{number}@localhost" for number in range(count))
        entries = {jid: Affiliate("member", reason="r") for jid in members}
        self.room().affiliations.update({**entries, "out@localhost": Affiliate("outcast")})
        return members

    def ask(self, page: str, affiliation: str = "member") -> tuple[list[str], dict[str, str]]:
        """Ask for a list; return the addresses, and what the result set says."""
        sendAdmin(self.owner, f"<item affiliation='{affiliation}'/>{page}", type="get")
        answer = self.result(self.owner)
        found: dict[str, str] = {}
        for child in answer.childElements():
            if child.name == "set":
                found = {each.name: each.text() for each in child.childElements()}
                first = child.child("first")
                found.update({} if first is None else {"index": first.attributes["index"]})
        return [child.attributes["jid"] for child in answer.childElements() if child.name == "item"], found

    def test_pages(self) -> None:
        """Pages follow each other, forwards and backwards; the count is that of the list."""
        members = self.fill(25)
        after, seen = "", []
        for index in (0, 10, 20):
            page, found = self.ask(f"<set xmlns='{ns.RSM}'><max>10</max>{after}</set>")
            expected = {"first": page[0], "last": page[-1], "count": "25", "index": str(index)}
            self.assertEqual(found, expected)
            after = f"<after>{page[-1]}</after>"
            seen += page
        self.assertEqual(seen, members)
        empty, found = self.ask(f"<set xmlns='{ns.RSM}'><max>10</max>{after}</set>")
        self.assertEqual((empty, found), ([], {"count": "25"}))
        last, found = self.ask(f"<set xmlns='{ns.RSM}'><max>10</max><before/></set>")
        self.assertEqual((last, found["index"]), (members[15:], "15"))
        page, found = self.ask(f"<set xmlns='{ns.RSM}'><max>10</max><before>{last[0]}</before></set>")
        self.assertEqual((page, found["index"]), (members[5:15], "5"))
        page, found = self.ask(f"<set xmlns='{ns.RSM}'><max>3</max><index>7</index></set>")
        self.assertEqual((page, found["index"]), (members[7:10], "7"))
        self.assertEqual(self.ask(f"<set xmlns='{ns.RSM}'><max>0</max></set>"), ([], {"count": "25"}))

    def test_pageSize(self) -> None:
        """A page has no more than some hundred entries, whatever is asked for."""
        members = self.fill(admin.PAGE_LIMIT + 1)
        for most in ("", "<max>100000</max>"):
            page, found = self.ask(f"<set xmlns='{ns.RSM}'>{most}</set>")
            self.assertEqual((page, found["count"]), (members[:-1], str(len(members))))

    def test_goneBetween(self) -> None:
        """A page continues where the last one ended, even if that entry is gone."""
        members = self.fill(10)
        self.room().affiliations.update({members[4]: None})
        page, _ = self.ask(f"<set xmlns='{ns.RSM}'><after>{members[4]}</after></set>")
        self.assertEqual(page, members[5:])

    def test_refused(self) -> None:
        """Who may not see a list gets no page of it; a contradictory page is refused."""
        self.fill(1)
        stranger = self.client("stranger")
        sendAdmin(stranger, f"<item affiliation='member'/><set xmlns='{ns.RSM}'/>", type="get")
        self.assertReceived(stranger, "error q auth forbidden")
        sendAdmin(self.owner, f"<item affiliation='member'/><set xmlns='{ns.RSM}'><max>x</max></set>", type="get")
        self.assertReceived(self.owner, "error q modify bad-request")

    def test_tooLong(self) -> None:
        """A list beyond the limit is not sent as a whole, with a text that says what to do; shorter ones are."""
        self.openRoom(options={"listLimit": 50})
        self.fill(50)
        self.assertEqual(len(self.ask("")[0]), 50)
        self.fill(51)
        sendAdmin(self.owner, "<item affiliation='member'/>", type="get")
        [refused] = self.owner.received()
        self.assertEqual(summary(refused), "error q wait resource-constraint")
        self.assertIn("51 entries; request it in pages (XEP-0059)", errorText(refused))
        self.assertEqual(self.ask("", "outcast"), (["out@localhost"], {}))

    def test_inSlices(self) -> None:
        """
        A long list is rendered in slices; what its sender sends next waits, others do not. It has those who are in it
        at the end, as they are.
        """
        self.patch(slices, "SLICE", 400)
        members = self.fill(1000)
        second = self.enter("second")
        sendAdmin(self.owner, "<item affiliation='member'/>", type="get", id="whole")
        sendAdmin(self.owner, f"<item affiliation='member'/><set xmlns='{ns.RSM}'><max>1</max></set>", type="get")
        say(second, "a")
        self.assertReceived(self.owner, "Second groupchat body:a")
        turn(self.server.clock)
        self.room().affiliations.update({members[-1]: None})
        self.assertNothingReceived(self.owner)
        turn(self.server.clock)
        whole, page = self.owner.received()
        self.assertEqual((whole.get("id"), page.get("id")), ("whole", "q"))
        [query] = whole.childElements()
        items = list(query.childElements())
        self.assertEqual([item.attributes["jid"] for item in items], members[:-1])
        self.assertEqual({item.childText("reason") for item in items}, {"r"})

    def test_work(self) -> None:
        """What a page costs does not depend on the length of the list."""
        looked = 0
        entry = Affiliations.entry

        def counting(list: Affiliations, key: str) -> Affiliate | None:
            nonlocal looked
            looked += 1
            return entry(list, key)

        self.fill(3000)
        self.patch(Affiliations, "entry", counting)
        self.ask(f"<set xmlns='{ns.RSM}'><max>10</max><before/></set>")
        self.assertLess(looked, 30)


class RoleListTests(AdminTestCase):
    """Lists of roles (§8.5, §9.8)."""

    def test_items(self) -> None:
        """Each item has nick, role, affiliation and full JID (§17.4)."""
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
        """Moderators see the lists of participants and visitors; only admins and owners see that of moderators."""
        for client, roles in (
            (self.romeo, {"visitor", "participant", "moderator"}),
            (self.lawrence, {"visitor", "participant", "moderator"}),
            (self.client("montague"), {"visitor", "participant", "moderator"}),
            (self.prince, {"visitor", "participant"}),
            (self.juliet, set()),
            (self.nurse, set()),
            (self.client("prince/b"), set()),
            (self.client("stranger"), set()),
        ):
            for word in ("visitor", "participant", "moderator"):
                sendAdmin(client, f"<item role='{word}'/>", type="get")
                expected = "result q" if word in roles else "error q auth forbidden"
                self.assertEqual(summaries(client), [expected], (client.address, word))


class MalformedTests(AdminTestCase):
    """Malformed requests."""

    def test_lists(self) -> None:
        """A request for a list names exactly one known affiliation or role."""
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
            sendAdmin(self.romeo, inside, type="get")
            self.assertEqual(summaries(self.romeo), ["error q modify bad-request"], inside)

    def test_changes(self) -> None:
        """A request for changes has at least one item of its own namespace."""
        for inside in ("", "<other/>", "<item xmlns='other' affiliation='member' jid='x@localhost'/>"):
            sendAdmin(self.romeo, inside)
            self.assertEqual(summaries(self.romeo), ["error q modify bad-request"], inside)

    def test_forbiddenFirst(self) -> None:
        """A stranger is refused with C{forbidden} whatever else is wrong with the request."""
        stranger = self.client("stranger")
        for inside in ("", "<item affiliation='king' jid='x@localhost'/>", role("Juliet", "none")):
            sendAdmin(stranger, inside)
            self.assertReceived(stranger, "error q auth forbidden")

    def test_outsideKicks(self) -> None:
        """Only an occupant who is a moderator changes roles: an owner outside cannot."""
        second = self.client("romeo/b")
        sendAdmin(second, role("Juliet", "none"))
        self.assertReceived(second, "error q auth forbidden")
        self.assertIn("Juliet", self.room().occupants)

    def test_nickAlone(self) -> None:
        """An affiliation may be given to the nick of an occupant, as some clients do."""
        sendAdmin(self.romeo, "<item affiliation='outcast' nick=' Nurse '><reason>Gossip</reason></item>")
        self.assertReceived(
            self.nurse, "Nurse unavailable outcast/none jid=nurse@localhost/a by=Romeo reason=Gossip 301 110"
        )
        self.assertIn("nurse@localhost", self.storedAffiliations())

    def test_nicks(self) -> None:
        """Nicks in items are prepared like resourceparts; an impossible one is C{not-acceptable}."""
        sendAdmin(self.romeo, role(" Nurse ", "participant"))
        self.assertReceived(self.romeo, "result q", "Nurse available none/participant jid=nurse@localhost/a by=Romeo")
        for nick in (" ", "x" * 1024, "\ue000"):
            sendAdmin(self.romeo, role(nick, "participant"))
            self.assertEqual(summaries(self.romeo), ["error q modify not-acceptable"], nick)
        sendAdmin(self.romeo, "<item nick='' role='none'/>")
        self.assertReceived(self.romeo, "error q modify bad-request")

    def test_emptyReason(self) -> None:
        """An empty reason is not passed on."""
        sendAdmin(self.romeo, role("Nurse", "none", ""))
        self.assertReceived(self.nurse, "Nurse unavailable none/none jid=nurse@localhost/a by=Romeo 307 110")
