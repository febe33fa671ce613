# -*- test-case-name: tests.muc.model.test_rendering -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The presence that a room sends, as bytes.

There are three versions of an occupant's presence: for those who may see real JIDs, with an item for each session; for
those who may not, with one item; and for the occupant (status 110). The first two are rendered once for all recipients.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Final, NamedTuple

from muccore.muc.model.occupant import Occupant, OccupantSession
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.sanitize import LANG, isRoomOnly, languageOf, withAttributes
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, escapeAttribute, escapeText, render

_X_OPEN: Final = f"<x xmlns='{ns.MUC_USER}'>".encode()
_X_CLOSE: Final = b"</x></presence>"
_SELF: Final = b"<status code='110'/>"
_LANGUAGELESS: Final = frozenset({"show", "priority"})


def extractPresencePayload(presence: Element, room: JID) -> bytes:
    """
    The part of a client's presence that a room broadcasts: everything but what is addressed to the room and what only
    the room may send (XEP-0045 §17.3). Children that may have a language get that of the stanza (§13).
    """
    language = languageOf(presence)
    parts = []
    for child in presence.childElements():
        if child.uri == ns.MUC or isRoomOnly(child, room):
            continue
        if (
            language is not None
            and LANG not in child.attributes
            and not (child.uri == ns.CLIENT and child.name in _LANGUAGELESS)
        ):
            child = withAttributes(child, {LANG: language})
        parts.append(render(child))
    return b"".join(parts)


class Actor(NamedTuple):
    """
    Who caused a change.

    @ivar jid: their bare JID.
    @ivar nick: their nick, if they are in the room.
    """

    jid: str
    nick: str | None


def statusCodes(codes: Iterable[int]) -> bytes:
    """C{<status/>} elements, in rising order."""
    return b"".join(b"<status code='%d'/>" % code for code in sorted(codes))


def item(
    affiliation: Affiliation,
    role: Role | None = None,
    jid: str | None = None,
    nick: str | None = None,
    actor: Actor | None = None,
    reason: str | None = None,
    showActorJID: bool = False,
) -> bytes:
    """An C{<item/>} of C{muc#user}. An actor of whom nothing may be shown is left out."""
    parts = [f"<item affiliation='{affiliation.xmlName}'"]
    if role is not None:
        parts.append(f" role='{role.xmlName}'")
    if jid is not None:
        parts.append(f" jid='{escapeAttribute(jid)}'")
    if nick is not None:
        parts.append(f" nick='{escapeAttribute(nick)}'")
    children = "" if actor is None else _actor(actor, showActorJID)
    if reason:
        children += f"<reason>{escapeText(reason)}</reason>"
    parts.append(f">{children}</item>" if children else "/>")
    return "".join(parts).encode("utf-8")


def _actor(actor: Actor, showJID: bool) -> str:
    nick = "" if actor.nick is None else f" nick='{escapeAttribute(actor.nick)}'"
    jid = f" jid='{escapeAttribute(actor.jid)}'" if showJID else ""
    return f"<actor{nick}{jid}/>" if nick or jid else ""


def _presence(
    head: bytes, codes: Iterable[int], item: bytes, last: bytes = b"", payload: bytes = b"", identity: bytes = b""
) -> Rendered:
    """
    @param head: the C{from} attribute and the rest of the start tag.
    @param last: further children of C{<x/>}.
    @param identity: the C{id} attribute.
    """
    return Rendered(
        b"<presence", b"".join((identity, head, payload, _X_OPEN, statusCodes(codes), item, last, _X_CLOSE))
    )


def notInside(address: str) -> Rendered:
    """The presence that tells a client that it is not in the room: from where it sent presence (XEP-0045 §7.2.18)."""
    head = f" from='{escapeAttribute(address)}' type='unavailable'>".encode()
    rendered = item(Affiliation.NONE, Role.NONE, reason="You are not in the room.")
    return _presence(head, (), rendered, statusCodes((110, 307, 333)))


