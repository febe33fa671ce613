# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.configuring}: what people hear when a room gets another configuration, or an end.
"""

from __future__ import annotations

from muccore import ns
from muccore.testing.defaults import defaultRoom
from tests.muc.theatre import NAME, Theatre, admin, affiliation, configure, heard, join, owner, role, say

CANCEL = f"<x xmlns='{ns.DATA}' type='cancel'/>"

INSTANT = f"<x xmlns='{ns.DATA}' type='submit'/>"


class Configured(Theatre):
    """
    A room with its owner, a member and two strangers.
    """

    def setUp(self) -> None:
        """
        They come in in this order.
        """
        super().setUp()
        self.romeo, self.juliet = self.client("romeo"), self.client("juliet")
        self.tybalt, self.nurse = self.client("tybalt"), self.client("nurse")

    def play(self, **fields: object) -> None:
        """
        The room is there and configured so.
        """
        self.open(self.romeo, **fields)
        admin(self.romeo, affiliation("juliet@localhost", "member"))
        self.admit((self.tybalt, "Tybalt"), (self.juliet, "Juliet"), (self.nurse, "Nurse"))
        self.quiet(self.romeo, self.juliet, self.tybalt)


class CodeTests(Configured):
    """
    §10.2.1: what of a change is told by which status code.
    """

    def told(self, **fields: object) -> None:
        """
        Change something, and take the owner's result.
        """
        configure(self.romeo, **fields)
        lines = heard(self.romeo)
        self.assertEqual(lines[0], "result q")
        self.codes = lines[1:]
        self.hear(self.juliet, *self.codes)

    def test_codes(self) -> None:
        """
        170 to 173 for what concerns privacy, 104 for everything else, after the result, to everybody, in one message.
        """
        self.play()
        for fields, line in (
            ({"enablelogging": True}, "room: +170"),
            ({"enablelogging": False}, "room: +171"),
            ({"whois": "anyone"}, "room: +172"),
            ({"whois": "moderators"}, "room: +173"),
            ({"roomname": "Orchard"}, "room: +104"),
            ({"roomdesc": "A wall"}, "room: +104"),
            ({"publicroom": False}, "room: +104"),
            ({"persistentroom": True}, "room: +104"),
            ({"allowpm": "none"}, "room: +104"),
            ({"allowinvites": True}, "room: +104"),
            ({"changesubject": True}, "room: +104"),
            ({"maxusers": "50"}, "room: +104"),
            ({"roomsecret": "rose"}, "room: +104"),
            ({"lang": "it"}, "room: +104"),
            ({"moderatedroom": True}, "room: +104"),
            ({"whois": "anyone", "enablelogging": True}, "room: +170 +172"),
            ({"whois": "moderators", "enablelogging": False, "roomname": "Tomb"}, "room: +171 +173 +104"),
        ):
            self.told(**fields)
            self.assertEqual(self.codes, [line], fields)

    def test_stanza(self) -> None:
        """
        The notice is a groupchat message from the room with nothing but the codes in it, not a subject change and
        not part of the history.
        """
        self.play()
        configure(self.romeo, roomname="Orchard")
        [message] = self.juliet.hears()
        self.assertEqual((message.get("type"), message.get("from")), ("groupchat", NAME))
        [x] = message.childElements()
        self.assertEqual([child.name for child in x.childElements()], ["status"])
        peter = self.client("peter")
        join(peter, "Peter")
        self.assertNotIn("room: +104", heard(peter))

    def test_nothing(self) -> None:
        """
        Whatever changes nothing is told to nobody: an empty form, the values that hold already, unknown fields.
        """
        self.play(roomname="Orchard", roomsecret="rose")
        for fields in (
            {},
            {"roomname": "Orchard"},
            {"roomsecret": "rose", "passwordprotectedroom": True},
            {"presencebroadcast": ["moderator"]},
            {"whois": "moderators", "publicroom": "true"},
        ):
            self.told(**fields)
            self.assertEqual(self.codes, [], fields)

    def test_first(self) -> None:
        """
        The first configuration of a room is no change: no 104. What its owner was told of his privacy as he entered
        is put right.
        """
        for fields, codes in (
            ({"roomname": "Orchard", "membersonly": True}, []),
            ({"whois": "anyone", "roomname": "Orchard"}, ["room: +172"]),
            ({"enablelogging": True}, ["room: +170"]),
        ):
            self.begin()
            romeo = self.client("romeo")
            join(romeo, "Romeo")
            self.quiet(romeo)
            configure(romeo, **fields)
            self.hear(romeo, "result q", *codes)


class WhoisTests(Configured):
    """
    Who sees real JIDs, before and after.
    """

    def test_both(self) -> None:
        """
        From the result on everybody sees them, or moderators only.
        """
        self.play()
        configure(self.romeo, whois="anyone")
        self.quiet(self.romeo, self.juliet, self.tybalt, self.nurse)
        admin(self.romeo, role("Nurse", "visitor"))
        self.hear(self.tybalt, "here Nurse none/visitor as nurse@localhost/a by Romeo")
        configure(self.romeo, whois="moderators")
        self.quiet(self.romeo, self.juliet, self.tybalt, self.nurse)
        admin(self.romeo, role("Nurse", "participant"))
        self.hear(self.tybalt, "here Nurse none/participant by Romeo")
        self.hear(self.romeo, "result q", "here Nurse none/participant as nurse@localhost/a by Romeo")

    def test_newcomers(self) -> None:
        """
        Who enters then is told with 100, and sees what he may see.
        """
        self.play()
        configure(self.romeo, whois="anyone", enablelogging=True)
        peter = self.client("peter")
        join(peter, "Peter")
        lines = heard(peter)
        self.assertIn("here Juliet member/participant as juliet@localhost/a", lines)
        self.assertIn("here Peter none/participant +100 +170 +110 as peter@localhost/a", lines)


class MembersOnlyTests(Configured):
    """
    A room becomes members-only (§10.2).
    """

    def test_strangers(self) -> None:
        """
        All who are no members are put out with 322: they hear first, each of himself alone; then the owner has his
        result, then the others hear of each, then of the change.
        """
        self.play()
        configure(self.romeo, membersonly=True)
        gone = "gone {} none/none +322{}"
        self.hear(self.tybalt, gone.format("Tybalt", " +110 as tybalt@localhost/a"))
        self.hear(self.nurse, gone.format("Nurse", " +110 as nurse@localhost/a"))
        self.hear(
            self.romeo,
            "result q",
            gone.format("Tybalt", " as tybalt@localhost/a"),
            gone.format("Nurse", " as nurse@localhost/a"),
            "room: +104",
        )
        self.hear(self.juliet, gone.format("Tybalt", ""), gone.format("Nurse", ""), "room: +104")
        join(self.tybalt, "Tybalt")
        self.hear(self.tybalt, "refused Tybalt auth registration-required")

    def test_withLists(self) -> None:
        """
        Who becomes an admin by the same form stays.
        """
        self.play()
        configure(self.romeo, membersonly=True, roomadmins=["nurse@localhost"])
        self.hear(
            self.nurse,
            "gone Tybalt none/none +322 as tybalt@localhost/a",
            "here Nurse admin/moderator +110 as nurse@localhost/a by Romeo",
            "here Romeo owner/moderator as romeo@localhost/a",
            "here Juliet member/participant as juliet@localhost/a",
            "room: +104",
        )

    def test_already(self) -> None:
        """
        A members-only room that is configured again puts nobody out.
        """
        self.play()
        configure(self.romeo, membersonly=True)
        self.quiet(self.juliet)
        configure(self.romeo, membersonly=True, roomname="Tomb")
        self.hear(self.juliet, "room: +104")

    def test_opened(self) -> None:
        """
        When it is open again, strangers come in.
        """
        self.play(membersonly=True)
        configure(self.romeo, membersonly=False)
        join(self.nurse, "Nurse")
        self.assertIn("here Nurse none/participant +110 as nurse@localhost/a", heard(self.nurse))


class ModeratedTests(Configured):
    """
    A room becomes moderated, or is so no more.
    """

    def test_unmoderated(self) -> None:
        """
        When a room is not moderated any more its visitors may speak, and everybody hears of it (§5.1.3).
        """
        self.play(moderatedroom=True)
        configure(self.romeo, moderatedroom=False)
        self.hear(
            self.juliet, "here Tybalt none/participant", "here Nurse none/participant", "room: +104"
        )
        self.quiet(self.tybalt)
        say(self.tybalt, "At last")
        self.hear(self.juliet, "Tybalt: At last")

    def test_moderated(self) -> None:
        """
        When it becomes moderated those who are in keep their voice; who enters then is a visitor.
        """
        self.play()
        configure(self.romeo, moderatedroom=True)
        self.quiet(self.tybalt, self.juliet)
        say(self.tybalt, "Still here")
        self.hear(self.juliet, "Tybalt: Still here")
        peter = self.client("peter")
        join(peter, "Peter")
        self.assertIn("here Peter none/visitor +110 as peter@localhost/a", heard(peter))


class HistoryTests(Configured):
    """
    The length of the history.
    """

    def test_shorter(self) -> None:
        """
        A shorter history forgets at once what is too much; a longer one brings nothing back.
        """
        self.play()
        for number in range(4):
            say(self.juliet, str(number))
        length = "<field var='muc#maxhistoryfetch'><value>{}</value></field>"
        for count in (2, 10):
            owner(self.romeo, f"<x xmlns='{ns.DATA}' type='submit'>{length.format(count)}</x>")
        peter = self.client("peter")
        join(peter, "Peter")
        self.assertEqual([line for line in heard(peter) if line.startswith("Juliet")], ["Juliet: 2", "Juliet: 3"])


class DestroyTests(Configured):
    """
    The end of a room (§10.9).
    """

    def test_all(self) -> None:
        """
        Each hears once, of himself alone, with the venue, its password and the reason; the owner's result comes last.
        """
        self.play()
        second = self.client("tybalt@localhost/b")
        self.admit((second, "Tybalt"))
        self.quiet(self.romeo, self.juliet, self.tybalt, self.nurse)
        owner(
            self.romeo,
            "<destroy jid='coven@chat.shakespeare.lit'><password>cauldron</password><reason>Macbeth</reason></destroy>",
        )
        told = "gone {} none/none +110 as {} destroyed coven@chat.shakespeare.lit password=cauldron reason=Macbeth"
        self.hear(self.romeo, told.format("Romeo", "romeo@localhost/a"), "result q")
        self.hear(self.juliet, told.format("Juliet", "juliet@localhost/a"))
        self.hear(self.tybalt, told.format("Tybalt", "tybalt@localhost/a"))
        self.hear(second, told.format("Tybalt", "tybalt@localhost/b"))
        self.assertIsNone(self.record())
        self.assertEqual(self.stage.muc.rooms.live, {})

    def test_bare(self) -> None:
        """
        Without venue and reason there is still the C{<destroy/>}; a persistent room ends as well.
        """
        self.play(persistentroom=True)
        owner(self.romeo, "<destroy/>")
        self.hear(self.juliet, "gone Juliet none/none +110 as juliet@localhost/a destroyed")
        self.assertIsNone(self.record())
        join(self.juliet, "Juliet")
        self.assertIn("here Juliet owner/moderator +201 +110 as juliet@localhost/a", heard(self.juliet))

    def test_order(self) -> None:
        """
        C{<destroy/>} stands behind C{<item/>}, and its C{<reason/>} is of C{muc#user}.
        """
        self.play()
        owner(self.romeo, "<destroy><reason>&lt;End&gt;</reason></destroy>")
        [presence] = self.juliet.hears()
        x = presence.child("x", ns.MUC_USER)
        assert x is not None
        self.assertEqual([child.name for child in x.childElements()], ["item", "destroy", "status"])
        destroy = x.child("destroy")
        assert destroy is not None
        reason = destroy.child("reason")
        assert reason is not None
        self.assertEqual((destroy.get("jid"), reason.text()), (None, "<End>"))

    def test_byOutsider(self) -> None:
        """
        An owner need not be in the room.
        """
        self.play()
        second = self.client("romeo@localhost/b")
        owner(second, "<destroy/>")
        self.hear(second, "result q")
        self.hear(self.juliet, "gone Juliet none/none +110 as juliet@localhost/a destroyed")

    def test_refused(self) -> None:
        """
        Nobody else may: C{forbidden}; nothing ends.
        """
        self.play()
        admin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.quiet(self.juliet, self.tybalt)
        for client in (self.juliet, self.tybalt, self.client("stranger")):
            owner(client, "<destroy/>")
            self.refused(client, "auth forbidden")
        owner(self.romeo, "<destroy jid='@@'/>")
        self.assertEqual(heard(self.romeo)[-1], "error q modify jid-malformed")
        self.assertIsNotNone(self.record())

    def test_locked(self) -> None:
        """
        A room that is not configured yet can be destroyed as well.
        """
        join(self.romeo, "Romeo")
        self.quiet(self.romeo)
        owner(self.romeo, "<destroy/>")
        self.hear(self.romeo, "gone Romeo none/none +110 as romeo@localhost/a destroyed", "result q")
        self.assertEqual(self.stage.muc.rooms.live, {})
        self.assertEqual(self.stage.clock.getDelayedCalls(), [])


class NewRoomTests(Theatre):
    """
    The first configuration (§10.1).
    """

    def setUp(self) -> None:
        """
        A room that has just been created.
        """
        super().setUp()
        self.romeo, self.juliet = self.client("romeo"), self.client("juliet")
        join(self.romeo, "Romeo")
        self.quiet(self.romeo)

    def test_instant(self) -> None:
        """
        §10.1.2: an empty form accepts the defaults and opens the room.
        """
        owner(self.romeo, INSTANT)
        self.hear(self.romeo, "result q")
        self.assertEqual(self.room().settings, defaultRoom(maxUsers=self.stage.muc.options.maxUsersLimit))
        join(self.juliet, "Juliet")
        self.assertIn("here Juliet none/participant +110 as juliet@localhost/a", heard(self.juliet))

    def test_form(self) -> None:
        """
        §10.1.3: asking for the form does not open it; sending it back does.
        """
        owner(self.romeo, type="get")
        x = self.answer(self.romeo).child("x", ns.DATA)
        assert x is not None
        self.assertTrue(self.room().locked)
        join(self.juliet, "Juliet")
        self.hear(self.juliet, "refused Juliet cancel item-not-found")
        configure(self.romeo, roomname="Orchard")
        self.hear(self.romeo, "result q")
        record = self.record()
        assert record is not None
        self.assertEqual((record.name, record.temporary, record.public), ("Orchard", True, True))

    def test_cancelled(self) -> None:
        """
        §10.1.3: if the owner cancels it the room is destroyed, and he is told so.
        """
        owner(self.romeo, CANCEL)
        self.hear(self.romeo, "gone Romeo none/none +110 as romeo@localhost/a destroyed", "result q")
        self.assertEqual(self.stage.muc.rooms.live, {})
        self.assertIsNone(self.record())
        join(self.juliet, "Juliet")
        self.assertIn("here Juliet owner/moderator +201 +110 as juliet@localhost/a", heard(self.juliet))

    def test_unacceptable(self) -> None:
        """
        §10.1.3: a bad configuration is refused; the room stays locked, and the owner can try again.
        """
        configure(self.romeo, passwordprotectedroom=True)
        self.refused(self.romeo, "modify not-acceptable")
        self.assertTrue(self.room().locked)
        self.assertIsNone(self.record())
        configure(self.romeo, passwordprotectedroom=True, roomsecret="rose")
        self.hear(self.romeo, "result q")
        join(self.juliet, "Juliet")
        self.hear(self.juliet, "refused Juliet auth not-authorized")

    def test_lists(self) -> None:
        """
        Admins and owners can be named from the start.
        """
        configure(self.romeo, roomadmins=["juliet@localhost"], roomowners=["romeo@localhost", "nurse@localhost"])
        self.assertEqual(
            self.stored(),
            {"romeo@localhost": "owner", "juliet@localhost": "admin", "nurse@localhost": "owner"},
        )
