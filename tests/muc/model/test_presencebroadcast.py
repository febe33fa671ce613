# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.presencebroadcast}: presence broadcast by role (XEP-0045 §5.1.1, §7.2.2, §7.7)."""

from __future__ import annotations

from muccore.muc.model import presencebroadcast
from muccore.xmpp import ns
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    attributes,
    configure,
    join,
    leave,
    role,
    say,
    sendAdmin,
    sendError,
    sendIQ,
    sendPresence,
    summaries,
    unstamped,
)
from tests.muc.slicedroom import SlicedRoomTestCase

SPEAKERS = ["moderator", "participant"]


class BroadcastTests(RoomTestCase):
    """A moderated room that does not broadcast visitors: Juliet, a member, and Romeo, a visitor, are in."""

    fields = {"moderatedroom": True, "presencebroadcast": SPEAKERS}

    def setUp(self) -> None:
        super().setUp()
        self.change(affiliation("juliet@localhost", "member"))
        self.juliet, self.romeo = self.enter("juliet"), self.enter("romeo")

    def assertUnnoticed(self) -> None:
        """Check that neither the owner, a moderator, nor Juliet has received anything."""
        self.assertNothingReceived(self.owner, self.juliet)

    def test_entering(self) -> None:
        """A visitor receives the presence of the others and its own; nobody else, moderators neither, sees it."""
        tybalt = self.client("tybalt")
        join(tybalt, "Tybalt")
        self.assertReceived(
            tybalt,
            "Owner available owner/moderator",
            "Juliet available member/participant",
            "Tybalt available none/visitor jid=tybalt@localhost/a 110",
            "room groupchat subject:",
        )
        self.assertUnnoticed()
        self.assertNothingReceived(self.romeo)

    def test_everything(self) -> None:
        """Status, nick, another session, errors and leaving of a visitor are seen by the visitor's sessions only."""
        phone = self.client("romeo/b")
        join(phone, "Romeo", "<show>dnd</show>")
        phone.received()
        self.assertReceived(self.romeo, "Romeo available none/visitor jid=romeo@localhost/a,b show:dnd 110")
        sendPresence(self.romeo, "Romeo", "<show>away</show>")
        self.assertReceived(self.romeo, "Romeo available none/visitor jid=romeo@localhost/a,b show:away 110")
        sendPresence(self.romeo, "R")
        self.assertReceived(
            self.romeo,
            "Romeo unavailable none/visitor jid=romeo@localhost/a,b nick=R 303 110",
            "R available none/visitor jid=romeo@localhost/a,b 110",
        )
        leave(self.romeo, "R")
        sendError(phone, "gone")
        self.assertEqual([line.rpartition(" ")[2] for line in summaries(phone)][-1], "110")
        self.assertNotIn("romeo@localhost/b", self.room().sessions)
        self.assertUnnoticed()

    def test_voice(self) -> None:
        """A visitor who gets voice enters in the eyes of the others, and leaves when they lose it."""
        sendAdmin(self.owner, role("Romeo", "participant", "speak"))
        shown = "Romeo available none/participant"
        self.assertReceived(self.owner, "result q", f"{shown} jid=romeo@localhost/a by=Owner reason=speak")
        self.assertReceived(self.juliet, f"{shown} by=Owner reason=speak")
        self.assertReceived(self.romeo, f"{shown} jid=romeo@localhost/a by=Owner reason=speak 110")
        sendPresence(self.romeo, "Romeo", "<show>away</show>")
        self.assertReceived(self.juliet, f"{shown} show:away")
        self.discardReceived()
        sendAdmin(self.owner, role("Romeo", "visitor", "hush"))
        self.assertReceived(self.owner, "result q", "Romeo unavailable none/none jid=romeo@localhost/a")
        self.assertReceived(self.juliet, "Romeo unavailable none/none")
        own = "Romeo available none/visitor jid=romeo@localhost/a"
        self.assertReceived(self.romeo, f"{own} by=Owner reason=hush show:away 110")
        sendPresence(self.romeo, "Romeo", "<show>xa</show>")
        self.assertUnnoticed()

    def test_affiliation(self) -> None:
        """So does a visitor who becomes a member."""
        sendAdmin(self.owner, affiliation("romeo@localhost", "member"))
        self.assertReceived(self.juliet, "Romeo available member/participant by=Owner")

    def test_removed(self) -> None:
        """A visitor who is kicked or banned learns it, and nobody else; the ban looks like that of an absent user."""
        absent = ["room normal item romeo@localhost outcast 301"]
        for item, code, told in (
            (role("Romeo", "none"), 307, []),
            (affiliation("romeo@localhost", "outcast"), 301, absent),
        ):
            sendAdmin(self.owner, item)
            [own] = summaries(self.romeo)
            self.assertTrue(own.endswith(f"{code} 110"), own)
            self.assertReceived(self.owner, *told, "result q")
            self.assertUnnoticed()
            join(self.romeo, "Romeo")
            self.romeo.received()

    def test_speakerRemoved(self) -> None:
        """Others still learn with its code that somebody whom they see is kicked."""
        sendAdmin(self.owner, role("Juliet", "none"))
        self.assertReceived(self.romeo, "Juliet unavailable member/none by=Owner 307")

    def test_membersOnly(self) -> None:
        """Visitors whom a room expels when it becomes members-only leave unseen."""
        configure(self.owner, membersonly=True)
        self.assertReceived(self.romeo, "Romeo unavailable none/none jid=romeo@localhost/a 322 110")
        self.assertReceived(self.juliet, "room groupchat 104")

    def test_unmoderated(self) -> None:
        """When everybody gets voice, visitors enter in the eyes of the others."""
        configure(self.owner, moderatedroom=False)
        self.assertReceived(self.juliet, "Romeo available none/participant", "room groupchat 104")
        self.assertReceived(
            self.romeo, "Romeo available none/participant jid=romeo@localhost/a 110", "room groupchat 104"
        )

    def test_configured(self) -> None:
        """A change of the field shows and hides occupants to the others, not to themselves, after the result."""
        configure(self.owner, presencebroadcast=["visitor"])
        self.assertReceived(
            self.owner,
            "result q",
            "Juliet unavailable member/none jid=juliet@localhost/a",
            "Romeo available none/visitor jid=romeo@localhost/a",
            "room groupchat 104",
        )
        self.assertReceived(
            self.juliet, "Owner unavailable owner/none", "Romeo available none/visitor", "room groupchat 104"
        )
        self.assertReceived(
            self.romeo, "Owner unavailable owner/none", "Juliet unavailable member/none", "room groupchat 104"
        )
        configure(self.owner, presencebroadcast=[])
        self.assertReceived(self.juliet, "Romeo unavailable none/none", "room groupchat 104")
        tybalt = self.client("tybalt")
        join(tybalt, "Tybalt")
        self.assertReceived(
            tybalt, "Tybalt available none/visitor jid=tybalt@localhost/a 110", "room groupchat subject:"
        )

    def test_lists(self) -> None:
        """Occupants list those whom they see and themselves; moderators list every role."""
        items = f"<query xmlns='{ns.DISCO_ITEMS}'/>"
        sendIQ(self.juliet, "get", items)
        names = [item["jid"].partition("/")[2] for item in attributes(self.result(self.juliet).childElements())]
        self.assertEqual(names, ["Owner", "Juliet"])
        sendIQ(self.romeo, "get", items)
        names = [item["jid"].partition("/")[2] for item in attributes(self.result(self.romeo).childElements())]
        self.assertEqual(names, ["Owner", "Juliet", "Romeo"])
        sendAdmin(self.owner, "<item role='visitor'/>", type="get")
        self.assertEqual([item.get("nick") for item in self.result(self.owner).childElements()], ["Romeo"])

    def test_probe(self) -> None:
        """A probe is answered as what the prober sees; everybody sees themselves."""
        for prober, nick, lines in (
            (self.juliet, "Romeo", []),
            (self.owner, "Romeo", []),
            (self.romeo, "Romeo", ["Romeo available none/visitor jid=romeo@localhost/a 110"]),
            (self.romeo, "Juliet", ["Juliet available member/participant"]),
        ):
            prober.sends(f"<presence type='probe' to='{ROOM}/{nick}'/>")
            self.assertReceived(prober, *lines)

    def test_messages(self) -> None:
        """What visitors receive does not depend on who sees them; their private messages arrive."""
        say(self.juliet, "a")
        self.assertReceived(self.romeo, "Juliet groupchat body:a")
        self.discardReceived()
        self.romeo.sends(f"<message to='{ROOM}/Juliet' type='chat'><body>b</body></message>")
        self.assertReceived(self.juliet, "Romeo chat body:b x")

    def test_newModerator(self) -> None:
        """A new moderator is sent those whom they see, with real JIDs."""
        sendAdmin(self.owner, role("Juliet", "moderator"))
        self.assertReceived(
            self.juliet,
            "Juliet available member/moderator jid=juliet@localhost/a by=Owner 110",
            "Owner available owner/moderator jid=owner@localhost/a",
        )