def absentPresence(room: JID, affiliation: Affiliation, nick: str | None, jid: str | None, stamps: bytes) -> Rendered:
    """
    The unavailable presence of a user who is not in the room, but has an affiliation.

    @param nick: their reserved nick; C{None}: it comes from the room.
    @param jid: their bare JID, for those who may see it.
    @param stamps: the elements of extensions in everything from the user, rendered.
    """
    address = room.bare if nick is None else f"{room.bare}/{nick}"
    head = f" from='{escapeAttribute(address)}' type='unavailable'>".encode()
    return _presence(head, (), item(affiliation, Role.NONE, jid, nick), payload=stamps)


class OccupantPresence:
    """
    A presence of an occupant in their present state, in its three versions.

    @ivar shown: whether others get it.
    """

    __slots__ = (
        "_actor", "_affiliation", "_codes", "_extra", "_head", "_jid", "_nick", "_others", "_payload",
        "_reason", "_role", "shown",
    )  # fmt: skip

    def __init__(
        self,
        occupant: Occupant,
        *,
        leaving: bool = False,
        codes: Iterable[int] = (),
        nick: str | None = None,
        actor: Actor | None = None,
        reason: str | None = None,
        payload: bytes | None = None,
        affiliation: Affiliation | None = None,
        extra: bytes = b"",
        session: OccupantSession | None = None,
    ) -> None:
        """
        @param leaving: whether the type is C{unavailable}; the role is then C{none}, unless C{nick} is given.
        @param codes: status codes for all recipients.
        @param nick: the new nick in a nick change.
        @param actor: who caused it; their real JID is in the versions for those who may see real JIDs.
        @param payload: from L{extractPresencePayload}; C{None} for the occupant's latest, or none if leaving.
        @param affiliation: shown instead of the occupant's.
        @param extra: another child of C{<x/>}, rendered.
        @param session: the only one that it is about; C{None} for all, the one whose presence it is first.
        """
        self.shown = occupant.shown
        self._head = occupant.fromAttribute + (b" type='unavailable'>" if leaving else b">")
        if payload is None:
            payload = b"" if leaving else occupant.primary.presencePayload
        self._payload = payload + occupant.stamps
        if not leaving:
            self._payload += occupant.presenceStamps
        self._affiliation = occupant.affiliation if affiliation is None else affiliation
        self._role = Role.NONE if leaving and nick is None else occupant.role
        self._jid = occupant.primary.jid if session is None else session.jid
        self._others = occupant.otherJIDs() if session is None and len(occupant.sessions) > 1 else ()
        self._codes = tuple(codes)
        self._nick = nick
        self._actor = actor
        self._reason = reason
        self._extra = extra

    def _render(
        self, jid: str | None, seesJIDs: bool, codes: Iterable[int], last: bytes = b"", identity: bytes = b""
    ) -> Rendered:
        rendered = item(self._affiliation, self._role, jid, self._nick, self._actor, self._reason, seesJIDs)
        if jid is not None and self._others:
            jids = [other for other in (self._jid, *self._others) if other != jid]
            same = (self._nick, self._actor, self._reason, seesJIDs)
            rendered += b"".join([item(self._affiliation, self._role, other, *same) for other in jids])
        return _presence(self._head, codes, rendered, self._extra + last, self._payload, identity)

    def extended(self, extra: bytes) -> OccupantPresence:
        """This presence with further children of C{<x/>}, rendered."""
        if not extra:
            return self
        made = copy(self)
        made._extra += extra
        return made

    def withoutJID(self) -> Rendered:
        """The version for recipients who may not see the real JID."""
        return self._render(None, False, self._codes)

    def withJID(self) -> Rendered:
        """The version for recipients who may see it."""
        return self._render(self._jid, True, self._codes)

    def toSelf(self, session: OccupantSession, codes: Iterable[int] = (), id: str | None = None) -> Rendered:
        """
        The version for a session of the occupant.

        @param codes: further status codes.
        @param id: the id of the stanza that this answers (XEP-0045 §7.2.2).
        """
        identity = b"" if id is None else f" id='{escapeAttribute(id)}'".encode()
        return self._render(session.jid, session.seesJIDs, {*self._codes, *codes}, _SELF, identity)


def presenceOf(occupant: Occupant) -> tuple[Rendered, Rendered]:
    """An occupant's presence for others, without and with the real JID; rendered once and cached."""
    if occupant.cachedPresence is None:
        presence = OccupantPresence(occupant)
        occupant.cachedPresence = (presence.withoutJID(), presence.withJID())
    return occupant.cachedPresence
