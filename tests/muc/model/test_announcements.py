# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.announcements}: changed affiliations are announced with what extensions add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muccore.interfaces import Affiliate
from muccore.muc.model.extension import AffiliationStamps, RoomExtension
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.room import Room
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from tests.muc.muchelpers import ROOM, MUCTestCase, affiliation, configure, join, role, sendAdmin


class Stamps(RoomExtension):
    """
    Numbers the announcements for some sessions, and keeps the last affiliation of everybody.

    @ivar groups: what those sessions get, by full JID.
    @ivar keys: what was announced, request by request.
    """

    name = "stamps"

    def __init__(self) -> None:
        self.groups: dict[str, str] = {}
        self.keys: list[list[str]] = []

    def stampEntry(self, room: Room, session: OccupantSession) -> bytes:
        """Stamp the entry of each."""
        return f"<entry xmlns='urn:x' of='{session.jid}'/>".encode()

    def affiliationRows(self, room: Room, changes: Mapping[str, Affiliate | None]) -> Mapping[str, Any]:
        """Keep what was before."""
        olds = {jid: room.affiliations.entry(jid) for jid in changes}
        return {jid: None if old is None else old.affiliation for jid, old in olds.items()}

    def stampAffiliations(self, room: Room, keys: Sequence[str]) -> AffiliationStamps | None:
        """Number them for each group."""
        self.keys.append(list(keys))
        made = {
            (key, group): f"<{group} xmlns='urn:x' number='{number}'/>".encode()
            for number, key in enumerate(keys)
            for group in self.groups.values()
        }
        return AffiliationStamps(self.groups, made) if self.groups else None


class AnnouncerTests(MUCTestCase):
    """A room of Romeo's with Juliet and Nurse, of whom Nurse gets stamps."""

    def startServer(self, store: Any = None, **options: Any) -> None:
        super().startServer()
        self.stamps = Stamps()
        self.server = InMemoryServer(store, extensions=[self.stamps])

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet, self.nurse = self.login("romeo", "juliet", "nurse")
        self.createRoom(self.romeo, persistentroom=True)
        self.enterAll(self.juliet, self.nurse)

    def names(self, client: Client) -> list[list[str]]:
        """What is in the C{<x/>} of each stanza, of IQs nothing."""
        found = []
        for stanza in client.received():
            x = stanza.child("x", ns.MUC_USER)
            children = () if x is None else x.childElements()
            found.append([f"{child.name}{child.get('number') or ''}" for child in children])
        return found

    def test_entry(self) -> None:
        """Only the presence that tells of the entry has the stamp for that."""
        paris = self.client("paris")
        for _ in range(2):
            join(paris, "Paris")
            names = self.names(paris)
            self.assertEqual(names, [["item"], ["item"], ["item"], ["item", "entry", "status"], []])
        self.assertEqual(self.names(self.juliet), [["item"]])

    def test_stamps(self) -> None:
        """
        Absent users come first, then those who are removed, then the others, each with the next stamp. Sessions without
        group get the same without stamp; who may not see real JIDs learns nothing of absent users.
        """
        self.stamps.groups = {self.romeo.address: "r", self.nurse.address: "n"}
        self.enter("paris")
        self.stamps.keys.clear()
        sendAdmin(
            self.romeo,
            affiliation("nurse@localhost", "member"),
            affiliation("paris@localhost", "outcast"),
            affiliation("tybalt@localhost", "member"),
        )
        self.assertEqual(self.stamps.keys, [["tybalt@localhost", "paris@localhost", "nurse@localhost"]])
        self.assertEqual(self.names(self.romeo), [["r0", "item"], [], ["status", "item", "r1"], ["item", "r2"]])
        self.assertEqual(self.names(self.nurse), [["status", "item", "n1"], ["item", "n2", "status"]])
        self.assertEqual(self.names(self.juliet), [["status", "item"], ["item"]])

    def test_nobodyAsks(self) -> None:
        """Without groups everything is as without extension."""
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "member"), affiliation("nurse@localhost", "member"))
        self.assertReceived(
            self.romeo,
            "room normal item tybalt@localhost member",
            "result q",
            "Nurse available member/participant jid=nurse@localhost/a by=Romeo",
        )
        self.assertReceived(self.juliet, "Nurse available member/participant by=Romeo")
        configure(self.romeo, whois="anyone")
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "none"))
        self.assertReceived(self.juliet, "room normal item tybalt@localhost none")

    def test_noAffiliation(self) -> None:
        """Roles and nicks are not announced as affiliations."""
        self.stamps.groups = {self.romeo.address: "r"}
        sendAdmin(self.romeo, role("Juliet", "visitor"))
        sendAdmin(self.romeo, affiliation("romeo@localhost", "owner", nick="Montague"))
        self.assertEqual(self.stamps.keys, [])
        self.assertEqual(self.names(self.romeo), [[], ["item"], []])

    def test_domain(self) -> None:
        """The entry of a domain is announced itself, besides what it changes for occupants."""
        self.stamps.groups = {self.romeo.address: "r"}
        sendAdmin(self.romeo, affiliation("localhost", "member"))
        self.assertEqual(self.stamps.keys, [["localhost"]])
        self.assertReceived(
            self.romeo,
            "room normal r item localhost member",
            "result q",
            "Juliet available member/participant jid=juliet@localhost/a by=Romeo",
            "Nurse available member/participant jid=nurse@localhost/a by=Romeo",
        )

    def test_sameForOccupant(self) -> None:
        """An entry that changes nothing for its occupant is announced as that of an absent user."""
        sendAdmin(self.romeo, affiliation("localhost", "member"))
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member"))
        self.assertReceived(self.romeo, "room normal item juliet@localhost member", "result q")
        self.assertNothingReceived()

    def test_rows(self) -> None:
        """What it keeps of a change is stored with the change, and in memory."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "member"))
        sendAdmin(self.romeo, affiliation("juliet@localhost", "none"), affiliation("nurse@localhost", "admin"))
        self.assertEqual(self.storedRecord().states["stamps"], {"juliet@localhost": "member"})
        sendAdmin(self.romeo, affiliation("juliet@localhost", "outcast"))
        self.assertNotIn("stamps", self.storedRecord().states)
        self.assertEqual(self.room().record(), self.storedRecord())

    def test_rowsOfNewRoom(self) -> None:
        """A room that is stored for the first time is stored with them."""
        other = ROOM.replace("room", "other")
        join(self.romeo, "Romeo", to=other)
        configure(self.romeo, to=other, roomowners=["romeo@localhost", "juliet@localhost"])
        configure(self.romeo, to=other, roomadmins=["juliet@localhost"], roomowners=["romeo@localhost"])
        self.assertEqual(self.storedRecord(other).states["stamps"], {"juliet@localhost": "owner"})
        self.assertEqual(self.room(other).record(), self.storedRecord(other))
