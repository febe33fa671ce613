# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.changes}, mostly through the whole server: who may change what, all or nothing, and who hears
what in which order.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.errors import StanzaError
from muccore.interfaces import Affiliate
from muccore.jid import JID, parse
from muccore.muc import changes
from muccore.muc.affiliations import Affiliations
from muccore.muc.changes import RoleItem
from muccore.muc.privileges import AFFILIATIONS, ROLES
from muccore.muc.room import Entry, Room
from muccore.testing.defaults import defaultRoom
from tests.muc.theatre import Theatre, admin, affiliation, heard, role

AFFILIATION_TABLE = """
          now      outcast      none       member     admin      owner
owner     outcast  ok           ok         ok         ok         ok
owner     none     ok           ok         ok         ok         ok
owner     member   ok           ok         ok         ok         ok
owner     admin    ok           ok         ok         ok         ok
owner     owner    ok           ok         ok         ok         ok
admin     outcast  ok           ok         ok         forbidden  forbidden
admin     none     ok           ok         ok         forbidden  forbidden
admin     member   ok           ok         ok         forbidden  forbidden
admin     admin    not-allowed  forbidden  forbidden  forbidden  forbidden
admin     owner    not-allowed  forbidden  forbidden  forbidden  forbidden
member    none     forbidden    forbidden  forbidden  forbidden  forbidden
member    owner    forbidden    forbidden  forbidden  forbidden  forbidden
none      none     forbidden    forbidden  forbidden  forbidden  forbidden
none      outcast  forbidden    forbidden  forbidden  forbidden  forbidden
"""
"""
XEP-0045 §5.2.2 (state chart), §9.1 (not-allowed), §10.3 to §10.8 (forbidden): actor, what the target is, and the
outcome for each thing that he could become.
"""

ROLE_TABLE = """
        target  role         none         visitor      participant  moderator
none    none    visitor      ok           ok           ok           forbidden
none    none    participant  ok           ok           ok           forbidden
none    none    moderator    not-allowed  forbidden    forbidden    ok
none    member  visitor      not-allowed  ok           ok           forbidden
none    member  participant  not-allowed  not-allowed  ok           forbidden
none    member  moderator    not-allowed  forbidden    forbidden    ok
none    admin   moderator    not-allowed  not-allowed  not-allowed  ok
none    owner   moderator    not-allowed  not-allowed  not-allowed  ok
member  none    visitor      ok           ok           ok           forbidden
member  none    participant  ok           ok           ok           forbidden
member  none    moderator    not-allowed  forbidden    forbidden    ok
member  member  visitor      ok           ok           ok           forbidden
member  member  participant  ok           not-allowed  ok           forbidden
member  member  moderator    not-allowed  forbidden    forbidden    ok
member  admin   moderator    not-allowed  not-allowed  not-allowed  ok
member  owner   moderator    not-allowed  not-allowed  not-allowed  ok
admin   none    visitor      ok           ok           ok           ok
admin   none    participant  ok           ok           ok           ok
admin   none    moderator    ok           ok           ok           ok
admin   member  visitor      ok           ok           ok           ok
admin   member  participant  ok           ok           ok           ok
admin   member  moderator    ok           ok           ok           ok
admin   admin   moderator    ok           not-allowed  not-allowed  ok
admin   owner   moderator    not-allowed  not-allowed  not-allowed  ok
owner   none    participant  ok           ok           ok           ok
owner   none    moderator    ok           ok           ok           ok
owner   member  participant  ok           ok           ok           ok
owner   admin   moderator    ok           not-allowed  not-allowed  ok
owner   owner   moderator    ok           not-allowed  not-allowed  ok
"""
"""
XEP-0045 §5.1.3, §8.2 (nobody is kicked from below, a moderator by admins and owners only), §8.3, §8.4 (not from one at
or above one's own level, where "none" is no level), §9.6, §9.7: a moderator's affiliation, the target's affiliation and
role, and the outcome for each role.
"""

ERROR_TYPES = {"forbidden": "auth", "not-allowed": "cancel", "conflict": "cancel"}


def rows(table: str) -> list[tuple[list[str], dict[str, str]]]:
    """
    The lines of a table: the words in front, and the outcome by column.
    """
    head, *lines = (line.split() for line in table.strip("\n").splitlines())
    columns = head[1:] if head[0] == "now" else head[2:]
    return [(line[: -len(columns)], dict(zip(columns, line[-len(columns) :], strict=True))) for line in lines]


