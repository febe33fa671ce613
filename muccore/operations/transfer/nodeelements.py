# -*- test-case-name: tests.operations.transfer.test_nodeparts -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The elements by which a document of XEP-0227 tells of nodes of accounts and their items (§4.10).

Times and creators, which the text does not know, are in attributes of a namespace of our own. All functions raise
C{ValueError} for what cannot be in XML.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from muccore.interfaces import PubSubItem, StoredNode
from muccore.operations.transfer.nodeforms import formOf
from muccore.operations.transfer.xmlelements import toNode
from muccore.xmpp import ns
from muccore.xmpp.rendering import escapeAttribute, render


def _begin(name: str, uri: str, own: dict[str, str], **attributes: str) -> bytes:
    given = "".join(f" {key}='{escapeAttribute(value)}'" for key, value in attributes.items())
    data = "".join(f" data:{key}='{escapeAttribute(value)}'" for key, value in own.items())
    prefix = f" xmlns:data='{ns.MUCCORE_DATA}'" if data else ""
    return f"<{name} xmlns='{uri}'{prefix}{given}{data}>".encode()


def nodeElements(node: str, content: StoredNode) -> Iterator[Any]:
    """The elements of a node in C{<pubsub/>} of owners."""
    own = {"creator": content.creator, "created": repr(content.created)}
    begin = _begin("configure", ns.PUBSUB_OWNER, own, node=node)
    yield toNode(begin + render(formOf(content.configuration), ns.PUBSUB_OWNER) + b"</configure>")
    if content.affiliations:
        rows = [
            _begin("affiliation", ns.PUBSUB_OWNER, {}, jid=jid, affiliation=affiliation) + b"</affiliation>"
            for jid, affiliation in sorted(content.affiliations.items())
        ]
        begin = _begin("affiliations", ns.PUBSUB_OWNER, {}, node=node)
        yield toNode(begin + b"".join(rows) + b"</affiliations>")
    if content.subscriptions:
        rows = []
        for jid, each in sorted(content.subscriptions.items()):
            own = {"options": json.dumps(each.options, sort_keys=True)} if each.options else {}
            attributes = {"jid": jid, "subscription": each.state, "subid": each.subid}
            rows.append(_begin("subscription", ns.PUBSUB_OWNER, own, **attributes) + b"</subscription>")
        begin = _begin("subscriptions", ns.PUBSUB_OWNER, {}, node=node)
        yield toNode(begin + b"".join(rows) + b"</subscriptions>")


def itemElement(item: PubSubItem) -> Any:
    """An item in C{<items/>}."""
    begin = _begin("item", ns.PUBSUB, {"time": repr(item.time)}, id=item.id, publisher=item.publisher)
    return toNode(begin + item.payload + b"</item>")
