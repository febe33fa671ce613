# -*- test-case-name: tests.im.test_offlinearchive -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Offline messages and the archive of their user, which has most of them.

They are cleared when a client binds a resource by Bind 2 (XEP-0386 §3.2): it gets them from the archive. What is not
there, since its user or its sender does not want that, is delivered as to any client (docs/design/0031).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.interfaces import IStreamFeature, Offering, Stage
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID


class OfflineArchive(Protocol):
    """What offline messages need of the archive of users."""

    async def prepare(self, message: Element, to: JID) -> tuple[Element, Callable[[], None] | None]:
        """
        Give a message that an account without sessions gets its stanza id.

        @return: the message to be kept, and what appends it to the archive, called just before it is; C{None} if it is
            there already, or not wanted there.
        @raise StanzaError: if the preferences of the user cannot be loaded.
        """

    def takeBack(self, message: Element, account: str) -> Deferred[Any]:
        """
        Remove a message with its stanza id from the archive of an account, a bare JID, if it is there.

        @raise StoreError: (as failure) if the store fails.
        """

    def has(self, account: str, id: str) -> Deferred[bool]:
        """
        Whether the archive of an account, a bare JID, has a message.

        @raise StoreError: (as failure) if the store fails.
        """


@implementer(IStreamFeature)
class OfflineClearing:
    """Clears what an account has before its client is told what the archive has; streams are offered nothing."""

    stage = Stage.BINDING
    order = 329
    nonzas: Mapping[tuple[str, str], Any] = {}

    def __init__(self, clear: Callable[[str], Coroutine[Any, Any, None]]) -> None:
        """@param clear: clears the messages of an account, a bare JID."""
        self._clear = clear

    def offer(self, offering: Offering) -> Iterable[Element]:
        """See L{IStreamFeature.offer}."""
        return ()

    def describe(self, account: JID) -> Deferred[bytes]:
        """Clear the messages; there is nothing to tell."""
        return Deferred.fromCoroutine(self._clear(account.bare)).addCallback(lambda _: b"")
