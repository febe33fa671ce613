# Copyright (c) The muccore authors. See LICENSE for details.
"""Nodes and errors, for tests of the rules."""

from __future__ import annotations

from typing import Any

from muccore.pubsub.model.configuration import NodeConfiguration
from muccore.pubsub.model.node import Node
from muccore.pubsub.model.subscriptions import Subscription
from muccore.xmpp.errors import StanzaError

OWNER = "owner@localhost"
GUEST = "guest@localhost"


def errorOf(error: StanzaError) -> str:
    """The type and the conditions of an error."""
    specific = error.appCondition
    words = [error.type, error.condition, *([] if specific is None else [specific.name])]
    if specific is not None and specific.get("feature"):
        words.append(specific.attributes["feature"])
    return " ".join(words)


def makeNode(affiliation: str = "none", state: str = "", permanentOwner: str = OWNER, **configuration: Any) -> Node:
    """A node of the owner, with an affiliation and the state of a subscription of the guest."""
    node = Node(OWNER, "node", NodeConfiguration(**configuration), OWNER, 0.0, permanentOwner)
    if affiliation != "none":
        node.affiliations[GUEST] = affiliation
    if state:
        node.subscriptions[f"{GUEST}/pc"] = Subscription("1", state)
    return node
