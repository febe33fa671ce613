# -*- test-case-name: tests.muc.extensions.test_vcards -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The vCard of a room, with its avatar (XEP-0486, XEP-0054). Owners set it, and everybody may read it.

Occupants learn a new one by status 104, and the hash of the avatar by presence from the room itself (XEP-0153), which
Prosody and ejabberd send and clients wait for. A room without avatar sends no such presence to newcomers, since
some clients take it for an occupant without nick (XEP-0486 §6.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from twisted.words.xish.domish import SerializedXML

from muccore.interfaces import RoomChange
from muccore.interfaces.handlers import ANSWERED, BARE, IQTable
from muccore.muc.model import configuration
from muccore.muc.model.extension import RoomExtension
from muccore.muc.model.extensionpoints import tell
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.moderationact import ModerationAct
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roomrecord import putRows
from muccore.muc.protocol.base import RoomHandler, dispatchToRoom
from muccore.muc.protocol.disco import checkMayDiscover
from muccore.muc.service import roomlog
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID, parse
from muccore.xmpp.rendering import Rendered, render
from muccore.xmpp.specs import Spec
from muccore.xmpp.vcards import photoHash, photosOf, photoUpdate

SIZE_LIMIT: Final = 128 * 1024
"""Bytes of a vCard. Gajim's avatars of 200 pixels, the largest of usual clients, have up to 110 KiB in Base64."""

PHOTO_LIMIT: Final = 8
"""Versions of an avatar, each with a hash in C{disco#info}."""

VCARD_ROWS: Final = "vcard"
"""The name of the rows of a room."""

_XML: Final = "xml"
_HASHES: Final = "hashes"


class VCards(RoomExtension):
    """The extension. Its rows are the children of the vCard, as XML, and the hashes of its avatars."""

    name = VCARD_ROWS
    implements = (
        Spec(54, "vcard-temp", "1.3.0", "The vCards of rooms."),
        Spec(153, "vCard-Based Avatars", "1.1.1", "Of rooms; what occupants send is forwarded."),
        Spec(486, "MUC Avatars", "0.1.0"),
    )
    features = serviceFeatures = (ns.VCARD_TEMP,)

    def iqs(self) -> IQTable:
        """Answer for the vCard of a room."""
        return {
            ("get", BARE, ns.VCARD_TEMP, "vCard"): dispatchToRoom()(self._get),
            ("set", BARE, ns.VCARD_TEMP, "vCard"): dispatchToRoom(changing=True)(self._set),
        }

    def infoFields(self, room: Room, sender: JID) -> Iterable[tuple[str, str, str, bool | str | tuple[str, ...]]]:
        """Show the hashes of the avatars (XEP-0486 §4.3)."""
        yield "muc#roominfo_avatarhash", "text-multi", "Avatar hash", tuple(self._hashes(room))

    def entered(self, room: Room, session: OccupantSession, request: JoinRequest) -> None:
        """Send a newcomer the hash of the avatar, if there is one."""
        if self._hashes(room):
            session.deliver(self._update(room), session.to)

    def _rows(self, room: Room) -> dict[str, Any]:
        return room.states.get(self.name, {})

    def _hashes(self, room: Room) -> list[str]:
        found: list[str] = self._rows(room).get(_HASHES, [])
        return found

    def _update(self, room: Room) -> Rendered:
        """Make the presence with the hash of the first avatar, or an empty one without avatar (XEP-0153 §4.1)."""
        presence = stanza("presence", from_=room.jid.bare)
        presence.children.append(photoUpdate("".join(self._hashes(room)[:1])))
        return Rendered.of(presence)

    def _get(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Any:
        """
        Answer with the vCard, which may be an empty one; those who are banned do not get that of a hidden room. If none
        was ever set it is C{item-not-found}: as for a room that does not exist, since XEP-0054 §3.3 wants one error for
        both, and as Prosody and ejabberd answer.
        """
        checkMayDiscover(room, parse(iq.attributes["from"]))
        xml = self._rows(room).get(_XML)
        if xml is None:
            raise StanzaError("item-not-found", text="The room has no vCard.")
        handler.replyDirectly(iq, _serialized(xml))
        return ANSWERED

    def _set(self, handler: RoomHandler, iq: Element, to: JID, room: Room) -> Any:
        """
        Replace the vCard. An empty one, which removes the avatar (XEP-0486 §4.2), is kept, as Prosody and ejabberd do:
        who then asks for it gets it, not an error.
        """
        sender = iq.attributes["from"]
        if room.affiliations.get(parse(sender)) is not Affiliation.OWNER:
            raise StanzaError("forbidden", text="Only owners may set the vCard of a room.")
        xml, hashes = parseVCard(next(iq.childElements()))
        old = self._rows(room)
        if xml == old.get(_XML, ""):
            return None
        rows = {(self.name, _XML): xml, (self.name, _HASHES): hashes or None}
        announced = hashes[:1] != self._hashes(room)[:1]

        def apply() -> Callable[[], None]:
            roomlog.logVCard(room, sender)
            putRows(room, rows)
            act = ModerationAct("configuration", parse(sender).bare, details={"changed": "vCard"})
            tell(room.extensions.moderated, room, act)
            return announce

        def announce() -> None:
            configuration.announce(room, (104,))
            if announced:
                room.audience.send(self._update(room))

        return handler.commitAndReply(iq, room, handler.storeChange(room, RoomChange(states=rows)), apply)


def _serialized(xml: str) -> Element:
    vCard = Element((ns.VCARD_TEMP, "vCard"))
    vCard.children.append(SerializedXML(xml))
    return vCard


def vCardOf(rows: Mapping[str, Any]) -> Element | None:
    """The vCard in the rows of a room, to be rendered; C{None} if there is none."""
    return _serialized(rows[_XML]) if _XML in rows else None


def vCardRows(vCard: Element) -> dict[str, Any]:
    """The rows of a room with a vCard; raises as L{parseVCard}."""
    xml, hashes = parseVCard(vCard)
    return {_XML: xml, **({_HASHES: hashes} if hashes else {})}


def parseVCard(vCard: Element) -> tuple[str, list[str]]:
    """
    Check a vCard.

    @return: its children as XML, and the hash of each avatar, in hexadecimal (XEP-0153 §3.1).
    @raise StanzaError: C{policy-violation} if it is too large, C{not-acceptable} if it has too many avatars or one that
        is no image, C{bad-request} for one that is not Base64.
    """
    xml = "".join([render(child, ns.VCARD_TEMP).decode() for child in vCard.childElements()])
    if len(xml.encode()) > SIZE_LIMIT:
        raise StanzaError("policy-violation", text=f"A vCard may be at most {SIZE_LIMIT // 1024} KiB large.")
    photos = photosOf(vCard)
    if len(photos) > PHOTO_LIMIT:
        raise StanzaError("not-acceptable", text=f"A room may have at most {PHOTO_LIMIT} versions of its avatar.")
    return xml, [hash for hash in map(photoHash, photos) if hash]
