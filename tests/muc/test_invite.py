# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.invite}, through a whole server (XEP-0045 §7.8.2, §9.5).
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import render
from muccore.interfaces import Affiliate
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.stage import Client
from tests.muc.company import ROOM, Scene, errorOf, join, told


def invite(client: Client, inside: str, attributes: str = "") -> None:
    """
    Let somebody invite.
    """
    client.sends(f"<message to='{ROOM}'{attributes}><x xmlns='{ns.MUC_USER}'>{inside}</x></message>")


class InviteTestCase(SynchronousTestCase):
    """
    A room with its owner, an admin outside, a member and a participant; and one who may be invited.
    """

    def setUp(self) -> None:
        """
        Begin with a plain room.
        """
        self.begin(Scene())

    def begin(self, scene: Scene, password: str = "") -> None:
        """
        Let them into a scene.
        """
        self.scene = scene
        self.owner = scene.owner
        x = f"<password>{password}</password>" if password else ""
        scene.admin(jid="admin@localhost", affiliation="admin")
        scene.admin(jid="member@localhost", affiliation="member")
        self.member = scene.person("member")
        self.guest = scene.person("guest")
        for client, nick in ((self.member, "Member"), (self.guest, "Guest")):
            join(client, nick, x=x)
        self.admin = scene.person("admin")
        self.hecate = scene.person("hecate/broom")
        self.hecate.sends("<presence/>")
        scene.forget()

    def affiliation(self, jid: str = "hecate@localhost") -> str | None:
        """
        Somebody's entry, in the room as in the store.
        """
        entry = self.scene.room.affiliations.entry(jid)
        record = self.successResultOf(self.scene.store.load(ROOM))
        self.assertEqual(record.affiliates.get(jid), entry)
        return entry.affiliation if entry is not None else None

    def silent(self) -> None:
        """
        See that nobody has heard anything.
        """
        for client in self.scene.clients.values():
            self.assertEqual(told(client), [], client.address)


