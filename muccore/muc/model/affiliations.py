# -*- test-case-name: tests.muc.model.test_affiliations -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""A room's list of affiliations and reserved nicks, in memory."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from muccore.interfaces import Affiliate
from muccore.muc.model.lookalikes import LookalikeIndex
from muccore.muc.model.nicks import comparisonForm
from muccore.muc.model.privileges import AFFILIATIONS, Affiliation
from muccore.net.slices import Steps
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID

LIMIT: Final = 200_000
"""Maximum number of entries of a room, all of which are in memory with it."""

_SPARE: Final = 20_000
"""Entries of a list that is nearly full."""

_FEW: Final = 100
"""Changes that are made one by one in sorted lists; for more, these are made anew."""

_CHUNK: Final = 100
"""Entries that are added in one step."""

_ENTRY, _NICK, _SORTED = 1, 15, 50
"""The cost of an entry without and with a nick, and how many sorted ones cost as much as one."""

_NONE: Final = Affiliation.NONE.xmlName

Changes = Mapping[str, Affiliate | None]


def affiliationOf(entry: Affiliate | None) -> Affiliation:
    """The affiliation in an entry; C{NONE} without an entry."""
    return AFFILIATIONS[entry.affiliation] if entry is not None else Affiliation.NONE


_WORDS: Final = tuple(AFFILIATIONS)
_PLAIN: Final = {word: Affiliate(word) for word in _WORDS}
"""The entries without nick and reason, of which long lists have most: one object for all of a kind."""

_ERRORS: Final = "surrogatepass"
_LENGTH: Final = 3
_HEAD: Final = 2 + _LENGTH
"""A packed entry begins with the affiliation, whether there is a nick, and the length of that."""

_Entry = Affiliate | bytes


def _pack(entry: Affiliate) -> _Entry:
    """
    An entry as it is kept in memory. With a reason that is UTF-8: Python's text takes up to four times as much, and
    reasons are needed for lists only.
    """
    if not entry.reason:
        return entry if entry.nick is not None or entry.reason is not None else _PLAIN[entry.affiliation]
    nick = b"" if entry.nick is None else entry.nick.encode("utf-8", _ERRORS)
    head = bytes((_WORDS.index(entry.affiliation), entry.nick is not None)) + len(nick).to_bytes(_LENGTH, "big")
    return b"".join((head, nick, entry.reason.encode("utf-8", _ERRORS)))


def _unpack(entry: _Entry) -> Affiliate:
    """The entry that L{_pack} has packed."""
    if isinstance(entry, Affiliate):
        return entry
    end = _HEAD + int.from_bytes(entry[2:_HEAD], "big")
    nick = entry[_HEAD:end].decode("utf-8", _ERRORS) if entry[1] else None
    return Affiliate(_WORDS[entry[0]], nick, entry[end:].decode("utf-8", _ERRORS))


def _wordOf(entry: _Entry) -> str:
    return entry.affiliation if isinstance(entry, Affiliate) else _WORDS[entry[0]]


