# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.broadcasts}: presence to many contacts."""

from __future__ import annotations

from muccore.im.broadcasts import HOLD
from muccore.im.userstate import UserState
from muccore.interfaces import RosterChange, RosterItem
from tests.im.imhelpers import IMTestCase
from tests.routing.helpers import FakeStream
from tests.turns import turn

ROMEO = "romeo@localhost"
FRIENDS = [f"friend{n}@remote.lit" for n in range(400)]


class ManyTests(IMTestCase):
    """An account with 400 contacts, both of whose presence is sent to the other."""

    def setUp(self) -> None:
        super().setUp()
        friends = {friend: RosterItem(subscription="both") for friend in FRIENDS}
        self.store.change(ROMEO, RosterChange("e", 1, 0, friends))
        self.start()
        self.romeo = self.connect("romeo", interested=False, available=False)
        self.charges: list[tuple[int, float]] = []
        self.patch(FakeStream, "charge", lambda stream, sent, delay: self.charges.append((sent, delay)))

    def told(self, kind: str = "available") -> list[str]:
        """Who was told since the last call, in order."""
        words = [line.split() for line in self.remote.received]
        self.remote.received.clear()
        return [each[4] for each in words if each[0] == kind and each[2] == f"{ROMEO}/a"]

    def rest(self, kind: str = "available") -> list[list[str]]:
        """Who is told from now on, turn by turn."""
        turns = [self.told(kind)]
        while self.clock.getDelayedCalls():
            turn(self.clock)
            turns.append(self.told(kind))
        return turns

    def test_slices(self) -> None:
        """They are told in slices, in the order of the roster, each once; then those they have are asked for theirs."""
        self.romeo.send("<presence/>")
        self.assertEqual(len(self.romeo.take()), 1)
        turns = self.rest()
        self.assertLessEqual(max(map(len, turns)), 150)
        self.assertEqual([friend for each in turns for friend in each], FRIENDS)
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(sum(map(len, self.rest())), 400)

    def test_probes(self) -> None:
        """Contacts are asked for their presence in slices, too, once for each session."""
        self.romeo.send("<presence/>")
        turns = [self.remote.received[:]]
        while self.clock.getDelayedCalls():
            self.remote.received.clear()
            turn(self.clock)
            turns.append(self.remote.received[:])
        probes = [[line.split()[-1] for line in each if line.startswith("probe ")] for each in turns]
        self.assertLessEqual(max(map(len, probes)), 50)
        self.assertEqual([friend for each in probes for friend in each], FRIENDS)
        self.romeo.send("<presence/>")
        self.assertEqual([each for each in self.rest("probe") if each], [])

    def test_held(self) -> None:
        """The client is held while that goes on, and what was sent counts for its address."""
        self.romeo.send("<presence/>")
        self.assertIn((0, HOLD), self.charges)
        self.rest()
        size = len(f" from=\"{ROMEO}/a\"/>")
        # To the contacts, and to the session itself.
        self.assertEqual(sum(sent for sent, _ in self.charges), 401 * size)
        # Again and again: none waits for longer than the last slice.
        self.assertGreater([delay for _, delay in self.charges].count(HOLD), 5)

    def test_few(self) -> None:
        """With a few contacts nobody waits."""
        juliet = self.connect("juliet")
        self.charges.clear()
        juliet.send("<presence><show>away</show></presence>")
        self.assertEqual([delay for _, delay in self.charges if delay], [])

    def test_replaced(self) -> None:
        """Those who were not told of a presence when the next one comes are told of that one only."""
        self.romeo.send("<presence/>")
        first = self.told()
        self.romeo.send("<presence><show>away</show></presence>")
        lines = [line for line in self.remote.received if line.startswith("available")]
        while self.clock.getDelayedCalls():
            self.remote.received.clear()
            turn(self.clock)
            lines += [line for line in self.remote.received if line.startswith("available")]
        self.assertTrue(all(line.endswith("show:away") for line in lines))
        self.assertEqual([line.split()[4] for line in lines], FRIENDS)
        self.assertEqual(first, FRIENDS[: len(first)])

    def test_ended(self) -> None:
        """If the session ends, those who are left are told that only, and nobody is probed."""
        self.romeo.send("<presence/>")
        told = len(self.told())
        self.romeo.vanish()
        turns = list(self.remote.received)
        while self.clock.getDelayedCalls():
            self.remote.received.clear()
            turn(self.clock)
            turns += self.remote.received
        self.assertEqual([line.split()[0] for line in turns], ["unavailable"] * 400)
        self.assertLess(told, 400)

    def test_directed(self) -> None:
        """A contact to whom presence is directed meanwhile gets what is on its way first."""
        self.romeo.send("<presence/>")
        self.told()
        self.romeo.send(f"<presence to='{FRIENDS[-1]}'><show>dnd</show></presence>")
        self.assertEqual(
            [line for line in self.remote.received if FRIENDS[-1] in line],
            [f"available from {ROMEO}/a to {FRIENDS[-1]}", f"available from {ROMEO}/a to {FRIENDS[-1]} show:dnd"],
        )
        self.assertEqual([friend for each in self.rest() for friend in each].count(FRIENDS[-1]), 2)

    def test_probed(self) -> None:
        """A contact who asks meanwhile gets it once more at most, and all of their resources do."""
        self.romeo.send("<presence/>")
        self.told()
        self.fromRemote("probe", ROMEO, user=f"{FRIENDS[-1]}/phone")
        told = [line.split()[4] for line in self.remote.received if FRIENDS[-1] in line]
        self.assertEqual(told, [FRIENDS[-1], f"{FRIENDS[-1]}/phone"])
        self.remote.received.clear()
        self.assertNotIn(FRIENDS[-1], [friend for each in self.rest() for friend in each])

    def test_removed(self) -> None:
        """A contact who is removed meanwhile is not told."""
        self.romeo.send("<presence/>")
        self.told()
        self.set(self.romeo, f"<item jid='{FRIENDS[-1]}' subscription='remove'/>")
        self.remote.received.clear()
        self.assertEqual([friend for each in self.rest() for friend in each][-1], FRIENDS[-2])

    def test_blocked(self) -> None:
        """A contact who is blocked before they were told that a session has gone is told that, once, and no other."""
        self.romeo.send("<presence/>")
        self.rest()
        tablet = self.connect("romeo/tablet", interested=False)
        self.rest()
        self.romeo.vanish()
        turn(self.clock)
        self.assertNotIn(FRIENDS[-1], self.told("unavailable"))
        account = self.romeo.session.account
        blocked = UserState(account, {FRIENDS[-1]}, None)
        self.romeo.session.userState = tablet.session.userState = blocked
        self.presence.withdraw(account, blocked.blocks)
        told = [self.told("unavailable")]
        self.assertEqual(told, [[FRIENDS[-1]]])
        told += self.rest("unavailable")
        self.assertEqual([friend for each in told for friend in each].count(FRIENDS[-1]), 1)

    def test_shutDown(self) -> None:
        """At the end of the server all are told at once."""
        self.romeo.send("<presence/>")
        self.romeo.send("<presence type='unavailable'/>")
        self.remote.received.clear()
        self.presence.shutDown(True)
        self.assertEqual(self.told("unavailable")[-1], FRIENDS[-1])
