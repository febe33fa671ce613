# Copyright (c) The muccore authors. See LICENSE for details.
"""
What becomes of a request when a store fails, waits or dies at any point on the way: whoever has requested it gets the
error, nobody is told of anything that is not durable, and everything goes on when the store does.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from muccore.routing.loading import FIRST_PAUSE
from muccore.storage.registry import KINDS
from muccore.testing.faults import CERTAIN, Fault, writesOf
from muccore.xmpp import ns
from tests.server.faultyserver import FaultyServer
from tests.server.storeacts import ACTS, ROOM, Act, iq, join, room

ERROR: Final = " internal-server-error wait"

ELSEWHERE: Final = {
    # Made by muccorectl.
    "archive.deleteUnopened", "accounts.createWithKeys",
    # At the end and at the start: tests.server.test_assembly.
    "occupants.saveSessions", "occupants.takeSessions",
    # Over HTTP: tests.http.upload.test_resource.
    "uploads.create",
    # During a log-in: tests.stream.sasl2.test_upgrade.
    "accounts.addKeys",
}  # fmt: skip
"""The writes that are not made by those who are logged in."""

Received = dict[str, list[str]]


class StoreFaultTests(SynchronousTestCase):
    """
    Each act of L{ACTS}, with a fault at each of its requests to stores.

    @ivar made: the requests that were made.
    """

    def setUp(self) -> None:
        self.made: set[str] = set()

    def begin(self, act: Act) -> FaultyServer:
        """Start a server, and prepare an act."""
        server = FaultyServer()
        self.successResultOf(server.opened)
        act.prepare(server)
        server.client(act.by)
        server.received()
        return server

    def do(self, act: Act, server: FaultyServer) -> Received:
        """Do it; return what everybody is told."""
        act.do(server)
        server.settle()
        self.made.update(server.faults.requests)
        return server.received()

    def undisturbed(self, act: Act) -> tuple[list[str], Received]:
        """The requests to stores of an act, and what everybody is told."""
        server = self.begin(act)
        server.faults.arm()
        received = self.do(act, server)
        return server.faults.requests, received

    def isRefused(self, act: Act, requests: list[str], position: int, count: int | None) -> bool:
        """Whether an act is refused if some of its requests fail."""
        failing = requests[position : None if count is None else position + count]
        done = act.certain is not None and position >= act.certain
        return not done and any(request not in act.unnoticed for request in failing)

    def assertPart(self, act: Act, received: Received, normal: Received) -> None:
        """What people are told of an act is part of what they are told otherwise, and nobody is refused it."""
        for user, lines in received.items():
            self.assertEqual(Counter(lines) - Counter(normal.get(user, [])), Counter(), (act.name, user))

    def assertRefused(self, act: Act, received: Received) -> None:
        """Whoever requested it gets the error, and nobody is told anything else."""
        self.assertEqual((list(received), len(received.get(act.by, []))), ([act.by], 1), (act.name, received))
        self.assertTrue(received[act.by][0].endswith(ERROR), (act.name, received))

    def assertUnchanged(self, act: Act, server: FaultyServer, before: dict[str, str]) -> None:
        """The stores have what they had."""
        after = server.stored()
        # Places of occupants are no requests.
        changed = {kind for kind in after if after[kind] != before[kind] and kind != "occupants"}
        self.assertEqual(changed - act.stays, set(), act.name)

    def assertUsable(self, server: FaultyServer) -> None:
        """The nurse can use the server."""
        server.clients.pop("nurse", None)
        ping = iq("get", f"<ping xmlns='{ns.PING}'/>", "")
        server.send("nurse", join("nurse", "other@conference.localhost"), ping)
        self.assertIn("iq result from=nurse@localhost", server.received()["nurse"])

    def test_fails(self) -> None:
        """
        A store fails from one request on, or just once: if that matters, the act is refused, nobody hears of it, and it
        is done when it is requested again and the stores are healed. If not, nobody notices. That is so for every write
        that the interfaces of stores have.
        """
        for act in ACTS:
            requests, normal = self.undisturbed(act)
            # One at which it was refused is as it was.
            server = self.begin(act)
            before = server.stored()
            for position in range(len(requests)):
                for count in (None, 1):
                    server.faults.arm(Fault.FAIL, position, count)
                    received = self.do(act, server)
                    refused = self.isRefused(act, requests, position, count)
                    if refused:
                        self.assertRefused(act, received)
                        self.assertUnchanged(act, server, before)
                    elif act.certain is None:
                        self.assertEqual(received, normal, (act.name, position))
                    else:
                        self.assertPart(act, received, normal)
                    server.faults.heal()
                    server.settle()
                    self.assertEqual(server.received() if refused else {}, {})
                    if not refused or act.stays:
                        self.assertUsable(server)
                        server = self.begin(act)
                        before = server.stored()
            self.assertEqual(self.do(act, server), normal, act.name)
        writes = {f"{kind}.{name}" for kind in KINDS for name in writesOf(kind) - CERTAIN.get(kind, frozenset())}
        self.assertEqual(writes - self.made - ELSEWHERE, set(), "writes that no act makes")

    def test_waits(self) -> None:
        """Nobody is told of anything before it is durable; then everybody is told what they are told otherwise."""
        for act in ACTS:
            requests, normal = self.undisturbed(act)
            for position in range(len(requests)):
                server = self.begin(act)
                server.faults.arm(Fault.WAIT, position)
                received = self.do(act, server)
                if self.isRefused(act, requests, position, None):
                    self.assertEqual(received, {}, (act.name, position))
                else:
                    self.assertPart(act, received, normal)
                server.faults.heal()
                server.settle()
                for user, lines in server.received().items():
                    received[user] = [*received.get(user, []), *lines]
                self.assertEqual(
                    {user: Counter(lines) for user, lines in received.items()},
                    {user: Counter(lines) for user, lines in normal.items()},
                    (act.name, position),
                )
                self.assertUsable(server)

    def test_dies(self) -> None:
        """
        The server ends with a request, before it is done or behind it: nobody has been told of anything that is not
        stored, and another server begins with what is there.
        """
        for act in ACTS:
            requests, normal = self.undisturbed(act)
            for position in range(len(requests)):
                for fault in (Fault.LOST, Fault.DONE):
                    server = self.begin(act)
                    before = server.stored()
                    server.faults.arm(fault, position)
                    received = self.do(act, server)
                    if self.isRefused(act, requests, position, None):
                        self.assertEqual(received, {}, (act.name, position))
                    else:
                        self.assertPart(act, received, normal)
                    if fault is Fault.LOST and not position:
                        self.assertUnchanged(act, server, before)
                    if fault is Fault.DONE:
                        # What the next one would lose.
                        another = FaultyServer(server.inner)
                        self.successResultOf(another.opened)
                        self.assertUsable(another)
                    server.faults.bury()

    def test_start(self) -> None:
        """
        A server starts though its rooms cannot be read, as with a database that is started later. It then learns what
        it would have at its start.
        """
        first = FaultyServer()
        command = next(act for act in ACTS if act.name == "invitations")
        for prepare in (room, command.do):
            prepare(first)
        server = FaultyServer(first.inner, ["rooms"])
        self.successResultOf(server.opened)
        server.client("romeo")
        [muc] = server.components.hosts[0].handlers.muc.values()
        for tries, known in ((1, False), (2, True)):
            self.assertEqual("romeo@localhost" in muc.invitations.refusing, known, tries)
            self.assertEqual(muc.rooms.usage.of("romeo@localhost")[0], int(known))
            server.faults.heal()
            server.reactor.advance(FIRST_PAUSE)

    def test_creation(self) -> None:
        """A room that cannot be loaded is not entered, nor created anew."""
        server = FaultyServer()
        server.client("romeo")
        server.received()
        server.faults.arm(Fault.FAIL)
        server.send("romeo", join("Romeo"))
        [line] = server.received()["romeo"]
        self.assertEqual(line, f"presence error from={ROOM}/Romeo{ERROR}")
        server.faults.heal()
        server.send("romeo", join("Romeo"))
        self.assertIn("status=201", server.received()["romeo"][0])
