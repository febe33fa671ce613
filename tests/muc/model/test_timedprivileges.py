# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.model.timedprivileges}: rows, and what they change at their end."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.interfaces import Affiliate, RoomChange
from muccore.muc.model import timedprivileges
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomrecord import putRows
from muccore.muc.model.timedprivileges import TimedAffiliation, TimedMute
from muccore.testing.defaults import defaultOptions
from muccore.xmpp.jid import parse

BANS, MUTES = "timed-affiliations", "timed-mutes"
MEMBER = Affiliate("member", "Tybalt", "A prince")


class TimedTests(SynchronousTestCase):
    """A room without occupants."""

    def setUp(self) -> None:
        self.affiliations = Affiliations({"owner@x": Affiliate("owner"), "out@x": Affiliate("outcast")})
        self.room = Room(parse("room@rooms"), defaultOptions().defaults, self.affiliations, lambda: 0.0)

    def put(self, *timed: tuple[str, TimedAffiliation | TimedMute]) -> None:
        """Put rows."""
        for key, row in timed:
            putRows(self.room, {(BANS if isinstance(row, TimedAffiliation) else MUTES, key): row.row()})

    def test_rows(self) -> None:
        """What is stored is read again."""
        ban = TimedAffiliation(1.5, Affiliation.OUTCAST, MEMBER, 7.5)
        plain = TimedAffiliation(3, Affiliation.MEMBER)
        mutes = {"a@x": TimedMute(2, True, "No"), "b@x": TimedMute(4, False)}
        self.put(("a@x", ban), ("b@x", plain), *mutes.items())
        self.assertEqual(timedprivileges.affiliationsIn(self.room), {"a@x": ban, "b@x": plain})
        self.assertEqual(timedprivileges.mutesIn(self.room), mutes)

    def test_nextDeadline(self) -> None:
        """The earliest of both kinds."""
        self.assertIsNone(timedprivileges.nextDeadline(self.room))
        self.put(("a@x", TimedMute(5, True)))
        self.assertEqual(timedprivileges.nextDeadline(self.room), 5)
        self.put(("a@x", TimedAffiliation(4, Affiliation.MEMBER)), ("b@x", TimedMute(6, True)))
        self.assertEqual(timedprivileges.nextDeadline(self.room), 4)

    def test_nothingEnds(self) -> None:
        """Before the time, nothing changes; at the time, it does."""
        self.put(("out@x", TimedAffiliation(5, Affiliation.OUTCAST)), ("a@x", TimedMute(5, True)))
        self.assertEqual(timedprivileges.planEnd(self.room, 4.9).stored(self.room), RoomChange())
        stored = RoomChange({"out@x": None}, states={(BANS, "out@x"): None, (MUTES, "a@x"): None})
        self.assertEqual(timedprivileges.planEnd(self.room, 5).stored(self.room), stored)

    def test_obsolete(self) -> None:
        """A row that does not fit the list is removed, and changes nothing else."""
        self.put(
            ("out@x", TimedAffiliation(5, Affiliation.MEMBER)), ("new@x", TimedAffiliation(5, Affiliation.OUTCAST))
        )
        change = timedprivileges.planEnd(self.room, 5)
        self.assertEqual(change.stored(self.room), RoomChange(states={(BANS, "out@x"): None, (BANS, "new@x"): None}))

    def test_before(self) -> None:
        """What was there before comes back, if it has not ended meanwhile."""
        for until, entry, row in (
            (None, MEMBER, None), (9, MEMBER, TimedAffiliation(9, Affiliation.MEMBER).row()), (5, None, None),
        ):  # fmt: skip
            self.put(("out@x", TimedAffiliation(5, Affiliation.OUTCAST, MEMBER, until)))
            change = timedprivileges.planEnd(self.room, 5)
            self.assertEqual(change.stored(self.room), RoomChange({"out@x": entry}, states={(BANS, "out@x"): row}))
            self.assertEqual((change.actor, change.reasons), (None, {"out@x": "The ban is over."}))

    def test_sameNick(self) -> None:
        """Of two who had the same nick, one gets it back."""
        self.affiliations.update({"other@x": Affiliate("outcast")})
        for key in ("out@x", "other@x"):
            self.put((key, TimedAffiliation(5, Affiliation.OUTCAST, MEMBER)))
        change = timedprivileges.planEnd(self.room, 5)
        self.assertEqual([entry and entry.nick for entry in change.affiliates.values()], ["Tybalt", None])

    def superseded(self, key: str, new: str | None, changes: bool = True) -> set[tuple[str, str]]:
        """The rows that a new entry makes invalid."""
        change = PrivilegeChange(affiliates={key: None if new is None else Affiliate(new)})
        if changes:
            change.reasons[key] = None
        return set(timedprivileges.superseded(self.room, change))

    def test_superseded(self) -> None:
        """By another affiliation and by a ban anew; a mute by those above member. Others' rows stay."""
        for key in ("a@x", "b@x"):
            self.put((key, TimedAffiliation(5, Affiliation.MEMBER)), (key, TimedMute(5, True)))
        self.assertEqual(self.superseded("a@x", None), {(BANS, "a@x")})
        self.assertEqual(self.superseded("a@x", "outcast"), {(BANS, "a@x")})
        self.assertEqual(self.superseded("a@x", "outcast", False), {(BANS, "a@x")})
        self.assertEqual(self.superseded("a@x", "member", False), set())
        for new in ("admin", "owner"):
            self.assertEqual(self.superseded("a@x", new), {(BANS, "a@x"), (MUTES, "a@x")})
        self.assertEqual(self.superseded("c@x", "owner"), set())

    def test_limitRole(self) -> None:
        """Those who are muted are visitors at most, admins excepted."""
        self.put(("a@x", TimedMute(5, True)))
        for jid, affiliation, role, expected in (
            ("a@x", Affiliation.NONE, Role.PARTICIPANT, Role.VISITOR),
            ("a@x", Affiliation.MEMBER, Role.MODERATOR, Role.VISITOR),
            ("a@x", Affiliation.NONE, Role.VISITOR, Role.VISITOR),
            ("a@x", Affiliation.ADMIN, Role.MODERATOR, Role.MODERATOR),
            ("b@x", Affiliation.NONE, Role.PARTICIPANT, Role.PARTICIPANT),
        ):
            self.assertIs(timedprivileges.limitRole(self.room, parse(jid), affiliation, role), expected)
