# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.ownrooms}."""

from __future__ import annotations

from muccore.interfaces import Affiliate, RoomRecord
from muccore.muc.extensions.ownrooms import NODE
from muccore.muc.protocol import roomlist
from muccore.storage.memory import MemoryRooms
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import HOST, MUCTestCase, affiliation, attributes, form, join, sendAdmin, sendIQ, values


class OwnRoomsTests(MUCTestCase):
    """Juliet has affiliations in some rooms."""

    def setUp(self) -> None:
        self.memory = MemoryRooms()
        self.memory.open()
        juliet = "juliet@localhost"
        for local, public, word in (
            ("attic", True, "member"),
            ("ball", True, "outcast"),
            ("cell", False, "admin"),
            ("desk", True, "none"),
            ("elm", True, "owner"),
            ("field", True, "member"),
        ):
            affiliates = {juliet: Affiliate(word), "romeo@localhost": Affiliate("owner")}
            name = f"Room {local}" if local != "elm" else ""
            self.memory.save(f"{local}@{HOST}", RoomRecord({"persistent": True}, affiliates, name=name, public=public))
        self.memory.save(f"z@{HOST}", RoomRecord({"persistent": True}, {"localhost": Affiliate("member")}))
        self.memory.save("attic@elsewhere.localhost", RoomRecord({}, {juliet: Affiliate("owner")}))
        self.store = FailingRoomStore(self.memory)
        self.startServer(self.store)
        self.juliet = self.client("juliet")

    def command(self, client: Client, payload: str = "", **attributes: str) -> None:
        """Execute the command."""
        more = "".join(f" {name}='{value}'" for name, value in attributes.items())
        sendIQ(client, "set", f"<command xmlns='{ns.COMMANDS}' node='{NODE}'{more}>{payload}</command>", to=HOST)

    def list(self, client: Client | None = None, **fields: str) -> tuple[list[tuple[str, ...]], str, Element]:
        """Execute the command with a filled-in form: the rows of the table, the note, and the whole result."""
        self.command(client or self.juliet, form(NODE, fields), action="complete")
        result = self.result(client or self.juliet)
        self.assertEqual(result.get("status"), "completed")
        x = result.child("x", ns.DATA)
        items = [] if x is None else [child for child in x.childElements() if child.name == "item"]
        rows = [tuple("".join(texts) for texts in values(item).values()) for item in items]
        return rows, result.childText("note") or "", result

    def test_listed(self) -> None:
        """The service offers it to everybody (XEP-0050 §2.2)."""
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>", to=HOST)
        name = "List the rooms in which you have an affiliation"
        offered = attributes(self.result(self.juliet).childElements())
        self.assertIn({"jid": HOST, "node": NODE, "name": name}, offered)

    def test_all(self) -> None:
        """
        It has a form, whose defaults list the rooms of this service in which they are a member, an admin or an owner,
        hidden ones as well, in a table.
        """
        self.command(self.juliet)
        shown = self.result(self.juliet)
        x = shown.child("x", ns.DATA)
        assert x is not None
        self.assertEqual(values(x), {"FORM_TYPE": [NODE], "max_items": ["100"], "after": []})
        session = shown.attributes["sessionid"]
        self.command(self.juliet, form(NODE, {"max_items": "100", "after": ""}), sessionid=session, action="complete")
        result = self.result(self.juliet)
        x = result.child("x", ns.DATA)
        assert x is not None
        reported = x.child("reported")
        assert reported is not None
        columns = [field.get("var") for field in reported.childElements()]
        self.assertEqual((x.get("type"), columns), ("result", ["jid", "name", "affiliation"]))
        rows, note, _ = self.list()
        self.assertEqual(
            rows,
            [
                (f"attic@{HOST}", "Room attic", "member"),
                (f"cell@{HOST}", "Room cell", "admin"),
                (f"elm@{HOST}", "", "owner"),
                (f"field@{HOST}", "Room field", "member"),
            ],
        )
        self.assertEqual(note, "Rooms 1 to 4 of 4.")

    def test_pages(self) -> None:
        """A long list comes in pages, with a C{<set/>} (XEP-0059) and a note that says how to go on."""
        for number in range(30):
            record = RoomRecord({"persistent": True}, {"nurse@localhost": Affiliate("member")})
            self.memory.save(f"r{number:02}@{HOST}", record)
        nurse = self.client("nurse")
        rows, note, result = self.list(nurse, max_items="25")
        self.assertEqual([row[0] for row in rows], [f"r{number:02}@{HOST}" for number in range(25)])
        self.assertEqual(note.partition(". ")[0], "Rooms 1 to 25 of 30")
        about = result.child("set", ns.RSM)
        assert about is not None
        last = about.childText("last")
        assert last is not None
        self.assertIn(last, note)
        rows, note, result = self.list(nurse, max_items="25", after=last)
        self.assertEqual([row[0] for row in rows], [f"r{number}@{HOST}" for number in range(25, 30)])
        self.assertEqual(note, "Rooms 26 to 30 of 30.")
        rows, note, result = self.list(nurse, after=rows[-1][0])
        self.assertEqual((rows, note), ([], "There are no further rooms."))
        self.assertIsNone(result.child("x", ns.DATA))

    def test_none(self) -> None:
        """Who has no affiliation is told so."""
        rows, note, _ = self.list(self.client("paris"))
        self.assertEqual((rows, note), ([], "You have no affiliation in a room of this service."))

    def test_followsChanges(self) -> None:
        """It follows changes at once."""
        romeo = self.client("romeo")
        sendAdmin(romeo, affiliation("juliet@localhost", "outcast"), to=f"attic@{HOST}")
        sendAdmin(romeo, affiliation("juliet@localhost", "member"), to=f"ball@{HOST}")
        rows, _, _ = self.list()
        self.assertEqual([row[0].partition("@")[0] for row in rows], ["ball", "cell", "elm", "field"])

    def test_locked(self) -> None:
        """A room that is not configured yet is not listed."""
        join(self.juliet, "Juliet", to=f"new@{HOST}")
        self.discardReceived()
        self.assertEqual(len(self.list()[0]), 4)

    def test_invalid(self) -> None:
        """Other numbers than those offered, and what is no address, are refused."""
        for fields in ({"max_items": "1000000"}, {"after": "@"}):
            self.command(self.juliet, form(NODE, fields), action="complete")
            [iq] = self.juliet.received()
            self.assertIn("<bad-payload ", iq.toXml())

    def test_storeFails(self) -> None:
        """If the store fails, the form may be submitted again."""
        self.store.failing = frozenset({"affiliatedRooms"})
        self.command(self.juliet, form(NODE, {}), action="complete")
        self.assertReceived(self.juliet, "error q wait internal-server-error")

    def test_impatient(self) -> None:
        """Nobody can wait for many lists at once."""
        delayed = DelayedRoomStore(self.store)
        delayed.holding = frozenset({"affiliatedRooms"})
        self.startServer(delayed)
        juliet = self.client("juliet")
        for _ in range(roomlist.WAITING):
            self.command(juliet, form(NODE, {}), action="complete")
        self.assertNothingReceived(juliet)
        self.command(juliet, form(NODE, {}), action="complete")
        self.assertReceived(juliet, "error q wait resource-constraint")
        delayed.release()
        self.assertEqual([answer.get("type") for answer in juliet.received()], ["result"] * roomlist.WAITING)
