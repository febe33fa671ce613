# -*- test-case-name: tests.xmpp.test_archivereading -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""What the archives of rooms and of accounts have in common when they answer queries (XEP-0313 §4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from muccore.interfaces import ArchivePage, ArchiveQuery, IArchiveStore, NoSuchItem, QueryRefused
from muccore.xmpp import archivequeries
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

WAITING: Final = 4
"""Pending queries of one account."""


class ArchiveReader:
    """Answers queries, a few of each account at once."""

    def __init__(self, store: IArchiveStore) -> None:
        self._store = store
        self._pending: Counter[str] = Counter()

    def query(
        self, archive: str, sender: JID, query: ArchiveQuery, send: Callable[[ArchivePage], None]
    ) -> Deferred[Element]:
        """
        Request a page, and make the end of the results.

        @param sender: who asks.
        @param send: called with the page, to send its items; it may refuse with L{StanzaError}.
        @raise StanzaError: C{resource-constraint} if too many queries of the account are pending; as failure
            C{item-not-found} if an id is not in the archive, C{policy-violation} if the query is too long, and what
            C{send} raises. Other errors of the store are left to the caller.
        """
        if self._pending[sender.bare] >= WAITING:
            raise StanzaError("resource-constraint", text="Too many of your queries are still being answered.")
        self._pending[sender.bare] += 1

        def ended(result: Any) -> Any:
            self._pending[sender.bare] -= 1
            if not self._pending[sender.bare]:
                del self._pending[sender.bare]
            return result

        def found(page: ArchivePage) -> Element:
            page = archivequeries.withinSize(page, query)
            send(page)
            return archivequeries.fin(page)

        return self._store.query(archive, query).addBoth(ended).addCallbacks(found, _refused)


def _refused(failure: Failure) -> Failure:
    if failure.check(NoSuchItem):
        raise StanzaError("item-not-found", text="A message that the query names is not in the archive.")
    if failure.check(QueryRefused):
        raise StanzaError("policy-violation", "modify", "The query is too long.")
    return failure
