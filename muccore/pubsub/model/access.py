# -*- test-case-name: tests.pubsub.model.test_access -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Who may subscribe to a node, retrieve its items, publish and hear of events (XEP-0060 §4.1, §4.5, §6.1.3, §6.5.9)."""

from __future__ import annotations

from dataclasses import dataclass

from muccore.pubsub.model.affiliations import PRIVILEGES
from muccore.pubsub.model.configuration import AUTHORIZE, OPEN, PRESENCE, SUBSCRIBERS, WHITELIST
from muccore.pubsub.model.errors import refusal, unsupported
from muccore.pubsub.model.node import Node
from muccore.pubsub.model.subscriptions import PENDING, SUBSCRIBED
from muccore.xmpp.errors import StanzaError


@dataclass(frozen=True, slots=True)
class Relation:
    """
    What an entity is to the owner of a node.

    @ivar presence: whether it has a subscription to the owner's presence.
    @ivar groups: the groups of the owner's roster that it is in.
    """

    presence: bool = False
    groups: frozenset[str] = frozenset()


STRANGER = Relation()
"""Who is not in the owner's roster."""


def mayAccess(node: Node, bare: str, relation: Relation) -> bool:
    """Whether an entity may retrieve items and hear of events, at this moment."""
    try:
        checkRetrieve(node, bare, relation)
    except StanzaError:
        return False
    return True


def checkRetrieve(node: Node, bare: str, relation: Relation) -> None:
    """
    Check whether an entity may retrieve items.

    @raise StanzaError: if it may not, as §6.5.9 has it.
    """
    allowed = PRIVILEGES[node.affiliationOf(bare)].subscribe
    if allowed is False:
        raise StanzaError("forbidden")
    model = node.configuration.accessModel
    if allowed is True or model == OPEN:
        return
    if model == AUTHORIZE:
        if not node.isSubscribed(bare):
            raise refusal("not-authorized", "not-subscribed")
    else:
        _checkModel(node, model, relation)


def _checkModel(node: Node, model: str, relation: Relation) -> None:
    if model == WHITELIST:
        raise refusal("not-allowed", "closed-node")
    if model == PRESENCE:
        if not relation.presence:
            raise refusal("not-authorized", "presence-subscription-required")
    elif not relation.presence or relation.groups.isdisjoint(node.configuration.rosterGroups):
        raise refusal("not-authorized", "not-in-roster-group")


def checkSubscribe(node: Node, bare: str, relation: Relation) -> str:
    """
    Check whether an entity may subscribe.

    @return: the state of its subscription: C{"subscribed"}, or C{"pending"} if an owner has to approve it.
    @raise StanzaError: if it may not, as §6.1.3 has it.
    """
    allowed = PRIVILEGES[node.affiliationOf(bare)].subscribe
    if allowed is False:
        raise StanzaError("forbidden")
    if not node.configuration.subscribe:
        raise unsupported("subscribe")
    model = node.configuration.accessModel
    if allowed is True or model == OPEN:
        return SUBSCRIBED
    if model == AUTHORIZE:
        return PENDING
    _checkModel(node, model, relation)
    return SUBSCRIBED


def checkPublish(node: Node, bare: str) -> None:
    """@raise StanzaError: C{forbidden} if an entity may not publish."""
    allowed = PRIVILEGES[node.affiliationOf(bare)].publish
    model = node.configuration.publishModel
    if allowed is None:
        allowed = model == OPEN or (model == SUBSCRIBERS and node.isSubscribed(bare))
    if not allowed:
        raise StanzaError("forbidden")


def checkRetract(node: Node, bare: str, publisher: str) -> None:
    """
    Check whether an entity may retract an item: an owner, or who has published it, if they still may publish.

    @param publisher: the bare JID of who has published it.
    @raise StanzaError: C{forbidden} if it may not.
    """
    if not node.isOwner(bare):
        checkPublish(node, bare)
        if bare != publisher:
            raise StanzaError("forbidden")


def checkOwner(node: Node, bare: str) -> None:
    """@raise StanzaError: C{forbidden} if an entity does not own the node."""
    if not node.isOwner(bare):
        raise StanzaError("forbidden")
