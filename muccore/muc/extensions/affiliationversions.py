# -*- test-case-name: tests.muc.extensions.test_affiliationversions -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Versions of a room's lists of affiliations (XEP-0463). A client that enters with the last version that it has seen gets
what has changed since, before any presence.

The number of a version is that of all changes until then. For each version, a row has the affiliations that it changed
as they were before, so that the difference to the present lists is exact. Rows for the last L{LOG_LIMIT} changes are
kept; who is further behind gets whole lists.

A version is a number, followed by the HMAC of the number and of the lists that the user may see. So nobody can use one
that they were never told, or that stood for other lists than those that they may see now: it is unknown. Only who asks
is sent versions, and only while they may see the same lists as when they entered: what they have cached is not complete
after that.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any, Final
from weakref import WeakKeyDictionary

from muccore.interfaces import Affiliate
from muccore.muc.model.affiliations import affiliationOf
from muccore.muc.model.extension import AffiliationStamps, RoomExtension
from muccore.muc.model.joinrequest import JoinRequest
from muccore.muc.model.occupant import OccupantSession
from muccore.muc.model.privileges import AFFILIATIONS, Affiliation
from muccore.muc.model.room import Room
from muccore.muc.protocol.admin import visibleLists
from muccore.xmpp import ns
from muccore.xmpp.element import stanza
from muccore.xmpp.errors import StanzaError, errorElement
from muccore.xmpp.jid import parse
from muccore.xmpp.rendering import Rendered, escapeAttribute
from muccore.xmpp.specs import Spec

LOG_LIMIT: Final = 1000
"""Changes of a room that are kept."""

ITEMS: Final = 500
"""The maximum of items in one message."""

_KEY_BYTES: Final = 16
_DIGITS: Final = 12

Lists = frozenset[Affiliation]


