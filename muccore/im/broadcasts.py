# -*- test-case-name: tests.im.test_broadcasts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Presence of sessions on its way to their contacts, in slices if these are many (docs/design/0019)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from muccore.im.accountroster import AccountRoster
from muccore.interfaces import ISession
from muccore.net.slices import RENDERING, Slices, Steps
from muccore.xmpp import jid as jids
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered

HOLD: Final = 0.02
"""Seconds for which a client is not read further while its presence is on its way, again and again."""

_AT_ONCE: Final = 50
"""Contacts after which that is repeated; those whom presence cannot reach are passed over as many at a time."""

_SUBSCRIBED: Final = frozenset(["from", "both"])


class _Broadcast:
    """
    One presence of a session.

    @ivar left: the contacts who have not been told yet.
    """

    __slots__ = ("contacts", "left", "rendered", "roster", "session")

    def __init__(self, session: ISession, rendered: Rendered, roster: AccountRoster, told: Collection[str]) -> None:
        self.session = session
        self.rendered = rendered
        self.roster = roster
        self.contacts = [contact for contact in roster.subscribers() if contact not in told]
        self.left = set(self.contacts)


class PresenceBroadcasts:
    """
    Tells contacts of presence.

    A later broadcast of a session takes the place of an earlier one: those who have not been told of that are told of
    the later one only.
    """

    def __init__(self, send: Callable[[Element], object], isReachable: Callable[[str], bool]) -> None:
        """@param isReachable: whether presence to a contact can reach anybody."""
        self._send = send
        self._isReachable = isReachable
        self._current: dict[str, _Broadcast] = {}

    def begin(
        self,
        slices: Slices,
        session: ISession,
        rendered: Rendered,
        roster: AccountRoster,
        told: Collection[str] = (),
        following: Steps | None = None,
        payer: ISession | None = None,
    ) -> None:
        """
        Send presence of a session to the subscribers of its account.

        @param told: contacts who know already.
        @param following: what is done after it.
        @param payer: who is charged for what is sent; C{None}: the session.
        """
        broadcast = _Broadcast(session, rendered, roster, told)
        self._current[session.fullText] = broadcast
        if slices.run(self._steps(broadcast, following, payer or session)) is not None:
            session.charge(0, HOLD)

    def _steps(self, broadcast: _Broadcast, following: Steps | None, payer: ISession) -> Steps:
        session, size = broadcast.session, len(broadcast.rendered.tail)
        told = passed = 0
        for contact in broadcast.contacts:
            if self._isReachable(contact):
                yield RENDERING
            else:
                broadcast.left.discard(contact)
                passed += 1
                if passed % _AT_ONCE:
                    continue
                yield _AT_ONCE
            if self._current.get(session.fullText) is not broadcast:
                break
            if self._tell(broadcast, contact):
                told += 1
                if not told % _AT_ONCE:
                    payer.charge(_AT_ONCE * size, 0)
                    session.charge(0, HOLD)
        if self._current.get(session.fullText) is broadcast:
            del self._current[session.fullText]
            # Kept presence needs less memory without it.
            broadcast.rendered.parsed = None
        payer.charge(told % _AT_ONCE * size, 0)
        if following is not None:
            yield from following

    def _tell(self, broadcast: _Broadcast, contact: str) -> bool:
        """Tell a contact, unless that has been done, or must not be done any more."""
        if contact not in broadcast.left:
            return False
        broadcast.left.discard(contact)
        if broadcast.roster.item(contact).subscription not in _SUBSCRIBED or blocks(broadcast.session, contact):
            return False
        self._send(addressed(broadcast.rendered, contact))
        return True

    def withdraw(self, account: str, contacts: Collection[str]) -> None:
        """
        Tell contacts of an account, who must not be told anything from now on, of the unavailable presence that is on
        its way to them.
        """
        for broadcast in list(self._current.values()):
            if broadcast.session.account.bare == account and broadcast.rendered.type == "unavailable":
                for contact in broadcast.left.intersection(contacts):
                    broadcast.left.discard(contact)
                    self._send(addressed(broadcast.rendered, contact))

    def tell(self, full: str, contact: str) -> None:
        """Tell a contact of what is on its way from a session, by full JID, before they are sent anything else."""
        broadcast = self._current.get(full)
        if broadcast is not None:
            self._tell(broadcast, contact)


def addressed(presence: Rendered, to: str) -> Element:
    """A copy of presence for one recipient."""
    element = presence.element.copy()
    element.attributes["to"] = to
    return element


def blocks(session: ISession, contact: str) -> bool:
    """Whether the account of a session blocks a contact (XEP-0191)."""
    state = session.userState
    return state is not None and bool(state.blocked) and state.blocks(jids.parse(contact))
