# Copyright (c) The muccore authors. See LICENSE for details.
"""Tests for L{muccore.muc.protocol.access}: which changes of a room are committed side by side, and which wait."""

from __future__ import annotations

from collections.abc import Callable

from muccore.muc.model import affiliations
from muccore.testing.inmemory import Client
from muccore.xmpp import ns
from tests.muc.muchelpers import (
    ROOM,
    affiliation,
    configure,
    execute,
    form,
    register,
    role,
    say,
    sendAdmin,
    sendIQ,
    setSubject,
    summaries,
)
from tests.muc.slowstore import SlowStoreTestCase


def invite(client: Client, whom: str) -> None:
    """Invite a user."""
    client.sends(f"<message to='{ROOM}'><x xmlns='{ns.MUC_USER}'><invite to='{whom}'/></x></message>")


def retract(client: Client) -> None:
    """Retract an unknown message."""
    client.sends(
        f"<message type='groupchat' to='{ROOM}' id='q'><retract xmlns='{ns.RETRACT}' id='1'/><body>r</body></message>"
    )


class AccessTestCase(SlowStoreTestCase):
    """An open room with Romeo, its owner, Juliet, a member, and Nurse, an admin."""

    fields = {"changesubject": True}

    def setUp(self) -> None:
        super().setUp()
        self.store.holding = frozenset()
        self.nurse = self.client("nurse")
        sendAdmin(self.romeo, affiliation("nurse@localhost", "admin"))
        self.enter(self.nurse)
        self.discardReceived()
        self.store.holding = frozenset(("save", "change", "destroy"))

    def together(self, *changes: Callable[[], object]) -> int:
        """Request changes; return how many of them are on their way to the store at the same time."""
        for change in changes:
            change()
        held = len(self.store.held)
        while self.store.held:
            self.store.release()
        self.assertFalse(self.room().changeQueue.changing)
        self.discardReceived()
        return held


class IndependentTests(AccessTestCase):
    """Which changes are committed together."""

    def test_together(self) -> None:
        """Those of different users, nicks and kinds are."""
        held = self.together(
            lambda: sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast")),
            lambda: sendAdmin(self.nurse, affiliation("paris@localhost", "member")),
            lambda: register(self.juliet, "Capulet"),
            lambda: register(self.client("peter"), "Peter"),
            lambda: setSubject(self.enter("balthasar"), "Balcony"),
        )
        self.assertEqual(held, 5)

    def test_sameUser(self) -> None:
        """Those of one user are not, whoever requests them, from whichever session; nor are those of their domain."""
        for change in (
            lambda: register(self.client("juliet/b"), "Jule"),
            lambda: sendAdmin(self.romeo, affiliation("juliet@localhost", "outcast")),
            lambda: sendAdmin(self.romeo, "<item nick='Juliet' affiliation='owner'/>"),
            lambda: sendAdmin(self.romeo, affiliation("localhost", "member")),
        ):
            self.setUp()
            self.assertEqual(self.together(lambda: register(self.juliet, "Capulet"), change), 1)

    def test_sameNick(self) -> None:
        """Of two who want one nick, in any spelling, one gets it."""
        peter = self.client("peter")
        register(self.juliet, "Capulet")
        register(peter, "CAPULET")
        self.assertEqual(len(self.store.held), 1)
        self.store.release()
        self.assertReceived(peter, "error q cancel conflict")

    def test_lookalikes(self) -> None:
        """Nor do two get nicks that look alike."""
        self.store.holding = frozenset()
        configure(self.romeo, **{"x-muc#roomconfig_refuselookalikes": True})
        self.assertTrue(self.room().settings.refuseLookalikes)
        self.store.holding = frozenset(("change",))
        register(self.juliet, "paypal")
        peter = self.client("peter")
        register(peter, "pаypal")
        self.assertEqual(len(self.store.held), 1)
        self.store.release()
        self.assertReceived(peter, "error q cancel conflict")

    def test_owners(self) -> None:
        """Owners who demote each other wait; so do changes of several users, of which the list must hold all."""
        self.together(lambda: sendAdmin(self.romeo, affiliation("nurse@localhost", "owner")))
        down = [lambda: sendAdmin(self.romeo, affiliation("nurse@localhost", "none"))]
        down.append(lambda: sendAdmin(self.nurse, affiliation("romeo@localhost", "none")))
        self.assertEqual(self.together(*down), 1)
        many = [affiliation(f"{name}@localhost", "member") for name in "abcd"]
        both = [lambda: sendAdmin(self.romeo, *many[:2]), lambda: sendAdmin(self.client("romeo/b"), *many[2:])]
        self.assertEqual(self.together(*both), 1)

    def test_nearlyFull(self) -> None:
        """In a room whose list is nearly full, one at a time takes a place; the list does not become too long."""
        self.patch(affiliations, "LIMIT", 4)
        peter = self.client("peter")
        register(self.client("paris"), "Paris")
        register(peter, "Peter")
        self.assertEqual(len(self.store.held), 1)
        self.store.release()
        self.assertReceived(peter, "error q wait resource-constraint")

    def test_wholeRoom(self) -> None:
        """A configuration and a command wait for all others, and all others for them."""
        for change in (
            lambda: configure(self.romeo, roomname="Orchard"),
            lambda: sendIQ(self.romeo, "set", "<vCard xmlns='vcard-temp'><FN>Garden</FN></vCard>"),
        ):
            self.assertEqual(self.together(lambda: register(self.juliet, None), change), 1)
            self.assertEqual(self.together(change, lambda: register(self.juliet, "Capulet")), 1)
        execute(self.romeo, "urn:xmpp:hats:commands:create")
        self.assertEqual(self.store.held, [])

    def test_invitations(self) -> None:
        """In a members-only room an invitation makes a member, one change at a time of the same user."""
        self.store.holding = frozenset()
        configure(self.romeo, membersonly=True, allowinvites=True)
        self.store.holding = frozenset(("change",))
        self.assertEqual(
            self.together(
                lambda: invite(self.juliet, "peter@localhost"),
                lambda: setSubject(self.nurse, "s"),
                lambda: invite(self.client("romeo/b"), "peter@localhost"),
            ),
            2,
        )
        self.assertEqual(self.storedAffiliations()["peter@localhost"], "member")

    def test_requests(self) -> None:
        """Where admins approve members, one after the other asks, so that not too many wait."""
        self.store.holding = frozenset()
        configure(self.romeo, **{"x-muc#roomconfig_selfregistration": "approval"})
        self.store.holding = frozenset(("change",))
        peter, paris = self.login("peter", "paris")
        self.assertEqual(self.together(lambda: register(peter, "Peter"), lambda: register(paris, "Paris")), 1)

    def test_malformed(self) -> None:
        """What is malformed is refused at once or in its turn, as ever."""
        register(self.juliet, "Capulet")
        sendAdmin(self.romeo, "<item jid='@' affiliation='member'/>")
        self.assertReceived(self.romeo, "error q modify jid-malformed")
        sendAdmin(self.romeo, "<item nick='Nobody' role='none'/>")
        self.assertReceived(self.romeo, "error q cancel item-not-found")
        nurse = self.nurse
        register(nurse, "\u200b")
        self.assertReceived(nurse, "error q modify not-acceptable")
        invite(nurse, "@")
        self.assertReceived(nurse, "room message error modify jid-malformed")

    def test_retractions(self) -> None:
        """Retractions wait for each other only."""
        setSubject(self.romeo, "s")
        retract(self.juliet)
        self.assertIn("item-not-found", summaries(self.juliet)[0])

    def test_failure(self) -> None:
        """A change that the store refuses concerns no other: each has its own answer, and the list only what holds."""
        register(self.juliet, "Capulet")
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"))
        self.failing.failing = frozenset(("change",))
        self.store.release(1)
        self.failing.failing = frozenset()
        self.assertReceived(self.juliet, "error q wait internal-server-error")
        self.store.release()
        self.assertIn("result q", summaries(self.romeo))
        self.assertEqual(self.storedAffiliations()["tybalt@localhost"], "outcast")
        self.assertEqual(self.storedNicks(), {})


