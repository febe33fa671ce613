# -*- test-case-name: tests.pubsub.model.test_node -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A node without its items, and its changes (XEP-0060 §8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from muccore.interfaces import NodeChange, StoredNode
from muccore.pubsub.model import affiliations as names
from muccore.pubsub.model import configuration as configurations
from muccore.pubsub.model.configuration import Limits, NodeConfiguration
from muccore.pubsub.model.subscriptions import NONE, SUBSCRIBED, Subscription


@dataclass(frozen=True, slots=True)
class Update:
    """
    A change of a node that was checked; what is not mentioned stays.

    @ivar affiliations: by bare JID; C{"none"} for those that end.
    @ivar subscriptions: by JID; C{None} for those that end.
    """

    configuration: NodeConfiguration | None = None
    affiliations: Mapping[str, str] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription | None] = field(default_factory=dict)

    def stored(self, limits: Limits) -> NodeChange:
        """The change as it is stored."""
        new = self.configuration
        return NodeChange(
            None if new is None else configurations.toStored(new),
            {jid: None if each == names.NONE else each for jid, each in self.affiliations.items()},
            {jid: None if each is None else each.stored for jid, each in self.subscriptions.items()},
            None if new is None else new.kept(limits),
        )


class Node:
    """
    A node.

    @ivar service: the address of its service.
    @ivar name: its name there.
    @ivar affiliations: by bare JID, without those that are none.
    @ivar subscriptions: by JID, bare or full.
    @ivar creator: the bare JID of who has created it.
    @ivar created: when that was, in seconds since the epoch.
    @ivar permanentOwner: a bare JID that always owns it; C{""} for nobody.
    """

    __slots__ = (
        "affiliations", "configuration", "created", "creator", "name", "permanentOwner", "service", "subscriptions"
    )  # fmt: skip

    def __init__(
        self, service: str, name: str, configuration: NodeConfiguration, creator: str, created: float,
        permanentOwner: str = "",
    ) -> None:  # fmt: skip
        self.service = service
        self.name = name
        self.configuration = configuration
        self.affiliations: dict[str, str] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.creator = creator
        self.created = created
        self.permanentOwner = permanentOwner

    @classmethod
    def create(
        cls, service: str, name: str, configuration: NodeConfiguration, creator: str, now: float, permanentOwner: str
    ) -> Node:
        """A new node, which its creator owns."""
        node = cls(service, name, configuration, creator, now, permanentOwner)
        if creator != permanentOwner:
            node.affiliations[creator] = names.OWNER
        return node

    @classmethod
    def fromStored(cls, service: str, name: str, stored: StoredNode, permanentOwner: str) -> Node:
        """A node that was stored."""
        configuration = configurations.fromStored(stored.configuration)
        node = cls(service, name, configuration, stored.creator, stored.created, permanentOwner)
        node.affiliations.update(stored.affiliations)
        node.subscriptions.update((jid, Subscription.fromStored(each)) for jid, each in stored.subscriptions.items())
        return node

    @property
    def stored(self) -> StoredNode:
        """What is stored of it."""
        return StoredNode(
            configurations.toStored(self.configuration),
            dict(self.affiliations),
            {jid: each.stored for jid, each in self.subscriptions.items()},
            self.creator,
            self.created,
        )

    def apply(self, update: Update) -> None:
        """Make a change that was stored."""
        if update.configuration is not None:
            self.configuration = update.configuration
        for jid, affiliation in update.affiliations.items():
            if affiliation == names.NONE:
                self.affiliations.pop(jid, None)
            else:
                self.affiliations[jid] = affiliation
        for jid, subscription in update.subscriptions.items():
            if subscription is None:
                self.subscriptions.pop(jid, None)
            else:
                self.subscriptions[jid] = subscription

    def affiliationOf(self, bare: str) -> str:
        """The affiliation of a bare JID."""
        return names.OWNER if bare == self.permanentOwner else self.affiliations.get(bare, names.NONE)

    def isOwner(self, bare: str) -> bool:
        """Whether a bare JID owns it."""
        return self.affiliationOf(bare) == names.OWNER

    def affiliates(self) -> dict[str, str]:
        """All affiliations, by bare JID."""
        permanent = {self.permanentOwner: names.OWNER} if self.permanentOwner else {}
        return {**permanent, **self.affiliations}

    def withAffiliation(self, affiliation: str) -> list[str]:
        """The bare JIDs with an affiliation."""
        return [jid for jid, each in self.affiliates().items() if each == affiliation]

    def subscriptionsOf(self, bare: str) -> dict[str, Subscription]:
        """The subscriptions of a bare JID and its full JIDs, by JID."""
        return {jid: each for jid, each in self.subscriptions.items() if bareOf(jid) == bare}

    def isSubscribed(self, bare: str) -> bool:
        """Whether a bare JID, or one of its full JIDs, has a subscription that is not pending."""
        return any(each.state == SUBSCRIBED for each in self.subscriptionsOf(bare).values())

    # Changes by owners

    def planAffiliations(self, wanted: Iterable[tuple[str, str]], limits: Limits) -> tuple[Update, list[str]]:
        """
        Plan a change of affiliations (§8.9.2).

        @param wanted: bare JIDs, each once, with affiliations that there are.
        @return: the change, and the bare JIDs whose affiliations cannot become that (§8.9.2.4). Who may not subscribe
            any more has no subscriptions from then on.
        """
        changes: dict[str, str] = {}
        refused: list[str] = []
        owners = set(self.withAffiliation(names.OWNER))
        number = len(self.affiliations)
        for jid, new in wanted:
            old = self.affiliationOf(jid)
            if new == old:
                continue
            isLast = old == names.OWNER and owners == {jid}
            isFull = old == names.NONE and number >= limits.affiliations
            if jid == self.permanentOwner or isLast or isFull or new not in names.TRANSITIONS[old]:
                refused.append(jid)
                continue
            changes[jid] = new
            number += (old == names.NONE) - (new == names.NONE)
            owners.discard(jid)
            if new == names.OWNER:
                owners.add(jid)
        lost = {jid for jid, new in changes.items() if not self._mayStaySubscribed(new)}
        ended = {jid: None for jid in self.subscriptions if bareOf(jid) in lost}
        return Update(None, changes, ended), refused

    def planSubscriptions(
        self, wanted: Iterable[tuple[str, str | None, str]], newId: Callable[[], str], limits: Limits
    ) -> tuple[Update, list[str]]:
        """
        Plan a change of subscriptions (§8.8.2).

        @param wanted: JIDs, the identifiers of their subscriptions (C{None}: any), and states.
        @param newId: makes the identifier of a new subscription.
        @return: the change, and the JIDs whose subscriptions cannot become that.
        """
        changes: dict[str, Subscription | None] = {}
        refused: list[str] = []
        number = len(self.subscriptions)
        for jid, subid, state in wanted:
            old = self.subscriptions.get(jid)
            if jid in changes or (subid is not None and (old is None or subid != old.subid)):
                refused.append(jid)
            elif state == NONE and old is not None:
                changes[jid] = None
                number -= 1
            elif state == SUBSCRIBED and old is not None:
                if old.state != SUBSCRIBED:
                    changes[jid] = replace(old, state=SUBSCRIBED)
            elif state == SUBSCRIBED and number < limits.subscriptions and self._mayBeSubscribed(bareOf(jid)):
                changes[jid] = Subscription(newId(), SUBSCRIBED)
                number += 1
            else:
                refused.append(jid)
        return Update(subscriptions=changes), refused

    def _mayBeSubscribed(self, bare: str) -> bool:
        return names.PRIVILEGES[self.affiliationOf(bare)].subscribe is not False

    def _mayStaySubscribed(self, affiliation: str) -> bool:
        subscribe = names.PRIVILEGES[affiliation].subscribe
        return subscribe is not False and (
            subscribe is True or self.configuration.accessModel != configurations.WHITELIST
        )


def bareOf(jid: str) -> str:
    """The bare JID of a JID, both as text."""
    return jid.partition("/")[0]
