# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.invite} (XEP-0045 §7.8.2, §9.5)."""

from __future__ import annotations

from typing import Any

from muccore.interfaces import Affiliate
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.muc.muchelpers import HOST, ROOM, RoomTestCase, affiliation, join, leave, role, summaries

INVITE = "<invite to='hecate@localhost'/>"


def invite(client: Client, inside: str, attributes: str = "") -> None:
    """Send an invitation through the room."""
    client.sends(f"<message to='{ROOM}'{attributes}><x xmlns='{ns.MUC_USER}'>{inside}</x></message>")


class InviteTestCase(RoomTestCase):
    """The owner, a member and a guest are in; an admin, and Hecate who may be invited, are outside."""

    def openRoom(self, store: Any = None, options: dict[str, Any] | None = None, **fields: Any) -> None:
        """Open the room, and let them enter."""
        super().openRoom(store, options, **fields)
        self.change(affiliation("admin@localhost", "admin"), affiliation("member@localhost", "member"))
        password = fields.get("roomsecret")
        self.member = self.enter("member", password=password)
        if not fields.get("membersonly"):
            self.guest = self.enter("guest", password=password)
        self.admin, self.hecate = self.login("admin", "hecate")
        self.hecate.sends("<presence/>")
        self.discardReceived()

    def affiliationOf(self, jid: str = "hecate@localhost") -> str | None:
        """An entry in the list of affiliations, in memory as in the store."""
        entry = self.room().affiliations.entry(jid)
        self.assertEqual(self.storedRecord().affiliates.get(jid), entry)
        return entry.affiliation if entry is not None else None

    def assertInvited(self, inside: str, attributes: str = "") -> None:
        """Hecate, addressed by bare JID, has received this invitation from the room, and nothing else."""
        self.assertMessage(self.hecate, "hecate@localhost", inside, attributes)

    def assertMessage(self, client: Client, to: str, inside: str, attributes: str = "") -> None:
        """A client has received one message from the room, with this in its C{muc#user} element."""
        [message] = client.received()
        message.children = message.children[:1]
        expected = f"<message to='{to}' from='{ROOM}'{attributes}><x xmlns='{ns.MUC_USER}'>{inside}</x></message>"
        self.assertEqual(render(message).decode(), expected)


