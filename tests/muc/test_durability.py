# Copyright (c) The muccore authors. See LICENSE for details.
"""
A crowd, a room, and a store that takes its time, fails, and is cut off: whatever happens, what is stored, what holds in
the room and what people have heard is the same.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import Element
from muccore.interfaces import RoomRecord
from muccore.muc.affiliations import Affiliations
from muccore.muc.rooms import Rooms
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from muccore.testing.stage import Client, Stage
from tests.muc.theatre import NAME, admin, affiliation, brief, configure, join, leave, owner, register, role, say
from tests.muc.theatre import setSubject as changeSubject

PEOPLE = ["romeo", "juliet", "nurse", "tybalt"]

WORDS = ["outcast", "none", "member", "admin", "owner"]

person = st.sampled_from(PEOPLE)

ruler = st.sampled_from(["romeo", "romeo", "juliet"])

word = st.sampled_from(WORDS)

seldom = st.sampled_from([False, False, False, True])


class Listener:
    """
    A session, and the room as it must look to one who believes what he hears.

    @ivar inside: whether it has heard that it is in.
    @ivar seen: affiliation and role by nick.
    @ivar asked: the ids of its requests that are not answered yet, in order.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.inside = False
        self.seen: dict[str, tuple[str, str]] = {}
        self.asked: list[str] = []

    def listen(self) -> list[str]:
        """
        Believe what was heard.

        @return: the ids of the requests that succeeded.
        """
        done = []
        for stanza in self.client.hears():
            if stanza.name == "presence" and stanza.get("type") != "error":
                self._presence(stanza)
            elif stanza.name == "iq" and stanza.get("id") in self.asked:
                # One sender's requests are answered in the order in which he has sent them.
                assert stanza.get("id") == self.asked.pop(0), brief(stanza)
                if stanza.get("type") == "result":
                    done.append(stanza.attributes["id"])
        return done

    def _presence(self, presence: Element) -> None:
        nick = presence.attributes["from"].partition("/")[2]
        x = presence.child("x", ns.MUC_USER)
        assert x is not None
        item = x.child("item")
        assert item is not None
        own = any(child.get("code") == "110" for child in x.childElements() if child.name == "status")
        if presence.get("type") == "unavailable":
            if own and not self.inside:
                return
            assert nick in self.seen, f"{nick} was not there"
            del self.seen[nick]
            if own:
                self.inside = False
                self.seen.clear()
        else:
            self.seen[nick] = (item.attributes["affiliation"], item.attributes["role"])
            self.inside = self.inside or own


