# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.protocol.base}: changes are stored before they are announced; what comes meanwhile keeps its
order.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.python.failure import Failure

from muccore.interfaces import Affiliate
from muccore.muc.model.privilegechanges import PrivilegeChange
from muccore.testing.doubles import WRITES
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from muccore.xmpp.errors import StanzaError
from tests.muc.muchelpers import (
    ROOM,
    affiliation,
    configure,
    deliveryOrder,
    join,
    leave,
    register,
    role,
    say,
    sendAdmin,
    sendIQ,
    sendOwner,
    setSubject,
    summaries,
)
from tests.muc.slowstore import SlowStoreTestCase


def invite(client: Client) -> None:
    """Invite somebody, who becomes a member by that."""
    client.sends(f"<message to='{ROOM}' id='q'><x xmlns='{ns.MUC_USER}'><invite to='nurse@localhost'/></x></message>")


CHANGES: dict[str, Callable[[Client], None]] = {
    "ban": lambda romeo: sendAdmin(romeo, affiliation("juliet@localhost", "outcast")),
    "rise": lambda romeo: sendAdmin(romeo, affiliation("juliet@localhost", "owner")),
    "fall": lambda romeo: sendAdmin(romeo, affiliation("juliet@localhost", "none")),
    "absent": lambda romeo: sendAdmin(romeo, affiliation("nurse@localhost", "member")),
    "ban and role": lambda romeo: sendAdmin(romeo, affiliation("nurse@localhost", "outcast"), role("Juliet", "none")),
    "name": lambda romeo: configure(romeo, roomname="Orchard"),
    "whois": lambda romeo: configure(romeo, whois="anyone", enablelogging=True),
    "lists": lambda romeo: configure(romeo, roomadmins=["juliet@localhost"]),
    "nick": lambda romeo: register(romeo, "Montague"),
    "destroy": lambda romeo: sendOwner(romeo, "<destroy/>"),
    "subject": lambda romeo: setSubject(romeo, "Love"),
    "invitation": invite,
    "vCard": lambda romeo: sendIQ(romeo, "set", "<vCard xmlns='vcard-temp'><FN>Garden</FN></vCard>"),
}
"""Everything that an owner can change in a room in which Juliet is a member."""


class DurableFirstTests(SlowStoreTestCase):
    """Nothing is announced before it is stored."""

    def test_silence(self) -> None:
        """
        Until the store has answered nobody is informed of a change, not even its sender, and nothing of it holds; then
        it is stored before the first stanza goes out.
        """
        for name, change in CHANGES.items():
            self.setUp()
            before = self.state()
            change(self.romeo)
            self.assertEqual(len(self.store.held), 1, name)
            self.assertEqual(self.state(), before, name)
            self.assertNothingReceived(self.romeo, self.juliet)
            seen = self.recordsOnDelivery()
            self.store.release()
            self.assertNotEqual(summaries(self.romeo), [], name)
            self.assertNotIn(before[0], seen, name)

    def test_failure(self) -> None:
        """
        If the store fails, the sender is told to try again; nothing has changed, nobody else is informed, and the next
        change succeeds.
        """
        for name, change in CHANGES.items():
            self.setUp()
            before = self.state()
            change(self.romeo)
            self.failing.failing = WRITES
            self.store.release()
            self.assertStoreError()
            self.assertNothingReceived(self.juliet)
            self.assertEqual(self.state(), before, name)
            self.assertFalse(self.room().changeQueue.changing, name)
            self.failing.failing = frozenset()
            change(self.romeo)
            self.store.release()
            self.assertNotIn("wait internal-server-error", " ".join(summaries(self.romeo)), name)

    def test_failsAtOnce(self) -> None:
        """So it is where the store fails without delay."""
        for name, change in CHANGES.items():
            self.setUp()
            self.store.holding = frozenset()
            self.failing.failing = WRITES
            before = self.state()
            change(self.romeo)
            self.assertStoreError()
            self.assertNothingReceived(self.juliet)
            self.assertEqual(self.state(), before, name)
            self.assertFalse(self.room().changeQueue.changing, name)

    def test_nothingToStore(self) -> None:
        """A change of roles that takes no voice is not stored and does not wait."""
        sendAdmin(self.romeo, role("Juliet", "moderator"))
        self.assertReceived(self.romeo, "result q", "Juliet available member/moderator jid=juliet@localhost/a by=Romeo")
        self.assertEqual(self.store.held, [])


