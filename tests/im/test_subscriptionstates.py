# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.im.subscriptionstates}, cell by cell of the tables of RFC 6121, Appendix A."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muccore.im.subscriptionstates import INBOUND, OUTBOUND, TYPES, State, inState, isRouted, stateOf
from muccore.interfaces import RosterItem

# A line for each state, in the order of the text: the state, then, for each type, whether the stanza is routed or
# delivered (+) or not (-), and the new state.
OUT = """
              subscribe          unsubscribe    subscribed     unsubscribed
NONE          + NONE_OUT         + NONE         - NONE         - NONE
NONE_OUT      + NONE_OUT         + NONE         - NONE_OUT     - NONE_OUT
NONE_IN       + NONE_OUT_IN      + NONE_IN      + FROM         + NONE
NONE_OUT_IN   + NONE_OUT_IN      + NONE_IN      + FROM_OUT     + NONE_OUT
TO            + TO               + NONE         - TO           - TO
TO_IN         + TO_IN            + NONE_IN      + BOTH         + TO
FROM          + FROM_OUT         + FROM         - FROM         + NONE
FROM_OUT      + FROM_OUT         + FROM         - FROM_OUT     + NONE_OUT
BOTH          + BOTH             + FROM         - BOTH         + TO
"""

IN = """
              subscribe          unsubscribe    subscribed     unsubscribed
NONE          + NONE_IN          - NONE         - NONE         - NONE
NONE_OUT      + NONE_OUT_IN      - NONE_OUT     + TO           + NONE
NONE_IN       - NONE_IN          + NONE         - NONE_IN      - NONE_IN
NONE_OUT_IN   - NONE_OUT_IN      + NONE_OUT     + TO_IN        + NONE_IN
TO            + TO_IN            - TO           - TO           + NONE
TO_IN         - TO_IN            + TO           - TO_IN        + NONE_IN
FROM          - FROM             + NONE         - FROM         - FROM
FROM_OUT      - FROM_OUT         + NONE_OUT     + BOTH         + FROM
BOTH          - BOTH             + TO           - BOTH         + FROM
"""


def cells(table: str) -> list[tuple[State, str, bool, State]]:
    """The cells of a table: state, type, whether it is passed on, and the new state."""
    head, *lines = table.split("\n")[1:-1]
    types = head.split()
    found = []
    for line in lines:
        name, *rest = line.split()
        for type, sign, new in zip(types, rest[::2], rest[1::2], strict=True):
            found.append((State[name], type, sign == "+", State[new]))
    return found


class TableTests(SynchronousTestCase):
    """The tables."""

    def test_outbound(self) -> None:
        """Appendix A.2: 36 cells."""
        self.assertEqual(len(cells(OUT)), 36)
        for state, type, routed, new in cells(OUT):
            self.assertIs(OUTBOUND[type].get(state, state), new, (state, type))
            self.assertIs(isRouted(type, state), routed, (state, type))

    def test_inbound(self) -> None:
        """Appendix A.3: 36 cells. Delivered is what changes something."""
        self.assertEqual(len(cells(IN)), 36)
        for state, type, delivered, new in cells(IN):
            self.assertIs(INBOUND[type].get(state, state), new, (state, type))
            self.assertIs(state in INBOUND[type], delivered, (state, type))

    def test_bothSides(self) -> None:
        """Whatever two users send each other, their views of the subscriptions agree."""
        for type in TYPES:
            for state in State:
                # What the other one knows if nothing is pending.
                mirrored = {"none": "none", "to": "from", "from": "to", "both": "both"}[state.subscription]
                other = next(each for each in State if each.value == (mirrored, state.pendingIn, state.pendingOut))
                sent = OUTBOUND[type].get(state, state)
                received = INBOUND[type].get(other, other) if isRouted(type, state) else other
                self.assertEqual((sent.hasTo, sent.hasFrom), (received.hasFrom, received.hasTo), (type, state))

    def test_items(self) -> None:
        """An item is brought into a state and read again; the rest of it stays."""
        for state in State:
            item = inState(RosterItem("a", ("b",), approved=True), state, b"x")
            self.assertIs(stateOf(item), state)
            self.assertEqual((item.name, item.groups, item.approved), ("a", ("b",), True))
            self.assertEqual(item.request, b"x" if state.pendingIn else None)
        waiting = inState(inState(RosterItem(), State.NONE_IN, b"x"), State.TO_IN)
        self.assertEqual(waiting.request, b"x")