class Crowd(RuleBasedStateMachine):
    """
    What people, the store and the clock can do. One write at the most reaches the store in one step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failing = FailingRoomStore()
        self.number = 0
        self.wanted: dict[str, tuple[str, str]] = {}
        self.begin()

    def begin(self) -> None:
        """
        Start the server over what is stored.
        """
        self.store = DelayedRoomStore(self.failing)
        self.store.holding = WRITES | {"load"}
        self.stage = Stage(self.store, grace=60, lockTimeout=60, idleRooms=1)
        self.people = {name: Listener(self.stage.client(f"{name}@localhost/a")) for name in PEOPLE}

    @property
    def rooms(self) -> Rooms:
        """
        The rooms.
        """
        return self.stage.muc.rooms

    def record(self) -> RoomRecord | None:
        """
        The room as it is stored.
        """
        found: list[RoomRecord | None] = []
        self.failing.inner.load(NAME).addCallback(found.append)
        return found[0]

    def ask(self, name: str) -> str:
        """
        The id of a new request.
        """
        self.number += 1
        id = str(self.number)
        self.people[name].asked.append(id)
        return id

    # What people do

    @initialize(persistent=st.booleans(), membersOnly=st.booleans())
    def opened(self, persistent: bool, membersOnly: bool) -> None:
        """
        There is a room to begin with.
        """
        client = self.people["romeo"].client
        join(client, "romeo")
        self.store.release()
        configure(client, persistentroom=persistent, membersonly=membersOnly)
        self.store.release()
        admin(client, *(affiliation(f"{name}@localhost", "member") for name in PEOPLE[1:]))
        self.store.release()
        for name in PEOPLE[1:]:
            self.joins(name)

    @rule(name=person)
    def joins(self, name: str) -> None:
        """
        Somebody enters, creates the room, or gets its presences once more.
        """
        join(self.people[name].client, name)

    @rule(name=person)
    def leaves(self, name: str) -> None:
        """
        Somebody leaves.
        """
        leave(self.people[name].client, name)

    @rule(name=person, lost=st.booleans())
    def replaced(self, name: str, lost: bool) -> None:
        """
        Somebody logs in again under his full JID, with his connection lost or not.
        """
        if lost:
            self.people[name].client.vanishes()
        self.people[name] = Listener(self.stage.client(f"{name}@localhost/a"))

    @rule(name=person)
    def speaks(self, name: str) -> None:
        """
        Somebody speaks.
        """
        say(self.people[name].client, "Hello")

    @rule(name=person, text=st.sampled_from(["Love", "Death", ""]))
    def changesSubject(self, name: str, text: str) -> None:
        """
        Somebody changes the subject.
        """
        changeSubject(self.people[name].client, text)

    @rule(name=ruler, whom=person, word=word)
    def affiliates(self, name: str, whom: str, word: str) -> None:
        """
        Somebody gives an affiliation.
        """
        id = self.ask(name)
        self.wanted[id] = (f"{whom}@localhost", word)
        admin(self.people[name].client, affiliation(f"{whom}@localhost", word), id=id)

    @rule(name=ruler, first=person, second=person, words=st.tuples(word, word))
    def affiliatesTwo(self, name: str, first: str, second: str, words: tuple[str, str]) -> None:
        """
        Somebody gives several.
        """
        items = [affiliation(f"{first}@localhost", words[0]), affiliation(f"{second}@localhost", words[1])]
        id = self.ask(name)
        self.wanted[id] = (f"{second}@localhost", words[1])
        admin(self.people[name].client, *items, affiliation("localhost", "none"), id=id)

    @rule(name=ruler, word=st.sampled_from(["outcast", "none", "member"]))
    def affiliatesDomain(self, name: str, word: str) -> None:
        """
        Somebody gives an affiliation to the whole domain.
        """
        admin(self.people[name].client, affiliation("localhost", word), id=self.ask(name))

    @rule(name=ruler, whom=person, word=st.sampled_from(["none", "visitor", "moderator"]))
    def givesRole(self, name: str, whom: str, word: str) -> None:
        """
        Somebody gives a role.
        """
        admin(self.people[name].client, role(whom, word), id=self.ask(name))

    @rule(
        name=ruler,
        fields=st.fixed_dictionaries(
            {},
            optional={
                "membersonly": st.booleans(),
                "persistentroom": st.booleans(),
                "moderatedroom": st.booleans(),
                "roomname": st.sampled_from(["Orchard", "Tomb"]),
                "whois": st.sampled_from(["anyone", "moderators"]),
                "roomowners": st.lists(st.sampled_from([f"{name}@localhost" for name in PEOPLE]), max_size=3),
            },
        ),
    )
    def configures(self, name: str, fields: dict[str, object]) -> None:
        """
        Somebody configures the room.
        """
        configure(self.people[name].client, id=self.ask(name), **fields)

    @rule(name=person, nick=st.sampled_from([*PEOPLE, None, None]))
    def registers(self, name: str, nick: str | None) -> None:
        """
        Somebody registers, or unregisters.
        """
        register(self.people[name].client, nick, id=self.ask(name))

    @rule(name=ruler, really=seldom)
    def destroys(self, name: str, really: bool) -> None:
        """
        Somebody destroys the room.
        """
        if really:
            owner(self.people[name].client, "<destroy/>", id=self.ask(name))

    @rule(name=person)
    def lists(self, name: str) -> None:
        """
        Somebody asks for what needs no change.
        """
        admin(self.people[name].client, "<item affiliation='member'/>", type="get", id=self.ask(name))

    # What the world does

    @precondition(lambda self: self.store.held)
    @rule(failures=st.lists(st.sampled_from([False, False, False, True]), min_size=1, max_size=5))
    def answers(self, failures: list[bool]) -> None:
        """
        The store has done one thing after another, or failed to.
        """
        for fails in failures:
            if self.store.held:
                self.failing.failing = WRITES | {"load"} if fails else frozenset()
                self.store.release(1)
                self.failing.failing = frozenset()
                self.agreed()

    @precondition(lambda self: self.store.held)
    @rule()
    def settles(self) -> None:
        """
        The store has done everything.
        """
        while self.store.held:
            self.store.release(1)
            self.agreed()

    @rule(seconds=st.sampled_from([1, 61]))
    def waits(self, seconds: int) -> None:
        """
        Time goes by.
        """
        self.stage.clock.advance(seconds)

    @rule(really=seldom)
    def killed(self, really: bool) -> None:
        """
        The server is killed and started again: what is on its way to the store never arrives.
        """
        if really:
            self.begin()

    # What always holds

    @invariant()
    def agreed(self) -> None:
        """
        The store has what holds in the room, and everybody in the room has heard exactly that; what was answered with
        success is stored.
        """
        record = self.record()
        for listener in self.people.values():
            for id in listener.listen():
                if id in self.wanted:
                    jid, word = self.wanted.pop(id)
                    self.isStored(record, jid, word)
        room = self.rooms.live.get(NAME)
        if room is not None and not room.locked:
            assert record == room.record(), (record, room.record())
            assert any(entry.affiliation == "owner" for entry in room.record().affiliates.values())
        truth = {}
        if room is not None:
            truth = {o.nick: (o.affiliation.word, o.role.word) for o in room.occupants.values()}
            listed = Affiliations(room.record().affiliates)
            assert all(listed.of(o.account) is o.affiliation for o in room.occupants.values())
            if room.settings.membersOnly and not room.locked:
                assert all(affiliation != "none" for affiliation, _ in truth.values())
        for name, listener in self.people.items():
            seated = room is not None and f"{name}@localhost/a" in room.seats
            if listener.inside:
                assert seated and listener.seen == truth, (name, listener.seen, truth)
            elif seated:
                # The old session's leave waits at the gate, and nobody else has taken its seat.
                assert room is not None and room.gate.closed, name

    def isStored(self, record: RoomRecord | None, jid: str, word: str) -> None:
        """
        An affiliation that was answered for is stored: but for a room that is locked, or has ended at once.
        """
        room = self.rooms.live.get(NAME)
        if record is not None and room is not None and not room.locked:
            entry = record.affiliates.get(jid)
            assert (entry.affiliation if entry is not None else "none") == word, (jid, word, record)

    def teardown(self) -> None:
        """
        When the store has done everything, everything is answered and nothing waits any more.
        """
        while self.store.held:
            self.store.release(1)
            self.agreed()
        assert all(not listener.asked for listener in self.people.values())
        assert all(not room.gate.closed for room in self.rooms.live.values())
        for listener in self.people.values():
            listener.client.vanishes()
        while self.store.held:
            self.store.release(1)
        record = self.record()
        if record is not None and record.temporary:
            # Only one that nobody has entered since the last start may wait for its people.
            self.stage.clock.advance(61)
            self.store.release()
            assert self.record() is None or self.failedToForget, record

    @property
    def failedToForget(self) -> bool:
        """
        Whether the store has refused to forget a room, which then is there until it is asked for.
        """
        return ("destroy", NAME) in self.store.calls


class DurabilityTests(SynchronousTestCase):
    """
    The crowd at work.
    """

    def test_crowd(self) -> None:
        """
        After every step the store, the room and what people have heard say the same.
        """
        run_state_machine_as_test(Crowd, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