class AffiliationMatrixTests(Theatre):
    """
    Every actor, every target, every new affiliation, against L{AFFILIATION_TABLE}.
    """

    def test_matrix(self) -> None:
        """
        What may be is done and stored; what may not is refused with its condition, and nothing changes.
        """
        for (actor, now), outcomes in rows(AFFILIATION_TABLE):
            for wanted, outcome in outcomes.items():
                self.begin()
                romeo, someone = self.client("romeo"), self.client("someone")
                self.open(romeo)
                admin(romeo, affiliation("someone@localhost", actor), affiliation("target@localhost", now))
                self.admit((someone, "Someone"))
                self.quiet(romeo)
                before = self.stored()
                admin(someone, affiliation("target@localhost", wanted))
                story = f"{actor} makes {now} {wanted}"
                if outcome == "ok":
                    self.assertEqual(heard(someone)[-1], "result q", story)
                    self.assertEqual(self.stored().get("target@localhost", "none"), wanted, story)
                else:
                    self.assertEqual(heard(someone), [f"error q {ERROR_TYPES[outcome]} {outcome}"], story)
                    self.assertEqual(self.stored(), before, story)
                    self.assertEqual(heard(romeo), [], story)

    def test_outcastsAskFromOutside(self) -> None:
        """
        One who is banned, and one who is a member but not in, are refused with C{forbidden}, whatever they ask.
        """
        romeo, outcast, member = self.client("romeo"), self.client("outcast"), self.client("member")
        self.open(romeo)
        admin(romeo, affiliation("outcast@localhost", "outcast"), affiliation("member@localhost", "member"))
        for someone in (outcast, member):
            admin(someone, affiliation("outcast@localhost", "none"))
            self.refused(someone, "auth forbidden")

    def test_adminOutside(self) -> None:
        """
        An admin need not be in the room to change affiliations (§9: his bare JID decides).
        """
        romeo, someone = self.client("romeo"), self.client("someone")
        self.open(romeo)
        admin(romeo, affiliation("someone@localhost", "admin"))
        admin(someone, affiliation("target@localhost", "outcast"))
        self.hear(someone, "result q")
        self.assertEqual(self.stored()["target@localhost"], "outcast")


class RoleMatrixTests(SynchronousTestCase):
    """
    Every moderator, every target, every new role, against L{ROLE_TABLE}.
    """

    def enter(self, room: Room, name: str, role: str) -> None:
        """
        Somebody enters and has a role.
        """
        occupant = room.enter(Entry(parse(f"{name}@localhost/a"), name, lambda stanza, to: None, b""))
        occupant.role = ROLES[role]

    def plan(self, actor: str, target: str, now: str, wanted: str, moderator: str = "moderator") -> changes.Plan:
        """
        Ask for one role in a new room.
        """
        entries = {"romeo@localhost": Affiliate("owner")}
        for name, word in (("actor", actor), ("target", target)):
            if word != "none":
                entries[f"{name}@localhost"] = Affiliate(word)
        room = Room(parse("room@conference.localhost"), defaultRoom(), Affiliations(entries), lambda: 0.0)
        self.enter(room, "actor", moderator)
        self.enter(room, "target", now)
        return changes.plan(room, parse("actor@localhost/a"), [RoleItem("target", ROLES[wanted])])

    def test_matrix(self) -> None:
        """
        What may be is planned, what may not is refused with its condition.
        """
        for (actor, target, now), outcomes in rows(ROLE_TABLE):
            for wanted, outcome in outcomes.items():
                story = f"{actor} makes {target} who is {now} {wanted}"
                try:
                    plan = self.plan(actor, target, now, wanted)
                except StanzaError as e:
                    self.assertEqual((e.condition, e.type), (outcome, ERROR_TYPES[e.condition]), story)
                else:
                    self.assertEqual("ok", outcome, story)
                    self.assertEqual([(o.nick, r.word) for o, r, _ in plan.roles], [("target", wanted)], story)

    def test_notModerators(self) -> None:
        """
        Visitors and participants change nobody's role, whatever their affiliation (§8).
        """
        for affiliation_ in ("none", "member"):
            for lower in ("visitor", "participant"):
                for wanted in ROLES:
                    error = self.assertRaises(StanzaError, self.plan, affiliation_, "none", "visitor", wanted, lower)
                    self.assertEqual(error.condition, "forbidden")


