# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.roomlist}: the list of rooms, page by page (XEP-0045 §6.3, XEP-0059)."""

from __future__ import annotations

from muccore.interfaces import RoomRecord
from muccore.muc.protocol import roomlist
from muccore.storage.memory import MemoryRooms
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import HOST, MUCTestCase, attributes, sendIQ


class ListTests(MUCTestCase):
    """C{disco#items} of the service."""

    def setUp(self) -> None:
        super().setUp()
        self.rooms(5)

    def rooms(self, count: int) -> None:
        """Store some rooms and start the server."""
        self.memory = MemoryRooms()
        self.memory.open()
        for number in range(count):
            self.memory.save(self.jid(number), RoomRecord({"persistent": True}, {}, name=f"Room {number}"))
        self.memory.save(f"a-hidden@{HOST}", RoomRecord({"persistent": True}, {}, public=False))
        self.memory.save("x@elsewhere.localhost", RoomRecord({"persistent": True}, {}))
        self.store = FailingRoomStore(self.memory)
        self.startServer(self.store)
        self.juliet = self.client("juliet")

    def jid(self, number: int) -> str:
        """The address of one of the rooms."""
        return f"r{number:04}@{HOST}"

    def page(self, inside: str | None = None) -> tuple[list[str], Element | None]:
        """The addresses in a page, and its C{<set/>}."""
        rsm = f"<set xmlns='{ns.RSM}'>{inside}</set>" if inside is not None else ""
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}'>{rsm}</query>", to=HOST)
        query = self.result(self.juliet)
        found = [child.attributes["jid"] for child in query.childElements() if child.name == "item"]
        return found, query.child("set", ns.RSM)

    def expect(self, inside: str | None, rooms: list[int], count: int | None) -> None:
        """A page has these rooms and describes itself as XEP-0059 §2.2 asks for."""
        found, about = self.page(inside)
        self.assertEqual(found, [self.jid(number) for number in rooms])
        if count is None:
            self.assertIsNone(about)
            return
        assert about is not None
        told = {child.name: (child.text(), child.get("index")) for child in about.childElements()}
        expected: dict[str, tuple[str, str | None]] = {"count": (str(count), None)}
        if rooms:
            expected |= {"first": (found[0], str(rooms[0])), "last": (found[-1], None)}
        self.assertEqual(told, expected)

    def test_local(self) -> None:
        """The list may be for users of this server only; others are C{forbidden} to see it."""
        for domain, refused in (("localhost", False), ("elsewhere.example", True)):
            self.startServer(self.memory, listing="local", localDomain=domain)
            juliet = self.client("juliet")
            sendIQ(juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", to=HOST)
            [iq] = juliet.received()
            error = iq.child("error")
            self.assertEqual(error is not None and error.child("forbidden", ns.STANZA_ERRORS) is not None, refused)

    def test_all(self) -> None:
        """All public rooms of this service are listed with their names, in order."""
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", to=HOST)
        self.assertEqual(
            attributes(self.result(self.juliet).childElements()),
            [{"jid": self.jid(number), "name": f"Room {number}"} for number in range(5)],
        )
        self.expect(None, [0, 1, 2, 3, 4], None)

    def test_nameless(self) -> None:
        """A room without a name is listed by its localpart."""
        self.memory.save(f"zoo@{HOST}", RoomRecord({"persistent": True}, {}))
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", to=HOST)
        [*_, last] = attributes(self.result(self.juliet).childElements())
        self.assertEqual(last["name"], "zoo")

    def test_pages(self) -> None:
        """Forwards, backwards, the last page, an empty page behind the end, the count alone (XEP-0059 §2.2 to §2.7)."""
        after, before = f"<after>{self.jid(1)}</after>", f"<before>{self.jid(3)}</before>"
        self.expect("<max>2</max>", [0, 1], 5)
        self.expect(f"<max>2</max>{after}", [2, 3], 5)
        self.expect(f"<max>2</max><after>{self.jid(3)}</after>", [4], 5)
        self.expect(f"<max>2</max><after>{self.jid(4)}</after>", [], 5)
        self.expect(f"<max>2</max>{before}", [1, 2], 5)
        self.expect(f"<max>2</max><before>{self.jid(1)}</before>", [0], 5)
        self.expect("<max>2</max><before/>", [3, 4], 5)
        self.expect("<max>0</max>", [], 5)
        self.expect("", [0, 1, 2, 3, 4], 5)
        self.expect(after, [2, 3, 4], 5)
        self.expect("<max>2</max><after/>", [0, 1], 5)

    def test_gone(self) -> None:
        """A page continues from the place of a room that has been destroyed (XEP-0059 §2.5)."""
        self.memory.destroy(self.jid(1))
        found, _ = self.page(f"<max>2</max><after>{self.jid(1)}</after>")
        self.assertEqual(found, [self.jid(2), self.jid(3)])

    def test_none(self) -> None:
        """Without rooms the list is empty."""
        self.rooms(0)
        self.expect(None, [], None)
        self.expect("<max>10</max>", [], 0)

    def test_many(self) -> None:
        """
        A request without a limit gets a part of a long list, marked as such; one with a limit no more than a maximum
        (§6.3).
        """
        self.rooms(roomlist.LIMIT + 1)
        found, about = self.page()
        self.assertEqual(len(found), roomlist.PAGE)
        assert about is not None
        count = about.child("count")
        assert count is not None
        self.assertEqual(count.text(), str(roomlist.LIMIT + 1))
        found, about = self.page("<max>999999</max>")
        self.assertEqual(len(found), roomlist.LIMIT)

    def test_refused(self) -> None:
        """Contradictory requests are C{bad-request}; paging by index is not offered; there are no nodes."""
        for inside, condition in (
            ("<max>x</max>", "modify bad-request"),
            ("<max>-1</max>", "modify bad-request"),
            ("<after>a</after><before>b</before>", "modify bad-request"),
            ("<max>2</max><index>1</index>", "cancel feature-not-implemented"),
        ):
            query = f"<query xmlns='{ns.DISCO_ITEMS}'><set xmlns='{ns.RSM}'>{inside}</set></query>"
            sendIQ(self.juliet, "get", query, to=HOST)
            self.assertReceived(self.juliet, f"error q {condition}")
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='x'/>", to=HOST)
        self.assertReceived(self.juliet, "error q cancel item-not-found")

    def test_impatient(self) -> None:
        """
        One account cannot wait for many lists at once, with whatever session; others still can, and an account whose
        lists have arrived can ask again.
        """
        delayed = DelayedRoomStore(self.store)
        delayed.holding = frozenset({"publicRooms"})
        self.startServer(delayed)
        one, two, romeo = self.login("juliet", "juliet/b", "romeo")
        query = f"<query xmlns='{ns.DISCO_ITEMS}'/>"
        for _ in range(2):
            for number in range(roomlist.WAITING):
                sendIQ((one, two)[number % 2], "get", query, to=HOST)
            sendIQ(one, "get", query, to=HOST)
            self.assertReceived(one, "error q wait resource-constraint")
            sendIQ(romeo, "get", query, to=HOST)
            self.assertEqual(len(delayed.held), roomlist.WAITING + 1)
            delayed.release()
            answers = [*one.received(), *two.received(), *romeo.received()]
            self.assertEqual([answer.get("type") for answer in answers], ["result"] * (roomlist.WAITING + 1))

    def test_storeFails(self) -> None:
        """If the store fails, the request is refused, to be tried again."""
        self.store.failing = frozenset({"publicRooms"})
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}'/>", to=HOST)
        self.assertReceived(self.juliet, "error q wait internal-server-error")
