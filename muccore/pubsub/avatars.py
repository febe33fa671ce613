# -*- test-case-name: tests.pubsub.test_avatars -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Avatars in nodes (XEP-0084) and in vCards (XEP-0153), each made from the other (XEP-0398).

An avatar goes to the vCard, which everybody may read, only if everybody may read its node.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from muccore.pubsub.converting import Conversions
from muccore.pubsub.model.configuration import OPEN
from muccore.pubsub.pepdefaults import DEFAULT
from muccore.pubsub.service import PubSubService
from muccore.pubsub.updating import newestItem, publishItem
from muccore.xmpp import jid as jids
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import parseRendered
from muccore.xmpp.specs import Spec
from muccore.xmpp.uniqueids import newId
from muccore.xmpp.vcards import Photo

implements = (
    Spec(84, "User Avatar", "1.1.4"),
    Spec(398, "User Avatar to vCard-Based Avatars Conversion", "1.0.0"),
)

_PNG: Final = "image/png"

_OPEN: Final = replace(DEFAULT, accessModel=OPEN)
"""The configuration of nodes with what everybody may read in the vCard."""

SetPhoto = Callable[[JID, "Photo | None", JID], Awaitable[None]]
"""Called with an account, its avatar or C{None}, and the session that has set it: puts it into the vCard."""


class Avatars:
    """
    Converts avatars.

    @ivar converters: what is done after a node was changed, by its name: called with the account and the session.
    @ivar conversions: those in progress.
    """

    def __init__(self, service: PubSubService, setPhoto: SetPhoto) -> None:
        self._service = service
        self._setPhoto = setPhoto
        self.conversions = Conversions("avatars")
        self.converters: Mapping[str, Callable[[str, JID], None]] = {
            ns.AVATAR_METADATA: lambda account, by: self.conversions.begin(account, self._toVCard(account, by)),
        }

    def vCardChanged(self, account: JID, photo: Photo | None, by: JID) -> None:
        """Publish the avatar of a vCard, or that there is none any more."""
        self.conversions.begin(account.bare, self._fromVCard(account.bare, photo, by))

    async def _toVCard(self, account: str, by: JID) -> None:
        """§3.1"""
        newest = await newestItem(self._service, account, ns.AVATAR_METADATA)
        if newest is None or not newest.payload:
            return
        infos = _infosIn(parseRendered(newest.payload))
        if not infos:
            await self._setPhoto(jids.parse(account), None, by)
            return
        node = await self._service.nodes.get(account, ns.AVATAR_DATA)
        info = next((each for each in infos if each.get("url") is None), None)
        if info is None or node is None or node.configuration.accessModel != OPEN:
            return
        id = info.get("id") or ""
        since = node.configuration.since(self._service.parent.now())
        for item in await self._service.store.find(account, ns.AVATAR_DATA, [id], since):
            photo = _photoIn(item.payload, info.get("type") or _PNG)
            if photo is not None and photo.hash == id.lower():
                await self._setPhoto(jids.parse(account), photo, by)

    async def _fromVCard(self, account: str, photo: Photo | None, by: JID) -> None:
        """§3.2"""
        newest = await newestItem(self._service, account, ns.AVATAR_METADATA)
        infos = [] if newest is None or not newest.payload else _infosIn(parseRendered(newest.payload))
        metadata = Element((ns.AVATAR_METADATA, "metadata"))
        if photo is None:
            if infos:
                await publishItem(self._service, account, ns.AVATAR_METADATA, newId(), metadata, by)
        elif photo.hash not in [info.get("id") for info in infos]:
            data = Element((ns.AVATAR_DATA, "data"))
            data.children.append(photo.encoded)
            await publishItem(self._service, account, ns.AVATAR_DATA, photo.hash, data, by, _OPEN)
            metadata.add("info", bytes=str(photo.size), id=photo.hash, type=photo.type)
            await publishItem(self._service, account, ns.AVATAR_METADATA, photo.hash, metadata, by, _OPEN)


def _infosIn(metadata: Element) -> list[Element]:
    return [child for child in metadata.childElements() if (child.uri, child.name) == (ns.AVATAR_METADATA, "info")]


def _photoIn(payload: bytes, type: str) -> Photo | None:
    """The avatar in an item, or C{None} if it is none."""
    if not payload:
        return None
    encoded = "".join(parseRendered(payload).text().split())
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Photo(type, encoded, hashlib.sha1(data, usedforsecurity=False).hexdigest(), len(data)) if data else None
