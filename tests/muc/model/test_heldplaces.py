# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.heldplaces}: those who return after the server was killed, and those who do not."""

from __future__ import annotations

from typing import Any

from muccore.interfaces import Affiliate, Place, RoomChange
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.room import Room
from muccore.testing.doubles import FailingRoomStore
from muccore.xmpp import ns
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import parse
from tests.muc.extensions.test_places import AWAY, GONE, GRACE, PING, PlacesTestCase
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    affiliation,
    configure,
    join,
    leave,
    mucUser,
    role,
    say,
    sendAdmin,
    sendError,
    sendIQ,
    sendOwner,
    sendPresence,
    summaries,
)


class ReturnTests(PlacesTestCase):
    """Returning in time."""

    def test_join(self) -> None:
        """Whoever joins again gets everything, in the order of §7.1; others are told nothing."""
        self.assertEqual(
            self.returned,
            [
                "Juliet available none/participant jid=juliet@localhost/a show:xa",
                "Nurse available none/participant jid=nurse@localhost/a",
                "Romeo available owner/moderator jid=romeo@localhost/a 110",
                "Romeo groupchat subject:Love delayed",
            ],
        )
        juliet = self.client("juliet")
        join(juliet, "Juliet", AWAY, id="j")
        self.assertReceived(
            juliet,
            "Romeo available owner/moderator",
            "Nurse available none/participant",
            "Juliet available none/participant jid=juliet@localhost/a show:xa 110",
            "Romeo groupchat subject:Love delayed",
        )
        self.assertNothingReceived(self.romeo)
        self.endGrace()
        self.assertReceived(self.romeo, f"Nurse unavailable none/none jid=nurse@localhost/a {GONE}")
        self.assertReceived(juliet, f"Nurse unavailable none/none {GONE}")
        say(juliet, "Here")
        self.assertReceived(self.romeo, "Juliet groupchat body:Here")

    def test_otherPresence(self) -> None:
        """With another presence, others get that."""
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertIn("Juliet available none/participant jid=juliet@localhost/a 110", summaries(juliet))
        self.assertReceived(self.romeo, "Juliet available none/participant jid=juliet@localhost/a")

    def test_otherNick(self) -> None:
        """With another nick others get a nick change, and the client only what every newcomer gets."""
        juliet = self.client("juliet")
        join(juliet, "Julia", AWAY)
        self.assertReceived(
            juliet,
            "Romeo available owner/moderator",
            "Nurse available none/participant",
            "Julia available none/participant jid=juliet@localhost/a show:xa 110",
            "Romeo groupchat subject:Love delayed",
        )
        self.assertReceived(
            self.romeo,
            "Juliet unavailable none/participant jid=juliet@localhost/a nick=Julia 303",
            "Julia available none/participant jid=juliet@localhost/a show:xa",
        )
        self.endGrace()
        self.assertEqual(self.nicks(), ["Julia", "Romeo"])

    def test_refused(self) -> None:
        """Whoever is refused another presence or nick gets the error and nothing else, and is held still."""

        class Strict(RoomExtension):
            name = "strict"

            def beforePresence(self, room: Room, session: OccupantSession, payload: bytes) -> None:
                raise StanzaError("not-allowed")

        for address, nick, presence, error in (
            ("juliet/a", "Tybalt", AWAY, "conflict"),
            ("juliet/a", "Juliet", "", "not-allowed"),
            ("juliet/b", "Juliet", "", "not-allowed"),
        ):
            self.begin()
            self.kill(extensions=[Strict()])
            tybalt, juliet = self.enter("tybalt"), self.client(address)
            join(juliet, nick, presence)
            self.assertReceived(juliet, f"{nick} presence error cancel {error}")
            say(self.romeo, "Juliet?")
            self.assertNothingReceived(juliet)
            self.assertReceived(tybalt, "Romeo groupchat body:Juliet?")
            self.endGrace()
            self.assertIn(f"Juliet unavailable none/none {GONE}", summaries(tybalt))

    def test_newcomerStill(self) -> None:
        """How long somebody has been there is known."""
        self.assertEqual(self.room().occupants["Juliet"].since, 1_000_000_000)
        self.server.clock.advance(10)
        join(self.client("juliet/b"), "Juliet", AWAY)
        self.assertEqual(self.room().occupants["Juliet"].since, 1_000_000_000)

    def test_otherSpelling(self) -> None:
        """The nick in another spelling is no change."""
        juliet = self.client("juliet")
        join(juliet, "JULIET", AWAY)
        self.assertNothingReceived(self.romeo)
        self.assertIn("Juliet available none/participant jid=juliet@localhost/a show:xa 210 110", summaries(juliet))

    def test_otherResource(self) -> None:
        """
        Under another resource, only those who may see real JIDs are told the new one. The old place is gone, in the
        store as well.
        """
        nurse = self.client("nurse")
        join(nurse, "Nurse")
        self.discardReceived()
        juliet = self.client("juliet/b")
        join(juliet, "Juliet", AWAY)
        self.assertReceived(self.romeo, "Juliet available none/participant jid=juliet@localhost/b show:xa")
        self.assertNothingReceived(nurse)
        self.assertReceived(
            juliet,
            "Romeo available owner/moderator",
            "Nurse available none/participant",
            "Juliet available none/participant jid=juliet@localhost/b show:xa 110",
            "Romeo groupchat subject:Love delayed",
        )
        self.assertEqual(self.written()["Juliet"], ["juliet@localhost/b"])
        self.endGrace()
        self.assertNothingReceived()
        leave(juliet, "Juliet")
        self.assertReceived(nurse, "Juliet unavailable none/none")

    def test_otherResourceAndPresence(self) -> None:
        """With another presence as well, everybody is told once."""
        nurse = self.client("nurse")
        join(nurse, "Nurse")
        self.discardReceived()
        join(self.client("juliet/b"), "Juliet")
        self.assertReceived(self.romeo, "Juliet available none/participant jid=juliet@localhost/b")
        self.assertReceived(nurse, "Juliet available none/participant")

    def test_otherResourcePassword(self) -> None:
        """Another session has to know the password; the place stays."""
        configure(self.romeo, roomsecret="rose", passwordprotectedroom=True)
        juliet = self.client("juliet/b")
        join(juliet, "Juliet", AWAY)
        self.assertReceived(juliet, "Juliet presence error auth not-authorized")
        join(juliet, "Juliet", AWAY, password="rose")
        self.assertIn("Juliet available none/participant jid=juliet@localhost/b show:xa 110", summaries(juliet))

    def test_otherUser(self) -> None:
        """Nobody else gets the nick."""
        tybalt = self.client("tybalt/a")
        join(tybalt, "Juliet")
        self.assertReceived(tybalt, "Juliet presence error cancel conflict")

    def test_newcomer(self) -> None:
        """Who enters meanwhile sees those who have not returned."""
        tybalt = self.client("tybalt")
        join(tybalt, "Tybalt")
        self.assertReceived(
            tybalt,
            "Romeo available owner/moderator",
            "Juliet available none/participant show:xa",
            "Nurse available none/participant",
            "Tybalt available none/participant jid=tybalt@localhost/a 110",
            "Romeo groupchat subject:Love delayed",
        )

    def test_countedInFullRoom(self) -> None:
        """A held place counts in a full room, and lets its user in."""
        configure(self.romeo, maxusers="3")
        self.discardReceived()
        tybalt, juliet = self.client("tybalt"), self.client("juliet/b")
        join(tybalt, "Tybalt")
        self.assertReceived(tybalt, "Tybalt presence error wait service-unavailable")
        join(juliet, "Juliet", AWAY)
        self.assertIn("juliet@localhost/b", self.room().sessions)

    def test_leave(self) -> None:
        """Whoever returns only to leave, leaves at once and is told so."""
        juliet = self.client("juliet")
        leave(juliet, "Juliet")
        self.assertReceived(juliet, "Juliet unavailable none/none jid=juliet@localhost/a 110")
        self.assertReceived(self.romeo, "Juliet unavailable none/none jid=juliet@localhost/a")
        self.endGrace()
        self.assertReceived(self.romeo, f"Nurse unavailable none/none jid=nurse@localhost/a {GONE}")

    def test_logInAlone(self) -> None:
        """A session that only logs in and asks about the room is not sent anything, and has not returned."""
        juliet = self.client("juliet")
        sendIQ(juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        self.assertReceived(juliet, "result q")
        say(self.romeo, "Juliet?")
        self.assertNothingReceived(juliet)
        self.endGrace()
        self.assertNotIn("Juliet", self.nicks())
        self.assertNothingReceived(juliet)

    def test_secondSession(self) -> None:
        """Two sessions under one nick return one by one; others are told nothing."""
        self.begin()
        self.enter("juliet/b", "Juliet", "<show>dnd</show>")
        self.kill()
        self.assertIn("Juliet available none/participant jid=juliet@localhost/b,a show:dnd", self.returned)
        for address, children in (("juliet/a", AWAY), ("juliet/b", "<show>dnd</show>")):
            client = self.client(address)
            join(client, "Juliet", children)
            self.assertNothingReceived(self.romeo)
        self.assertEqual(self.written()["Juliet"], ["juliet@localhost/a", "juliet@localhost/b"])
        self.endGrace()
        self.assertEqual(self.nicks(), ["Juliet", "Romeo"])

    def test_secondSessionStaysAway(self) -> None:
        """If the session that others saw does not return, they see the other one at the end; nobody leaves."""
        self.begin()
        self.enter("juliet/b", "Juliet", "<show>dnd</show>")
        self.kill()
        join(self.client("juliet/a"), "Juliet", AWAY)
        self.assertNothingReceived(self.romeo)
        self.endGrace()
        self.assertEqual(
            [line for line in summaries(self.romeo) if line.startswith("Juliet")],
            ["Juliet available none/participant jid=juliet@localhost/a show:xa"],
        )

    def test_otherSessionReplaced(self) -> None:
        """If the place of a session is taken that others do not see, those who see all sessions are told."""
        self.begin()
        self.enter("juliet/b", "Juliet", "<show>dnd</show>")
        self.kill()
        join(self.client("juliet/b"), "Juliet", "<show>dnd</show>")
        self.assertNothingReceived(self.romeo)
        join(self.client("juliet/c"), "Juliet", AWAY)
        [presence] = self.romeo.received()
        items = [each.get("jid") for each in mucUser(presence).childElements() if each.name == "item"]
        self.assertEqual(items, ["juliet@localhost/b", "juliet@localhost/c"])

    def test_randomResources(self) -> None:
        """Two sessions with other resources take both places."""
        self.begin()
        self.enter("juliet/b", "Juliet")
        self.kill()
        for resource in "xy":
            join(self.client(f"juliet/{resource}"), "Juliet")
        self.assertEqual(sorted(self.written()["Juliet"]), ["juliet@localhost/x", "juliet@localhost/y"])
        self.discardReceived()
        self.endGrace()
        self.assertReceived(self.romeo, f"Nurse unavailable none/none jid=nurse@localhost/a {GONE}")

    def test_again(self) -> None:
        """A server that is killed again holds the places of those who have returned, and of those who have not."""
        join(self.client("juliet/b"), "Juliet", AWAY)
        self.kill()
        self.assertEqual(
            self.returned[:2],
            [
                "Nurse available none/participant jid=nurse@localhost/a",
                "Juliet available none/participant jid=juliet@localhost/b show:xa",
            ],
        )


class StillInsideTests(PlacesTestCase):
    """Clients that do not know that the server was away, such as those of components."""

    def setUp(self) -> None:
        """Nobody has returned."""
        self.begin()
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE)
        self.juliet, self.nurse = self.login("juliet", "nurse")

    def test_ping(self) -> None:
        """A self-ping takes the place back (XEP-0410 §3.3); others are told nothing."""
        sendIQ(self.juliet, "get", PING, to=f"{ROOM}/Juliet")
        sendIQ(self.nurse, "get", PING, to=f"{ROOM}/Nurse")
        self.assertReceived(self.juliet, "Juliet result q")
        self.assertReceived(self.nurse, "Nurse result q")
        say(self.juliet, "Here")
        self.assertReceived(self.nurse, "Juliet groupchat body:Here")
        self.server.clock.advance(GRACE)
        self.assertReceived(self.nurse, f"Romeo unavailable owner/none {GONE}")

    def test_pingAfterMiss(self) -> None:
        """
        Whoever has missed something is told to enter again, as if they were outside, which takes the place back. Others
        are told nothing.
        """
        sendIQ(self.juliet, "get", PING, to=f"{ROOM}/Juliet")
        say(self.juliet, "Nurse?")
        self.discardReceived()
        sendIQ(self.nurse, "get", PING, to=f"{ROOM}/Nurse")
        self.assertReceived(self.nurse, "Nurse error q cancel not-acceptable")
        join(self.nurse, "Nurse")
        self.assertEqual(
            summaries(self.nurse)[-2:],
            ["Juliet groupchat body:Nurse? delayed", "Romeo groupchat subject:Love delayed"],
        )
        self.assertNothingReceived(self.juliet)

    def test_pingOfAnotherNick(self) -> None:
        """A ping of a nick that nobody has comes from somebody inside, and takes the place back too (XEP-0410 §3.2)."""
        sendIQ(self.juliet, "get", PING, to=f"{ROOM}/Julia")
        self.assertReceived(self.juliet, "Julia error q cancel item-not-found")
        sendIQ(self.nurse, "get", PING, to=f"{ROOM}/Nurse")
        say(self.nurse, "Juliet?")
        self.assertReceived(self.juliet, "Nurse groupchat body:Juliet?")

    def test_pingOfAnotherSession(self) -> None:
        """A self-ping of a session that was not in the room is answered as always."""
        sendIQ(self.client("juliet/b"), "get", PING, to=f"{ROOM}/Juliet")
        self.assertReceived(self.clients[-1], "Juliet error q cancel not-acceptable")

    def test_message(self) -> None:
        """A message takes the place back too, or is refused as that of an outsider."""
        say(self.juliet, "Hello")
        self.assertReceived(self.juliet, "Juliet groupchat body:Hello")
        say(self.nurse, "Hello")
        self.assertReceived(self.nurse, "room message error modify not-acceptable")
        self.assertNothingReceived(self.juliet)

    def test_privateMessage(self) -> None:
        """So does a private message."""
        sendIQ(self.nurse, "get", PING, to=f"{ROOM}/Nurse")
        self.discardReceived()
        self.juliet.sends(f"<message type='chat' to='{ROOM}/Nurse'><body>Psst</body></message>")
        self.assertReceived(self.nurse, "Juliet chat body:Psst x")
        self.assertIsNone(self.room().sessions[self.juliet.address].held)

    def test_presence(self) -> None:
        """So does a presence update, which others see; whoever has missed something gets §7.2.18."""
        sendPresence(self.juliet, "Juliet", "<show>dnd</show>")
        self.assertReceived(self.juliet, "Juliet available none/participant jid=juliet@localhost/a show:dnd 110")
        sendPresence(self.nurse, "Nurse", "<show>dnd</show>")
        self.assertReceived(self.nurse, "Nurse unavailable none/none reason=You are not in the room. 110 307 333")
        self.assertNothingReceived(self.juliet)

    def test_renamed(self) -> None:
        """So does a nick change."""
        sendIQ(self.nurse, "get", PING, to=f"{ROOM}/Nurse")
        sendPresence(self.juliet, "Julia", AWAY)
        self.assertReceived(
            self.nurse,
            "Nurse result q",
            "Juliet unavailable none/participant nick=Julia 303",
            "Julia available none/participant show:xa",
        )

    def test_probe(self) -> None:
        """So does a probe."""
        self.juliet.sends(f"<presence type='probe' to='{ROOM}/Nurse'/>")
        join(self.nurse, "Nurse")
        self.discardReceived()
        self.juliet.sends(f"<presence type='probe' to='{ROOM}/Nurse'/>")
        self.assertReceived(self.juliet, "Nurse available none/participant")

    def test_bounced(self) -> None:
        """An error says that somebody has gone: they leave at once."""
        sendIQ(self.nurse, "get", PING, to=f"{ROOM}/Nurse")
        self.discardReceived()
        sendError(self.juliet, "gone", "presence")
        self.assertReceived(self.nurse, "Juliet unavailable none/none status:Removed because of an error: gone 333")
        self.server.clock.advance(GRACE)
        self.assertReceived(self.nurse, f"Romeo unavailable owner/none {GONE}")

    def test_sessionEnds(self) -> None:
        """Whoever has taken the place back by a self-ping leaves when the session ends."""
        sendIQ(self.nurse, "get", PING, to=f"{ROOM}/Nurse")
        sendIQ(self.juliet, "get", PING, to=f"{ROOM}/Juliet")
        self.discardReceived()
        self.juliet.dropConnection()
        self.assertReceived(self.nurse, "Juliet unavailable none/none")

    def test_missedBefore(self) -> None:
        """Whoever did not return between two kills may have missed something, and has to enter again."""
        sendIQ(self.nurse, "get", PING, to=f"{ROOM}/Nurse")
        server = self.server
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE)
        juliet, nurse = self.login("juliet", "nurse")
        sendIQ(juliet, "get", PING, to=f"{ROOM}/Juliet")
        self.assertReceived(juliet, "Juliet error q cancel not-acceptable")
        sendIQ(nurse, "get", PING, to=f"{ROOM}/Nurse")
        self.assertReceived(nurse, "Nurse result q")
        self.assertEqual(self.nicks(), ["Juliet", "Nurse", "Romeo"])

    def test_restoredSession(self) -> None:
        """A session that was saved at the end of the server has its place back, and gets what happens from then on."""
        address = parse(f"{ROOM}/Juliet")
        self.successResultOf(self.server.muc.sessionRestored(parse(self.juliet.address), address))
        self.assertNothingReceived()
        join(self.nurse, "Nurse", "<show>dnd</show>")
        self.assertReceived(self.juliet, "Nurse available none/participant show:dnd")
        self.juliet.dropConnection()
        self.assertIn("Juliet unavailable none/none", summaries(self.nurse))

    def test_restoredSessionOutside(self) -> None:
        """If it has no place any more, it is told so, as by §7.2.18; if the room cannot be loaded, too."""
        kicked = "Juliet unavailable none/none reason=You are not in the room. 110 307 333"
        self.server.clock.advance(GRACE)
        for room in (ROOM, f"nowhere@{HOST}"):
            self.successResultOf(self.server.muc.sessionRestored(parse(self.juliet.address), parse(f"{room}/Juliet")))
            self.assertReceived(self.juliet, kicked)
        store = FailingRoomStore(self.server.store)
        store.failing = frozenset({"load"})
        self.startServer(store, occupants=self.server.occupants)
        juliet = self.client("juliet")
        self.successResultOf(self.server.muc.sessionRestored(parse(juliet.address), parse(f"{ROOM}/Juliet")))
        self.assertReceived(juliet, kicked)
        self.flushLoggedErrors()

    def test_unannounced(self) -> None:
        """Nor does anybody know of a change that was stored and not announced."""
        self.begin()
        server = self.server
        change = RoomChange(affiliates={"juliet@localhost": Affiliate("member")})
        self.successResultOf(server.store.change(ROOM, change))
        self.startServer(server.store, occupants=server.occupants, occupantGrace=GRACE)
        nurse = self.client("nurse")
        sendIQ(nurse, "get", PING, to=f"{ROOM}/Nurse")
        self.assertReceived(nurse, "Nurse error q cancel not-acceptable")
        join(nurse, "Nurse")
        self.assertIn("Juliet available member/participant show:xa", summaries(nurse))

    def test_pointOfExtensions(self) -> None:
        """Extensions learn of it."""
        told: list[tuple[str, str]] = []
        self.begin()
        server = self.server

        class Told(RoomExtension):
            name = "told"

            def returned(self, room: Room, session: OccupantSession) -> None:
                told.append((room.jid.bare, session.jid))

        self.startServer(server.store, occupants=server.occupants, extensions=[Told()])
        juliet = self.client("juliet")
        sendIQ(juliet, "get", PING, to=f"{ROOM}/Juliet")
        self.assertEqual(told, [(ROOM, juliet.address)])