class MeanwhileTests(SlowStoreTestCase):
    """What happens while a change is being stored."""

    fields = {}

    def setUp(self) -> None:
        """A ban of an absent user is being stored."""
        super().setUp()
        self.nurse = self.client("nurse")
        self.enter(self.nurse)
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"), id="ban")
        self.assertNothingReceived(self.romeo)

    def test_othersTalk(self) -> None:
        """Others speak, and the actor receives it."""
        say(self.juliet, "Hello")
        for client in (self.romeo, self.juliet, self.nurse):
            self.assertReceived(client, "Juliet groupchat body:Hello")

    def test_othersComeAndGo(self) -> None:
        """Others enter and leave without waiting."""
        peter = self.client("peter")
        join(peter, "Peter")
        self.assertIn("Peter available none/participant jid=peter@localhost/a 110", summaries(peter))
        leave(self.nurse, "Nurse")
        self.assertEqual(summaries(self.nurse)[-1], "Nurse unavailable none/none jid=nurse@localhost/a 110")
        self.assertReceived(self.juliet, "Peter available none/participant", "Nurse unavailable none/none")

    def test_othersAsk(self) -> None:
        """Others receive lists as they are."""
        second = self.client("romeo/b")
        sendAdmin(second, "<item affiliation='outcast'/>", type="get")
        self.assertEqual(list(self.result(second).childElements()), [])

    def test_ownOrder(self) -> None:
        """What the actor sends meanwhile is handled after the change, in order (RFC 6120 §10.1)."""
        say(self.romeo, "first")
        sendAdmin(self.romeo, "<item affiliation='outcast'/>", type="get", id="list")
        self.romeo.sends(f"<presence to='{ROOM}/Montague'/>")
        say(self.romeo, "second")
        self.assertNothingReceived(self.romeo, self.juliet)
        self.store.release()
        self.assertReceived(
            self.romeo,
            "room normal item tybalt@localhost outcast 301",
            "result ban",
            "Romeo groupchat body:first",
            "result list",
            "Romeo unavailable owner/moderator jid=romeo@localhost/a nick=Montague 303 110",
            "Montague available owner/moderator jid=romeo@localhost/a 110",
            "Montague groupchat body:second",
        )

    def test_ownOrderAfterFailure(self) -> None:
        """The order holds also if the change fails: its error comes first."""
        say(self.romeo, "first")
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"), id="second")
        sendAdmin(self.romeo, "<item affiliation='outcast'/>", type="get", id="third")
        self.failing.failing = WRITES
        self.store.release()
        self.assertReceived(self.romeo, "error ban wait internal-server-error", "Romeo groupchat body:first")
        self.store.release()
        self.assertReceived(self.romeo, "error second wait internal-server-error", "result third")

    def test_otherChangesWait(self) -> None:
        """Another change waits, and is decided on the state that this one leaves."""
        second = self.client("romeo/b")
        sendAdmin(second, affiliation("tybalt@localhost", "member", nick="Tybalt"), id="other")
        self.assertEqual(self.store.held, ["change"])
        self.store.release(1)
        self.assertEqual(self.store.held, ["change"])
        self.assertNothingReceived(second)
        self.store.release()
        self.assertReceived(second, "result other")
        self.assertEqual(self.storedAffiliations()["tybalt@localhost"], "member")

    def test_lastOwnerTwice(self) -> None:
        """Two owners who resign at the same time do not leave a room without one."""
        self.store.release()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "owner"))
        self.store.release()
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("romeo@localhost", "none"), id="down")
        sendAdmin(self.juliet, affiliation("juliet@localhost", "none"), id="down")
        self.assertNothingReceived(self.romeo, self.juliet)
        self.store.release()
        self.assertIn("result down", summaries(self.romeo))
        self.assertEqual(summaries(self.juliet)[-1], "error down cancel conflict")
        self.assertEqual(self.storedAffiliations()["juliet@localhost"], "owner")

    def test_actorFalls(self) -> None:
        """An actor demoted by the change they waited for is refused."""
        self.store.release()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.store.release()
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "none"), id="down")
        sendAdmin(self.juliet, affiliation("nurse@localhost", "outcast"), id="ban")
        self.store.release()
        self.assertEqual(summaries(self.juliet)[-1], "error ban auth forbidden")
        self.assertNotIn("nurse@localhost", self.storedAffiliations())

    def test_subjectWaits(self) -> None:
        """A change of subject is stored too: it waits, and what its sender says next waits for it."""
        configure(self.romeo, changesubject=True)
        self.store.release(1)
        self.store.release()
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("x@localhost", "outcast"))
        setSubject(self.juliet, "Balcony")
        say(self.juliet, "Look")
        self.assertNothingReceived(self.juliet, self.nurse)
        self.store.release(1)
        self.assertNothingReceived(self.juliet, self.nurse)
        self.store.release()
        self.assertReceived(self.nurse, "Juliet groupchat subject:Balcony", "Juliet groupchat body:Look")

    def test_actorLeaves(self) -> None:
        """The actor's leave waits for the change: its result comes first."""
        leave(self.romeo, "Romeo")
        self.assertNothingReceived(self.romeo, self.juliet)
        self.store.release()
        self.assertReceived(
            self.romeo,
            "room normal item tybalt@localhost outcast 301",
            "result ban",
            "Romeo unavailable owner/none jid=romeo@localhost/a 110",
        )
        self.assertReceived(self.juliet, "Romeo unavailable owner/none")

    def test_actorVanishes(self) -> None:
        """An actor whose connection is lost leaves when the change is stored, which holds."""
        self.romeo.dropConnection()
        self.assertNothingReceived(self.juliet)
        self.store.release()
        self.assertReceived(self.juliet, "Romeo unavailable owner/none")
        self.assertEqual(self.storedAffiliations()["tybalt@localhost"], "outcast")

    def test_actorReplaced(self) -> None:
        """
        A new session under the actor's full JID waits for the old one: the room sees the old one leave, then the new
        one enter.
        """
        again = self.client("romeo/a")
        self.assertEqual([error.condition for error in self.romeo.closed if error is not None], ["conflict"])
        join(again, "Romeo")
        self.assertNothingReceived(self.juliet)
        self.store.release()
        self.assertReceived(self.juliet, "Romeo unavailable owner/none", "Romeo available owner/moderator")
        self.assertEqual(
            [line for line in summaries(again) if "Romeo" in line],
            ["Romeo available owner/moderator jid=romeo@localhost/a 110"],
        )
        say(self.juliet, "Welcome")
        self.assertReceived(again, "Juliet groupchat body:Welcome")

    def test_targetGoes(self) -> None:
        """Whoever leaves before their ban is stored leaves of their own accord; afterwards they cannot enter."""
        self.store.release()
        self.discardReceived()
        sendAdmin(self.romeo, affiliation("nurse@localhost", "outcast"))
        leave(self.nurse, "Nurse")
        self.assertReceived(self.nurse, "Nurse unavailable none/none jid=nurse@localhost/a 110")
        self.store.release()
        self.assertReceived(
            self.romeo,
            "Nurse unavailable none/none jid=nurse@localhost/a",
            "room normal item nurse@localhost outcast 301",
            "result q",
        )
        self.assertReceived(self.juliet, "Nurse unavailable none/none")
        join(self.nurse, "Nurse")
        self.assertReceived(self.nurse, "Nurse presence error auth forbidden")

    def test_strangerComes(self) -> None:
        """Whoever enters while the room becomes members-only is removed with the others, with 322."""
        self.store.release()
        configure(self.romeo, membersonly=True)
        peter = self.client("peter")
        self.enter(peter)
        self.store.release()
        self.assertReceived(peter, "Peter unavailable none/none jid=peter@localhost/a 322 110")
        self.assertReceived(
            self.juliet, "Nurse unavailable none/none 322", "Peter unavailable none/none 322", "room groupchat 104"
        )

    def test_bannedEnters(self) -> None:
        """Whoever enters while their ban is being stored is removed by it, before the others are informed."""
        self.store.release()
        sendAdmin(self.romeo, affiliation("peter@localhost", "outcast"))
        peter = self.enter("peter")
        order = deliveryOrder(peter, self.juliet)
        self.store.release()
        self.assertReceived(peter, "Peter unavailable outcast/none jid=peter@localhost/a by=Romeo 301 110")
        self.assertReceived(self.juliet, "Peter unavailable outcast/none by=Romeo 301")
        self.assertEqual(order, ["peter@localhost/a presence", "juliet@localhost/a presence"])

    def test_targetReplaced(self) -> None:
        """A role waiting with a stored change is not given to somebody who has taken the nick meanwhile."""
        self.store.release()
        sendAdmin(self.romeo, affiliation("x@localhost", "outcast"), role("Nurse", "none"))
        leave(self.nurse, "Nurse")
        peter = self.enter("peter", "Nurse")
        self.store.release()
        self.assertNothingReceived(peter, self.juliet)


