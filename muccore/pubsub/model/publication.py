# -*- test-case-name: tests.pubsub.model.test_publication -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What is published: the item in a request, checked against the configuration of the node (XEP-0060 §4.3, §7.1.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from muccore.pubsub.model.configuration import Limits, NodeConfiguration
from muccore.pubsub.model.errors import refusal
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import render

NAME_LIMIT: Final = 512
"""Bytes of the name of a node, and of the id of an item."""


@dataclass(frozen=True, slots=True)
class Publication:
    """
    What is published.

    @ivar hasItem: whether there is an item.
    @ivar id: its id; C{""} if the service has to choose one.
    @ivar payload: its payload, or C{None}.
    @ivar content: the payload, rendered with its namespaces.
    """

    hasItem: bool
    id: str = ""
    payload: Element | None = None
    content: bytes = field(default=b"", repr=False)


def readPublication(publish: Element, configuration: NodeConfiguration, limits: Limits) -> Publication:
    """
    Read the item in C{<publish/>}.

    @raise StanzaError: if it does not suit the node.
    """
    items = [child for child in publish.childElements() if (child.uri, child.name) == (publish.uri, "item")]
    if len(items) > 1:
        raise StanzaError("bad-request", text="only one item can be published at a time")
    if not items:
        if configuration.persistItems or configuration.deliverPayloads:
            raise refusal("bad-request", "item-required")
        return Publication(False)
    if not (configuration.persistItems or configuration.deliverPayloads):
        raise refusal("bad-request", "item-forbidden")
    [item] = items
    id = item.get("id") or ""
    if len(id.encode()) > NAME_LIMIT:
        raise StanzaError("not-acceptable", text=f"the id of an item may have at most {NAME_LIMIT} bytes")
    payloads = list(item.childElements())
    if not payloads:
        if configuration.deliverPayloads:
            raise refusal("bad-request", "payload-required")
        return Publication(True, id)
    [payload, *others] = payloads
    if others or (configuration.type and payload.uri != configuration.type):
        raise refusal("bad-request", "invalid-payload")
    content = render(payload, None)
    size = configuration.payloadSize(limits)
    if len(content) > size:
        raise refusal("not-acceptable", "payload-too-big", f"a payload may have at most {size} bytes")
    return Publication(True, id, payload, content)
