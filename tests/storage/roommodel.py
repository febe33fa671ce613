# Copyright (c) The muccore authors. See LICENSE for details.
"""Random requests for rooms, whose results are compared with those of L{MemoryRooms}."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

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
from muccore.storage.memory import MemoryRooms
from muccore.storage.rows.roomrows import RoomRows
from muccore.storage.rows.tombstones import loadTombstone

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_room = st.sampled_from(["a@x", "b@x", "ä@x", "c@y", "\U0001f600@x"])
_affiliate = st.builds(Affiliate, st.sampled_from(["owner", "member", "none"]), st.none() | _text, st.none() | _text)
_subject = st.builds(Subject, _text, _text, st.floats(0, 2**40), st.none() | _text, _text)
_settings = st.dictionaries(_text, _text | st.integers() | st.booleans() | st.lists(_text, max_size=2), max_size=3)
_jid = st.sampled_from(["a@z", "ä@z", "z", "o'\"\\b@z", "\U0001f600@z"]) | _text.filter(bool)
_value = _text | st.integers()
_extension = st.sampled_from(["hats", "ä"])
_tag = st.sampled_from(["", "de", "de-CH", "DE-at", "en"])
_domain = st.sampled_from(["x", "y"])
_rooms = st.permutations(["a@x", "b@x", "ä@x", "c@y", "\U0001f600@x"])
_search = st.builds(
    RoomSearch,
    st.lists(_text.filter(bool), max_size=2),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    _tag,
    st.none() | _rooms,
    st.lists(_room),
)
_edge = st.none() | _room
_tombstone = st.builds(
    Tombstone,
    st.integers(0, 9).map(float),
    st.integers(0, 9).map(float),
    st.none() | _text,
    st.none() | _text,
    st.booleans(),
    st.dictionaries(_jid, st.sampled_from(["owner", "member"]), max_size=2),
)
CALLS = st.one_of(
    st.tuples(st.just("load"), _room),
    st.tuples(
        st.just("save"),
        _room,
        st.builds(
            RoomRecord,
            _settings,
            st.dictionaries(_jid, _affiliate, max_size=4),
            st.none() | _subject,
            _text,
            st.booleans(),
            st.booleans(),
            st.dictionaries(_extension, st.dictionaries(_jid, _value, min_size=1, max_size=2), max_size=2),
            _text,
            _tag,
        ),
    ),
    st.tuples(
        st.just("change"),
        _room,
        st.builds(
            RoomChange,
            st.dictionaries(_jid, st.none() | _affiliate, max_size=4),
            st.none() | _settings,
            _text,
            st.booleans(),
            st.booleans(),
            st.none() | _subject,
            st.dictionaries(st.tuples(_extension, _jid), st.none() | _value, max_size=2),
            _text,
            _tag,
        ),
    ),
    st.tuples(st.just("destroy"), _room),
    st.tuples(st.just("destroy"), _room, _tombstone),
    st.tuples(st.just("tombstone"), _room),
    st.tuples(st.just("searchRooms"), _domain, _search, _edge, st.just("") | _edge, st.integers(0, 3)),
    st.tuples(
        st.just("affiliatedRooms"),
        _domain,
        _jid,
        st.lists(st.sampled_from(["owner", "member", "none"]), unique=True),
        st.none() | _room,
        st.none() | st.just("") | _room,
        st.integers(0, 3),
    ),
    st.tuples(
        st.just("publicRooms"),
        st.sampled_from(["x", "y"]),
        st.none() | _room,
        st.none() | st.just("") | _room,
        st.integers(0, 3),
    ),
    st.tuples(st.just("temporaryRooms"), st.sampled_from(["x", "y"])),
)


def _atOnce(connection: Any, dialect: RoomRows, name: str, *arguments: Any) -> Any:
    """Do what rooms as rows do in their thread."""
    if name in ("save", "change"):
        room, what = arguments
        settings = None if what.settings is None else json.dumps(what.settings)
        if name == "save":
            states = [(name, key, json.dumps(rows[key])) for name, rows in what.states.items() for key in rows]
            return dialect.save(connection, room, what, settings, what.affiliates, states)
        states = [(*key, None if value is None else json.dumps(value)) for key, value in what.states.items()]
        return dialect.change(connection, room, what, settings, what.affiliates, states)
    functions = {
        "load": dialect.load,
        "destroy": dialect.destroy,
        "publicRooms": dialect.publicRooms,
        "temporaryRooms": dialect.temporaryRooms,
        "searchRooms": dialect.searchRooms,
        "affiliatedRooms": dialect.affiliatedRooms,
        "tombstone": loadTombstone,
    }
    return functions[name](connection, *arguments)


def compare(case: SynchronousTestCase, connection: Any, dialect: RoomRows, calls: Sequence[tuple[Any, ...]]) -> None:
    """Check that an empty database and a store in memory give the same results, and have the same rooms afterwards."""
    model = MemoryRooms()
    model.open()
    loads = [("load", name) for name in ("a@x", "b@x", "ä@x", "c@y", "\U0001f600@x")]
    for name, *arguments in [*calls, *loads]:
        expected = getattr(model, name)(*arguments)
        try:
            found = _atOnce(connection, dialect, name, *arguments)
        except StoreError:
            case.failureResultOf(expected, StoreError)
            continue
        wanted = case.successResultOf(expected)
        if isinstance(found, (AffiliatedRooms, FoundRooms, PublicRooms)):
            found, wanted = ((list(p.rooms), p.index, p.count) for p in (found, wanted))
        case.assertEqual(found, wanted)
