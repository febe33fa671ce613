# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.occupantids} (XEP-0421)."""

from __future__ import annotations

from muccore.interfaces import RoomChange, Subject
from muccore.storage.memory import MemoryRooms
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import HOST, ROOM, MUCTestCase, configure, join, sendGroupchat

FORGED = f"<occupant-id xmlns='{ns.OCCUPANT_ID}' id='forged'/>"


def occupantIds(stanza: Element) -> list[str]:
    """All occupant ids of a stanza."""
    return [e.attributes["id"] for e in stanza.childElements() if e.uri == ns.OCCUPANT_ID]


class OccupantIdTests(MUCTestCase):
    """Ids of occupants."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.login("romeo", "juliet")
        self.createRoom(self.romeo, persistentroom=True)

    def idOf(self, client: Client, nick: str, room: str = ROOM) -> str:
        """Let a client enter and leave; return the id in its presence, which is the same in both."""
        join(client, nick, to=room)
        [entered] = [each for each in client.received() if (each.get("from") or "").endswith(f"/{nick}")]
        client.sends(f"<presence to='{room}/{nick}' type='unavailable'/>")
        [left] = client.received()
        [id], [again] = occupantIds(entered), occupantIds(left)
        self.assertEqual(id, again)
        return id

    def test_stable(self) -> None:
        """It is that of the bare JID in the room: the same under each nick and resource, another one in other rooms."""
        first = self.idOf(self.juliet, "Juliet")
        self.assertEqual(self.idOf(self.client("juliet/phone"), "J"), first)
        self.assertNotEqual(self.idOf(self.client("paris"), "Juliet"), first)
        other = f"other@{HOST}"
        self.createRoom(self.romeo, to=other)
        self.assertNotEqual(self.idOf(self.juliet, "Juliet", other), first)
        self.assertLessEqual(len(first), 128)

    def test_everywhere(self) -> None:
        """Presence, nick changes, messages, subjects, private messages and the history carry it, once; forgeries go."""
        self.enterAll(self.juliet)
        id = occupantIds(self.presence(self.juliet))
        self.assertEqual(len(id), 1)
        for stanza in (
            f"<presence to='{ROOM}/Juliet'>{FORGED}</presence>",
            f"<message to='{ROOM}' type='groupchat'><body>a</body>{FORGED}{FORGED}</message>",
            f"<message to='{ROOM}/Romeo' type='chat'><body>a</body>{FORGED}</message>",
            f"<presence to='{ROOM}/J'/>",
        ):
            self.juliet.sends(stanza)
            received = [each for each in self.romeo.received() if (each.get("from") or "").partition("/")[2]]
            self.assertEqual([occupantIds(each) for each in received], [id] * len(received))
            self.assertTrue(received)
        sendGroupchat(self.romeo, "<subject>s</subject>")
        [subject] = self.romeo.received()
        self.assertEqual(len(occupantIds(subject)), 1)
        self.assertNotEqual(occupantIds(subject), id)
        paris = self.client("paris")
        join(paris, "Paris")
        [message, again] = [each for each in paris.received() if each.name == "message"]
        self.assertEqual(occupantIds(message), id)
        self.assertEqual(occupantIds(again), occupantIds(subject))

    def presence(self, client: Client) -> Element:
        """The presence of a client, as others see it."""
        client.sends(f"<presence to='{ROOM}/Juliet'><show>away</show></presence>")
        [presence] = self.romeo.received()
        client.received()
        return presence

    def test_subject(self) -> None:
        """
        Newcomers get the subject with the id of its author, who may have left and whose nick another one may have, also
        after a restart; one of an unknown author comes without.
        """
        self.enterAll(self.juliet)
        configure(self.romeo, changesubject=True)
        self.discardReceived()
        id = occupantIds(self.presence(self.juliet))
        sendGroupchat(self.juliet, "<subject>s</subject>")
        self.juliet.sends(f"<presence to='{ROOM}/Juliet' type='unavailable'/>")
        for _ in range(2):
            paris = self.client("paris")
            join(paris, "Juliet")
            *_, own, subject = paris.received()
            self.assertEqual(occupantIds(subject), id)
            self.assertNotEqual(occupantIds(own), id)
            self.startServer(self.server.store)
        change = RoomChange(subject=Subject("s", "Juliet", 0.0))
        self.successResultOf(self.server.store.change(ROOM, change))
        self.startServer(self.server.store)
        paris = self.client("paris")
        join(paris, "Paris")
        *_, subject = paris.received()
        self.assertEqual(occupantIds(subject), [])

    def test_durable(self) -> None:
        """It is the same after a restart, and not given away by the configuration form or the log."""
        first = self.idOf(self.juliet, "Juliet")
        configure(self.romeo, roomname="Orchard")
        key = self.room().settings.extensions["occupant-id"]
        self.assertNotIn(key, repr(self.room().settings))
        self.startServer(self.server.store)
        self.assertEqual(self.idOf(self.client("juliet"), "Juliet"), first)
        self.assertEqual(self.room().settings.extensions["occupant-id"], key)

    def test_olderRoom(self) -> None:
        """A room that was stored without a key gets one before it is used, which is stored."""
        store = MemoryRooms()
        store.open()
        record = self.successResultOf(self.server.store.load(ROOM))
        assert record is not None
        settings = {name: value for name, value in record.settings.items() if not name.startswith("extension:")}
        self.assertNotEqual(settings, record.settings)
        change = RoomChange(settings=settings, name="n", public=False, temporary=False)
        self.successResultOf(self.server.store.change(ROOM, change))
        self.startServer(self.server.store)
        first = self.idOf(self.client("juliet"), "Juliet")
        stored = self.successResultOf(self.server.store.load(ROOM))
        assert stored is not None
        self.assertEqual(len(stored.settings["extension:occupant-id"]), 64)
        self.assertEqual((stored.name, stored.public, stored.temporary), ("n", False, False))
        self.startServer(self.server.store)
        self.assertEqual(self.idOf(self.client("juliet"), "Juliet"), first)