class Affiliations:
    """
    The affiliations of a room. Keys are bare JIDs, or domains: the entry of a domain applies to all its users without
    an entry of their own (XEP-0045 §9.2).

    @ivar lookalikes: the reserved nicks by what they look like.
    """

    __slots__ = ("_entries", "_keys", "_nicks", "lookalikes")

    def __init__(self, entries: Mapping[str, Affiliate]) -> None:
        self._entries: dict[str, _Entry] = {}
        self._nicks: dict[str, str] = {}
        # The keys with each affiliation, sorted.
        self._keys: dict[str, list[str]] = {}
        self.lookalikes = LookalikeIndex()
        for _ in self.fill(entries):
            pass

    def update(self, changes: Changes) -> None:
        """Apply changes; C{None} removes an entry."""
        entries, nicks = self._entries, self._nicks
        self._updateKeys(changes)
        for jid in changes:
            packed = entries.pop(jid, None)
            nick = None if packed is None else _unpack(packed).nick
            if nick is not None:
                nicks.pop(comparisonForm(nick), None)
                self.lookalikes.remove(nick, jid)
        for jid, entry in changes.items():
            if entry is not None:
                self._put(jid, entry)

    def _put(self, jid: str, entry: Affiliate) -> None:
        """Add an entry to everything but the sorted keys."""
        self._entries[jid] = _pack(entry)
        if entry.nick is not None:
            self._nicks[comparisonForm(entry.nick)] = jid
            self.lookalikes.add(entry.nick, jid)

    def fill(self, entries: Mapping[str, Affiliate]) -> Steps:
        """Fill an empty list, in steps (L{muccore.net.slices}); it is of no use before that is done."""
        items = iter(entries.items())
        while chunk := list(islice(items, _CHUNK)):
            yield sum([_ENTRY if entry.nick is None else _NICK for _, entry in chunk])
            for jid, entry in chunk:
                self._keys.setdefault(entry.affiliation, []).append(jid)
                self._put(jid, entry)
        for keys in self._keys.values():
            # Stores have sorted them, or nearly so.
            yield len(keys) // _SORTED
            keys.sort()

    def _updateKeys(self, changes: Changes) -> None:
        """Apply changes to the sorted keys, before they are applied to the entries."""
        added: dict[str, list[str]] = {}
        removed: dict[str, list[str]] = {}
        for jid, entry in changes.items():
            packed = self._entries.get(jid)
            old = None if packed is None else _wordOf(packed)
            new = None if entry is None else entry.affiliation
            if new is not None and new != old:
                added.setdefault(new, []).append(jid)
            if old is not None and new != old:
                removed.setdefault(old, []).append(jid)
        for word, gone in removed.items():
            keys = self._keys[word]
            if len(gone) > _FEW:
                without = set(gone)
                keys[:] = [key for key in keys if key not in without]
            else:
                for jid in gone:
                    del keys[bisect_left(keys, jid)]
        for word, come in added.items():
            keys = self._keys.setdefault(word, [])
            if len(come) > _FEW:
                keys += come
                keys.sort()
            else:
                for jid in come:
                    insort(keys, jid)

    def keys(self, affiliation: Affiliation) -> Sequence[str]:
        """The keys of all entries with an affiliation, sorted; not to be changed."""
        return self._keys.get(affiliation.xmlName, ())

    def get(self, jid: JID) -> Affiliation:
        """The affiliation of a user: from their own entry, otherwise from their domain's, otherwise none."""
        entry = self._entries.get(jid.bare if self.hasExplicit(jid.bare) else jid.domain)
        return Affiliation.NONE if entry is None else AFFILIATIONS[_wordOf(entry)]

    def hasExplicit(self, bare: str) -> bool:
        """Whether a user's own entry decides, not that of their domain. One that only reserves a nick does not."""
        entry = self._entries.get(bare)
        return entry is not None and _wordOf(entry) != _NONE

    def entry(self, key: str) -> Affiliate | None:
        """The entry of exactly this bare JID or domain."""
        entry = self._entries.get(key)
        return None if entry is None else _unpack(entry)

    def reservedNick(self, bare: str) -> str | None:
        """The nick that is reserved for a user, or C{None}."""
        entry = self._entries.get(bare)
        return _unpack(entry).nick if entry is not None else None

    def reservedBy(self, nick: str) -> str | None:
        """The bare JID for which a nick is reserved in any spelling, or C{None}."""
        return self._nicks.get(comparisonForm(nick))

    def registered(self) -> Iterator[str]:
        """The bare JIDs of those who have a reserved nick."""
        return iter(self._nicks.values())

    def withAffiliation(self, affiliation: Affiliation) -> Iterator[tuple[str, Affiliate]]:
        """All entries with an affiliation, sorted by key."""
        entries = self._entries
        return ((jid, _unpack(entries[jid])) for jid in self.keys(affiliation))

    def hasOwnerAfter(self, changes: Changes) -> bool:
        """Whether there is an owner after some changes."""
        owner = Affiliation.OWNER.xmlName
        if any(entry is not None and entry.affiliation == owner for entry in changes.values()):
            return True
        return any(jid not in changes for jid, _ in self.withAffiliation(Affiliation.OWNER))

    def isNearlyFull(self) -> bool:
        """Whether changes that are being committed might leave no place for another one."""
        return len(self._entries) > LIMIT - _SPARE

    def checkSize(self, changes: Changes) -> None:
        """@raise StanzaError: C{resource-constraint} if changes exceed L{LIMIT}."""
        added = sum(entry is not None and jid not in self._entries for jid, entry in changes.items())
        if added and len(self._entries) + added > LIMIT:
            raise StanzaError("resource-constraint", text="The room's list of affiliations is full.")

    def entries(self) -> Mapping[str, Affiliate]:
        """A copy of all entries."""
        return {jid: _unpack(entry) for jid, entry in self._entries.items()}