class AffiliationVersions(RoomExtension):
    """The extension."""

    name = "affiliation-version"
    implements = (Spec(463, "MUC Affiliations Versioning", "0.2.0"),)
    features = (ns.MUC_AFFILIATIONS,)

    def __init__(self) -> None:
        self._asked: WeakKeyDictionary[Room, dict[str, Lists]] = WeakKeyDictionary()
        self._drawn: WeakKeyDictionary[Room, tuple[int, str]] = WeakKeyDictionary()
        self._wholeLists: WeakKeyDictionary[Room, tuple[str, list[Rendered]]] = WeakKeyDictionary()

    def newState(self) -> str:
        """Make the key of a room, in hexadecimal."""
        return secrets.token_hex(_KEY_BYTES)

    def loading(self, room: Room) -> None:
        """Put the rows into order: stores keep none."""
        if self.name in room.states:
            room.states[self.name] = dict(sorted(room.states[self.name].items()))

    # The log

    def _log(self, room: Room) -> dict[str, list[tuple[str, str]]]:
        return room.states.get(self.name, {})

    def _number(self, room: Room) -> int:
        """The number of the present version, of which the last row is."""
        return int(next(reversed(self._log(room)), "0"))

    def affiliationRows(self, room: Room, changes: Mapping[str, Affiliate | None]) -> Mapping[str, Any]:
        """Make the row of a new version, if affiliations change, and remove those that would be too many."""
        olds = ((jid, affiliationOf(room.affiliations.entry(jid)), entry) for jid, entry in changes.items())
        changed = [[jid, old.xmlName] for jid, old, entry in olds if affiliationOf(entry) is not old]
        if not changed:
            return {}
        number, dropped = self._number(room), ""
        if room.changeQueue.changing and room in self._drawn:
            # Others are on their way to the store. Should it refuse one, the gap makes clients ask for whole lists.
            drawn, dropped = self._drawn[room]
            number = max(number, drawn)
        number += len(changed)
        # More than can be kept leaves an empty row, for the number.
        rows: dict[str, Any] = {_rowKey(number): changed if len(changed) <= LOG_LIMIT else []}
        oldest = _rowKey(max(number - LOG_LIMIT, 0))
        self._drawn[room] = number, oldest
        rows.update((key, None) for key in takewhile(lambda key: key <= oldest, self._log(room)) if key > dropped)
        return rows

    def _changesSince(self, room: Room, number: int, lists: Lists) -> list[tuple[str, str]]:
        """What has changed since a version, as those see it who may see some lists; nothing if it is not known."""
        before: dict[str, str] = {}
        reached = self._number(room)
        for key, entries in reversed(self._log(room).items()):
            if int(key) <= number:
                break
            reached = int(key) - len(entries)
            before.update(entries)
        if reached != number:
            return []
        found = []
        for jid, old in before.items():
            new = affiliationOf(room.affiliations.entry(jid))
            if new in lists:
                found.append((jid, new.xmlName))
            elif AFFILIATIONS[old] in lists:
                found.append((jid, Affiliation.NONE.xmlName))
        return found

    def _version(self, room: Room, number: int, lists: Lists) -> str:
        key = bytes.fromhex(room.settings.extensions[self.name])
        of = " ".join([str(number), *sorted(each.xmlName for each in lists)])
        return f"{number}-{hmac.digest(key, of.encode(), 'sha256')[:9].hex()}"

    def _numberOf(self, room: Room, version: str, lists: Lists) -> int | None:
        """The number of a version that a client has sent; C{None} if it was not made here for these lists."""
        digits = version.partition("-")[0]
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS):
            return None
        made = self._version(room, int(digits), lists)
        return int(digits) if hmac.compare_digest(version.encode(), made.encode()) else None

    # Entering

    def greet(self, room: Room, session: OccupantSession, request: JoinRequest) -> None:
        """Send who asks for it what has changed since the version that they know, or whole lists."""
        asked = self._asked.setdefault(room, {})
        asked.pop(session.jid, None)
        x = None if request.presence is None else request.presence.child("x", ns.MUC)
        wanted = None if x is None else x.child("mav", ns.MUC_AFFILIATIONS)
        if wanted is None:
            return
        lists = visibleLists(room, parse(session.jid))
        if not lists:
            self._refuse(room, session, request)
            return
        asked[session.jid] = lists
        for message in self._answer(room, wanted.get("since"), lists):
            session.deliver(message, session.to)

    def _refuse(self, room: Room, session: OccupantSession, request: JoinRequest) -> None:
        message = stanza("message", "error", from_=room.jid.bare, id=request.id)
        message.children.append(errorElement(StanzaError("forbidden"), room.jid.bare))
        session.deliver(Rendered.of(message), session.to)

    def _answer(self, room: Room, since: str | None, lists: Lists) -> list[Rendered]:
        current = self._version(room, self._number(room), lists)
        if since == current:
            return []
        known = self._numberOf(room, since or "", lists)
        # A difference is not empty; if nothing is left of the changes, whole lists are sent as well.
        changes = [] if known is None else self._changesSince(room, known, lists)
        if changes:
            return _messages(room, changes, since, current)
        cached = self._wholeLists.get(room)
        if cached is None or cached[0] != current:
            entries = room.affiliations.entries().items()
            shown = {each.xmlName for each in lists}
            items = [(jid, entry.affiliation) for jid, entry in entries if entry.affiliation in shown]
            cached = self._wholeLists[room] = current, _messages(room, items, None, current)
        return cached[1]

    def stampEntry(self, room: Room, session: OccupantSession) -> bytes:
        """Tell who has asked for it the present version."""
        lists = self._asked.get(room, {}).get(session.jid)
        return b"" if lists is None else _mav(None, self._version(room, self._number(room), lists)).encode()

    def left(self, room: Room, session: OccupantSession) -> None:
        """Forget a session."""
        self._asked.get(room, {}).pop(session.jid, None)

    # Changes

    def stampAffiliations(self, room: Room, keys: Sequence[str]) -> AffiliationStamps | None:
        """
        Make a chain of versions from the last one to the present one, so that a client notices if it misses an
        announcement. Those in between are not kept.
        """
        asked = self._asked.get(room)
        if not asked:
            return None
        groups = {jid: lists for jid, lists in asked.items() if visibleLists(room, parse(jid)) == lists}
        self._asked[room] = groups
        number = self._number(room)
        stamps = {}
        for lists in set(groups.values()):
            last = self._version(room, number - len(keys), lists)
            between = [f"{last}.{each}" for each in range(1, len(keys))]
            versions = pairwise([last, *between, self._version(room, number, lists)])
            for key, (since, until) in zip(keys, versions, strict=True):
                stamps[key, lists] = _mav(since, until).encode()
        return AffiliationStamps(groups, stamps)


def _rowKey(number: int) -> str:
    """The key of a row; keys have the order of the numbers."""
    return f"{number:0{_DIGITS}}"


def _mav(since: str | None, until: str) -> str:
    known = "" if since is None else f" since='{escapeAttribute(since)}'"
    return f"<mav xmlns='{ns.MUC_AFFILIATIONS}'{known} until='{until}'/>"


def _messages(room: Room, items: Sequence[tuple[str, str]], since: str | None, until: str) -> list[Rendered]:
    """Make the messages with some items: one at least, which continue each other."""
    pages = [items[first : first + ITEMS] for first in range(0, len(items), ITEMS)] or [items]
    between = [f"{until}.{each}" for each in range(1, len(pages))]
    head = f" from='{escapeAttribute(room.jid.bare)}'><x xmlns='{ns.MUC_USER}'>"
    made = []
    for page, (start, end) in zip(pages, pairwise([since, *between, until]), strict=True):
        # At once, since it is most of the work; no bare JID has spaces.
        jids = escapeAttribute(" ".join([jid for jid, _ in page])).split(" ")
        pairs = zip(jids, page, strict=False)
        rendered = "".join([f"<item jid='{jid}' affiliation='{word}'/>" for jid, (_, word) in pairs])
        made.append(Rendered(b"<message", f"{head}{_mav(start, str(end))}{rendered}</x></message>".encode()))
    return made
