# -*- test-case-name: tests.muc.model.test_extension -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The points of all extensions of a service: who is asked and told, in which order (L{muccore.muc.model.extension})."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from muccore.interfaces import Affiliate, Subject
from muccore.log.logger import Logger
from muccore.muc.model.extension import AffiliationStamps, RoomExtension
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.messagechecks import MessageChecks
from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.roommessage import RoomMessage
from muccore.muc.model.roomsettings import RoomSettings
from muccore.xmpp.dataforms import Field, Value
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered

if TYPE_CHECKING:
    from muccore.muc.model.moderationact import ModerationAct
    from muccore.muc.model.pastmessages import PastMessage
    from muccore.muc.model.privilegechanges import PrivilegeChange
    from muccore.muc.model.room import Room

_LISTS: Final = (
    "beforeCreation", "beforeConfiguration", "beforeDestruction", "beforeEntering", "beforeReading",
    "beforePresence", "beforeNickChange", "beforePrivateMessage", "beforePrivilegeChange", "created", "configured",
    "destroyed", "greet", "entered", "returned", "presenceChanged", "nickChanged", "left", "published",
    "subjectChanged", "privilegesChanged", "moderated",
)  # fmt: skip
"""The points whose results do not matter. L{RoomExtensions} has a tuple of methods for each."""

_log: Final = Logger()


