# -*- test-case-name: tests.muc.protocol.test_admin -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
C{muc#admin} requests of moderators, admins and owners: lists (XEP-0045 §8.5, §9.2, §9.5, §9.8, §10.5, §10.8) and their
changes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.words.xish.domish import SerializedXML

from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.privilegechanges import AffiliationItem, RoleItem
from muccore.muc.model.privileges import Affiliation, Role, initialRole
from muccore.muc.model.room import Room
from muccore.muc.protocol.nicks import prepareNick
from muccore.net.slices import Steps, after
from muccore.xmpp import ns, rsm
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import escapeAttribute, escapeText
from muccore.xmpp.stanzas import parseAddress

PAGE_LIMIT: Final = 500
"""The most entries of a list in a page."""

_STEP: Final = 200

REASON_LIMIT: Final = 1024
"""Characters of a reason, which is stored and broadcast."""


def parseItems(room: Room, query: Element) -> list[AffiliationItem | RoleItem]:
    """
    The changes that a request asks for.

    @raise StanzaError: C{bad-request} without items, or if an item has both a role and an affiliation (§17.4) or
        neither; C{jid-malformed} for an invalid address.
    """
    items = [_parseItem(room, item) for item in query.childElements() if item.name == "item" and item.uri == query.uri]
    if not items:
        raise StanzaError("bad-request", text="The request contains no items.")
    return items


def _parseItem(room: Room, item: Element) -> AffiliationItem | RoleItem:
    affiliation, role, nick = item.get("affiliation"), item.get("role"), item.get("nick")
    reason, retracting = reasonIn(item), item.child("retract-all", ns.MODERATION) is not None
    if (affiliation is None) == (role is None):
        raise StanzaError("bad-request", text="An item must contain either a role or an affiliation.")
    if role is not None:
        if not nick:
            raise StanzaError("bad-request", text="To change a role, give the occupant's nickname.")
        return RoleItem(prepareNick(nick), Role.parse(role), reason, retracting)
    assert affiliation is not None
    wanted = Affiliation.parse(affiliation)
    address = item.get("jid")
    if address is None:
        # COMPAT: some clients give only an occupant's nick.
        occupant = room.occupantByNick(prepareNick(nick)) if nick else None
        if occupant is None:
            condition = "item-not-found" if nick else "bad-request"
            raise StanzaError(condition, text="To change an affiliation, give the user's address.")
        return AffiliationItem(occupant.account, wanted, None, reason, retracting)
    reserved = prepareNick(nick) if nick else nick
    return AffiliationItem(parseAddress(address).bareJID(), wanted, reserved, reason, retracting)


def reasonIn(item: Element) -> str | None:
    """The text of the C{<reason/>} in an element, or C{None}; C{not-acceptable} if it is too long."""
    text = item.childText("reason") or ""
    if len(text) > REASON_LIMIT:
        raise StanzaError("not-acceptable", text=f"A reason may be at most {REASON_LIMIT} characters long.")
    return text or None


def answerList(room: Room, sender: JID, query: Element, limit: int) -> Element | Deferred[Element]:
    """
    A list of occupants by role, or of users by affiliation; of these, a page if the query has a C{<set/>} (XEP-0059).

    @param limit: the most entries of a list by affiliation that is requested as a whole.
    @return: the list; a Deferred of it if it is rendered in slices.
    @raise StanzaError: C{bad-request} unless exactly one list is requested, C{forbidden} if the sender may not see it,
        C{resource-constraint} if it has too many entries.
    """
    items = [item for item in query.childElements() if item.name == "item" and item.uri == query.uri]
    if len(items) != 1:
        raise StanzaError("bad-request", text="A request must ask for exactly one list.")
    affiliation, role = items[0].get("affiliation"), items[0].get("role")
    if (affiliation is None) == (role is None):
        raise StanzaError("bad-request", text="A list is requested by either a role or an affiliation.")
    answer = Element((ns.MUC_ADMIN, "query"))
    if role is not None:
        _listRole(room, sender, Role.parse(role), answer)
        return answer
    assert affiliation is not None
    return _listAffiliation(room, sender, Affiliation.parse(affiliation), rsm.parse(query), limit, answer)


def _listRole(room: Room, sender: JID, role: Role, answer: Element) -> None:
    occupant = room.occupantByRealJID(sender.full)
    own = room.affiliations.get(sender)
    moderator = occupant is not None and occupant.role is Role.MODERATOR
    if own < Affiliation.ADMIN and (not moderator or role is Role.MODERATOR):
        raise StanzaError("forbidden")
    if role is Role.NONE:
        raise StanzaError("bad-request", text="Every occupant of a room has a role.")
    for other in room.occupants.values():
        if other.role is role:
            answer.add(
                "item", nick=other.nick, role=role.xmlName, affiliation=other.affiliation.xmlName, jid=other.primary.jid
            )


def _listAffiliation(
    room: Room, sender: JID, affiliation: Affiliation, page: rsm.PageRequest | None, limit: int, answer: Element
) -> Element | Deferred[Element]:
    if affiliation is Affiliation.NONE:
        raise StanzaError("bad-request", text="Users without an affiliation are not listed.")
    if not _maySeeList(room, sender, affiliation):
        raise StanzaError("forbidden")
    keys = room.affiliations.keys(affiliation)
    if page is None:
        if len(keys) > limit:
            text = f"This list has {len(keys)} entries; request it in pages (XEP-0059)."
            raise StanzaError("resource-constraint", text=text)
        done = room.slices.run(_addItems(room, affiliation, list(keys), answer))
        return after(done, lambda: answer)
    index = _firstIndex(page, keys)
    found = keys[index : index + _pageSize(page)]
    for _ in _addItems(room, affiliation, found, answer):
        pass
    first, last = (found[0], found[-1]) if found else (None, None)
    answer.children.append(rsm.render(first, last, index, len(keys)))
    return answer


def _pageSize(page: rsm.PageRequest) -> int:
    return PAGE_LIMIT if page.limit is None else min(page.limit, PAGE_LIMIT)


def _firstIndex(page: rsm.PageRequest, keys: Sequence[str]) -> int:
    """The number of keys before a page. Those that the request names need not exist any more, since keys are sorted."""
    if page.before is not None:
        return max(0, (bisect_left(keys, page.before) if page.before else len(keys)) - _pageSize(page))
    return bisect_right(keys, page.after) if page.after is not None else page.index or 0


def _addItems(room: Room, affiliation: Affiliation, keys: Sequence[str], answer: Element) -> Steps:
    """Add the items for some keys. Who has lost the affiliation meanwhile is left out."""
    for first in range(0, len(keys), _STEP):
        step = keys[first : first + _STEP]
        yield len(step)
        parts = []
        for jid in step:
            entry = room.affiliations.entry(jid)
            if affiliationOf(entry) is affiliation and entry is not None:
                nick = "" if entry.nick is None else f" nick='{escapeAttribute(entry.nick)}'"
                head = f"<item affiliation='{entry.affiliation}' jid='{escapeAttribute(jid)}'{nick}"
                reason = f"><reason>{escapeText(entry.reason)}</reason></item>" if entry.reason else "/>"
                parts.append(head + reason)
        answer.children.append(SerializedXML("".join(parts)))


def _maySeeList(room: Room, sender: JID, affiliation: Affiliation) -> bool:
    """
    Outcasts: admins (§9.2). Members: admins, and in a non-anonymous room members and occupants (§9.5) of the roles that
    the configuration allows; for members outside it is the role that they would have. Owners and admins: owners, and in
    a non-anonymous room members and occupants (§10.5, §10.8).
    """
    own = room.affiliations.get(sender)
    if own is Affiliation.OWNER or (own is Affiliation.ADMIN and affiliation <= Affiliation.MEMBER):
        return True
    if affiliation is Affiliation.OUTCAST or not room.settings.nonAnonymous:
        return False
    occupant = room.occupantByRealJID(sender.full)
    if occupant is None and own < Affiliation.MEMBER:
        return False
    role = initialRole(own, room.settings.moderated) if occupant is None else occupant.role
    return affiliation is not Affiliation.MEMBER or role.xmlName in room.settings.memberListRoles


def visibleLists(room: Room, sender: JID) -> frozenset[Affiliation]:
    """The affiliations whose lists a sender may see."""
    return frozenset(each for each in Affiliation if each is not Affiliation.NONE and _maySeeList(room, sender, each))
