# -*- test-case-name: tests.muc.service.test_nodesubscription -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Following the ids of the items of a publish-subscribe node (XEP-0060 §6.1, §6.5, §7.1, §7.2): they are requested once,
events keep them up to date, and they are requested again from time to time and after a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from muccore.interfaces import IDomain
from muccore.log.logger import Logger
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.jid import JID

LIMIT: Final = 100_000
"""Maximum number of items."""

ID_LIMIT: Final = 256
"""Maximum length of an id that is kept."""

PAGE: Final = 1000
"""Items of a page."""

REFRESH: Final = 6 * 3600
"""Seconds until all items are requested again, since events can be lost."""

RETRY: Final = 60
"""Seconds until the first new attempt after a failure, doubled for each further one, up to L{REFRESH}."""


class _Request:
    """A request as L{IDomain.request} takes it."""

    stanzaKind = "iq"
    stanzaID: str | None = None

    def __init__(self, stanzaType: str, recipient: JID, payload: Element) -> None:
        self.stanzaType = stanzaType
        self.recipient = recipient
        self._payload = payload

    def toElement(self) -> Element:
        """Make the stanza."""
        made = stanza("iq", self.stanzaType, to=self.recipient.full, id=self.stanzaID)
        made.children.append(self._payload)
        return made


class NodeSubscription:
    """
    The items of a node.

    @ivar service: the address of the service.
    @ivar node: the node.
    @ivar ids: the ids of its items.
    """

    _log = Logger()

    def __init__(self, domain: IDomain, service: JID, node: str, added: Callable[[set[str]], object]) -> None:
        """
        @param domain: what subscribes.
        @param added: called with the ids of new items, when they are in L{ids}.
        """
        self.service = service
        self.node = node
        self.ids: set[str] = set()
        # The items requested so far; events change these as well. The same as ids, if none are being requested.
        self._requested = self.ids
        self._domain = domain
        self._added = added
        self._call: IDelayedCall | None = None
        self._stopped = False
        self._failures = 0

    def start(self) -> None:
        """Subscribe in the next turn of the reactor, when all handlers are there, and request the items."""
        self._again(0)

    def stop(self) -> None:
        """Follow the node no more. The subscription stays: the server will be back."""
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _again(self, delay: float) -> None:
        self._call = self._domain.clock.callLater(delay, self._fetch)

    def _fetch(self) -> None:
        def done(result: Failure | None) -> None:
            if self._stopped:
                return
            found, self._requested = self._requested, self.ids
            if isinstance(result, Failure):
                self._failed(result)
            else:
                self._fetched(found)

        Deferred.fromCoroutine(self._subscribeAndRequest()).addBoth(done)

    async def _subscribeAndRequest(self) -> None:
        payload = Element((ns.PUBSUB, "pubsub"))
        payload.add("subscribe", node=self.node, jid=self._domain.name)
        await self._domain.request(_Request("set", self.service, payload))
        seen: set[str] = set()
        self._requested = set()
        after: str | None = None
        while True:
            payload = Element((ns.PUBSUB, "pubsub"))
            payload.add("items", node=self.node)
            page = payload.add("set", ns.RSM)
            page.add("max", text=str(PAGE))
            if after is not None:
                page.add("after", text=after)
            answer = await self._domain.request(_Request("get", self.service, payload))
            ids, after = _page(answer)
            _add(self._requested, ids)
            if after is None or self._stopped or seen.issuperset(ids) or len(seen) + len(ids) > LIMIT:
                return
            seen.update(ids)

    def _fetched(self, found: set[str]) -> None:
        new = found - self.ids
        if self._failures or not self.ids:
            self._log.info(
                "{node} of {service} is followed: {count} items",
                node=self.node, service=self.service.full, count=len(found),
            )  # fmt: skip
        if len(found) >= LIMIT:
            self._log.warn(
                "{node} of {service} has too many items: {limit} are kept, and the others have no effect",
                node=self.node, service=self.service.full, limit=LIMIT,
            )  # fmt: skip
        self._failures = 0
        self.ids = self._requested = found
        self._again(REFRESH)
        if new:
            self._added(new)

    def _failed(self, failure: Failure) -> None:
        """Try again later. What is known stays in force."""
        if not self._failures:
            self._log.warn(
                "{node} of {service} cannot be followed, and is tried again: {error}",
                node=self.node, service=self.service.full, error=failure.getErrorMessage(),
            )  # fmt: skip
        self._again(min(RETRY * 2**self._failures, REFRESH))
        self._failures = min(self._failures + 1, 10)

    def eventReceived(self, message: Element) -> bool:
        """
        Apply an event.

        @param message: from L{service}.
        @return: whether it is one of this node.
        """
        event = message.child("event", ns.PUBSUB_EVENT)
        ours = [] if event is None else [child for child in event.childElements() if child.get("node") == self.node]
        new: set[str] = set()
        for child in ours:
            if child.name == "items":
                for item in child.childElements():
                    id = item.get("id") or ""
                    if item.name == "retract":
                        for known in (new, self.ids, self._requested):
                            known.discard(id)
                    elif item.name == "item" and 0 < len(id) <= ID_LIMIT:
                        new.add(id)
            elif child.name in ("purge", "delete"):
                for known in (new, self.ids, self._requested):
                    known.clear()
        added = _add(self.ids, new)
        _add(self._requested, new)
        if added:
            self._added(added)
        return bool(ours)


def _add(known: set[str], ids: Iterable[str]) -> set[str]:
    """Add ids to a set, up to L{LIMIT}; return those that are new."""
    new = set(islice((id for id in ids if id not in known), max(0, LIMIT - len(known))))
    known |= new
    return new


def _page(answer: Element) -> tuple[list[str], str | None]:
    """The ids in a page of items, and what the next page follows, if there is one (XEP-0059)."""
    pubsub = answer.child("pubsub", ns.PUBSUB)
    items = None if pubsub is None else pubsub.child("items")
    if pubsub is None or items is None:
        return [], None
    ids = list(_ids(items))
    page = pubsub.child("set", ns.RSM)
    last = None if page is None else page.childText("last")
    return ids, last or None


def _ids(items: Element) -> Iterator[str]:
    for item in items.childElements():
        id = item.get("id") or ""
        if item.name == "item" and 0 < len(id) <= ID_LIMIT:
            yield id
