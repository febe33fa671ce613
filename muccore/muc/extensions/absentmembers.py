# -*- test-case-name: tests.muc.extensions.test_absentmembers -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Messages for members who are not in a room: when they are mentioned (XEP-0452), if its owner wants that, and all of
them, for those who want that themselves.

Both are for users with an affiliation and a reserved nick, so what they are sent is what they could read by entering.
Who unregisters gets nothing any more. A user is sent each message once at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from muccore.interfaces import Affiliate
from muccore.muc.extensions.occupantids import occupantId
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.extension import ExtensionField, RoomExtension
from muccore.muc.model.forwarding import forwardedCopy, mentionNotification
from muccore.muc.model.heldplaces import reachableSession
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.mentions import mentionedAccounts
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.ratelimit import RateLimit
from muccore.muc.model.room import Room
from muccore.muc.model.roommessage import RoomMessage
from muccore.muc.service.fanout import FanOut
from muccore.xmpp.dataforms import Field, Value
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.specs import Spec

COPIES: Final = (60, 60.0)
"""Messages of a room of which copies are sent at once, and the seconds until that many can be sent again."""

NOTIFIED: Final = (10, 600.0)
"""How often a user is notified of mentions in a room, likewise."""

MENTIONING: Final = (30, 600.0)
"""How often a user can cause notifications in a room, likewise."""

_MENTIONS: Final = "absent-members.mentions"
_OFFLINE: Final = "{http://tigase.org/protocol/muc}offline"
_WISH: Final = Field("boolean", _OFFLINE, "Receive messages while not in the room")


@dataclass(slots=True)
class _Absentees:
    """
    What is known of a room while it is in memory.

    @ivar wishing: those who wish copies and are not in the room, by bare JID; C{None} until it is needed.
    @ivar recipients: the same, to be iterated over; C{None} if somebody has come or gone.
    @ivar accounts: the registered users by occupant id; C{None} until it is needed.
    """

    wishing: set[str] | None = None
    recipients: tuple[str, ...] | None = None
    accounts: dict[str, str] | None = None
    copies: RateLimit = field(default_factory=lambda: RateLimit(*COPIES))
    notified: RateLimit = field(default_factory=lambda: RateLimit(*NOTIFIED))
    mentioning: RateLimit = field(default_factory=lambda: RateLimit(*MENTIONING))