class InvitationTests(InviteTestCase):
    """Invitations."""

    def test_sent(self) -> None:
        """It comes from the room, with id and reason, and names the inviter; nobody else receives anything."""
        reason = "<reason xml:lang='en'>Hey Hecate!</reason>"
        invite(self.guest, f"<invite to='hecate@localhost'>{reason}</invite>", " id='nzd143v8'")
        self.assertInvited(f"<invite from='{ROOM}/Guest'>{reason}</invite>", " id='nzd143v8'")
        self.assertNothingReceived()
        self.assertIsNone(self.affiliationOf())

    def test_directInvitation(self) -> None:
        """
        It contains a direct one as well (XEP-0249 §2), and a body for clients that know neither; the password is not in
        the body.
        """
        inviter, reason, thread = (
            f"{ROOM}/Guest invites you to {ROOM}",
            "<reason>1 &lt; 2</reason>",
            "<continue thread='t'/>",
        )
        for password, inside, attributes, body in (
            (None, "", "", inviter),
            (None, "<reason/><continue/>", " continue='true'", inviter),
            (
                "moon",
                f"{reason}{thread}",
                " password='moon' reason='1 &lt; 2' continue='true' thread='t'",
                f"{inviter}: 1 &lt; 2",
            ),
        ):
            self.openRoom(passwordprotectedroom=bool(password), roomsecret=password or "")
            invite(self.guest, f"<invite to='hecate@localhost'>{inside}</invite>")
            [message] = self.hecate.received()
            self.assertEqual(
                [render(child).decode() for child in message.childElements()][1:],
                [f"<x xmlns='{ns.CONFERENCE}' jid='{ROOM}'{attributes}/>", f"<body>{body}</body>"],
            )

    def test_tooMany(self) -> None:
        """One message invites up to 100 users; with more it is C{policy-violation} and invites nobody."""
        users = "".join(f"<invite to='user{n}@localhost'/>" for n in range(99))
        invite(self.guest, INVITE + users + INVITE)
        self.assertReceived(self.guest, "room message error modify policy-violation")
        invite(self.guest, INVITE + users)
        self.assertReceived(self.hecate, "room normal invite")
        self.assertNothingReceived()

    def test_tooFast(self) -> None:
        """
        One user invites 100 users at once, then one every 5 s, and one of them 5 times in 10 minutes; with more it is
        C{resource-constraint} and invites nobody. Others are not affected.
        """
        invite(self.guest, "".join(f"<invite to='user{n}@localhost'/>" for n in range(99)))
        for count in (2, 1, 1):
            invite(self.guest, INVITE * count)
        self.assertReceived(self.hecate, "room normal invite")
        refused = "room message error wait resource-constraint"
        self.assertReceived(self.guest, refused, refused)
        invite(self.member, INVITE)
        self.server.clock.advance(5)
        invite(self.guest, INVITE)
        self.assertReceived(self.hecate, "room normal invite", "room normal invite")
        invite(self.member, INVITE * 4)
        invite(self.member, INVITE)
        self.assertReceived(self.member, refused)
        self.assertEqual(len(summaries(self.hecate)), 4)
        self.assertNothingReceived()

    def test_everyRoom(self) -> None:
        """It counts over all rooms of the host, so nobody gets more by creating rooms."""
        other = f"other@{HOST}"
        self.createRoom(self.guest, to=other)
        invite(self.guest, INVITE * 5)
        self.assertEqual(len(summaries(self.hecate)), 5)
        self.guest.sends(f"<message to='{other}'><x xmlns='{ns.MUC_USER}'>{INVITE}</x></message>")
        self.assertReceived(self.guest, "room message error wait resource-constraint")
        self.assertNothingReceived()

    def test_nothingElse(self) -> None:
        """What else is in the message is not passed on: body, C{from}, status."""
        invite(
            self.guest,
            "<status code='104'/><item affiliation='owner'/><invite to='hecate@localhost' from='king@localhost'>"
            "<y xmlns='urn:y'/><password>x</password></invite><password>x</password>",
        )
        self.assertInvited(f"<invite from='{ROOM}/Guest'/>")

    def test_texts(self) -> None:
        """Only one reason is passed on, and nothing but its text and language; of C{<continue/>} only the thread."""
        reasons = "<reason xml:lang='en' a='b'>a<y xmlns='urn:y'>z</y></reason><reason>b</reason>"
        inside = f"{reasons}<continue a='b'>c</continue><continue thread='t'/>"
        invite(self.guest, f"<invite to='hecate@localhost'>{inside}</invite>")
        self.assertInvited(f"<invite from='{ROOM}/Guest'><reason xml:lang='en'>a</reason><continue/></invite>")

    def test_inviter(self) -> None:
        """
        In a semi-anonymous room the inviter is an occupant JID, or the room for an admin outside; in a non-anonymous
        room, or if the invitee is an admin, a bare JID (§7.8.2).
        """
        for client, whois, affiliated, expected in (
            (self.owner, "moderators", "none", f"{ROOM}/Owner"),
            (self.admin, "moderators", "none", ROOM),
            (self.owner, "moderators", "member", f"{ROOM}/Owner"),
            (self.guest, "moderators", "admin", "guest@localhost"),
            (self.guest, "anyone", "none", "guest@localhost"),
            (self.admin, "anyone", "none", "admin@localhost"),
        ):
            self.configureRoom(whois=whois)
            self.change(affiliation("hecate@localhost", affiliated))
            self.discardReceived()
            invite(client, INVITE)
            self.assertInvited(f"<invite from='{expected}'/>")

    def test_several(self) -> None:
        """One message invites several, each with reason and C{<continue/>} (§7.9), also by full JID."""
        nurse = self.client("nurse")
        invite(
            self.guest,
            "<invite to='hecate@localhost/a'><reason>a</reason><continue thread='t1'/></invite>"
            "<invite to='nurse@localhost/a'><reason>b</reason><continue/></invite>",
            " id='1'",
        )
        for client, inside in (
            (self.hecate, "<reason>a</reason><continue thread='t1'/>"),
            (nurse, "<reason>b</reason><continue/>"),
        ):
            self.assertMessage(client, client.address, f"<invite from='{ROOM}/Guest'>{inside}</invite>", " id='1'")

    def test_password(self) -> None:
        """The room's password is in it (§7.8.2)."""
        self.openRoom(passwordprotectedroom=True, roomsecret="cauldron<burn")
        invite(self.guest, f"{INVITE}<password>x</password>")
        self.assertInvited(f"<invite from='{ROOM}/Guest'/><password>cauldron&lt;burn</password>")

    def test_visitor(self) -> None:
        """Visitors may invite (§5.1.1, the default)."""
        self.change(role("Guest", "visitor"))
        invite(self.guest, INVITE)
        self.assertReceived(self.hecate, "room normal invite")


