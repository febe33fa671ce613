# -*- test-case-name: tests.storage -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""The statements of rooms: what databases have in common, and what each brings (design/0032)."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Final

from muccore.interfaces import (
    Affiliate,
    AffiliatedRooms,
    FoundRooms,
    PublicRooms,
    RoomChange,
    RoomRecord,
    RoomSearch,
    StoreError,
    Subject,
    Tombstone,
)
from muccore.storage.folding import fold
from muccore.storage.rows.batching import RowConnection
from muccore.storage.rows.tombstones import replaceTombstone

COUNTED: Final = 10_000
"""Rooms that are counted to find the place of a page among them, from the one end or the other; more are not."""


class RoomRows(ABC):
    """
    Reads and writes the rows of rooms, in a transaction of the caller.

    @cvar isPublic: the condition of public rooms, as their indexes have it.
    @cvar isTemporary: that of temporary rooms.
    @cvar publicSource: the table of rooms, where public ones are listed.
    @cvar publicCount: the statement that counts the public rooms of a domain, its parameter; no row stands for none.
    @cvar searchSource: that table, where public rooms are searched.
    @cvar affiliateSource: the table of entries of lists, where those of a user are found.
    @cvar rankedSource: the texts of a parameter of L{listed}, in their order, as C{ranked}, with the column C{value}.
    @cvar rankedPosition: their places, from 0.
    @cvar among: the condition that what precedes is one of the texts of a parameter of L{listed}.
    @cvar position: for C{str.format}: where a text has another, from 1; 0: it does not.
    """

    isPublic: ClassVar[str]
    isTemporary: ClassVar[str]
    publicSource: ClassVar[str]
    publicCount: ClassVar[str]
    searchSource: ClassVar[str]
    affiliateSource: ClassVar[str]
    rankedSource: ClassVar[str]
    rankedPosition: ClassVar[str]
    among: ClassVar[str]
    position: ClassVar[str]

    @abstractmethod
    def listed(self, values: Collection[str]) -> Any:
        """The parameter for several texts."""

    @abstractmethod
    def loadAffiliates(self, connection: RowConnection, identifier: int) -> dict[str, Affiliate]:
        """Read the list of a room, sorted by code points."""

    @abstractmethod
    def loadStates(self, connection: RowConnection, identifier: int) -> dict[str, dict[str, Any]]:
        """Read what extensions keep of a room."""

    @abstractmethod
    def putAffiliates(self, connection: RowConnection, identifier: int, affiliates: Mapping[str, Affiliate]) -> None:
        """Write entries of the list of a room."""

    @abstractmethod
    def preferences(self, connection: RowConnection, name: str) -> dict[str, Any]:
        """Read what users have chosen; see L{IRoomStore.preferences}."""

    # Common to all

    def load(self, connection: RowConnection, room: str) -> RoomRecord | None:
        """Read a room; see L{IRoomStore.load}."""
        row = connection.execute(
            "SELECT id, name, public, temporary, description, language, creator, size, settings,"
            " subject_text, subject_nick, subject_stamp, subject_language, subject_author FROM room WHERE jid = ?",
            (room,),
        ).fetchone()
        if row is None:
            return None
        identifier, name, public, temporary, description, language, creator, size, settings, text, *subject = row
        return RoomRecord(
            settings=json.loads(settings),
            affiliates=self.loadAffiliates(connection, identifier),
            subject=None if text is None else Subject(text, *subject),
            name=name,
            public=bool(public),
            temporary=bool(temporary),
            states=self.loadStates(connection, identifier),
            description=description,
            language=language,
            creator=creator,
            size=size,
        )

    def save(
        self,
        connection: RowConnection,
        room: str,
        record: RoomRecord,
        settings: str,
        affiliates: Mapping[str, Affiliate],
        states: Iterable[tuple[str, str, str | None]] = (),
    ) -> None:
        """Write a whole room; see L{IRoomStore.save}."""
        self.destroy(connection, room)
        connection.execute(
            "INSERT INTO room (jid, domain, name, public, temporary, settings, creator, size)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                room, room.rpartition("@")[2], record.name, record.public, record.temporary, settings, record.creator,
                record.size,
            ),
        )  # fmt: skip
        (identifier,) = connection.execute("SELECT id FROM room WHERE jid = ?", (room,)).fetchone()
        _setTexts(connection, identifier, room, record)
        if record.subject is not None:
            _setSubject(connection, identifier, record.subject)
        self.putAffiliates(connection, identifier, affiliates)
        _putStates(connection, identifier, states)

    def change(
        self,
        connection: RowConnection,
        room: str,
        change: RoomChange,
        settings: str | None,
        affiliates: Mapping[str, Affiliate | None],
        states: Iterable[tuple[str, str, str | None]] = (),
    ) -> None:
        """Change a stored room; see L{IRoomStore.change}."""
        row = connection.execute("SELECT id FROM room WHERE jid = ?", (room,)).fetchone()
        if row is None:
            raise StoreError(f"the room {room} is not stored")
        (identifier,) = row
        if settings is not None:
            connection.execute(
                "UPDATE room SET name = ?, public = ?, temporary = ?, settings = ? WHERE id = ?",
                (change.name, change.public, change.temporary, settings, identifier),
            )
            _setTexts(connection, identifier, room, change)
        if change.subject is not None:
            _setSubject(connection, identifier, change.subject)
        if change.growth:
            connection.execute("UPDATE room SET size = size + ? WHERE id = ?", (change.growth, identifier))
        _putStates(connection, identifier, states)
        gone = [jid for jid, affiliate in affiliates.items() if affiliate is None]
        if gone:
            self.deleteAffiliates(connection, identifier, gone)
        self.putAffiliates(connection, identifier, {jid: kept for jid, kept in affiliates.items() if kept is not None})

    def destroy(self, connection: RowConnection, room: str, tombstone: Tombstone | None = None) -> None:
        """Delete a room; see L{IRoomStore.destroy}."""
        connection.execute("DELETE FROM room WHERE jid = ?", (room,))
        replaceTombstone(connection, room, tombstone)

    def deleteAffiliates(self, connection: RowConnection, identifier: int, jids: Collection[str]) -> None:
        """Delete entries of the list of a room."""
        connection.execute(
            f"DELETE FROM affiliate WHERE room = ? AND jid {self.among}", (identifier, self.listed(jids))
        )

    def publicRooms(
        self, connection: RowConnection, domain: str, after: str | None, before: str | None, limit: int
    ) -> PublicRooms:
        """List a page of the public rooms; see L{IRoomStore.publicRooms}."""
        listed = f"{self.publicSource} WHERE domain = ? AND {self.isPublic}"
        condition, order = "", ""
        bounds: tuple[str, ...] = (domain,)
        if after is not None:
            condition, bounds = " AND jid > ?", (domain, after)
        elif before is not None:
            order = " DESC"
            if before:
                condition, bounds = " AND jid < ?", (domain, before)
        rooms = connection.execute(
            f"SELECT jid, name FROM {listed}{condition} ORDER BY jid{order} LIMIT ?", (*bounds, limit)
        ).fetchall()
        if order:
            rooms.reverse()
        found = connection.execute(self.publicCount, (domain,)).fetchone()
        count = 0 if found is None else int(found[0])
        index: int | None = 0
        if rooms:
            index = self._countSome(connection, f"{listed} AND jid < ?", (domain, rooms[0][0]))
            if index is None:
                # From the other end.
                following = self._countSome(connection, f"{listed} AND jid >= ?", (domain, rooms[0][0]))
                index = None if following is None else count - following
        return PublicRooms(rooms, index, count)

    def _countSome(self, connection: RowConnection, source: str, bounds: tuple[Any, ...]) -> int | None:
        """Count rows; C{None} if there are more than L{COUNTED}."""
        (found,) = connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM {source} LIMIT ?) AS counted", (*bounds, COUNTED + 1)
        ).fetchone()
        return int(found) if found <= COUNTED else None

    def temporaryRooms(self, connection: RowConnection, domain: str) -> list[str]:
        """List the temporary rooms; see L{IRoomStore.temporaryRooms}."""
        rows = connection.execute(
            f"SELECT jid FROM room WHERE domain = ? AND {self.isTemporary} ORDER BY jid", (domain,)
        )
        return [jid for (jid,) in rows]

    def searchRooms(
        self,
        connection: RowConnection,
        domain: str,
        search: RoomSearch,
        after: str | None,
        before: str | None,
        limit: int,
    ) -> FoundRooms:
        """List a page of the public rooms that a search finds; see L{IRoomStore.searchRooms}."""
        condition, bounds = self._condition(domain, search)
        first: Any
        last: Any
        if search.among is None:
            source, position, first, last = self.searchSource, "jid", after, before
        else:
            source, position = f"{self.rankedSource} CROSS JOIN {self.searchSource}", self.rankedPosition
            condition += " AND jid = ranked.value"
            first, last = after and search.among.index(after), before and search.among.index(before)
            bounds = (self.listed(search.among), *bounds)
        source = f"{source} WHERE {condition}"
        rows, index, count = _page(connection, source, bounds, position, "settings", first, last, limit)
        return FoundRooms([(jid, json.loads(settings)) for jid, settings in rows], index, count)

    def _condition(self, domain: str, search: RoomSearch) -> tuple[str, tuple[Any, ...]]:
        """The condition that rooms fulfil, and its parameters."""
        conditions = ["domain = ?", self.isPublic]
        bounds: list[Any] = [domain]
        columns = ((search.inAddress, "jid"), (search.inName, "name"), (search.inDescription, "description"))
        searched = [f"folded_{name}" for wanted, name in columns if wanted]
        for term in search.terms:
            conditions.append(f"({' OR '.join(self.position.format(name) + ' > 0' for name in searched) or 'false'})")
            bounds += [fold(term)] * len(searched)
        if search.language:
            conditions.append(self.position.format("lower(language) || '-'") + " = 1")
            bounds.append(f"{search.language.lower()}-")
        if search.without:
            conditions.append(f"NOT jid {self.among}")
            bounds.append(self.listed(search.without))
        return " AND ".join(conditions), tuple(bounds)

    def affiliatedRooms(
        self,
        connection: RowConnection,
        domain: str,
        user: str,
        affiliations: Collection[str],
        after: str | None,
        before: str | None,
        limit: int,
    ) -> AffiliatedRooms:
        """List a page of the rooms in which a user has an affiliation; see L{IRoomStore.affiliatedRooms}."""
        source = (
            f"{self.affiliateSource} CROSS JOIN room"
            f" WHERE room.id = affiliate.room AND affiliate.jid = ? AND affiliation {self.among} AND domain = ?"
        )
        bounds = (user, self.listed(affiliations), domain)
        return AffiliatedRooms(
            *_page(connection, source, bounds, "room.jid", "name, affiliation", after, before, limit)
        )

    def usage(self, connection: RowConnection, domain: str) -> dict[str, tuple[int, int]]:
        """Count rooms; see L{IRoomStore.usage}."""
        rows = connection.execute(
            "SELECT creator, count(*), sum(size) FROM room WHERE domain = ? GROUP BY creator", (domain,)
        )
        return {creator: (count, int(size)) for creator, count, size in rows}


