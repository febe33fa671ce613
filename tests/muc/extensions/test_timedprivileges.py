# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.timedprivileges}: how bans, memberships and mutes end."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from muccore.muc.extensions import standardExtensions
from muccore.muc.extensions.timedprivileges import LONGEST_WAIT, RETRY
from muccore.muc.model import timedprivileges
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.room import Room
from muccore.muc.service.invitationpolicy import INVITER
from muccore.routing.component import Component
from muccore.testing.defaults import defaultOptions
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client, parseStanza
from muccore.xmpp import ns
from muccore.xmpp.datetimes import stamp
from tests.muc.extensions.timedhelpers import DAY, HOUR, TimedTestCase
from tests.muc.muchelpers import (
    ROOM,
    X,
    affiliation,
    codesOf,
    configure,
    execute,
    join,
    leave,
    register,
    role,
    say,
    sendAdmin,
    summaries,
)

OVER = "room normal body:room@conference.localhost: "


class SlowExtension(RoomExtension):
    """Prepares a room for as long as C{prepared} does not fire."""

    name = "slow"

    def __init__(self) -> None:
        self.prepared: Deferred[None] = Deferred()

    def loading(self, room: Room) -> Deferred[None]:
        """Wait."""
        return self.prepared


class BanTests(TimedTestCase):
    """Bans that end."""

    def test_ban(self) -> None:
        """It begins like any other ban (§9.1), and its reason tells when it ends."""
        self.execute(self.juliet, "ban", jid="tybalt@localhost", reason="A villain", duration="1d")
        reason = f"A villain ({self.until(DAY)})"
        self.assertReceived(
            self.tybalt, f"Tybalt unavailable outcast/none jid=tybalt@localhost/a by=Juliet reason={reason} 301 110"
        )
        self.assertReceived(self.paris, f"Tybalt unavailable outcast/none by=Juliet reason={reason} 301")
        self.assertReceived(
            self.juliet,
            f"Tybalt unavailable outcast/none jid=tybalt@localhost/a by=Juliet reason={reason} 301",
            "result q",
        )
        self.assertAffiliation("outcast", "tybalt@localhost")

    def test_end(self) -> None:
        """It ends on time, for all: moderators and the user are told, and the user may enter."""
        self.do("ban", occupant="Tybalt")
        self.advance(HOUR - 1)
        self.assertNothingReceived()
        join(self.tybalt, "Tybalt")
        self.assertReceived(self.tybalt, "Tybalt presence error auth forbidden")
        self.advance(1)
        absent = "room normal item tybalt@localhost none reason=The ban is over."
        self.assertEqual(self.received(self.owner, self.juliet, self.paris), [[absent], [absent], []])
        [message] = self.tybalt.received()
        self.assertEqual((message["from"], message["to"], codesOf(message)), (ROOM, "tybalt@localhost", [101]))
        self.assertEqual(message.childText("body"), f"{ROOM}: The ban is over.")
        self.assertAffiliation(None, "tybalt@localhost")
        self.assertNothingTimed()
        self.enter(self.tybalt)

    def test_clockSet(self) -> None:
        """It ends by the time of day, whatever that is set to meanwhile: that is what everybody was told."""
        clock = self.server.clock
        self.do("ban", occupant="Tybalt")
        clock.setBy = -HOUR
        self.advance(HOUR)
        self.assertAffiliation("outcast", "tybalt@localhost")
        clock.setBy = 0
        self.advance(LONGEST_WAIT)
        self.assertAffiliation(None, "tybalt@localhost")
        self.do("ban", jid="tybalt@localhost")
        clock.setBy = HOUR
        self.advance(LONGEST_WAIT)
        self.assertAffiliation(None, "tybalt@localhost")

    def test_before(self) -> None:
        """A member is a member again, with the reserved nick, unless somebody else has taken that."""
        for taken in (False, True):
            self.change(affiliation("tybalt@localhost", "member", nick="Prince"))
            self.do("ban", jid="tybalt@localhost")
            if taken:
                register(self.paris, "Prince")
                self.discardReceived()
            self.advance(HOUR)
            self.assertAffiliation("member", "tybalt@localhost")
            self.assertEqual(self.storedNicks().get("tybalt@localhost"), None if taken else "Prince")
            self.assertIn("room normal item tybalt@localhost member reason=The ban is over.", summaries(self.owner))
            self.change(affiliation("tybalt@localhost", "none"))

    def test_admin(self) -> None:
        """An owner may ban an admin, who is an admin again; an admin may not (§5.2.2)."""
        self.execute(self.juliet, "ban", jid="owner@localhost")
        self.assertEqual(self.failure(self.juliet), "This is not allowed.")
        self.do("ban", self.owner, jid="juliet@localhost")
        self.assertAffiliation("outcast", "juliet@localhost")
        self.advance(HOUR)
        self.assertAffiliation("admin", "juliet@localhost")

    def test_longer(self) -> None:
        """A ban may be made longer or shorter; what was there before stays what comes back."""
        self.change(affiliation("tybalt@localhost", "member"))
        for duration in ("1h", "1d", "2h"):
            self.do("ban", jid="tybalt@localhost", duration=duration)
        self.advance(2 * HOUR - 1)
        self.assertAffiliation("outcast", "tybalt@localhost")
        self.advance(1)
        self.assertAffiliation("member", "tybalt@localhost")
        self.assertNothingTimed()

    def test_forever(self) -> None:
        """A ban anew by a client has no end; one without change keeps its end. A permanent ban may get an end."""
        self.do("ban", jid="tybalt@localhost")
        reason = self.storedRecord().affiliates["tybalt@localhost"].reason
        self.change(affiliation("tybalt@localhost", "outcast", reason))
        self.assertNotEqual(self.timedRows(), {})
        self.change(affiliation("tybalt@localhost", "outcast", "For good"))
        self.assertNothingTimed()
        self.advance(DAY)
        self.assertAffiliation("outcast", "tybalt@localhost")
        self.do("ban", jid="tybalt@localhost")
        self.advance(HOUR)
        self.assertAffiliation(None, "tybalt@localhost")

    def test_lifted(self) -> None:
        """A ban that was lifted does not end again."""
        self.do("ban", jid="tybalt@localhost")
        self.change(affiliation("tybalt@localhost", "none"))
        self.assertNothingTimed()
        self.change(affiliation("tybalt@localhost", "outcast"))
        self.advance(DAY)
        self.assertAffiliation("outcast", "tybalt@localhost")

    def test_domain(self) -> None:
        """A domain may be banned for a time, too; nobody there gets a message."""
        self.do("ban", jid="localhost")
        self.assertEqual(list(self.room().occupants), ["Owner", "Juliet"])
        join(self.tybalt, "Tybalt")
        self.assertReceived(self.tybalt, "Tybalt presence error auth forbidden")
        self.advance(HOUR)
        self.assertNothingReceived(self.tybalt)
        self.enter(self.tybalt)

    def test_timedMember(self) -> None:
        """After a ban, a membership goes on until its own end; one that has ended does not come back."""
        for duration, back in (("2h", "member"), ("1m", None)):
            self.do("member", jid="tybalt@localhost", duration=duration)
            self.do("ban", jid="tybalt@localhost")
            self.advance(HOUR)
            self.assertAffiliation(back, "tybalt@localhost")
            self.advance(HOUR)
            self.assertAffiliation(None, "tybalt@localhost")
            self.assertNothingTimed()


