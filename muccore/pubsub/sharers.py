# -*- test-case-name: tests.pubsub.test_sharers -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Who has sent presence to an account from elsewhere, or directed it there, and which nodes they want to hear of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

RESOURCES_LIMIT: Final = 20
"""Resources of one bare JID that have presence at one account, of which the last ones count."""

STRANGERS_LIMIT: Final = 10_000
"""Those who are no contacts, at all accounts: of more, the first ones are forgotten."""

_Interests = frozenset[str]


class Sharers:
    """The resources that have presence at accounts, but no session whose presence is broadcast to them."""

    def __init__(self) -> None:
        # By account, bare JID and full JID.
        self._accounts: dict[str, dict[str, OrderedDict[str, _Interests]]] = {}
        self._strangers: OrderedDict[tuple[str, str], None] = OrderedDict()

    def get(self, account: str, full: str) -> _Interests | None:
        """The nodes that a resource wants to hear of; C{None} if it has no presence at an account."""
        return dict(self.ofBare(account, full.partition("/")[0])).get(full)

    def put(self, account: str, full: str, nodes: _Interests, isContact: bool) -> None:
        """
        Note that a resource has presence at an account.

        @param nodes: the nodes that it wants to hear of.
        @param isContact: whether the account's roster lets it have presence in return.
        """
        resources = self._accounts.setdefault(account, {}).setdefault(full.partition("/")[0], OrderedDict())
        resources[full] = nodes
        if len(resources) > RESOURCES_LIMIT:
            self.remove(account, next(iter(resources)))
        if isContact:
            self._strangers.pop((account, full), None)
        else:
            self._strangers[account, full] = None
            if len(self._strangers) > STRANGERS_LIMIT:
                self.remove(*next(iter(self._strangers)))

    def remove(self, account: str, full: str) -> None:
        """A resource has no presence at an account any more."""
        self._strangers.pop((account, full), None)
        bare = full.partition("/")[0]
        others = self._accounts.get(account)
        resources = None if others is None else others.get(bare)
        if others is None or resources is None:
            return
        resources.pop(full, None)
        if not resources:
            del others[bare]
        if not others:
            del self._accounts[account]

    def removeAccount(self, account: str) -> None:
        """An account is removed."""
        for full in [full for full, _ in self.of(account)]:
            self.remove(account, full)

    def removeDomain(self, domain: str) -> None:
        """A domain cannot be reached any more: nobody there is available."""
        for account in list(self._accounts):
            for full, _ in list(self.of(account)):
                if full.partition("/")[0].rpartition("@")[2] == domain:
                    self.remove(account, full)

    def of(self, account: str) -> Iterator[tuple[str, _Interests]]:
        """The resources that have presence at an account, with the nodes that they want to hear of."""
        for resources in self._accounts.get(account, {}).values():
            yield from resources.items()

    def ofBare(self, account: str, bare: str) -> list[tuple[str, _Interests]]:
        """Those of one bare JID."""
        return list(self._accounts.get(account, {}).get(bare, OrderedDict()).items())
