# Copyright (c) The muccore authors. See LICENSE for details.
"""Bookmarks of rooms, which clients keep in several places."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final

from zope.interface import Interface

from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID

BOOKMARKS_DOCUMENT: Final = ("private", "{storage:bookmarks}storage")
"""Kind and key of the document with the bookmarks of private XML storage (L{muccore.interfaces.IUserDataStore})."""


class IBookmarks(Interface):
    """
    The bookmarks of accounts, bare JIDs as text, for those who keep them elsewhere than in items of their own
    (XEP-0402): as C{<conference/>} of XEP-0048.
    """

    def collected(account: str) -> Awaitable[Sequence[Element] | None]:
        """
        Get all bookmarks; C{None} if they are not to be shared, because others may read those in items.

        @raise StanzaError: if they cannot be read.
        """

    def replace(account: str, conferences: Sequence[Element], by: JID) -> Awaitable[bool]:
        """
        Replace all bookmarks; who wants to be notified of those that change is.

        @param conferences: the bookmarks; those without a valid address of a room are left out.
        @param by: the session that does it.
        @return: whether that was done; otherwise they are not to be shared.
        @raise StanzaError: if there are too many, or they cannot be stored.
        """
