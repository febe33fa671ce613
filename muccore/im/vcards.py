# -*- test-case-name: tests.im.test_vcards -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The vCards of users (XEP-0054), which everybody may read, and the hashes of their avatars in presence (XEP-0153).

The server puts the hash into available presence, directed one included, unless the client has an element C{<photo/>}
there itself, as XEP-0398 §3 has it. After a new avatar it broadcasts the presence of such sessions again; rooms get
the new hash with the next presence that the client directs there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

from twisted.words.xish.domish import SerializedXML

from muccore.im.presence import PresenceHandler
from muccore.im.userdata import storing
from muccore.im.userstate import CARD, PHOTO, VCARD, UserStates
from muccore.interfaces import ISession, IUserDataStore, IUserDomain
from muccore.interfaces.filters import PRESENCE
from muccore.interfaces.handlers import ANSWERED, isFromAccount
from muccore.routing.handler import BARE, Handler, answersAnyone
from muccore.routing.turns import WAITING_LIMIT, Turns
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import parseRendered, render
from muccore.xmpp.specs import Spec
from muccore.xmpp.vcards import Photo, photoElement, photosOf, photoUpdate, readPhoto

_EMPTY: Final = render(Element((ns.VCARD_TEMP, "vCard")))


class VCardHandler(Handler):
    """
    Keeps the vCards.

    @ivar sizeLimit: bytes of one.
    @ivar photoObservers: called with an account whose client has set a vCard with another avatar, that or C{None}, and
        the address of the client.
    """

    implements = (
        Spec(54, "vcard-temp", "1.3.0", "The vCards of users."),
        Spec(153, "vCard-Based Avatars", "1.1.1", "The server adds the hash to presence that lacks it."),
    )
    features = (ns.VCARD_TEMP,)

    parent: IUserDomain

    def __init__(self, store: IUserDataStore, states: UserStates, presence: PresenceHandler, sizeLimit: int) -> None:
        super().__init__()
        self._store = store
        self._states = states
        self.sizeLimit = sizeLimit
        self.photoObservers: list[Callable[[JID, Photo | None, JID], None]] = []
        self._turns = Turns(WAITING_LIMIT)
        self._presence = presence
        # The sessions whose latest broadcast presence had no photo of its own.
        self._updated: WeakSet[ISession] = WeakSet()
        # Whether presence that is being filtered has one: it may be refused still.
        self._own = False
        presence.availableObservers.append(self._accepted)

    @answersAnyone
    async def onGet(self, element: Element, to: JID) -> Any:
        """
        Return the vCard of an account. Without one, the owner gets an empty one, since there are clients that cannot
        set their first one after C{item-not-found} (§3.1); others get C{service-unavailable}, as for an account that
        does not exist (§3.3).
        """
        async with self._turns.take(element.attributes["from"], element):
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
        photo = _photoIn(vCard)
        by = jid.parse(element.attributes["from"])
        async with self._turns.take(by.full, element), self._turns.take(to.bare, element):
            with storing():
                old = await self._store.get(to.bare, VCARD, PHOTO) or b""
                await self._change(to.bare, None if _isEmpty(vCard) else content, _hashOf(photo))
        self.replyDirectly(element)
        self._tell(to.bare, _hashOf(photo), by)
        if old.decode() != _hashOf(photo):
            for observer in self.photoObservers:
                observer(to.bareJID(), photo, by)
        return ANSWERED

    async def setPhoto(self, account: JID, photo: Photo | None, by: JID) -> None:
        """
        Put an avatar that was set elsewhere into the vCard, unless that would be too large; C{None} removes it.

        @param by: the session that has set it.
        @raise StanzaError: if it cannot be stored.
        """
        async with self._turns.take(account.bare):
            with storing():
                old = await self._store.get(account.bare, VCARD, PHOTO) or b""
                if old.decode() == _hashOf(photo):
                    return
                found = await self._store.get(account.bare, VCARD, CARD)
                vCard = parseRendered(found) if found is not None else Element((ns.VCARD_TEMP, "vCard"))
                photos = photosOf(vCard)
                vCard.children = [child for child in vCard.children if child not in photos]
                if photo is not None:
                    vCard.children.append(photoElement(photo))
                content = render(vCard)
                if len(content) > self.sizeLimit:
                    return
                await self._change(account.bare, None if _isEmpty(vCard) else content, _hashOf(photo))
        self._tell(account.bare, _hashOf(photo), by)

    async def _change(self, account: str, content: bytes | None, hash: str) -> None:
        await self._store.change(account, {(VCARD, CARD): content, (VCARD, PHOTO): hash.encode()})

    def _tell(self, account: str, hash: str, by: JID) -> None:
        """Put another hash into presence from now on."""
        state = self._states.get(account)
        if state is not None and state.photo != hash:
            state.photo = hash
            self._broadcast(account, by)

    async def forget(self, account: JID) -> None:
        """Wait for requests of an account that is being removed."""
        await self._turns.settle(account.bare)

    def restored(self, session: ISession) -> None:
        """Note whether a session that was saved leaves the hash to the server: it has none, or that of the server."""
        state, presence = session.userState, session.presence
        if state is not None and presence is not None:
            update = presence.elementTo(b"").child("x", ns.VCARD_UPDATE)
            photo = None if update is None else update.child("photo")
            if photo is None or photo.text() == state.photo:
                self._updated.add(session)

    def _broadcast(self, account: str, by: JID) -> None:
        """
        Broadcast presence with a new hash, for the sessions that leave this to the server.

        @param by: who has changed it, and is charged for that.
        """
        payer = self.parent.sessions.byFullJID(by)
        for session in list(self.parent.sessions.forAccount(account).values()):
            if session.presence is not None and session in self._updated:
                element = session.presence.element.copy()
                element.children = [child for child in element.children if not _isUpdate(child)]
                self._presence.broadcastAgain(session, element, payer)

    def onPresence(self, session: ISession, element: Element, to: JID | None) -> Element:
        """Add the hash of the account's avatar to available presence."""
        if element.attributes.get("type") is not None:
            return element
        update = element.child("x", ns.VCARD_UPDATE)
        own = update is not None and update.child("photo") is not None
        self._own = own
        hash = None if session.userState is None else session.userState.photo
        if own or hash is None:
            return element
        stamped = Element((element.uri, element.name), element.defaultUri, dict(element.attributes))
        stamped.children = [child for child in element.children if child is not update]
        stamped.children.append(photoUpdate(hash))
        return stamped

    def _accepted(self, session: ISession) -> None:
        """The presence that was filtered last is valid."""
        (self._updated.discard if self._own else self._updated.add)(session)

    iqs = {("get", BARE, ns.VCARD_TEMP, "vCard"): onGet, ("set", BARE, ns.VCARD_TEMP, "vCard"): onSet}
    outbound = {("presence", PRESENCE - 10): onPresence}


def _serialized(content: bytes) -> Any:
    return SerializedXML(content.decode())


def _isUpdate(child: Any) -> bool:
    return not isinstance(child, str) and (child.uri, child.name) == (ns.VCARD_UPDATE, "x")


def avatarHash(vCard: Element) -> str:
    """The hash of the first avatar that is one, or C{""}."""
    return _hashOf(_photoIn(vCard))


def _photoIn(vCard: Element) -> Photo | None:
    """The first avatar that is one, or C{None}. Users may store what they like as photos."""
    for each in photosOf(vCard):
        try:
            photo = readPhoto(each)
        except StanzaError:
            continue
        if photo is not None:
            return photo
    return None


def _hashOf(photo: Photo | None) -> str:
    return "" if photo is None else photo.hash


def _isEmpty(vCard: Element) -> bool:
    return next(vCard.childElements(), None) is None
