# Copyright (c) The muccore authors. See LICENSE for details.
"""
Tests for L{muccore.muc.entrance}: nothing is announced before it is durable, nothing happens if it cannot be, and what
comes meanwhile has its order.
"""

from __future__ import annotations

from collections.abc import Callable

from muccore import ns
from muccore.interfaces import RoomRecord
from muccore.testing.doubles import WRITES
from muccore.testing.stage import Client
from tests.muc.slow import Slow
from tests.muc.theatre import (
    NAME,
    admin,
    affiliation,
    configure,
    heard,
    join,
    leave,
    owner,
    register,
    role,
    say,
    setSubject,
)

Change = Callable[[Client], None]


def invite(client: Client) -> None:
    """
    Invite somebody, who becomes a member by it.
    """
    client.sends(
        f"<message to='{NAME}' id='q'><x xmlns='{ns.MUC_USER}'><invite to='nurse@localhost'/></x></message>"
    )


CHANGES: dict[str, Change] = {
    "ban": lambda romeo: admin(romeo, affiliation("juliet@localhost", "outcast")),
    "rise": lambda romeo: admin(romeo, affiliation("juliet@localhost", "owner")),
    "fall": lambda romeo: admin(romeo, affiliation("juliet@localhost", "none")),
    "absent": lambda romeo: admin(romeo, affiliation("nurse@localhost", "member")),
    "ban and role": lambda romeo: admin(romeo, affiliation("nurse@localhost", "outcast"), role("Juliet", "none")),
    "name": lambda romeo: configure(romeo, roomname="Orchard"),
    "whois": lambda romeo: configure(romeo, whois="anyone", enablelogging=True),
    "lists": lambda romeo: configure(romeo, roomadmins=["juliet@localhost"]),
    "nick": lambda romeo: register(romeo, "Montague"),
    "destroy": lambda romeo: owner(romeo, "<destroy/>"),
    "subject": lambda romeo: setSubject(romeo, "Love"),
    "invitation": invite,
}
"""Everything that an owner can change in a room in which Juliet is a member."""


class DurableFirstTests(Slow):
    """
    Nothing is announced before the store has answered.
    """

    def test_silence(self) -> None:
        """
        Until the store has answered nobody hears of a change, the one who asked for it included, and nothing of it
        holds; then it is stored before the first one hears of it.
        """
        for name, change in CHANGES.items():
            self.restart()
            before = self.state()
            change(self.romeo)
            self.assertEqual(len(self.store.held), 1, name)
            self.assertEqual(self.state(), before, name)
            self.silent(self.romeo, self.juliet)
            seen: list[RoomRecord | None] = []
            self.watch(seen)
            self.store.release()
            self.assertNotEqual(heard(self.romeo), [], name)
            self.assertNotIn(before[0], seen, name)

    def test_failure(self) -> None:
        """
        If the store fails, who asked is told so, to try again; nothing has changed, nobody else hears anything, and
        the next change goes through.
        """
        for name, change in CHANGES.items():
            self.restart()
            before = self.state()
            change(self.romeo)
            self.failing.failing = WRITES
            self.store.release()
            self.expectError()
            self.silent(self.juliet)
            self.assertEqual(self.state(), before, name)
            self.assertFalse(self.room().gate.closed, name)
            self.failing.failing = frozenset()
            change(self.romeo)
            self.store.release()
            self.assertNotIn("wait internal-server-error", " ".join(heard(self.romeo)), name)
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_failsAtOnce(self) -> None:
        """
        Likewise where the store fails without delay.
        """
        for name, change in CHANGES.items():
            self.restart()
            self.store.holding = frozenset()
            self.failing.failing = WRITES
            before = self.state()
            change(self.romeo)
            self.expectError()
            self.silent(self.juliet)
            self.assertEqual(self.state(), before, name)
            self.assertFalse(self.room().gate.closed, name)

    def test_nothingToStore(self) -> None:
        """
        A change of roles needs no store and waits for none.
        """
        admin(self.romeo, role("Juliet", "visitor"))
        self.hear(self.romeo, "result q", "here Juliet member/visitor as juliet@localhost/a by Romeo")
        self.assertEqual(self.store.held, [])


