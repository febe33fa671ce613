# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.service.tombstones}: rooms that an owner has destroyed (XEP-0045 §10.9, RFC 6120 §8.3.3.5)."""

from __future__ import annotations

from typing import Any

from muccore.interfaces import Affiliate
from muccore.muc.service import tombstones
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import parse
from tests.muc.muchelpers import (
    HOST,
    ROOM,
    RoomTestCase,
    affiliation,
    configure,
    join,
    leave,
    say,
    sendAdmin,
    sendIQ,
    sendOwner,
    sendPresence,
)

_DESTROY = f"<destroy jid='other@{HOST}'><reason>We move.</reason><password>secret</password></destroy>"
_VENUE = f"xmpp:other@{HOST}?join"
_DAY = 86400


class DestroyedTestCase(RoomTestCase):
    """A persistent room that its owner destroys."""

    fields: dict[str, Any] = {"persistentroom": True}

    def destroy(self, payload: str = _DESTROY) -> None:
        """Destroy the room as its owner."""
        sendOwner(self.owner, payload)
        self.assertIn("result", [stanza.get("type") for stanza in self.owner.received()])
        self.discardReceived()

    def error(self, client: Client) -> Element:
        """The C{<error/>} of the one stanza that a client has received."""
        [stanza] = client.received()
        error = stanza.child("error")
        assert error is not None, stanza.toXml()
        return error

    def assertGone(self, client: Client, uri: str | None = _VENUE, text: str | None = "We move.") -> None:
        """Check that a client is told that the room is gone, and where to go."""
        error = self.error(client)
        self.assertEqual((error.get("type"), error.get("by")), ("cancel", ROOM))
        gone, told = error.child("gone", ns.STANZA_ERRORS), error.child("text", ns.STANZA_ERRORS)
        assert gone is not None, error.toXml()
        self.assertEqual(gone.text() or None, uri)
        self.assertEqual(None if told is None else told.text(), text)


