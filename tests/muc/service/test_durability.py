# Copyright (c) The muccore authors. See LICENSE for details.
"""
Users of a room, and a store that is slow, fails, and is cut off: what is stored, the state of the room and what
occupants have received agree.
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

from muccore.interfaces import RoomRecord
from muccore.muc.model.affiliations import Affiliations
from muccore.muc.model.room import Room
from muccore.muc.service.rooms import Rooms
from muccore.storage.memory import MemoryOccupants
from muccore.testing.doubles import WRITES, DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp.element import Element
from tests.muc.muchelpers import (
    ROOM,
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
    sendOwner,
    setSubject,
    summary,
)

USERS = ["romeo", "juliet", "nurse", "tybalt"]

WORDS = ["outcast", "none", "member", "admin", "owner"]

user = st.sampled_from(USERS)

powerful = st.sampled_from(["romeo", "romeo", "juliet"])

word = st.sampled_from(WORDS)

seldom = st.sampled_from([False, False, False, True])


class SessionView:
    """
    A session, and the room as it must look by what the session has received.

    @ivar inside: whether it has received that it is in.
    @ivar seen: affiliation and role by nick.
    @ivar asked: the ids of its unanswered requests, in order.
    @ivar joining: whether it has sent a join that was not answered yet.
    @ivar killed: whether it has not been inside since the server was killed.
    @ivar remembered: what was C{seen} when the server was killed, for clients that act as if they were still inside.
    """

    def __init__(self, client: Client, earlier: SessionView | None = None) -> None:
        """@param earlier: the view of the same session before the server was killed."""
        self.client = client
        self.joining = False
        self.killed = earlier is not None
        self.remembered: dict[str, tuple[str, str]] | None = None
        if earlier is not None:
            self.remembered = earlier.seen if earlier.inside else earlier.remembered
        self.inside = False
        self.seen: dict[str, tuple[str, str]] = {}
        self.asked: list[str] = []

    def receive(self) -> list[str]:
        """
        Update the view.

        @return: the ids of the requests that had a result.
        """
        done = []
        stanzas = self.client.received()
        told = any(each.name != "iq" and each.get("type") not in ("error", "unavailable") for each in stanzas)
        if told and self.killed and self.remembered is not None and not self.joining:
            self.believe()
        for stanza in stanzas:
            if stanza.name == "presence" and (stanza.get("type") == "error" or 110 in codesOf(stanza)):
                self.joining = False
            if stanza.name == "presence" and stanza.get("type") != "error":
                self._presence(stanza)
            elif stanza.name == "iq" and stanza.get("id") in self.asked:
                # The requests of one sender are answered in order.
                assert stanza.get("id") == self.asked.pop(0), summary(stanza)
                if stanza.get("type") == "result":
                    done.append(stanza.attributes["id"])
        return done

    def believe(self) -> None:
        """Go on as if the server had not been killed."""
        assert self.remembered is not None
        self.seen, self.inside, self.killed = self.remembered, True, False

    def _presence(self, presence: Element) -> None:
        nick = presence.attributes["from"].partition("/")[2]
        item, own = itemOf(presence), 110 in codesOf(presence)
        if presence.get("type") == "unavailable":
            if own and not self.inside:
                # It has left the place that it had before the server was killed.
                self.remembered = None
                return
            if self.killed and not self.inside and nick not in self.seen:
                # It took its place back, and remembers nothing or has joined as well since.
                if self.remembered is not None:
                    self.remembered.pop(nick, None)
                return
            assert nick in self.seen, f"{nick} was not there"
            del self.seen[nick]
            if own:
                self.inside = False
                self.seen.clear()
        else:
            self.seen[nick] = (item.attributes["affiliation"], item.attributes["role"])
            self.inside = self.inside or own
            self.killed = self.killed and not own


class StoreMachine(RuleBasedStateMachine):
    """What users, the store and the clock can do. At most one write reaches the store in a step."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = FailingRoomStore()
        self.occupants = MemoryOccupants()
        self.number = 0
        self.wanted: dict[str, tuple[str, str]] = {}
        self.sessions: dict[str, SessionView] = {}
        self.begin()

    def begin(self) -> None:
        """Start the server on what is stored."""
        self.store = DelayedRoomStore(self.failing)
        self.store.holding = WRITES | {"load"}
        self.server = InMemoryServer(
            self.store, occupants=self.occupants, grace=60, occupantGrace=30, lockTimeout=60, idleRooms=1
        )
        old = self.sessions
        self.sessions = {name: SessionView(self.server.client(f"{name}@localhost/a"), old.get(name)) for name in USERS}

    @property
    def rooms(self) -> Rooms:
        """The rooms."""
        return self.server.muc.rooms

    def record(self) -> RoomRecord | None:
        """The room as it is stored."""
        found: list[RoomRecord | None] = []
        self.failing.inner.load(ROOM).addCallback(found.append)
        return found[0]

    def ask(self, name: str) -> str:
        """The id of a new request."""
        self.number += 1
        id = str(self.number)
        self.sessions[name].asked.append(id)
        return id

    # What users do

    @initialize(persistent=st.booleans(), membersOnly=st.booleans())
    def opened(self, persistent: bool, membersOnly: bool) -> None:
        """Create the room."""
        client = self.sessions["romeo"].client
        join(client, "romeo")
        self.store.release()
        configure(client, persistentroom=persistent, membersonly=membersOnly)
        self.store.release()
        sendAdmin(client, *(affiliation(f"{name}@localhost", "member") for name in USERS[1:]))
        self.store.release()
        for name in USERS[1:]:
            self.joins(name)

    @rule(name=user)
    def joins(self, name: str) -> None:
        """Enter, create the room, or receive its presences once more."""
        self.sessions[name].joining = True
        join(self.sessions[name].client, name)

    @rule(name=user)
    def leaves(self, name: str) -> None:
        """Leave."""
        leave(self.sessions[name].client, name)

    @rule(name=user, lost=st.booleans())
    def replaced(self, name: str, lost: bool) -> None:
        """Log in again under the same full JID, with the connection lost or not."""
        if lost:
            self.sessions[name].client.dropConnection()
        old = self.sessions[name]
        # If its place is held, that goes on.
        view = self.sessions[name] = SessionView(self.server.client(f"{name}@localhost/a"), old if old.killed else None)
        # Its join may be waiting still, and is answered to whoever has its JID then.
        view.joining = old.killed and old.joining

    @rule(name=user)
    def speaks(self, name: str) -> None:
        """Send a message."""
        say(self.sessions[name].client, "Hello")

    @rule(name=user, text=st.sampled_from(["Love", "Death", ""]))
    def changesSubject(self, name: str, text: str) -> None:
        """Change the subject."""
        setSubject(self.sessions[name].client, text)

    @rule(name=powerful, whom=user, word=word)
    def affiliates(self, name: str, whom: str, word: str) -> None:
        """Give an affiliation."""
        id = self.ask(name)
        self.wanted[id] = (f"{whom}@localhost", word)
        sendAdmin(self.sessions[name].client, affiliation(f"{whom}@localhost", word), id=id)

    @rule(name=powerful, first=user, second=user, words=st.tuples(word, word))
    def affiliatesTwo(self, name: str, first: str, second: str, words: tuple[str, str]) -> None:
        """Give several affiliations."""
        items = [affiliation(f"{first}@localhost", words[0]), affiliation(f"{second}@localhost", words[1])]
        id = self.ask(name)
        self.wanted[id] = (f"{second}@localhost", words[1])
        sendAdmin(self.sessions[name].client, *items, affiliation("localhost", "none"), id=id)

    @rule(name=powerful, word=st.sampled_from(["outcast", "none", "member"]))
    def affiliatesDomain(self, name: str, word: str) -> None:
        """Give an affiliation to the whole domain."""
        sendAdmin(self.sessions[name].client, affiliation("localhost", word), id=self.ask(name))

    @rule(name=powerful, whom=user, word=st.sampled_from(["none", "visitor", "moderator"]))
    def givesRole(self, name: str, whom: str, word: str) -> None:
        """Give a role."""
        sendAdmin(self.sessions[name].client, role(whom, word), id=self.ask(name))

    @rule(
        name=powerful,
        fields=st.fixed_dictionaries(
            {},
            optional={
                "membersonly": st.booleans(),
                "persistentroom": st.booleans(),
                "moderatedroom": st.booleans(),
                "roomname": st.sampled_from(["Orchard", "Tomb"]),
                "whois": st.sampled_from(["anyone", "moderators"]),
                "roomowners": st.lists(st.sampled_from([f"{name}@localhost" for name in USERS]), max_size=3),
            },
        ),
    )
    def configures(self, name: str, fields: dict[str, object]) -> None:
        """Configure the room."""
        configure(self.sessions[name].client, id=self.ask(name), **fields)

    @rule(name=user, nick=st.sampled_from([*USERS, None, None]))
    def registers(self, name: str, nick: str | None) -> None:
        """Register, or unregister."""
        register(self.sessions[name].client, nick, id=self.ask(name))

    @rule(name=powerful, really=seldom)
    def destroys(self, name: str, really: bool) -> None:
        """Destroy the room."""
        if really:
            sendOwner(self.sessions[name].client, "<destroy/>", id=self.ask(name))

    @rule(name=user)
    def lists(self, name: str) -> None:
        """Request something that changes nothing."""
        sendAdmin(self.sessions[name].client, "<item affiliation='member'/>", type="get", id=self.ask(name))

    # What happens besides

    @precondition(lambda self: self.store.held)
    @rule(failures=st.lists(st.sampled_from([False, False, False, True]), min_size=1, max_size=5))
    def answers(self, failures: list[bool]) -> None:
        """The store answers, or fails."""
        for fails in failures:
            if self.store.held:
                self.failing.failing = WRITES | {"load"} if fails else frozenset()
                self.store.release(1)
                self.failing.failing = frozenset()
                self.agreed()

    @precondition(lambda self: self.store.held)
    @rule()
    def settles(self) -> None:
        """The store answers everything."""
        while self.store.held:
            self.store.release(1)
            self.agreed()

    @rule(seconds=st.sampled_from([1, 31, 61]))
    def waits(self, seconds: int) -> None:
        """Time passes."""
        self.server.clock.advance(seconds)

    @rule(really=seldom)
    def killed(self, really: bool) -> None:
        """Kill the server and start it again: what is on its way to the store never arrives."""
        if really:
            self.begin()

    # What always holds

    @invariant()
    def agreed(self) -> None:
        """
        The store agrees with the room, and so does what occupants have received; what was answered with a result is
        stored.
        """
        record = self.record()
        for session in self.sessions.values():
            for id in session.receive():
                if id in self.wanted:
                    jid, word = self.wanted.pop(id)
                    self.isStored(record, jid, word)
        room = self.rooms.live.get(ROOM)
        if room is not None and not room.locked:
            assert record == room.record(), (record, room.record())
            assert any(entry.affiliation == "owner" for entry in room.record().affiliates.values())
        truth = {}
        if room is not None:
            truth = {o.nick: (o.affiliation.xmlName, o.role.xmlName) for o in room.occupants.values()}
            listed = Affiliations(room.record().affiliates)
            assert all(listed.get(o.account) is o.affiliation for o in room.occupants.values())
            if room.settings.membersOnly and not room.locked:
                assert all(affiliation != "none" for affiliation, _ in truth.values())
        for name, session in self.sessions.items():
            seated = room is not None and f"{name}@localhost/a" in room.sessions
            held = room is not None and seated and room.sessions[f"{name}@localhost/a"].held is not None
            if seated and not held and session.killed and session.remembered is not None:
                session.believe()
            if session.inside:
                assert seated and session.seen == truth, (name, session.seen, truth)
            elif seated and not (held or session.killed):
                # The leave of the old session waits, and nobody else is in under its JID.
                assert room is not None and room.changeQueue.changing, name
        self.written(room)

    def written(self, room: Room | None) -> None:
        """
        What is written down of a room that is loaded are its occupants: they all come back after a kill.

        Where an affiliation had changed before a place was held, the role is made from it once more.
        """
        if room is None:
            return
        found = {place.jid: place for place in self.occupants.places().get(ROOM, ())}
        assert found.keys() == room.sessions.keys(), (found, room.sessions)
        for jid, session in room.sessions.items():
            occupant, place = session.occupant, found[jid]
            assert (place.nick, place.presence) == (occupant.nick, session.presencePayload), place
            isCorrected = session.held is not None and place.affiliation != occupant.affiliation.xmlName
            assert isCorrected or place.role == occupant.role.xmlName, (place, occupant.role)

    def isStored(self, record: RoomRecord | None, jid: str, word: str) -> None:
        """An affiliation whose request had a result is stored, unless the room is locked or has ended since."""
        room = self.rooms.live.get(ROOM)
        if record is not None and room is not None and not room.locked:
            entry = record.affiliates.get(jid)
            assert (entry.affiliation if entry is not None else "none") == word, (jid, word, record)

    def teardown(self) -> None:
        """When the store has answered everything, every request is answered and nothing waits."""
        while self.store.held:
            self.store.release(1)
            self.agreed()
        assert all(not session.asked for session in self.sessions.values())
        assert all(not room.changeQueue.changing for room in self.rooms.live.values())
        for session in self.sessions.values():
            session.client.dropConnection()
        while self.store.held:
            self.store.release(1)
        record = self.record()
        if record is not None and record.temporary:
            # Only one that nobody has entered since the last start may wait for its occupants.
            self.server.clock.advance(61)
            self.store.release()
            assert self.record() is None or self.failedToForget, record

    @property
    def failedToForget(self) -> bool:
        """Whether the store has failed to destroy the room, which stays there until it is asked for."""
        return ("destroy", ROOM) in self.store.calls


class DurabilityTests(SynchronousTestCase):
    """The machine at work."""

    def test_agreement(self) -> None:
        """After every step the store, the room and what occupants have received agree."""
        run_state_machine_as_test(
            StoreMachine, settings=settings(max_examples=60, stateful_step_count=40)
        )
