# Copyright (c) The muccore authors. See LICENSE for details.
"""
Random requests of random users: nobody does what the tables of XEP-0045 §5 deny them, and a room always has an owner.

The tables are written down here once more, from the text: what a request has changed is compared with them, not with
the rules that allowed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import membershiprequests, timedprivileges
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.muc.model.roomsettings import RoomSettings
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.rendering import render
from tests.muc.muchelpers import ROOM, configure, form, join, leave, register, sendAdmin, sendOwner, sendPresence

USERS = ("own", "adm", "mem", "ann")
REGISTRATION = "x-muc#roomconfig_selfregistration"
ROLES = [role.xmlName for role in Role]

VISITOR, PARTICIPANT, MODERATOR = Role.VISITOR, Role.PARTICIPANT, Role.MODERATOR
OUTCAST, NONE, MEMBER = Affiliation.OUTCAST, Affiliation.NONE, Affiliation.MEMBER
ADMIN, OWNER = Affiliation.ADMIN, Affiliation.OWNER


@dataclass(frozen=True)
class Inside:
    """An occupant: account, affiliation and role."""

    account: str
    affiliation: Affiliation
    role: Role


@dataclass(frozen=True)
class State:
    """
    What privileges are about.

    @ivar affiliations: by bare JID or domain; those without are left out.
    @ivar occupants: by nick.
    @ivar requests: who has asked to become a member.
    @ivar muted: from whom a moderator has taken voice.
    """

    affiliations: dict[str, Affiliation]
    occupants: dict[str, Inside]
    requests: frozenset[str]
    muted: frozenset[str]
    settings: RoomSettings

    def affiliation(self, account: str) -> Affiliation:
        """The affiliation of a user (§9.2: a domain's is that of all its users without one of their own)."""
        return self.affiliations.get(account, self.affiliations.get("localhost", NONE))

    @property
    def needsApproval(self) -> bool:
        """Whether an admin approves registrations: of moderated rooms unless the owner has chosen otherwise."""
        options = self.settings
        return options.registration == "approval" or (
            options.registration == "open" and options.moderated and not options.membersOnly
        )

    def initialRole(self, account: str, affiliation: Affiliation) -> Role:
        """The role on entering (§5.1.2), without voice that was taken (§5.1)."""
        if affiliation in (ADMIN, OWNER):
            return MODERATOR
        if account in self.muted:
            return VISITOR
        return VISITOR if self.settings.moderated and affiliation is NONE else PARTICIPANT


def mayChangeAffiliation(kind: str, actor: str, key: str, new: Affiliation, before: State) -> bool:
    """Whether the tables of §5.2.1 and §5.2.2 let a user change the affiliation of somebody."""
    own, old = before.affiliation(actor), before.affiliations.get(key, NONE)
    if own is OWNER:
        return True
    if own is ADMIN and old <= MEMBER and new <= MEMBER:
        return True
    options = before.settings
    if kind == "register" and key == actor and (old, new) == (NONE, MEMBER):
        return own is MEMBER or (
            own is NONE
            and options.registration in ("open", "always")
            and not before.needsApproval
            and not options.membersOnly
        )
    if kind == "register" and key == actor and (old, new) == (MEMBER, NONE):
        return True
    # §9.5: the invitation of a member makes a member, if the configuration says so.
    invites = kind == "invite" and own is MEMBER and options.membersOnly and options.allowInvites
    return invites and (old, new) == (NONE, MEMBER)


def mayChangeRole(actor: str, source: Inside | None, target: Inside, new: Role) -> bool:
    """Whether the table of §5.1.1, and §8 and §9.6 f., let a user change an occupant's role, removal included."""
    if source is None or source.role is not MODERATOR:
        return False
    isSelf = actor == target.account
    if MODERATOR in (target.role, new) and not isSelf and source.affiliation < ADMIN:
        return False
    if new is Role.NONE:
        return target.affiliation <= source.affiliation
    if target.role > new and target.affiliation >= ADMIN:
        return False
    if new is VISITOR:
        return target.affiliation < source.affiliation or target.affiliation is NONE or isSelf
    return True


class Trial:
    """A room with users of several affiliations, who send requests. All may lose what they have, or get more."""

    def __init__(self, random: Random) -> None:
        """Create the room, let in who may enter, and make moderators of some."""
        self.random = random
        self.server = InMemoryServer()
        self.clients: dict[str, Client] = {user: self.server.client(f"{user}@localhost/a") for user in USERS}
        join(self.clients["own"], "own")
        configure(self.clients["own"], persistentroom=True, **self.options(1.0))
        items = ("<item jid='adm@localhost' affiliation='admin'/>", "<item jid='mem@localhost' affiliation='member'/>")
        sendAdmin(self.clients["own"], *items)
        for user in USERS[1:]:
            join(self.clients[user], user)
        for user in USERS:
            if self.flip():
                sendAdmin(self.clients["own"], f"<item nick='{user}' role='moderator'/>")
        self.answers()

    def run(self, steps: int) -> None:
        """Let users send requests."""
        requests = (
            self.affiliate, self.affiliate, self.changeRoles, self.changeRoles, self.register, self.invite, self.voice,
            self.answer, self.configure, self.enter, self.enter, self.leave, self.see,
        )  # fmt: skip
        for _ in range(steps):
            self.random.choice(requests)(self.random.choice(USERS))
            self.hasOwner()

    # Random values

    def flip(self) -> bool:
        """A boolean."""
        return self.random.random() < 0.5

    def whom(self) -> str:
        """A bare JID, or seldom the domain."""
        return "localhost" if self.random.random() < 0.03 else f"{self.random.choice((*USERS, 'ghost'))}@localhost"

    def nick(self) -> str:
        """A nick."""
        return self.random.choice((*USERS, *USERS, "OWN", "Nick"))

    def options(self, chance: float) -> dict[str, Any]:
        """Fields of the configuration, each with this chance."""
        possible: dict[str, Any] = {
            "membersonly": self.flip(),
            "moderatedroom": self.flip(),
            "allowinvites": self.flip(),
            "whois": self.random.choice(("anyone", "moderators")),
            REGISTRATION: self.random.choice(("open", "always", "approval", "approval", "none")),
        }
        return {name: value for name, value in possible.items() if self.random.random() < chance}

    @property
    def room(self) -> Room:
        """The room."""
        return self.server.muc.rooms.live[ROOM]

    def state(self) -> State:
        """The present state of the room."""
        room = self.room
        entries = {jid: Affiliation.parse(entry.affiliation) for jid, entry in room.affiliations.entries().items()}
        return State(
            {jid: affiliation for jid, affiliation in entries.items() if affiliation is not NONE},
            {
                nick: Inside(occupant.account.bare, occupant.affiliation, occupant.role)
                for nick, occupant in room.occupants.items()
            },
            frozenset(membershiprequests.waiting(room)),
            frozenset(timedprivileges.mutesIn(room)),
            room.settings,
        )

    def answers(self) -> None:
        """Check that no request has led to an internal error."""
        for client in self.clients.values():
            for stanza in client.received():
                assert b"internal-server-error" not in render(stanza), stanza.toXml()

    def act(self, who: str, kind: str, send: Any, *args: Any, **fields: Any) -> None:
        """Let a user send a request, and compare with the tables what it has changed."""
        before = self.state()
        send(self.clients[who], *args, **fields)
        self.answers()
        self.check(f"{who}@localhost", kind, before, self.state())

    def check(self, actor: str, kind: str, before: State, after: State) -> None:
        """Compare two states with the tables."""
        case = (actor, kind, before, after)
        for key in before.affiliations.keys() | after.affiliations.keys():
            new = after.affiliations.get(key, NONE)
            if new is not before.affiliations.get(key, NONE):
                assert mayChangeAffiliation(kind, actor, key, new, before), (key, case)
        if after.settings != before.settings:
            assert before.affiliation(actor) is OWNER and kind == "owner", case
        for user in before.requests - after.requests:
            decided = kind == "answer" and before.affiliation(actor) >= ADMIN
            withdrawn = kind == "register" and user == actor
            off = kind == "owner" and not after.needsApproval
            assert decided or withdrawn or off or after.affiliation(user) is not NONE, (user, case)
        for user in after.requests - before.requests:
            assert kind == "register" and user == actor, (user, case)
            assert before.affiliation(user) is NONE and before.needsApproval, (user, case)
        self.checkMutes(case)
        source = next((each for each in before.occupants.values() if each.account == actor), None)
        renamed = kind == "enter"
        for nick, old in before.occupants.items():
            now = after.occupants.get(nick)
            if now is not None and now.account == old.account:
                self.checkStays(case, source, old, now)
            elif not (renamed and old.account == actor):
                self.checkRemoved(case, source, old)
        for nick, now in after.occupants.items():
            had = before.occupants.get(nick)
            if had is None or had.account != now.account:
                self.checkEntered(case, now)

    def checkStays(self, case: tuple[str, str, State, State], source: Inside | None, old: Inside, now: Inside) -> None:
        """Check the change of an occupant who stays."""
        actor, kind, before, after = case
        assert now.affiliation is after.affiliation(now.account), case
        if now.affiliation is not old.affiliation:
            # §5.1.3: the role follows.
            initial = after.initialRole(now.account, now.affiliation)
            rises = now.affiliation > old.affiliation
            role = max(old.role, initial) if rises else min(old.role, initial)
            unmoderated = before.settings.moderated and not after.settings.moderated and role is VISITOR
            # The affiliation of a domain and the role of one of its users may change in one request.
            alsoSet = kind == "admin" and mayChangeRole(actor, source, old, now.role)
            assert now.role is role or alsoSet or (unmoderated and now.role is PARTICIPANT), case
        elif now.role is not old.role:
            if kind == "owner":
                # §4.2: everybody has voice in an unmoderated room.
                assert before.settings.moderated and not after.settings.moderated, case
                assert (old.role, now.role) == (VISITOR, PARTICIPANT), case
            else:
                assert kind in ("admin", "voice"), case
                assert mayChangeRole(actor, source, old, now.role), case

    def checkMutes(self, case: tuple[str, str, State, State]) -> None:
        """Check that voice is taken, and given back, by moderators and admins only."""
        actor, kind, before, after = case
        for user in after.muted - before.muted:
            held = {nick: each.role for nick, each in before.occupants.items() if each.account == user}
            now = {nick: each.role for nick, each in after.occupants.items() if each.account == user}
            lost = any(role >= PARTICIPANT and now.get(nick, VISITOR) is VISITOR for nick, role in held.items())
            assert kind == "admin" and user != actor and lost, (user, case)
        for user in before.muted - after.muted:
            roles = {each.role for each in before.occupants.values() if each.account == actor}
            assert kind in ("admin", "voice", "answer", "owner", "invite"), (user, case)
            assert MODERATOR in roles or before.affiliation(actor) >= ADMIN, (user, case)

    def checkRemoved(self, case: tuple[str, str, State, State], source: Inside | None, old: Inside) -> None:
        """Check the removal of an occupant."""
        actor, kind, _, after = case
        if kind == "leave":
            assert old.account == actor, case
        elif after.affiliation(old.account) is OUTCAST:
            assert old.affiliation is not OUTCAST, case
        elif after.settings.membersOnly and after.affiliation(old.account) is NONE:
            assert kind in ("admin", "owner", "register"), case
        else:
            assert kind == "admin" and mayChangeRole(actor, source, old, Role.NONE), case

    def checkEntered(self, case: tuple[str, str, State, State], now: Inside) -> None:
        """Check who has entered, or has another nick."""
        actor, kind, before, after = case
        assert kind == "enter" and now.account == actor, case
        assert now.affiliation is after.affiliation(actor) and now.affiliation is not OUTCAST, case
        assert now.affiliation is not NONE or not after.settings.membersOnly, case
        kept = [each.role for each in before.occupants.values() if each.account == actor]
        assert now.role in (kept or [after.initialRole(actor, now.affiliation)]), case

    def hasOwner(self) -> None:
        """Check that there is an owner, in the room and in the store."""
        assert OWNER in self.state().affiliations.values()
        assert self.server.store.load(ROOM).result == self.room.record()

    # Requests

    def affiliate(self, who: str) -> None:
        """Change affiliations, perhaps with a reserved nick."""
        items = []
        for _ in range(self.random.choice((1, 1, 1, 2))):
            word = self.random.choice(list(Affiliation)).xmlName
            reserved = " nick='Nick'" if self.random.random() < 0.2 else ""
            items.append(f"<item jid='{self.whom()}' affiliation='{word}'{reserved}/>")
        self.act(who, "admin", sendAdmin, *items)

    def changeRoles(self, who: str) -> None:
        """Change roles, seldom an affiliation with them."""
        count = self.random.choice((1, 1, 1, 2))
        items = [f"<item nick='{self.nick()}' role='{self.random.choice(ROLES)}'/>" for _ in range(count)]
        if self.random.random() < 0.1:
            items.append(f"<item jid='{self.whom()}' affiliation='member'/>")
        self.act(who, "admin", sendAdmin, *items)

    def register(self, who: str) -> None:
        """Register, or unregister."""
        self.act(who, "register", register, self.random.choice((None, "Nick", who, f"{who}2")))

    def invite(self, who: str) -> None:
        """Invite somebody."""
        self.say(who, "invite", f"<x xmlns='{ns.MUC_USER}'><invite to='{self.whom()}'/></x>")

    def voice(self, who: str) -> None:
        """Ask for voice, or answer such a request."""
        fields: dict[str, Any] = {"muc#role": "participant"}
        if self.random.random() < 0.8:
            nick = self.nick()
            fields |= {"muc#jid": f"{nick}@localhost", "muc#roomnick": nick, "muc#request_allow": self.flip()}
        self.say(who, "voice", form(ns.MUC_REQUEST, fields))

    def answer(self, who: str) -> None:
        """Answer a request for membership, one that waits if there is any."""
        jid = self.random.choice(sorted(self.state().requests) or [self.whom()])
        self.say(who, "answer", form(ns.MUC_REGISTER, {"x-muc#register_jid": jid, "muc#register_allow": self.flip()}))

    def say(self, who: str, kind: str, payload: str) -> None:
        """Send a message with a payload to the room."""
        self.act(who, kind, lambda client: client.sends(f"<message to='{ROOM}'>{payload}</message>"))

    def configure(self, who: str) -> None:
        """Submit the configuration."""
        fields = self.options(0.3)
        for name in ("roomowners", "roomadmins"):
            if self.random.random() < 0.15:
                fields[name] = [self.whom() for _ in range(self.random.randrange(3))]
        self.act(who, "owner", configure, **fields)

    def see(self, who: str) -> None:
        """Get what only some may see; and destroy the room, if not as an owner."""
        client = self.clients[who]
        own = self.state().affiliation(f"{who}@localhost")
        sendAdmin(client, "<item affiliation='outcast'/>", type="get")
        [ban] = client.received()
        assert (ban.get("type") == "result") is (own >= ADMIN), (who, own)
        sendOwner(client, type="get")
        [configuration] = client.received()
        assert (configuration.get("type") == "result") is (own is OWNER), (who, own)
        if own is not OWNER:
            self.act(who, "destroy", sendOwner, "<destroy/>")

    def enter(self, who: str) -> None:
        """Enter, or change the nick."""
        nick = who if self.flip() else self.nick()
        self.act(who, "enter", join if self.random.random() < 0.8 else sendPresence, nick)

    def leave(self, who: str) -> None:
        """Leave, not always."""
        if self.flip():
            self.act(who, "leave", leave, who)


class PrivilegeTests(SynchronousTestCase):
    """Runs of random requests."""

    @settings(max_examples=300, database=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=True))
    def test_tables(self, random: Random) -> None:
        """No sequence of requests lets anyone do what the tables deny; an owner remains; the store agrees."""
        Trial(random).run(30)
