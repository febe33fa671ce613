# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.room}: a room alone, without a server. What people hear who send it stanzas is in
L{tests.muc.test_attendance}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.element import Element
from muccore.errors import StanzaError
from muccore.interfaces import Affiliate, Subject
from muccore.jid import parse
from muccore.muc.affiliations import Affiliations
from muccore.muc.occupant import Seat
from muccore.muc.privileges import Affiliation, Role
from muccore.muc.room import Entry, Room
from muccore.muc.settings import RoomSettings
from muccore.testing.defaults import defaultRoom
from muccore.testing.stage import parseStanza
from tests.muc.company import ROOM, Listener, codesOf, itemOf, short


class RoomTestCase(SynchronousTestCase):
    """
    A room with an owner's entry, in which nobody is.
    """

    settings = defaultRoom()

    def setUp(self) -> None:
        """
        Make it.
        """
        self.now = 1_000_000_000.0
        self.affiliations = Affiliations({"owner@localhost": Affiliate("owner")})
        self.room = Room(parse(ROOM), self.settings, self.affiliations, lambda: self.now)
        self.ears: dict[str, Listener] = {}

    def enter(self, address: str, nick: str) -> Seat:
        """
        Let somebody in whose full JID is C{address} at localhost.
        """
        user, _, resource = address.partition("/")
        full = f"{user}@localhost/{resource or 'r'}"
        listener = self.ears[full] = Listener()
        self.room.enter(Entry(parse(full), nick, listener.deliver, b""))
        return self.room.seats[full]

    def heard(self, seat: Seat) -> list[Element]:
        """
        What a session has heard since the last time.
        """
        listener = self.ears[seat.jid]
        heard, listener.heard = listener.heard, []
        return [parseStanza(data.decode()) for data in heard]

    def told(self, seat: Seat) -> list[str]:
        """
        The same in short.
        """
        return [short(stanza) for stanza in self.heard(seat)]

    def forget(self) -> None:
        """
        Everybody forgets what he has heard.
        """
        for listener in self.ears.values():
            listener.heard.clear()


class WhoTests(RoomTestCase):
    """
    Who is who.
    """

    def test_occupantsOf(self) -> None:
        """
        An entry for a bare JID is about all nicks of that user; one for a domain about everybody there who has no
        entry that stands before it.
        """
        self.affiliations.update({"member@localhost": Affiliate("member"), "nick@localhost": Affiliate("none", "N")})
        for address, nick in (("romeo/a", "A"), ("romeo/b", "B"), ("member", "M"), ("nick", "N"), ("owner", "O")):
            self.enter(address, nick)

        def nicks(key: str) -> list[str]:
            return [occupant.nick for occupant in self.room.occupantsOf(key)]

        self.assertEqual(nicks("romeo@localhost"), ["A", "B"])
        self.assertEqual(nicks("localhost"), ["A", "B", "N"])
        self.assertEqual(nicks("elsewhere"), [])
        self.assertEqual(nicks("nobody@localhost"), [])

    def test_occupantOf(self) -> None:
        """
        Only who is in with this very session is an occupant by it.
        """
        seat = self.enter("romeo/a", "Romeo")
        self.assertIs(self.room.occupantOf("romeo@localhost/a"), seat.occupant)
        self.assertIsNone(self.room.occupantOf("romeo@localhost/b"))
        self.assertIsNone(self.room.occupantOf("romeo@localhost"))

    def test_record(self) -> None:
        """
        What is written down of a room is all that it needs to be itself again.
        """
        self.room.settings = defaultRoom(name="Orchard", public=False, persistent=True)
        self.room.subject = Subject("Fire", "Owner", 5.0)
        record = self.room.record()
        self.assertEqual(RoomSettings.fromMapping(record.settings, defaultRoom()), self.room.settings)
        self.assertEqual(record.affiliates, {"owner@localhost": Affiliate("owner")})
        self.assertEqual(
            (record.subject, record.name, record.public, record.temporary), (self.room.subject, "Orchard", False, False)
        )

    def test_seesJIDs(self) -> None:
        """
        Real JIDs are for moderators; for everybody where that is the rule; for nobody else (§7.2.4).
        """
        owner, romeo = self.enter("owner", "Owner"), self.enter("romeo", "Romeo")
        self.assertEqual((owner.seesJIDs, romeo.seesJIDs), (True, False))
        romeo.occupant.role = Role.MODERATOR
        self.room.reckon(romeo.occupant)
        self.assertTrue(romeo.seesJIDs)
        romeo.occupant.role = Role.PARTICIPANT
        self.room.reckon(romeo.occupant)
        self.assertFalse(romeo.seesJIDs)
        self.room.settings = defaultRoom(nonAnonymous=True)
        self.room.reckon(romeo.occupant)
        self.assertTrue(romeo.seesJIDs)

    def test_cache(self) -> None:
        """
        A newcomer sees everybody as he is now, whatever has been rendered before.
        """
        romeo = self.enter("romeo", "Romeo")
        self.enter("a", "A")
        changes = (
            lambda: self.room.presence(romeo, b"<show>xa</show>"),
            lambda: self.room.rename(romeo, "R", b"<show>dnd</show>"),
            lambda: (setattr(romeo.occupant, "role", Role.VISITOR), self.room.reckon(romeo.occupant)),
            lambda: self.enter("romeo/b", "R"),
            lambda: self.room.leave(self.room.seats["romeo@localhost/b"]),
        )
        seen = []
        for n, change in enumerate(changes):
            change()
            for nick in (f"x{n}", f"y{n}"):
                [line] = [line for line in self.told(self.enter(nick, nick)) if line.startswith("R")]
            seen.append(line)
        self.assertEqual(
            seen,
            [
                "Romeo available none/participant show:xa",
                "R available none/participant show:dnd",
                "R available none/visitor show:dnd",
                "R available none/visitor",
                "R available none/visitor show:dnd",
            ],
        )


