# -*- test-case-name: tests.test_benchmarks -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The load, in phases: all clients log in, enter rooms, send messages and leave.

Every delivery is counted. An occupant of a room of I{n} receives I{n} presences while it fills and every message of
every sender in order; all I{n} together receive I{n} (I{n} + 1) / 2 presences while it empties. A phase ends when
exactly that has arrived; less or more is an error.
"""

from __future__ import annotations

import selectors
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from benchmarks.bosh import BOSHClient
from benchmarks.client import Client
from benchmarks.failure import BenchmarkFailed
from benchmarks.websocket import WebSocketClient

LOGGING_IN: Final = 32
"""Clients that log in at the same time: fewer than the listening socket's backlog, to avoid connect delays."""

JOINING: Final = 64
"""Clients that enter at the same time."""

MESSAGE_SIZE: Final = 64
"""Characters of a message besides its number."""

QUIET: Final = 0.2
"""Seconds to watch after a phase for surplus stanzas."""

React = Callable[[Client, list[tuple[int, int]]], None]
"""Called with the messages (sender, sequence number) that a client has received."""


def _presences(client: Client) -> int:
    return client.tally.presences


def _ignore(client: Client, messages: list[tuple[int, int]]) -> None:
    """Do nothing: the tallies count."""


@dataclass(frozen=True)
class Plan:
    """
    The size of the load.

    @ivar users: the number of clients.
    @ivar rooms: the number of rooms, among which the clients are divided.
    @ivar senders: occupants of each room that send messages, each one at a time.
    @ivar messages: messages of each sender.
    @ivar timeout: for one phase, in seconds.
    @ivar quiet: see L{QUIET}.
    @ivar streamManagement: whether the clients enable stream management.
    @ivar transport: what the clients connect over: C{tcp}, C{websocket} or C{bosh}.
    @ivar profile: how they log in: by C{sasl}, C{sasl2} with Bind 2, or C{fast}, with tokens as well.
    """

    users: int
    rooms: int
    senders: int
    messages: int
    timeout: float = 120.0
    quiet: float = QUIET
    streamManagement: bool = False
    transport: str = "tcp"
    profile: str = "sasl"

    def occupants(self, room: int) -> range:
        """Return the numbers of the users of a room; the first ones are its senders."""
        return range(room, self.users, self.rooms)


