# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.changes}: who hears what of a change, in which order.
"""

from __future__ import annotations

from muccore.element import Rendered
from muccore.interfaces import Affiliate
from muccore.testing.stage import Client
from tests.muc.theatre import Theatre, admin, affiliation, configure, heard, join, register, role


class TellingTests(Theatre):
    """
    Who hears what, in which order.
    """

    def setUp(self) -> None:
        """
        A room with its owner and two others.
        """
        super().setUp()
        self.romeo, self.juliet, self.tybalt = self.client("romeo"), self.client("juliet"), self.client("tybalt")

    def play(self, **fields: object) -> None:
        """
        Everybody is in.
        """
        self.open(self.romeo, **fields)
        self.admit((self.juliet, "Juliet"), (self.tybalt, "Tybalt"))
        self.quiet(self.romeo, self.juliet, self.tybalt)

    def order(self) -> list[tuple[str, str]]:
        """
        Note from now on in which order stanzas go out, across all clients.
        """
        log: list[tuple[str, str]] = []

        def watch(client: Client) -> None:
            send = client.send

            def noted(stanza: Rendered, to: bytes) -> None:
                log.append((client.session.jid.local, stanza.head.decode()[1:]))
                send(stanza, to)

            client.send = noted  # type: ignore[method-assign]

        for client in (self.romeo, self.juliet, self.tybalt):
            watch(client)
        return log

    def test_kick(self) -> None:
        """
        §8.2: who is kicked first, then the result, then everyone else; 307, reason and actor for all.
        """
        self.play()
        log = self.order()
        admin(self.romeo, role("Juliet", "none", "Avaunt"))
        self.assertEqual(log, [("juliet", "presence"), ("romeo", "iq"), ("romeo", "presence"), ("tybalt", "presence")])
        told = 'gone Juliet none/none +307{} by Romeo because "Avaunt"'
        self.hear(self.juliet, told.format(" +110 as juliet@localhost/a"))
        self.hear(self.romeo, "result q", told.format(" as juliet@localhost/a"))
        self.hear(self.tybalt, told.format(""))
        join(self.juliet, "Juliet")
        self.assertIn("here Juliet none/participant +110 as juliet@localhost/a", heard(self.juliet))

    def test_kickAllSessions(self) -> None:
        """
        A kick reaches all sessions of the occupant, and nobody else of the same name.
        """
        self.play()
        second = self.client("juliet@localhost/b")
        self.admit((second, "Juliet"))
        self.quiet(self.romeo, self.juliet, self.tybalt)
        admin(self.romeo, role("Juliet", "none"))
        self.hear(self.juliet, "gone Juliet none/none +307 +110 as juliet@localhost/a by Romeo")
        self.hear(second, "gone Juliet none/none +307 +110 as juliet@localhost/b by Romeo")
        self.hear(self.tybalt, "gone Juliet none/none +307 by Romeo")

    def test_kickOneself(self) -> None:
        """
        §8.2: kicking oneself is not refused here; his result still comes after he is out.
        """
        self.play()
        admin(self.romeo, role("Romeo", "none"))
        self.hear(self.romeo, "gone Romeo owner/none +307 +110 as romeo@localhost/a by Romeo", "result q")
        self.hear(self.tybalt, "gone Romeo owner/none +307 by Romeo")

    def test_ban(self) -> None:
        """
        §9.1: 301 with reason and actor; then he cannot enter any more.
        """
        self.play()
        log = self.order()
        admin(self.romeo, affiliation("juliet@localhost", "outcast", "Treason"))
        self.assertEqual(log, [("juliet", "presence"), ("romeo", "iq"), ("romeo", "presence"), ("tybalt", "presence")])
        told = 'gone Juliet outcast/none +301{} by Romeo because "Treason"'
        self.hear(self.juliet, told.format(" +110 as juliet@localhost/a"))
        self.hear(self.romeo, "result q", told.format(" as juliet@localhost/a"))
        self.hear(self.tybalt, told.format(""))
        join(self.juliet, "Juliet")
        self.hear(self.juliet, "refused Juliet auth forbidden")
        record = self.record()
        assert record is not None
        self.assertEqual(record.affiliates["juliet@localhost"], Affiliate("outcast", None, "Treason"))

    def test_banFrees(self) -> None:
        """
        §9.1: one who is banned loses his reserved nick, whatever the item says of a nick.
        """
        self.play()
        register(self.juliet, "Capulet")
        self.quiet(self.juliet)
        admin(self.romeo, affiliation("juliet@localhost", "outcast", nick="Montague"))
        register(self.tybalt, "Capulet")
        self.assertIn("result q", heard(self.tybalt))
        record = self.record()
        assert record is not None
        self.assertEqual(record.affiliates["juliet@localhost"].nick, None)

    def test_fullJID(self) -> None:
        """
        §10.3: a full JID in an item stands for its bare JID.
        """
        self.play()
        admin(self.romeo, affiliation("juliet@localhost/elsewhere", "outcast"))
        self.hear(self.juliet, "gone Juliet outcast/none +301 +110 as juliet@localhost/a by Romeo")
        self.assertIn("juliet@localhost", self.stored())

    def test_membership(self) -> None:
        """
        §9.3, §9.4: membership given and taken is told with a presence to everybody, after the result.
        """
        self.play()
        admin(self.romeo, affiliation("juliet@localhost", "member", "Worthy"))
        told = 'here Juliet member/participant{} by Romeo because "Worthy"'
        self.hear(self.romeo, "result q", told.format(" as juliet@localhost/a"))
        self.hear(self.juliet, told.format(" +110 as juliet@localhost/a"))
        self.hear(self.tybalt, told.format(""))
        admin(self.romeo, affiliation("juliet@localhost", "none"))
        told = "here Juliet none/participant{} by Romeo"
        self.hear(self.romeo, "result q", told.format(" as juliet@localhost/a"))
        self.hear(self.juliet, told.format(" +110 as juliet@localhost/a"))
        self.hear(self.tybalt, told.format(""))

    def test_membershipModerated(self) -> None:
        """
        §5.1.3: becoming a member gives voice in a moderated room; losing that takes it.
        """
        self.play(moderatedroom=True)
        admin(self.romeo, affiliation("juliet@localhost", "member"))
        self.hear(self.tybalt, "here Juliet member/participant by Romeo")
        admin(self.romeo, affiliation("juliet@localhost", "none"))
        self.hear(self.tybalt, "here Juliet none/visitor by Romeo")

    def test_rise(self) -> None:
        """
        §10.3, §10.6: admins and owners are moderators at once, and see real JIDs from then on.
        """
        self.play()
        admin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.hear(
            self.juliet,
            "here Juliet admin/moderator +110 as juliet@localhost/a by Romeo",
            "here Romeo owner/moderator as romeo@localhost/a",
            "here Tybalt none/participant as tybalt@localhost/a",
        )
        self.hear(self.tybalt, "here Juliet admin/moderator by Romeo")
        self.quiet(self.romeo)
        admin(self.romeo, affiliation("tybalt@localhost", "owner"))
        self.hear(self.juliet, "here Tybalt owner/moderator as tybalt@localhost/a by Romeo")
        self.hear(
            self.tybalt,
            "here Tybalt owner/moderator +110 as tybalt@localhost/a by Romeo",
            "here Romeo owner/moderator as romeo@localhost/a",
            "here Juliet admin/moderator as juliet@localhost/a",
        )

    def test_fall(self) -> None:
        """
        §10.4, §10.7: who is an admin or an owner no more is told, and sees no more real JIDs.
        """
        self.play()
        admin(self.romeo, affiliation("juliet@localhost", "owner"))
        self.quiet(self.romeo, self.juliet, self.tybalt)
        admin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.hear(self.tybalt, "here Juliet admin/moderator by Romeo")
        admin(self.romeo, affiliation("juliet@localhost", "member"))
        self.hear(self.tybalt, "here Juliet member/participant by Romeo")
        self.quiet(self.juliet)
        admin(self.romeo, affiliation("tybalt@localhost", "member"))
        self.hear(self.juliet, "here Tybalt member/participant by Romeo")

    def test_membersOnly(self) -> None:
        """
        §9.4: in a members-only room who is a member no more is out, with 321, and there is no other presence of it.
        """
        self.open(self.romeo, membersonly=True)
        admin(self.romeo, affiliation("juliet@localhost", "member"), affiliation("tybalt@localhost", "member"))
        self.admit((self.juliet, "Juliet"), (self.tybalt, "Tybalt"))
        self.quiet(self.romeo, self.juliet)
        admin(self.romeo, affiliation("juliet@localhost", "none", "Enough"))
        told = 'gone Juliet none/none +321{} by Romeo because "Enough"'
        self.hear(self.juliet, told.format(" +110 as juliet@localhost/a"))
        self.hear(self.romeo, "result q", told.format(" as juliet@localhost/a"))
        self.hear(self.tybalt, told.format(""))
        join(self.juliet, "Juliet")
        self.hear(self.juliet, "refused Juliet auth registration-required")

    def test_adminFallsToNothingInMembersOnly(self) -> None:
        """
        An admin who becomes nothing has no place in a members-only room either.
        """
        self.open(self.romeo, membersonly=True)
        admin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.admit((self.juliet, "Juliet"))
        admin(self.romeo, affiliation("juliet@localhost", "none"))
        self.hear(self.juliet, "gone Juliet none/none +321 +110 as juliet@localhost/a by Romeo")

    def test_voice(self) -> None:
        """
        §8.3, §8.4: voice given and taken, with a reason; the result comes first.
        """
        self.play(moderatedroom=True)
        admin(self.romeo, role("Juliet", "participant", "Worthy"))
        told = 'here Juliet none/participant{} by Romeo because "Worthy"'
        self.hear(self.romeo, "result q", told.format(" as juliet@localhost/a"))
        self.hear(self.juliet, told.format(" +110 as juliet@localhost/a"))
        self.hear(self.tybalt, told.format(""))
        admin(self.romeo, role("Juliet", "visitor"))
        self.hear(self.romeo, "result q", "here Juliet none/visitor as juliet@localhost/a by Romeo")

    def test_moderator(self) -> None:
        """
        §9.6, §9.7: a moderator sees real JIDs as long as he is one; nothing is stored.
        """
        self.play()
        before = self.record()
        admin(self.romeo, role("Juliet", "moderator"))
        self.hear(
            self.juliet,
            "here Juliet none/moderator +110 as juliet@localhost/a by Romeo",
            "here Romeo owner/moderator as romeo@localhost/a",
            "here Tybalt none/participant as tybalt@localhost/a",
        )
        admin(self.juliet, role("Tybalt", "visitor"))
        self.hear(self.juliet, "result q", "here Tybalt none/visitor as tybalt@localhost/a by Juliet")
        admin(self.romeo, role("Juliet", "participant"))
        self.hear(self.juliet, "here Juliet none/participant +110 as juliet@localhost/a by Romeo")
        admin(self.romeo, role("Tybalt", "participant"))
        self.hear(self.juliet, "here Tybalt none/participant by Romeo")
        self.assertEqual(self.record(), before)

    def test_moderatorSees(self) -> None:
        """
        §8: a new moderator learns by presence who everybody is, on all his sessions, as everybody is when the request
        has been carried out; who could see that before is not told again.
        """
        self.play()
        second = self.client("juliet@localhost/b")
        self.admit((second, "Juliet"))
        self.quiet(self.romeo, self.juliet, self.tybalt)
        admin(self.romeo, role("Juliet", "moderator"), role("Tybalt", "visitor"))
        for client in (self.juliet, second):
            self.hear(
                client,
                f"here Juliet none/moderator +110 as {client.address} by Romeo",
                "here Tybalt none/visitor as tybalt@localhost/a by Romeo",
                "here Romeo owner/moderator as romeo@localhost/a",
                "here Tybalt none/visitor as tybalt@localhost/a",
            )
        admin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.hear(self.juliet, "here Juliet admin/moderator +110 as juliet@localhost/a by Romeo")

    def test_moderatorSaw(self) -> None:
        """
        In a non-anonymous room there is nothing that he does not know.
        """
        self.play(whois="anyone")
        admin(self.romeo, role("Juliet", "moderator"))
        self.hear(self.juliet, "here Juliet none/moderator +110 as juliet@localhost/a by Romeo")

    def test_moderatorForAMoment(self) -> None:
        """
        Who is put out or made a participant again by the same request learns nothing.
        """
        self.play()
        admin(self.romeo, role("Juliet", "moderator"), role("Juliet", "none"))
        self.hear(self.juliet, "gone Juliet none/none +307 +110 as juliet@localhost/a by Romeo")
        admin(self.romeo, role("Tybalt", "moderator"), role("Tybalt", "participant"))
        self.hear(
            self.tybalt,
            "gone Juliet none/none +307 by Romeo",
            "here Tybalt none/participant +110 as tybalt@localhost/a by Romeo",
        )

    def test_absent(self) -> None:
        """
        §10.3: the affiliation of somebody who is not in is told to moderators only where JIDs are hidden, to
        everybody where they are not, before the result.
        """
        self.play()
        admin(self.romeo, affiliation("nurse@localhost", "member", "Kin"))
        self.hear(self.romeo, 'room: nurse@localhost is member because "Kin"', "result q")
        self.silent(self.juliet, self.tybalt)
        configure(self.romeo, whois="anyone")
        self.quiet(self.romeo, self.juliet, self.tybalt)
        admin(self.romeo, affiliation("nurse@localhost", "none"))
        self.hear(self.romeo, "room: nurse@localhost is none", "result q")
        self.hear(self.juliet, "room: nurse@localhost is none")

    def test_absentAfterThoseWhoGo(self) -> None:
        """
        Who is put out by a request does not hear of the rest of it, in whatever order its items stand.
        """
        self.play(whois="anyone")
        admin(self.romeo, affiliation("nurse@localhost", "member"), affiliation("juliet@localhost", "outcast"))
        self.hear(self.juliet, "gone Juliet outcast/none +301 +110 as juliet@localhost/a by Romeo")
        self.hear(
            self.tybalt,
            "room: nurse@localhost is member",
            "gone Juliet outcast/none +301 as juliet@localhost/a by Romeo",
        )

    def test_actorOutside(self) -> None:
        """
        Who is not in the room is not named as the actor.
        """
        self.play()
        second = self.client("romeo@localhost/b")
        admin(second, affiliation("juliet@localhost", "outcast"))
        self.hear(self.juliet, "gone Juliet outcast/none +301 +110 as juliet@localhost/a")
        self.hear(second, "result q")