class RefusedTests(InviteTestCase):
    """Invitations that are refused as a whole."""

    def assertRefused(self, client: Client, inside: str, condition: str) -> None:
        """Nobody is invited."""
        invite(client, inside)
        self.assertReceived(client, f"room message error {condition}")
        self.assertNothingReceived()

    def test_stranger(self) -> None:
        """From outside: C{not-acceptable}, for members too."""
        self.assertRefused(self.hecate, "<invite to='guest@localhost'/>", "modify not-acceptable")
        leave(self.member, "Member")
        self.discardReceived()
        self.assertRefused(self.member, INVITE, "modify not-acceptable")

    def test_noAddress(self) -> None:
        """
        Without an address: C{bad-request}; to a malformed one: C{jid-malformed}; to one that is not of a user, such as
        a domain or a room: C{item-not-found}.
        """
        for condition, *addresses in (
            ("modify bad-request", None),
            ("modify jid-malformed", "", "@", "a@b@c/", "hecate@"),
            ("cancel item-not-found", "localhost", "localhost/x", HOST, f"other@{HOST}/Nick"),
        ):
            for address in addresses:
                bad = "<invite/>" if address is None else f"<invite to='{address}'/>"
                self.assertRefused(self.guest, INVITE + bad, condition)

    def test_tooLong(self) -> None:
        """With a reason above 1024 characters, or a thread above 256: C{not-acceptable}; an id above is left out."""
        long = f"<reason>{'x' * 1025}</reason>"
        for inside in (long, f"<reason/><continue thread='{'t' * 257}'/>"):
            bad = f"<invite to='hecate@localhost'>{inside}</invite>"
            self.assertRefused(self.guest, INVITE + bad, "modify not-acceptable")
        id, reason, thread = "i" * 257, "x" * 1024, "t" * 256
        for given, expected in ((id, ""), (id[1:], f" id='{id[1:]}'")):
            inside = f"<reason>{reason}</reason><continue thread='{thread}'/>"
            invite(self.guest, f"<invite to='hecate@localhost'>{inside}</invite>", f" id='{given}'")
            self.assertInvited(f"<invite from='{ROOM}/Guest'>{inside}</invite>", expected)

    def test_banned(self) -> None:
        """To a user who is banned, or whose domain is: C{not-allowed}."""
        self.change(affiliation("hecate@localhost", "outcast"), affiliation("elsewhere", "outcast"))
        for jid in ("hecate@localhost", "witch@elsewhere"):
            self.assertRefused(self.owner, f"<invite to='{jid}'/>", "cancel not-allowed")

    def test_undeliverable(self) -> None:
        """An invitation that cannot be delivered removes nobody."""
        invite(self.guest, "<invite to='witch@elsewhere'/><invite to='nobody@localhost'/>")
        self.assertNothingReceived()
        self.assertEqual(len(self.room().sessions), 3)