def _setSubject(connection: RowConnection, identifier: int, subject: Subject) -> None:
    connection.execute(
        "UPDATE room SET subject_text = ?, subject_nick = ?, subject_stamp = ?, subject_language = ?,"
        " subject_author = ? WHERE id = ?",
        (subject.text, subject.nick, subject.stamp, subject.language, subject.author, identifier),
    )


def _putStates(connection: RowConnection, identifier: int, states: Iterable[tuple[str, str, str | None]]) -> None:
    for name, key, value in states:
        if value is None:
            connection.execute(
                "DELETE FROM extension_state WHERE room = ? AND extension = ? AND key = ?", (identifier, name, key)
            )
        else:
            connection.execute(
                "INSERT INTO extension_state VALUES (?, ?, ?, ?)"
                " ON CONFLICT (room, extension, key) DO UPDATE SET value = excluded.value",
                (identifier, name, key, value),
            )


def _setTexts(connection: RowConnection, identifier: int, jid: str, texts: RoomRecord | RoomChange) -> None:
    """Set the texts of a stored room by which it is found."""
    name, description, language = texts.name, texts.description, texts.language
    connection.execute(
        "UPDATE room SET description = ?, language = ?, folded_jid = ?, folded_name = ?, folded_description = ?"
        " WHERE id = ?",
        (description, language, fold(jid), fold(name), fold(description), identifier),
    )


