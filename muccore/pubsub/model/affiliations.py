# -*- test-case-name: tests.pubsub.model.test_node -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Affiliations with nodes, and their privileges (XEP-0060 §4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

OWNER: Final = "owner"
PUBLISHER: Final = "publisher"
PUBLISH_ONLY: Final = "publish-only"
MEMBER: Final = "member"
NONE: Final = "none"
OUTCAST: Final = "outcast"


class Privileges(NamedTuple):
    """
    What an affiliation permits.

    @ivar subscribe: to subscribe, and to retrieve items, whatever the access model is; C{None}: as that says.
    @ivar publish: to publish, whatever the publish model is; C{None}: as that says.
    @ivar own: to configure, purge and delete the node, and to manage subscriptions and affiliations.
    """

    subscribe: bool | None
    publish: bool | None
    own: bool


PRIVILEGES: Final[Mapping[str, Privileges]] = {
    OWNER: Privileges(True, True, True),
    PUBLISHER: Privileges(True, True, False),
    PUBLISH_ONLY: Privileges(False, True, False),
    MEMBER: Privileges(True, None, False),
    NONE: Privileges(None, None, False),
    OUTCAST: Privileges(False, False, False),
}
"""
The privileges of each affiliation. Publishers may retract what they have published themselves; who may purge a node
owns it.
"""

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    OUTCAST: frozenset([NONE, MEMBER, PUBLISH_ONLY, PUBLISHER, OWNER]),
    NONE: frozenset([OUTCAST, MEMBER, PUBLISH_ONLY, PUBLISHER, OWNER]),
    MEMBER: frozenset([OUTCAST, NONE, PUBLISH_ONLY, PUBLISHER, OWNER]),
    PUBLISH_ONLY: frozenset([OUTCAST, NONE, PUBLISHER, OWNER]),
    PUBLISHER: frozenset([OUTCAST, NONE, OWNER]),
    OWNER: frozenset([NONE]),
}
"""What each affiliation may become at once (the state chart; publish-only is not in it, and is below publisher)."""
