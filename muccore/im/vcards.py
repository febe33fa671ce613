# -*- test-case-name: tests.im.test_vcards -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The vCards of users (XEP-0054), which everybody may read, and the hashes of their avatars in presence (XEP-0153).

The server puts the hash into available presence, directed one included, unless the client has an element C{<photo/>}
there itself, as XEP-0398 §3 has it. After a new avatar it broadcasts the presence of such sessions again; rooms get
the new hash with the next presence that the client directs there.
"""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakSet

from twisted.words.xish.domish import SerializedXML

from muccore.im.userdata import Turns, storing
from muccore.im.userstate import CARD, PHOTO, VCARD, UserStates
from muccore.interfaces import ISession, IUserDataStore, IUserDomain
from muccore.interfaces.filters import PRESENCE
from muccore.interfaces.handlers import ANSWERED, isFromAccount
from muccore.routing.handler import BARE, Handler, answersAnyone
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import render
from muccore.xmpp.specs import Spec
from muccore.xmpp.vcards import photoHash, photosOf, photoUpdate

WAITING_LIMIT: Final = 1000
"""Requests of one client, or occupant of a room, that may wait for each other."""

_EMPTY: Final = render(Element((ns.VCARD_TEMP, "vCard")))


class VCardHandler(Handler):
    """
    Keeps the vCards.

    @ivar sizeLimit: bytes of one.
    """

    implements = (
        Spec(54, "vcard-temp", "1.3.0", "The vCards of users."),
        Spec(153, "vCard-Based Avatars", "1.1.1", "The server adds the hash to presence that lacks it."),
    )
    features = (ns.VCARD_TEMP,)

    parent: IUserDomain

    def __init__(self, store: IUserDataStore, states: UserStates, sizeLimit: int) -> None:
        super().__init__()
        self._store = store
        self._states = states
        self.sizeLimit = sizeLimit
        self._turns = Turns(WAITING_LIMIT)
        # The sessions whose latest broadcast presence had no photo of its own.
        self._updated: WeakSet[ISession] = WeakSet()

    @answersAnyone
    async def onGet(self, element: Element, to: JID) -> Any:
        """
        Return the vCard of an account. Without one, the owner gets an empty one, since there are clients that cannot
        set their first one after C{item-not-found} (§3.1); others get C{service-unavailable}, as for an account that
        does not exist (§3.3).
        """
        async with self._turns.take(element.attributes["from"]):
            with storing():
                found = await self._store.get(to.bare, VCARD, CARD)
            if found is None and not isFromAccount(element, to):
                raise StanzaError("service-unavailable")
            self.replyDirectly(element, _serialized(found or _EMPTY))
        return ANSWERED

    @answersAnyone
    async def onSet(self, element: Element, to: JID) -> Any:
        """Replace the vCard of the account; an empty one removes it."""
        if not isFromAccount(element, to):
            raise StanzaError("forbidden", text="Only the account itself may set its vCard.")
        vCard = next(element.childElements())
        content = render(vCard)
        if len(content) > self.sizeLimit:
            raise StanzaError("policy-violation", text=f"A vCard may be at most {self.sizeLimit} bytes large.")
        hash = _hashIn(vCard)
        empty = next(vCard.childElements(), None) is None
        async with self._turns.take(element.attributes["from"]):
            with storing():
                changes = {(VCARD, CARD): None if empty else content, (VCARD, PHOTO): hash.encode()}
                await self._store.change(to.bare, changes)
        self.replyDirectly(element)
        state = self._states.get(to.bare)
        if state is not None and state.photo != hash:
            state.photo = hash
            self._broadcast(to.bare)
        return ANSWERED

    async def forget(self, account: JID) -> None:
        """Wait for requests of an account that is being removed."""
        await self._turns.settle(account.bare)

    def _broadcast(self, account: str) -> None:
        """Broadcast presence with a new hash, for the sessions that leave this to the server."""
        for session in list(self.parent.sessions.forAccount(account).values()):
            if session.presence is not None and session in self._updated:
                element = session.presence.element.copy()
                element.children = [child for child in element.children if not _isUpdate(child)]
                self.parent.filterOutbound(session, element, None)

    def onPresence(self, session: ISession, element: Element, to: JID | None) -> Element:
        """Add the hash of the account's avatar to available presence."""
        if element.attributes.get("type") is not None:
            return element
        update = element.child("x", ns.VCARD_UPDATE)
        own = update is not None and update.child("photo") is not None
        if to is None:
            (self._updated.discard if own else self._updated.add)(session)
        hash = None if session.userState is None else session.userState.photo
        if own or hash is None:
            return element
        stamped = Element((element.uri, element.name), element.defaultUri, dict(element.attributes))
        stamped.children = [child for child in element.children if child is not update]
        stamped.children.append(photoUpdate(hash))
        return stamped

    iqs = {("get", BARE, ns.VCARD_TEMP, "vCard"): onGet, ("set", BARE, ns.VCARD_TEMP, "vCard"): onSet}
    outbound = {("presence", PRESENCE - 10): onPresence}


def _serialized(content: bytes) -> Any:
    return SerializedXML(content.decode())


def _isUpdate(child: Any) -> bool:
    return not isinstance(child, str) and (child.uri, child.name) == (ns.VCARD_UPDATE, "x")


def _hashIn(vCard: Element) -> str:
    """The hash of the first avatar that is one, or C{""}. Users may store what they like as photos."""
    for photo in photosOf(vCard):
        try:
            hash = photoHash(photo)
        except StanzaError:
            continue
        if hash:
            return hash
    return ""