def bad(name: str) -> tuple[str, str]:
    """
    An item that an admin called Someone may not send, and its refusal.
    """
    return {
        "unknown nick": (role("Nobody", "visitor"), "cancel item-not-found"),
        "unknown nick for an affiliation": ("<item nick='Nobody' affiliation='member'/>", "cancel item-not-found"),
        "malformed": (affiliation("@@", "member"), "modify jid-malformed"),
        "nobody": ("<item affiliation='member'/>", "modify bad-request"),
        "no nick": ("<item role='visitor'/>", "modify bad-request"),
        "both": ("<item nick='Juliet' jid='juliet@localhost' role='none' affiliation='none'/>", "modify bad-request"),
        "neither": ("<item nick='Juliet'/>", "modify bad-request"),
        "no such role": (role("Juliet", "king"), "modify bad-request"),
        "no such affiliation": (affiliation("x@localhost", "king"), "modify bad-request"),
        "blank nick": (affiliation("x@localhost", "member", nick=" "), "modify not-acceptable"),
        "reserved nick": (affiliation("x@localhost", "member", nick="Taken"), "cancel conflict"),
        "used nick": (affiliation("x@localhost", "member", nick="Juliet"), "cancel conflict"),
        "myself": (affiliation("someone@localhost", "outcast"), "cancel conflict"),
        "owner": (affiliation("romeo@localhost", "outcast"), "cancel not-allowed"),
        "owner's list": (affiliation("x@localhost", "owner"), "auth forbidden"),
        "kick the owner": (role("Romeo", "none"), "cancel not-allowed"),
    }[name]


BAD = [
    "unknown nick",
    "unknown nick for an affiliation",
    "malformed",
    "nobody",
    "no nick",
    "both",
    "neither",
    "no such role",
    "no such affiliation",
    "blank nick",
    "reserved nick",
    "used nick",
    "myself",
    "owner",
    "owner's list",
    "kick the owner",
]


class AllOrNothingTests(Theatre):
    """
    Many items in one request (§9.2: "SHOULD NOT apply any of the requested changes").
    """

    GOOD = (
        affiliation("juliet@localhost", "outcast"),
        role("Tybalt", "visitor"),
        affiliation("nurse@localhost", "member", nick="Nurse"),
        affiliation("else.example", "outcast"),
    )

    def test_oneBadItem(self) -> None:
        """
        With one bad item anywhere in a request nothing is changed, nothing is stored and nobody is told anything;
        the bad item decides the error.
        """
        romeo, someone = self.client("romeo"), self.client("someone")
        juliet, tybalt = self.client("juliet"), self.client("tybalt")
        self.open(romeo)
        admin(
            romeo,
            affiliation("someone@localhost", "admin"),
            affiliation("taken@localhost", "member", nick="Taken"),
        )
        self.admit((someone, "Someone"), (juliet, "Juliet"), (tybalt, "Tybalt"))
        everybody = (romeo, someone, juliet, tybalt)
        room = self.room()
        for name in BAD:
            item, condition = bad(name)
            for place in range(len(self.GOOD) + 1):
                self.quiet(*everybody)
                before = (self.record(), room.record())
                roles = {nick: occupant.role for nick, occupant in room.occupants.items()}
                admin(someone, *self.GOOD[:place], item, *self.GOOD[place:])
                self.assertEqual(heard(someone), [f"error q {condition}"], (name, place))
                self.silent(romeo, juliet, tybalt)
                self.assertEqual((self.record(), room.record()), before, (name, place))
                self.assertEqual({nick: o.role for nick, o in room.occupants.items()}, roles, (name, place))

    def test_allGood(self) -> None:
        """
        Without the bad item all of them are carried out, in one go, and in the order: who is put out, notices of
        absent users, the result, everyone else.
        """
        romeo, someone = self.client("romeo"), self.client("someone")
        juliet, tybalt = self.client("juliet"), self.client("tybalt")
        self.open(romeo)
        admin(romeo, affiliation("someone@localhost", "admin"))
        self.admit((someone, "Someone"), (juliet, "Juliet"), (tybalt, "Tybalt"))
        self.quiet(romeo, someone, juliet, tybalt)
        admin(someone, *reversed(self.GOOD))
        self.hear(juliet, "gone Juliet outcast/none +301 +110 as juliet@localhost/a by Someone")
        news = [
            "gone Juliet outcast/none +301 as juliet@localhost/a by Someone",
            "here Tybalt none/visitor as tybalt@localhost/a by Someone",
        ]
        absent = ["room: else.example is outcast", "room: nurse@localhost is member"]
        self.hear(someone, *absent, "result q", *news)
        self.hear(romeo, *absent, *news)
        self.hear(
            tybalt,
            "gone Juliet outcast/none +301 by Someone",
            "here Tybalt none/visitor +110 as tybalt@localhost/a by Someone",
        )
        self.assertEqual(
            self.stored(),
            {
                "romeo@localhost": "owner",
                "someone@localhost": "admin",
                "juliet@localhost": "outcast",
                "nurse@localhost": "member",
                "else.example": "outcast",
            },
        )

    def test_nothingToChange(self) -> None:
        """
        A request for what is so already is answered, and nobody hears of it.
        """
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo)
        self.admit((juliet, "Juliet"))
        self.quiet(romeo)
        admin(romeo, affiliation("juliet@localhost", "none"), role("Juliet", "participant"))
        self.hear(romeo, "result q")
        self.silent(juliet)

    def test_lastWordCounts(self) -> None:
        """
        Of several items for one user the last one counts, and it is checked like the first.
        """
        romeo = self.client("romeo")
        self.open(romeo)
        admin(romeo, affiliation("x@localhost", "outcast"), affiliation("x@localhost", "member"))
        self.hear(romeo, "room: x@localhost is member", "result q")
        admin(romeo, affiliation("x@localhost", "none"), affiliation("x@localhost", "member"))
        self.hear(romeo, "result q")
        self.assertEqual(self.stored()["x@localhost"], "member")

    def test_roleAndAffiliationOfOne(self) -> None:
        """
        Role and affiliation of the same user in one request are refused (§17.4), in two items as in one: the role
        would be checked against an affiliation that he has no more.
        """
        romeo, juliet = self.client("romeo"), self.client("juliet")
        self.open(romeo)
        self.admit((juliet, "Juliet"))
        self.quiet(romeo)
        items = [affiliation("juliet@localhost", "admin"), role("Juliet", "visitor")]
        for order in (items, items[::-1]):
            admin(romeo, *order)
            self.refused(romeo, "modify bad-request")
            self.silent(juliet)
            self.assertNotIn("juliet@localhost", self.stored())


