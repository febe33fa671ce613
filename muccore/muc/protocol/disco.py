# -*- test-case-name: tests.muc.protocol.test_disco -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""Service discovery of a room (XEP-0045 §6.4 to §6.6, §7.12, §18.1.1; XEP-0128)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from muccore.muc.model.privileges import Affiliation
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import FIELDS, features, isOpenToEverybody
from muccore.muc.protocol.roomlist import LIMIT, PAGE
from muccore.xmpp import dataforms, ns, rsm
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

NICK_NODE: Final = "x-roomuser-item"
"""The node that tells the sender's reserved nick (§7.12)."""

TRAFFIC_NODE: Final = f"{ns.MUC}#traffic"

ROOM_FEATURES: Final = (
    ns.DISCO_INFO,
    ns.DISCO_ITEMS,
    ns.MUC,
    ns.MUC_STABLE_ID,
    ns.MUC_SELF_PING,
    ns.MUC_REQUEST,
    ns.REGISTER,
    ns.RSM,
)
"""Features of every room."""


def info(room: Room, sender: JID, query: Element, webchatURL: str) -> Element:
    """
    Answer C{disco#info}.

    @param webchatURL: see L{MUCServiceSettings<muccore.muc.service.servicesettings.MUCServiceSettings>}.
    @raise StanzaError: C{forbidden} for a banned user if the room is hidden; C{service-unavailable} for the traffic
        node, since nothing is filtered; C{item-not-found} for other unknown nodes.
    """
    checkMayDiscover(room, sender)
    node = query.get("node") or ""
    answer = Element((ns.DISCO_INFO, "query"))
    if node:
        answer.attributes["node"] = node
        if node == TRAFFIC_NODE:
            raise StanzaError("service-unavailable")
        if node != NICK_NODE:
            return firstAnswer(extension.discoInfo(room, sender, node) for extension in room.extensions)
        nick = room.affiliations.reservedNick(sender.bare)
        if nick is not None:
            answer.add("identity", category="conference", type="text", name=nick)
        return answer
    settings = room.settings
    answer.add("identity", category="conference", type="text", name=settings.name or room.jid.local)
    for feature in dict.fromkeys((*ROOM_FEATURES, *room.extensions.features(room), *features(settings))):
        answer.add("feature", var=feature)
    _addForm(room, sender, answer, webchatURL)
    return answer


def checkMayDiscover(room: Room, sender: JID) -> None:
    """
    @raise StanzaError: C{forbidden} for a banned user if the room is hidden (XEP-0045 §4.2), as if they tried to enter.
    """
    if not room.settings.public and room.affiliations.get(sender) is Affiliation.OUTCAST:
        raise StanzaError("forbidden", text="You are banned from this room.")


def firstAnswer(answers: Iterable[Element | None]) -> Element:
    """The answer of the extension that has a node; C{item-not-found} if none has."""
    for answer in answers:
        if answer is not None:
            return answer
    raise StanzaError("item-not-found")


def _infoFields(
    room: Room, sender: JID, webchatURL: str
) -> Iterator[tuple[str, str, str, bool | str | tuple[str, ...]]]:
    """The fields of C{muc#roominfo} for a sender (§16.5.4): name, type, label and value. Empty ones are left out."""
    settings = room.settings
    yield dataforms.FORM_TYPE, "hidden", "", ns.MUC_ROOMINFO
    for row in (*FIELDS, *room.extensions.fields):
        if row.infoVar:
            yield row.infoVar, row.kind, row.label, row.valueIn(settings)
    for extension in room.extensions:
        yield from extension.infoFields(room, sender)
    yield "muc#roominfo_occupants", "text-single", "Number of occupants", str(len(room.occupants))
    yield "muc#roominfo_subjectmod", "boolean", "Participants may change the subject", settings.changeSubject
    if room.subject is not None and mayKnowContents(room, sender):
        yield "muc#roominfo_subject", "text-single", "Room subject", room.subject.text
    if isOpenToEverybody(settings):
        # As other servers do it: a web chat lets people in without an account.
        url = webchatURL.replace("{jid}", quote(room.jid.bare, safe="@"))
        yield "muc#roominfo_webchat_url", "text-single", "Web chat", url


def _addForm(room: Room, sender: JID, answer: Element, webchatURL: str) -> None:
    form = answer.add("x", ns.DATA, type="result")
    for var, kind, label, value in _infoFields(room, sender, webchatURL):
        if value in ("", ()):
            continue
        field = form.add("field", var=var, type=kind)
        if label:
            field.attributes["label"] = label
        for each in value if isinstance(value, tuple) else (value,):
            field.add("value", text=str(int(each)) if isinstance(each, bool) else each)


def mayKnowContents(room: Room, sender: JID) -> bool:
    """
    Whether the sender may know the subject and what else is in a room. That of one which not everybody can find and
    enter is for members and occupants (XEP-0045 §14.4).
    """
    if isOpenToEverybody(room.settings):
        return room.affiliations.get(sender) is not Affiliation.OUTCAST
    return sender.full in room.sessions or room.affiliations.get(sender) >= Affiliation.MEMBER


def _mayKnowOccupants(room: Room, sender: JID) -> bool:
    """Whether the sender may list the occupants: as an occupant, or where an open room shows them to everybody."""
    if sender.full in room.sessions:
        return True
    settings = room.settings
    shown = settings.publicOccupants and isOpenToEverybody(settings)
    return shown and room.affiliations.get(sender) is not Affiliation.OUTCAST


def items(room: Room, sender: JID, query: Element) -> Element:
    """
    Answer C{disco#items}: the occupants, or a page of them, for those who may know them; else nothing (§6.5).

    @raise StanzaError: C{item-not-found} for any node; C{bad-request} or C{item-not-found} for an invalid page.
    """
    node = query.get("node")
    if node:
        return firstAnswer(extension.discoItems(room, sender, node, query) for extension in room.extensions)
    answer = Element((ns.DISCO_ITEMS, "query"))
    if not _mayKnowOccupants(room, sender):
        return answer
    page = rsm.parse(query)
    requested = page or rsm.PageRequest()
    limit = PAGE if requested.limit is None else min(requested.limit, LIMIT)
    occupants = [each.address for each in room.occupants.values() if each.shown or sender.full in each.sessions]
    index, found = rsm.select(requested, occupants, limit)
    for address in found:
        answer.add("item", jid=address)
    if page is not None or len(found) < len(occupants):
        first, last = (found[0], found[-1]) if found else (None, None)
        answer.children.append(rsm.render(first, last, index, len(occupants)))
    return answer
