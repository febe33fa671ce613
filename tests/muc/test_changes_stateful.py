# Copyright (c) The muccore authors. See LICENSE for details.
"""
Random senders change one room at the same time, while its store is slow and fails: the outcome is that of the same
requests one after the other.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp.rendering import Rendered
from tests.muc.muchelpers import (
    ROOM,
    affiliation,
    configure,
    join,
    register,
    role,
    sendAdmin,
    sendIQ,
    sendOwner,
    summary,
)

USERS = ("owner", "second", "mod", "ann", "bob", "cat")
RULE = settings(max_examples=60, database=None, suppress_health_check=list(HealthCheck))

Request = tuple[str, str, Any]

user = st.sampled_from(USERS)
whom = st.sampled_from((*(f"{each}@localhost" for each in USERS), "absent@localhost", "localhost"))
word = st.sampled_from(("outcast", "none", "member", "admin", "owner"))
nick = st.sampled_from(("N1", "n1", "N2", "Ann"))

requests = st.one_of(
    st.tuples(user, st.just("affiliation"), st.lists(st.tuples(whom, word, st.none() | nick), min_size=1, max_size=2)),
    st.tuples(user, st.just("role"), st.tuples(user, st.sampled_from(("none", "visitor", "participant", "moderator")))),
    st.tuples(user, st.just("register"), st.none() | nick),
    st.tuples(user, st.just("subject"), st.sampled_from(("a", "b", "c"))),
    st.tuples(user, st.just("configure"), st.sampled_from(({"membersonly": True}, {"membersonly": False},
        {"moderatedroom": True}, {"moderatedroom": False}, {"changesubject": False}, {"changesubject": True},
        {"roomowners": ["second@localhost"]}))),
    st.tuples(user, st.just("vcard"), st.sampled_from(("x", "y"))),
    st.tuples(user, st.just("destroy"), st.none()),
)  # fmt: skip
common = st.one_of(requests, requests, requests).filter(lambda each: each[1] != "destroy" or each[0] == "owner")
steps = st.lists(st.one_of(common, common, common, st.sampled_from(("release", "fail"))), min_size=4, max_size=25)


def send(client: Client, kind: str, what: Any, id: str) -> None:
    """Send a request."""
    if kind == "affiliation":
        sendAdmin(client, *(affiliation(jid, wanted, nick=reserved) for jid, wanted, reserved in what), id=id)
    elif kind == "role":
        sendAdmin(client, role(what[0].capitalize(), what[1]), id=id)
    elif kind == "register":
        register(client, what, id=id)
    elif kind == "subject":
        client.sends(f"<message type='groupchat' to='{ROOM}' id='{id}'><subject>{what}</subject></message>")
    elif kind == "configure":
        configure(client, id=id, **what)
    elif kind == "vcard":
        sendIQ(client, "set", f"<vCard xmlns='vcard-temp'><FN>{what}</FN></vCard>", id=id)
    else:
        sendOwner(client, "<destroy/>", id=id)


class Side:
    """
    A server with a room, and those who are in it.

    @ivar answers: what came of each request that was answered, in the order of the answers.
    """

    def __init__(self, store: Any) -> None:
        self.server = InMemoryServer(store)
        self.answers: list[tuple[str, str]] = []
        self.clients: dict[str, Client] = {}
        for name in USERS:
            self.clients[name] = client = self.server.client(f"{name}@localhost/a")
            client.send = partial(self.receive, name)  # type: ignore[method-assign]
            join(client, name.capitalize())
            if name == "owner":
                configure(client, persistentroom=True, changesubject=True, moderatedroom=False)
        privileged = (("second", "owner"), ("mod", "admin"))
        sendAdmin(self.clients["owner"], *(affiliation(f"{name}@localhost", wanted) for name, wanted in privileged))

    def receive(self, name: str, stanza: Rendered, to: bytes) -> None:
        """Note the answer to a request. That to a change of the subject is the message itself."""
        element = stanza.elementTo(to)
        id, own = element.get("id") or "", f"{ROOM}/{name.capitalize()}"
        isAnswer = element.name == "iq" or element.get("type") == "error" or element.get("from") == own
        if id.startswith("#") and isAnswer:
            self.answers.append((id, re.sub("#[0-9]+", "", summary(element))))

    def room(self) -> tuple[Any, ...] | None:
        """The room in memory, and as it is stored."""
        room = self.server.muc.rooms.live.get(ROOM)
        inner = getattr(self.server.store, "inner", self.server.store)
        stored: list[Any] = []
        getattr(inner, "inner", inner).load(ROOM).addCallback(stored.append)
        if room is None:
            return None if stored == [None] else ("stored",)
        record = room.record()
        assert stored == [record], (stored, record)
        occupants = sorted((each.nick, each.role, each.affiliation) for each in room.occupants.values())
        settings = {key: value for key, value in record.settings.items() if not key.startswith("extension")}
        subject = None if record.subject is None else (record.subject.text, record.subject.author)
        vcard = record.states.get("vcard")
        return dict(record.affiliates), settings, subject, occupants, vcard


class ConcurrentChangesTests(SynchronousTestCase):
    """What random senders do to one room at the same time."""

    def run_(self, script: list[Any]) -> tuple[Side, list[Request], list[tuple[str, str]]]:
        """Let the script happen; return the server, the requests, and how each was answered, in order."""
        failing = FailingRoomStore()
        store = DelayedRoomStore(failing)
        store.holding = frozenset()
        side = Side(store)
        store.holding = WRITES
        sent: list[Request] = []

        def release() -> None:
            if store.held:
                store.release(1)
                failing.failing = frozenset()

        for step in script:
            if step == "release":
                release()
            elif step == "fail":
                failing.failing = WRITES
                release()
            else:
                send(side.clients[step[0]], step[1], step[2], f"#{len(sent)}")
                sent.append(step)
        while store.held:
            release()
        side.server.clock.advance(0)
        return side, sent, side.answers

    @RULE
    @given(steps)
    def test_sequential(self, script: list[Any]) -> None:
        """
        Every request is answered once, those of a sender in order. One after the other in the order of the answers,
        they are answered alike, and the room ends up the same. What the store has refused has no part in that.
        """
        side, sent, answers = self.run_(script)
        ids = [id for id, _ in answers]
        self.assertEqual(len(ids), len(set(ids)), answers)
        for name in USERS:
            own = [int(id[1:]) for id in ids if sent[int(id[1:])][0] == name]
            self.assertEqual(own, sorted(own))
        self.assertEqual(len(ids), len(sent), (script, answers))
        alone = Side(None)
        for id, outcome in answers:
            if "internal-server-error" in outcome:
                continue
            name, kind, what = sent[int(id[1:])]
            send(alone.clients[name], kind, what, id)
            self.assertEqual(alone.answers[-1:], [(id, outcome)], (script, answers))
        self.assertEqual(alone.room(), side.room(), (script, answers))
