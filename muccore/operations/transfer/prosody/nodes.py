# -*- test-case-name: tests.operations.transfer.prosody.test_nodes -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The nodes to which an account of Prosody publishes (XEP-0163): C{pep/USER.dat} has a table of them by name, each with
C{config}, C{affiliations} and C{subscribers}; C{pep_NODE/USER.list} has the payloads of the items.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from muccore.interfaces import PubSubItem, StoredNode, StoredSubscription
from muccore.operations.transfer.documentsource import AT_ONCE, SIZE_AT_ONCE
from muccore.operations.transfer.foreignelements import checkText, shown
from muccore.operations.transfer.nodeforms import configurationIn
from muccore.operations.transfer.nodeparts import ENTRIES, checkNode
from muccore.operations.transfer.pieces import DataError
from muccore.operations.transfer.prosody.archives import stored
from muccore.operations.transfer.prosody.eventing import ITEMS, NODES
from muccore.operations.transfer.prosody.folder import DataFolder
from muccore.operations.transfer.prosody.luadata import LuaTable, LuaValue
from muccore.operations.transfer.records import NodeItems, Problem, UserNode
from muccore.pubsub.model.affiliations import NONE, PRIVILEGES
from muccore.pubsub.model.publication import NAME_LIMIT
from muccore.pubsub.model.subscriptions import SUBSCRIBED
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.element import Element
from muccore.xmpp.jid import InvalidJID, parse
from muccore.xmpp.rendering import render
from muccore.xmpp.uniqueids import newId

_DEFAULTS: Final[Mapping[str, LuaValue]] = {
    "max_items": 1, "persist_items": True, "access_model": "presence",
    "send_last_published_item": "on_sub_and_presence",
}  # fmt: skip
"""What Prosody takes for nodes of accounts that do not say it."""

_NAMES: Final = {"payload_type": "type", "notify_items": "deliver_notifications",
                 "include_payload": "deliver_payloads"}  # fmt: skip
"""Options that have other names than in forms."""


class PublishedNodes:
    """The nodes of one account."""

    def __init__(self, folder: DataFolder, host: str, name: str, account: str) -> None:
        """@param account: its address."""
        self._folder = folder
        self._host = host
        self._name = name
        self._account = account

    def records(self) -> Iterator[UserNode | NodeItems | Problem]:
        """All nodes, then their items, and what cannot come."""
        try:
            table = self._folder.read(self._host, NODES, self._name) or LuaTable()
        except DataError as error:
            yield Problem(self._account, "personal eventing", str(error))
            return
        names = []
        for name, value in sorted(table.named.items()):
            if value:
                try:
                    names.append(checkNode(checkText(name)))
                except ValueError as error:
                    yield self._problem("node", name, str(error))
                else:
                    yield from self._node(name, value if isinstance(value, LuaTable) else LuaTable())
        for name in names:
            yield from self._items(name)

    def _problem(self, what: str, node: str, reason: str) -> Problem:
        return Problem(self._account, f"{what} {shown(node)}", reason)

    def _node(self, node: str, value: LuaTable) -> Iterator[UserNode | Problem]:
        try:
            configuration, problems = configurationIn(node, _form(value.table("config") or LuaTable()))
        except DataError as error:
            yield self._problem("node", node, str(error))
            return
        for var, reason in problems:
            yield self._problem(f"setting {shown(var)} of node", node, reason)
        affiliations: dict[str, str] = {}
        subscriptions: dict[str, StoredSubscription] = {}
        for address, given in (value.table("affiliations") or LuaTable()).named.items():
            try:
                jid = parse(address).bare
                if given not in PRIVILEGES or len(affiliations) >= ENTRIES:
                    raise DataError("it is not known, or one too many")
                if jid != self._account and given != NONE:
                    affiliations[jid] = str(given)
            except (DataError, InvalidJID) as error:
                yield self._problem(f"affiliation of {shown(address)} with node", node, str(error))
        for address, given in (value.table("subscribers") or LuaTable()).named.items():
            try:
                if given and len(subscriptions) >= ENTRIES:
                    raise DataError("it is one too many")
                if given:
                    subscriptions[parse(address).full] = StoredSubscription(newId(), SUBSCRIBED)
            except (DataError, InvalidJID) as error:
                yield self._problem(f"subscription of {shown(address)} to node", node, str(error))
        content = StoredNode(configuration, affiliations, subscriptions, self._account, time.time())
        yield UserNode(self._account, node, content)

    def _items(self, node: str) -> Iterator[NodeItems | Problem]:
        items: list[PubSubItem] = []
        size = number = 0
        try:
            for value in self._folder.readList(self._host, ITEMS + node, self._name):
                number += 1
                try:
                    item = self._item(value, number)
                except (DataError, InvalidJID) as error:
                    yield self._problem("an item of node", node, str(error))
                    continue
                items.append(item)
                size += len(item.payload)
                if len(items) == AT_ONCE or size > SIZE_AT_ONCE:
                    yield NodeItems(self._account, node, tuple(items))
                    items, size = [], 0
        except DataError as error:
            yield self._problem(f"what follows {number} items of node", node, str(error))
        if items:
            yield NodeItems(self._account, node, tuple(items))

    def _item(self, value: LuaValue, number: int) -> PubSubItem:
        """Make an item of a payload with its id, its time and who has published it."""
        found = stored(value, number)
        if len(found.id.encode()) > NAME_LIMIT:
            raise DataError(f"its id has more than {NAME_LIMIT} bytes")
        by = (value.text("with") if isinstance(value, LuaTable) else None) or self._account
        return PubSubItem(found.id, parse(by).bare, found.time / MICROSECONDS, render(found.element, None))


def _form(config: LuaTable) -> Element:
    """The configuration as a form; what it does not have is as Prosody takes it."""
    x = Element((ns.DATA, "x"), None, {"type": "submit"})
    values: dict[str, Any] = {**_DEFAULTS, **config.named}
    for name, value in values.items():
        # The others are about the request that has created it.
        if not name.startswith("_") and isinstance(value, (str, int, float)):
            field = x.add("field", var=f"pubsub#{_NAMES.get(name, checkText(name))}")
            field.add("value", text=_text(value))
    return x


def _text(value: str | float) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return checkText(value) if isinstance(value, str) else f"{value:.0f}"
