# -*- test-case-name: tests.operations.transfer.test_nodeparts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Nodes of accounts in documents of XEP-0227 (§4.10). What is wrong with a part of one is a problem of that part alone.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from muccore.interfaces import PubSubItem, StoredNode, StoredSubscription
from muccore.operations.transfer.nodeforms import configurationIn
from muccore.operations.transfer.records import UserNode
from muccore.pubsub.model.affiliations import NONE, PRIVILEGES
from muccore.pubsub.model.publication import NAME_LIMIT
from muccore.pubsub.model.subscriptions import PENDING, SUBSCRIBED
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import render
from muccore.xmpp.uniqueids import newId

ENTRIES: Final = 10_000
"""Affiliations, and subscriptions, of a node."""

_PARTS: Final = frozenset(["configure", "affiliations", "subscriptions"])
_KNOWN_OPTIONS: Final = frozenset(["deliver"])


def checkNode(name: str | None) -> str:
    """Get the name of a node; C{ValueError} if it is none."""
    if not name or len(name.encode()) > NAME_LIMIT:
        raise ValueError(f"the name of a node has from 1 to {NAME_LIMIT} bytes")
    return name


class NodeParts:
    """
    Reads nodes of one account.

    """

    def __init__(self, account: str, refuse: Callable[[str, str], None]) -> None:
        """@param refuse: called with what cannot come, and why."""
        self._account = account
        self._refuse = refuse
        self._node = ""
        self._content: StoredNode | None = None
        self._isConfigured = False

    def add(self, element: Element) -> Iterator[UserNode]:
        """Add a child of C{<pubsub/>} of owners; give the node before, if this one is of another."""
        try:
            if element.uri != ns.PUBSUB_OWNER or element.name not in _PARTS:
                raise ValueError("this server does not know it")
            node = checkNode(element.get("node"))
        except ValueError as e:
            self._refuse(f"{{{element.uri}}}{element.name}", str(e))
            return
        if node != self._node:
            yield from self.finish()
        if self._content is None:
            self._node, self._isConfigured = node, False
            self._content = StoredNode(configurationIn(node, None)[0], {}, {}, self._account, time.time())
        if element.name == "configure":
            self._configure(element)
        else:
            add = self._affiliation if element.name == "affiliations" else self._subscription
            for child in element.childElements():
                try:
                    add(child, self._content)
                except (ValueError, KeyError) as e:
                    self._refuse(f"an entry of the {element.name} of the node {node}", _explained(e))

    def finish(self) -> Iterator[UserNode]:
        """Give the node that was read last."""
        content, self._content = self._content, None
        if content is not None:
            yield UserNode(self._account, self._node, content, self._isConfigured)

    def _configure(self, element: Element) -> None:
        old = self._content
        assert old is not None, "it has begun"
        configuration, problems = configurationIn(self._node, element.child("x", ns.DATA))
        for var, reason in problems:
            self._refuse(f"the setting {var} of the node {self._node}", reason)
        creator, created = self._account, old.created
        try:
            creator = parse(_own(element, "creator") or self._account).bare
            created = _timeIn(_own(element, "created"), created)
        except ValueError as e:
            self._refuse(f"the creator of the node {self._node}", str(e))
        self._isConfigured = True
        self._content = StoredNode(configuration, old.affiliations, old.subscriptions, creator, created)

    def _affiliation(self, child: Element, content: StoredNode) -> None:
        affiliation = child.attributes["affiliation"]
        if child.name != "affiliation" or affiliation not in PRIVILEGES:
            raise ValueError(f"there is no affiliation {affiliation!r}")
        jid = parse(child.attributes["jid"]).bare
        if jid != self._account and affiliation != NONE:
            _put(content.affiliations, jid, affiliation)

    def _subscription(self, child: Element, content: StoredNode) -> None:
        state = child.attributes["subscription"]
        if child.name != "subscription" or state not in (SUBSCRIBED, PENDING):
            raise ValueError(f"a subscription that is {state!r} is not kept")
        jid = parse(child.attributes["jid"]).full
        options = json.loads(_own(child, "options") or "{}")
        if not isinstance(options, dict) or not all(
            name in _KNOWN_OPTIONS and value in (["0"], ["1"]) for name, value in options.items()
        ):
            raise ValueError("its options are not known")
        subid = child.get("subid") or newId()
        if len(subid.encode()) > NAME_LIMIT:
            raise ValueError(f"its id has more than {NAME_LIMIT} bytes")
        _put(content.subscriptions, jid, StoredSubscription(subid, state, options))

    def itemIn(self, node: str, element: Element) -> PubSubItem | None:
        """Read an item; C{None} if it cannot come."""
        try:
            if (element.uri, element.name) != (ns.PUBSUB, "item"):
                raise ValueError("it is no item")
            id = element.get("id") or newId()
            if len(id.encode()) > NAME_LIMIT:
                raise ValueError(f"its id has more than {NAME_LIMIT} bytes")
            publisher = parse(element.get("publisher") or self._account).bare
            payloads = list(element.childElements())
            if len(payloads) > 1:
                raise ValueError("it has several payloads")
            content = render(payloads[0], None) if payloads else b""
            return PubSubItem(id, publisher, _timeIn(_own(element, "time"), time.time()), content)
        except (ValueError, RecursionError) as e:
            self._refuse(f"an item of the node {node}", _explained(e))
            return None


def _own(element: Element, name: str) -> str | None:
    found: Any = element.attributes.get((ns.MUCCORE_DATA, name))
    return None if found is None else str(found)


def _timeIn(text: str | None, otherwise: float) -> float:
    found = otherwise if text is None else float(text)
    if not math.isfinite(found) or found < 0:
        raise ValueError("its time is impossible")
    return found


def _put(table: Any, jid: str, value: Any) -> None:
    if jid not in table and len(table) >= ENTRIES:
        raise ValueError(f"there are more than {ENTRIES}")
    table[jid] = value


def _explained(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
