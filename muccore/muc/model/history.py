# -*- test-case-name: tests.muc.model.test_history -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The discussion history of a room (XEP-0045 §7.2.13, §7.2.14)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from muccore.muc.model.roommessage import RoomMessage
from muccore.xmpp import ns
from muccore.xmpp.datetimes import parseStamp, stamp
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered, escapeAttribute

SIZE_LIMIT: Final = 512 * 1024
"""Bytes of history that a room keeps."""

RECENT: Final = 200
"""Messages of which a room knows who wrote them, whether their content is kept or not: 300 bytes each at most."""

_ID_LIMIT: Final = 128
"""Characters of an id of a client that is remembered; longer ones are never found."""

_END: Final = b"</message>"


class SentMessage(NamedTuple):
    """
    Who wrote a message.

    @ivar id: its id in the room.
    @ivar account: the bare JID of its author; C{""} for the room itself.
    @ivar messageId: the id that its author gave it; C{""} without one.
    @ivar when: its time, in seconds since the epoch.
    """

    id: str
    account: str
    messageId: str
    when: float


@dataclass(frozen=True)
class HistoryOptions:
    """The history that a client requests; C{None} for no limit. C{maxchars} is for all stanzas together."""

    maxchars: int | None = None
    maxstanzas: int | None = None
    since: float | None = None

    @classmethod
    def parse(cls, history: Element | None, now: float) -> HistoryOptions:
        """Parse a C{<history/>} element. Invalid or negative attributes are ignored: they keep nobody out of a room."""
        if history is None:
            return cls()
        seconds = _number(history.get("seconds"))
        since = None if seconds is None else now - seconds
        try:
            requested = parseStamp(history.attributes["since"])
        except (KeyError, ValueError):
            pass
        else:
            since = requested if since is None else max(since, requested)
        return cls(_number(history.get("maxchars")), _number(history.get("maxstanzas")), since)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None


@dataclass(slots=True)
class HistoryItem:
    """
    A message of the history.

    @ivar id: its id in the room.
    @ivar when: its time, in seconds since the epoch.
    @ivar account: the bare JID of its author; C{""} for the room itself.
    @ivar rendered: the message as it was sent, or with its delay stamp.
    @ivar stamped: whether it has one, such as that of an owner's import (XEP-0045 §7.9).
    @ivar messageId: the id that its author gave it; C{""} without one.
    @ivar retracted: whether it is a tombstone.
    """

    id: str
    when: float
    account: str
    rendered: Rendered
    stamped: bool = False
    messageId: str = ""
    retracted: bool = False


class History:
    """
    A bounded number of messages of one room. Most are dropped before anybody enters, so a message gets its delay stamp
    when it is first requested.
    """

    __slots__ = ("_delay", "_items", "_length", "_recent", "_size")

    def __init__(self, room: str, length: int) -> None:
        """@param length: the maximum number of messages, which L{SIZE_LIMIT} bounds further."""
        self._size = 0
        self._delay = f"<delay xmlns='{ns.DELAY}' from='{escapeAttribute(room)}'"
        self._length = length
        self._items: deque[HistoryItem] = deque()
        # As plain tuples, which cost a tenth.
        self._recent: deque[tuple[str, str, str, float]] = deque(maxlen=RECENT)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[HistoryItem]:
        return iter(self._items)

    def resize(self, length: int) -> None:
        """Change the maximum number of messages."""
        self._length = length
        self._trim()

    def add(self, message: RoomMessage) -> None:
        """Add a message that was sent to all."""
        id, account, messageId = message.id, message.account, self.remember(message)
        if self._length and message.rendered.tail.endswith(_END):
            rendered = message.rendered.withoutElement()
            self._append(HistoryItem(id, message.when, account, rendered, message.delayed, messageId))

    def remember(self, message: RoomMessage) -> str:
        """Remember who wrote a message, which need not be kept; return the id that its author gave it."""
        messageId = message.message.attributes.get("id", "")
        if len(messageId) > _ID_LIMIT:
            messageId = ""
        self._recent.append((message.id, message.account, messageId, message.when))
        return messageId

    def restore(self, item: HistoryItem) -> None:
        """Add an item that is newer than all others."""
        if not item.retracted:
            self._recent.append((item.id, item.account, item.messageId, item.when))
        self._append(item)

    def _append(self, item: HistoryItem) -> None:
        self._items.append(item)
        self._size += len(item.rendered.tail)
        self._trim()

    def find(self, id: str) -> HistoryItem | None:
        """The item with an id, or C{None}."""
        return next((item for item in self._items if item.id == id), None)

    def replace(self, item: HistoryItem, rendered: Rendered) -> None:
        """Replace the content of an item: what was retracted must not be sent again."""
        self._size += len(rendered.tail) - len(item.rendered.tail)
        item.rendered, item.stamped, item.retracted = rendered.withoutElement(), False, True

    def recent(self) -> Iterator[SentMessage]:
        """Who wrote the last L{RECENT} messages that were not retracted, oldest first."""
        return map(SentMessage._make, self._recent)

    def findSent(self, messageId: str) -> SentMessage | None:
        """
        The first of L{recent} to which its author gave an id. That may be another author than is expected: nobody can
        take over an id that they have seen.
        """
        return next((SentMessage._make(sent) for sent in self._recent if sent[2] == messageId), None)

    def forget(self, ids: Collection[str]) -> None:
        """Remove messages from L{recent}."""
        self._recent = deque((sent for sent in self._recent if sent[0] not in ids), RECENT)

    def remove(self, item: HistoryItem) -> None:
        """Remove an item."""
        self._items.remove(item)
        self._size -= len(item.rendered.tail)

    def _trim(self) -> None:
        items = self._items
        while len(items) > self._length or self._size > SIZE_LIMIT:
            self._size -= len(items.popleft().rendered.tail)

    def _stamped(self, item: HistoryItem) -> Rendered:
        if not item.stamped:
            delay = f"{self._delay} stamp='{stamp(item.when)}'/>".encode()
            item.rendered = item.rendered.extended(delay)
            item.stamped = True
            self._size += len(delay)
        return item.rendered

    def select(self, request: HistoryOptions, to: bytes) -> Sequence[Rendered]:
        """
        The messages for a session that enters: as many of the latest as all limits allow, oldest first.

        @param to: its C{to} attribute, rendered, which counts for C{maxchars}.
        """
        chosen: list[Rendered] = []
        left = request.maxchars
        for item in reversed(self._items):
            if request.maxstanzas is not None and len(chosen) >= request.maxstanzas:
                break
            if request.since is not None and item.when < request.since:
                break
            rendered = self._stamped(item)
            if left is not None:
                # XEP-0045 §7.2.14 counts characters, not bytes.
                left -= len(rendered.addressed(to).decode("utf-8"))
                if left < 0:
                    break
            chosen.append(rendered)
        chosen.reverse()
        return chosen
