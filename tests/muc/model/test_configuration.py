# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.configuration}: what occupants receive when a room is configured or destroyed."""

from __future__ import annotations

from muccore.xmpp import ns
from tests.muc.muchelpers import (
    ROOM,
    MUCTestCase,
    affiliation,
    configure,
    join,
    role,
    say,
    sendAdmin,
    sendOwner,
    summaries,
)

CANCEL = f"<x xmlns='{ns.DATA}' type='cancel'/>"

INSTANT = f"<x xmlns='{ns.DATA}' type='submit'/>"


class ConfigurationTestCase(MUCTestCase):
    """A room with its owner, a member and two strangers."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.login("romeo", "juliet")
        self.tybalt, self.nurse = self.login("tybalt", "nurse")

    def openRoom(self, **fields: object) -> None:
        """Configure the room, and let everybody in who may enter."""
        self.createRoom(self.romeo, **fields)
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member"))
        for client, nick in ((self.tybalt, "Tybalt"), (self.juliet, "Juliet"), (self.nurse, "Nurse")):
            join(client, nick, password=fields.get("roomsecret"))
        self.discardReceived()


class CodeTests(ConfigurationTestCase):
    """Status codes of a change (§10.2.1)."""

    def configureRoom(self, **fields: object) -> None:
        """Configure the room; the notices that follow the result, which everybody has received."""
        configure(self.romeo, **fields)
        lines = summaries(self.romeo)
        self.assertEqual(lines[0], "result q")
        self.codes = lines[1:]
        self.assertReceived(self.juliet, *self.codes)

    def test_codes(self) -> None:
        """
        Codes 170 to 173 announce what concerns privacy, 104 everything else, after the result, to everybody, in one
        message.
        """
        self.openRoom()
        for fields, line in (
            ({"enablelogging": True}, "room groupchat 170"),
            ({"enablelogging": False}, "room groupchat 171"),
            ({"whois": "anyone"}, "room groupchat 172"),
            ({"whois": "moderators"}, "room groupchat 173"),
            ({"roomname": "Orchard"}, "room groupchat 104"),
            ({"roomdesc": "A wall"}, "room groupchat 104"),
            ({"publicroom": False}, "room groupchat 104"),
            ({"persistentroom": True}, "room groupchat 104"),
            ({"allowpm": "none"}, "room groupchat 104"),
            ({"allowinvites": True}, "room groupchat 104"),
            ({"changesubject": True}, "room groupchat 104"),
            ({"maxusers": "50"}, "room groupchat 104"),
            ({"roomsecret": "rose"}, "room groupchat 104"),
            ({"lang": "it"}, "room groupchat 104"),
            ({"moderatedroom": True}, "room groupchat 104"),
            ({"persistentroom": False}, "room groupchat 104"),
            ({"muc#maxhistoryfetch": "5"}, "room groupchat 104"),
            ({"x-muc#roomconfig_reservednick": True}, "room groupchat 104"),
            ({"presencebroadcast": ["moderator", "participant", "visitor", "none"]}, "room groupchat 102"),
            ({"presencebroadcast": ["moderator", "participant"]}, "room groupchat 103 104"),
            ({"whois": "anyone", "enablelogging": True}, "room groupchat 170 172"),
            ({"whois": "moderators", "enablelogging": False, "roomname": "Tomb"}, "room groupchat 171 173 104"),
        ):
            self.configureRoom(**fields)
            self.assertEqual(self.codes, [line], fields)

    def test_stanza(self) -> None:
        """The notice is a groupchat message from the room with nothing but codes; it is not part of the history."""
        self.openRoom()
        configure(self.romeo, roomname="Orchard")
        [message] = self.juliet.received()
        self.assertEqual((message.get("type"), message.get("from")), ("groupchat", ROOM))
        [x] = message.childElements()
        self.assertEqual([child.name for child in x.childElements()], ["status"])
        peter = self.client("peter")
        join(peter, "Peter")
        self.assertNotIn("room groupchat 104", summaries(peter))

    def test_nothing(self) -> None:
        """
        A form that changes nothing is announced to nobody: empty, with the current values, or with unknown fields.
        """
        self.openRoom(roomname="Orchard", roomsecret="rose")
        for fields in (
            {},
            {"roomname": "Orchard"},
            {"roomsecret": "rose", "passwordprotectedroom": True},
            {"presencebroadcast": ["visitor", "moderator", "participant"]},
            {"captcha_protected": ["1"]},
            {"whois": "moderators", "publicroom": "true"},
        ):
            self.configureRoom(**fields)
            self.assertEqual(self.codes, [], fields)

    def test_first(self) -> None:
        """
        The first configuration is not announced with 104; what concerns the privacy of the owner, who is in already,
        is.
        """
        for fields, codes in (
            ({"roomname": "Orchard", "membersonly": True}, []),
            ({"whois": "anyone", "roomname": "Orchard"}, ["room groupchat 172"]),
            ({"enablelogging": True}, ["room groupchat 170"]),
        ):
            self.setUp()
            join(self.romeo, "Romeo")
            self.discardReceived()
            configure(self.romeo, **fields)
            self.assertReceived(self.romeo, "result q", *codes)


class WhoisTests(ConfigurationTestCase):
    """Who sees real JIDs before and after a change."""

    def test_both(self) -> None:
        """After the result everybody sees real JIDs, or moderators only."""
        self.openRoom()
        configure(self.romeo, whois="anyone")
        self.discardReceived()
        sendAdmin(self.romeo, role("Nurse", "visitor"))
        self.assertReceived(self.tybalt, "Nurse available none/visitor jid=nurse@localhost/a by=Romeo")
        configure(self.romeo, whois="moderators")
        self.discardReceived()
        sendAdmin(self.romeo, role("Nurse", "participant"))
        self.assertReceived(self.tybalt, "Nurse available none/participant by=Romeo")
        self.assertReceived(self.romeo, "result q", "Nurse available none/participant jid=nurse@localhost/a by=Romeo")

    def test_newcomers(self) -> None:
        """Whoever enters then is informed with 100 and 170, and sees real JIDs."""
        self.openRoom()
        configure(self.romeo, whois="anyone", enablelogging=True)
        peter = self.client("peter")
        join(peter, "Peter")
        lines = summaries(peter)
        self.assertIn("Juliet available member/participant jid=juliet@localhost/a", lines)
        self.assertIn("Peter available none/participant jid=peter@localhost/a 100 170 110", lines)


class MembersOnlyTests(ConfigurationTestCase):
    """A room becomes members-only (§10.2)."""

    def test_strangers(self) -> None:
        """
        All who are not members are removed with 322: they receive it first, each about themselves alone; then the owner
        has the result, and the others are informed of each removal and of the change.
        """
        self.openRoom()
        configure(self.romeo, membersonly=True)

        gone = {
            nick: f"{nick.capitalize()} unavailable none/none jid={nick}@localhost/a 322"
            for nick in ("tybalt", "nurse")
        }
        self.assertReceived(self.tybalt, f"{gone['tybalt']} 110")
        self.assertReceived(self.nurse, f"{gone['nurse']} 110")
        self.assertReceived(self.romeo, "result q", *gone.values(), "room groupchat 104")
        self.assertReceived(
            self.juliet, "Tybalt unavailable none/none 322", "Nurse unavailable none/none 322", "room groupchat 104"
        )
        join(self.tybalt, "Tybalt")
        self.assertReceived(self.tybalt, "Tybalt presence error auth registration-required")

    def test_withLists(self) -> None:
        """Whoever becomes an admin by the same form stays."""
        self.openRoom()
        configure(self.romeo, membersonly=True, roomadmins=["nurse@localhost"])
        self.assertReceived(
            self.nurse,
            "Tybalt unavailable none/none jid=tybalt@localhost/a 322",
            "Nurse available admin/moderator jid=nurse@localhost/a by=Romeo 110",
            "Romeo available owner/moderator jid=romeo@localhost/a",
            "Juliet available member/participant jid=juliet@localhost/a",
            "room groupchat 104",
        )

    def test_already(self) -> None:
        """Configuring a members-only room again removes nobody."""
        self.openRoom()
        configure(self.romeo, membersonly=True)
        self.discardReceived()
        configure(self.romeo, membersonly=True, roomname="Tomb")
        self.assertReceived(self.juliet, "room groupchat 104")

    def test_opened(self) -> None:
        """Strangers can enter when the room is open again."""
        self.openRoom(membersonly=True)
        configure(self.romeo, membersonly=False)
        join(self.nurse, "Nurse")
        self.assertIn("Nurse available none/participant jid=nurse@localhost/a 110", summaries(self.nurse))


class ModeratedTests(ConfigurationTestCase):
    """A room becomes moderated, or no longer is."""

    def test_unmoderated(self) -> None:
        """When a room is no longer moderated its visitors have voice, and everybody is informed (§5.1.3)."""
        self.openRoom(moderatedroom=True)
        configure(self.romeo, moderatedroom=False)
        self.assertReceived(
            self.juliet, "Tybalt available none/participant", "Nurse available none/participant", "room groupchat 104"
        )
        self.discardReceived()
        say(self.tybalt, "At last")
        self.assertReceived(self.juliet, "Tybalt groupchat body:At last")

    def test_moderated(self) -> None:
        """When a room becomes moderated its occupants keep their voice; whoever enters then is a visitor."""
        self.openRoom()
        configure(self.romeo, moderatedroom=True)
        self.discardReceived()
        say(self.tybalt, "Still here")
        self.assertReceived(self.juliet, "Tybalt groupchat body:Still here")
        peter = self.client("peter")
        join(peter, "Peter")
        self.assertIn("Peter available none/visitor jid=peter@localhost/a 110", summaries(peter))


class HistoryTests(ConfigurationTestCase):
    """The length of the history."""

    def test_shorter(self) -> None:
        """A shorter history drops messages at once; a longer one brings none back."""
        self.openRoom()
        for number in range(4):
            say(self.juliet, str(number))
        for count in (2, 10):
            configure(self.romeo, **{"muc#maxhistoryfetch": count})
        peter = self.client("peter")
        join(peter, "Peter")
        self.assertEqual(
            [line for line in summaries(peter) if "body" in line],
            ["Juliet groupchat body:2 delayed", "Juliet groupchat body:3 delayed"],
        )


class DestroyTests(ConfigurationTestCase):
    """Destroying a room (§10.9)."""

    def test_all(self) -> None:
        """
        Each session receives one presence of its own occupant with venue, password and reason; the result comes last.
        """
        self.openRoom()
        second = self.client("tybalt/b")
        self.enter(second, "Tybalt")
        sendOwner(
            self.romeo,
            "<destroy jid='coven@chat.shakespeare.lit'><password>cauldron</password><reason>Macbeth</reason></destroy>",
        )
        for client, nick, others in (
            (self.juliet, "Juliet", ""),
            (self.tybalt, "Tybalt", ",b"),
            (second, "Tybalt", ",a"),
            (self.romeo, "Romeo", ""),
        ):
            destroyed = "destroy=coven@chat.shakespeare.lit password=cauldron reason=Macbeth"
            result = ["result q"] if client is self.romeo else []
            gone = f"{nick} unavailable none/none jid={client.address}{others} {destroyed} 110"
            self.assertReceived(client, gone, *result)
        self.assertIsNone(self.record())
        self.assertEqual(self.server.muc.rooms.live, {})

    def test_bare(self) -> None:
        """Without venue and reason there is still C{<destroy/>}; a persistent room ends as well."""
        self.openRoom(persistentroom=True)
        sendOwner(self.romeo, "<destroy/>")
        self.assertReceived(self.juliet, "Juliet unavailable none/none jid=juliet@localhost/a destroy 110")
        self.assertIsNone(self.record())
        join(self.juliet, "Juliet")
        self.assertReceived(self.juliet, "Juliet presence error cancel gone")

    def test_order(self) -> None:
        """C{<destroy/>} follows C{<item/>}, and its C{<reason/>} is of C{muc#user}."""
        self.openRoom()
        sendOwner(self.romeo, "<destroy><reason>&lt;End&gt;</reason></destroy>")
        [presence] = self.juliet.received()
        x = presence.child("x", ns.MUC_USER)
        assert x is not None
        self.assertEqual([child.name for child in x.childElements()], ["item", "destroy", "status"])
        destroy = x.child("destroy")
        assert destroy is not None
        reason = destroy.child("reason")
        assert reason is not None
        self.assertEqual((destroy.get("jid"), reason.text()), (None, "<End>"))

    def test_byOutsider(self) -> None:
        """An owner need not be in the room."""
        self.openRoom()
        second = self.client("romeo/b")
        sendOwner(second, "<destroy/>")
        self.assertReceived(second, "result q")
        self.assertReceived(self.juliet, "Juliet unavailable none/none jid=juliet@localhost/a destroy 110")

    def test_refused(self) -> None:
        """Nobody but owners may destroy the room: C{forbidden}."""
        self.openRoom()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.discardReceived()
        for client in (self.juliet, self.tybalt, self.client("stranger")):
            sendOwner(client, "<destroy/>")
            self.assertReceived(client, "error q auth forbidden")
        sendOwner(self.romeo, "<destroy jid='@@'/>")
        self.assertEqual(summaries(self.romeo)[-1], "error q modify jid-malformed")
        self.assertIsNotNone(self.record())

    def test_locked(self) -> None:
        """A room that is not configured yet can be destroyed, and leaves no timer."""
        join(self.romeo, "Romeo")
        self.discardReceived()
        sendOwner(self.romeo, "<destroy/>")
        self.assertReceived(self.romeo, "Romeo unavailable none/none jid=romeo@localhost/a destroy 110", "result q")
        self.assertEqual(self.server.muc.rooms.live, {})
        self.assertEqual(self.server.clock.getDelayedCalls(), [])


class NewRoomTests(MUCTestCase):
    """The first configuration (§10.1)."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.login("romeo", "juliet")
        join(self.romeo, "Romeo")
        self.discardReceived()

    def test_instant(self) -> None:
        """An empty form accepts the defaults and unlocks the room (§10.1.2)."""
        sendOwner(self.romeo, INSTANT)
        self.assertReceived(self.romeo, "result q")
        join(self.juliet, "Juliet")
        self.assertIn("Juliet available none/participant jid=juliet@localhost/a 110", summaries(self.juliet))

    def test_form(self) -> None:
        """Asking for the form does not unlock the room; submitting it does (§10.1.3)."""
        sendOwner(self.romeo, type="get")
        x = self.result(self.romeo).child("x", ns.DATA)
        assert x is not None
        self.assertTrue(self.room().locked)
        join(self.juliet, "Juliet")
        self.assertReceived(self.juliet, "Juliet presence error cancel item-not-found")
        configure(self.romeo, roomname="Orchard")
        self.assertReceived(self.romeo, "result q")
        record = self.storedRecord()
        self.assertEqual((record.name, record.temporary, record.public), ("Orchard", True, True))

    def test_cancelled(self) -> None:
        """Cancelling the form destroys the room (§10.1.3)."""
        sendOwner(self.romeo, CANCEL)
        self.assertReceived(self.romeo, "Romeo unavailable none/none jid=romeo@localhost/a destroy 110", "result q")
        self.assertEqual(self.server.muc.rooms.live, {})
        self.assertIsNone(self.record())
        join(self.juliet, "Juliet")
        self.assertIn("Juliet available owner/moderator jid=juliet@localhost/a 201 110", summaries(self.juliet))

    def test_unacceptable(self) -> None:
        """A bad configuration is refused; the room stays locked, and the owner can try again (§10.1.3)."""
        configure(self.romeo, passwordprotectedroom=True)
        self.assertReceived(self.romeo, "error q modify not-acceptable")
        self.assertTrue(self.room().locked)
        self.assertIsNone(self.record())
        configure(self.romeo, passwordprotectedroom=True, roomsecret="rose")
        self.assertReceived(self.romeo, "result q")
        join(self.juliet, "Juliet")
        self.assertReceived(self.juliet, "Juliet presence error auth not-authorized")

    def test_lists(self) -> None:
        """Admins and owners can be named in the first configuration."""
        configure(self.romeo, roomadmins=["juliet@localhost"], roomowners=["romeo@localhost", "nurse@localhost"])
        self.assertEqual(
            self.storedAffiliations(),
            {"romeo@localhost": "owner", "juliet@localhost": "admin", "nurse@localhost": "owner"},
        )