class InvitationTests(InviteTestCase):
    """
    Who is invited.
    """

    def test_sent(self) -> None:
        """
        It comes from the room, with the id and the reason, and says who invites; nobody else hears of it.
        """
        reason = "<reason xml:lang='en'>Hey Hecate!</reason>"
        invite(self.guest, f"<invite to='hecate@localhost'>{reason}</invite>", " id='nzd143v8'")
        self.assertEqual(
            [render(stanza).decode() for stanza in self.hecate.hears()],
            [
                f"<message to='hecate@localhost' from='{ROOM}' id='nzd143v8'><x xmlns='{ns.MUC_USER}'>"
                f"<invite from='{ROOM}/Guest'>{reason}</invite></x></message>"
            ],
        )
        self.silent()
        self.assertIsNone(self.affiliation())

    def test_tooMany(self) -> None:
        """
        One message invites a hundred people at the most; with one more it invites nobody.
        """
        one = "<invite to='hecate@localhost'/>"
        invite(self.guest, one * 100)
        self.assertEqual(len(list(self.hecate.hears())), 100)
        self.silent()
        invite(self.guest, one * 101)
        [refused] = self.guest.hears()
        self.assertEqual(errorOf(refused), f"policy-violation modify {ROOM}")
        self.silent()

    def test_nothingElse(self) -> None:
        """
        What else is in the message is not passed on: not its body, not a C{from}, not a status.
        """
        invite(
            self.guest,
            "<status code='104'/><item affiliation='owner'/><invite to='hecate@localhost' from='king@localhost'>"
            "<y xmlns='urn:y'/><password>x</password></invite><password>x</password>",
        )
        self.assertEqual(
            [render(stanza).decode() for stanza in self.hecate.hears()],
            [
                f"<message to='hecate@localhost' from='{ROOM}'><x xmlns='{ns.MUC_USER}'>"
                f"<invite from='{ROOM}/Guest'/></x></message>"
            ],
        )

    def test_inviter(self) -> None:
        """
        In a semi-anonymous room the inviter is his occupant JID; in a non-anonymous room, or for an admin who is not
        in and has none, he is his bare JID (§7.8.2).
        """
        for client, whois, expected in (
            (self.owner, "moderators", f"{ROOM}/Owner"),
            (self.admin, "moderators", "admin@localhost"),
            (self.guest, "anyone", "guest@localhost"),
            (self.admin, "anyone", "admin@localhost"),
        ):
            self.scene.configure(whois=whois)
            invite(client, "<invite to='hecate@localhost'/>")
            [sent] = self.hecate.hears()
            self.assertIn(f"<invite from='{expected}'/>", render(sent).decode())

    def test_several(self) -> None:
        """
        Several are invited by one message, each with his own reason and C{<continue/>} (§7.9); one may be a full JID.
        """
        nurse = self.scene.person("nurse")
        invite(
            self.guest,
            "<invite to='hecate@localhost/broom'><reason>a</reason><continue thread='t1'/></invite>"
            "<invite to='nurse@localhost/r'><reason>b</reason><continue/></invite>",
            " id='1'",
        )
        for client, inside in (
            (self.hecate, "<reason>a</reason><continue thread='t1'/>"),
            (nurse, "<reason>b</reason><continue/>"),
        ):
            self.assertEqual(
                [render(stanza).decode() for stanza in client.hears()],
                [
                    f"<message to='{client.address}' from='{ROOM}' id='1'><x xmlns='{ns.MUC_USER}'>"
                    f"<invite from='{ROOM}/Guest'>{inside}</invite></x></message>"
                ],
            )

    def test_password(self) -> None:
        """
        The password is in it if there is one (§7.8.2), the room's.
        """
        self.begin(Scene({"passwordprotectedroom": "1", "roomsecret": "cauldron<burn"}), "cauldron&lt;burn")
        invite(self.guest, "<invite to='hecate@localhost'/><password>x</password>")
        [sent] = self.hecate.hears()
        self.assertEqual(
            render(sent).decode(),
            f"<message to='hecate@localhost' from='{ROOM}'><x xmlns='{ns.MUC_USER}'><invite from='{ROOM}/Guest'/>"
            "<password>cauldron&lt;burn</password></x></message>",
        )

    def test_visitor(self) -> None:
        """
        A visitor may invite (§5.1.1, the default).
        """
        self.scene.admin(nick="Guest", role="visitor")
        invite(self.guest, "<invite to='hecate@localhost'/>")
        self.assertEqual(told(self.hecate), ["room normal x invite"])


class RefusedTests(InviteTestCase):
    """
    Invitations that are not sent: none of the message is.
    """

    def refused(self, client: Client, inside: str, error: str) -> None:
        """
        See that nobody is invited.
        """
        invite(client, inside)
        self.assertEqual(told(client), [f"room message error {error} {ROOM}"])
        self.silent()

    def test_stranger(self) -> None:
        """
        From one who is not in: C{not-acceptable}; a member too.
        """
        self.refused(self.hecate, "<invite to='guest@localhost'/>", "not-acceptable modify")
        self.member.sends(f"<presence type='unavailable' to='{ROOM}/Member'/>")
        self.scene.forget()
        self.refused(self.member, "<invite to='hecate@localhost'/>", "not-acceptable modify")

    def test_noAddress(self) -> None:
        """
        To nobody: C{bad-request}. To what is no address: C{jid-malformed}. To what can be no user, such as a whole
        domain or a room: C{item-not-found}.
        """
        good = "<invite to='hecate@localhost'/>"
        self.refused(self.guest, f"{good}<invite/>", "bad-request modify")
        for bad in ("", "@", "a@b@c/", "hecate@"):
            self.refused(self.guest, f"{good}<invite to='{bad}'/>", "jid-malformed modify")
        for nobody in ("localhost", "localhost/x", "conference.localhost", "other@conference.localhost/Nick"):
            self.refused(self.guest, f"{good}<invite to='{nobody}'/>", "item-not-found cancel")

    def test_banned(self) -> None:
        """
        To one who is banned, by his own entry or his domain's: C{not-allowed}.
        """
        self.scene.admin(jid="hecate@localhost", affiliation="outcast")
        self.scene.admin(jid="elsewhere", affiliation="outcast")
        for jid in ("hecate@localhost", "witch@elsewhere"):
            self.refused(self.owner, f"<invite to='{jid}'/>", "not-allowed cancel")

    def test_unknownServer(self) -> None:
        """
        An invitation that does not arrive puts nobody out.
        """
        invite(self.guest, "<invite to='witch@elsewhere'/><invite to='nobody@localhost'/>")
        self.silent()
        self.assertEqual(len(self.scene.room.seats), 3)