class AbsentTests(RoomTestCase):
    """A room that shows absent users: Juliet, a member with a reserved nick, and Nurse, an admin without."""

    fields = {"moderatedroom": True, "presencebroadcast": [*SPEAKERS, "none"]}

    def setUp(self) -> None:
        super().setUp()
        self.change(
            affiliation("juliet@localhost", "member", nick="Juliet"),
            affiliation("nurse@localhost", "admin"),
            affiliation("tybalt@localhost", "outcast"),
            affiliation("capulet.example", "member"),
        )

    def test_entering(self) -> None:
        """
        A newcomer receives the absent users as unavailable, after the occupants: those with a nick, or if they may see
        real JIDs, all of them; neither outcasts nor domains.
        """
        romeo, friar = self.client("romeo"), self.client("friar")
        join(romeo, "Romeo")
        self.assertReceived(
            romeo,
            "Owner available owner/moderator",
            "Juliet unavailable member/none nick=Juliet",
            "Romeo available none/visitor jid=romeo@localhost/a 110",
            "room groupchat subject:",
        )
        self.change(affiliation("friar@localhost", "owner"))
        join(friar, "Friar")
        self.assertReceived(
            friar,
            "Owner available owner/moderator jid=owner@localhost/a",
            "room unavailable admin/none jid=nurse@localhost",
            "Juliet unavailable member/none jid=juliet@localhost nick=Juliet",
            "Friar available owner/moderator jid=friar@localhost/a 110",
            "room groupchat subject:",
        )

    def test_stanza(self) -> None:
        """The presence is from the reserved nick, and stamped as all that the user sends."""
        romeo, juliet = self.client("romeo"), self.client("juliet")
        join(romeo, "Romeo")
        _, absent, _, _ = romeo.received()
        self.assertEqual(
            unstamped(absent.toXml()),
            f"<presence xmlns='jabber:client' to='romeo@localhost/a' from='{ROOM}/Juliet' type='unavailable'>"
            f"<x xmlns='{ns.MUC_USER}'><item affiliation='member' role='none' nick='Juliet'/></x></presence>",
        )
        join(juliet, "Juliet")
        present = romeo.received()[-1]
        ids = [each.child("occupant-id", ns.OCCUPANT_ID) for each in (absent, present)]
        self.assertEqual(ids[0] and ids[0].get("id"), ids[1] and ids[1].get("id"))

    def test_comingAndGoing(self) -> None:
        """Whoever is seen in the room is not shown as absent as well, and is when they have left."""
        juliet = self.enter("juliet")
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.assertIn("Juliet available member/participant", summaries(romeo))
        leave(juliet, "Juliet")
        self.assertReceived(romeo, "Juliet unavailable member/none")
        join(romeo, "Romeo")
        self.assertIn("Juliet unavailable member/none nick=Juliet", summaries(romeo))

    def test_invisible(self) -> None:
        """A member whom nobody sees looks absent."""
        self.enter("juliet")
        sendAdmin(self.owner, role("Juliet", "visitor"))
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.assertEqual(summaries(romeo)[1], "Juliet unavailable member/none nick=Juliet")
        self.owner.received()
        romeo.sends(f"<presence type='probe' to='{ROOM}/Juliet'/>")
        self.assertReceived(romeo, "Juliet unavailable member/none nick=Juliet")

    def test_probe(self) -> None:
        """A probe for the nick of an absent user is answered; not for one who has no affiliation any more."""
        romeo = self.enter("romeo")
        for prober, line in (
            (romeo, "Juliet unavailable member/none nick=Juliet"),
            (self.owner, "Juliet unavailable member/none jid=juliet@localhost nick=Juliet"),
        ):
            prober.sends(f"<presence type='probe' to='{ROOM}/Juliet'/>")
            self.assertReceived(prober, line)
        self.change(affiliation("juliet@localhost", "none"))
        romeo.sends(f"<presence type='probe' to='{ROOM}/Juliet'/>")
        self.assertNothingReceived(romeo)

    def test_changed(self) -> None:
        """A change of an absent user's affiliation is shown by presence too; its loss as well."""
        romeo = self.enter("romeo")
        for word in ("owner", "none"):
            sendAdmin(self.owner, affiliation("juliet@localhost", word))
            self.assertReceived(romeo, f"Juliet unavailable {word}/none nick=Juliet")
            self.assertReceived(
                self.owner,
                f"room normal item juliet@localhost {word}",
                f"Juliet unavailable {word}/none jid=juliet@localhost nick=Juliet",
                "result q",
            )
        sendAdmin(self.owner, affiliation("nurse@localhost", "member"), affiliation("montague.example", "member"))
        self.assertNothingReceived(romeo)
        self.assertReceived(
            self.owner,
            "room normal item nurse@localhost member",
            "room unavailable member/none jid=nurse@localhost",
            "room normal item montague.example member",
            "result q",
        )

    def test_invisibleChanged(self) -> None:
        """A member whom nobody sees looks absent when their affiliation changes, until they become visible."""
        juliet, romeo = self.enter("juliet"), self.enter("romeo")
        self.change(role("Juliet", "visitor"))
        sendAdmin(self.owner, affiliation("juliet@localhost", "none"))
        self.assertReceived(romeo, "Juliet unavailable none/none nick=Juliet")
        self.assertReceived(juliet, "Juliet available none/visitor jid=juliet@localhost/a by=Owner 110")
        sendAdmin(self.owner, affiliation("juliet@localhost", "admin"))
        self.assertReceived(romeo, "Juliet available admin/moderator by=Owner")

    def test_switched(self) -> None:
        """That absent users are shown is announced with 102, and the end of it with 103 (§16.6.2)."""
        romeo = self.enter("romeo")
        configure(self.owner, presencebroadcast=SPEAKERS)
        self.assertReceived(romeo, "room groupchat 103")
        configure(self.owner, presencebroadcast=[*SPEAKERS, "none"])
        self.assertReceived(romeo, "room groupchat 102")

    def test_limit(self) -> None:
        """No more than the limit are shown."""
        self.patch(presencebroadcast, "ABSENT_LIMIT", 3)
        self.change(*(affiliation(f"n{number}@localhost", "member", nick=f"N{number}") for number in range(4)))
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.assertEqual(sum("unavailable" in line for line in summaries(romeo)), 3)


class ListTests(SlicedRoomTestCase):
    """A new moderator in a large room is sent the real JIDs of all in several turns."""

    count = 250

    def test_meanwhile(self) -> None:
        """Whoever leaves or becomes invisible before it is their turn is not shown as being there after that."""
        first, leaving = self.others[0], self.others[-1]
        configure(self.owner, presencebroadcast=SPEAKERS)
        self.settle()
        self.discardReceived()
        sendAdmin(self.owner, role("N0", "moderator"))
        self.turn()
        leave(leaving, f"N{self.count - 1}")
        sendAdmin(self.owner, role(f"N{self.count - 2}", "visitor"))
        self.assertTrue(self.server.muc.rooms.pacedSlices.isBusy)
        self.settle()
        lines = summaries(first)
        self.assertEqual(lines[-1].split()[0], f"N{self.count - 3}")
        for nick in (f"N{self.count - 1}", f"N{self.count - 2}"):
            self.assertEqual([line.split()[1] for line in lines if line.startswith(f"{nick} ")], ["unavailable"])