class MembershipTests(TimedTestCase):
    """Memberships that end."""

    def test_open(self) -> None:
        """In an open room, the member stays without affiliation."""
        self.execute(self.juliet, "member", occupant="Tybalt")
        reason = self.until()
        self.assertReceived(self.paris, f"Tybalt available member/participant by=Juliet reason={reason}")
        self.discardReceived()
        self.advance(HOUR)
        self.assertReceived(
            self.tybalt, "Tybalt available none/participant jid=tybalt@localhost/a reason=The membership is over. 110"
        )
        self.assertReceived(self.paris, "Tybalt available none/participant reason=The membership is over.")
        self.assertNothingTimed()

    def test_membersOnly(self) -> None:
        """From a members-only room they are removed with status 321 (§9.4); one who is absent gets a message."""
        self.do("member", occupant="Tybalt")
        self.do("member", occupant="Paris")
        self.configureRoom(membersonly=True)
        leave(self.paris, "Paris")
        self.discardReceived()
        self.advance(HOUR)
        self.assertReceived(
            self.tybalt, "Tybalt unavailable none/none jid=tybalt@localhost/a reason=The membership is over. 321 110"
        )
        self.assertReceived(
            self.juliet,
            "room normal item paris@localhost none reason=The membership is over.",
            "Tybalt unavailable none/none jid=tybalt@localhost/a reason=The membership is over. 321",
        )
        self.assertReceived(
            self.paris, OVER + "The membership is over. item paris@localhost none reason=The membership is over. 101"
        )
        join(self.paris, "Paris")
        self.assertReceived(self.paris, "Paris presence error auth registration-required")

    def test_nick(self) -> None:
        """A member may register another nick meanwhile, which changes nothing; it ends with the membership."""
        self.do("member", occupant="Tybalt")
        register(self.tybalt, "Prince")
        self.advance(HOUR)
        self.assertEqual(self.storedNicks(), {})
        self.assertAffiliation(None, "tybalt@localhost")

    def test_promoted(self) -> None:
        """Another affiliation has no end; nor has a membership that was given up and regained."""
        self.do("member", occupant="Tybalt")
        self.change(affiliation("tybalt@localhost", "admin"))
        self.do("member", occupant="Paris")
        register(self.paris, None)
        register(self.paris, "Paris")
        self.assertNothingTimed()
        self.advance(DAY)
        self.assertAffiliation("admin", "tybalt@localhost")
        self.assertAffiliation("member", "paris@localhost")

    def test_form(self) -> None:
        """The lists of owners and admins in the configuration form count as well (§10.2)."""
        self.do("member", occupant="Tybalt")
        configure(self.owner, roomadmins=["tybalt@localhost", "juliet@localhost"])
        self.assertNothingTimed()
        self.assertAffiliation("admin", "tybalt@localhost")


