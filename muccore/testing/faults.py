# -*- test-case-name: tests.testing.test_faults -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Stores of any kind that fail, wait or die at any request, for tests.

    faults = Faults()
    rooms = FaultyStore("rooms", MemoryRooms(), faults)
    faults.arm(Fault.FAIL, 2)

Now the third request that is made to any of the stores with these faults fails, and so do all later ones, until the
stores are healed.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Collection
from enum import Enum
from functools import wraps
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from zope.interface import directlyProvides, providedBy

from muccore.interfaces import IAccountStore, IStore, StoreUnavailable
from muccore.storage.registry import KINDS

_READS: Final = {
    "accounts": {"hasAccount", "scramKeys", "checkPassword", "users"},
    "rooms": {
        "load", "tombstone", "publicRooms", "searchRooms", "affiliatedRooms", "temporaryRooms", "usage", "preferences",
        "names", "tombstones", "preferenceNames",
    },
    "occupants": {"places"},
    "archive": {"query", "get", "metadata", "names", "openReading"},
    "audit": {"query"},
    "rosters": {"load", "accounts"},
    "userdata": {"get", "keys", "size", "accounts", "kinds"},
    "uploads": {"find", "read", "usage"},
    "pubsub": {"services", "nodes", "configured", "load", "affiliations", "subscriptions", "items", "find", "latest"},
}  # fmt: skip
"""The requests that change nothing, by kind of store; every other one of its interface is a write."""

CERTAIN: Final = {"occupants": {"put", "remove", "removeRoom", "places"}}
"""The requests that never fail (L{muccore.interfaces.IOccupantStore}), by kind of store."""


def requestsOf(kind: str) -> frozenset[str]:
    """The requests to a kind of store, by its interface."""
    interface = IAccountStore if kind == "accounts" else KINDS[kind]
    methods = {name for name in interface.names(all=True) if hasattr(interface[name], "getSignatureInfo")}
    return frozenset(methods - set(IStore.names()))


def writesOf(kind: str) -> frozenset[str]:
    """The requests to a kind of store that change what it has."""
    return requestsOf(kind) - _READS[kind]


class Fault(Enum):
    """What becomes of a request, and of all later ones."""

    FAIL = "it fails, and nothing is done"
    WAIT = "it is done later, when the stores are healed"
    LOST = "it is never answered, and nothing is done: the server ends before"
    DONE = "it is done, but never answered: the server ends behind it; nothing is done of later ones"


class Faults:
    """
    What happens to the requests to some stores.

    @ivar requests: those since L{arm}, as C{kind.method}, in order; without those that never fail.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._fault: Fault | None = None
        self._positions = range(0)
        self._kinds: Collection[str] = KINDS
        self._waiting: deque[tuple[Callable[[], Deferred[Any]], Deferred[Any]]] = deque()
        self._unanswered: list[Deferred[Any]] = []

    def arm(
        self, fault: Fault | None = None, position: int = 0, count: int | None = None, kinds: Collection[str] = KINDS
    ) -> None:
        """
        Count requests from now on.

        @param fault: what happens to the request at C{position}, from 0, and to later ones; C{None}: nothing.
        @param count: how many of them; C{None}: all.
        @param kinds: the kinds of stores to which this happens.
        """
        self.requests = []
        self._kinds = kinds
        self._fault, self._positions = fault, range(position, sys.maxsize if count is None else position + count)

    def heal(self) -> None:
        """Let all later requests pass, and do those that wait, with what follows from them."""
        self._fault = None
        while self._waiting:
            request, answer = self._waiting.popleft()
            request().chainDeferred(answer)

    def bury(self) -> None:
        """Fail what was never answered, and all that follows, so that nothing of a dead server is left."""
        self.arm(Fault.FAIL)
        unanswered, self._unanswered = self._unanswered, []
        for answer in unanswered:
            answer.errback(StoreUnavailable("test: the server has ended"))

    def apply(self, name: str, request: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """Make a request, or what is to happen instead."""
        position = len(self.requests)
        self.requests.append(name)
        fault = self._fault if position in self._positions and name.partition(".")[0] in self._kinds else None
        if fault is None:
            return request()
        if fault is Fault.FAIL:
            return fail(StoreUnavailable(f"test: {name} fails on demand"))
        answer: Deferred[Any] = Deferred()
        if fault is Fault.WAIT:
            self._waiting.append((request, answer))
            return answer
        if fault is Fault.DONE and position == self._positions.start:
            request()
        self._unanswered.append(answer)
        return answer


class FaultyStore:
    """
    A store that passes requests on to another one.

    @ivar inner: the other one, which may be that of another server as well, as after the end of one.
    """

    def __init__(self, kind: str, inner: Any, faults: Faults) -> None:
        """@param kind: a key of L{KINDS}."""
        directlyProvides(self, providedBy(inner))
        self.inner = inner
        self._kind = kind
        self._faults = faults

    def open(self) -> Deferred[None]:
        """See L{IStore.open}."""
        opened: Deferred[None] = self.inner.open()
        return opened

    def close(self) -> Deferred[None]:
        """See L{IStore.close}."""
        closed: Deferred[None] = self.inner.close()
        return closed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in requestsOf(self._kind):
            return found
        return found if name in CERTAIN.get(self._kind, ()) else self._wrapped(name, found)

    def _wrapped(self, name: str, method: Callable[..., Deferred[Any]]) -> Callable[..., Deferred[Any]]:
        @wraps(method)
        def request(*arguments: Any, **named: Any) -> Deferred[Any]:
            return self._faults.apply(f"{self._kind}.{name}", lambda: method(*arguments, **named))

        return request
