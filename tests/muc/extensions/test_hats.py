# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.hats} (XEP-0317)."""

from __future__ import annotations

from typing import Any

from muccore.muc.extensions import standardExtensions
from muccore.testing.defaults import defaultOptions
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    ROOM,
    RoomTestCase,
    affiliation,
    execute,
    form,
    join,
    leave,
    role,
    sendIQ,
    sendPresence,
)

FORM = "urn:xmpp:hats:commands"
TEACHER, SCRIBE = "urn:hat:teacher", "urn:hat:scribe"


def command(client: Client, name: str, to: str = ROOM, **values: str) -> None:
    """Execute a command, with values."""
    fields = {f"hats#{var}": value for var, value in values.items()}
    execute(client, f"{FORM}:{name}", form(FORM, fields) if fields else "", to=to)


def hatsIn(stanza: Element) -> list[dict[str, str]] | None:
    """The hats in a presence."""
    hats = stanza.child("hats", ns.HATS)
    return None if hats is None else [dict(hat.attributes) for hat in hats.childElements()]


def titles(client: Client) -> list[tuple[str, list[str]]]:
    """The nick and the titles of hats in each presence that a client has received; other stanzas are left out."""
    presences = [each for each in client.received() if each.name == "presence"]
    return [(each["from"].rpartition("/")[2], [hat["title"] for hat in hatsIn(each) or ()]) for each in presences]


def rowsOf(table: Element) -> list[dict[str, str]]:
    """The items of a table."""
    x = table.child("x", ns.DATA)
    assert x is not None
    return [
        {field["var"]: field.childText("value") or "" for field in item.childElements()}
        for item in x.childElements()
        if item.name == "item"
    ]