class Load:
    """
    The clients. Use it in C{with}, which closes their connections.

    @cvar kind: those over TCP.
    """

    kind: type[Client] = Client

    def __init__(self, plan: Plan, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self._plan = plan
        self._address = address
        self._tls = tls
        self._selector = selectors.DefaultSelector()
        self._clients: list[Client] = []
        self._tokens: dict[int, str] = {}
        self._members = [plan.occupants(room) for room in range(plan.rooms)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        self._selector.close()

    # Phases

    def prepare(self) -> None:
        """Let all clients get a token, if they are to log in with one, and go."""
        if self._plan.profile == "fast":
            self.logIn()
            self._tokens = {client.number: client.token for client in self._clients}
            for client in self._clients:
                client.close()
            self._clients.clear()

    def logIn(self) -> int:
        """Log all clients in; return their number."""
        clients = self._clients
        kind = {"websocket": WebSocketClient, "bosh": BOSHClient}.get(self._plan.transport, self.kind)
        waiting: list[Client] = []

        def ready() -> bool:
            waiting[:] = [client for client in waiting if not client.ready]
            while len(waiting) < LOGGING_IN and len(clients) < self._plan.users:
                client = kind(len(clients), self._address, self._selector)
                clients.append(client)
                waiting.append(client)
                client.token = self._tokens.get(client.number, "")
                client.logIn(self._tls, self._plan.streamManagement, self._plan.profile != "sasl")
            return not waiting

        self._until(ready, lambda: f"{len(waiting)} clients are still logging in")
        return len(clients)

    def join(self) -> int:
        """Fill the rooms, their creators first; return the number of presences delivered."""
        plan = self._plan
        self._enter([members[0] for members in self._members])
        creators = [self._clients[members[0]] for members in self._members]
        for creator in creators:
            creator.accept()
        self._until(
            lambda: all(creator.tally.answers == 1 for creator in creators), lambda: "not every room was unlocked"
        )
        self._enter(range(plan.rooms, plan.users))
        wanted = {number: len(members) for members in self._members for number in members}
        return self._exactly("presences", wanted, _presences)

    def _enter(self, numbers: Iterable[int]) -> None:
        """Let users enter, L{JOINING} at a time; the first presence that arrives shows that one has entered."""
        queue = iter(numbers)
        entering: list[Client] = []

        def entered() -> bool:
            entering[:] = [client for client in entering if not client.tally.presences]
            while len(entering) < JOINING and (number := next(queue, None)) is not None:
                client = self._clients[number]
                client.join(number % self._plan.rooms)
                entering.append(client)
            return not entering

        self._until(entered, lambda: f"{len(entering)} clients are still entering")

    def sendMessages(self) -> int:
        """Let the senders of every room send; return the number of messages delivered."""
        plan = self._plan
        senders = {
            number: self._clients[number] for members in self._members for number in members[: plan.senders]
        }
        wanted = {}
        for members in self._members:
            count = len(members[: plan.senders]) * plan.messages
            wanted.update(dict.fromkeys(members, count))
        left = sum(wanted.values())

        def react(client: Client, messages: list[tuple[int, int]]) -> None:
            nonlocal left
            left -= len(messages)
            if client.number in senders and client.sent < plan.messages:
                for sender, _ in messages:
                    if sender == client.number:
                        client.sendMessage(MESSAGE_SIZE)

        for client in senders.values():
            client.sendMessage(MESSAGE_SIZE)
        self._until(lambda: left <= 0, lambda: f"{left} of {sum(wanted.values())} deliveries are missing", react)
        return self._exactly("messages", wanted, lambda client: client.tally.messages)

    def leaveAlone(self) -> int:
        """Let the last user leave their room; return the number of presences delivered."""
        return self._alone(Client.leave, 1)

    def enterAlone(self) -> int:
        """Let the last user enter their room again; return the number of presences delivered."""
        members = len(self._members[-1])
        return self._alone(lambda client: client.join(len(self._members) - 1), members)

    def affiliateAll(self) -> int:
        """Let the creator of the last room change the affiliation of all others by one item; return as above."""
        others = len(self._members[-1]) - 1
        return self._byCreator(Client.affiliateAll, others, others)

    def closeRoom(self) -> int:
        """Let the creator of the last room make it members-only, which puts all others out; return as above."""
        return self._byCreator(Client.closeRoom, len(self._members[-1]) - 1, 1)

    def destroyRoom(self) -> int:
        """Let the creator of the last room destroy it; return as above."""
        return self._byCreator(Client.destroyRoom, 1, 1)

    def _byCreator(self, request: Callable[[Client], None], own: int, others: int) -> int:
        """C{own} is the number of presences that the creator gets, C{others} that of the others each."""
        members = self._members[-1]
        for number in members:
            self._clients[number].tally.restart()
        request(self._clients[members[0]])
        return self._exactly("presences", {**dict.fromkeys(members, others), members[0]: own}, _presences)

    def _alone(self, move: Callable[[Client], None], own: int) -> int:
        """C{own} is the number of presences that the last user gets; the others get one."""
        members = self._members[-1]
        for number in members:
            self._clients[number].tally.restart()
            self._clients[number].sent = 0
        move(self._clients[members[-1]])
        wanted = {**dict.fromkeys(members, 1), members[-1]: own}
        return self._exactly("presences", wanted, _presences)

    def leave(self) -> int:
        """Empty the rooms; return the number of presences delivered."""
        clients = self._clients
        for client in clients:
            client.leave()
        wanted = sum(len(members) * (len(members) + 1) // 2 for members in self._members)

        def received() -> int:
            return sum(client.tally.presences for client in clients)

        self._until(
            lambda: received() >= wanted, lambda: f"{wanted - received()} of {wanted} presences are missing"
        )
        self.wait(self._plan.quiet)
        for room, members in enumerate(self._members):
            count = sum(clients[number].tally.presences for number in members)
            if count != len(members) * (len(members) + 1) // 2:
                raise BenchmarkFailed(f"room {room}: {count} presences arrived while its {len(members)} occupants left")
        return wanted

    def closeAllBut(self, staying: int) -> None:
        """Close the connections of all but the first users."""
        for client in self._clients[:staying]:
            client.tally.restart()
        for client in self._clients[staying:]:
            client.close()
        del self._clients[staying:]

    def awaitLeaves(self) -> int:
        """Wait until those who stay in the one room are told of all others; return the presences delivered."""
        wanted = dict.fromkeys(range(len(self._clients)), self._plan.users - len(self._clients))
        return self._exactly("presences", wanted, lambda client: client.tally.presences)

    def wait(self, seconds: float) -> None:
        """Wait; a connection that is lost meanwhile is an error."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._poll(left, _ignore)

    # Progress

    def _poll(self, seconds: float, react: React) -> None:
        for key, events in self._selector.select(seconds):
            messages = key.data.onEvent(events)
            if messages:
                react(key.data, messages)

    def _until(
        self,
        done: Callable[[], bool],
        missing: Callable[[], str],
        react: React = _ignore,
    ) -> None:
        """Read and write until C{done} returns true; C{missing} says after a timeout what is not."""
        end = time.monotonic() + self._plan.timeout
        while not done():
            left = end - time.monotonic()
            if left <= 0:
                raise BenchmarkFailed(f"after {self._plan.timeout:g} seconds {missing()}")
            self._poll(left, react)

    def _exactly(self, what: str, wanted: dict[int, int], count: Callable[[Client], int]) -> int:
        """Wait until every user has received exactly as many as wanted; return the total."""
        short = list(wanted)

        def complete() -> bool:
            short[:] = [number for number in short if count(self._clients[number]) < wanted[number]]
            return not short

        self._until(complete, lambda: f"{len(short)} clients do not have all their {what}")
        self.wait(self._plan.quiet)
        for number, expected in wanted.items():
            received = count(self._clients[number])
            if received != expected:
                raise BenchmarkFailed(f"user {number}: {received} {what} arrived instead of {expected}")
        return sum(wanted.values())