class MuteTests(TimedTestCase):
    """Mutes."""

    def voice(self, nick: str = "Tybalt") -> str:
        """The role of an occupant."""
        return self.room().occupants[nick].role.xmlName

    def test_mute(self) -> None:
        """It begins as voice is revoked (§8.4), in an unmoderated room, too, and ends as it is granted (§8.3)."""
        self.execute(self.juliet, "mute", occupant="Tybalt", reason="Too loud")
        reason = f"Too loud ({self.until()})"
        self.assertReceived(
            self.tybalt, f"Tybalt available none/visitor jid=tybalt@localhost/a by=Juliet reason={reason} 110"
        )
        self.assertReceived(self.paris, f"Tybalt available none/visitor by=Juliet reason={reason}")
        self.discardReceived()
        say(self.tybalt, "Peace?")
        self.assertReceived(self.tybalt, "room message error auth forbidden")
        self.advance(HOUR)
        self.assertReceived(
            self.tybalt, "Tybalt available none/participant jid=tybalt@localhost/a reason=The mute is over. 110"
        )
        self.assertReceived(self.paris, "Tybalt available none/participant reason=The mute is over.")
        say(self.tybalt, "Peace!")
        self.assertReceived(self.paris, "Tybalt groupchat body:Peace!")
        self.assertNothingTimed()

    def test_noWayBack(self) -> None:
        """Neither leaving, another session or nick, nor registration, nor a switch to unmoderated gives voice back."""
        self.do("mute", occupant="Tybalt")
        leave(self.tybalt, "Tybalt")
        join(self.tybalt, "T")
        self.assertEqual(self.voice("T"), "visitor")
        join(self.client("tybalt/b"), "Prince")
        self.assertEqual(self.voice("Prince"), "visitor")
        register(self.tybalt, "T")
        self.assertEqual(self.voice("T"), "visitor")
        for moderated in (True, False):
            self.configureRoom(moderatedroom=moderated)
            self.assertEqual([self.voice("T"), self.voice("Prince")], ["visitor", "visitor"])
        self.change(affiliation("tybalt@localhost", "none"), affiliation("paris@localhost", "member"))
        self.change(affiliation("tybalt@localhost", "member"))
        self.assertEqual([self.voice("T"), self.voice("Paris")], ["visitor", "participant"])
        self.advance(HOUR)
        self.assertEqual([self.voice("T"), self.voice("Prince")], ["participant", "participant"])

    def test_unmoderated(self) -> None:
        """A switch to unmoderated gives voice to others."""
        self.configureRoom(moderatedroom=True)
        self.enter("nurse")
        self.change(role("Paris", "visitor"))
        self.do("mute", occupant="Tybalt")
        self.configureRoom(moderatedroom=False)
        found = [self.voice(nick) for nick in ("Tybalt", "Paris", "Nurse")]
        self.assertEqual(found, ["visitor", "visitor", "participant"])

    def test_moderated(self) -> None:
        """In a moderated room, those get voice back who had it, or would have it by entering."""
        self.configureRoom(moderatedroom=True)
        nurse = self.enter("nurse")
        self.change(role("Tybalt", "participant"))
        for nick in ("Tybalt", "Nurse"):
            self.do("mute", occupant=nick)
        self.do("mute", jid="mercutio@localhost")
        self.change(affiliation("paris@localhost", "member"))
        self.do("mute", occupant="Paris")
        self.enter("mercutio")
        self.advance(HOUR)
        found = [self.voice(nick) for nick in ("Tybalt", "Nurse", "Paris", "Mercutio")]
        self.assertEqual(found, ["participant", "visitor", "participant", "visitor"])
        self.assertEqual(nurse.received()[-1]["from"], f"{ROOM}/Paris")

    def test_granted(self) -> None:
        """A moderator ends a mute by giving voice, on request, too (§8.3, §8.6), or by the command."""
        approval = (
            f"<message to='{ROOM}'><x xmlns='jabber:x:data' type='submit'>"
            "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>"
            "<field var='muc#role'><value>participant</value></field>"
            "<field var='muc#jid'><value>tybalt@localhost/a</value></field>"
            "<field var='muc#roomnick'><value>Tybalt</value></field>"
            "<field var='muc#request_allow'><value>true</value></field></x></message>"
        )
        for grant in (
            lambda: sendAdmin(self.juliet, role("Tybalt", "participant")),
            lambda: self.juliet.sends(approval),
            lambda: self.execute(self.juliet, "unmute", jid="tybalt@localhost"),
        ):
            self.do("mute", occupant="Tybalt")
            grant()
            self.assertReceived(self.paris, "Tybalt available none/participant by=Juliet")
            self.assertNothingTimed()
            leave(self.tybalt, "Tybalt")
            self.enter(self.tybalt)
            self.assertEqual(self.voice(), "participant")
        self.advance(DAY)
        self.assertNothingReceived()

    def test_approvalWaits(self) -> None:
        """Approving a request for voice is announced once the end of the mute is durable."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.open(store)
        self.do("mute", occupant="Tybalt")
        store.holding = frozenset(["change"])
        sendAdmin(self.juliet, role("Tybalt", "participant"))
        self.assertNothingReceived()
        self.assertEqual(self.voice(), "visitor")
        store.release()
        self.assertReceived(self.paris, "Tybalt available none/participant by=Juliet")

    def test_admin(self) -> None:
        """Whoever becomes an admin is not muted any more, nor afterwards."""
        self.do("mute", occupant="Tybalt")
        self.change(affiliation("tybalt@localhost", "admin"))
        self.assertEqual(self.voice(), "moderator")
        self.assertNothingTimed()
        self.change(affiliation("tybalt@localhost", "none"))
        leave(self.tybalt, "Tybalt")
        self.enter(self.tybalt)
        self.assertEqual(self.voice(), "participant")

    def test_longer(self) -> None:
        """Muted again while it lasts, they have voice back at the later end."""
        self.configureRoom(moderatedroom=True)
        self.change(role("Tybalt", "participant"))
        self.do("mute", occupant="Tybalt")
        self.do("mute", occupant="Tybalt", duration="2h")
        self.advance(HOUR)
        self.assertEqual(self.voice(), "visitor")
        self.advance(HOUR)
        self.assertEqual(self.voice(), "participant")

    def test_everyNick(self) -> None:
        """All occupants of the account are muted."""
        join(self.client("tybalt/b"), "Prince")
        self.do("mute", occupant="Tybalt")
        self.assertEqual([self.voice(), self.voice("Prince")], ["visitor", "visitor"])

    def test_domain(self) -> None:
        """A domain cannot be muted, which would mute nobody; a component that is in the room can."""
        self.execute(self.juliet, "mute", jid="localhost")
        self.assertEqual(self.failure(self.juliet), "Only users can be muted, not domains.")
        self.assertNothingTimed()
        bridge = Component("bridge.localhost", self.server.router, self.server.clock)
        self.server.router.addDomain(bridge)
        bridge.connect(Client(bridge.name))
        bridge.stanzaReceived(parseStanza(f"<presence from='{bridge.name}' to='{ROOM}/Bot'>{X}</presence>"))
        self.do("mute", occupant="Bot")
        self.assertEqual(self.voice("Bot"), "visitor")


class TakenTests(TimedTestCase):
    """Voice that a moderator has taken (§5.1, §8.4), from a member and a guest of a moderated room."""

    fields = {"moderatedroom": True, "x-muc#roomconfig_selfregistration": "always"}

    def setUp(self) -> None:
        super().setUp()
        self.change(affiliation("paris@localhost", "member"), role("Tybalt", "participant"))

    def voice(self, nick: str = "Paris") -> str:
        """The role of an occupant."""
        return self.room().occupants[nick].role.xmlName

    def take(self, *nicks: str) -> None:
        """Take voice from occupants."""
        self.change(*(role(nick, "visitor", "Too loud") for nick in nicks))
        self.assertEqual({self.voice(nick) for nick in nicks}, {"visitor"})

    def rejoin(self, client: Client, nick: str) -> str:
        """Let a client return; the role then."""
        for occupant in list(self.room().occupants.values()):
            if client.address in occupant.sessions:
                leave(client, occupant.nick)
        self.enter(client, nick)
        return self.voice(nick)

    def test_rejoined(self) -> None:
        """A member does not get it back by entering again, under another nick or from another client."""
        self.take("Paris")
        self.assertEqual(self.rejoin(self.paris, "Paris"), "visitor")
        self.assertEqual(self.rejoin(self.paris, "P"), "visitor")
        self.assertEqual(self.rejoin(self.client("paris/b"), "Other"), "visitor")
        say(self.paris, "Peace?")
        self.assertReceived(self.paris, "room message error auth forbidden")

    def test_registered(self) -> None:
        """Neither by registering, nor by unregistering before that."""
        self.take("Paris", "Tybalt")
        register(self.tybalt, "Tybalt")
        register(self.paris, None)
        register(self.paris, "Paris")
        self.assertEqual(self.storedAffiliations()["paris@localhost"], "member")
        self.assertEqual((self.voice("Tybalt"), self.voice()), ("visitor", "visitor"))

    def test_restarted(self) -> None:
        """It stays taken over a restart; it is durable before it is announced."""
        self.take("Paris")
        self.assertEqual(self.timedRows(), {"timed-mutes": ["paris@localhost"]})
        self.restart()
        self.enter("paris")
        self.assertEqual(self.voice(), "visitor")

    def test_durable(self) -> None:
        """Nobody is told before it is stored, nor if that fails."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.open(store)
        self.change(role("Paris", "participant"))
        store.holding = frozenset(["change"])
        sendAdmin(self.juliet, role("Paris", "visitor"))
        self.assertNothingReceived()
        self.assertEqual(self.voice(), "participant")
        store.release()
        self.assertReceived(self.juliet, "result q", "Paris available none/visitor jid=paris@localhost/a by=Juliet")

    def test_configured(self) -> None:
        """A room that is not moderated any more gives voice to those from whom nobody took it."""
        self.enter("nurse")
        self.take("Paris")
        self.configureRoom(moderatedroom=False)
        self.assertEqual((self.voice(), self.voice("Nurse")), ("visitor", "participant"))

    def test_givenBack(self) -> None:
        """A moderator gives it back, also on request, or by the command, after which nothing is kept."""
        self.take("Paris")
        self.change(role("Paris", "participant"))
        self.assertNothingTimed()
        self.assertEqual(self.rejoin(self.paris, "Paris"), "participant")
        self.take("Paris")
        leave(self.paris, "Paris")
        self.do("unmute", jid="paris@localhost")
        self.assertNothingTimed()
        self.enter(self.paris)
        self.assertEqual(self.voice(), "participant")

    def test_madeMember(self) -> None:
        """An admin who makes somebody a member gives it back (§5.1.3); an invitation by a member does not."""
        self.take("Tybalt")
        self.change(affiliation("tybalt@localhost", "member"))
        self.assertEqual(self.voice("Tybalt"), "participant")
        self.assertNothingTimed()
        self.take("Tybalt")
        self.change(affiliation("tybalt@localhost", "member", nick="Tybalt"))
        self.assertEqual(self.voice("Tybalt"), "visitor")
        self.change(affiliation("tybalt@localhost", "none"))
        self.configureRoom(membersonly=True, allowinvites=True)
        self.paris.sends(f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'><invite to='tybalt@localhost'/></x></message>")
        self.assertEqual(self.storedAffiliations()["tybalt@localhost"], "member")
        self.assertEqual(self.rejoin(self.tybalt, "Tybalt"), "visitor")

    def test_own(self) -> None:
        """Moderators who give up their own may have it back."""
        self.change(role("Paris", "moderator"))
        sendAdmin(self.paris, role("Paris", "visitor"))
        self.assertNothingTimed()
        self.assertEqual(self.rejoin(self.paris, "Paris"), "participant")

    def test_listed(self) -> None:
        """It stands in the list of mutes, after those that end."""
        self.take("Paris")
        self.do("mute", occupant="Tybalt")
        execute(self.juliet, "x-muc#timed")
        command = self.result(self.juliet)
        x = command.child("x", ns.DATA)
        assert x is not None
        rows = [
            [field.childText("value") for field in item.childElements()]
            for item in x.childElements()
            if item.name == "item"
        ]
        self.assertEqual(
            rows,
            [
                ["mute", "tybalt@localhost", stamp(self.server.clock.seconds() + HOUR), self.until()],
                ["mute", "paris@localhost", None, "Too loud"],
            ],
        )

    def test_bounded(self) -> None:
        """Above the limit it is C{resource-constraint}, and nothing is taken."""
        self.patch(timedprivileges, "LIMIT", 1)
        self.take("Paris")
        sendAdmin(self.juliet, role("Tybalt", "visitor"))
        self.assertReceived(self.juliet, "error q cancel resource-constraint")
        self.assertEqual(self.voice("Tybalt"), "participant")


class EndTests(TimedTestCase):
    """Time, restarts and failures."""

    def begin(self) -> None:
        """Begin one of each, with different ends."""
        self.do("ban", jid="tybalt@localhost", duration="1h")
        self.do("mute", jid="paris@localhost", duration="2h")
        self.do("member", jid="nurse@localhost", duration="3h")

    def test_oneTimer(self) -> None:
        """However many there are, one timer waits."""
        before = len(self.server.clock.getDelayedCalls())
        other = ROOM.replace("room", "other")
        self.createRoom(self.owner, to=other)
        self.begin()
        self.execute(self.owner, "mute", to=other, jid="paris@localhost", duration="30m")
        self.assertEqual(len(self.server.clock.getDelayedCalls()), before + 1)
        self.advance(HOUR / 2)
        self.assertEqual(self.room(other).states["timed-mutes"], {})
        self.advance(HOUR / 2)
        self.assertAffiliation(None, "tybalt@localhost")
        self.advance(HOUR * 2)
        self.assertNothingTimed()
        self.assertEqual(len(self.server.clock.getDelayedCalls()), before)

    def test_bounded(self) -> None:
        """Deadlines that were replaced do not pile up."""
        extension = next(each for each in self.server.muc.rooms.extensions if each.name == "timed")
        for seconds in range(2000, 1000, -1):
            self.do("mute", occupant="Paris", duration=f"{seconds}s")
        self.assertLess(len(extension._heap), 100)
        self.advance(1001)
        self.assertNothingTimed()

    def test_restart(self) -> None:
        """They survive a restart, and end at the same time."""
        self.begin()
        self.restart()
        owner, tybalt, paris = self.login("owner", "tybalt", "paris")
        self.enter(owner, "Owner")
        join(tybalt, "Tybalt")
        self.assertReceived(tybalt, "Tybalt presence error auth forbidden")
        self.enter(paris)
        self.assertEqual(self.room().occupants["Paris"].role.xmlName, "visitor")
        self.advance(HOUR)
        self.assertIn("room normal item tybalt@localhost none reason=The ban is over.", summaries(owner))
        self.advance(HOUR)
        self.assertReceived(
            paris, "Paris available none/participant jid=paris@localhost/a reason=The mute is over. 110"
        )
        self.advance(HOUR)
        self.assertNothingTimed()

    def test_whileNotLoaded(self) -> None:
        """What has ended while the room was not in memory is changed before anybody enters, and the user told."""
        self.begin()
        self.restart()
        self.advance(3 * HOUR)
        self.assertAffiliation("outcast", "tybalt@localhost")
        tybalt, paris, nurse = self.available("tybalt", "paris", "nurse")
        join(paris, "Paris")
        self.assertEqual(self.room().occupants["Paris"].role.xmlName, "participant")
        self.assertNothingTimed()
        self.assertReceived(tybalt, OVER + "The ban is over. item tybalt@localhost none reason=The ban is over. 101")
        self.assertReceived(
            nurse, OVER + "The membership is over. item nurse@localhost none reason=The membership is over. 101"
        )
        self.enter(tybalt)

    def test_evicted(self) -> None:
        """A room that has left memory is not loaded because of an end."""
        self.begin()
        self.restart()
        self.server.muc.reconfigure(self.server.muc.options)
        paris = self.client("paris")
        self.enter(paris)
        leave(paris, "Paris")
        self.server.muc.rooms.forget(self.room())
        self.advance(3 * HOUR)
        self.assertNotIn(ROOM, self.server.muc.rooms.live)
        self.enter(paris)
        self.assertNothingTimed()

    def test_loadFails(self) -> None:
        """If the store refuses the end while the room is loaded, the room is there, and it is tried again."""
        failing = FailingRoomStore()
        self.open(failing)
        self.do("ban", jid="tybalt@localhost")
        self.restart()
        self.advance(HOUR)
        failing.failing = frozenset(["change"])
        tybalt, paris = self.available("tybalt", "paris")
        join(paris, "Paris")
        self.flushLoggedErrors()
        join(tybalt, "Tybalt")
        self.assertReceived(tybalt, "Tybalt presence error auth forbidden")
        failing.failing = frozenset()
        self.advance(RETRY)
        self.assertReceived(tybalt, OVER + "The ban is over. item tybalt@localhost none reason=The ban is over. 101")
        self.enter(tybalt)

    def test_loadsSlowly(self) -> None:
        """What ends while another extension still prepares the room ends after it was loaded."""
        self.do("ban", jid="tybalt@localhost")
        slow = SlowExtension()
        self.restart(extensions=[*standardExtensions(defaultOptions()), slow])
        self.advance(HOUR - 1)
        paris = self.client("paris")
        join(paris, "Paris")
        self.advance(1)
        self.assertNotIn(ROOM, self.server.muc.rooms.live)
        slow.prepared.callback(None)
        self.assertIn(ROOM, self.server.muc.rooms.live)
        self.advance(RETRY)
        self.assertAffiliation(None, "tybalt@localhost")
        self.assertNothingTimed()

    def test_storeFails(self) -> None:
        """If the store refuses the end, nothing is announced, and it is tried again."""
        failing = FailingRoomStore()
        self.open(failing)
        self.do("mute", occupant="Paris")
        failing.failing = frozenset(["change"])
        self.advance(HOUR)
        self.advance(RETRY)
        self.assertNothingReceived()
        failing.failing = frozenset()
        self.advance(RETRY - 1)
        self.assertNothingReceived()
        self.advance(1)
        self.assertReceived(self.tybalt, "Paris available none/participant reason=The mute is over.")
        self.assertNothingTimed()

    def test_durable(self) -> None:
        """Beginning and end are announced once they are durable; other changes wait, and are planned on the result."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.open(store)
        store.holding = frozenset(["change"])
        self.execute(self.juliet, "ban", jid="tybalt@localhost")
        self.assertNothingReceived()
        store.release()
        self.assertEqual(len(self.tybalt.received()), 1)
        self.discardReceived()
        sendAdmin(self.owner, affiliation("paris@localhost", "member"))
        self.advance(HOUR)
        self.assertEqual(store.held, ["change"])
        sendAdmin(self.juliet, affiliation("tybalt@localhost", "admin", "At last"), id="r")
        store.release()
        self.assertEqual(store.held, ["change"])
        self.discardReceived()
        self.assertNothingReceived()
        store.release()
        self.assertEqual(len(self.tybalt.received()), 1)
        self.assertReceived(
            self.juliet, "room normal item tybalt@localhost none reason=The ban is over.", "error r auth forbidden"
        )

    def test_destroyed(self) -> None:
        """The end of what was in a room that has ended changes nothing in a new one of its name."""
        self.do("ban", jid="tybalt@localhost")
        self.owner.sends(
            f"<iq type='set' id='d' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query></iq>"
        )
        self.createRoom(self.owner, persistentroom=True)
        self.change(affiliation("tybalt@localhost", "outcast"))
        self.advance(HOUR)
        self.assertNothingReceived()
        self.assertAffiliation("outcast", "tybalt@localhost")

    def test_locked(self) -> None:
        """In a room that is not configured yet, they are stored with it, as a later change has left them."""
        other = ROOM.replace("room", "other")
        join(self.paris, "Paris", to=other)
        for name, user in (("ban", "tybalt"), ("mute", "nurse"), ("member", "mercutio")):
            self.execute(self.paris, name, to=other, jid=f"{user}@localhost")
        configure(self.paris, to=other, roomadmins=["mercutio@localhost", "nurse@localhost"], persistentroom=True)
        self.assertEqual(self.timedRows(other), {"timed-affiliations": ["tybalt@localhost"]})
        self.advance(HOUR)
        self.assertEqual(self.timedRows(other), {})

    def test_limits(self) -> None:
        """Their number in a room is bounded; so is how many strangers somebody can have told of the end."""
        self.patch(timedprivileges, "LIMIT", 3)
        self.begin()
        for name in ("mute", "ban", "member"):
            self.execute(self.juliet, name, jid="mercutio@localhost")
            self.assertEqual(self.failure(self.juliet), "A room can have 3 timed bans, memberships and mutes.")
        self.do("ban", jid="tybalt@localhost")
        self.patch(timedprivileges, "LIMIT", 3000)
        for n in range(INVITER[0] - 2):
            self.do("member", jid=f"user{n}@localhost")
        self.execute(self.juliet, "member", jid="mercutio@localhost")
        self.assertReceived(self.juliet, "error q wait resource-constraint")
        self.do("member", occupant="Paris")

    def test_standard(self) -> None:
        """It is one of the standard extensions."""
        self.assertIn("timed", [each.name for each in standardExtensions(defaultOptions())])
