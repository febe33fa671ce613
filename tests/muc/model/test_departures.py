# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.model.departures}, and for changes that affect many and are told to many in slices
(docs/design/0019).
"""

from __future__ import annotations

from muccore.muc.model import rendering
from muccore.xmpp import ns
from tests.muc.muchelpers import (
    affiliation,
    configure,
    join,
    leave,
    role,
    say,
    sendAdmin,
    sendOwner,
    sendPresence,
    summaries,
)
from tests.muc.slicedroom import SLICE, SlicedRoomTestCase


def about(lines: list[str], nick: str) -> list[str]:
    """Of some summaries, those about an occupant."""
    return [line for line in lines if line.startswith(f"{nick} ")]


class ManyRemovedTests(SlicedRoomTestCase):
    """A room becomes members-only, in which all but the owner and two others are strangers."""

    def setUp(self) -> None:
        super().setUp()
        members = (affiliation(f"u{n}@localhost", "member") for n in (0, 1))
        sendAdmin(self.owner, *members)
        self.settle()
        self.discardReceived()

    def close(self) -> None:
        """Make the room members-only."""
        configure(self.owner, membersonly=True, id="close")

    def test_inSlices(self) -> None:
        """Each is removed and told in slices; then the requester has the result; then the others are told, in order."""
        self.close()
        counts = [self.delivered, *self.settle()]
        self.assertLess(max(counts), 2 * SLICE)
        for number, client in enumerate(self.others[2:], 2):
            self.assertReceived(client, f"N{number} unavailable none/none jid=u{number}@localhost/a 322 110")
        gone = [f"N{number} unavailable none/none 322" for number in range(2, self.count)]
        self.assertReceived(self.others[0], *gone, "room groupchat 104")
        shown = [f"N{n} unavailable none/none jid=u{n}@localhost/a 322" for n in range(2, self.count)]
        self.assertReceived(self.owner, "result close", *shown, "room groupchat 104")
        self.assertEqual(list(self.room().occupants), ["Owner", "N0", "N1"])

    def test_inOrOut(self) -> None:
        """In between, whoever is not told yet is in the room and heard; whoever was told is out of it, and refused."""
        self.close()
        self.turn(0)
        isIn = [client.address in self.room().sessions for client in self.others[2:]]
        self.assertEqual(isIn, sorted(isIn))
        self.assertEqual(set(isIn), {True, False})
        self.assertEqual([bool(summaries(client)) for client in self.others[2:]], [not each for each in isIn])
        for client, present in zip(self.others[2:], isIn, strict=True):
            say(client, "a")
            expected = "groupchat" if present else "not-acceptable"
            self.assertIn(expected, summaries(client)[-1])

    def test_othersLeave(self) -> None:
        """Who leaves in between leaves of their own accord, once; the others go on."""
        self.close()
        leave(self.others[-1], f"N{self.count - 1}")
        self.settle()
        for client in (self.others[-1], self.others[0]):
            [line] = about(summaries(client), f"N{self.count - 1}")
            self.assertNotIn("322", line)
        self.assertEqual(list(self.room().occupants), ["Owner", "N0", "N1"])

    def test_changesWait(self) -> None:
        """Until all are removed, another configuration waits; messages do not."""
        self.close()
        configure(self.client("owner/b"), membersonly=False)
        say(self.others[0], "a")
        self.assertIn("N0 groupchat body:a", summaries(self.others[1]))
        self.assertTrue(self.room().settings.membersOnly)
        self.settle()
        self.assertFalse(self.room().settings.membersOnly)
        self.assertEqual(len(self.room().occupants), 3)

    def test_nickTaken(self) -> None:
        """Before somebody takes the nick of one who was removed, by entering or by renaming, all are told."""
        self.close()
        while "result close" not in summaries(self.owner):
            self.turn(0)
        self.assertEqual(about(summaries(self.others[0]), "N11"), [])
        sendPresence(self.others[1], "N11")
        sendAdmin(self.owner, affiliation("paris@localhost", "member"))
        paris = self.client("paris")
        join(paris, "N10")
        lines = summaries(self.others[0])
        for nick in ("N10", "N11"):
            words = [line.split()[1] for line in about(lines, nick)]
            self.assertEqual(words, ["unavailable", "available"], lines)
        self.settle()
        lines = summaries(self.others[0])
        self.assertEqual(about(lines, "N10") + about(lines, "N11"), [])

    def test_newcomers(self) -> None:
        """Who enters after somebody was removed is not told that they have gone; who was in is told once."""
        self.close()
        while "result close" not in summaries(self.owner):
            self.turn(0)
        sendAdmin(self.owner, affiliation("paris@localhost", "member"))
        paris = self.client("paris")
        join(paris, "Paris")
        self.settle()
        lines = summaries(paris)
        self.assertEqual([line for line in lines if "unavailable" in line], [])
        told = [line for line in summaries(self.others[1]) if "unavailable" in line]
        self.assertEqual(len(told), self.count - 2)
        self.discardReceived()
        sendAdmin(self.owner, role("N0", "none"))
        self.assertIn("N0 unavailable member/none 307", "\n".join(summaries(paris)).replace(" by=Owner", ""))

    def test_again(self) -> None:
        """Who was in, and asks for everything again, knows those who were removed, and is told that they have gone."""
        self.close()
        while "result close" not in summaries(self.owner):
            self.turn(0)
        join(self.others[0], "N0")
        self.settle()
        told = [line for line in summaries(self.others[0]) if "unavailable" in line]
        self.assertEqual(len(told), self.count - 2)


class ManyKickedTests(SlicedRoomTestCase):
    """Requests with many items."""

    def test_kicks(self) -> None:
        """Many who are kicked by one request are put out in slices; nothing is stored, and yet changes wait."""
        sendAdmin(self.owner, *(role(f"N{number}", "none") for number in range(1, self.count)))
        self.assertTrue(self.room().changeQueue.changing)
        sendAdmin(self.client("owner/b"), affiliation("u0@localhost", "outcast"), id="ban")
        counts = self.settle()
        self.assertLess(max(counts), 2 * SLICE)
        for client in self.others:
            self.assertEqual(len(summaries(client)) > 0, True)
        self.assertEqual(list(self.room().occupants), ["Owner"])
        self.assertFalse(self.room().changeQueue.changing)

    def test_absent(self) -> None:
        """Many affiliations of absent users are announced in slices, before the result."""
        self.configureRoom(whois="anyone")
        self.settle()
        self.discardReceived()
        sendAdmin(self.owner, *(affiliation(f"absent{n}@localhost", "member") for n in range(20)))
        counts = [self.delivered, *self.settle()]
        self.assertLess(max(counts), 2 * SLICE)
        lines = [f"room normal item absent{n}@localhost member" for n in range(20)]
        self.assertReceived(self.others[0], *lines)
        self.assertReceived(self.owner, *lines, "result q")


class DomainTests(SlicedRoomTestCase):
    """One item that concerns everybody: the square of the room."""

    count = 40

    def test_all(self) -> None:
        """
        Everybody has the new affiliation before the result, and is told of everybody's, in slices; each presence is
        rendered once for each class of recipients, besides for the occupant.
        """
        rendered = 0
        presence = rendering._presence

        def counting(*args: object) -> object:
            nonlocal rendered
            rendered += 1
            return presence(*args)  # type: ignore[arg-type]

        self.patch(rendering, "_presence", counting)
        sendAdmin(self.owner, affiliation("localhost", "member"))
        while "result q" not in summaries(self.owner):
            self.turn(0)
        word = {each.affiliation.xmlName for each in self.room().occupants.values()}
        self.assertEqual(word, {"member", "owner"})
        counts = self.settle()
        self.assertLess(max(counts), 2 * SLICE)
        self.assertGreaterEqual(sum(counts), self.count**2 - self.count)
        self.assertLessEqual(rendered, 3 * self.count)
        for client in self.others:
            lines = summaries(client)
            self.assertEqual(len(lines), self.count)
            self.assertTrue(all(" available member/participant" in line for line in lines))

    def test_meanwhile(self) -> None:
        """What changes in between is told as it is; who leaves is told once; who enters sees everybody as they are."""
        sendAdmin(self.owner, affiliation("localhost", "member"))
        while "result q" not in summaries(self.owner):
            self.turn(0)
        leave(self.others[30], "N30")
        sendPresence(self.others[31], "X31")
        sendPresence(self.others[32], "N32", "<show>xa</show>")
        sendAdmin(self.owner, role("N33", "none"), id="kick")
        self.assertIn("result kick", summaries(self.owner))
        paris = self.client("paris")
        join(paris, "Paris")
        self.settle()
        lines = summaries(self.others[0])
        self.assertEqual(about(lines, "N30"), ["N30 unavailable member/none"])
        self.assertEqual(about(lines, "N31"), ["N31 unavailable member/participant nick=X31 303"])
        self.assertEqual(about(lines, "X31"), [f"X31 available member/participant{by}" for by in ("", " by=Owner")])
        shown = [f"N32 available member/participant{by} show:xa" for by in ("", " by=Owner")]
        self.assertEqual(about(lines, "N32"), shown)
        self.assertEqual(about(lines, "N33"), ["N33 unavailable member/none by=Owner 307"])
        seen = {line.split()[0]: line for line in summaries(paris) if "available" in line}
        self.assertEqual(len(seen), len(self.room().occupants))
        self.assertTrue(all("/participant" in line or nick == "Owner" for nick, line in seen.items()))

    def test_ban(self) -> None:
        """A domain that is banned is put out as fast as slices go, before the others are told."""
        guest = self.counting(self.client("guest@elsewhere.localhost/a")) if False else None
        self.assertIsNone(guest)
        sendAdmin(self.owner, affiliation("localhost", "outcast"), affiliation("u0@localhost", "member"))
        turns = 0
        while len(self.room().occupants) > 2:
            self.turn(0)
            turns += 1
        self.assertLess(turns, 2 * self.count)
        self.settle()
        told = [line for line in summaries(self.others[0]) if "301" in line]
        self.assertEqual(len(told), self.count - 1)

    def test_versions(self) -> None:
        """Those who keep versions of lists (XEP-0463) get none of these, and notice it by the next announcement."""
        juliet = self.client("juliet")
        mav = f"<mav xmlns='{ns.MUC_AFFILIATIONS}'/>"
        self.configureRoom(whois="anyone")
        self.settle()
        join(juliet, "Juliet", x=mav)
        self.settle()
        known = juliet.received()[-2]
        sendAdmin(self.owner, affiliation("localhost", "member"))
        self.settle()
        self.assertNotIn("mav", "".join(each.toXml() for each in juliet.received()))
        sendAdmin(self.owner, affiliation("absent@localhost", "member"))
        self.settle()
        [message] = juliet.received()
        x = message.child("x", ns.MUC_USER)
        assert x is not None
        announced = x.child("mav", ns.MUC_AFFILIATIONS)
        assert announced is not None
        self.assertNotIn(announced.attributes["since"], known.toXml())


class EndTests(SlicedRoomTestCase):
    """The end of a room, or of the service."""

    def assertAllTold(self, words: str) -> None:
        """Check that each was told of their own removal only."""
        for number, client in enumerate(self.others):
            lines = [line for line in summaries(client) if "unavailable" in line]
            self.assertEqual(lines, [f"N{number} unavailable {words}"])

    def test_destroyed(self) -> None:
        """All are told in slices; then the owner has the result. Who enters before that waits, and creates the room."""
        sendOwner(self.owner, "<destroy><reason>End</reason></destroy>", id="end")
        counts = [self.delivered]
        first = self.others[0]
        join(first, "Again")
        self.assertEqual(summaries(first), [])
        counts += self.settle()
        self.assertLess(max(counts), SLICE)
        self.assertEqual(summaries(self.owner)[-1], "result end")
        for number, client in enumerate(self.others[1:], 1):
            line = f"N{number} unavailable none/none jid=u{number}@localhost/a destroy reason=End 110"
            self.assertReceived(client, line)
        self.assertReceived(
            first,
            "N0 unavailable none/none jid=u0@localhost/a destroy reason=End 110",
            "Again available owner/moderator jid=u0@localhost/a 201 110",
            "room groupchat subject:",
        )

    def test_shutDown(self) -> None:
        """At the end of the service all are told so in slices; what else there was to tell is dropped."""
        sendAdmin(self.owner, affiliation("localhost", "member"))
        while "result q" not in summaries(self.owner):
            self.turn(0)
        self.discardReceived()
        done = self.server.muc.shutDown(True)
        self.assertNoResult(done)
        counts = self.settle()
        self.successResultOf(done)
        self.assertLess(max(counts), 2 * SLICE)
        for client in self.clients:
            self.assertEqual(len([line for line in summaries(client) if "332" in line]), 1, client.address)
        self.assertEqual(len(self.room().occupants), 0)

    def test_restart(self) -> None:
        """At a restart nobody is told."""
        self.successResultOf(self.server.muc.shutDown(False))
        self.assertNothingReceived()


