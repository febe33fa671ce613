# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests of L{muccore.muc.extensions.invitationpreferences}."""

from __future__ import annotations

from functools import partial
from typing import Any

from muccore.im.accountroster import AccountRoster
from muccore.im.rosters import PlannedChange
from muccore.interfaces import RosterItem
from muccore.muc.extensions.invitationpreferences import NODE
from muccore.testing.doubles import DelayedRoomStore, FailingRoomStore
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from tests.muc.muchelpers import HOST, ROOM, RoomTestCase, affiliation, execute, form, leave, sendIQ, values

OTHER = f"other@{HOST}"


def _returning(planned: PlannedChange, roster: AccountRoster) -> PlannedChange:
    return planned


class WishTests(RoomTestCase):
    """Romeo is in the room; Juliet and Paris are online."""

    def openRoom(self, store: Any = None, options: dict[str, Any] | None = None, **fields: Any) -> None:
        """Open the room."""
        super().openRoom(store, options, **fields)
        self.romeo = self.enter("romeo")
        self.logIn()

    def logIn(self) -> None:
        """Log in those who may be invited."""
        self.juliet, self.paris = self.login("juliet", "paris")
        for client in (self.juliet, self.paris):
            client.sends("<presence/>")
        self.discardReceived()

    def choose(self, client: Client, strangers: bool) -> str:
        """Choose; return the note."""
        execute(client, NODE, form(NODE, {"strangers": strangers}), to=HOST, action="complete")
        note = self.result(client).child("note")
        assert note is not None
        return note.text()

    def invite(self, to: str = "juliet@localhost") -> None:
        """Let Romeo invite somebody through the room."""
        self.romeo.sends(f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'><invite to='{to}'/></x></message>")

    def inviteDirectly(self, to: str = "juliet@localhost") -> None:
        """Let Romeo invite somebody without the room."""
        self.romeo.sends(f"<message to='{to}'><x xmlns='{ns.CONFERENCE}' jid='{ROOM}'/></message>")

    def assertInvitable(self, client: Client) -> None:
        """Romeo's invitations reach a client."""
        self.invite(client.address.partition("/")[0])
        self.inviteDirectly(client.address)
        self.assertEqual(len(client.received()), 2)
        self.assertNothingReceived(self.romeo)
        # The limits are not meant here.
        self.server.clock.advance(3600)

    def assertRefused(self) -> None:
        """They do not reach Juliet. Romeo sees what they would see if nobody were there."""
        self.invite()
        self.assertNothingReceived()
        self.inviteDirectly("nobody@localhost")
        self.inviteDirectly()
        first, second = self.romeo.received()
        self.assertEqual(first.toXml().replace("nobody", "juliet"), second.toXml())
        self.assertIn("service-unavailable", second.toXml())
        self.assertNothingReceived()
        self.server.clock.advance(3600)

    def test_chosen(self) -> None:
        """Strangers do not get through to who has chosen that, until they choose otherwise; others are invited."""
        self.assertInvitable(self.juliet)
        note = "Only contacts, and users who share a room with you, may invite you to rooms."
        self.assertEqual(self.choose(self.juliet, False), note)
        self.assertRefused()
        self.assertInvitable(self.paris)
        self.romeo.sends("<message to='juliet@localhost'><body>Hello</body></message>")
        self.assertReceived(self.juliet, "a normal body:Hello")
        self.assertEqual(self.choose(self.juliet, True), "Everybody may invite you to rooms.")
        self.assertInvitable(self.juliet)

    def test_contact(self) -> None:
        """Who is in their roster is no stranger; to be in the roster of the one who invites is not enough."""
        self.choose(self.juliet, False)
        for account, contact in (("romeo@localhost", "juliet@localhost"), ("juliet@localhost", "romeo@localhost")):
            self.assertRefused()
            planned = PlannedChange({contact: RosterItem()}, lambda: None)
            self.successResultOf(self.server.rosters.change(account, partial(_returning, planned)))
        self.assertInvitable(self.juliet)

    def test_sharedRoom(self) -> None:
        """Who is in some room with them at the time is no stranger."""
        self.createRoom(self.juliet, to=OTHER)
        self.choose(self.juliet, False)
        self.assertRefused()
        self.enter(self.romeo, to=OTHER)
        self.assertInvitable(self.juliet)
        leave(self.romeo, "Romeo", to=OTHER)
        self.discardReceived()
        self.assertRefused()

    def test_knownRoom(self) -> None:
        """The room invites its members in any case; a user directly does not."""
        self.change(affiliation("juliet@localhost", "member"))
        self.choose(self.juliet, False)
        self.invite()
        self.assertReceived(self.juliet, "room normal invite")
        self.inviteDirectly()
        self.assertNothingReceived(self.juliet)

    def test_declined(self) -> None:
        """What was not sent cannot be declined."""
        self.choose(self.juliet, False)
        self.invite()
        self.juliet.sends(f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'><decline to='{ROOM}/Romeo'/></x></message>")
        self.assertReceived(self.juliet, "room message error cancel item-not-found")
        self.assertNothingReceived()

    def test_restarted(self) -> None:
        """It is kept over a restart."""
        self.choose(self.juliet, False)
        store = self.server.store
        self.successResultOf(self.server.muc.shutDown(False))
        self.startServer(store)
        owner = self.client("owner")
        self.createRoom(owner)
        self.romeo = self.enter("romeo")
        self.logIn()
        self.assertRefused()

    def test_durable(self) -> None:
        """It is answered, and holds, once it is stored; if that fails, nothing has changed."""
        store = DelayedRoomStore()
        store.holding = frozenset(["setPreference"])
        self.openRoom(store)
        execute(self.juliet, NODE, form(NODE, {"strangers": False}), to=HOST, action="complete")
        self.assertNothingReceived()
        self.assertInvitable(self.juliet)
        store.release()
        self.assertReceived(self.juliet, "result q")
        self.assertRefused()
        failing = FailingRoomStore()
        self.openRoom(failing)
        failing.failing = frozenset(["setPreference"])
        execute(self.juliet, NODE, form(NODE, {"strangers": False}), to=HOST, action="complete")
        self.assertReceived(self.juliet, "error q wait internal-server-error")
        self.assertInvitable(self.juliet)

    def test_form(self) -> None:
        """The form shows what was chosen, and is for the users of the host only."""
        for chosen, shown in ((True, "1"), (False, "0")):
            self.choose(self.juliet, chosen)
            execute(self.juliet, NODE, to=HOST)
            x = self.result(self.juliet).child("x", ns.DATA)
            assert x is not None
            self.assertEqual(values(x)["strangers"], [shown])
        sendIQ(self.juliet, "get", f"<query xmlns='{ns.DISCO_ITEMS}' node='{ns.COMMANDS}'/>", to=HOST)
        self.assertIn(NODE, [item.get("node") for item in self.result(self.juliet).childElements()])
