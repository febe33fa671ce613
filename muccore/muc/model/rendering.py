# -*- test-case-name: tests.muc.model.test_rendering -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The presence that a room sends, as bytes.

One presence of an occupant has three faces: for those who may see his real JID, for those who may not, and for
himself (status 110). The first two are rendered once, however many look at them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.sanitize import isRoomOnly, withAttributes
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, escapeAttribute, escapeText, render

_X_OPEN: Final = f"<x xmlns='{ns.MUC_USER}'>".encode()
_X_CLOSE: Final = b"</x></presence>"
_SELF: Final = b"<status code='110'/>"
_LANG: Final = (ns.XML, "lang")
_LANGUAGELESS: Final = frozenset({"show", "priority"})
_LANGUAGE_LIMIT: Final = 64
"""Longer than any tag that means something (RFC 5646 §4.4.1): it is written once for each child."""


def extractPresencePayload(presence: Element, room: JID) -> bytes:
    """
    What a room passes on of an occupant's presence: everything but what is said to the room, and what only the room
    itself may say (XEP-0045 §17.3). The language of the stanza (§13) goes with the children that can have one.
    """
    language = presence.attributes.get(_LANG)
    if language is not None and len(language) > _LANGUAGE_LIMIT:
        language = None
    parts = []
    for child in presence.childElements():
        if child.uri == ns.MUC or isRoomOnly(child, room):
            continue
        if (
            language is not None
            and _LANG not in child.attributes
            and not (child.uri == ns.CLIENT and child.name in _LANGUAGELESS)
        ):
            child = withAttributes(child, {_LANG: language})
        parts.append(render(child))
    return b"".join(parts)


def statusCodes(codes: Iterable[int]) -> bytes:
    """C{<status/>} elements, in rising order."""
    return b"".join(b"<status code='%d'/>" % code for code in sorted(codes))


def item(
    affiliation: Affiliation,
    role: Role | None = None,
    jid: str | None = None,
    nick: str | None = None,
    actor: str | None = None,
    reason: str | None = None,
) -> bytes:
    """
    An C{<item/>} of C{muc#user}.

    @param actor: the nick of who did it.
    """
    parts = [f"<item affiliation='{affiliation.xmlName}'"]
    if role is not None:
        parts.append(f" role='{role.xmlName}'")
    if jid is not None:
        parts.append(f" jid='{escapeAttribute(jid)}'")
    if nick is not None:
        parts.append(f" nick='{escapeAttribute(nick)}'")
    if actor is None and not reason:
        parts.append("/>")
    else:
        parts.append(">")
        if actor is not None:
            parts.append(f"<actor nick='{escapeAttribute(actor)}'/>")
        if reason:
            parts.append(f"<reason>{escapeText(reason)}</reason>")
        parts.append("</item>")
    return "".join(parts).encode("utf-8")


def _presence(
    head: bytes, codes: Iterable[int], item: bytes, last: bytes = b"", payload: bytes = b"", identity: bytes = b""
) -> Rendered:
    """
    @param head: the C{from} attribute and what follows it in the tag.
    @param last: further children of C{<x/>}.
    @param identity: the C{id} attribute.
    """
    return Rendered(
        b"<presence", b"".join((identity, head, payload, _X_OPEN, statusCodes(codes), item, last, _X_CLOSE))
    )


def notInside(address: str) -> Rendered:
    """
    The presence that tells somebody that they are not in the room (XEP-0045 §7.2.18).

    @param address: the occupant JID to which they have sent presence.
    """
    head = f" from='{escapeAttribute(address)}' type='unavailable'>".encode()
    told = item(Affiliation.NONE, Role.NONE, reason="You are not in the room.")
    return _presence(head, (), told, statusCodes((110, 307, 333)))


class OccupantPresence:
    """One presence of one occupant, as he is at this moment, in its faces."""

    __slots__ = (
        "_actor",
        "_affiliation",
        "_codes",
        "_extra",
        "_head",
        "_nick",
        "_payload",
        "_reason",
        "_role",
        "_shown",
    )

    def __init__(
        self,
        occupant: Occupant,
        *,
        leaving: bool = False,
        codes: Iterable[int] = (),
        nick: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
        payload: bytes | None = None,
        affiliation: Affiliation | None = None,
        extra: bytes = b"",
    ) -> None:
        """
        @param leaving: the presence is of type C{unavailable}; the role in it is C{none}, unless the occupant only
            takes another nick.
        @param codes: status codes that everybody is told.
        @param nick: the new nick of one who takes another one.
        @param actor: the nick of who caused it.
        @param reason: why.
        @param payload: from L{extractPresencePayload}; C{None} for what the occupant last sent, or nothing if he
            leaves.
        @param affiliation: to be shown instead of his own.
        @param extra: another child of C{<x/>}, rendered.
        """
        self._head = occupant.fromAttribute + (b" type='unavailable'>" if leaving else b">")
        if payload is None:
            payload = b"" if leaving else occupant.primary.presencePayload
        self._payload = payload
        self._affiliation = occupant.affiliation if affiliation is None else affiliation
        self._role = Role.NONE if leaving and nick is None else occupant.role
        self._shown = occupant.primary.jid
        self._codes = tuple(codes)
        self._nick = nick
        self._actor = actor
        self._reason = reason
        self._extra = extra

    def _render(self, jid: str | None, codes: Iterable[int], last: bytes, identity: bytes = b"") -> Rendered:
        rendered = item(self._affiliation, self._role, jid, self._nick, self._actor, self._reason)
        return _presence(self._head, codes, rendered, self._extra + last, self._payload, identity)

    def withoutJID(self) -> Rendered:
        """For those who may not see his real JID."""
        return self._render(None, self._codes, b"")

    def withJID(self) -> Rendered:
        """For those who may."""
        return self._render(self._shown, self._codes, b"")

    def toSelf(self, seat: OccupantSession, codes: Iterable[int] = (), id: str | None = None) -> Rendered:
        """
        For one of his own sessions.

        @param codes: more status codes, for him alone.
        @param id: the id of the stanza that this answers (XEP-0045 §7.2.2).
        """
        identity = b"" if id is None else f" id='{escapeAttribute(id)}'".encode()
        return self._render(seat.jid, {*self._codes, *codes}, _SELF, identity)


def facesOf(occupant: Occupant) -> tuple[Rendered, Rendered]:
    """An occupant's presence as others see it, without and with their real JID; rendered when it is first asked for."""
    if occupant.cachedPresence is None:
        notice = OccupantPresence(occupant)
        occupant.cachedPresence = (notice.withoutJID(), notice.withJID())
    return occupant.cachedPresence
