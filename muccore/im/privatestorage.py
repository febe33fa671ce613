# -*- test-case-name: tests.im.test_privatestorage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Private XML storage (XEP-0049): an account keeps elements on the server, by name and namespace, for all of its clients.
Bookmarks of rooms (XEP-0048) are such an element.

The text names C{not-acceptable} for a request without an element of a namespace of its own, and elsewhere
C{bad-format}, which is no condition of stanza errors (RFC 6120 §8.3.3).
"""

from __future__ import annotations

from typing import Any, Final

from twisted.words.xish.domish import SerializedXML

from muccore.im.userdata import storing
from muccore.interfaces import DataTooLarge, IBookmarks, IUserDataStore
from muccore.interfaces.bookmarks import BOOKMARKS_DOCUMENT
from muccore.interfaces.handlers import ANSWERED, isFromAccount
from muccore.routing.handler import BARE, Handler, answersAnyone
from muccore.routing.turns import WAITING_LIMIT, Turns
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import parseRendered, render
from muccore.xmpp.specs import Spec

KIND: Final = "private"
"""The kind of its documents. The key of each is C{{namespace}name}, its content the element."""


class PrivateStorageHandler(Handler):
    """
    Keeps the elements.

    @ivar elementLimit: bytes of one element.
    @ivar accountLimit: bytes of all elements of an account, their names included.
    @ivar bookmarks: where the bookmarks of rooms are; C{None}: here, as other elements are.
    """

    implements = (
        Spec(48, "Bookmarks", "1.2", "As private XML (XEP-0049), and in a node of the account (XEP-0163)."),
        Spec(49, "Private XML Storage", "1.2"),
    )
    features = (ns.PRIVATE,)

    def __init__(self, store: IUserDataStore, elementLimit: int, accountLimit: int) -> None:
        super().__init__()
        self.bookmarks: IBookmarks | None = None
        self._store = store
        self.elementLimit = elementLimit
        self.accountLimit = accountLimit
        self._turns = Turns(WAITING_LIMIT)

    @answersAnyone
    async def onGet(self, element: Element, to: JID) -> Any:
        """Return an element of the account; an empty one if it has not been set."""
        elements = _elements(element, to)
        if len(elements) != 1:
            raise StanzaError("not-acceptable", text="Request one element at a time.")
        [(key, requested)] = elements.items()
        query = Element((ns.PRIVATE, "query"))
        async with self._turns.take(to.bare, element):
            with storing():
                found = await self._store.get(to.bare, KIND, key)
            if self.bookmarks is not None and (KIND, key) == BOOKMARKS_DOCUMENT:
                found = await self._withBookmarks(to.bare, found)
            query.children.append(Element((requested.uri, requested.name)) if found is None else _serialized(found))
            self.replyDirectly(element, query)
        return ANSWERED

    @answersAnyone
    async def onSet(self, element: Element, to: JID) -> None:
        """Set elements of the account, all or none. One without anything in it is removed: it is requested alike."""
        changes: dict[tuple[str, str], bytes | None] = {}
        for key, child in _elements(element, to).items():
            content = render(child, ns.PRIVATE) if child.children or child.attributes else None
            if content is not None and len(content) > self.elementLimit:
                text = f"An element may be at most {self.elementLimit} bytes large."
                raise StanzaError("policy-violation", text=text)
            changes[KIND, key] = content
        async with self._turns.take(to.bare, element):
            if self.bookmarks is not None and BOOKMARKS_DOCUMENT in changes:
                storage = _elements(element, to)[BOOKMARKS_DOCUMENT[1]]
                conferences = [child for child in storage.childElements() if _isBookmark(child)]
                if await self.bookmarks.replace(to.bare, conferences, jid.parse(element.attributes["from"])):
                    changes[BOOKMARKS_DOCUMENT] = _without(storage, conferences)
            with storing():
                try:
                    await self._store.change(to.bare, changes, {KIND: self.accountLimit})
                except DataTooLarge:
                    text = f"All elements together may be at most {self.accountLimit} bytes large; remove some."
                    raise StanzaError("resource-constraint", text=text) from None

    async def _withBookmarks(self, account: str, found: bytes | None) -> bytes | None:
        """
        Put the bookmarks of an account into a list.

        @param found: what is stored of that: what are no bookmarks of rooms.
        """
        assert self.bookmarks is not None, "it has been looked at"
        conferences = await self.bookmarks.collected(account)
        if not conferences:
            return found
        storage = Element((ns.BOOKMARKS_STORAGE, "storage"))
        if found is not None:
            stored = parseRendered(found)
            storage.attributes = stored.attributes
            storage.children = [child for child in stored.childElements() if not _isBookmark(child)]
        storage.children.extend(conferences)
        return render(storage, ns.PRIVATE)

    async def forget(self, account: JID) -> None:
        """Wait for requests of an account that is being removed."""
        await self._turns.settle(account.bare)

    iqs = {("get", BARE, ns.PRIVATE, "query"): onGet, ("set", BARE, ns.PRIVATE, "query"): onSet}


def keyOf(element: Element) -> str:
    """The key of the document of an element."""
    return f"{{{element.uri}}}{element.name}"


def _isBookmark(child: Element) -> bool:
    return (child.uri, child.name) == (ns.BOOKMARKS_STORAGE, "conference")


def _without(storage: Element, conferences: list[Element]) -> bytes | None:
    """What is stored of a list of bookmarks when those of rooms are elsewhere; C{None} for nothing."""
    rest = Element((storage.uri, storage.name), None, storage.attributes)
    rest.children = [child for child in storage.children if child not in conferences]
    return render(rest, ns.PRIVATE) if any(not isinstance(child, str) for child in rest.children) else None


def _serialized(content: bytes) -> Any:
    return SerializedXML(content.decode())


def _elements(iq: Element, to: JID) -> dict[str, Element]:
    """
    Get the elements in a request, by key.

    @raise StanzaError: C{forbidden} for the elements of another account, whether it exists or not; C{not-acceptable}
        for none, one twice, or one without a namespace of its own.
    """
    if not isFromAccount(iq, to):
        raise StanzaError("forbidden", text="Only the account itself has access to its private data.")
    query = next(iq.childElements())
    found: dict[str, Element] = {}
    for child in query.childElements():
        key = keyOf(child)
        if not child.uri or child.uri == ns.PRIVATE or key in found:
            raise StanzaError(
                "not-acceptable", text="Each element needs a namespace of its own, and stands there once."
            )
        found[key] = child
    if not found:
        raise StanzaError("not-acceptable", text="There is no element in the request.")
    return found
