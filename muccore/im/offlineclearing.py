# -*- test-case-name: tests.im.test_offlineclearing -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Clears offline messages when a client binds a resource by Bind 2 (XEP-0386 §3.2): it gets them from the archive.

Only what is in the archive is cleared. What its user or its sender does not want there is delivered as to any client
(docs/design/0031).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.interfaces import IStreamFeature, Offering, Stage
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID


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