class UrgentTests(AccessTestCase):
    """What moderators do does not wait behind what others have waiting."""

    def test_kick(self) -> None:
        """
        A kick does not wait for others at all. For a change of the same user that is being committed it does, but for
        none of those which that user has waiting, from whatever sessions.
        """
        sessions = [self.client(f"juliet/{each}") for each in "bcde"]
        for client in (self.juliet, *sessions):
            for name in ("Capulet", "Montague"):
                register(client, name)
        peter = self.enter("peter")
        sendAdmin(self.nurse, role("Peter", "none"), id="1")
        self.assertIn("result 1", summaries(self.nurse))
        self.assertReceived(peter, "Peter unavailable none/none jid=peter@localhost/a by=Nurse 307 110")
        sendAdmin(self.nurse, role("Juliet", "none"), id="2")
        self.assertNothingReceived(self.nurse)
        self.store.release(1)
        self.assertIn("result 2", summaries(self.nurse))
        self.assertNotIn("Juliet", self.room().occupants)

    def test_configuration(self) -> None:
        """A configuration waits for what is being committed; nothing that others send meanwhile goes before it."""
        register(self.juliet, "Capulet")
        configure(self.romeo, roomname="Orchard", id="c")
        setSubject(self.enter("peter"), "s")
        self.assertEqual(len(self.store.held), 1)
        self.store.release()
        self.assertEqual(len(self.store.held), 1)
        self.store.release()
        self.assertIn("result c", summaries(self.romeo))
        self.assertEqual(len(self.store.held), 1)

    def test_voice(self) -> None:
        """So does the approval of a request for voice. Who is no moderator is refused at once."""
        register(self.juliet, "Capulet")
        values = {"muc#role": "participant", "muc#roomnick": "Juliet", "muc#request_allow": True}
        payload = f"<message to='{ROOM}'>{form(ns.MUC_REQUEST, values)}</message>"
        peter = self.enter("peter")
        peter.sends(payload)
        self.assertReceived(peter, "room message error auth forbidden")
        self.nurse.sends(payload)
        say(self.nurse, "later")
        self.assertNothingReceived(self.nurse)
        self.store.release()
        self.assertReceived(self.nurse, "Nurse groupchat body:later")

    def test_answeredOnce(self) -> None:
        """One who changes the subject as fast as they can delays nobody, and has one change in flight."""
        peter = self.enter("peter")
        for number in range(50):
            setSubject(peter, str(number))
        self.assertEqual(self.store.held, ["change"])
        sendAdmin(self.romeo, affiliation("tybalt@localhost", "outcast"))
        self.assertEqual(self.store.held, ["change", "change"])
        self.store.release()
        self.assertIn("result q", summaries(self.romeo))
        while self.store.held:
            self.store.release()
        subjects = [line for line in summaries(self.juliet) if "subject" in line]
        self.assertEqual(subjects, [f"Peter groupchat subject:{number}" for number in range(50)])


