# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.privilegechanges}: who may change what; a request changes everything or nothing."""

from __future__ import annotations

from itertools import product

from muccore.muc.model.privileges import Role
from tests.muc.muchelpers import MUCTestCase, RoomTestCase, affiliation, role, sendAdmin, summaries

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
Affiliations of actor and target, and the outcome for each new affiliation (XEP-0045 §5.2.2, §9.1: not-allowed, §10.3 to
§10.8: forbidden).
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
owner   none    visitor      ok           ok           ok           ok
owner   none    participant  ok           ok           ok           ok
owner   none    moderator    ok           ok           ok           ok
owner   member  visitor      ok           ok           ok           ok
owner   member  participant  ok           ok           ok           ok
owner   member  moderator    ok           ok           ok           ok
owner   admin   moderator    ok           not-allowed  not-allowed  ok
owner   owner   moderator    ok           not-allowed  not-allowed  ok
"""
"""
Affiliation of a moderator, affiliation and role of the target, and the outcome for each new role (XEP-0045 §5.1.3, §8.2
to §8.4, §9.6, §9.7). Only admins and owners kick moderators; nobody kicks a higher affiliation, or revokes voice from
the same or a higher one, except from "none".
"""

ROLES = [role.xmlName for role in Role]

ERROR_TYPES = {"forbidden": "auth", "not-allowed": "cancel", "conflict": "cancel"}


def rows(table: str) -> list[tuple[list[str], dict[str, str]]]:
    """Return the lines of a table: the words in front, and the outcome by column."""
    head, *lines = (line.split() for line in table.strip("\n").splitlines())
    columns = head[1:] if head[0] == "now" else head[2:]
    return [(line[: -len(columns)], dict(zip(columns, line[-len(columns) :], strict=True))) for line in lines]


class AffiliationMatrixTests(MUCTestCase):
    """Changes of affiliations by every actor, against L{AFFILIATION_TABLE}."""

    def test_affiliationTable(self) -> None:
        """A permitted change is stored; a forbidden one is refused with its condition and changes nothing."""
        for (actor, now), outcomes in rows(AFFILIATION_TABLE):
            for wanted, outcome in outcomes.items():
                self.startServer()
                romeo, someone = self.login("romeo", "someone")
                self.createRoom(romeo)
                sendAdmin(romeo, affiliation("someone@localhost", actor), affiliation("target@localhost", now))
                self.enter(someone)
                before = self.storedAffiliations()
                sendAdmin(someone, affiliation("target@localhost", wanted))
                case = f"{actor} makes {now} {wanted}"
                if outcome == "ok":
                    self.assertEqual(summaries(someone)[-1], "result q", case)
                    self.assertEqual(self.storedAffiliations().get("target@localhost", "none"), wanted, case)
                else:
                    self.assertEqual(summaries(someone), [f"error q {ERROR_TYPES[outcome]} {outcome}"], case)
                    self.assertEqual(self.storedAffiliations(), before, case)
                    self.assertEqual(summaries(romeo), [], case)

    def test_outcastsAndMembersOutside(self) -> None:
        """Outcasts, and members outside the room, are refused with C{forbidden}."""
        romeo, outcast, member = self.login("romeo", "outcast", "member")
        self.createRoom(romeo)
        sendAdmin(romeo, affiliation("outcast@localhost", "outcast"), affiliation("member@localhost", "member"))
        for someone in (outcast, member):
            sendAdmin(someone, affiliation("outcast@localhost", "none"))
            self.assertReceived(someone, "error q auth forbidden")

    def test_adminOutside(self) -> None:
        """An admin outside the room may change affiliations: the bare JID decides (§9)."""
        romeo, someone = self.login("romeo", "someone")
        self.createRoom(romeo)
        sendAdmin(romeo, affiliation("someone@localhost", "admin"))
        sendAdmin(someone, affiliation("target@localhost", "outcast"))
        self.assertReceived(someone, "result q")
        self.assertEqual(self.storedAffiliations()["target@localhost"], "outcast")


class RoleMatrixTests(RoomTestCase):
    """Changes of roles by every moderator, against L{ROLE_TABLE}."""

    def request(self, actor: str, target: str, now: str, wanted: str, actorRole: str = "moderator") -> list[str]:
        """
        Request a new role for a target; return what the actor receives.

        @return: what the actor receives.
        """
        self.openRoom()
        self.change(affiliation("actor@localhost", actor), affiliation("target@localhost", target))
        someone = self.enter("actor")
        self.enter("target")
        self.change(role("Actor", actorRole), role("Target", now))
        sendAdmin(someone, role("Target", wanted))
        return summaries(someone)

    def test_roleTable(self) -> None:
        """A permitted change takes effect; a forbidden one is refused with its condition."""
        for (actor, target, now), outcomes in rows(ROLE_TABLE):
            for wanted, outcome in outcomes.items():
                case = f"{actor} makes {target} who is {now} {wanted}"
                received = self.request(actor, target, now, wanted)
                occupant = self.room().occupants.get("Target")
                found = occupant.role.xmlName if occupant is not None else "none"
                if outcome == "ok":
                    self.assertIn("result q", received, case)
                    self.assertEqual(found, wanted, case)
                else:
                    self.assertEqual(received, [f"error q {ERROR_TYPES[outcome]} {outcome}"], case)
                    self.assertEqual(found, now, case)

    def test_onlyModeratorsChangeRoles(self) -> None:
        """Visitors and participants change nobody's role, whatever their affiliation (§8)."""
        for actor, actorRole, wanted in product(("none", "member"), ("visitor", "participant"), ROLES):
            received = self.request(actor, "none", "visitor", wanted, actorRole)
            self.assertEqual(received, ["error q auth forbidden"], (actor, actorRole, wanted))

    def test_ownRole(self) -> None:
        """Moderators may give up their role, even kick themselves; admins and owners stay moderators (§8.4, §9.7)."""
        for word, wanted in product(("none", "member", "admin", "owner"), ROLES):
            self.openRoom()
            self.change(affiliation("actor@localhost", word))
            actor = self.enter("actor")
            self.change(role("Actor", "moderator"))
            sendAdmin(actor, role("Actor", wanted))
            kept = word in ("admin", "owner") and wanted in ("visitor", "participant")
            expected = "error q cancel not-allowed" if kept else "result q"
            self.assertIn(expected, summaries(actor), (word, wanted))