class ModeratedTests(RoomTestCase):
    """
    A moderated room.
    """

    settings = defaultRoom(moderated=True)

    def test_roles(self) -> None:
        """
        Who is not affiliated enters as a visitor (§5.1.2).
        """
        self.affiliations.update({"member@localhost": Affiliate("member"), "admin@localhost": Affiliate("admin")})
        roles = [self.enter(name, name).occupant.role for name in ("stranger", "member", "admin", "owner")]
        self.assertEqual(roles, [Role.VISITOR, Role.PARTICIPANT, Role.MODERATOR, Role.MODERATOR])


class PuttingOutTests(RoomTestCase):
    """
    Who is put out.
    """

    def setUp(self) -> None:
        """
        The owner, Romeo with two sessions, and Juliet are in.
        """
        super().setUp()
        self.owner = self.enter("owner", "Owner")
        self.first, self.second = self.enter("romeo/a", "Romeo"), self.enter("romeo/b", "Romeo")
        self.juliet = self.enter("juliet", "Juliet")
        self.forget()

    def test_expel(self) -> None:
        """
        All his sessions hear it and are out at once; the others hear it when they are told.
        """
        notice = self.room.expel(self.first.occupant, (307,), "Owner", "late")
        for seat in (self.first, self.second):
            [own] = self.heard(seat)
            self.assertEqual(codesOf(own), [307, 110])
            item = itemOf(own)
            self.assertEqual(item.attributes, {"affiliation": "none", "role": "none", "jid": seat.jid})
            self.assertEqual([child.toXml() for child in item.childElements()], [
                "<actor xmlns='http://jabber.org/protocol/muc#user' nick='Owner'/>",
                "<reason xmlns='http://jabber.org/protocol/muc#user'>late</reason>",
            ])
            self.assertNotIn(seat.jid, self.room.seats)
        self.assertNotIn("Romeo", self.room.occupants)
        self.assertEqual(self.told(self.juliet), [])
        self.room.tell(notice)
        self.assertEqual(self.told(self.juliet), ["Romeo unavailable none/none 307"])
        self.assertEqual(self.told(self.owner), ["Romeo unavailable none/none jid=romeo@localhost/b 307"])
        self.assertEqual(self.told(self.first), [])

    def test_empty(self) -> None:
        """
        When everybody goes each hears of himself alone, and nobody is in.
        """
        self.room.empty((332,))
        for seat in (self.owner, self.first, self.second, self.juliet):
            [line] = self.told(seat)
            self.assertTrue(line.startswith(f"{seat.occupant.nick} unavailable "), line)
            self.assertTrue(line.endswith(f"/none jid={seat.jid} 332 110"), line)
        self.assertEqual((self.room.occupants, self.room.seats), ({}, {}))

    def test_emptyOtherwise(self) -> None:
        """
        Another affiliation and another child can be shown (§10.9).
        """
        self.room.empty(affiliation=Affiliation.NONE, extra=b"<destroy/>")
        [gone] = self.heard(self.owner)
        self.assertEqual(itemOf(gone).get("affiliation"), "none")
        self.assertIn("destroy", gone.toXml())

    def test_refusedTellsNobody(self) -> None:
        """
        One who is refused leaves no trace, and nobody hears of him.
        """
        listener = Listener()
        entry = Entry(parse("paris@localhost/r"), "Romeo", listener.deliver, b"")
        self.assertRaises(StanzaError, self.room.enter, entry)
        self.assertEqual(listener.heard, [])
        self.assertEqual([self.told(seat) for seat in (self.owner, self.first, self.juliet)], [[], [], []])
        self.assertEqual(len(self.room.seats), 4)


class SubjectTests(RoomTestCase):
    """
    The subject for one who enters (§7.2.15).
    """

    def test_noNick(self) -> None:
        """
        A subject that the room itself has set comes from the room.
        """
        self.room.subject = Subject("Fire", "", 0.0)
        self.assertEqual(
            self.room.subjectMessage().toXml(),
            f"<message xmlns='jabber:client' from='{ROOM}' type='groupchat'><subject>Fire</subject>"
            f"<delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:00Z' from='{ROOM}'/></message>",
        )