class ServiceTests(SlowStoreTestCase):
    """Changes by the service itself."""

    def change(self, count: int = 1) -> list[object]:
        """Take Juliet's membership as the service, several times; return what has come of each so far."""
        outcomes: list[object] = []

        def plan() -> PrivilegeChange:
            entry = self.room().affiliations.entry("juliet@localhost")
            reason = f"was {entry and entry.affiliation}"
            return PrivilegeChange(affiliates={"juliet@localhost": None}, reasons={"juliet@localhost": reason})

        for _ in range(count):
            self.server.muc.changeByService(self.room(), plan).addBoth(outcomes.append)
        return outcomes

    def test_announced(self) -> None:
        """It is announced without an actor once it is durable; those after it are planned on its result."""
        outcomes = self.change(2)
        self.assertNothingReceived()
        self.store.release()
        self.assertEqual(outcomes, [None])
        self.assertReceived(
            self.juliet, "Juliet unavailable none/none jid=juliet@localhost/a reason=was member 321 110"
        )
        self.assertReceived(self.romeo, "Juliet unavailable none/none jid=juliet@localhost/a reason=was member 321")
        self.assertEqual(self.storedAffiliations(), {"romeo@localhost": "owner"})
        self.store.release()
        self.assertEqual(outcomes, [None, None])
        self.assertReceived(self.romeo, "room normal item juliet@localhost none reason=was None")

    def test_queued(self) -> None:
        """It waits for changes before it, and those after it wait for it."""
        sendAdmin(self.romeo, affiliation("juliet@localhost", "admin"))
        outcomes = self.change()
        sendAdmin(self.romeo, affiliation("juliet@localhost", "owner"), id="r")
        self.store.release()
        self.discardReceived()
        self.assertEqual((outcomes, self.store.held), ([], ["change"]))
        self.store.release()
        self.assertIn("reason=was admin", summaries(self.romeo)[0])
        self.assertEqual((len(outcomes), self.store.held), (1, ["change"]))
        self.store.release()
        self.assertEqual(self.storedAffiliations()["juliet@localhost"], "owner")

    def test_fails(self) -> None:
        """If the store fails, nothing has changed, and the caller is told."""
        self.failing.failing = frozenset(["change"])
        outcomes = self.change()
        self.store.release()
        [failure] = outcomes
        assert isinstance(failure, Failure)
        self.assertEqual(failure.trap(StanzaError), StanzaError)
        self.assertNothingReceived()
        self.assertEqual(self.room().affiliations.entry("juliet@localhost"), Affiliate("member"))

    def test_ended(self) -> None:
        """Nothing happens in a room that has ended meanwhile."""
        sendOwner(self.romeo, "<destroy/>")
        outcomes = self.change()
        self.store.release()
        self.assertEqual((outcomes, self.store.held), ([None], []))
        self.assertIsNone(self.record())