class MembersOnlyTests(InviteTestCase):
    """Inviting to a members-only room makes the user a member (§7.8.2, §9.5)."""

    fields = {"membersonly": True}

    def test_admin(self) -> None:
        """An admin may invite: the membership is stored and announced first; then the user can enter."""
        invite(self.owner, INVITE)
        self.assertEqual(self.affiliationOf(), "member")
        self.assertReceived(self.owner, "room normal item hecate@localhost member")
        self.assertReceived(self.hecate, "room normal invite")
        self.assertNothingReceived()
        self.enter(self.hecate)

    def test_member(self) -> None:
        """A member may not: C{forbidden}, unless the room allows it; and never a whole domain."""
        invite(self.member, INVITE)
        self.assertReceived(self.member, "room message error auth forbidden")
        self.assertIsNone(self.affiliationOf())
        self.assertNothingReceived()
        self.configureRoom(allowinvites=True)
        invite(self.member, "<invite to='localhost'/>")
        self.assertReceived(self.member, "room message error cancel item-not-found")
        self.assertIsNone(self.affiliationOf("localhost"))
        invite(self.member, INVITE)
        self.assertReceived(self.hecate, "room normal invite")
        self.assertEqual(self.affiliationOf(), "member")

    def test_alreadyIn(self) -> None:
        """Members and admins keep their affiliation."""
        for jid, word in (("admin@localhost", "admin"), ("member@localhost", "member")):
            invite(self.owner, f"<invite to='{jid}'/>")
            self.assertEqual(self.affiliationOf(jid), word)
        self.assertNothingReceived(self.owner)

    def test_allOrNothing(self) -> None:
        """If one of several cannot be invited, none becomes a member."""
        self.change(affiliation("nurse@localhost", "outcast"))
        invite(self.owner, f"{INVITE}<invite to='nurse@localhost'/>")
        self.assertReceived(self.owner, "room message error cancel not-allowed")
        self.assertIsNone(self.affiliationOf())
        self.assertNothingReceived()

    def test_nickKept(self) -> None:
        """A reserved nick is kept by a user who becomes a member."""
        self.room().affiliations.update({"hecate@localhost": Affiliate("none", "Hecate")})
        invite(self.owner, INVITE)
        self.assertEqual(self.affiliationOf(), "member")
        self.assertEqual(self.storedNicks(), {"hecate@localhost": "Hecate"})

    def test_durable(self) -> None:
        """Nothing is sent before the membership is stored, and nothing if it cannot be; invitations wait in line."""
        failing = FailingRoomStore()
        slow = DelayedRoomStore(failing)
        slow.holding = frozenset()
        self.openRoom(slow, **self.fields)
        slow.holding = frozenset(["change"])
        invite(self.owner, INVITE)
        self.assertNothingReceived()
        slow.release()
        self.assertReceived(self.hecate, "room normal invite")
        self.discardReceived()
        for client, jid in ((self.owner, "a@localhost"), (self.admin, "b@localhost")):
            invite(client, f"<invite to='{jid}'/>")
        self.assertEqual(slow.held, ["change"])
        slow.release()
        slow.release()
        self.assertEqual([self.affiliationOf(jid) for jid in ("a@localhost", "b@localhost")], ["member", "member"])
        self.discardReceived()
        failing.failing = frozenset(["change"])
        invite(self.owner, "<invite to='c@localhost'/>")
        slow.release()
        self.assertReceived(self.owner, "room message error wait internal-server-error")
        self.assertNothingReceived()
        self.assertIsNone(self.affiliationOf("c@localhost"))


