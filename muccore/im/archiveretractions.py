# -*- test-case-name: tests.im.test_archiveretractions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tombstones in the archives of users (XEP-0424 §4): what its author has retracted, with its corrections, loses its
content. The retraction is archived at once, and found by those who catch up; the tombstones follow.

The author is the account that has written, in the same conversation (§5). In a room, where an account is not seen, it
is the same nick and, if they have one, the same occupant id: a nick may have passed to somebody else.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from twisted.internet.defer import Deferred

from muccore.interfaces import ArchiveItem, ArchiveQuery, IArchiveStore, StoreError
from muccore.log.logger import Logger
from muccore.routing.turns import Turns, Work
from muccore.xmpp import ns
from muccore.xmpp.archivequeries import MICROSECONDS
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.rendering import Rendered, toAttribute
from muccore.xmpp.retractions import emptied, isRetraction, retracted

PAGE: Final = 200
PAGES: Final = 10
"""How many of the author's last messages in the conversation are searched: pages, and messages on each."""

WAITING_LIMIT: Final = 20
"""Retractions in one archive that are carried out or wait for it; of more only the retraction is archived."""

_CORRECT: Final = ns.CORRECT.encode()
_MESSAGE: Final = b"<message"


class ArchiveRetractions:
    """
    Makes tombstones.

    @ivar work: what is being retracted.
    """

    _log = Logger()

    def __init__(self, store: IArchiveStore) -> None:
        self.work = Work()
        self._store = store
        self._turns = Turns()
        # By account, how many are being carried out, or wait.
        self._pending: Counter[str] = Counter()

    def retract(self, account: str, item: ArchiveItem, message: Element) -> None:
        """
        Carry out a retraction.

        @param item: as it was appended.
        @param message: the same.
        """
        retraction = message.child("retract", ns.RETRACT)
        target = None if retraction is None else retraction.get("id")
        id = message.get("id")
        # Without ids clients cannot tell what belongs to what.
        if target and id and self._pending[account] < WAITING_LIMIT:
            self._pending[account] += 1
            Deferred.fromCoroutine(self._retract(account, item, message, target, id))

    async def _retract(self, account: str, item: ArchiveItem, message: Element, target: str, id: str) -> None:
        with self.work.inProgress():
            try:
                async with self._turns.take(account):
                    found = await self._find(account, item, message, target)
                    if found:
                        when = item.time / MICROSECONDS
                        await self._store.retract(
                            account, {each.id: _tombstone(each, account, id, when) for each in found}
                        )
            except (StoreError, StanzaError) as e:
                self._log.error("a retracted message stays in an archive: {error}", error=str(e))
            finally:
                self._pending[account] -= 1
                if not self._pending[account]:
                    del self._pending[account]

    async def _find(self, account: str, retraction: ArchiveItem, message: Element, target: str) -> list[ArchiveItem]:
        """Find the last message with an id and its corrections (XEP-0308), which are later."""
        bare = retraction.sender.partition("/")[0]
        later: list[tuple[str, str, ArchiveItem]] = []
        before = retraction.id
        for _ in range(PAGES):
            page = await self._store.query(
                account, ArchiveQuery(sender=bare, author=retraction.author, before=before, limit=PAGE)
            )
            for item in reversed(page.items):
                isTarget = item.stanza.id == target
                isCorrection = _CORRECT in item.stanza.tail
                if item.retracted or not (isTarget or isCorrection):
                    continue
                element = item.stanza.withoutElement().element
                if not _haveSameAuthor(retraction, message, item, element) or (isTarget and isRetraction(element)):
                    continue
                if isTarget:
                    return [item, *_corrections(target, later)]
                replace = element.child("replace", ns.CORRECT)
                if replace is not None:
                    later.append((replace.get("id") or "", element.get("id") or "", item))
            if page.complete or not page.items:
                break
            before = page.items[0].id
        return []


def _corrections(target: str, later: list[tuple[str, str, ArchiveItem]]) -> list[ArchiveItem]:
    """The corrections of a message, and of these."""
    related, found = {target}, []
    for replaced, id, item in reversed(later):
        if replaced in related:
            found.append(item)
            related.add(id)
    return found


def _haveSameAuthor(retraction: ArchiveItem, message: Element, item: ArchiveItem, element: Element) -> bool:
    """Whether somebody who wrote in the same conversation with the same bare JID is the same in a room, too."""
    if message.child("x", ns.MUC_USER) is None and element.child("x", ns.MUC_USER) is None:
        return True
    return retraction.sender == item.sender and _occupantId(message) == _occupantId(element)


def _occupantId(message: Element) -> str | None:
    child = message.child("occupant-id", ns.OCCUPANT_ID)
    return None if child is None else child.get("id")


def _tombstone(item: ArchiveItem, account: str, retractionId: str, when: float) -> Rendered:
    made = emptied(item.stanza.withoutElement().element, account)
    made.children.insert(0, retracted(retractionId, when))
    to = made.get("to")
    tail = Rendered.of(made).tail
    return Rendered(_MESSAGE, tail if to is None else toAttribute(to) + tail)
