# Copyright (c) The muccore authors. See LICENSE for details.
"""Damaged data of Prosody: whatever values the files have, what can come does, and the rest is a problem."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.prosody.luadata import LuaTable, LuaValue
from muccore.operations.transfer.prosody.source import ProsodySource
from muccore.operations.transfer.records import Messages, Room, User
from muccore.xmpp.rendering import render
from tests.operations.transfer.prosody.datafolder import WrittenFolder
from tests.operations.transfer.prosody.luawriter import LuaWriter

_NAMES = (
    "name", "attr", "xmlns", "from", "to", "type", "stamp", "when", "key", "with", "password", "stored_key", "salt",
    "server_key", "iteration_count", "subscription", "ask", "groups", "pending", "default", "lists", "items", "jid",
    "_affiliations", "_affiliation_data", "hidden", "description", "history_length", "presence_broadcast", "b.lit",
    "archiving", "subject", "subject_from", "subject_time", "reserved_nickname", "hats", "active", "title", "@", "a@x",
    "urn:y",
)  # fmt: skip
_SCALARS: Sequence[LuaValue] = (
    "message", "presence", "vCard", "groupchat", "jabber:client", "r@c.lit/x", "member", "owner", "deny", "x y", "",
    "é", "\x00", "\udcff", "00" * 20, True, False, 0, -1, 17, 2**62, 1e300, float("inf"), float("nan"), -0.5,
)  # fmt: skip
_STORES = ("accounts", "roster", "private", "vcard", "blocklist", "privacy", "archive_prefs", "pep")
_LISTS = ("offline", "archive", "pep_urn:xmpp:vcard4", "pep_urn:xmpp:avatar:metadata", "pep_urn:xmpp:bookmarks:1")


def _value(source: random.Random, depth: int = 0) -> LuaValue:
    if depth < 4 and source.random() < 0.6:
        return _table(source, depth)
    return source.choice(_SCALARS)


def _table(source: random.Random, depth: int = 0) -> LuaTable:
    """A table, often one that stands for an element."""
    made = LuaTable([_value(source, depth + 1) for _ in range(source.randrange(3))])
    for _ in range(source.randrange(8)):
        made.named[source.choice(_NAMES)] = _value(source, depth + 1)
    if source.random() < 0.4:
        made.named["name"] = source.choice(("message", "vCard", "x"))
        attributes = {source.choice(_NAMES): source.choice(_SCALARS) for _ in range(3)}
        made.named["attr"] = LuaTable(named=attributes)
    if source.random() < 0.3:
        made.flags[source.random() < 0.8] = _value(source, depth + 1)
    return made


class DamagedTests(SynchronousTestCase):
    """An account and a room with any values."""

    def read(self, files: Mapping[str, Sequence[LuaValue]]) -> None:
        """Write files, read all records, and use what is in them."""
        folder = WrittenFolder(self)
        for name, values in files.items():
            texts = [LuaWriter(number).write(value) for number, value in enumerate(values)]
            items = b"".join(b"item(" + text + b");\n" for text in texts)
            folder.put(name, items if os.path.splitext(name)[1] == ".list" else texts[0])
        for record in ProsodySource(folder.path).records():
            if isinstance(record, User):
                for element in (*record.private, *(each.message for each in record.offline)):
                    render(element)
                for item in record.roster.values():
                    repr((item.name, item.groups)).encode()
            elif isinstance(record, Room):
                repr((record.settings, record.subject, record.affiliates, record.states)).encode()
            elif isinstance(record, Messages):
                self.assertTrue(all(item.id and item.stanza.tail for item in record.items))
            else:
                self.assertTrue(str(record).isprintable())
        shutil.rmtree(folder.path)

    @settings(max_examples=30)
    @given(st.integers(0))
    def test_account(self, seed: int) -> None:
        """Nothing in the files of an account stops the others."""
        source = random.Random(seed)
        files: dict[str, Sequence[LuaValue]] = {f"a.lit/{name}/romeo.dat": [_table(source)] for name in _STORES}
        files |= {f"a.lit/{name}/romeo.list": [_value(source) for _ in range(3)] for name in _LISTS}
        if source.random() < 0.5:
            files["a.lit/accounts/romeo.dat"] = [LuaTable(named={"password": "x"})]
        if source.random() < 0.5:
            del files["a.lit/blocklist/romeo.dat"], files["a.lit/vcard/romeo.dat"]
        self.read(files)

    @settings(max_examples=30)
    @given(st.integers(0))
    def test_room(self, seed: int) -> None:
        """Nothing in the files of a room does."""
        source = random.Random(seed)
        room, data = _table(source), _table(source)
        data.named["persistent"] = True
        room.named["_data"] = data
        self.read({
            "c.lit/config/r.dat": [room], "c.lit/vcard_muc/r.dat": [_table(source)],
            "c.lit/muc_log/r.list": [_value(source) for _ in range(3)], "c.lit/config/s.dat": [_table(source)],
            "c.lit/state/s.dat": [_table(source)],
        })  # fmt: skip
