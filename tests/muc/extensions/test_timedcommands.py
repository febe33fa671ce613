# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.timedcommands}: who may execute which command, with what values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.extensions.timedcommands import parseDuration
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from tests.muc.extensions.timedhelpers import TimedTestCase
from tests.muc.muchelpers import ROOM, affiliation, execute, role, sendIQ, summaries


class DurationTests(SynchronousTestCase):
    """L{parseDuration}"""

    def test_durations(self) -> None:
        """Numbers with units, of which several may follow each other."""
        for text, seconds in (
            ("1s", 1), ("30m", 1800), ("12 h", 43_200), (" 7D ", 604_800), ("2w", 1_209_600), ("1d 12h", 129_600),
            ("1h30m", 5400), ("3660d", 316_224_000),
        ):  # fmt: skip
            self.assertEqual(parseDuration(text), seconds, text)

    def test_refused(self) -> None:
        """Anything else, nothing, and more than ten years."""
        for text in ("", "1", "h", "1 y", "-1h", "1.5h", "0s", "3661d", "9999999999s", "999999999w", "1h!", "١h"):
            self.assertRaises(ValueError, parseDuration, text)


class CommandTests(TimedTestCase):
    """The commands of a room."""

    def nodes(self, client: Client) -> list[str]:
        """The commands of timed privileges that a client finds."""
        sendIQ(client, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>")
        found = [each["node"] for each in self.result(client).childElements()]
        return [node.removeprefix("x-muc#") for node in found if node.startswith("x-muc#")]

    def test_who(self) -> None:
        """Admins have all, also outside the room; moderators those of mutes; others none."""
        self.change(role("Paris", "moderator"))
        nurse = self.client("nurse")
        self.change(affiliation("nurse@localhost", "admin"))
        all, mutes = ["ban", "member", "mute", "unmute", "timed"], ["mute", "unmute", "timed"]
        found = [self.nodes(client) for client in (self.owner, self.juliet, nurse, self.paris, self.tybalt)]
        self.assertEqual(found, [all, all, all, mutes, []])
        for name in ("ban", "member"):
            self.execute(self.paris, name, occupant="Tybalt")
            self.assertReceived(self.paris, "error q cancel forbidden")
        self.execute(nurse, "mute", occupant="Tybalt")
        reason = self.until()
        # An admin outside the room has no nick.
        self.assertReceived(self.paris, f"Tybalt available none/visitor jid=tybalt@localhost/a by=None reason={reason}")
        self.discardReceived()
        self.do("unmute", nurse, jid="tybalt@localhost")
        self.do("mute", self.paris, occupant="Tybalt")

    def test_muteTable(self) -> None:
        """Whom a moderator may mute is as for voice (§8.4), whether they are in the room and have voice or not."""
        self.change(role("Paris", "moderator"), affiliation("tybalt@localhost", "member"))
        for jid in ("owner@localhost", "juliet@localhost", "tybalt@localhost"):
            self.execute(self.paris, "mute", jid=jid)
            self.assertEqual(self.failure(self.paris), "This is not allowed.", jid)
        self.change(role("Tybalt", "visitor"))
        self.execute(self.paris, "mute", occupant="Tybalt")
        self.assertEqual(self.failure(self.paris), "This is not allowed.")
        self.do("unmute", jid="tybalt@localhost")
        self.tybalt.dropConnection()
        self.discardReceived()
        self.execute(self.paris, "mute", jid="tybalt@localhost")
        self.assertEqual(self.failure(self.paris), "This is not allowed.")
        self.execute(self.owner, "mute", jid="juliet@localhost")
        self.assertEqual(self.failure(self.owner), "This is not allowed.")
        self.execute(self.juliet, "mute", jid="juliet@localhost")
        self.assertEqual(self.failure(self.juliet), "You cannot mute yourself.")
        self.assertNothingTimed()
        self.do("mute", jid="tybalt@localhost")

    def test_affiliationTable(self) -> None:
        """Whom an admin may ban or make a member is as without an end (§9, §10)."""
        self.change(affiliation("paris@localhost", "admin"))
        for name, jid, text in (
            ("ban", "owner@localhost", "This is not allowed."),
            ("ban", "paris@localhost", "This is not allowed."),
            ("ban", "juliet@localhost", "You cannot ban yourself."),
            ("member", "owner@localhost", "You are not allowed to do this."),
            ("member", "paris@localhost", "You are not allowed to do this."),
        ):
            self.execute(self.juliet, name, jid=jid)
            self.assertEqual(self.failure(self.juliet), text)
        for name in ("ban", "member"):
            self.execute(self.owner, name, jid="owner@localhost")
            self.assertIn("ban yourself" if name == "ban" else "at least one owner", self.failure(self.owner))
        self.assertNothingTimed()

    def test_refused(self) -> None:
        """Values that are not acceptable may be submitted again."""
        for values in (
            {}, {"occupant": "Tybalt", "jid": "tybalt@localhost"}, {"occupant": "Nobody"}, {"occupant": ""},
            {"jid": "@"}, {"jid": f"{ROOM}/Nobody"}, {"occupant": "Tybalt", "duration": "soon"},
            {"occupant": "Tybalt", "duration": ""}, {"occupant": "Tybalt", "reason": "x" * 1025},
        ):  # fmt: skip
            for name in ("ban", "mute", "member"):
                self.execute(self.juliet, name, **values)
                [error] = summaries(self.juliet)
                self.assertEqual(error, "error q modify bad-request", values)
        self.execute(self.juliet, "unmute", jid="paris@localhost")
        self.assertEqual(self.failure(self.juliet), "Nobody is muted.")
        self.do("mute", occupant="Tybalt")
        self.execute(self.juliet, "unmute", jid="paris@localhost")
        self.assertReceived(self.juliet, "error q modify bad-request")

    def test_chosen(self) -> None:
        """A user is named by nick in any spelling, by address, or by address in the room."""
        for values in ({"occupant": "TYBALT"}, {"jid": "tybalt@localhost/x"}, {"jid": f"{ROOM}/Tybalt"}):
            self.do("mute", **values)
            self.do("unmute", jid="tybalt@localhost")

    def form(self, name: str) -> Element:
        """The form of a command."""
        execute(self.juliet, f"x-muc#{name}")
        x = self.result(self.juliet).child("x", ns.DATA)
        assert x is not None
        return x

    def options(self, form: Element) -> list[str | None]:
        """The options in a form."""
        fields = [each for each in form.childElements() if each.name == "field"]
        return [e.childText("value") for each in fields for e in each.childElements() if e.name == "option"]

    def test_form(self) -> None:
        """Others in the room are to choose from, none of them at first; if they are many, a nick is asked for."""
        self.assertEqual(self.options(self.form("ban")), ["", "Owner", "Tybalt", "Paris"])
        [occupant] = [each for each in self.form("mute").childElements() if each.get("var") == "occupant"]
        self.assertEqual((occupant["type"], occupant.childText("value")), ("list-single", ""))
        self.do("mute", occupant="Tybalt")
        self.assertEqual(self.options(self.form("unmute")), ["tybalt@localhost"])
        for n in range(98):
            self.enter(f"user{n}")
        self.assertEqual(self.options(self.form("mute")), [])
        self.do("mute", occupant="User7")

    def rows(self, client: Client) -> list[list[str]]:
        """The items of the list."""
        execute(client, "x-muc#timed")
        x = self.result(client).child("x", ns.DATA)
        assert x is not None
        items = [each for each in x.childElements() if each.name == "item"]
        return [[field.childText("value") or "" for field in item.childElements()] for item in items]

    def test_list(self) -> None:
        """The list is in the order of the ends; moderators see mutes only."""
        self.change(role("Paris", "moderator"))
        self.assertEqual(self.rows(self.juliet), [])
        self.do("ban", jid="mercutio@localhost", duration="2h", reason="No")
        self.do("mute", occupant="Tybalt", duration="3h")
        self.do("member", jid="nurse@localhost", duration="1h")
        ends = [self.until(hours * 3600) for hours in (1, 2, 3)]
        mute = ["mute", "tybalt@localhost", ends[2].removeprefix("until "), ends[2]]
        self.assertEqual(
            self.rows(self.juliet),
            [
                ["membership", "nurse@localhost", ends[0].removeprefix("until "), ends[0]],
                ["ban", "mercutio@localhost", ends[1].removeprefix("until "), f"No ({ends[1]})"],
                mute,
            ],
        )
        self.assertEqual(self.rows(self.paris), [mute])
