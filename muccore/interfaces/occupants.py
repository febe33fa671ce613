# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of what outlives the server's process: the places of occupants, and sessions that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred

from muccore.interfaces.stores import IStore


class Place(NamedTuple):
    """
    The place of one session in a room.

    @ivar jid: the session's full JID.
    @ivar nick: the occupant's nick.
    @ivar role: the occupant's role, by its name in stanzas.
    @ivar affiliation: their affiliation, likewise.
    @ivar presence: the payload of the session's latest presence, rendered.
    @ivar since: when the occupant entered, in whole seconds since the epoch.
    @ivar stale: whether its client does not know what has happened since the server was started the time before.
    """

    jid: str
    nick: str
    role: str
    affiliation: str
    presence: bytes
    since: int = 0
    stale: bool = False


class IOccupantStore(IStore):
    """
    The places of occupants, by bare JID of the room and full JID of the session.

    A change is announced as soon as its call has returned, so it must be safe from the end of the process by then; it
    need not be safe from a power loss. It takes microseconds, in the reactor thread, and never fails: a store that
    cannot write tells the operator, and forgets all places rather than keep wrong ones. Before C{open} and after
    C{close}, calls do nothing.
    """

    def put(room: str, *places: Place) -> None:
        """Add or replace the places of sessions, in one step."""

    def remove(room: str, *jids: str) -> None:
        """Remove the places of sessions, in one step, as far as there are any."""

    def removeRoom(room: str) -> None:
        """Remove all places in a room."""

    def places() -> Mapping[str, Sequence[Place]]:
        """
        Get a copy of all places by room, those of each room in the order in which they were last put. The store keeps
        them, C{stale} from the next time on when it is opened, unless they are put again as such that are not.
        """

    def saveSessions(sessions: Sequence[bytes]) -> Deferred[None]:
        """
        Keep sessions at the end of the server, readable by the server only.

        @param sessions: one piece of bytes each, without line feeds.
        @raise StoreUnavailable: (as failure) if they cannot be kept.
        """

    def takeSessions() -> Deferred[list[bytes]]:
        """
        Take what was saved last: from then on the store does not have it any more.

        @raise StoreUnavailable: (as failure) if it cannot be read and removed.
        """
