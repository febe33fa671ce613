# -*- test-case-name: tests.pubsub.test_followers -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The last items of accounts for those who come online, or may see them from now on (XEP-0163 §4.3.4).

One query finds which of many accounts have items of interest; then each is checked, read and delivered on its own, so
that little is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol

from muccore.interfaces import ItemQuery
from muccore.pubsub import events
from muccore.pubsub.model.access import Relation, mayAccess
from muccore.pubsub.model.configuration import ON_PRESENCE
from muccore.pubsub.service import PubSubService
from muccore.xmpp.rendering import Rendered

AT_ONCE: Final = 50
"""Accounts whose items are looked for at once."""


class Recipient(Protocol):
    """
    Who gets the last items.

    @ivar bare: the bare JID.
    """

    bare: str

    def isThere(self) -> bool:
        """Whether they are available still."""

    def deliver(self, message: Rendered) -> None:
        """Deliver a message to them."""


async def sendLastItems(
    service: PubSubService,
    accounts: Collection[str],
    nodes: Collection[str],
    recipient: Recipient,
    mayReach: Callable[[str], Awaitable[bool]],
    before: Relation | None = None,
) -> None:
    """
    Deliver the last items of nodes of accounts, as far as somebody may have them.

    @param service: that of the accounts.
    @param nodes: the names of the nodes.
    @param mayReach: whether neither an account nor the recipient blocks the other.
    @param before: what the recipient was to them before: what they had access to then, they have already.
    @raise StoreError: if they cannot be read.
    @raise StanzaError: likewise.
    """
    wanted = list(accounts)
    for start in range(0, len(wanted), AT_ONCE):
        reachable: dict[str, bool] = {}
        relations: dict[str, Relation] = {}
        for account, name, _ in await service.store.latest(wanted[start : start + AT_ONCE], nodes):
            if account not in reachable:
                reachable[account] = await mayReach(account)
                relations[account] = await service.relation(account, recipient.bare)
            if reachable[account]:
                await _sendLastItem(service, account, name, recipient, relations[account], before)
            if not recipient.isThere():
                return


async def _sendLastItem(
    service: PubSubService, account: str, name: str, recipient: Recipient, relation: Relation, before: Relation | None
) -> None:
    node = await service.nodes.get(account, name)
    if node is None or not mayAccess(node, recipient.bare, relation):
        return
    if before is not None and mayAccess(node, recipient.bare, before):
        return
    configuration = node.configuration
    if configuration.sendLast != ON_PRESENCE or not (configuration.deliverNotifications and configuration.persistItems):
        return
    # The newest one now: what is published from now on is delivered after it.
    page = await service.store.items(
        account, name, ItemQuery(1, 0, configuration.since(service.parent.now()), newest=True)
    )
    if recipient.isThere():
        for item in () if page is None else page.items:
            recipient.deliver(Rendered.of(events.lastItemMessage(node, item)).withoutElement())
