# Copyright (c) The muccore authors. See LICENSE for details.
"""Stores of publish-subscribe nodes and their items (XEP-0060)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from muccore.interfaces.stores import IStore, StoreError


class NodeExists(StoreError):
    """There is already a node of this name."""


class NoSuchNode(StoreError):
    """There is no node of this name."""


class TooManyNodes(StoreError):
    """A service would have more nodes than its caller allows."""


class TooManyItems(StoreError):
    """The items of a service would take more bytes than its caller allows."""


@dataclass(frozen=True, slots=True)
class StoredSubscription:
    """
    A subscription to a node.

    @ivar subid: its identifier, unique for the node and the JID.
    @ivar state: C{"subscribed"} or C{"pending"}.
    @ivar options: values of its options by name, as far as they have been set.
    """

    subid: str
    state: str
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredNode:
    """
    A node without its items.

    @ivar configuration: values of its configuration by name.
    @ivar affiliations: by bare JID.
    @ivar subscriptions: by JID, bare or full.
    @ivar creator: the bare JID of who has created it.
    @ivar created: when that was, in seconds since the epoch.
    """

    configuration: Mapping[str, Sequence[str]]
    affiliations: Mapping[str, str]
    subscriptions: Mapping[str, StoredSubscription]
    creator: str
    created: float


@dataclass(frozen=True, slots=True)
class NodeChange:
    """
    A change of a node; what is not mentioned stays.

    @ivar configuration: all values of the new configuration; C{None} if it stays.
    @ivar affiliations: by bare JID; C{None} for none.
    @ivar subscriptions: by JID; C{None} for those that end.
    @ivar keep: how many items stay, the newest ones; C{None}: all.
    """

    configuration: Mapping[str, Sequence[str]] | None = None
    affiliations: Mapping[str, str | None] = field(default_factory=dict)
    subscriptions: Mapping[str, StoredSubscription | None] = field(default_factory=dict)
    keep: int | None = None


@dataclass(frozen=True, slots=True)
class PubSubItem:
    """
    An item of a node.

    @ivar id: its identifier, unique for the node.
    @ivar publisher: the bare JID of who has published it.
    @ivar time: when that was, in seconds since the epoch.
    @ivar payload: the payload, rendered with its namespaces; C{b""} for none.
    """

    id: str
    publisher: str
    time: float
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ItemQuery:
    """
    Which items of a node are wanted. At most one of C{after}, C{before}, C{index} and C{newest} is given; without, it
    is the first ones.

    @ivar limit: the maximum of items.
    @ivar size: bytes of payloads above which no further item is read; the first is read in any case.
    @ivar since: items that were published before do not exist any more, in seconds since the epoch.
    @ivar after: the id of the item that precedes them.
    @ivar before: the id of the item that follows them.
    @ivar index: the number of items before them.
    @ivar newest: whether it is the last ones.
    """

    limit: int
    size: int
    since: float = 0.0
    after: str | None = None
    before: str | None = None
    index: int | None = None
    newest: bool = False


@dataclass(frozen=True, slots=True)
class ItemPage:
    """
    Items of a node, the oldest first.

    @ivar index: the number of items before them.
    @ivar count: the number of all items of the node.
    """

    items: Sequence[PubSubItem]
    index: int
    count: int


class IPubSubStore(IStore):
    """
    The nodes of publish-subscribe services: accounts, and domains. Services and nodes are text, as are JIDs, which are
    prepared. Names and values are kept as they are; who uses the store limits their sizes.

    Requests are carried out in the order of the calls. The Deferred of a write fires when it is durable; if it fails,
    nothing of that call has been done.

    The items of a node are in the order of their publication; to publish one again makes it the newest.
    """

    def services(after: str, limit: int) -> Deferred[list[str]]:
        """List the services that have nodes behind one, sorted by code points, at most so many."""

    def nodes(service: str, limit: int, after: str = "") -> Deferred[list[str]]:
        """List the names of the nodes of a service behind a name, sorted by code points, at most so many."""

    def configured(service: str, name: str, value: str) -> Deferred[list[str]]:
        """List the nodes of a service whose configuration has one value by some name, sorted by code points."""

    def load(service: str, node: str) -> Deferred[StoredNode | None]:
        """Load a node; C{None} if there is none."""

    def create(service: str, node: str, content: StoredNode, limit: int) -> Deferred[None]:
        """
        Create a node.

        @param limit: how many nodes the service may have.
        @raise NodeExists: (as failure)
        @raise TooManyNodes: (as failure)
        """

    def change(service: str, node: str, change: NodeChange) -> Deferred[None]:
        """Change a node; fails with L{NoSuchNode}."""

    def delete(service: str, node: str) -> Deferred[None]:
        """Delete a node with all that belongs to it; fails with L{NoSuchNode}."""

    def affiliations(service: str, jid: str) -> Deferred[dict[str, str]]:
        """The affiliations of a bare JID with the nodes of a service, by node."""

    def subscriptions(service: str, jid: str) -> Deferred[list[tuple[str, str, StoredSubscription]]]:
        """
        The subscriptions to the nodes of a service of a bare JID and its full JIDs: node, JID and subscription, sorted.
        """

    def publish(
        service: str,
        node: str,
        item: PubSubItem,
        keep: int,
        since: float = 0.0,
        limit: int | None = None,
        create: tuple[StoredNode, int] | None = None,
    ) -> Deferred[None]:
        """
        Publish an item; one with its id is replaced.

        @param keep: how many items the node may have from then on; the oldest are removed.
        @param since: items that were published before are removed, in seconds since the epoch.
        @param limit: how many bytes the ids and payloads of all items of the service may take; what does not grow is
            never refused.
        @param create: a node that is created first, and the limit for L{create}.
        @raise TooManyItems: (as failure) above the limit.
        @raise NoSuchNode: (as failure) unless it is to be created.
        @raise NodeExists: (as failure) if it is to be created.
        @raise TooManyNodes: (as failure) likewise.
        """

    def retract(service: str, node: str, ids: Collection[str]) -> Deferred[None]:
        """Remove items, as far as they exist."""

    def purge(service: str, node: str) -> Deferred[None]:
        """Remove all items of a node."""

    def items(service: str, node: str, query: ItemQuery) -> Deferred[ItemPage | None]:
        """Get items of a node; C{None} if the item before or after them does not exist."""

    def find(service: str, node: str, ids: Sequence[str], since: float = 0.0) -> Deferred[list[PubSubItem]]:
        """Get items by their ids, as far as they exist and were not published earlier, in the order of the ids."""

    def latest(services: Collection[str], nodes: Collection[str]) -> Deferred[list[tuple[str, str, str]]]:
        """Find the newest items of all nodes with some names of some services: service, node and id, sorted."""

    def removeService(service: str) -> Deferred[None]:
        """Remove all nodes of a service."""

    def removeEntity(jid: str) -> Deferred[None]:
        """Remove all affiliations and subscriptions of a bare JID, and of its full JIDs, with the nodes of others."""
