# -*- test-case-name: tests.muc.protocol.test_presence_sessions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""An occupant of a room, and their sessions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final

from muccore.interfaces import IRoute
from muccore.muc.model.nicks import comparisonForm
from muccore.muc.model.privileges import Affiliation, Role
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, escapeAttribute, toAttribute

if TYPE_CHECKING:
    from muccore.muc.model.heldplaces import HeldRoute

OTHERS_SHOWN: Final = 50
"""Sessions of an occupant that presence shows besides the primary one; those of a component are not limited."""


class OccupantSession:
    """
    One session of an occupant.

    @ivar jid: its full JID.
    @ivar to: its C{to} attribute, rendered.
    @ivar route: its route, or what takes its place for a time; L{setRoute} changes it.
    @ivar deliver: the C{deliver} of that.
    @ivar presencePayload: the payload of its latest presence, rendered.
    @ivar seesJIDs: whether it may see real JIDs.
    @ivar held: where stanzas go instead while it is held (L{muccore.muc.model.heldplaces}); otherwise C{None}.
    """

    __slots__ = ("deliver", "held", "jid", "occupant", "presencePayload", "route", "seesJIDs", "to")

    def __init__(self, jid: str, route: IRoute, occupant: Occupant, payload: bytes) -> None:
        self.jid = jid
        self.to = toAttribute(jid)
        self.setRoute(route)
        self.occupant = occupant
        self.presencePayload = payload
        self.seesJIDs = False
        self.held: HeldRoute | None = None

    def setRoute(self, route: IRoute) -> None:
        """Send by another route from now on."""
        self.route = route
        self.deliver: Callable[[Rendered, bytes], None] = route.deliver


class Occupant:
    """
    A user in a room under one nick, with one or more sessions (XEP-0045 §7.2.8).

    @ivar address: their occupant JID.
    @ivar form: the comparison form of their nick.
    @ivar fromAttribute: C{b" from='...'"} of it.
    @ivar account: their bare JID.
    @ivar affiliation: as the room's list has it.
    @ivar sessions: their sessions by full JID, oldest first.
    @ivar primary: the session whose presence and real JID others see: the one with the latest presence.
    @ivar shown: whether others see them (L{muccore.muc.model.presencebroadcast}).
    @ivar since: when they entered, in seconds since the epoch.
    @ivar stamps: the elements of extensions in everything that the room sends on their behalf, rendered.
    @ivar presenceStamps: those in their presence only, rendered.
    @ivar cachedPresence: their presence for newcomers, without and with the real JID; C{None} until it is needed.
    """

    __slots__ = (
        "account", "address", "affiliation", "cachedPresence", "form", "fromAttribute", "nick",
        "presenceStamps", "primary", "role", "sessions", "shown", "since", "stamps",
    )  # fmt: skip

    primary: OccupantSession

    def __init__(
        self,
        room: JID,
        nick: str,
        account: JID,
        affiliation: Affiliation,
        role: Role,
        stamps: bytes = b"",
        since: float = 0.0,
    ) -> None:
        self.account = account
        self.affiliation = affiliation
        self.role = role
        self.sessions: dict[str, OccupantSession] = {}
        self.cachedPresence: tuple[Rendered, Rendered] | None = None
        self.shown = False
        self.stamps = stamps
        self.since = since
        self.presenceStamps = b""
        self.rename(room, nick)

    def rename(self, room: JID, nick: str) -> None:
        """Change the nick."""
        self.nick = nick
        self.form = comparisonForm(nick)
        self.address = f"{room.bare}/{nick}"
        self.fromAttribute = f" from='{escapeAttribute(self.address)}'".encode()
        self.cachedPresence = None

    def otherJIDs(self) -> tuple[str, ...]:
        """The full JIDs of the sessions but the primary one, the oldest ones if they are more than L{OTHERS_SHOWN}."""
        return tuple(islice((jid for jid in self.sessions if jid != self.primary.jid), OTHERS_SHOWN))

    def addSession(self, jid: str, route: IRoute, payload: bytes) -> OccupantSession:
        """Add a session, which becomes the primary one."""
        session = self.sessions[jid] = self.primary = OccupantSession(jid, route, self, payload)
        self.cachedPresence = None
        return session
