# -*- test-case-name: tests.muc.model.test_extension -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Extensions of rooms: what they refuse, change, add and learn, at named points.

An extension is one object for all rooms of a service. It overrides the methods of the points that it needs; a point
costs nothing for extensions that do not. Points named C{before...} come before anything is stored or sent, and may
refuse by raising L{StanzaError<muccore.xmpp.errors.StanzaError>}. The others come when what they name has been sent,
in the same turn of the reactor; what they raise is logged.

What an extension keeps for a room is stored with it: form fields and a state in its settings, rows in C{Room.states}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from muccore.interfaces import Affiliate, Subject
from muccore.interfaces.handlers import IQTable, StanzaTable
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.roommessage import RoomMessage
from muccore.muc.model.roomsettings import ConfigField, RoomSettings
from muccore.xmpp.commands import Command
from muccore.xmpp.dataforms import Field, Value
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.specs import Spec

if TYPE_CHECKING:
    from muccore.muc.model.moderationact import ModerationAct
    from muccore.muc.model.pastmessages import PastMessage
    from muccore.muc.model.privilegechanges import PrivilegeChange
    from muccore.muc.model.room import Room
    from muccore.muc.protocol.base import RoomHandler


def _unchanged(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class ExtensionField(ConfigField):
    """
    A field of the configuration form that belongs to an extension. Its value is C{settings.extensions[setting]}, which
    is stored; its name begins with that of the extension.

    @ivar default: the value of rooms that were never configured: as a field of its kind has it, or text.
    @ivar parse: makes the value from a submitted one; C{ValueError} with the reason if it is not acceptable.
    """

    default: Any = ""
    parse: Callable[[Any], Any] = _unchanged

    def valueIn(self, settings: RoomSettings) -> bool | str | tuple[str, ...]:
        """See L{ConfigField.valueIn}."""
        value = self.get(settings)
        if isinstance(value, list):
            return tuple(value)
        return value if isinstance(value, (bool, tuple)) else str(value)

    def get(self, settings: RoomSettings) -> Any:
        """The value in the settings of a room, or the default."""
        return settings.extensions.get(self.setting, self.default)


@dataclass(frozen=True)
class AffiliationStamps:
    """
    What the announcements of changed affiliations carry, for those who have asked for it.

    @ivar groups: the group of each session that gets it, by full JID.
    @ivar stamps: rendered elements, by key of the affiliation and group.
    """

    groups: Mapping[str, Any]
    stamps: Mapping[tuple[str, Any], bytes]


class RoomExtension:
    """
    An extension.

    @cvar name: the name of its state in L{RoomSettings.extensions}, and of its rows in C{Room.states}.
    @cvar features: disco features of every room.
    @cvar serviceFeatures: disco features of the service.
    @cvar fields: its fields in the configuration form.
    @cvar waitingPayloads: namespaces: a message with such a child waits for changes of the room, and L{beforeMessage}
        may answer it with a L{Deferred}.
    @cvar messagePayloads: namespaces: L{beforeMessage} may be asked about messages with such a child only; C{None}: it
        is asked about all.
    @cvar implements: the texts that it follows.
    @ivar service: the service, once it has started.
    """

    name: str
    features: tuple[str, ...] = ()
    serviceFeatures: tuple[str, ...] = ()
    fields: tuple[ExtensionField, ...] = ()
    waitingPayloads: frozenset[str] = frozenset()
    messagePayloads: frozenset[str] | None = None
    implements: tuple[Spec, ...] = ()

    service: RoomHandler

    # The service

    def start(self) -> None:
        """Note that L{service} has started, before it has any room."""

    def stop(self, final: bool) -> Deferred[None] | None:
        """
        Finish what is pending; the rooms are empty already.

        @param final: see L{IDomain.shutDown<muccore.interfaces.IDomain.shutDown>}.
        """
        return None

    def iqs(self) -> IQTable:
        """
        Make the table of the requests that it answers, to rooms or to the service. Functions get C{(handler, iq, to)};
        L{dispatchToRoom<muccore.muc.protocol.base.dispatchToRoom>} makes those for rooms.
        """
        return {}

    def commands(self) -> Sequence[Command[Room]]:
        """
        Make the ad-hoc commands that it offers in rooms, with the help of
        L{RoomCommand<muccore.muc.model.roomcommands.RoomCommand>}. Changes of the room wait while one is carried out.
        """
        return ()

    def serviceCommands(self) -> Sequence[Command[RoomHandler]]:
        """Make the ad-hoc commands that it offers at the service."""
        return ()

    def stanzas(self) -> StanzaTable:
        """
        Make the table of other stanzas to the service itself that it handles. Functions get C{(handler, stanza, to)};
        they may decline, if they are so declared.
        """
        return {}

    # Discovery

    def roomFeatures(self, room: Room) -> Iterable[str]:
        """List the disco features of a room that depend on the room, besides L{features}."""
        return ()

    def infoFields(self, room: Room, sender: JID) -> Iterable[tuple[str, str, str, bool | str | tuple[str, ...]]]:
        """List fields for the C{muc#roominfo} form of a room: name, type, label and value."""
        return ()

    def discoInfo(self, room: Room, sender: JID, node: str) -> Element | None:
        """Answer C{disco#info} of a node of a room; C{None} if it is not this extension's."""
        return None

    def discoItems(self, room: Room, sender: JID, node: str, query: Element) -> Element | None:
        """Answer C{disco#items} of a node of a room; C{None} if it is not this extension's."""
        return None

    def serviceInfo(self, sender: JID, node: str) -> Element | None:
        """Answer C{disco#info} of a node of the service; C{None} if it is not this extension's."""
        return None

    def serviceItems(self, sender: JID, node: str) -> Element | None:
        """Answer C{disco#items} of a node of the service; C{None} if it is not this extension's."""
        return None

    # Life of a room

    def newState(self) -> Any:
        """Make the state of a room: text, a number or a list of text. It is durable before it is used."""

    def beforeCreation(self, jid: JID, creator: JID) -> None:
        """Check the creation of a room."""

    def created(self, room: Room, creator: JID) -> None:
        """Note that a room was created. It may be locked still."""

    def loading(self, room: Room) -> Deferred[None] | None:
        """Prepare a room that is being loaded from the store. Who enters waits for the result; a failure is logged."""
        return None

    def beforeConfiguration(self, room: Room, actor: JID, settings: RoomSettings) -> None:
        """Check a new configuration."""

    def configured(self, room: Room, old: RoomSettings) -> None:
        """Note that a room has a new configuration."""

    def beforeDestruction(self, room: Room, actor: JID) -> None:
        """Check the destruction of a room by an owner."""

    def destroyed(self, room: Room, venue: JID | None, reason: str | None) -> None:
        """Note that a room was destroyed by an owner, or has ended because nobody was left."""

    # Registration

    def registrationFields(self, room: Room, account: JID) -> Iterable[tuple[Field, Value]]:
        """List fields of the registration form (XEP-0045 §7.10), with the present values of a user."""
        return ()

    def registrationRows(self, room: Room, account: JID, values: Mapping[str, Value]) -> Mapping[str, Any]:
        """
        Make the rows that are stored with the registration of a user, by key (C{None} removes one). A registration
        ends with the reserved nick: see L{affiliationRows}.

        @param values: those of the submitted fields, by name.
        """
        return {}

    # Occupants

    def stampOccupant(self, room: Room, account: JID) -> bytes:
        """
        Make the elements that everything from an occupant carries (presence, messages and private messages), rendered.

        @param account: the bare JID. The result must depend on nothing else.
        """
        return b""

    def stampPresence(self, room: Room, occupant: Occupant) -> bytes:
        """
        Make the elements that the presence of an occupant carries, rendered. L{Room.restamp} makes them anew, for an
        occupant in whom something has changed.
        """
        return b""

    def stampEntry(self, room: Room, session: OccupantSession) -> bytes:
        """Make the elements in C{<x/>} of the presence that tells a session that it has entered, rendered."""
        return b""

    def beforeEntering(self, room: Room, request: JoinRequest, affiliation: Affiliation) -> None:
        """Check a request to enter, which the rules of the room allow."""

    def beforeReading(self, room: Room, jid: JID, affiliation: Affiliation) -> None:
        """Check a request to read what was said in a room, perhaps from outside, which the rules of the room allow."""

    def greet(self, room: Room, session: OccupantSession, request: JoinRequest) -> None:
        """
        Note that a session enters or asks for everything again, and send it what precedes the presence of the others.
        """

    def entered(self, room: Room, session: OccupantSession, request: JoinRequest) -> None:
        """Note that a session has entered and has been sent everything, or has asked for everything again."""

    def returned(self, room: Room, session: OccupantSession) -> None:
        """
        Note that a session has taken back its place of an earlier run of the server, without entering again
        (L{muccore.muc.model.heldplaces}).
        """

    def beforePresence(self, room: Room, session: OccupantSession, payload: bytes) -> None:
        """Check a change of presence."""

    def presenceChanged(self, room: Room, session: OccupantSession) -> None:
        """Note a change of presence."""

    def beforeNickChange(self, room: Room, session: OccupantSession, nick: str) -> None:
        """Check a change of nick, which the rules of the room allow."""

    def nickChanged(self, room: Room, occupant: Occupant, old: str) -> None:
        """Note that an occupant has a new nick."""

    def left(self, room: Room, session: OccupantSession) -> None:
        """Note that a session has left or was removed; its occupant is gone if they have no sessions."""

    # Messages

    def isConcernedWith(self, room: Room) -> bool:
        """
        Whether L{beforeMessage} is asked in a room at all. It is found out anew when the settings of the room or the
        service have changed.
        """
        return True

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> Element | Deferred[Element] | None:
        """
        Check a message to all, a change of the subject included.

        @param message: as it would be sent, without stamps; not to be changed.
        @return: C{None} to let it pass, or what is sent instead; a L{Deferred} only as L{waitingPayloads} allows.
        """
        return None

    def stampMessage(self, room: Room, id: str, message: Element) -> bytes:
        """
        Make the elements that one message to all carries, rendered.

        @param id: the id of the message in the room.
        @param message: the message without stamps.
        """
        return b""

    def published(self, room: Room, message: RoomMessage) -> None:
        """Note a message that was sent to all."""

    def subjectChanged(self, room: Room, subject: Subject) -> None:
        """Note that a room has a new subject."""

    def beforePrivateMessage(self, room: Room, occupant: Occupant, target: Occupant, message: Element) -> None:
        """Check a private message, as it would be sent."""

    def stampPrivateMessage(self, room: Room, target: Occupant, message: Element, stamps: bytes) -> bytes:
        """
        Make the elements that a private message to an occupant carries, rendered. It is sent in any case.

        @param message: the message without stamps.
        @param stamps: those of its sender.
        """
        return b""

    # Messages that it keeps

    def findMessage(self, room: Room, id: str) -> Deferred[PastMessage | None] | None:
        """Find a message that the history may not have, by its id in the room."""
        return None

    def findMessagesBy(self, room: Room, account: str, limit: int) -> Deferred[Sequence[PastMessage]] | None:
        """
        Find the last messages of an author, a bare JID, that are not retracted; oldest first.

        @param limit: the maximum, besides mere retractions (L{muccore.muc.model.retractions.isMereRetraction}).
        """
        return None

    def replaceMessages(self, room: Room, tombstones: Mapping[str, Rendered]) -> Deferred[Any] | None:
        """
        Replace the messages with these ids, of which it may keep none, by tombstones.

        @return: fires when that is durable; fails with L{StoreError<muccore.interfaces.StoreError>}.
        """
        return None

    # Roles and affiliations

    def beforePrivilegeChange(self, room: Room, actor: JID, change: PrivilegeChange) -> None:
        """
        Check a change of roles or affiliations, which the rules of the room allow. C{actor} is a full JID. Rows that
        change together with them may be added to C{change.states}.
        """

    def limitRole(self, room: Room, account: JID, affiliation: Affiliation, role: Role) -> Role:
        """
        Limit the role that a user gets on entering, by a change of their affiliation, or when a room stops being
        moderated. One that a moderator gives them is not limited.

        @param account: the bare JID.
        @return: the role, or a lower one than was asked for; at least that of visitor.
        """
        return role

    def privilegesChanged(self, room: Room, change: PrivilegeChange) -> None:
        """Note that roles or affiliations have changed; those who were removed have gone."""

    def moderated(self, room: Room, act: ModerationAct) -> None:
        """Note what those who run the room have done that is neither of these; extensions tell of what they did."""

    def affiliationRows(self, room: Room, changes: Mapping[str, Affiliate | None]) -> Mapping[str, Any]:
        """
        Make the rows that are stored with a change of affiliations, by key (C{None} removes one). It is asked when
        the change is stored, once. Changes of other users may be on their way to the store then.

        @param changes: bare JID or domain to its new entry, not applied yet; C{None} removes it.
        """
        return {}

    def stampAffiliations(self, room: Room, keys: Sequence[str]) -> AffiliationStamps | None:
        """
        Make the elements in C{<x/>} of what announces changed affiliations; C{None} for none.

        @param keys: whose affiliations have changed, bare JIDs or domains, in the order in which they are announced.
        """
        return None
