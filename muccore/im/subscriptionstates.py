# -*- test-case-name: tests.im.test_subscriptionstates -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Presence subscriptions (RFC 6121 §3): the states of Appendix A, from the side of one of both, and what changes them.

From the side of a user, the stanzas that they send are outbound, and those that their contact sends are inbound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Final

from muccore.interfaces import RosterItem

TYPES: Final = frozenset(["subscribe", "subscribed", "unsubscribe", "unsubscribed"])
"""The types of presence that manage subscriptions."""


class State(Enum):
    """
    A state (Appendix A.1).

    @ivar subscription: the attribute of the roster item.
    @ivar pendingOut: whether a request of the user waits for an answer.
    @ivar pendingIn: whether one of the contact does.
    """

    def __init__(self, subscription: str, pendingOut: bool, pendingIn: bool) -> None:
        self.subscription = subscription
        self.pendingOut = pendingOut
        self.pendingIn = pendingIn

    NONE = ("none", False, False)
    NONE_OUT = ("none", True, False)
    NONE_IN = ("none", False, True)
    NONE_OUT_IN = ("none", True, True)
    TO = ("to", False, False)
    TO_IN = ("to", False, True)
    FROM = ("from", False, False)
    FROM_OUT = ("from", True, False)
    BOTH = ("both", False, False)

    @property
    def hasTo(self) -> bool:
        """Whether the user has a subscription to the contact."""
        return self.subscription in ("to", "both")

    @property
    def hasFrom(self) -> bool:
        """Whether the contact has a subscription to the user."""
        return self.subscription in ("from", "both")


_STATES: Final = {state.value: state for state in State}

Table = Mapping[str, Mapping[State, State]]
"""By the type of a stanza, the states that it changes, and what they become; it changes no others."""

OUTBOUND: Final[Table] = {
    "subscribe": {
        State.NONE: State.NONE_OUT,
        State.NONE_IN: State.NONE_OUT_IN,
        State.FROM: State.FROM_OUT,
    },
    "unsubscribe": {
        State.NONE_OUT: State.NONE,
        State.NONE_OUT_IN: State.NONE_IN,
        State.TO: State.NONE,
        State.TO_IN: State.NONE_IN,
        State.FROM_OUT: State.FROM,
        State.BOTH: State.FROM,
    },
    "subscribed": {
        State.NONE_IN: State.FROM,
        State.NONE_OUT_IN: State.FROM_OUT,
        State.TO_IN: State.BOTH,
    },
    "unsubscribed": {
        State.NONE_IN: State.NONE,
        State.NONE_OUT_IN: State.NONE_OUT,
        State.TO_IN: State.TO,
        State.FROM: State.NONE,
        State.FROM_OUT: State.NONE_OUT,
        State.BOTH: State.TO,
    },
}
"""Appendix A.2. What changes nothing is routed all the same if it is C{subscribe} or C{unsubscribe}."""

INBOUND: Final[Table] = {
    "subscribe": {
        State.NONE: State.NONE_IN,
        State.NONE_OUT: State.NONE_OUT_IN,
        State.TO: State.TO_IN,
    },
    "unsubscribe": {
        State.NONE_IN: State.NONE,
        State.NONE_OUT_IN: State.NONE_OUT,
        State.TO_IN: State.TO,
        State.FROM: State.NONE,
        State.FROM_OUT: State.NONE_OUT,
        State.BOTH: State.TO,
    },
    "subscribed": {
        State.NONE_OUT: State.TO,
        State.NONE_OUT_IN: State.TO_IN,
        State.FROM_OUT: State.BOTH,
    },
    "unsubscribed": {
        State.NONE_OUT: State.NONE,
        State.NONE_OUT_IN: State.NONE_IN,
        State.TO: State.NONE,
        State.TO_IN: State.NONE_IN,
        State.FROM_OUT: State.FROM,
        State.BOTH: State.FROM,
    },
}
"""Appendix A.3. What changes nothing is not delivered."""


def isRouted(type: str, state: State) -> bool:
    """Whether an outbound stanza is sent to the contact (Appendix A.2)."""
    return type in ("subscribe", "unsubscribe") or state in OUTBOUND[type]


def stateOf(item: RosterItem) -> State:
    """The state that a roster item is in."""
    return _STATES[item.subscription, item.ask, item.request is not None]


def inAnyState(item: RosterItem) -> RosterItem:
    """Take from an item of another server what is in no state: requests of those who have what they ask for."""
    return replace(
        item,
        ask=item.ask and item.subscription in ("none", "from"),
        request=item.request if item.subscription in ("none", "to") else None,
    )


def inState(item: RosterItem, state: State, request: bytes | None = None) -> RosterItem:
    """
    Bring an item into a state.

    @param request: the request of the contact; C{None}: the one that is waiting already.
    """
    waiting = (request or item.request) if state.pendingIn else None
    return replace(item, subscription=state.subscription, ask=state.pendingOut, request=waiting)
