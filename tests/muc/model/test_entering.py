# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.model.entering}: large rooms, which send a newcomer who is in them in several turns."""

from __future__ import annotations

from muccore.testing.inmemory import Client
from tests.muc.muchelpers import ROOM, configure, join, leave, role, say, sendAdmin, sendPresence, setSubject, summaries
from tests.muc.slicedroom import SLICE, SlicedRoomTestCase


class EnteringTests(SlicedRoomTestCase):
    """Entering a room of more than two slices."""

    count = 120

    def setUp(self) -> None:
        super().setUp()
        say(self.owner, "history")
        self.settle()
        self.discardReceived()
        self.juliet = self.counting(self.client("juliet"))

    def enterSlowly(self, nick: str = "Juliet") -> list[str]:
        """Let Juliet enter, and one slice pass; return what she has."""
        join(self.juliet, nick)
        self.assertEqual(summaries(self.juliet), [])
        self.turn(0)
        return summaries(self.juliet)

    def test_order(self) -> None:
        """
        The others are told at once. The newcomer gets who is in the room in slices, in order, then the own presence,
        the history and the subject, and then what has happened meanwhile.
        """
        lines = self.enterSlowly()
        self.assertEqual(lines[0], "Owner available owner/moderator")
        self.assertLess(len(lines), self.count)
        self.assertReceived(self.others[0], "Juliet available none/participant")
        say(self.others[0], "live")
        self.assertReceived(self.others[1], "Juliet available none/participant", "N0 groupchat body:live")
        setSubject(self.owner, "New")
        counts = self.settle()
        self.assertLessEqual(max(counts[:2]), 2 * SLICE + self.count)
        lines += summaries(self.juliet)
        self.assertEqual(lines[1 : self.count + 1], [f"N{n} available none/participant" for n in range(self.count)])
        self.assertEqual(
            lines[self.count + 1 :],
            [
                "Juliet available none/participant jid=juliet@localhost/a 110",
                "Owner groupchat body:history delayed",
                "room groupchat subject:",
                "N0 groupchat body:live",
                "Owner groupchat subject:New",
            ],
        )
        say(self.others[0], "later")
        self.assertReceived(self.juliet, "N0 groupchat body:later")
        self.assertEqual(self.room().entering, {})

    def test_ownStanzasWait(self) -> None:
        """What the newcomer sends waits until they know who is there; others need not wait."""
        self.enterSlowly()
        say(self.juliet, "hello")
        leave(self.juliet, "Juliet")
        sendAdmin(self.owner, role("N0", "none"))
        self.assertIn("result q", summaries(self.owner))
        self.settle()
        lines = summaries(self.juliet)
        own = lines.index("Juliet available none/participant jid=juliet@localhost/a 110")
        self.assertLess(own, lines.index("Juliet groupchat body:hello"))
        self.assertEqual(lines[-1], "Juliet unavailable none/none jid=juliet@localhost/a 110")
        self.assertNotIn("Juliet", self.room().occupants)

    def test_othersChange(self) -> None:
        """Whoever changes or leaves meanwhile is known as they are in the end."""
        seen = self.enterSlowly()
        last = self.others[-1]
        sendPresence(last, f"N{self.count - 1}", "<show>xa</show>")
        leave(self.others[-2], f"N{self.count - 2}")
        sendPresence(self.others[-3], "Other")
        self.settle()
        present: dict[str, str] = {}
        for line in (*seen, *summaries(self.juliet)):
            nick, kind, *_ = line.split()
            if kind == "available":
                present[nick] = line
            elif kind == "unavailable":
                present.pop(nick, None)
        self.assertEqual(set(present), set(self.room().occupants))
        self.assertIn("show:xa", present[f"N{self.count - 1}"])

    def test_moderatorMeanwhile(self) -> None:
        """Who becomes a moderator before they know who is there is told who everybody really is after that."""
        self.enterSlowly()
        sendAdmin(self.owner, role("Juliet", "moderator"))
        say(self.others[0], "live")
        self.settle()
        lines = summaries(self.juliet)
        own, moderator, live = (
            [index for index, line in enumerate(lines) if line.startswith(start)]
            for start in ("Juliet available", "Juliet available none/moderator", "N0 groupchat body:live")
        )
        others = [index for index, line in enumerate(lines) if line.startswith("N") and " jid=" in line]
        self.assertEqual((len(own), len(moderator), len(live), len(others)), (2, 1, 1, self.count))
        self.assertEqual([lines[index].split()[0] for index in others], [f"N{n}" for n in range(self.count)])
        self.assertLess(own[0], lines.index("Owner groupchat body:history delayed"))
        self.assertLess(lines.index("Owner groupchat body:history delayed"), min(moderator[0], live[0], others[0]))
        self.assertLess(moderator[0], others[0])

    def test_removedMeanwhile(self) -> None:
        """Who is kicked before they know who is there is not told the rest, but that; they can enter again."""
        self.enterSlowly()
        sendAdmin(self.owner, role("Juliet", "none"))
        join(self.juliet, "Juliet")
        self.settle()
        lines = summaries(self.juliet)
        kicked = lines.index("Juliet unavailable none/none jid=juliet@localhost/a by=Owner 307 110")
        self.assertLess(kicked, self.count)
        self.assertEqual([line for line in lines[:kicked] if "Juliet" in line], [])
        self.assertIn("Juliet available none/participant jid=juliet@localhost/a 110", lines[kicked:])
        self.assertEqual(len(lines[kicked:]), 1 + self.count + 2 + 2)

    def test_connectionLost(self) -> None:
        """Who is gone before is not sent more, and the room is told."""
        self.enterSlowly()
        self.juliet.dropConnection()
        self.discardReceived()
        self.settle()
        self.assertNotIn("Juliet", self.room().occupants)
        self.assertReceived(self.others[0], "Juliet unavailable none/none")

    def test_again(self) -> None:
        """Who asks for everything again gets everything twice, one after the other."""
        self.enterSlowly()
        join(self.juliet, "Juliet")
        self.settle()
        own = [line for line in summaries(self.juliet) if line.endswith(" 110")]
        self.assertEqual(len(own), 2)

    def test_many(self) -> None:
        """Many who enter at the same time share slices."""
        clients: list[Client] = [self.counting(self.client(f"guest{number}")) for number in range(4)]
        for number, client in enumerate(clients):
            join(client, f"G{number}")
        counts = [self.turn(0) for _ in range(30)]
        self.assertLess(max(counts), 2 * 100 + 10)
        for client in clients:
            self.assertEqual(summaries(client)[-1].split()[0] != "", True)

    def test_manySessions(self) -> None:
        """The room is not given up while somebody enters, however few are left."""
        configure(self.owner, persistentroom=False)
        self.settle()
        self.enterSlowly()
        for number, client in enumerate(self.others):
            leave(client, f"N{number}")
        leave(self.owner, "Owner")
        self.settle()
        self.assertEqual(list(self.room().occupants), ["Juliet"])
        leave(self.juliet, "Juliet")
        self.assertNotIn(ROOM, self.server.muc.rooms.live)