class HatTests(RoomTestCase):
    """A room of its owner, with juliet as an admin and paris without affiliation."""

    def setUp(self) -> None:
        self.open()

    def open(self, store: Any = None, **fields: Any) -> None:
        """Open the room."""
        self.openRoom(store, persistentroom=True, **fields)
        self.juliet, self.paris = self.login("juliet", "paris")
        self.change(affiliation("juliet@localhost", "admin"))
        self.enterAll(self.juliet, self.paris)

    def give(self, client: Client | None = None, **values: str) -> None:
        """Create the teacher's hat, and give it to paris, or to others; discard what clients have received."""
        command(self.juliet, "create", title="Teacher", uri=TEACHER, hue="327.255249")
        command(self.juliet, "assign", **{"jid": "paris@localhost", "uri": TEACHER, **values})
        self.discardReceived()

    def completed(self, client: Client) -> Element:
        """The answer to a command that was completed without a note, after whatever came before."""
        answers = [each for each in client.received() if each.name == "iq"]
        self.assertEqual(len(answers), 1)
        found = next(answers[0].childElements())
        self.assertEqual((answers[0]["type"], found.get("status")), ("result", "completed"), answers[0].toXml())
        self.assertIsNone(found.child("note"), found.toXml())
        return found

    def rows(self, to: str = ROOM) -> dict[str, Any]:
        """The stored rows of hats."""
        return {name: rows for name, rows in self.storedRecord(to).states.items() if name.startswith("hats")}

    def note(self, client: Client) -> str:
        """The note of a command that has failed."""
        answer = self.result(client)
        note = answer.child("note")
        assert note is not None
        self.assertEqual((answer["status"], note["type"]), ("completed", "error"))
        return note.text()

    def test_presence(self) -> None:
        """Hats are in the presence of who has them, until they are removed (§3.1, §3.5, §3.6)."""
        command(self.juliet, "create", title="Teacher", uri=TEACHER, hue="327.255249")
        self.assertReceived(self.paris, "room groupchat 104")
        self.completed(self.juliet)
        command(self.juliet, "assign", jid="paris@localhost", uri=TEACHER)
        [presence] = self.paris.received()
        self.assertEqual(hatsIn(presence), [{"title": "Teacher", "uri": TEACHER, "hue": "327.255249"}])
        self.assertReceived(self.juliet, "Paris available none/participant jid=paris@localhost/a", "result q")
        sendPresence(self.paris, "Paris", "<show>xa</show>")
        self.assertEqual(titles(self.juliet), [("Paris", ["Teacher"])])
        nurse = self.client("nurse")
        join(nurse, "Nurse")
        self.assertEqual(titles(nurse), [("Owner", []), ("Juliet", []), ("Paris", ["Teacher"]), ("Nurse", [])])
        self.discardReceived()
        command(self.juliet, "unassign", jid="paris@localhost/x", uri=TEACHER)
        [presence] = self.paris.received()
        self.assertIsNone(hatsIn(presence))
        self.completed(self.juliet)
        self.assertEqual(self.rows(), {"hats": {TEACHER: ["Teacher", "327.255249"]}})

    def test_account(self) -> None:
        """They follow the account: other nicks and sessions, leaving, other affiliations, and a restart."""
        self.give()
        sendPresence(self.paris, "P")
        self.assertEqual(titles(self.juliet)[-1], ("P", ["Teacher"]))
        leave(self.paris, "P")
        self.assertEqual(titles(self.juliet), [("P", [])])
        other = self.client("paris/b")
        join(other, "Count")
        self.assertEqual(titles(self.juliet), [("Count", ["Teacher"])])
        self.change(affiliation("paris@localhost", "member"))
        self.startServer(self.server.store)
        [paris] = self.login("paris")
        join(paris, "Paris")
        self.assertEqual(titles(paris), [("Paris", ["Teacher"])])

    def test_changed(self) -> None:
        """A changed hat is shown to all at once (§3.2); one that is destroyed is nobody's (§3.3)."""
        self.give()
        command(self.juliet, "create", title="Master", uri=TEACHER)
        self.assertEqual(titles(self.paris), [("Paris", ["Master"])])
        self.assertReceived(
            self.juliet, "Paris available none/participant jid=paris@localhost/a", "room groupchat 104", "result q"
        )
        command(self.juliet, "create", title="Master", uri=TEACHER)
        self.completed(self.juliet)
        self.assertReceived(self.paris)
        self.discardReceived()
        command(self.juliet, "destroy", uri=TEACHER)
        self.assertReceived(
            self.paris, "Paris available none/participant jid=paris@localhost/a 110", "room groupchat 104"
        )
        self.completed(self.juliet)
        self.assertEqual(self.rows(), {})

    def test_order(self) -> None:
        """Several hats are in the order of their titles; assigning one again changes nothing."""
        self.give()
        command(self.juliet, "create", title="Scribe", uri=SCRIBE)
        self.discardReceived()
        command(self.juliet, "assign", jid="paris@localhost", uri=SCRIBE)
        self.assertEqual(titles(self.paris), [("Paris", ["Scribe", "Teacher"])])
        self.completed(self.juliet)
        self.discardReceived()
        command(self.juliet, "assign", jid="paris@localhost", uri=SCRIBE)
        self.completed(self.juliet)
        self.assertNothingReceived()

    def test_occupantAddress(self) -> None:
        """A user may be named by their address in the room."""
        self.give(jid=f"{ROOM}/Paris")
        command(self.owner, "list-assigned")
        [row] = rowsOf(self.completed(self.owner))
        self.assertEqual(row["hats#jid"], "paris@localhost")
        for address in (f"{ROOM}/Nobody", ROOM):
            command(self.juliet, "assign", jid=address, uri=TEACHER)
            self.assertReceived(self.juliet, "error q modify bad-request")

    def test_forged(self) -> None:
        """Clients cannot give themselves hats, of either namespace."""
        for uri in (ns.HATS, "xmpp:prosody.im/protocol/hats:1"):
            forged = f"<hats xmlns='{uri}'><hat title='Owner' uri='urn:x'/></hats>"
            sendPresence(self.paris, "Paris", forged)
            self.paris.sends(f"<message type='groupchat' to='{ROOM}'><body>a</body>{forged}</message>")
            self.paris.sends(f"<message type='chat' to='{ROOM}/Juliet'><body>a</body>{forged}</message>")
            found = self.juliet.received()
            self.assertEqual([each.name for each in found], ["presence", "message", "message"])
            self.assertEqual([e for each in found for e in each.childElements() if e.name == "hats"], [])

    def test_lists(self) -> None:
        """Tables of hats (§3.4) and of who has them (§3.7)."""
        command(self.juliet, "list")
        self.assertEqual(rowsOf(self.completed(self.juliet)), [])
        self.give()
        command(self.juliet, "create", title="Scribe", uri=SCRIBE)
        command(self.juliet, "assign", jid="juliet@localhost", uri=SCRIBE)
        self.discardReceived()
        scribe = {"hats#title": "Scribe", "hats#uri": SCRIBE, "hats#hue": ""}
        teacher = {"hats#title": "Teacher", "hats#uri": TEACHER, "hats#hue": "327.255249"}
        command(self.paris, "list")
        self.assertEqual(rowsOf(self.completed(self.paris)), [scribe, teacher])
        command(self.juliet, "list-assigned")
        answer = self.completed(self.juliet)
        assigned = [{"hats#jid": "juliet@localhost", **scribe}, {"hats#jid": "paris@localhost", **teacher}]
        self.assertEqual(rowsOf(answer), assigned)
        x = answer.child("x", ns.DATA)
        assert x is not None
        reported = x.child("reported")
        assert reported is not None
        self.assertEqual(
            [field["var"] for field in reported.childElements()], ["hats#jid", "hats#uri", "hats#title", "hats#hue"]
        )

    def nodes(self, client: Client) -> list[str]:
        """The commands of hats that a client finds."""
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>")
        found = [each["node"] for each in self.result(client).childElements()]
        return [node.removeprefix(FORM + ":") for node in found if node.startswith(FORM)]

    def test_who(self) -> None:
        """Admins change; the list is for who may look inside, that of those who have hats for who may see members."""
        nurse = self.client("nurse")
        all = ["create", "destroy", "list", "assign", "unassign", "list-assigned"]
        self.change(role("Paris", "moderator"))
        for fields, ofParis, ofNurse in (
            ({}, ["list"], ["list"]),
            ({"whois": "anyone"}, ["list", "list-assigned"], ["list"]),
            ({"publicroom": False}, ["list"], []),
        ):
            self.open(**fields)
            nurse = self.client("nurse")
            found = [self.nodes(each) for each in (self.owner, self.juliet, self.paris, nurse)]
            self.assertEqual(found, [all, all, ofParis, ofNurse], fields)
            for name in ("create", "destroy", "assign", "unassign"):
                command(self.paris, name, title="x", uri="urn:x", jid="paris@localhost")
                self.assertReceived(self.paris, "error q cancel forbidden")
        self.change(affiliation("nurse@localhost", "outcast"))
        self.assertEqual(self.nodes(nurse), [])

    def test_refused(self) -> None:
        """Values that are not acceptable may be submitted again; nothing is stored."""
        for values in (
            {"title": "x", "uri": "x"}, {"title": "x"}, {"uri": "urn:x"}, {"title": " ", "uri": "urn:x"},
            {"title": "x", "uri": "urn:x", "hue": "red"},
        ):  # fmt: skip
            command(self.juliet, "create", **values)
            self.assertReceived(self.juliet, "error q modify bad-request")
        for name in ("destroy", "assign", "unassign"):
            command(self.juliet, name)
            self.assertEqual(self.note(self.juliet), "This room has no hats.")
        self.give()
        stored = self.storedRecord()
        for name in ("destroy", "assign", "unassign"):
            command(self.juliet, name, jid="paris@localhost", uri=SCRIBE)
            self.assertReceived(self.juliet, "error q modify bad-request")
        command(self.juliet, "assign", jid="localhost", uri=TEACHER)
        self.assertEqual(self.note(self.juliet), "Only users can have hats, not domains.")
        command(self.juliet, "unassign", jid="juliet@localhost", uri=TEACHER)
        self.assertEqual(self.note(self.juliet), "This user does not have this hat.")
        self.assertEqual(self.storedRecord(), stored)
        self.assertNothingReceived()

    def test_form(self) -> None:
        """Without values, the form is sent, in which hats are chosen by title (§3.5)."""
        self.give()
        command(self.juliet, "assign")
        answer = self.result(self.juliet)
        self.assertEqual(answer["status"], "executing")
        self.assertIn(f"<option label='Teacher'><value>{TEACHER}</value></option>", answer.toXml().replace('"', "'"))
        submitted = form(FORM, {"hats#jid": "juliet@localhost", "hats#uri": TEACHER})
        execute(self.juliet, f"{FORM}:assign", submitted, sessionid=answer["sessionid"])
        self.assertEqual(titles(self.paris), [("Juliet", ["Teacher"])])

    def hash(self, client: Client) -> str | None:
        """The hash in the room's information, whose features have that of hats (§2)."""
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_INFO}'/>")
        query = self.result(client)
        self.assertIn(ns.HATS, [each.get("var") for each in query.childElements() if each.name == "feature"])
        x = query.child("x", ns.DATA)
        assert x is not None
        [found] = [e.childText("value") for e in x.childElements() if e.get("var") == "hats#hash"] or [None]
        return found

    def test_discovery(self) -> None:
        """There is a hash if there are hats, which changes with them."""
        self.assertIsNone(self.hash(self.paris))
        self.give()
        first = self.hash(self.paris)
        command(self.juliet, "unassign", jid="paris@localhost", uri=TEACHER)
        self.discardReceived()
        self.assertEqual(self.hash(self.paris), first)
        command(self.juliet, "create", title="Scribe", uri=SCRIBE)
        self.discardReceived()
        self.assertNotIn(self.hash(self.paris), (None, first))

    def test_durable(self) -> None:
        """Nothing is announced before it is durable, and nothing at all if the store fails."""
        failing = FailingRoomStore()
        store = DelayedRoomStore(failing)
        store.holding = frozenset()
        self.open(store)
        self.give()
        store.holding = frozenset(["change"])
        for fails in (True, False):
            failing.failing = frozenset(["change"] if fails else [])
            command(self.juliet, "create", title="Master", uri=TEACHER)
            self.assertNothingReceived()
            store.release()
            if fails:
                self.assertReceived(self.juliet, "error q wait internal-server-error")
                self.assertNothingReceived()
        self.assertEqual(titles(self.paris), [("Paris", ["Master"])])
        self.completed(self.juliet)

    def test_locked(self) -> None:
        """Hats given in a room that is not configured yet are stored with it."""
        other = ROOM.replace("room", "other")
        join(self.paris, "Paris", to=other)
        command(self.paris, "create", to=other, title="Host", uri="urn:host")
        command(self.paris, "assign", to=other, jid="paris@localhost", uri="urn:host")
        self.assertIn(("Paris", ["Host"]), titles(self.paris))
        self.createRoom(self.paris, to=other)
        self.assertEqual(
            self.rows(other),
            {"hats": {"urn:host": ["Host", ""]}, "hats-assigned": {"paris@localhost urn:host": True}},
        )

    def test_standard(self) -> None:
        """It is one of the standard extensions."""
        self.assertIn("hats", [each.name for each in standardExtensions(defaultOptions())])
