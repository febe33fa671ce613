# -*- test-case-name: tests.pubsub.test_interests -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Which nodes clients want to hear of, by their capabilities (XEP-0115, XEP-0060 §9.2).

The capabilities of a hash are asked of a few of the clients that announce it, until the information of one has that
hash; then it is believed of all of them. Information that does not have it counts for the client that has sent it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.words.xish import domish

from muccore.xmpp import capabilities, ns
from muccore.xmpp.element import Element, copyOf

NOTIFY: Final = "+notify"
"""The end of a feature that asks for the events of a node."""

NODES_LIMIT: Final = 100
"""Nodes that one client may want to hear of."""

_NAME_LIMIT: Final = 512
"""Characters of the name of one of them."""

CACHED: Final = 5000
"""Hashes that are remembered, those that were used last."""

ASKED: Final = 3
"""Clients with the same hash that are asked at once."""

WAITING_LIMIT: Final = 50_000
"""Clients whose capabilities are not known yet."""

NOTHING: Final[frozenset[str]] = frozenset()

Nodes = frozenset[str]

Ask = Callable[[str, str], Deferred[Element]]
"""Asks a client, by its full JID, for the C{disco#info} of a node; fires with the element C{query}."""

_Key = tuple[str, str]


class _Hash:
    """
    A hash that is not known yet.

    @ivar node: the node that is asked for.
    @ivar waiting: the clients that have it, with what is called for each.
    @ivar asked: those that were asked and have not answered, by their numbers.
    """

    __slots__ = ("asked", "node", "waiting")

    def __init__(self, node: str) -> None:
        self.node = node
        self.waiting: deque[tuple[str, Callable[[Nodes], None]]] = deque()
        self.asked: dict[int, Callable[[Nodes], None]] = {}


class Interests:
    """Finds out which nodes clients want to hear of."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._known: OrderedDict[_Key, Nodes] = OrderedDict()
        self._hashes: dict[_Key, _Hash] = {}
        self._waiting = 0
        self._serial = 0

    def lookUp(self, full: str, presence: domish.Element, found: Callable[[Nodes], None]) -> None:
        """
        Find out which nodes a client wants to hear of.

        @param full: its full JID.
        @param presence: its presence.
        @param found: called once with them, at once or later; with nothing if the client does not tell.
        """
        caps = next((child for child in presence.elements() if (child.uri, child.name) == (ns.CAPS, "c")), None)
        if caps is None:
            found(NOTHING)
            return
        node, version = caps.getAttribute("node", ""), caps.getAttribute("ver", "")
        key = (caps.getAttribute("hash", ""), version)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            found(known)
        elif self._waiting >= WAITING_LIMIT:
            found(NOTHING)
        else:
            self._waiting += 1
            if key[0] in capabilities.HASHES:
                entry = self._hashes.setdefault(key, _Hash(f"{node}#{version}"))
                entry.waiting.append((full, found))
                self._askNext(key, entry)
            else:
                # It cannot be verified: what it says counts for itself.
                asking = self._ask(full, f"{node}#{version}" if key[0] else "")
                asking.addBoth(lambda query: self._tell(found, _said(query)))

    def _tell(self, found: Callable[[Nodes], None], nodes: Nodes) -> None:
        self._waiting -= 1
        found(nodes)

    def _askNext(self, key: _Key, entry: _Hash) -> None:
        """Ask the next clients with a hash."""
        while entry.waiting and len(entry.asked) < ASKED and self._hashes.get(key) is entry:
            full, found = entry.waiting.popleft()
            self._serial += 1
            entry.asked[self._serial] = found
            self._ask(full, entry.node).addBoth(self._got, key, entry, self._serial)

    def _got(self, query: Element | Failure, key: _Key, entry: _Hash, serial: int) -> None:
        """Handle the answer of a client, or that there is none; what it says is of no use if the hash is known."""
        found = entry.asked.pop(serial, None)
        if found is None:
            return
        nodes = _said(query)
        if not isinstance(query, Failure) and _hasVersion(query, key):
            nodes = self._remember(key, nodes)
        self._tell(found, nodes)
        if self._hashes.get(key) is entry:
            self._askNext(key, entry)
            if not entry.waiting and not entry.asked:
                self._hashes.pop(key, None)

    def _remember(self, key: _Key, nodes: Nodes) -> Nodes:
        """Remember what a hash means, and tell all who wait for it."""
        known = self._known.setdefault(key, nodes)
        if len(self._known) > CACHED:
            self._known.popitem(last=False)
        entry = self._hashes.pop(key, None)
        if entry is not None:
            others = [*entry.asked.values(), *(found for _, found in entry.waiting)]
            entry.asked.clear()
            entry.waiting.clear()
            for found in others:
                self._tell(found, known)
        return known


def _hasVersion(query: Element, key: _Key) -> bool:
    return capabilities.isWellFormed(query) and capabilities.versionOf(query, key[0]) == key[1]


def _said(query: Element | Failure) -> Nodes:
    return NOTHING if isinstance(query, Failure) else nodesIn(query)


def nodesIn(query: Element) -> Nodes:
    """The nodes in the result of C{disco#info}."""
    names: list[str] = []
    for child in query.childElements():
        feature = (child.get("var") or "") if child.name == "feature" else ""
        if feature.endswith(NOTIFY) and len(feature) <= _NAME_LIMIT:
            names.append(feature.removesuffix(NOTIFY))
    return frozenset(names[:NODES_LIMIT])


def queryIn(result: domish.Element) -> Element:
    """The element C{query} in the answer to a request, empty if there is none."""
    for child in result.elements():
        if (child.uri, child.name) == (ns.DISCO_INFO, "query"):
            return copyOf(child)
    return Element((ns.DISCO_INFO, "query"))