class AbsenceTests(PlacesTestCase):
    """What can be done with those who have not returned."""

    def test_privateMessage(self) -> None:
        """A private message to them is refused, to be tried again; not if one of their sessions has returned."""
        self.romeo.sends(f"<message type='chat' id='m' to='{ROOM}/Juliet'><body>Psst</body></message>")
        self.assertReceived(self.romeo, "Juliet message error wait recipient-unavailable")
        juliet = self.enter("juliet/b", "Juliet")
        self.romeo.sends(f"<message type='chat' id='m' to='{ROOM}/Juliet'><body>Psst</body></message>")
        self.assertReceived(juliet, "Romeo chat body:Psst x")
        self.assertNothingReceived(self.romeo)

    def test_request(self) -> None:
        """So is a request, even if a session of that address has logged in."""
        juliet = self.client("juliet")
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.VERSION}'/>", to=f"{ROOM}/Juliet")
        self.assertReceived(self.romeo, "Juliet error q wait recipient-unavailable")
        self.assertNothingReceived(juliet)

    def test_requestToVCard(self) -> None:
        """A request for the vCard goes to the account, as always."""
        sendIQ(self.romeo, "get", f"<vCard xmlns='{ns.VCARD_TEMP}'/>", to=f"{ROOM}/Juliet")
        self.assertReceived(self.romeo, "Juliet error q cancel service-unavailable by=None")

    def test_requestToTheOtherSession(self) -> None:
        """A request goes to the session that has returned, if that which others see has not."""
        self.begin()
        self.enter("juliet/b", "Juliet")
        self.kill()
        juliet = self.enter("juliet/a", "Juliet", AWAY)
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.VERSION}'/>", to=f"{ROOM}/Juliet")
        [request] = juliet.received()
        self.assertEqual((request.get("to"), request.get("from")), (juliet.address, f"{ROOM}/Romeo"))

    def test_kick(self) -> None:
        """They can be kicked, and enter again as anybody."""
        sendAdmin(self.romeo, role("Juliet", "none"))
        self.assertReceived(self.romeo, "result q", "Juliet unavailable none/none jid=juliet@localhost/a by=Romeo 307")
        juliet = self.client("juliet")
        sendIQ(juliet, "get", PING, to=f"{ROOM}/Juliet")
        self.assertReceived(juliet, "Juliet error q cancel not-acceptable")
        join(juliet, "Juliet")
        self.assertReceived(self.romeo, "Juliet available none/participant jid=juliet@localhost/a")

    def test_ban(self) -> None:
        """They can be banned."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "outcast"))
        self.assertReceived(
            self.romeo, "result q", "Juliet unavailable outcast/none jid=juliet@localhost/a by=Romeo 301"
        )
        join(self.client("juliet"), "Juliet", AWAY)
        self.assertReceived(self.clients[-1], "Juliet presence error auth forbidden")

    def test_role(self) -> None:
        """They can be given a role, which they find; and the server keeps it."""
        sendAdmin(self.romeo, role("Juliet", "visitor"))
        self.assertReceived(
            self.romeo, "result q", "Juliet available none/visitor jid=juliet@localhost/a by=Romeo show:xa"
        )
        self.kill()
        juliet = self.client("juliet")
        join(juliet, "Juliet", AWAY)
        self.assertIn("Juliet available none/visitor jid=juliet@localhost/a show:xa 110", summaries(juliet))

    def test_roleBeforeAnotherKill(self) -> None:
        """If the server is killed once more, they have to enter again still: they do not know their role."""
        sendAdmin(self.romeo, role("Juliet", "visitor"))
        self.kill()
        juliet = self.client("juliet")
        sendIQ(juliet, "get", PING, to=f"{ROOM}/Juliet")
        self.assertReceived(juliet, "Juliet error q cancel not-acceptable")

    def test_membersOnly(self) -> None:
        """When the room becomes members-only they are removed like others."""
        configure(self.romeo, membersonly=True)
        self.assertEqual(self.nicks(), ["Romeo"])
        self.assertEqual(self.written(), {"Romeo": ["romeo@localhost/a"]})

    def test_destroyed(self) -> None:
        """When the room is destroyed, all places are gone."""
        sendOwner(self.romeo, "<destroy/>")
        self.assertEqual(self.server.occupants.places(), {})
        self.endGrace()
        self.discardReceived()
        join(self.client("juliet"), "Juliet")
        own = "Juliet available owner/moderator jid=juliet@localhost/a 201 110"
        self.assertReceived(self.clients[-1], own, "room groupchat subject:")

    def test_listed(self) -> None:
        """They are among the items of the room."""
        sendIQ(self.romeo, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>")
        items = self.result(self.romeo).childElements()
        expected = [f"{ROOM}/{nick}" for nick in ("Juliet", "Nurse", "Romeo")]
        self.assertEqual(sorted(item.attributes["jid"] for item in items), expected)


class StoredTests(PlacesTestCase):
    """What is stored decides."""

    def change(self, **change: Any) -> None:
        """Change the stored room as if the server had been killed before it applied that."""
        self.begin()
        self.successResultOf(self.server.store.change(ROOM, RoomChange(**change)))
        self.kill()

    def affiliate(self, jid: str, word: str) -> None:
        """Store an affiliation."""
        self.change(affiliates={jid: Affiliate(word)})

    def test_banned(self) -> None:
        """Whoever is banned has no place, nor one in the next run."""
        self.affiliate("juliet@localhost", "outcast")
        self.assertEqual(self.nicks(), ["Nurse", "Romeo"])
        self.assertEqual(sorted(self.written()), ["Nurse", "Romeo"])

    def test_membersOnly(self) -> None:
        """Nor has who is no member of a members-only room."""
        self.begin()
        record = self.storedRecord()
        settings = {**record.settings, "membersOnly": True}
        self.successResultOf(self.server.store.change(ROOM, RoomChange(settings=settings, temporary=True)))
        self.kill()
        self.assertEqual(self.nicks(), ["Romeo"])

    def test_promoted(self) -> None:
        """Whoever has become an admin is a moderator."""
        self.affiliate("juliet@localhost", "admin")
        self.assertIn("Juliet available admin/moderator jid=juliet@localhost/a show:xa", self.returned)

    def test_demoted(self) -> None:
        """Whoever is an admin no more is no moderator."""
        self.begin()
        sendAdmin(self.clients[0], affiliation("juliet@localhost", "admin"))
        self.assertEqual(self.room().occupants["Juliet"].role.xmlName, "moderator")
        self.successResultOf(
            self.server.store.change(ROOM, RoomChange(affiliates={"juliet@localhost": Affiliate("none")}))
        )
        self.kill()
        self.assertIn("Juliet available none/participant jid=juliet@localhost/a show:xa", self.returned)

    def test_grantedRole(self) -> None:
        """A role that was granted comes back."""
        self.begin()
        sendAdmin(self.clients[0], role("Juliet", "moderator"))
        self.kill()
        juliet = self.client("juliet")
        join(juliet, "Juliet", AWAY)
        self.assertIn("Romeo available owner/moderator jid=romeo@localhost/a", summaries(juliet))
        self.assertEqual(self.room().occupants["Juliet"].role.xmlName, "moderator")

    def test_roomGone(self) -> None:
        """In a room that is gone there are no places; who enters, creates it."""
        self.begin()
        self.successResultOf(self.server.store.destroy(ROOM))
        self.kill()
        self.assertEqual(
            self.returned, ["Romeo available owner/moderator jid=romeo@localhost/a 201 110", "room groupchat subject:"]
        )
        self.assertEqual(self.written(), {"Romeo": ["romeo@localhost/a"]})

    def test_lockedRoom(self) -> None:
        """Nor are there in a room that was not configured yet."""
        self.startServer()
        join(self.client("romeo"), "Romeo")
        self.kill()
        self.assertIn("Romeo available owner/moderator jid=romeo@localhost/a 201 110", self.returned)
        configure(self.romeo)
        self.assertEqual(self.written(), {"Romeo": ["romeo@localhost/a"]})

    def test_nonsense(self) -> None:
        """Places that make no sense are dropped."""
        self.begin()
        store = self.server.occupants
        for n, place in enumerate(
            (
                Place("@", "A", "participant", "none", b""),
                Place("a@localhost/a", "A", "king", "none", b""),
                Place("a@localhost/a", "A", "participant", "king", b""),
                Place("a@localhost/a", "Romeo", "participant", "none", b""),
            )
        ):
            store.put(ROOM, place._replace(jid=place.jid + (str(n) if n else "")))
        self.kill()
        self.assertEqual(sorted(self.written()), ["Juliet", "Nurse", "Romeo"])
        self.assertEqual(self.nicks(), ["Juliet", "Nurse", "Romeo"])

    def test_cannotBeLoaded(self) -> None:
        """While the room cannot be loaded, nobody loses a place."""
        self.begin()
        store = FailingRoomStore(self.server.store)
        store.failing = frozenset({"load"})
        occupants = self.server.occupants
        self.startServer(store, occupants=occupants, occupantGrace=GRACE)
        romeo = self.client("romeo")
        join(romeo, "Romeo")
        self.assertReceived(romeo, "Romeo presence error wait internal-server-error")
        store.failing = frozenset()
        join(romeo, "Romeo")
        self.assertEqual(self.nicks(), ["Juliet", "Nurse", "Romeo"])
        self.flushLoggedErrors()
