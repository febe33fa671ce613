# Copyright (c) The muccore authors. See LICENSE for details.
"""Random actions by occupants: what each client has received adds up to the state of the room."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from muccore.muc.model import presencebroadcast
from muccore.muc.model.privileges import Affiliation, Role
from muccore.muc.model.room import Room
from muccore.net import slices
from muccore.testing.inmemory import Client, InMemoryServer
from muccore.xmpp import ns
from muccore.xmpp.element import Element
from muccore.xmpp.rendering import render
from tests.muc.muchelpers import (
    ROOM,
    codesOf,
    configure,
    form,
    itemOf,
    itemsOf,
    join,
    leave,
    register,
    sendAdmin,
    sendError,
    sendPresence,
)

ACCOUNTS = ("ann", "ben", "eve")
ADDRESSES = tuple(f"{account}@localhost/{resource}" for account in ACCOUNTS for resource in "xy")
WHO = st.sampled_from(ADDRESSES)
WHOM = st.sampled_from((*ACCOUNTS, "localhost"))
NICKS = st.sampled_from(("N1", "n1", "N2", "N3", "N4"))
STATUS = st.sampled_from(("", "<status>s1</status>", "<status>s2</status>"))


@dataclass
class View:
    """
    The room according to what one client has received.

    @ivar nick: the client's nick; C{None} outside the room.
    @ivar roster: affiliation, role, real JIDs and status by nick.
    @ivar entering: whether the client has sent a join and not received its own presence yet.
    """

    nick: str | None = None
    roster: dict[str, tuple[str | None, str | None, tuple[str | None, ...], str]] = field(default_factory=dict)
    entering: bool = False


class OccupantsMachine(RuleBasedStateMachine):
    """An owner who stays, and three users with two sessions each."""

    @initialize(nonAnonymous=st.booleans(), moderated=st.booleans())
    def begin(self, nonAnonymous: bool, moderated: bool) -> None:
        """Create the room."""
        self.server = InMemoryServer()
        self.owner = self.server.client("owner@localhost/a")
        join(self.owner, "Owner")
        whois = "anyone" if nonAnonymous else "moderators"
        configure(self.owner, whois=whois, moderatedroom=moderated, changesubject=True)
        self.settle()
        self.owner.received()
        self.views = {self.owner.address: View("Owner", {"Owner": ("owner", "moderator", (self.owner.address,), "")})}
        self.clients: dict[str, Client] = {self.owner.address: self.owner}
        for address in ADDRESSES:
            self.login(address)

    @property
    def room(self) -> Room:
        """The room."""
        return self.server.muc.rooms.live[ROOM]

    def login(self, address: str) -> None:
        """Connect a client."""
        self.clients[address] = self.server.client(address)
        self.views[address] = View()

    # What clients receive

    def settle(self) -> None:
        """Wait until all is done."""

    def receive(self) -> dict[str, list[Element]]:
        """Check each stanza that clients have received; return the presence of themselves, by address."""
        self.settle()
        own: dict[str, list[Element]] = {}
        for address, client in self.clients.items():
            own[address] = []
            for stanza in client.received():
                assert stanza.get("to") == address
                assert "internal-server-error" not in render(stanza).decode()
                if stanza.get("type") == "error":
                    continue
                if stanza.name == "presence":
                    if self.receivePresence(address, stanza):
                        own[address].append(stanza)
                elif stanza.name == "message":
                    view = self.views[address]
                    assert view.nick is not None, (address, stanza.toXml())
                    self.checkSecrecy(address, stanza)
            kinds = [(stanza.get("type"), stanza.get("from")) for stanza in own[address]]
            assert len(kinds) == len(set(kinds)), (address, kinds)
        return own

    def checkSecrecy(self, address: str, stanza: Element) -> None:
        """Check that a stanza shows no real JIDs of others to a client that may not see them."""
        session = self.room.sessions.get(address)
        if self.room.settings.nonAnonymous or (session is not None and session.occupant.role is Role.MODERATOR):
            return
        text = render(stanza).decode().replace(address, "")
        for account in (*ACCOUNTS, "owner"):
            assert f"{account}@localhost" not in text, (address, text)

    def receivePresence(self, address: str, stanza: Element) -> bool:
        """Update the view of a client; return whether the presence is its own."""
        view = self.views[address]
        nick = stanza.attributes["from"].partition("/")[2]
        codes, item = codesOf(stanza), itemOf(stanza)
        isSelf = 110 in codes
        if isSelf and 333 in codes and 307 in codes:
            assert view.nick is None, (address, stanza.toXml())
            return False
        assert view.nick is not None or view.entering, (address, stanza.toXml())
        if not isSelf:
            self.checkSecrecy(address, stanza)
        elif 333 not in codes:
            assert item.get("jid") == address
        if stanza.get("type") == "unavailable":
            if not isSelf and nick not in view.roster:
                # An absent user, who need not have a nick.
                assert presencebroadcast.showsAbsent(self.room.settings), (address, stanza.toXml())
                assert item.get("role") == "none" and codes == [], (address, stanza.toXml())
                return False
            assert nick in view.roster, (address, stanza.toXml())
            if 303 not in codes:
                assert item.get("role") == "none"
            del view.roster[nick]
            if isSelf:
                assert view.nick == nick, (address, stanza.toXml())
                view.nick = item.get("nick") if 303 in codes else None
                if view.nick is None:
                    view.roster.clear()
            return isSelf
        status = stanza.child("status")
        text = status.text() if status is not None else ""
        items = itemsOf(stanza)
        assert len({(each.get("affiliation"), each.get("role")) for each in items}) == 1, (address, stanza.toXml())
        view.roster[nick] = (item.get("affiliation"), item.get("role"), tuple(each.get("jid") for each in items), text)
        if isSelf:
            view.nick, view.entering = nick, False
        return isSelf

    @invariant()
    def viewsAgree(self) -> None:
        """Check that the view of each client agrees with the room."""
        if not hasattr(self, "server"):
            return
        room = self.room
        broadcast = room.settings.presenceBroadcast
        for address, view in self.views.items():
            session = room.sessions.get(address)
            assert (session.occupant.nick if session is not None else None) == view.nick, (address, view)
            if session is None:
                assert view.roster == {}, (address, view)
                continue
            seen = {nick for nick, each in room.occupants.items() if each.role.xmlName in broadcast}
            assert set(view.roster) == seen | {view.nick}, (address, view)
            for nick, (affiliation, role, jids, status) in view.roster.items():
                occupant, case = room.occupants[nick], (address, nick, view)
                assert (affiliation, role) == (occupant.affiliation.xmlName, occupant.role.xmlName), case
                assert room.affiliations.get(occupant.account) is occupant.affiliation
                expected = f"<status>{status}</status>" if status else ""
                assert occupant.primary.presencePayload.decode() == expected, case
                if occupant is session.occupant:
                    assert jids[0] == address and sorted(map(str, jids)) == sorted(occupant.sessions), case
                elif jids != (None,):
                    assert jids[0] == occupant.primary.jid, case
                    assert not session.seesJIDs or sorted(map(str, jids)) == sorted(occupant.sessions), case
        sessions = {jid: session for occupant in room.occupants.values() for jid, session in occupant.sessions.items()}
        assert sessions == room.sessions
        for occupant in room.occupants.values():
            assert occupant.primary is occupant.sessions[occupant.primary.jid]
            assert occupant.affiliation is not Affiliation.OUTCAST and occupant.role is not Role.NONE
            for session in occupant.sessions.values():
                assert session.occupant is occupant
                assert session.seesJIDs == room.canSeeRealJIDs(occupant)

    # What clients do

    @rule(who=WHO, nick=NICKS, status=STATUS)
    def enter(self, who: str, nick: str, status: str) -> None:
        """
        Join: the client receives its own presence once for each nick, of which another spelling is none, or is refused
        and stays as it was.
        """
        view = self.views[who]
        before, old = view.nick, dict(view.roster)
        join(self.clients[who], nick, status)
        session = self.room.sessions.get(who)
        if session is not None and session.occupant.nick.lower() == nick.lower():
            view.entering = True
            own = self.receive()
            wanted = 1 if before is None or before.lower() == nick.lower() else 2
            assert len(own[who]) == wanted, own[who]
            assert not view.entering
        else:
            own = self.receive()
            assert own[who] == [] and (view.nick, view.roster) == (before, old)
        self.onlyAbout(own, who)

    def onlyAbout(self, own: dict[str, list[Element]], who: str) -> None:
        """Check that no other account has received presence of itself."""
        account = who.partition("/")[0]
        assert not any(received for address, received in own.items() if address.partition("/")[0] != account)

    @rule(who=WHO, nick=NICKS, status=STATUS)
    def presence(self, who: str, nick: str, status: str) -> None:
        """Send presence without joining: another status, another nick, or from outside the room."""
        view = self.views[who]
        before = view.nick
        sendPresence(self.clients[who], nick, status)
        own = self.receive()
        if before is None:
            assert own[who] == [] and view.nick is None
        elif view.nick == nick:
            assert len(own[who]) == (1 if before == nick else 2)
        else:
            assert own[who] == [] and view.nick == before
        self.onlyAbout(own, who)

    @rule(who=WHO)
    def update(self, who: str) -> None:
        """Change the status under the current nick: every session of the occupant receives it once."""
        view = self.views[who]
        if view.nick is not None:
            occupant = self.room.sessions[who].occupant
            sendPresence(self.clients[who], view.nick, "<status>s3</status>")
            own = self.receive()
            assert {address for address, received in own.items() if received} == set(occupant.sessions)
            assert all(len(received) <= 1 for received in own.values())

    @rule(who=WHO, nick=NICKS)
    def leave(self, who: str, nick: str) -> None:
        """Leave: an occupant receives it once."""
        inside = self.views[who].nick is not None
        leave(self.clients[who], nick)
        own = self.receive()
        assert [codesOf(stanza) for stanza in own[who]] == ([[110]] if inside else [])
        self.onlyAbout(own, who)

    @rule(who=WHO)
    def reconnect(self, who: str) -> None:
        """Lose the connection, and connect again."""
        self.clients[who].dropConnection()
        assert self.clients[who].received() == []
        self.login(who)
        self.onlyAbout(self.receive(), who)

    @rule(who=WHO)
    def replace(self, who: str) -> None:
        """Replace a session by a new one of the same resource."""
        old = self.clients[who]
        self.login(who)
        assert len(old.closed) == 1
        assert old.received() == []
        self.onlyAbout(self.receive(), who)

    @rule(who=WHO, to=NICKS, name=st.sampled_from(("message", "presence")))
    def bounce(self, who: str, to: str, name: str) -> None:
        """Return a stanza as undeliverable: an occupant is removed."""
        inside = self.views[who].nick is not None
        sendError(self.clients[who], "gone", name, to=f"{ROOM}/{to}")
        own = self.receive()
        assert [codesOf(stanza) for stanza in own[who]] == ([[333, 110]] if inside else [])
        self.onlyAbout(own, who)

    @rule(who=WHO, nick=NICKS, role=st.sampled_from(Role), owner=st.booleans())
    def role(self, who: str, nick: str, role: Role, owner: bool) -> None:
        """Change a role."""
        self.change(self.owner if owner else self.clients[who], f"<item nick='{nick}' role='{role.xmlName}'/>")

    @rule(who=WHO, account=WHOM, affiliation=st.sampled_from(Affiliation), owner=st.booleans())
    def affiliate(self, who: str, account: str, affiliation: Affiliation, owner: bool) -> None:
        """Change an affiliation."""
        jid = account if account == "localhost" else f"{account}@localhost"
        item = f"<item jid='{jid}' affiliation='{affiliation.xmlName}'/>"
        self.change(self.owner if owner else self.clients[who], item)

    def change(self, client: Client, item: str) -> None:
        """Request a change: each client receives it once at most, those removed with the reason as a code."""
        before = {address for address, view in self.views.items() if view.nick is not None}
        sendAdmin(client, item)
        own = self.receive()
        for address, received in own.items():
            assert len(received) <= 1
            if address in before and self.views[address].nick is None:
                assert codesOf(received[0])[0] in (301, 307, 321)

    @rule(field=st.sampled_from(("whois", "membersonly", "moderatedroom")), on=st.booleans())
    def configure(self, field: str, on: bool) -> None:
        """Configure the room."""
        configure(self.owner, **{field: ("anyone" if on else "moderators") if field == "whois" else on})
        self.receive()

    @rule(
        who=WHO,
        whom=st.sampled_from(ACCOUNTS),
        nick=NICKS,
        kind=st.sampled_from(("register", "unregister", "membership", "invite", "voice")),
        allow=st.booleans(),
    )
    def request(self, who: str, whom: str, nick: str, kind: str, allow: bool) -> None:
        """Register, invite, or answer requests: each client receives presence of itself once at most."""
        client = self.owner if kind in ("membership", "invite") and allow else self.clients[who]
        if kind in ("register", "unregister"):
            register(client, nick if kind == "register" else None)
        else:
            address = f"{whom}@localhost"
            membership = {"x-muc#register_jid": address, "muc#register_allow": allow}
            voice = {"muc#role": "participant", "muc#roomnick": nick, "muc#request_allow": allow}
            payload = {
                "membership": form(ns.MUC_REGISTER, membership),
                "invite": f"<x xmlns='{ns.MUC_USER}'><invite to='{address}'/></x>",
                "voice": form(ns.MUC_REQUEST, voice),
            }[kind]
            client.sends(f"<message to='{ROOM}'>{payload}</message>")
        assert all(len(received) <= 1 for received in self.receive().values())

    @rule(wanted=st.sampled_from(("open", "approval", "none")))
    def registration(self, wanted: str) -> None:
        """Configure who may register."""
        configure(self.owner, **{"x-muc#roomconfig_selfregistration": wanted})
        assert not any(self.receive().values())

    @rule(roles=st.lists(st.sampled_from(("moderator", "participant", "visitor", "none")), unique=True))
    def broadcast(self, roles: list[str]) -> None:
        """Configure whose presence others see: nobody but an occupant receives presence of itself."""
        configure(self.owner, presencebroadcast=roles)
        assert not any(self.receive().values())

    @rule(who=WHO, to=NICKS, kind=st.sampled_from(("groupchat", "subject", "private", "iq", "invite", "voice")))
    def speak(self, who: str, to: str, kind: str) -> None:
        """Send messages and requests: nobody receives presence of themselves."""
        invite = f"<x xmlns='{ns.MUC_USER}'><invite to='nobody@localhost'/></x>"
        self.clients[who].sends(
            {
                "groupchat": f"<message to='{ROOM}' type='groupchat'><body>a</body></message>",
                "subject": f"<message to='{ROOM}' type='groupchat'><subject>a</subject></message>",
                "private": f"<message to='{ROOM}/{to}' type='chat'><body>a</body></message>",
                "iq": f"<iq to='{ROOM}/{to}' type='get' id='1'><query xmlns='{ns.VERSION}'/></iq>",
                "invite": f"<message to='{ROOM}'>{invite}</message>",
                "voice": f"<message to='{ROOM}'>{form(ns.MUC_REQUEST, {'muc#role': 'participant'})}</message>",
            }[kind]
        )
        assert not any(self.receive().values())


class SlicedMachine(OccupantsMachine):
    """The same where nearly everything takes several turns."""

    def settle(self) -> None:
        """Wait until all is done."""
        for _ in range(50):
            self.server.clock.advance(slices.PAUSE)


class OccupantsTests(SynchronousTestCase):
    """Runs of the state machine."""

    def test_viewsAgreeWithRoom(self) -> None:
        """Clients receive exactly what they may see of the room, and their own presence once; no action fails."""
        checks = list(HealthCheck)
        options = settings(
            max_examples=60, stateful_step_count=30, database=None, suppress_health_check=checks
        )
        run_state_machine_as_test(OccupantsMachine, settings=options)

    def test_inSlices(self) -> None:
        """So it is where what touches more than one occupant is done in slices."""
        self.patch(slices, "SLICE", 3)
        checks = list(HealthCheck)
        options = settings(
            max_examples=20, stateful_step_count=25, database=None, suppress_health_check=checks
        )
        run_state_machine_as_test(SlicedMachine, settings=options)