class MembersOnlyTests(InviteTestCase):
    """
    In a members-only room who is invited becomes a member, so not everybody may invite (§7.8.2, §9.5).
    """

    def setUp(self) -> None:
        """
        Begin with such a room.
        """
        self.begin(Scene())
        self.scene.configure(membersonly="1")

    def test_admin(self) -> None:
        """
        An admin may: it is stored and told before the invitation is on its way, and who is invited can enter.
        """
        invite(self.owner, "<invite to='hecate@localhost'/>")
        self.assertEqual(self.affiliation(), "member")
        self.assertEqual(told(self.owner), ["room normal x item"])
        self.assertEqual(told(self.member), [])
        self.assertEqual(told(self.hecate), ["room normal x invite"])
        join(self.hecate, "Hecate")
        self.assertIn("hecate@localhost/broom", self.scene.room.seats)

    def test_member(self) -> None:
        """
        A member may not, C{forbidden}, unless the room allows it.
        """
        invite(self.member, "<invite to='hecate@localhost'/>")
        self.assertEqual(told(self.member), [f"room message error forbidden auth {ROOM}"])
        self.assertIsNone(self.affiliation())
        self.silent()
        self.scene.configure(allowinvites="1")
        invite(self.member, "<invite to='hecate@localhost'/>")
        self.assertEqual(told(self.hecate), ["room normal x invite"])
        self.assertEqual(self.affiliation(), "member")

    def test_wholeDomain(self) -> None:
        """
        Nobody makes a whole domain members by inviting it.
        """
        self.scene.configure(allowinvites="1")
        invite(self.member, "<invite to='localhost'/>")
        self.assertEqual(told(self.member), [f"room message error item-not-found cancel {ROOM}"])
        self.assertIsNone(self.affiliation("localhost"))

    def test_alreadyIn(self) -> None:
        """
        Who is more than nothing stays what he is.
        """
        for jid, word in (("admin@localhost", "admin"), ("member@localhost", "member")):
            invite(self.owner, f"<invite to='{jid}'/>")
            self.assertEqual(self.affiliation(jid), word)
        self.assertEqual(told(self.owner), [])

    def test_allOrNothing(self) -> None:
        """
        If one of several cannot be invited, no other one becomes a member.
        """
        self.scene.admin(jid="nurse@localhost", affiliation="outcast")
        invite(self.owner, "<invite to='hecate@localhost'/><invite to='nurse@localhost'/>")
        self.assertEqual(told(self.owner), [f"room message error not-allowed cancel {ROOM}"])
        self.assertIsNone(self.affiliation())
        self.silent()

    def test_nickKept(self) -> None:
        """
        A nick that is reserved for him stays so.
        """
        change = {"hecate@localhost": Affiliate("none", "Hecate")}
        self.scene.room.affiliations.update(change)
        invite(self.owner, "<invite to='hecate@localhost'/>")
        self.assertEqual(self.affiliation(), "member")
        self.assertEqual(self.scene.room.affiliations.nickOf("hecate@localhost"), "Hecate")

    def test_durable(self) -> None:
        """
        Nothing is sent before the member is stored, and nothing if he cannot be.
        """
        slow = DelayedRoomStore()
        slow.holding = frozenset()
        self.begin(Scene(None, slow))
        self.scene.configure(membersonly="1")
        slow.holding = frozenset(["change"])
        invite(self.owner, "<invite to='hecate@localhost'/>")
        self.silent()
        slow.release()
        self.assertEqual(told(self.hecate), ["room normal x invite"])
        self.scene.forget()
        # One who is invited while another one is being stored waits for that.
        for client, jid in ((self.owner, "a@localhost"), (self.admin, "b@localhost")):
            invite(client, f"<invite to='{jid}'/>")
        self.assertEqual(slow.held, ["change"])
        slow.release()
        slow.release()
        self.assertEqual([self.affiliation(jid) for jid in ("a@localhost", "b@localhost")], ["member", "member"])
        failing = FailingRoomStore()
        self.begin(Scene(None, failing))
        self.scene.configure(membersonly="1")
        failing.failing = frozenset(["change"])
        invite(self.owner, "<invite to='hecate@localhost'/>")
        self.assertEqual(told(self.owner), ["room message error internal-server-error wait room@conference.localhost"])
        self.silent()
        self.assertIsNone(self.affiliation())


