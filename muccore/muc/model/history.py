# -*- test-case-name: tests.muc.model.test_history -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The discussion history of a room (XEP-0045 §7.2.13, §7.2.14)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from muccore.xmpp import ns
from muccore.xmpp.datetimes import parseStamp, stamp
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import Rendered, escapeAttribute

SIZE_LIMIT: Final = 512 * 1024
"""Bytes of history that a room keeps, well below the outbox limit of an entering client."""

_END: Final = b"</message>"


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
class _HistoryItem:
    """A message of the history, and its time in seconds since the epoch."""

    when: float
    rendered: Rendered
    stamped: bool


class History:
    """
    A bounded number of messages of one room, each kept as rendered. Most are dropped before anybody enters, so a
    message gets its delay stamp when it is first requested.
    """

    __slots__ = ("_delay", "_length", "_messages", "_size")

    def __init__(self, room: str, length: int) -> None:
        """@param length: the maximum number of messages, which L{SIZE_LIMIT} bounds further."""
        self._size = 0
        self._delay = f"<delay xmlns='{ns.DELAY}' from='{escapeAttribute(room)}'"
        self._length = length
        self._messages: deque[_HistoryItem] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    def resize(self, length: int) -> None:
        """Change the maximum number of messages."""
        self._length = length
        self._trim()

    def add(self, rendered: Rendered, now: float, delayed: bool = False) -> None:
        """
        Add a message.

        @param now: the time of the message, in seconds since the epoch.
        @param delayed: whether it has its own delay stamp (an owner's import, XEP-0045 §7.9), which is kept.
        """
        if self._length and rendered.tail.endswith(_END):
            self._messages.append(_HistoryItem(now, rendered.withoutElement(), delayed))
            self._size += len(rendered.tail)
            self._trim()

    def _trim(self) -> None:
        messages = self._messages
        while len(messages) > self._length or self._size > SIZE_LIMIT:
            self._size -= len(messages.popleft().rendered.tail)

    def _stamped(self, item: _HistoryItem) -> Rendered:
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
        for item in reversed(self._messages):
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
