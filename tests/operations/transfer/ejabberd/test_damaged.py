# Copyright (c) The muccore authors. See LICENSE for details.
"""Damaged tables of ejabberd: whatever terms rows have, what can come does, and the rest is a problem."""

from __future__ import annotations

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.operations.transfer.ejabberd.archives import archiveItem, preferencesOf
from muccore.operations.transfer.ejabberd.rooms import RoomReader
from muccore.operations.transfer.ejabberd.terms import Atom, Term
from muccore.operations.transfer.pieces import DataError
from muccore.xmpp.jid import InvalidJID, parse

_OPTIONS = tuple(map(Atom, (
    "title", "description", "lang", "pubsub", "public", "moderated", "members_by_default", "password_protected", "x",
    "password", "anonymous", "max_users", "presence_broadcast", "allow_private_messages", "allowpm", "affiliations",
    "vcard", "hats_users", "subject", "subject_author", "subscribers", "allow_private_messages_from_visitors",
)))  # fmt: skip
_SCALARS: tuple[Term, ...] = (
    Atom("true"), Atom("false"), Atom("undefined"), Atom("member"), Atom("groupchat"), Atom("xmlel"), Atom("jid"), 0,
    -1, 2**70, 1.5, b"", b"a", b"message", b"\xff", b"\x00", b"x y", b"c.lit", b"urn:hat",
    b"<vCard xmlns='vcard-temp'/>",
)  # fmt: skip


def _term(source: random.Random, depth: int = 0) -> Term:
    kind = source.random()
    if depth < 4 and kind < 0.35:
        return tuple(_term(source, depth + 1) for _ in range(source.randrange(5)))
    if depth < 4 and kind < 0.6:
        return [_term(source, depth + 1) for _ in range(source.randrange(3))]
    if kind < 0.65:
        return (b"romeo", b"montague.lit", b"")
    return source.choice(_SCALARS)


class DamagedTests(SynchronousTestCase):
    """Rows with any terms."""

    @settings(max_examples=150)
    @given(st.integers(0))
    def test_room(self, seed: int) -> None:
        """A room comes with what can be understood."""
        source = random.Random(seed)
        options: list[Term] = [(source.choice(_OPTIONS), _term(source)) for _ in range(12)]
        options.append((Atom("persistent"), Atom("true")))
        reader = RoomReader({("c.lit", "romeo@montague.lit"): "Romeo"}, 0)
        room = reader.record((Atom("muc_room"), (b"r", b"c.lit"), options))
        assert room is not None
        repr((room.settings, room.affiliates, room.subject, room.states)).encode()
        self.assertTrue(all(str(each).isprintable() for each in reader.problems))

    @settings(max_examples=150)
    @given(st.integers(0))
    def test_rows(self, seed: int) -> None:
        """A row of another table is understood, or refused."""
        source = random.Random(seed)
        time: Term = (1, 2, 3) if source.random() < 0.7 else _term(source)
        packet: Term = (Atom("xmlel"), b"message", [(b"type", b"groupchat"), _term(source)][: source.randrange(3)], [])
        packet = packet if source.random() < 0.7 else _term(source)
        row = (Atom("archive_msg"), _term(source), b"1", time, *(_term(source) for _ in range(2)), packet)
        for read in (
            lambda: archiveItem((*row, _term(source), _term(source)), parse("romeo@montague.lit")),
            lambda: archiveItem((*row, b"Romeo", Atom("groupchat")), parse("r@c.lit")),
            lambda: preferencesOf(tuple(_term(source) for _ in range(5))),
            lambda: preferencesOf((Atom("x"), (b"a", b"x"), Atom("roster"), [_term(source)], [])),
        ):
            with contextlib.suppress(DataError, InvalidJID):
                read()
