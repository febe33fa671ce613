# Copyright (c) The muccore authors. See LICENSE for details.
"""An extension that keeps the messages of rooms, as an archive does, and fails or waits on demand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from muccore.interfaces import StoreUnavailable
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.pastmessages import PastMessage
from muccore.muc.model.room import Room
from muccore.muc.model.roommessage import RoomMessage
from muccore.xmpp.rendering import Rendered


class Keeper(RoomExtension):
    """
    Keeps every message.

    @ivar messages: those of each room, oldest first.
    @ivar failing: whether requests fail.
    @ivar held: the writes that wait, if they are to wait; otherwise C{None}.
    """

    name = "keeper"

    def __init__(self) -> None:
        self.messages: defaultdict[str, list[PastMessage]] = defaultdict(list)
        self.failing = False
        self.held: list[Deferred[None]] | None = None

    def published(self, room: Room, message: RoomMessage) -> None:
        """Keep a message."""
        kept = self.messages[room.jid.bare]
        kept.append(PastMessage(message.id, message.account, message.rendered.id or "", message.when, message.rendered))

    def _found(self, result: Any) -> Any:
        return fail(StoreUnavailable("test")) if self.failing else succeed(result)

    def findMessage(self, room: Room, id: str) -> Deferred[PastMessage | None]:
        """Find one."""
        return self._found(next((each for each in self.messages[room.jid.bare] if each.id == id), None))

    def findMessagesBy(self, room: Room, account: str, limit: int) -> Deferred[Sequence[PastMessage]]:
        """Find those of an author."""
        kept = self.messages[room.jid.bare]
        return self._found([each for each in kept if each.account == account and not each.retracted][-limit:])

    def replaceMessages(self, room: Room, tombstones: Mapping[str, Rendered]) -> Deferred[Any]:
        """Replace some, now or later."""
        waiting: Deferred[None] = Deferred()
        if self.held is None:
            waiting.callback(None)
        else:
            self.held.append(waiting)
        return waiting.addCallback(lambda _: self._replace(room, tombstones))

    def _replace(self, room: Room, tombstones: Mapping[str, Rendered]) -> Any:
        if self.failing:
            return fail(StoreUnavailable("test"))
        kept = self.messages[room.jid.bare]
        for index, each in enumerate(kept):
            if each.id in tombstones:
                kept[index] = PastMessage(each.id, each.account, each.messageId, each.when, tombstones[each.id], True)
        return None

    def texts(self, room: str) -> list[str]:
        """The content of all messages of a room."""
        return [each.stanza.tail.decode() for each in self.messages[room] if each.stanza is not None]