class ApplyTests(SynchronousTestCase):
    """
    A plan meets a room that has changed while it became durable.
    """

    def setUp(self) -> None:
        """
        A room, an owner and a guest.
        """
        self.heard: list[tuple[str, bytes]] = []
        entries = {"romeo@localhost": Affiliate("owner")}
        self.room = Room(parse("room@conference.localhost"), defaultRoom(), Affiliations(entries), lambda: 0.0)
        self.romeo = parse("romeo@localhost/a")
        self.enter(self.romeo, "Romeo")
        self.guest = parse("guest@localhost/a")
        self.enter(self.guest, "Guest")

    def enter(self, jid: JID, nick: str) -> None:
        """
        Somebody enters.
        """
        self.room.enter(Entry(jid, nick, lambda stanza, to: self.heard.append((nick, stanza.tail)), b""))

    def test_left(self) -> None:
        """
        A role of somebody who has left meanwhile is nobody's, also if another one has his nick now.
        """
        plan = changes.plan(self.room, self.romeo, [RoleItem("Guest", ROLES["none"])])
        self.room.leave(self.room.seats[self.guest.full])
        self.enter(parse("other@localhost/a"), "Guest")
        self.heard.clear()
        changes.apply(self.room, plan)()
        self.assertEqual(self.heard, [])
        self.assertIn("Guest", self.room.occupants)

    def test_entered(self) -> None:
        """
        Who enters while his ban becomes durable is put out by it.
        """
        late = parse("late@localhost/a")
        item = changes.AffiliationItem(late.bareJID(), AFFILIATIONS["outcast"])
        plan = changes.plan(self.room, self.romeo, [item])
        self.enter(late, "Late")
        self.heard.clear()
        tell = changes.apply(self.room, plan)
        self.assertEqual([nick for nick, _ in self.heard], ["Late"])
        tell()
        self.assertEqual([nick for nick, _ in self.heard], ["Late", "Romeo", "Guest"])
        self.assertNotIn("Late", self.room.occupants)