class DeclineTests(InviteTestCase):
    """
    Who declines.
    """

    def decline(self, to: str, inside: str = "", client: Client | None = None) -> None:
        """
        Let Hecate decline.
        """
        (client or self.hecate).sends(
            f"<message to='{ROOM}' id='jk2vs61v'><x xmlns='{ns.MUC_USER}'><decline{to}>{inside}</decline></x></message>"
        )

    def test_told(self) -> None:
        """
        Who invited hears of it, from the room, with the reason, in all his sessions; nobody else does.
        """
        phone = self.scene.guest("guest/phone", "Guest")
        self.decline(f" to='{ROOM}/Guest'", "<reason>Too busy.</reason><y xmlns='urn:y'/>")
        for client in (self.guest, phone):
            self.assertEqual(
                [render(stanza).decode() for stanza in client.hears()],
                [
                    f"<message to='{client.address}' from='{ROOM}' id='jk2vs61v'><x xmlns='{ns.MUC_USER}'>"
                    "<decline from='hecate@localhost'><reason>Too busy.</reason></decline></x></message>"
                ],
            )
        self.silent()

    def test_realJID(self) -> None:
        """
        In a non-anonymous room it may be addressed to the inviter's real JID.
        """
        self.scene.configure(whois="anyone")
        for to in ("guest@localhost", "guest@localhost/r"):
            self.decline(f" to='{to}'")
            self.assertEqual(told(self.guest), ["room normal x decline"])
        self.silent()

    def test_noOracle(self) -> None:
        """
        In a semi-anonymous room nobody finds out by it who is in: the answer is the same.
        """
        for to in ("guest@localhost", "nobody@localhost"):
            self.decline(f" to='{to}'")
            self.assertEqual(told(self.hecate), [f"room message error item-not-found cancel {ROOM}"])
        self.silent()

    def test_notHere(self) -> None:
        """
        One who is not here, or not a user, is C{item-not-found}: a room does not write to just anybody.
        """
        self.scene.configure(whois="anyone")
        for to in ("admin@localhost", "localhost", f"{ROOM}/Nobody", ROOM, "other@conference.localhost/Guest"):
            self.decline(f" to='{to}'")
            self.assertEqual(told(self.hecate), [f"room message error item-not-found cancel {ROOM}"], to)
        self.silent()

    def test_noAddress(self) -> None:
        """
        Without an address it is C{bad-request}, with what is none C{jid-malformed}.
        """
        self.decline("")
        self.assertEqual(told(self.hecate), [f"room message error bad-request modify {ROOM}"])
        self.decline(" to='@'")
        self.assertEqual(told(self.hecate), [f"room message error jid-malformed modify {ROOM}"])
        self.silent()

    def test_banned(self) -> None:
        """
        Who is banned cannot write to occupants in this way either.
        """
        self.scene.admin(jid="hecate@localhost", affiliation="outcast")
        self.decline(f" to='{ROOM}/Guest'", "<reason>spam</reason>")
        self.assertEqual(told(self.hecate), [f"room message error forbidden auth {ROOM}"])
        self.silent()

    def test_membersOnly(self) -> None:
        """
        Who is no member has not been invited to a members-only room, and does not find out who is in; who is may
        decline.
        """
        self.scene.configure(membersonly="1")
        self.scene.forget()
        for nick in ("Owner", "Nobody"):
            self.decline(f" to='{ROOM}/{nick}'")
            self.assertEqual(told(self.hecate), [f"room message error forbidden auth {ROOM}"])
        self.silent()
        self.scene.admin(jid="hecate@localhost", affiliation="member")
        self.scene.forget()
        self.decline(f" to='{ROOM}/Owner'")
        self.assertEqual(told(self.scene.owner), ["room normal x decline"])
