# -*- test-case-name: tests.muc.model.test_history -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The last messages of a room, for those who enter (XEP-0045 §7.2.13, §7.2.14)."""

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
"""Most bytes of history that a room keeps, so that nobody can make it more than a newcomer's connection will hold."""

_END: Final = b"</message>"


@dataclass(frozen=True)
class HistoryOptions:
    """
    What somebody who enters asks for; C{None} for no limit.

    @ivar maxchars: characters of whole stanzas, in all.
    @ivar maxstanzas: messages.
    @ivar since: seconds since the epoch; only what was said then or later.
    """

    maxchars: int | None = None
    maxstanzas: int | None = None
    since: float | None = None

    @classmethod
    def parse(cls, history: Element | None, now: float) -> HistoryOptions:
        """
        From a C{<history/>} element. An attribute that is no number or no stamp, or is negative, is as if it were
        absent: nobody is kept out of a room for it.
        """
        if history is None:
            return cls()
        seconds = _number(history.get("seconds"))
        since = None if seconds is None else now - seconds
        try:
            asked = parseStamp(history.attributes["since"])
        except (KeyError, ValueError):
            pass
        else:
            since = asked if since is None else max(since, asked)
        return cls(_number(history.get("maxchars")), _number(history.get("maxstanzas")), since)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 16 else None


class _HistoryItem:
    """
    A message that is kept.

    @ivar when: when it was said.
    @ivar rendered: as it was sent, until somebody enters; stamped from then on.
    @ivar stamped: whether it says when it was said.
    """

    __slots__ = ("rendered", "stamped", "when")

    def __init__(self, when: float, rendered: Rendered, stamped: bool) -> None:
        self.when = when
        self.rendered = rendered
        self.stamped = stamped


class History:
    """
    A bounded number of messages of one room, each kept as it was rendered. Most are forgotten before anybody enters,
    so a message is stamped when it is first asked for.
    """

    __slots__ = ("_delay", "_length", "_messages", "_size")

    def __init__(self, room: str, length: int) -> None:
        """
        @param room: the room's bare JID.
        @param length: how many messages to keep at the most; however many, they are never more than L{SIZE_LIMIT}
            bytes.
        """
        self._size = 0
        self._delay = f"<delay xmlns='{ns.DELAY}' from='{escapeAttribute(room)}'"
        self._length = length
        self._messages: deque[_HistoryItem] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    def resize(self, length: int) -> None:
        """Keep another number of messages from now on."""
        self._length = length
        self._trim()

    def add(self, rendered: Rendered, now: float, delayed: bool = False) -> None:
        """
        Keep a message.

        @param now: when it was said, in seconds since the epoch.
        @param delayed: it says itself when it was said (an owner's import, XEP-0045 §7.9): no stamp of ours is added.
        """
        if self._length and rendered.tail.endswith(_END):
            self._messages.append(_HistoryItem(now, rendered, delayed))
            self._size += len(rendered.tail)
            self._trim()

    def _trim(self) -> None:
        messages = self._messages
        while len(messages) > self._length or self._size > SIZE_LIMIT:
            self._size -= len(messages.popleft().rendered.tail)

    def _stamped(self, said: _HistoryItem) -> Rendered:
        if not said.stamped:
            plain = said.rendered
            delay = f"{self._delay} stamp='{stamp(said.when)}'/>".encode()
            said.rendered = Rendered(plain.head, plain.tail[: -len(_END)] + delay + _END)
            said.stamped = True
            self._size += len(delay)
        return said.rendered

    def select(self, request: HistoryOptions, to: bytes) -> Sequence[Rendered]:
        """
        What one who enters is sent: as many of the last messages as every limit allows, the eldest first.

        @param to: his C{to} attribute, rendered; it counts as well.
        """
        chosen: list[Rendered] = []
        left = request.maxchars
        for said in reversed(self._messages):
            if request.maxstanzas is not None and len(chosen) >= request.maxstanzas:
                break
            if request.since is not None and said.when < request.since:
                break
            rendered = self._stamped(said)
            if left is not None:
                # XEP-0045 §7.2.14 counts characters, not bytes.
                left -= len(rendered.addressed(to).decode("utf-8"))
                if left < 0:
                    break
            chosen.append(rendered)
        chosen.reverse()
        return chosen
