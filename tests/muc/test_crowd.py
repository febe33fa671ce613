# Copyright (c) The muccore authors. See LICENSE for details.
"""
A crowd in a room that does anything in any order, through a whole server. Whatever happens, what each client has heard
adds up to what is true.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from muccore import ns
from muccore.element import Element, render
from muccore.muc.privileges import Affiliation, Role
from muccore.testing.stage import Client
from tests.muc.company import ROOM, Scene, codesOf, itemOf, join

ACCOUNTS = ("ann", "ben", "eve")
ADDRESSES = tuple(f"{account}@localhost/{resource}" for account in ACCOUNTS for resource in "xy")
WHO = st.sampled_from(ADDRESSES)
WHOM = st.sampled_from((*ACCOUNTS, "localhost"))
NICKS = st.sampled_from(("N1", "N2", "N3", "N4"))
STATUS = st.sampled_from(("", "<status>s1</status>", "<status>s2</status>"))


@dataclass
class View:
    """
    What one client believes, by what it has heard.

    @ivar nick: its own nick; C{None} if it is out.
    @ivar roster: for each nick its affiliation, role, real JID and status.
    @ivar entering: it has asked to enter and not yet heard that it is in.
    """

    nick: str | None = None
    roster: dict[str, tuple[str | None, str | None, str | None, str]] = field(default_factory=dict)
    entering: bool = False


class Crowd(RuleBasedStateMachine):
    """
    The owner, who stays, and three users with two sessions each.
    """

    @initialize(nonAnonymous=st.booleans(), moderated=st.booleans())
    def begin(self, nonAnonymous: bool, moderated: bool) -> None:
        """
        Open a room.
        """
        whois = "anyone" if nonAnonymous else "moderators"
        self.scene = Scene({"whois": whois, "moderatedroom": str(int(moderated)), "changesubject": "1"})
        self.owner = self.scene.owner
        self.views = {"owner@localhost/o": View("Owner", {"Owner": ("owner", "moderator", "owner@localhost/o", "")})}
        self.clients: dict[str, Client] = {self.owner.address: self.owner}
        for address in ADDRESSES:
            self.login(address)

    def login(self, address: str) -> None:
        """
        Let a client connect.
        """
        self.clients[address] = self.scene.client(address)
        self.views[address] = View()

    # What is heard

    def hear(self) -> dict[str, list[Element]]:
        """
        Let everybody listen, and check each stanza.

        @return: the room's presence about themselves that each has heard.
        """
        own: dict[str, list[Element]] = {}
        for address, client in self.clients.items():
            own[address] = []
            for stanza in client.hears():
                assert stanza.get("to") == address
                assert "internal-server-error" not in render(stanza).decode()
                if stanza.get("type") == "error":
                    continue
                if stanza.name == "presence":
                    if self.hearPresence(address, stanza):
                        own[address].append(stanza)
                elif stanza.name == "message":
                    view = self.views[address]
                    assert view.nick is not None, (address, stanza.toXml())
                    self.checkSecrecy(address, stanza)
            kinds = [(stanza.get("type"), stanza.get("from")) for stanza in own[address]]
            assert len(kinds) == len(set(kinds)), (address, kinds)
        return own

    def checkSecrecy(self, address: str, stanza: Element) -> None:
        """
        A real JID of somebody else is only for those who may see it.
        """
        seat = self.scene.room.seats.get(address)
        if self.scene.room.settings.nonAnonymous or (seat is not None and seat.occupant.role is Role.MODERATOR):
            return
        text = render(stanza).decode().replace(address, "")
        for account in (*ACCOUNTS, "owner"):
            assert f"{account}@localhost" not in text, (address, text)

    def hearPresence(self, address: str, stanza: Element) -> bool:
        """
        Believe a presence.

        @return: whether it is about oneself.
        """
        view = self.views[address]
        nick = stanza.attributes["from"].partition("/")[2]
        codes, item = codesOf(stanza), itemOf(stanza)
        oneself = 110 in codes
        if oneself and 333 in codes and 307 in codes:
            assert view.nick is None, (address, "told to be out")
            return False
        assert view.nick is not None or view.entering, (address, stanza.toXml())
        if not oneself:
            self.checkSecrecy(address, stanza)
        elif 333 not in codes:
            assert item.get("jid") == address
        if stanza.get("type") == "unavailable":
            assert nick in view.roster, (address, stanza.toXml())
            if 303 not in codes:
                assert item.get("role") == "none"
            del view.roster[nick]
            if oneself:
                assert view.nick == nick, (address, stanza.toXml())
                view.nick = item.get("nick") if 303 in codes else None
                if view.nick is None:
                    view.roster.clear()
            return oneself
        status = stanza.child("status")
        view.roster[nick] = (
            item.get("affiliation"),
            item.get("role"),
            item.get("jid"),
            status.text() if status is not None else "",
        )
        if oneself:
            view.nick, view.entering = nick, False
        return oneself

    @invariant()
    def believe(self) -> None:
        """
        What everybody believes is true.
        """
        if not hasattr(self, "scene"):
            return
        room = self.scene.room
        for address, view in self.views.items():
            seat = room.seats.get(address)
            assert (seat.occupant.nick if seat is not None else None) == view.nick, (address, view)
            if seat is None:
                assert view.roster == {}, (address, view)
                continue
            assert set(view.roster) == set(room.occupants), (address, view)
            for nick, (affiliation, role, jid, status) in view.roster.items():
                occupant = room.occupants[nick]
                assert (affiliation, role) == (occupant.affiliation.word, occupant.role.word), (address, nick, view)
                assert room.affiliations.of(occupant.account) is occupant.affiliation
                assert f"<status>{status}</status>" == occupant.shown.payload.decode() or not status, (nick, view)
                assert status or b"status" not in occupant.shown.payload
                if occupant is seat.occupant:
                    assert jid == address
                elif jid is not None:
                    assert jid == occupant.shown.jid, (address, nick, jid)
        seats = {jid: seat for occupant in room.occupants.values() for jid, seat in occupant.seats.items()}
        assert seats == room.seats
        for occupant in room.occupants.values():
            assert occupant.shown is occupant.seats[occupant.shown.jid]
            assert occupant.affiliation is not Affiliation.OUTCAST and occupant.role is not Role.NONE
            for seat in occupant.seats.values():
                assert seat.occupant is occupant
                assert seat.seesJIDs == room.maySeeJIDs(occupant)

    # What is done

    @rule(who=WHO, nick=NICKS, status=STATUS)
    def enter(self, who: str, nick: str, status: str) -> None:
        """
        Somebody asks to enter: he is in, by one presence of himself, or hears why not; who was in already is sent
        everything anew.
        """
        view = self.views[who]
        before, old = view.nick, dict(view.roster)
        join(self.clients[who], nick, status)
        if self.scene.room.seats.get(who) is not None and self.scene.room.seats[who].occupant.nick == nick:
            view.entering = True
            own = self.hear()
            wanted = 2 if before not in (None, nick) else 1
            assert len(own[who]) == wanted, own[who]
            assert not view.entering
        else:
            own = self.hear()
            assert own[who] == [] and (view.nick, view.roster) == (before, old)
        self.onlyAbout(own, who)

    def onlyAbout(self, own: dict[str, list[Element]], who: str) -> None:
        """
        Nobody hears of himself because of what another user has done.
        """
        account = who.partition("/")[0]
        assert not any(heard for address, heard in own.items() if address.partition("/")[0] != account)

    @rule(who=WHO, nick=NICKS, status=STATUS)
    def presence(self, who: str, nick: str, status: str) -> None:
        """
        Somebody sends presence without asking to enter: another status, another nick, or he is not in.
        """
        view = self.views[who]
        before = view.nick
        self.clients[who].sends(f"<presence to='{ROOM}/{nick}'>{status}</presence>")
        own = self.hear()
        if before is None:
            assert own[who] == [] and view.nick is None
        elif view.nick == nick:
            assert len(own[who]) == (1 if before == nick else 2)
        else:
            assert own[who] == [] and view.nick == before
        self.onlyAbout(own, who)

    @rule(who=WHO)
    def update(self, who: str) -> None:
        """
        Somebody changes his status under the nick that he has; every session of his hears it once.
        """
        view = self.views[who]
        if view.nick is not None:
            occupant = self.scene.room.seats[who].occupant
            self.clients[who].sends(f"<presence to='{ROOM}/{view.nick}'><status>s3</status></presence>")
            own = self.hear()
            assert {address for address, heard in own.items() if heard} == set(occupant.seats)
            assert all(len(heard) <= 1 for heard in own.values())

    @rule(who=WHO, nick=NICKS)
    def leave(self, who: str, nick: str) -> None:
        """
        Somebody leaves; if he was in, he hears it once.
        """
        inside = self.views[who].nick is not None
        self.clients[who].sends(f"<presence type='unavailable' to='{ROOM}/{nick}'/>")
        own = self.hear()
        assert [codesOf(stanza) for stanza in own[who]] == ([[110]] if inside else [])
        self.onlyAbout(own, who)

    @rule(who=WHO)
    def vanish(self, who: str) -> None:
        """
        Somebody's connection is gone, and he connects anew.
        """
        self.clients[who].vanishes()
        assert self.clients[who].hears() == []
        self.login(who)
        self.onlyAbout(self.hear(), who)

    @rule(who=WHO)
    def replaced(self, who: str) -> None:
        """
        Somebody's session is taken over by another one of the same resource.
        """
        old = self.clients[who]
        self.login(who)
        assert len(old.closed) == 1
        assert old.hears() == []
        self.onlyAbout(self.hear(), who)

    @rule(who=WHO, to=NICKS)
    def bounce(self, who: str, to: str) -> None:
        """
        Something cannot be delivered to somebody.
        """
        inside = self.views[who].nick is not None
        self.clients[who].sends(
            f"<message type='error' to='{ROOM}/{to}'><error type='cancel'><gone xmlns='{ns.STANZA_ERRORS}'/></error>"
            "</message>"
        )
        own = self.hear()
        assert [codesOf(stanza) for stanza in own[who]] == ([[333, 110]] if inside else [])
        self.onlyAbout(own, who)

    @rule(who=WHO, nick=NICKS, role=st.sampled_from(Role), owner=st.booleans())
    def role(self, who: str, nick: str, role: Role, owner: bool) -> None:
        """
        Somebody changes a role.
        """
        self.change(self.owner if owner else self.clients[who], f"<item nick='{nick}' role='{role.word}'/>")

    @rule(who=WHO, account=WHOM, affiliation=st.sampled_from(Affiliation), owner=st.booleans())
    def affiliate(self, who: str, account: str, affiliation: Affiliation, owner: bool) -> None:
        """
        Somebody changes an affiliation.
        """
        jid = account if account == "localhost" else f"{account}@localhost"
        self.change(
            self.owner if owner else self.clients[who], f"<item jid='{jid}' affiliation='{affiliation.word}'/>"
        )

    def change(self, client: Client, item: str) -> None:
        """
        Ask for a change; who is put out hears it once.
        """
        before = {address for address, view in self.views.items() if view.nick is not None}
        client.sends(f"<iq type='set' id='1' to='{ROOM}'><query xmlns='{ns.MUC_ADMIN}'>{item}</query></iq>")
        own = self.hear()
        for address, heard in own.items():
            assert len(heard) <= 1
            if address in before and self.views[address].nick is None:
                assert codesOf(heard[0])[0] in (301, 307, 321)

    @rule(field=st.sampled_from(("whois", "membersonly", "moderatedroom")), on=st.booleans())
    def configure(self, field: str, on: bool) -> None:
        """
        The owner configures the room.
        """
        value = ("anyone" if on else "moderators") if field == "whois" else str(int(on))
        self.owner.sends(
            f"<iq type='set' id='1' to='{ROOM}'><query xmlns='{ns.MUC_OWNER}'><x xmlns='{ns.DATA}' type='submit'>"
            f"<field var='FORM_TYPE'><value>{ns.MUC_ROOMCONFIG}</value></field>"
            f"<field var='muc#roomconfig_{field}'><value>{value}</value></field></x></query></iq>"
        )
        self.hear()

    @rule(who=WHO, to=NICKS, kind=st.sampled_from(("groupchat", "subject", "private", "iq", "invite", "voice")))
    def speak(self, who: str, to: str, kind: str) -> None:
        """
        Somebody says or asks something; nobody hears of himself by it.
        """
        form = f"<field var='FORM_TYPE'><value>{ns.MUC_REQUEST}</value></field>"
        invite = f"<x xmlns='{ns.MUC_USER}'><invite to='nobody@localhost'/></x>"
        self.clients[who].sends(
            {
                "groupchat": f"<message to='{ROOM}' type='groupchat'><body>a</body></message>",
                "subject": f"<message to='{ROOM}' type='groupchat'><subject>a</subject></message>",
                "private": f"<message to='{ROOM}/{to}' type='chat'><body>a</body></message>",
                "iq": f"<iq to='{ROOM}/{to}' type='get' id='1'><query xmlns='{ns.VERSION}'/></iq>",
                "invite": f"<message to='{ROOM}'>{invite}</message>",
                "voice": f"<message to='{ROOM}'><x xmlns='{ns.DATA}' type='submit'>{form}"
                "<field var='muc#role'><value>participant</value></field></x></message>",
            }[kind]
        )
        assert not any(self.hear().values())


class CrowdTests(SynchronousTestCase):
    """
    The crowd.
    """

    def test_crowd(self) -> None:
        """
        What each client hears adds up to the room; nobody sees a real JID that he may not; nobody who is out hears
        anything; of himself one hears once; nothing fails.
        """
        run_state_machine_as_test(
            Crowd,
            settings=settings(
                max_examples=60,
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