BAD = {
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
}
"""Items that an admin with the nick Someone may not send, and how they are refused."""


class AllOrNothingTests(MUCTestCase):
    """Several items in one request (§9.2: "SHOULD NOT apply any of the requested changes")."""

    GOOD = (
        affiliation("juliet@localhost", "outcast"),
        role("Tybalt", "visitor"),
        affiliation("nurse@localhost", "member", nick="Nurse"),
        affiliation("else.example", "outcast"),
    )

    def test_oneBadItemRefusesAll(self) -> None:
        """One bad item anywhere in a request decides the error; nothing is changed, stored or announced."""
        romeo, someone = self.login("romeo", "someone")
        juliet, tybalt = self.login("juliet", "tybalt")
        self.createRoom(romeo)
        sendAdmin(
            romeo, affiliation("someone@localhost", "admin"), affiliation("taken@localhost", "member", nick="Taken")
        )
        self.enterAll(someone, juliet, tybalt)
        room = self.room()
        for name, (item, condition) in BAD.items():
            for place in range(len(self.GOOD) + 1):
                self.discardReceived()
                before = (self.record(), room.record())
                roles = {nick: occupant.role for nick, occupant in room.occupants.items()}
                sendAdmin(someone, *self.GOOD[:place], item, *self.GOOD[place:])
                self.assertEqual(summaries(someone), [f"error q {condition}"], (name, place))
                self.assertNothingReceived(romeo, juliet, tybalt)
                self.assertEqual((self.record(), room.record()), before, (name, place))
                self.assertEqual({nick: o.role for nick, o in room.occupants.items()}, roles, (name, place))

    def test_announcementOrder(self) -> None:
        """Those removed are informed first, then come notices of absent users, the result, and other presence."""
        romeo, someone = self.login("romeo", "someone")
        juliet, tybalt = self.login("juliet", "tybalt")
        self.createRoom(romeo)
        sendAdmin(romeo, affiliation("someone@localhost", "admin"))
        self.enterAll(someone, juliet, tybalt)
        sendAdmin(someone, *reversed(self.GOOD))
        self.assertReceived(juliet, "Juliet unavailable outcast/none jid=juliet@localhost/a by=Someone 301 110")
        news = [
            "Juliet unavailable outcast/none jid=juliet@localhost/a by=Someone 301",
            "Tybalt available none/visitor jid=tybalt@localhost/a by=Someone",
        ]
        absent = ["room normal item else.example outcast 301", "room normal item nurse@localhost member"]
        self.assertReceived(someone, *absent, "result q", *news)
        self.assertReceived(romeo, *absent, *news)
        self.assertReceived(
            tybalt,
            "Juliet unavailable outcast/none by=Someone 301",
            "Tybalt available none/visitor jid=tybalt@localhost/a by=Someone 110",
        )
        self.assertEqual(
            self.storedAffiliations(),
            {
                "romeo@localhost": "owner",
                "someone@localhost": "admin",
                "juliet@localhost": "outcast",
                "nurse@localhost": "member",
                "else.example": "outcast",
            },
        )

    def test_noChangeIsNotAnnounced(self) -> None:
        """A request that changes nothing has a result, and nothing is announced."""
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo)
        self.enter(juliet)
        sendAdmin(romeo, affiliation("juliet@localhost", "none"), role("Juliet", "participant"))
        self.assertReceived(romeo, "result q")
        self.assertNothingReceived(juliet)

    def test_lastItemApplies(self) -> None:
        """Of several items for one user the last applies, and is checked like the first."""
        romeo = self.client("romeo")
        self.createRoom(romeo)
        sendAdmin(romeo, affiliation("x@localhost", "outcast"), affiliation("x@localhost", "member"))
        self.assertReceived(romeo, "room normal item x@localhost member", "result q")
        sendAdmin(romeo, affiliation("x@localhost", "none"), affiliation("x@localhost", "member"))
        self.assertReceived(romeo, "result q")
        self.assertEqual(self.storedAffiliations()["x@localhost"], "member")

    def test_roleAndAffiliationOfOneUser(self) -> None:
        """Role and affiliation of one user in one request are refused (§17.4): one decides about the other."""
        romeo, juliet = self.login("romeo", "juliet")
        self.createRoom(romeo)
        self.enter(juliet)
        items = [affiliation("juliet@localhost", "admin"), role("Juliet", "visitor")]
        for order in (items, items[::-1]):
            sendAdmin(romeo, *order)
            self.assertReceived(romeo, "error q modify bad-request")
            self.assertNothingReceived(juliet)
            self.assertNotIn("juliet@localhost", self.storedAffiliations())
