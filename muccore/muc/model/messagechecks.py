# -*- test-case-name: tests.muc.model.test_extension -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The checks of messages by extensions: C{beforeMessage} of those that are concerned with a room.

Who is concerned is found out once for a configuration, so that what is switched off in a room costs its messages
nothing. Those that look at certain payloads only are asked about messages that have any of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.internet.defer import Deferred

from muccore.muc.model.occupant import Occupant
from muccore.muc.model.roomsettings import RoomSettings
from muccore.xmpp.element import Element

if TYPE_CHECKING:
    from muccore.muc.model.extension import RoomExtension
    from muccore.muc.model.room import Room

_Check = Callable[["Room", Occupant, Element], "Element | Deferred[Element] | None"]

_KEY: Final = "beforeMessage"
"""The key in C{Room.volatile}."""


class _Concerned(NamedTuple):
    """
    Who is concerned with a room, and for which settings that was found out.

    @ivar generation: that of the checks at that time.
    @ivar checks: all checks.
    @ivar plainChecks: those of messages without any of the payloads.
    @ivar payloads: namespaces of the payloads that the others look at.
    """

    settings: RoomSettings
    generation: object
    checks: tuple[_Check, ...]
    plainChecks: tuple[_Check, ...]
    payloads: frozenset[str]


class MessageChecks:
    """The checks of a service."""

    def __init__(self, extensions: Sequence[RoomExtension]) -> None:
        """@param extensions: those that check messages, in their order."""
        self._extensions = extensions
        self._generation = object()

    def reconsider(self) -> None:
        """Find out anew who is concerned with each room."""
        self._generation = object()

    def ask(self, room: Room, occupant: Occupant, message: Element) -> Element | Deferred[Element]:
        """Let each extension check, and perhaps replace, a message."""
        concerned: _Concerned | None = room.volatile.get(_KEY)
        if concerned is None or concerned.settings is not room.settings or concerned.generation is not self._generation:
            concerned = room.volatile[_KEY] = self._findConcerned(room)
        checks = concerned.plainChecks
        if concerned.payloads:
            for child in message.children:
                if not isinstance(child, str) and child.uri in concerned.payloads:
                    checks = concerned.checks
                    break
        return _askNext(message, room, occupant, checks) if checks else message

    def _findConcerned(self, room: Room) -> _Concerned:
        concerned = [each for each in self._extensions if each.isConcernedWith(room)]
        return _Concerned(
            room.settings,
            self._generation,
            tuple(each.beforeMessage for each in concerned),
            tuple(each.beforeMessage for each in concerned if each.messagePayloads is None),
            frozenset[str]().union(*(each.messagePayloads or () for each in concerned)),
        )


def _askNext(
    message: Element, room: Room, occupant: Occupant, checks: tuple[_Check, ...]
) -> Element | Deferred[Element]:
    for index, check in enumerate(checks, 1):
        result = check(room, occupant, message)
        if isinstance(result, Deferred):
            return result.addCallback(_askNext, room, occupant, checks[index:])
        if result is not None:
            message = result
    return message