def _page(
    connection: RowConnection,
    source: str,
    bounds: tuple[Any, ...],
    position: str,
    columns: str,
    after: Any,
    before: Any,
    limit: int,
) -> tuple[list[tuple[Any, ...]], int, int]:
    """
    Read a page of rooms.

    @param source: what follows C{FROM}, with a condition.
    @param position: the column by which they are sorted.
    @param columns: what is read of each, besides its bare JID.
    @return: the rows, the number of rooms before them, and of all.
    """
    edge, order = "", ""
    limits: tuple[Any, ...] = ()
    if after is not None:
        edge, limits = f" AND {position} > ?", (after,)
    elif before is not None:
        order = " DESC"
        if before != "":
            edge, limits = f" AND {position} < ?", (before,)
    rows = connection.execute(
        f"SELECT {position}, room.jid, {columns} FROM {source}{edge} ORDER BY {position}{order} LIMIT ?",
        (*bounds, *limits, limit),
    ).fetchall()
    if order:
        rows.reverse()
    if after is None and before is None and len(rows) < limit:
        # They are all, and need not be counted.
        return [row[1:] for row in rows], 0, len(rows)
    first = rows[0][0] if rows else None
    index, count = connection.execute(
        f"SELECT count(*) FILTER (WHERE {position} < ?), count(*) FROM {source}", (first, *bounds)
    ).fetchone()
    return [row[1:] for row in rows], index, count