class RoomExtensions:
    """
    The extensions of a service, in the order in which they are asked. Points whose result does not matter are
    tuples of the methods that some extension overrides, for L{tell} or a loop.

    @ivar fields: see L{RoomExtension.fields}.
    @ivar serviceFeatures: see L{RoomExtension.serviceFeatures}.
    @ivar waitingPayloads: see L{RoomExtension.waitingPayloads}.
    """

    beforeCreation: tuple[Callable[[JID, JID], None], ...]
    beforeConfiguration: tuple[Callable[[Room, JID, RoomSettings], None], ...]
    beforeDestruction: tuple[Callable[[Room, JID], None], ...]
    beforeEntering: tuple[Callable[[Room, JoinRequest, Affiliation], None], ...]
    beforeReading: tuple[Callable[[Room, JID, Affiliation], None], ...]
    beforePresence: tuple[Callable[[Room, OccupantSession, bytes], None], ...]
    beforeNickChange: tuple[Callable[[Room, OccupantSession, str], None], ...]
    beforePrivateMessage: tuple[Callable[[Room, Occupant, Occupant, Element], None], ...]
    beforePrivilegeChange: tuple[Callable[[Room, JID, PrivilegeChange], None], ...]
    created: tuple[Callable[[Room, JID], None], ...]
    configured: tuple[Callable[[Room, RoomSettings], None], ...]
    destroyed: tuple[Callable[[Room, JID | None, str | None], None], ...]
    greet: tuple[Callable[[Room, OccupantSession, JoinRequest], None], ...]
    entered: tuple[Callable[[Room, OccupantSession, JoinRequest], None], ...]
    returned: tuple[Callable[[Room, OccupantSession], None], ...]
    presenceChanged: tuple[Callable[[Room, OccupantSession], None], ...]
    nickChanged: tuple[Callable[[Room, Occupant, str], None], ...]
    left: tuple[Callable[[Room, OccupantSession], None], ...]
    published: tuple[Callable[[Room, RoomMessage], None], ...]
    subjectChanged: tuple[Callable[[Room, Subject], None], ...]
    privilegesChanged: tuple[Callable[[Room, PrivilegeChange], None], ...]
    moderated: tuple[Callable[[Room, ModerationAct], None], ...]

    def __init__(self, extensions: Sequence[RoomExtension] = ()) -> None:
        self._extensions = extensions
        for point in _LISTS:
            setattr(self, point, self._overriding(point))
        self._messageChecks = MessageChecks([each for each in extensions if _overrides(each, "beforeMessage")])
        self._stampOccupant = self._overriding("stampOccupant")
        self._stampPresence = self._overriding("stampPresence")
        self._stampMessage = self._overriding("stampMessage")
        self._stampPrivateMessage = self._overriding("stampPrivateMessage")
        self._stampEntry = self._overriding("stampEntry")
        self._stampAffiliations = self._overriding("stampAffiliations")
        self._loading = self._overriding("loading")
        self._limitRole = self._overriding("limitRole")
        self._findMessage = self._overriding("findMessage")
        self._findMessagesBy = self._overriding("findMessagesBy")
        self._replaceMessages = self._overriding("replaceMessages")
        self._withState = [each for each in extensions if _overrides(each, "newState")]
        self._registrationFields = self._overriding("registrationFields")
        self._withRegistrationRows = [each for each in extensions if _overrides(each, "registrationRows")]
        self._withAffiliationRows = [each for each in extensions if _overrides(each, "affiliationRows")]
        self.fields = tuple(row for each in extensions for row in each.fields)
        self.serviceFeatures = tuple(feature for each in extensions for feature in each.serviceFeatures)
        self.waitingPayloads = frozenset[str]().union(*(each.waitingPayloads for each in extensions))

    def __iter__(self) -> Any:
        return iter(self._extensions)

    def _overriding(self, point: str) -> tuple[Callable[..., Any], ...]:
        return tuple(getattr(each, point) for each in self._extensions if _overrides(each, point))

    def missingStates(self, states: Mapping[str, Any]) -> dict[str, Any]:
        """Make the states that a room does not have yet."""
        return {each.name: each.newState() for each in self._withState if each.name not in states}

    def loading(self, room: Room) -> list[Deferred[None]]:
        """See L{RoomExtension.loading}."""
        found = [loading(room) for loading in self._loading]
        return [each for each in found if each is not None]

    async def findMessage(self, room: Room, id: str) -> PastMessage | None:
        """See L{RoomExtension.findMessage}."""
        for find in self._findMessage:
            waiting = find(room, id)
            found: PastMessage | None = None if waiting is None else await waiting
            if found is not None:
                return found
        return None

    async def findMessagesBy(self, room: Room, account: str, limit: int) -> Sequence[PastMessage]:
        """See L{RoomExtension.findMessagesBy}; those of one extension."""
        for find in self._findMessagesBy:
            waiting = find(room, account, limit)
            found: Sequence[PastMessage] = () if waiting is None else await waiting
            if found:
                return found
        return ()

    async def replaceMessages(self, room: Room, tombstones: Mapping[str, Rendered]) -> None:
        """See L{RoomExtension.replaceMessages}."""
        for replace in self._replaceMessages:
            waiting = replace(room, tombstones)
            if waiting is not None:
                await waiting

    def features(self, room: Room) -> Iterable[str]:
        """The disco features of a room."""
        for each in self._extensions:
            yield from each.features
            yield from each.roomFeatures(room)

    def stampOccupant(self, room: Room, account: JID) -> bytes:
        """See L{RoomExtension.stampOccupant}."""
        return b"".join([stamp(room, account) for stamp in self._stampOccupant])

    def stampPresence(self, room: Room, occupant: Occupant) -> bytes:
        """See L{RoomExtension.stampPresence}."""
        return b"".join([stamp(room, occupant) for stamp in self._stampPresence])

    def stampMessage(self, room: Room, id: str, message: Element) -> bytes:
        """See L{RoomExtension.stampMessage}."""
        stamps = [stamp(room, id, message) for stamp in self._stampMessage]
        return stamps[0] if len(stamps) == 1 else b"".join(stamps)

    def stampPrivateMessage(self, room: Room, target: Occupant, message: Element, stamps: bytes) -> bytes:
        """See L{RoomExtension.stampPrivateMessage}; with the stamps of the sender."""
        return b"".join([stamps, *(stamp(room, target, message, stamps) for stamp in self._stampPrivateMessage)])

    def stampEntry(self, room: Room, session: OccupantSession) -> bytes:
        """See L{RoomExtension.stampEntry}."""
        return b"".join([stamp(room, session) for stamp in self._stampEntry])

    def stampAffiliations(self, room: Room, keys: Sequence[str]) -> AffiliationStamps | None:
        """See L{RoomExtension.stampAffiliations}; those of the first extension that makes any."""
        made = (stamp(room, keys) for stamp in (self._stampAffiliations if keys else ()))
        return next((each for each in made if each is not None), None)

    def affiliationRows(self, room: Room, changes: Mapping[str, Affiliate | None]) -> dict[tuple[str, str], Any]:
        """See L{RoomExtension.affiliationRows}; by name of the extension and key."""
        return {
            (each.name, key): value
            for each in (self._withAffiliationRows if changes else ())
            for key, value in each.affiliationRows(room, changes).items()
        }

    def registrationFields(self, room: Room, account: JID) -> list[tuple[Field, Value]]:
        """See L{RoomExtension.registrationFields}."""
        return [field for fields in self._registrationFields for field in fields(room, account)]

    def registrationRows(self, room: Room, account: JID, values: Mapping[str, Value]) -> dict[tuple[str, str], Any]:
        """See L{RoomExtension.registrationRows}; by name of the extension and key."""
        return {
            (each.name, key): value
            for each in self._withRegistrationRows
            for key, value in each.registrationRows(room, account, values).items()
        }

    def limitRole(self, room: Room, account: JID, affiliation: Affiliation, role: Role) -> Role:
        """See L{RoomExtension.limitRole}; the lowest that any allows."""
        for limit in self._limitRole:
            role = min(role, limit(room, account, affiliation, role))
        return role

    def reconfigured(self) -> None:
        """Note that the settings of the service have changed."""
        self._messageChecks.reconsider()

    def beforeMessage(self, room: Room, occupant: Occupant, message: Element) -> Element | Deferred[Element]:
        """Let each extension check, and perhaps replace, a message; see L{RoomExtension.beforeMessage}."""
        return self._messageChecks.ask(room, occupant, message)


def tell(methods: Iterable[Callable[..., None]], *args: Any) -> None:
    """Call the methods of a point that is told what has happened. A failure is logged, and the others are told."""
    for method in methods:
        try:
            method(*args)
        except Exception:
            _log.failure("an extension of a room failed: {method}", method=method.__qualname__)


def _overrides(extension: RoomExtension, name: str) -> bool:
    return getattr(type(extension), name) is not getattr(RoomExtension, name)