class MeanwhileTests(Slow):
    """
    What happens while a change is on its way to the disk.
    """

    fields = {}

    def setUp(self) -> None:
        """
        A ban of somebody absent is on its way.
        """
        super().setUp()
        self.nurse = self.client("nurse")
        self.admit((self.nurse, "Nurse"))
        self.quiet(self.romeo, self.juliet)
        admin(self.romeo, affiliation("tybalt@localhost", "outcast"), id="ban")
        self.silent(self.romeo)

    def test_othersTalk(self) -> None:
        """
        Others go on talking, and the actor hears them.
        """
        say(self.juliet, "Hello")
        for client in (self.romeo, self.juliet, self.nurse):
            self.hear(client, "Juliet: Hello")

    def test_othersComeAndGo(self) -> None:
        """
        Others enter, take another nick and leave, without waiting.
        """
        peter = self.client("peter")
        join(peter, "Peter")
        self.assertIn("here Peter none/participant +110 as peter@localhost/a", heard(peter))
        leave(self.nurse, "Nurse")
        self.assertEqual(heard(self.nurse)[-1], "gone Nurse none/none +110 as nurse@localhost/a")
        self.hear(self.juliet, "here Peter none/participant", "gone Nurse none/none")

    def test_othersAsk(self) -> None:
        """
        Others see the lists as they are.
        """
        second = self.client("romeo@localhost/b")
        admin(second, "<item affiliation='outcast'/>", type="get")
        self.assertEqual(list(self.answer(second).childElements()), [])

    def test_ownOrder(self) -> None:
        """
        What the actor sends meanwhile is handled after his change, in order (RFC 6120 §10.1).
        """
        say(self.romeo, "first")
        admin(self.romeo, "<item affiliation='outcast'/>", type="get", id="list")
        self.romeo.sends(f"<presence to='{NAME}/Montague'/>")
        say(self.romeo, "second")
        self.silent(self.romeo, self.juliet)
        self.store.release()
        self.hear(
            self.romeo,
            "room: tybalt@localhost is outcast",
            "result ban",
            "Romeo: first",
            "result list",
            "gone Romeo owner/moderator +303 +110 as romeo@localhost/a now Montague",
            "here Montague owner/moderator +110 as romeo@localhost/a",
            "Montague: second",
        )

    def test_ownOrderAfterFailure(self) -> None:
        """
        The order holds also if the change fails: its error comes first.
        """
        say(self.romeo, "first")
        admin(self.romeo, affiliation("juliet@localhost", "admin"), id="second")
        admin(self.romeo, "<item affiliation='outcast'/>", type="get", id="third")
        self.failing.failing = WRITES
        self.store.release()
        self.hear(self.romeo, "error ban wait internal-server-error", "Romeo: first")
        self.store.release()
        self.hear(self.romeo, "error second wait internal-server-error", "result third")

    def test_otherChangesWait(self) -> None:
        """
        Another change waits, and is decided on what this one has left.
        """
        second = self.client("romeo@localhost/b")
        admin(second, affiliation("tybalt@localhost", "member", nick="Tybalt"), id="other")
        self.assertEqual(self.store.held, ["change"])
        self.store.release(1)
        self.assertEqual(self.store.held, ["change"])
        self.silent(second)
        self.store.release()
        self.hear(second, "result other")
        self.assertEqual(self.stored()["tybalt@localhost"], "member")

    def test_lastOwnerTwice(self) -> None:
        """
        Two owners who step down at the same time do not leave a room without one.
        """
        self.store.release()
        admin(self.romeo, affiliation("juliet@localhost", "owner"))
        self.store.release()
        self.quiet(self.romeo, self.juliet)
        admin(self.romeo, affiliation("romeo@localhost", "none"), id="down")
        admin(self.juliet, affiliation("juliet@localhost", "none"), id="down")
        self.silent(self.romeo, self.juliet)
        self.store.release()
        self.assertIn("result down", heard(self.romeo))
        self.assertEqual(heard(self.juliet)[-1], "error down cancel conflict")
        self.assertEqual(self.stored()["juliet@localhost"], "owner")

    def test_actorFalls(self) -> None:
        """
        One who has lost his rights by the change that he waited for has none.
        """
        self.store.release()
        admin(self.romeo, affiliation("juliet@localhost", "admin"))
        self.store.release()
        self.quiet(self.romeo, self.juliet)
        admin(self.romeo, affiliation("juliet@localhost", "none"), id="down")
        admin(self.juliet, affiliation("nurse@localhost", "outcast"), id="ban")
        self.store.release()
        self.assertEqual(heard(self.juliet)[-1], "error ban auth forbidden")
        self.assertNotIn("nurse@localhost", self.stored())

    def test_subjectWaits(self) -> None:
        """
        A subject is stored too, so that it waits for the change before it, and what its author says next waits for
        it.
        """
        configure(self.romeo, changesubject=True)
        self.store.release(1)
        self.store.release()
        self.quiet(self.romeo, self.juliet, self.nurse)
        admin(self.romeo, affiliation("x@localhost", "outcast"))
        setSubject(self.juliet, "Balcony")
        say(self.juliet, "Look")
        self.silent(self.juliet, self.nurse)
        self.store.release(1)
        self.silent(self.juliet, self.nurse)
        self.store.release()
        self.hear(self.nurse, 'subject "Balcony"', "Juliet: Look")

    def test_actorLeaves(self) -> None:
        """
        The actor's leave waits for his change; he has his result, then he is out.
        """
        leave(self.romeo, "Romeo")
        self.silent(self.romeo, self.juliet)
        self.store.release()
        self.hear(
            self.romeo,
            "room: tybalt@localhost is outcast",
            "result ban",
            "gone Romeo owner/none +110 as romeo@localhost/a",
        )
        self.hear(self.juliet, "gone Romeo owner/none")

    def test_actorVanishes(self) -> None:
        """
        An actor whose connection is lost goes when his change is done, which holds.
        """
        self.romeo.vanishes()
        self.silent(self.juliet)
        self.store.release()
        self.hear(self.juliet, "gone Romeo owner/none")
        self.assertEqual(self.stored()["tybalt@localhost"], "outcast")

    def test_actorReplaced(self) -> None:
        """
        A new session under the actor's full JID waits behind what the old one has left behind: the room sees the old
        one go, then the new one come.
        """
        again = self.client("romeo@localhost/a")
        self.assertEqual([error.condition for error in self.romeo.closed if error is not None], ["conflict"])
        join(again, "Romeo")
        self.silent(self.juliet)
        self.store.release()
        self.hear(self.juliet, "gone Romeo owner/none", "here Romeo owner/moderator")
        self.assertEqual(
            [line for line in heard(again) if "Romeo" in line],
            ["here Romeo owner/moderator +110 as romeo@localhost/a"],
        )
        say(self.juliet, "Welcome")
        self.hear(again, "Juliet: Welcome")

    def test_targetGoes(self) -> None:
        """
        One who is banned while he is in, and leaves before it is durable, leaves of his own accord; then he is out
        for good.
        """
        self.store.release()
        self.quiet(self.romeo, self.juliet, self.nurse)
        admin(self.romeo, affiliation("nurse@localhost", "outcast"))
        leave(self.nurse, "Nurse")
        self.hear(self.nurse, "gone Nurse none/none +110 as nurse@localhost/a")
        self.store.release()
        self.hear(
            self.romeo,
            "gone Nurse none/none as nurse@localhost/a",
            "room: nurse@localhost is outcast",
            "result q",
        )
        self.hear(self.juliet, "gone Nurse none/none")
        join(self.nurse, "Nurse")
        self.hear(self.nurse, "refused Nurse auth forbidden")

    def test_strangerComes(self) -> None:
        """
        Who enters while the room becomes members-only is put out with the others, with 322.
        """
        self.store.release()
        configure(self.romeo, membersonly=True)
        peter = self.client("peter")
        self.admit((peter, "Peter"))
        self.quiet(self.juliet)
        self.store.release()
        self.hear(peter, "gone Peter none/none +322 +110 as peter@localhost/a")
        self.hear(
            self.juliet, "gone Nurse none/none +322", "gone Peter none/none +322", "room: +104"
        )