class DeclineTests(InviteTestCase):
    """Declined invitations (§7.8.2)."""

    def invite(self, client: Client) -> None:
        """Invite Hecate."""
        invite(client, INVITE)
        self.discardReceived()

    def decline(self, to: str | None, inside: str = "") -> None:
        """Let Hecate decline."""
        address = "" if to is None else f" to='{to}'"
        invite(self.hecate, f"<decline{address}>{inside}</decline>", " id='jk2vs61v'")

    def test_tooLong(self) -> None:
        """With a reason above 1024 characters it is C{not-acceptable}, and can be declined again."""
        invite(self.guest, INVITE)
        self.discardReceived()
        self.decline(f"{ROOM}/Guest", f"<reason>{'x' * 1025}</reason>")
        self.assertReceived(self.hecate, "room message error modify not-acceptable")
        self.assertNothingReceived()
        self.decline(f"{ROOM}/Guest", f"<reason>{'x' * 1024}</reason>")
        self.assertReceived(self.guest, "room normal decline")

    def assertDeclineRefused(self, condition: str, *addresses: str | None) -> None:
        """None of these can be declined to, and nobody else receives anything."""
        for to in addresses:
            self.decline(to)
            self.assertReceived(self.hecate, f"room message error {condition}")
            self.assertNothingReceived()

    def test_declined(self) -> None:
        """All sessions of the inviter, and nobody else, receive it from the room with the reason; once."""
        phone = self.enter("guest/phone")
        self.invite(self.guest)
        self.decline(f"{ROOM}/Guest", "<reason>Too busy.</reason><y xmlns='urn:y'/>")
        for client in (self.guest, phone):
            self.assertMessage(
                client,
                client.address,
                "<decline from='hecate@localhost'><reason>Too busy.</reason></decline>",
                " id='jk2vs61v'",
            )
        self.assertNothingReceived()
        self.assertDeclineRefused("cancel item-not-found", f"{ROOM}/Guest")

    def test_realJID(self) -> None:
        """In a non-anonymous room it is addressed to the inviter's real JID."""
        self.configureRoom(whois="anyone")
        for to in ("guest@localhost", "guest@localhost/a"):
            self.invite(self.guest)
            self.decline(to)
            self.assertReceived(self.guest, "room normal decline")
        self.assertNothingReceived()

    def test_inviterElsewhere(self) -> None:
        """An inviter who has another nick, has left or never was in the room is informed, too."""
        self.admin.sends("<presence/>")
        self.invite(self.guest)
        self.invite(self.member)
        self.invite(self.admin)
        join(self.guest, "Other")
        leave(self.member, "Member")
        self.member.sends("<presence/>")
        self.discardReceived()
        for client, address in ((self.guest, f"{ROOM}/Guest"), (self.member, f"{ROOM}/Member"), (self.admin, ROOM)):
            self.decline(address)
            self.assertReceived(client, "room normal decline")
        self.assertNothingReceived()

    def test_notInvited(self) -> None:
        """
        Without an invitation of this user, from this address, it is C{item-not-found}: the room does not write to just
        anybody, nor reveal who is in it.
        """
        self.invite(self.guest)
        invite(self.guest, "<invite to='nobody@localhost'/>")
        invite(self.member, "<invite to='nobody@localhost'/>")
        self.assertDeclineRefused(
            "cancel item-not-found", "guest@localhost", "nobody@localhost", "admin@localhost", "localhost", ROOM,
            f"{ROOM}/Member", f"{ROOM}/Nobody", f"other@{HOST}/Guest",
        )  # fmt: skip

    def test_notSent(self) -> None:
        """An invitation that was refused cannot be declined."""
        self.change(affiliation("nurse@localhost", "outcast"))
        invite(self.guest, f"{INVITE}<invite to='nurse@localhost'/>")
        self.discardReceived()
        self.assertDeclineRefused("cancel item-not-found", f"{ROOM}/Guest")

    def test_noAddress(self) -> None:
        """Without an address it is C{bad-request}, with a malformed one C{jid-malformed}."""
        self.assertDeclineRefused("modify bad-request", None)
        self.assertDeclineRefused("modify jid-malformed", "@")

    def test_banned(self) -> None:
        """Outcasts cannot write to occupants in this way either."""
        self.invite(self.guest)
        self.change(affiliation("hecate@localhost", "outcast"))
        self.assertDeclineRefused("auth forbidden", f"{ROOM}/Guest")

    def test_membersOnly(self) -> None:
        """A user who was invited to a members-only room may decline."""
        self.openRoom(membersonly=True)
        self.invite(self.owner)
        self.decline(f"{ROOM}/Owner")
        self.assertReceived(self.owner, "room normal decline")