class TombstoneTests(DestroyedTestCase):
    """A room that was open to everybody."""

    def setUp(self) -> None:
        super().setUp()
        self.destroy()
        self.juliet = self.client("juliet")

    def test_entering(self) -> None:
        """Whoever wants to enter is told that it is gone, with the address to go to; no room is created."""
        join(self.juliet, "Juliet")
        self.assertGone(self.juliet)
        self.assertEqual(self.server.muc.rooms.live, {})

    def test_everythingElse(self) -> None:
        """So is who sends a message, or a request; a self-ping must not seem to be of another nick (XEP-0410 §3.2)."""
        for client, request in (
            (self.juliet, lambda: say(self.juliet, "Anybody?")),
            (self.juliet, lambda: self.juliet.sends(f"<message to='{ROOM}'><body>x</body></message>")),
            (self.juliet, lambda: sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")),
            (self.juliet, lambda: sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>")),
            (self.juliet, lambda: sendIQ(self.juliet, "get", f"<ping xmlns='{ns.PING}'/>", to=f"{ROOM}/Juliet")),
            (self.juliet, lambda: sendIQ(self.juliet, "get", f"<query xmlns='{ns.VERSION}'/>", to=f"{ROOM}/Owner")),
            (self.juliet, lambda: sendAdmin(self.juliet, affiliation("a@b", "member"))),
            (self.owner, lambda: sendOwner(self.owner, type="get")),
            (self.owner, lambda: say(self.owner, "Anybody?")),
        ):
            request()
            self.assertGone(client)

    def test_leaving(self) -> None:
        """Leaving is not answered, and presence that is no join is answered as from outside of any room."""
        leave(self.juliet, "Juliet")
        self.assertNothingReceived()
        sendPresence(self.juliet, "Juliet")
        [presence] = self.juliet.received()
        self.assertEqual(presence.get("type"), "error" if presence.child("error") else "unavailable")
        self.assertNotIn("gone", presence.toXml())

    def test_notListed(self) -> None:
        """It is not listed."""
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", to=HOST)
        self.assertEqual(list(self.result(self.juliet).childElements()), [])

    def test_afterRestart(self) -> None:
        """After a restart it is gone still."""
        self.startServer(self.server.store)
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertGone(juliet)

    def test_expires(self) -> None:
        """After 30 days anybody can create it."""
        self.server.clock.advance(30 * _DAY - 1)
        join(self.juliet, "Juliet")
        self.assertGone(self.juliet)
        self.server.clock.advance(1)
        join(self.juliet, "Juliet")
        self.assertEqual(self.room().affiliations.entry("juliet@localhost"), Affiliate("owner"))

    def test_ownerCreates(self) -> None:
        """A former owner can create it anew; once it is stored, everybody finds a room as any other."""
        join(self.owner, "Owner")
        self.assertReceived(
            self.owner, "Owner available owner/moderator jid=owner@localhost/a 201 110", "room groupchat subject:"
        )
        join(self.juliet, "Juliet")
        self.assertEqual(next(each.name for each in self.error(self.juliet).childElements()), "item-not-found")
        configure(self.owner)
        self.discardReceived()
        self.enter(self.juliet)
        for client, nick in ((self.juliet, "Juliet"), (self.owner, "Owner")):
            leave(client, nick)
        self.discardReceived()
        join(self.juliet, "Juliet")
        self.assertEqual(self.room().affiliations.entry("juliet@localhost"), Affiliate("owner"))

    def test_ownerCancels(self) -> None:
        """If they cancel that, it is gone as before."""
        join(self.owner, "Owner")
        sendOwner(self.owner, f"<x xmlns='{ns.DATA}' type='cancel'/>")
        self.discardReceived()
        join(self.juliet, "Juliet")
        self.assertGone(self.juliet)

    def test_ownerMayNotCreate(self) -> None:
        """They need permission to create rooms as everybody does."""
        self.startServer(self.server.store, creation="nobody")
        owner = self.client("owner")
        join(owner, "Owner")
        self.assertReceived(owner, "Owner presence error cancel not-allowed")

    def test_switchedOff(self) -> None:
        """Without tombstones, those of before are ignored, too."""
        self.startServer(self.server.store, tombstoneTime=0)
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertIn("Juliet", self.room().occupants)

    def test_unlockedCreation(self) -> None:
        """Where new rooms are not locked, a former owner replaces the tombstone at once, and others are refused."""
        self.startServer(self.server.store, lockNewRooms=False)
        owner, juliet = self.login("owner", "juliet")
        join(juliet, "Juliet")
        self.assertGone(juliet)
        join(owner, "Owner")
        join(juliet, "Juliet")
        self.assertEqual(list(self.room().occupants), ["Owner", "Juliet"])
        self.assertIsNone(self.successResultOf(self.server.store.tombstone(ROOM)))


class KeptTests(DestroyedTestCase):
    """What a tombstone tells whom, and which rooms leave one."""

    def test_plain(self) -> None:
        """Without a venue and a reason, only the condition is sent."""
        self.destroy("<destroy/>")
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertGone(juliet, None, None)

    def test_venues(self) -> None:
        """Whatever address the venue has becomes a URI; only rooms can be joined."""
        for venue, uri in (
            (f"jiří\\20k@{HOST}", f"xmpp:ji%C5%99%C3%AD%5C20k@{HOST}?join"),
            ("chat.example.org", "xmpp:chat.example.org"),
        ):
            self.openRoom(**self.fields)
            self.destroy(f"<destroy jid='{venue}'/>")
            juliet = self.client("juliet")
            join(juliet, "Juliet")
            self.assertGone(juliet, uri, None)

    def test_longReason(self) -> None:
        """Of a long reason, the beginning is kept."""
        self.destroy(f"<destroy><reason>{'x' * (tombstones.REASON_LIMIT + 1)}</reason></destroy>")
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertGone(juliet, None, "x" * tombstones.REASON_LIMIT)

    def test_restricted(self) -> None:
        """Where not everybody could enter, only those with an affiliation are told more than that it is gone."""
        for fields in ({"membersonly": True}, {"passwordprotectedroom": True, "roomsecret": "x"}):
            self.openRoom(**self.fields, **fields)
            items = [("member@localhost", "member"), ("admin@localhost", "admin"), ("friends.localhost", "member")]
            items += [("paris@localhost", "outcast"), ("nurse@localhost", "none")]
            self.change(*[affiliation(jid, word) for jid, word in items])
            self.destroy()
            tombstone = self.successResultOf(self.server.store.tombstone(ROOM))
            self.assertIsNotNone(tombstones.gone(tombstone, parse("x@friends.localhost")).uri)
            for name in ("member", "admin"):
                client = self.client(name)
                join(client, name)
                self.assertGone(client)
            for name in ("paris", "nurse", "juliet"):
                client = self.client(name)
                join(client, name)
                self.assertGone(client, None, None)

    def test_domain(self) -> None:
        """If a domain had an affiliation, its users have it; they may not create the room, unless they were owners."""
        self.openRoom(**self.fields, membersonly=True)
        self.change(affiliation("localhost", "member"))
        self.destroy()
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertGone(juliet)
        join(self.owner, "Owner")
        self.assertIn("Owner", self.room().occupants)

    def test_hidden(self) -> None:
        """A hidden room that everybody could enter tells everybody who knows its address."""
        self.openRoom(**self.fields, publicroom=False)
        self.destroy()
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertGone(juliet)

    def test_manyAffiliates(self) -> None:
        """A bounded number of affiliations is kept, owners first."""
        self.openRoom(**self.fields, membersonly=True)
        room = self.room()
        room.affiliations.update({f"u{n}@x": Affiliate("member") for n in range(tombstones.AFFILIATES + 5)})
        room.affiliations.update({"late@x": Affiliate("owner")})
        tombstone = tombstones.tombstoneOf(room, 1.0, None, None)
        assert tombstone is not None
        self.assertEqual(len(tombstone.affiliates), tombstones.AFFILIATES)
        self.assertEqual(list(tombstone.affiliates)[:2], ["late@x", "owner@localhost"])

    def test_temporary(self) -> None:
        """A temporary room leaves none, whether it is destroyed or ends by itself."""
        for end in (lambda: sendOwner(self.owner, _DESTROY), lambda: leave(self.owner, "Owner")):
            self.openRoom()
            end()
            juliet = self.client("juliet")
            join(juliet, "Juliet")
            self.assertIn("Juliet", self.room().occupants)

    def test_again(self) -> None:
        """Destroyed again, a room leaves what was said the last time."""
        self.destroy()
        self.createRoom(self.owner, persistentroom=True)
        self.destroy("<destroy><reason>For good.</reason></destroy>")
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertGone(juliet, None, "For good.")

    def test_durable(self) -> None:
        """The tombstone is stored together with the destruction; if that fails, the room is as it was."""
        store = FailingRoomStore()
        self.openRoom(store, **self.fields)
        store.failing = frozenset({"destroy"})
        sendOwner(self.owner, _DESTROY)
        self.assertReceived(self.owner, "error q wait internal-server-error")
        store.failing = frozenset()
        self.enter("juliet")
        self.assertIn("Juliet", self.room().occupants)

    def test_storeFails(self) -> None:
        """If the store fails to look for it, nobody creates the room by that."""
        store = FailingRoomStore()
        self.openRoom(store, **self.fields)
        self.destroy()
        store.failing = frozenset({"tombstone"})
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        self.assertReceived(juliet, "Juliet presence error wait internal-server-error")
        self.assertEqual(self.server.muc.rooms.live, {})

    def test_slowStore(self) -> None:
        """Stanzas that arrive while the store looks for it are answered in order; a former owner among them creates."""
        store = DelayedRoomStore()
        store.holding = frozenset()
        self.openRoom(store, **self.fields)
        self.destroy()
        store.holding = frozenset({"tombstone"})
        juliet = self.client("juliet")
        join(juliet, "Juliet")
        join(self.owner, "Owner")
        join(juliet, "J")
        self.assertNothingReceived()
        store.release()
        first, second = juliet.received()
        self.assertIn("<gone ", first.toXml())
        self.assertIn("<item-not-found ", second.toXml())
        self.assertEqual(list(self.room().occupants), ["Owner"])
