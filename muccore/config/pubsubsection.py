# -*- test-case-name: tests.config.test_schema -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The section C{[pubsub]} of the configuration; L{muccore.config.schema} has the others."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.config.option import option as _option
from muccore.config.types import Choice, HostName, Integer, ListOf, Size, Text


@dataclass(frozen=True)
class PubSubSection:
    """
    Publish-subscribe services with domains of their own (XEP-0060); what users publish themselves is in [users].
    """

    domain: tuple[str, ...] = _option(
        ListOf(HostName()),
        "",
        "The domain of a service; of several, each is one of its own. Without it there is none. Users of the domain of "
        "[server] find it. [storage] pubsub says where its nodes are; by default they are where those of users are.",
    )
    name: str = _option(Text(), "Publish-subscribe", "The name of the service for people, as clients show it.")
    creation: str = _option(
        Choice("anyone", "local", "nobody"),
        "local",
        "Who may create nodes: anyone who can reach the server, accounts of this server only, or nobody. Guests may "
        "not.",
    )
    nodes: int = _option(Integer(0, 10_000_000), "1000", "The maximum of nodes of a service.")
    nodesPerUser: int = _option(Integer(0, 10_000_000), "20", "The maximum of nodes of a service that one user owns.")
    items: int = _option(
        Integer(1, 1_000_000), "500", "The maximum of items of one node: it is what a client means by max."
    )
    itemSize: int = _option(Size("1 KiB", "64 MiB"), "64 KiB", "The largest item.")
    subscriptions: int = _option(Integer(1, 1_000_000), "10000", "The maximum of subscriptions to one node.")
