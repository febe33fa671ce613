# -*- test-case-name: tests.pubsub.test_bookmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The bookmarks of accounts, one set for all clients (XEP-0402 §4.3, XEP-0411): items of their own, one item with all of
them (XEP-0048 in a node), and private XML storage.

The items are what is kept; the others are made from them, and what is changed there is brought to them. That is only
done while nobody else may read the nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from twisted.internet.task import deferLater
from zope.interface import implementer

from muccore.interfaces import IBookmarks, IUserDataStore
from muccore.interfaces.bookmarks import BOOKMARKS_DOCUMENT
from muccore.pubsub.converting import Conversions
from muccore.pubsub.model.bookmarks import isBookmark, isConference, isSame, merged, toConference, toItems
from muccore.pubsub.service import PubSubService
from muccore.pubsub.storing import storing
from muccore.pubsub.updating import allItems, isPrivate, newestItem, publishItem, retractItem
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import parseRendered, render
from muccore.xmpp.specs import Spec

implements = (
    Spec(402, "PEP Native Bookmarks", "1.2.0", "One set with those of XEP-0048, in private XML and in a node."),
    Spec(411, "Bookmarks Conversion", "1.1.0"),
)

FEATURES: Final = (f"{ns.BOOKMARKS}#compat", f"{ns.BOOKMARKS}#compat-pep", ns.BOOKMARKS_CONVERSION)
"""The features of accounts because of it."""

_ITEM: Final = "current"
"""The id of the only item in the node with all bookmarks."""

_AT_ONCE: Final = 50
"""Bookmarks that are parsed in one turn of the reactor."""


@implementer(IBookmarks)
class Bookmarks:
    """
    Keeps the bookmarks of accounts together.

    @ivar converters: what is done after a node was changed, by its name: called with the account and the session.
    @ivar conversions: those in progress.
    """

    def __init__(self, service: PubSubService, documents: IUserDataStore) -> None:
        """@param documents: where private XML storage is."""
        self._service = service
        self._documents = documents
        self.conversions = Conversions("bookmarks")
        self.converters: Mapping[str, Callable[[str, JID], None]] = {
            ns.BOOKMARKS: lambda account, by: self.conversions.begin(account, self._updateList(account, by)),
            ns.BOOKMARKS_STORAGE: lambda account, by: self.conversions.begin(account, self._takeList(account, by)),
        }

    async def collected(self, account: str) -> Sequence[Element] | None:
        """See L{IBookmarks.collected}."""
        with storing(account):
            async with self.conversions.take(account):
                await self._import(account)
                items = await self._load(account)
                return None if items is None else [toConference(room, item) for room, item in items.items()]

    async def replace(self, account: str, conferences: Sequence[Element], by: JID) -> bool:
        """See L{IBookmarks.replace}."""
        with storing(account):
            async with self.conversions.take(account):
                if not await self._replace(account, conferences, by):
                    return False
                await self._updateList(account, by)
                return True

    async def prepare(self, account: str) -> None:
        """
        Bring bookmarks of private XML storage to nodes, before these are read.

        @raise StanzaError: if that fails.
        """
        with storing(account):
            async with self.conversions.take(account):
                await self._import(account)

    # In turn

    async def _load(self, account: str) -> dict[str, Element] | None:
        """The bookmarks by room, as items; C{None} if others may read them."""
        node = await self._service.nodes.get(account, ns.BOOKMARKS)
        if node is None:
            return {}
        if not isPrivate(node):
            return None
        found: dict[str, Element] = {}
        count = 0
        async for item in allItems(self._service, node):
            count += 1
            if not count % _AT_ONCE:
                await deferLater(self._service.parent.clock, 0)
            payload = parseRendered(item.payload) if item.payload else None
            if payload is not None and isBookmark(payload):
                found[item.id] = payload
        return found

    async def _replace(self, account: str, conferences: Sequence[Element], by: JID) -> bool:
        old = await self._load(account)
        if old is None:
            return False
        new = toItems(conferences)
        if len(new) > self._service.limits.items:
            raise StanzaError("resource-constraint", text="There are too many bookmarks.")
        for room, item in new.items():
            if room not in old or not isSame(item, old[room]):
                await publishItem(self._service, account, ns.BOOKMARKS, room, merged(item, old.get(room)), by)
        for room in old:
            if room not in new:
                await retractItem(self._service, account, ns.BOOKMARKS, room, by)
        return True

    async def _import(self, account: str) -> None:
        """Take the bookmarks of private XML storage, if there are no items yet."""
        if await self._service.nodes.get(account, ns.BOOKMARKS) is not None:
            return
        content = await self._documents.get(account, *BOOKMARKS_DOCUMENT)
        if content is None:
            return
        storage = parseRendered(content)
        conferences = [child for child in storage.childElements() if isConference(child)]
        if not toItems(conferences):
            return
        by = JID(*account.rpartition("@")[::2], "")
        await self._replace(account, conferences, by)
        await self._updateList(account, by)
        # Otherwise they would come back when the node is deleted.
        storage.children = [child for child in storage.children if child not in conferences]
        rest = render(storage, ns.PRIVATE) if storage.children else None
        await self._documents.change(account, {BOOKMARKS_DOCUMENT: rest})

    async def _updateList(self, account: str, by: JID) -> None:
        """Bring the items to the node with all of them in one item."""
        items = await self._load(account)
        node = await self._service.nodes.get(account, ns.BOOKMARKS_STORAGE)
        if items is None or (node is None and not items) or (node is not None and not isPrivate(node)):
            return
        storage = Element((ns.BOOKMARKS_STORAGE, "storage"))
        storage.children.extend(toConference(room, item) for room, item in items.items())
        newest = await newestItem(self._service, account, ns.BOOKMARKS_STORAGE)
        if newest is not None and newest.payload:
            found = parseRendered(newest.payload)
            known = toItems(child for child in found.childElements() if isConference(child))
            if list(known) == list(items) and all(isSame(known[room], items[room]) for room in items):
                return
            storage.children.extend(child for child in found.childElements() if not isConference(child))
        await publishItem(self._service, account, ns.BOOKMARKS_STORAGE, _ITEM, storage, by)

    async def _takeList(self, account: str, by: JID) -> None:
        """Take what was published in the node with all bookmarks in one item. One that was removed takes nothing."""
        node = await self._service.nodes.get(account, ns.BOOKMARKS_STORAGE)
        newest = await newestItem(self._service, account, ns.BOOKMARKS_STORAGE)
        if node is None or not isPrivate(node) or newest is None or not newest.payload:
            return
        storage = parseRendered(newest.payload)
        if (storage.uri, storage.name) == (ns.BOOKMARKS_STORAGE, "storage"):
            await self._replace(account, [child for child in storage.childElements() if isConference(child)], by)
