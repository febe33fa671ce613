# -*- test-case-name: tests.http.upload.test_slots -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The slots that were promised, and how many an account gets.

A slot is known by two random words: the id is in its URLs, and the token, which only who asked for it knows, is in a
header of the request that puts the file. Slots are in memory only: what outlives the process is what was uploaded.
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from muccore.interfaces.uploads import Upload

LIFETIME: Final = 300
"""Seconds within which the upload has to begin (XEP-0363 §8)."""

SLOTS_LIMIT: Final = 20_000
"""Slots of all accounts together."""

_PERIOD: Final = 60
_BYTES: Final = 24


def randomWord() -> str:
    """Make a word that nobody can guess."""
    return secrets.token_urlsafe(_BYTES)


@dataclass(eq=False)
class Slot:
    """
    A promise to take one file.

    @ivar upload: the file.
    @ivar token: what whoever puts it has to know.
    @ivar typed: whether its type was promised.
    @ivar until: when the promise ends, unless it is being put.
    @ivar body: takes it while it is being put; C{None} otherwise.
    """

    upload: Upload
    token: str
    typed: bool
    until: float
    body: Any = None

    def isToken(self, found: str) -> bool:
        """Whether this is the token; takes the same time for any."""
        return hmac.compare_digest(found.encode("utf-8", "surrogateescape"), self.token.encode())


class Slots:
    """The slots, and when accounts have asked for them."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """@param seconds: measures time."""
        self._seconds = seconds
        # By id, in the order of their ends.
        self._slots: dict[str, Slot] = {}
        self._asked: dict[str, deque[float]] = {}
        # The bytes of slots that are not being put, by account.
        self._waiting: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._slots)

    def admit(self, owner: str, perMinute: int) -> float:
        """
        Count a request for a slot.

        @return: the seconds until the account may ask again, or 0 if it may have one now.
        """
        now = self._seconds()
        # Those come first that have asked least recently.
        while self._asked:
            name = next(iter(self._asked))
            if self._asked[name][-1] > now - _PERIOD:
                break
            del self._asked[name]
        times = self._asked.pop(owner, deque())
        self._asked[owner] = times
        while times and times[0] <= now - _PERIOD:
            times.popleft()
        if len(times) >= perMinute:
            return times[-perMinute] + _PERIOD - now
        times.append(now)
        return 0

    def add(self, upload: Upload, typed: bool) -> Slot:
        """Promise to take a file."""
        slot = Slot(upload, randomWord(), typed, self._seconds() + LIFETIME)
        self._slots[upload.id] = slot
        self._waiting[upload.owner] += upload.size
        return slot

    def find(self, id: str) -> Slot | None:
        """Find a slot that has not ended."""
        self._expire()
        return self._slots.get(id)

    def remove(self, slot: Slot) -> None:
        """Remove a slot, if it is still there."""
        if self._slots.pop(slot.upload.id, None) is not None and slot.body is None:
            self._uncount(slot)

    def begin(self, slot: Slot, body: Any) -> None:
        """The file of a slot is being put."""
        self._uncount(slot)
        slot.body = body

    def fail(self, slot: Slot) -> None:
        """The file of a slot was not put; that may be tried again."""
        slot.body = None
        if slot.upload.id in self._slots:
            self._waiting[slot.upload.owner] += slot.upload.size

    def _uncount(self, slot: Slot) -> None:
        owner = slot.upload.owner
        self._waiting[owner] -= slot.upload.size
        if not self._waiting[owner]:
            del self._waiting[owner]

    def promised(self, owner: str) -> tuple[int, int]:
        """The bytes that an account, and all, may still begin to put."""
        self._expire()
        return self._waiting.get(owner, 0), self._waiting.total()

    def take(self, owner: str) -> list[Slot]:
        """Remove and return the slots of an account."""
        self._asked.pop(owner, None)
        taken = [slot for slot in self._slots.values() if slot.upload.owner == owner]
        for slot in taken:
            self.remove(slot)
        return taken

    def _expire(self) -> None:
        now = self._seconds()
        for slot in list(self._ended(now)):
            self.remove(slot)

    def _ended(self, now: float) -> Iterator[Slot]:
        for slot in self._slots.values():
            if slot.until > now:
                break
            if slot.body is None:
                yield slot
