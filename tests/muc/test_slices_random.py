# Copyright (c) The muccore authors. See LICENSE for details.
"""
Random acts while earlier ones are being committed or done in slices: in the end, what each client has received adds up
to the state of the room, and each request has one answer, in order.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muccore.net import slices
from muccore.testing.doubles import WRITES, DelayedRoomStore
from muccore.testing.inmemory import Client
from tests.muc.muchelpers import (
    ROOM,
    MUCTestCase,
    affiliation,
    codesOf,
    configure,
    itemOf,
    join,
    leave,
    register,
    role,
    say,
    sendAdmin,
    sendPresence,
    setSubject,
)
from tests.turns import turn

USERS = tuple(f"u{number}@localhost" for number in range(6))
CLIENTS = tuple(f"{user}/{resource}" for user in USERS for resource in "ab")
NICKS = tuple(f"N{number}" for number in range(8))
AFFILIATIONS = ("none", "member", "admin", "outcast")
ROLES = ("none", "visitor", "participant", "moderator")
SHOWN = ("moderator", "participant", "visitor")

WHOLE = slices.SLICE

Step = Callable[["RandomTests"], None]


def several(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """Some of a few values."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=4, unique=True)


client, nick = st.sampled_from(CLIENTS), st.sampled_from(NICKS)
act: st.SearchStrategy[Step] = st.one_of(
    st.builds(lambda who, nick: lambda test: join(test.by[who], nick), client, nick),
    st.builds(lambda who, nick: lambda test: join(test.by[who], nick), client, nick),
    st.builds(lambda who, nick: lambda test: leave(test.by[who], nick), client, nick),
    st.builds(lambda who, nick: lambda test: sendPresence(test.by[who], nick), client, nick),
    st.builds(lambda who: lambda test: say(test.by[who], "text"), client),
    st.builds(lambda who: lambda test: setSubject(test.by[who], "text"), client),
    st.builds(lambda: lambda test: join(test.owner, "Owner")),
    st.builds(
        lambda who, nicks, new: lambda test: test.change(who, *(role(each, new) for each in nicks)),
        st.none() | client, several(NICKS), st.sampled_from(ROLES),
    ),
    st.builds(
        lambda who, users, new: lambda test: test.change(who, *(affiliation(each, new) for each in users)),
        st.none() | client, several(USERS), st.sampled_from(AFFILIATIONS),
    ),
    st.builds(
        lambda new: lambda test: test.change(None, affiliation("localhost", new)), st.sampled_from(AFFILIATIONS)
    ),
    st.builds(
        lambda closed, moderated: lambda test: test.configure(membersonly=closed, moderatedroom=moderated),
        st.booleans(), st.booleans(),
    ),
    st.builds(lambda shown: lambda test: test.configure(presencebroadcast=shown), several(SHOWN)),
    st.builds(lambda who, nick: lambda test: register(test.by[who], nick, id=test.newId(who)), client, nick),
    st.builds(lambda count: lambda test: test.turns(count), st.integers(1, 3)),
    st.builds(lambda count: lambda test: test.turns(count), st.integers(1, 3)),
    st.just(lambda test: test.store.release()),
)  # fmt: skip


class RandomTests(MUCTestCase):
    """An owner, six users with two clients each, and a store that answers when it is told to."""

    def begin(self, slice: int) -> None:
        """Start the server; from then on, slices have a size."""
        self.patch(slices, "SLICE", WHOLE)
        self.store = DelayedRoomStore()
        self.store.holding = frozenset()
        self.startServer(self.store)
        self.owner = self.client("owner")
        self.createRoom(self.owner, persistentroom=True)
        self.patch(slices, "SLICE", slice)
        self.store.holding = WRITES
        self.by = {address: self.client(address) for address in CLIENTS}
        self.by[self.owner.address] = self.owner
        self.seen: dict[str, dict[str, tuple[str | None, str | None]]] = {address: {} for address in self.by}
        self.seen[self.owner.address]["Owner"] = ("owner", "moderator")
        self.asked: dict[str, list[str]] = {address: [] for address in self.by}
        self.answered: dict[str, list[str | None]] = {address: [] for address in self.by}

    def newId(self, address: str) -> str:
        """Note a request; return its id."""
        ids = self.asked[address]
        ids.append(f"q{len(ids)}")
        return ids[-1]

    def change(self, address: str | None, *items: str) -> None:
        """Change privileges; C{None}: by the owner."""
        actor: Client = self.owner if address is None else self.by[address]
        sendAdmin(actor, *items, id=self.newId(actor.address))

    def configure(self, **fields: object) -> None:
        """Configure the room."""
        configure(self.owner, id=self.newId(self.owner.address), **{"persistentroom": True, **fields})

    def turns(self, count: int) -> None:
        """Let some turns pass, with pauses."""
        for _ in range(count):
            turn(self.server.clock, slices.PAUSE)

    def receive(self) -> None:
        """Note what all have received."""
        for address, client in self.by.items():
            for stanza in client.received():
                self.assertNotIn("internal-server-error", stanza.toXml())
                if stanza.name == "iq":
                    self.answered[address].append(stanza.get("id"))
                elif stanza.name == "presence" and stanza.get("type") != "error":
                    nick = stanza.attributes["from"].partition("/")[2]
                    seen, codes, item = self.seen[address], codesOf(stanza), itemOf(stanza)
                    if stanza.get("type") != "unavailable":
                        seen[nick] = item.get("affiliation"), item.get("role")
                    elif 110 in codes and 303 not in codes:
                        seen.clear()
                    else:
                        seen.pop(nick, None)

    @settings(max_examples=100, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from((5, 30, 60)), st.lists(act, min_size=30, max_size=60))
    def test_inFlight(self, slice: int, steps: list[Step]) -> None:
        """Whatever is in flight together ends as it should."""
        self.begin(slice)
        for step in steps:
            step(self)
            self.receive()
        rooms = self.server.muc.rooms
        while self.store.held or rooms.slices.isBusy or rooms.pacedSlices.isBusy:
            self.store.release()
            self.turns(1)
        self.receive()
        room = self.room(ROOM)
        for address, seen in self.seen.items():
            session = room.sessions.get(address)
            visible = {}
            for each in room.occupants.values() if session is not None else ():
                if each.shown or address in each.sessions:
                    visible[each.nick] = each.affiliation.xmlName, each.role.xmlName
            self.assertEqual(seen, visible, address)
        self.assertEqual(self.answered, self.asked)
        self.assertFalse(room.changeQueue.changing or room.entering)
        self.assertEqual(self.flushLoggedErrors(), [])