class AbsentMembers(RoomExtension):
    """The extension. A row is kept for each user who wishes copies."""

    name = "absent-members"
    implements = (
        Spec(297, "Stanza Forwarding", "1.0", "From rooms to absent users, and from archives."),
        Spec(428, "Fallback Indication", "0.2.1", "In messages of rooms to absent users."),
        Spec(452, "MUC Mention Notifications", "0.2.2", "Of XEP-0372 and XEP-0513."),
    )
    fields = (
        ExtensionField(
            _MENTIONS,
            "muc#roomconfig_forwardmentions",
            "boolean",
            "Forward messages with mentions to non-present, affiliated users",
            default=False,
        ),
    )

    def start(self) -> None:
        """Begin to send."""
        self._fanOut = FanOut(self.service.parent)

    def stop(self, final: bool) -> None:
        """Send no more."""
        self._fanOut.stop()

    # Registration

    def registrationFields(self, room: Room, account: JID) -> Iterable[tuple[Field, Value]]:
        """Offer copies."""
        return [(_WISH, account.bare in self._wishes(room))]

    def registrationRows(self, room: Room, account: JID, values: Mapping[str, Value]) -> Mapping[str, Any]:
        """Keep the wish; without the field it stays as it is."""
        wished = account.bare in self._wishes(room)
        wanted = values.get(_OFFLINE, wished)
        return {} if wanted == wished else {account.bare: True if wanted else None}

    def affiliationRows(self, room: Room, changes: Mapping[str, Affiliate | None]) -> Mapping[str, Any]:
        """Forget the wishes of those whose registration ends."""
        wishes = self._wishes(room)
        return {key: None for key, entry in changes.items() if key in wishes and not _isRegistered(entry)}

    def _wishes(self, room: Room) -> Mapping[str, Any]:
        return room.states.get(self.name, {})

    # Who is absent

    def _absentees(self, room: Room) -> _Absentees:
        known: _Absentees | None = room.volatile.get(self.name)
        if known is None:
            known = room.volatile[self.name] = _Absentees()
        return known

    def greet(self, room: Room, session: OccupantSession, request: JoinRequest) -> None:
        """Note that somebody is not absent any more. What is said before they know who is there reaches them, too."""
        self._update(room, session.occupant.account.bare)

    def returned(self, room: Room, session: OccupantSession) -> None:
        """Note likewise."""
        self._update(room, session.occupant.account.bare)

    def left(self, room: Room, session: OccupantSession) -> None:
        """Note that somebody may be absent."""
        self._update(room, session.occupant.account.bare)

    def privilegesChanged(self, room: Room, change: PrivilegeChange) -> None:
        """Note who has registered, unregistered or changed their wish."""
        wishing = [key for name, key in change.states if name == self.name]
        for key in dict.fromkeys([*change.affiliates, *wishing]):
            self._update(room, key)
        known = room.volatile.get(self.name)
        if known is not None and known.accounts is not None:
            known.accounts.update(_accounts(room, (key for key in change.affiliates if "@" in key)))

    def _update(self, room: Room, bare: str) -> None:
        known: _Absentees | None = room.volatile.get(self.name)
        if known is None or known.wishing is None:
            return
        if bare in self._wishes(room) and _isAbsent(room, bare):
            known.wishing.add(bare)
        elif bare in known.wishing:
            known.wishing.remove(bare)
        else:
            return
        known.recipients = None

    def _recipients(self, room: Room, known: _Absentees) -> tuple[str, ...]:
        if known.wishing is None:
            known.wishing = {bare for bare in self._wishes(room) if _isAbsent(room, bare)}
        if known.recipients is None:
            known.recipients = tuple(known.wishing)
        return known.recipients

    # Messages

    def published(self, room: Room, message: RoomMessage) -> None:
        """Notify those who are mentioned, and send copies to those who wish them. Only of what the history keeps."""
        if not message.kept or message.delayed:
            return
        notified: frozenset[str] = frozenset()
        if message.account and room.settings.extensions.get(_MENTIONS):
            notified = self._notify(room, message)
        if room.states.get(self.name):
            known = self._absentees(room)
            recipients = self._recipients(room, known)
            if recipients and not known.copies.take("", room.seconds()):
                self._fanOut.send(forwardedCopy(room, message), recipients, notified)

    def _notify(self, room: Room, message: RoomMessage) -> frozenset[str]:
        """Notify those who are mentioned; return who they are."""
        known = self._absentees(room)
        mentioned = mentionedAccounts(room, message.message, partial(self._accountOf, room, known))
        absent = [
            each for each in mentioned if _isRegistered(room.affiliations.entry(each)) and _isAbsent(room, each)
        ]
        notified: list[str] = []
        now = room.seconds()
        for each in absent:
            if known.mentioning.take(message.account, now):
                break
            if not known.notified.take(each, now):
                notified.append(each)
        if notified:
            self._fanOut.send(mentionNotification(room, message), notified)
        return frozenset(notified)

    def _accountOf(self, room: Room, known: _Absentees, id: str) -> str | None:
        if known.accounts is None:
            known.accounts = _accounts(room, room.affiliations.registered())
        return known.accounts.get(id)


def _isRegistered(entry: Affiliate | None) -> bool:
    """Whether somebody with an entry can read what is said in the room, and is registered with it."""
    return entry is not None and entry.nick is not None and affiliationOf(entry) >= Affiliation.MEMBER


def _isAbsent(room: Room, account: str) -> bool:
    """Whether nothing reaches a user in the room. What is sent to held places goes nowhere."""
    return all(reachableSession(each) is None for each in room.occupants.ofAccount(account))


def _accounts(room: Room, accounts: Iterable[str]) -> dict[str, str]:
    """Users by occupant id; none if the room has no occupant ids."""
    ids = ((occupantId(room, parse(each)), each) for each in accounts)
    return {id: each for id, each in ids if id is not None}
